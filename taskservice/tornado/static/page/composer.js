/** Where a task is added: type, and press Enter. What is typed survives a reload. */
import {dayValue, secondsOf, startOfDay} from "./dates.js";
import {copyOf, find, make} from "./dom.js";
import {COMPOSER} from "./drafts.js";
import {DueField} from "./due-field.js";
import {titleOf, tokensIn} from "./quick-add.js";

/** The day that a view gives to what is added in it. */
const DAY_OF_VIEW = {today: "today", upcoming: "tomorrow"};

export class Composer {
  #form = find("#composer");
  #title = find("#new-title");
  #priority = find("#new-priority");
  #due = new DueField(find("#new-due"), find("#new-date"), find("#new-time"));
  #chips = find("#tokens");
  #drafts;
  #view = "";
  #left = [];

  /**
   * @param {(task: object) => void} add
   * @param {import("./drafts.js").Drafts} drafts
   */
  constructor(add, drafts) {
    this.#drafts = drafts;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(add);
    });
    this.#form.addEventListener("input", () => this.#changed());
    this.#form.addEventListener("change", () => this.#changed());
    this.#chips.addEventListener("click", ({target}) => this.#leave(target.closest("button")));
  }

  /** Whether there is typing that is not added yet. */
  get dirty() {
    return this.#title.value.trim() !== "";
  }

  focus() {
    this.#title.focus();
  }

  /** Give what is added the date of a view. */
  inherit(view) {
    if (view === this.#view) return;
    this.#view = view;
    if (!this.dirty) this.#reset();
  }

  /** Show what was typed before a reload. */
  restore() {
    const draft = this.#drafts.get(COMPOSER);
    if (draft === null) return;
    this.#title.value = draft.title;
    this.#priority.value = draft.priority;
    this.#due.state = draft.due;
    this.#left = draft.left;
    this.#showChips();
  }

  #changed() {
    if (!this.dirty) this.#left = [];
    const [title, priority] = [this.#title.value, this.#priority.value];
    this.#drafts.set(
      COMPOSER, this.dirty ? {title, priority, due: this.#due.state, left: this.#left} : null);
    this.#showChips();
  }

  /** Leave a token in the title, as text. */
  #leave(button) {
    if (button === null) return;
    this.#left = [...this.#left, button.dataset.token];
    this.#changed();
    this.focus();
  }

  get #tokens() {
    const text = this.#title.value;
    const tokens = tokensIn(text, new Date(), this.#left);
    return titleOf(text, tokens) === "" ? [] : tokens;
  }

  #showChips() {
    const tokens = this.#tokens;
    const shown = [...this.#chips.children].map((chip) => chip.dataset.token);
    if (tokens.map(({text}) => text).join("\n") === shown.join("\n")) return;  // a click may be on one
    const chips = tokens.map(({text}) => {
      const chip = make("button", "token", text);
      chip.type = "button";
      chip.dataset.token = text;
      chip.setAttribute("aria-label", `Leave “${text}” in the title`);
      chip.append(copyOf("#close-template"));
      return chip;
    });
    this.#chips.replaceChildren(...chips);
    this.#chips.hidden = !chips.length;
  }

  #submit(add) {
    if (this.dirty) {
      add(this.#task());
      this.#reset();
      this.#changed();
    }
    this.#title.focus();
  }

  #reset() {
    this.#form.reset();
    this.#due.state = {choice: DAY_OF_VIEW[this.#view] ?? "", date: "", time: ""};
  }

  #task() {
    const tokens = this.#tokens;
    const value = (kind) => tokens.find((token) => token.kind === kind)?.value;
    const title = titleOf(this.#title.value, tokens);
    const priority = value("priority") ?? this.#priority.value;
    const due = dueOf(value("day") ?? this.#due.day, value("time") ?? this.#due.time);
    return {
      title: title.toWellFormed?.() ?? title, ...(priority !== "none" && {priority}),
      ...(due !== null && {due_date: due})};
  }
}

/** Return the seconds of a day and a time; a time alone is the next such time. */
function dueOf(day, time) {
  if (day || !time) return secondsOf(day, time);
  const [now, today] = [new Date(), secondsOf(dayValue(new Date()), time)];
  return today * 1000 > now.getTime() ? today : secondsOf(dayValue(startOfDay(now, 1)), time);
}
