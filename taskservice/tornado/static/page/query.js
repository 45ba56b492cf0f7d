/**
 * Which tasks are shown, and in which order: as the controls and the address bar have it (choices),
 * and as the service and the list have it (TaskQuery).
 */
import {daysUntil, headingOf, lastMoment, startOfDay} from "./dates.js";
import {fold} from "./fold.js";
import {PRIORITIES, member} from "./task.js";

/** The order of each view; `all` is every task, done or not. */
const ORDERS = {today: "due_date", upcoming: "due_date", todo: "-created", done: "-updated", all: "-created"};

/** The views that are divided by days, as long as they are in their own order. */
const BY_DAYS = ["today", "upcoming", "done"];

export const OVERDUE = "Overdue";

const FIRST_VIEW = "todo";
const FIRST_FILTERS = {q: "", priority: "", due: ""};

const SORTS = ["created", "updated", "due_date", "priority", "title"];
const TITLE_KEY_LENGTH = 200;
const MAX_FOLDED_GROWTH = 2, MIN_FOLDED = 500;  // as in the service: see taskservice/datamodel.py
const NO_DUE_DATE = 2 ** 53;
const MAX_WORDS = 10;
const MAX_WORD_LENGTH = 100;

/** How many of a revision, which is a time since the epoch, are a second. */
const MICROSECONDS = 1_000_000;

/** How much earlier the moment that stands for a day is than the day's end, in any time zone. */
const DAY_SPAN = 36 * 3600;

const ALLOWED = {
  show: Object.keys(ORDERS),
  priority: ["", "urgent", "urgent,high", "normal", "low", "none"],
  due: ["", "overdue", "today", "week"],
  sort: [...SORTS, ...SORTS.map((name) => `-${name}`)],
};

/** Return the choices of a view with nothing filtered. */
export function choicesOf(show = FIRST_VIEW) {
  return {show, ...FIRST_FILTERS, sort: ORDERS[show]};
}

/** Read choices from the address bar; what is not known is passed over. */
export function choicesFrom(search) {
  const given = [...new URLSearchParams(search)]
    .filter(([name, value]) => name === "q" || ALLOWED[name]?.includes(value));
  const {show, ...others} = Object.fromEntries(given);
  return {...choicesOf(show), ...others};
}

/** Return choices as the search part of an address: only what differs from the usual. */
export function searchOf(choices) {
  const usual = choicesOf(choices.show);
  const different = Object.entries(choices)
    .filter(([name, value]) => name === "show" ? value !== FIRST_VIEW : value !== usual[name]);
  return different.length ? `?${new URLSearchParams(different)}` : "";
}

/** Return whether choices leave anything out beyond what their view does. */
export function isNarrow({q, priority, due}) {
  return q.trim() !== "" || priority !== "" || due !== "";
}

/** A list as the service is asked for it; here, too, it knows what belongs in it, and where. */
export class TaskQuery {
  /** Whether dates are ordered by the days of this time zone, which the service does not know. */
  isLocal = false;

  constructor(choices, now = new Date()) {
    this.completed = choices.show === "all" ? null : choices.show === "done";
    this.priorities = choices.priority ? choices.priority.split(",") : [];
    this.words = wordsOf(choices.q);
    this.descending = choices.sort.startsWith("-");
    this.sort = choices.sort.replace("-", "");
    this.ranges = [viewRange(choices.show, now), dueRange(choices.due, now)];
    this.days = BY_DAYS.includes(choices.show) && choices.sort === ORDERS[choices.show] ? choices.show : null;
  }

  /**
   * Return the parameters of `GET /tasks`. The service knows moments, not days: it is asked for
   * more where a day may begin elsewhere.
   */
  parameters(limit) {
    const parameters = new URLSearchParams({limit: String(limit)});
    if (this.completed !== null) parameters.set("completed", String(this.completed));
    for (const priority of this.priorities) parameters.append("priority", priority);
    const from = Math.max(...this.ranges.map((range) => range[0]));
    const to = Math.min(...this.ranges.map((range) => range[1]));
    if (from > -Infinity) parameters.set("due_after", String(Math.floor(from) - DAY_SPAN - 1));
    if (to < Infinity) parameters.set("due_before", String(Math.ceil(to)));
    if (this.words.length) parameters.set("q", this.words.join(" "));
    parameters.set("sort", (this.descending ? "-" : "") + this.sort);
    return parameters;
  }

