/**
 * Which tasks are shown, and in which order: as the controls and the address bar have it (choices),
 * and as the service and the list have it (TaskQuery).
 */
import {startOfDay} from "./dates.js";
import {fold} from "./fold.js";
import {PRIORITIES, member} from "./task.js";

/** What is shown at first. Only what differs from it stands in the address bar. */
export const FIRST_CHOICES = Object.freeze(
  {show: "todo", q: "", priority: "", due: "", sort: "-created"});

const SORTS = ["created", "updated", "due_date", "priority", "title"];
const TITLE_KEY_LENGTH = 200;
const NO_DUE_DATE = 2 ** 53;

const ALLOWED = {
  show: ["todo", "done", "all"],
  priority: ["", "urgent", "urgent,high", "normal", "low", "none"],
  due: ["", "overdue", "today", "week"],
  sort: [...SORTS, ...SORTS.map((name) => `-${name}`)],
};

/** Read choices from the address bar; what is not known is passed over. */
export function choicesFrom(search) {
  const choices = {...FIRST_CHOICES};
  for (const [name, value] of new URLSearchParams(search)) {
    if (name === "q" || ALLOWED[name]?.includes(value)) choices[name] = value;
  }
  return choices;
}

/** Return choices as the search part of an address. */
export function searchOf(choices) {
  const different = Object.entries(choices)
    .filter(([name, value]) => value !== FIRST_CHOICES[name]);
  return different.length ? `?${new URLSearchParams(different)}` : "";
}

/** Tell whether choices leave anything out beyond what is done. */
export function isNarrow({q, priority, due}) {
  return q.trim() !== "" || priority !== "" || due !== "";
}

/** A list as the service is asked for it; here, too, it knows what belongs in it, and where. */
export class TaskQuery {
  constructor(choices, now = new Date()) {
    this.completed = {todo: false, done: true, all: null}[choices.show];
    this.priorities = choices.priority ? choices.priority.split(",") : [];
    this.words = fold(choices.q).split(/\s+/u).filter(Boolean).slice(0, 32);
    this.descending = choices.sort.startsWith("-");
    this.sort = choices.sort.replace("-", "");
    [this.dueAfter, this.dueBefore] = dueRange(choices.due, now);
  }

  /** Return the parameters of `GET /tasks`. */
  parameters(limit) {
    const parameters = new URLSearchParams({limit: String(limit)});
    if (this.completed !== null) parameters.set("completed", String(this.completed));
    for (const priority of this.priorities) parameters.append("priority", priority);
    if (this.dueAfter !== null) parameters.set("due_after", String(this.dueAfter));
    if (this.dueBefore !== null) parameters.set("due_before", String(this.dueBefore));
    if (this.words.length) parameters.set("q", this.words.join(" "));
    parameters.set("sort", (this.descending ? "-" : "") + this.sort);
    return parameters;
  }

  /** Tell whether a task passes the filters. */
  matches(task) {
    const due = task.due_date ?? null;
    const text = fold(`${task.title}\n${task.description ?? ""}`);
    return (this.completed === null || this.completed === member(task, "completed"))
      && (!this.priorities.length || this.priorities.includes(member(task, "priority")))
      && (this.dueAfter === null || (due !== null && due > this.dueAfter))
      && (this.dueBefore === null || (due !== null && due < this.dueBefore))
      && this.words.every((word) => text.includes(word));
  }

  /** Compare two `{id, revision, task}` by their place in this order; ties go by id. */
  compare(one, other) {
    const order = compareKeys(this.#key(one), this.#key(other)) || compareKeys(one.id, other.id);
    return this.descending ? -order : order;
  }

  #key({id, revision, task}) {
    switch (this.sort) {
      case "updated": return revision;
      case "due_date": return task.due_date ?? NO_DUE_DATE;
      case "priority": return PRIORITIES.indexOf(member(task, "priority"));
      case "title": return task.title;
      default: return id;
    }
  }
}

function dueRange(due, now) {
  const seconds = (days) => startOfDay(now, days).getTime() / 1000;
  switch (due) {  // both ends are left out, so a range begins just before its day
    case "overdue": return [null, Math.floor(now.getTime() / 1000)];
    case "today": return [seconds(0) - 0.001, seconds(1)];
    case "week": return [seconds(0) - 0.001, seconds(7)];
    default: return [null, null];
  }
}

function compareKeys(one, other) {
  if (typeof one === "string") return compareText(one, other);
  return one < other ? -1 : one > other ? 1 : 0;
}

/** Compare by code point, and by the beginning only, as the service does. */
function compareText(one, other) {
  if (one === other) return 0;
  const [left, right] = [one, other].map((text) => text[Symbol.iterator]());
  for (let count = 0; count < TITLE_KEY_LENGTH; count++) {
    const [a, b] = [left.next(), right.next()];
    if (a.done || b.done) return Number(b.done) - Number(a.done);
    if (a.value !== b.value) return a.value.codePointAt(0) < b.value.codePointAt(0) ? -1 : 1;
  }
  return 0;
}