  /** Return whether a task passes the filters. */
  matches(task) {
    return (this.completed === null || this.completed === member(task, "completed"))
      && (!this.priorities.length || this.priorities.includes(member(task, "priority")))
      && this.ranges.every((range) => isIn(range, task))
      && (!this.words.length || this.#hasWords(task));
  }

  /** Return the heading of the day, or days, that a row belongs to; '' where the list is not divided by days. */
  heading({lastTask, place}, now) {
    if (this.days === null) return "";
    if (this.days === "done") return headingOf(Math.min(place.revision / MICROSECONDS, now.getTime() / 1000), now);
    const {due_date: due} = lastTask;
    if (due === undefined) return "";
    return this.days === "today" && daysUntil(due, now) < 0 ? OVERDUE : headingOf(due, now);
  }

  #hasWords(task) {
    const text = foldedText(task);
    return this.words.every((word) => text.includes(word));
  }

  /** Compare two `{id, revision, task}` by their place in this order; ties go by id. */
  compare(one, other) {
    const order = compareKeys(this.#key(one), this.#key(other)) || compareKeys(one.id, other.id);
    return this.descending ? -order : order;
  }

  #key({id, revision, task}) {
    switch (this.sort) {
      case "updated": return revision;
      case "due_date": return this.isLocal ? lastMomentOf(task) : task.due_date ?? NO_DUE_DATE;
      case "priority": return PRIORITIES.indexOf(member(task, "priority"));
      case "title": return titleKey(task);
      default: return id;
    }
  }
}

/** Return the words of a search, as many and as much of each as the service takes. */
function wordsOf(text) {
  const words = fold(text).split(/\s+/u).filter(Boolean)
    .map((word) => [...word].slice(0, MAX_WORD_LENGTH).join(""));
  return [...new Set(words)].slice(0, MAX_WORDS);
}

const ALWAYS = [-Infinity, Infinity];

function viewRange(show, now) {
  const tomorrow = startOfDay(now, 1).getTime() / 1000;
  return {today: [-Infinity, tomorrow], upcoming: [tomorrow, Infinity]}[show] ?? ALWAYS;
}

function dueRange(due, now) {
  const seconds = (days) => startOfDay(now, days).getTime() / 1000;
  switch (due) {
    case "overdue": return [-Infinity, now.getTime() / 1000];
    case "today": return [seconds(0), seconds(1)];
    case "week": return [seconds(0), seconds(7)];
    default: return ALWAYS;
  }
}

function isIn([from, to], task) {
  if (from === -Infinity && to === Infinity) return true;
  const due = lastMomentOf(task);
  return due !== NO_DUE_DATE && due >= from && due < to;
}

function compareKeys(one, other) {
  return one < other ? -1 : one > other ? 1 : 0;
}

// --- What is made of a task once, however often it is compared -------------------------------------

/** Return what a search looks in: where folding makes a text far longer the beginning only, as the service does. */
const foldedText = once((task) => {
  const text = `${task.title}\n${task.description ?? ""}`;
  const folded = fold(text);
  if (folded.length <= Math.max(text.length, MIN_FOLDED)) return folded;
  const most = Math.max(MAX_FOLDED_GROWTH * [...text].length, MIN_FOLDED);
  return [...folded].slice(0, most).join("");
});
const lastMomentOf = once(({due_date: due}) => due === undefined ? NO_DUE_DATE : lastMoment(due));

/** Return what titles are compared by: by code point, and the beginning only, as the service does. */
const titleKey = once(({title}) => {
  const start = title.length <= TITLE_KEY_LENGTH ? title : [...title].slice(0, TITLE_KEY_LENGTH).join("");
  return start.replace(ABOVE, inOrder);
});

const ABOVE = /[\ud800-\uffff]/g;  // without the flag u: by code unit

/** Return a code unit that sorts as its code point does: those of pairs come after all others. */
function inOrder(unit) {
  const code = unit.charCodeAt(0);
  return String.fromCharCode(code >= 0xe000 ? code - 0x800 : code + 0x2000);
}

function once(make) {
  const made = new WeakMap();
  return (task) => {
    let value = made.get(task);
    if (value === undefined) {
      value = make(task);
      made.set(task, value);
    }
    return value;
  };
}
