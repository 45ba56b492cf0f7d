/**
 * Editing a task in its place: Enter saves, Escape leaves it as it was. What is typed is a draft
 * that survives a reload.
 */
import {copyOf, find} from "./dom.js";
import {DueField} from "./due-field.js";
import {clashes} from "./operation.js";
import {difference, member, same} from "./task.js";

/** The code of keys that belong to an input method; Safari marks its last Enter by this alone. */
const INPUT_METHOD = 229;

export class Editor {
  element = copyOf("#editor-template");

  /** The task as the user saw it when the editor was opened. */
  seen;

  #fields = {};
  #due;
  #notice = find("[data-field=notice]", this.element);
  #problem = find("[data-field=problem]", this.element);
  #before;

  /**
   * @param {string} id
   * @param {import("./task.js").Task} seen
   * @param {{save: (task: object) => void, cancel: () => void, delete: () => void,
   *          changed: (text: string) => void, typed: () => void}} handlers
   * @param {object | null} [draft] what was typed before, as `draft` gave it
   */
  constructor(id, seen, handlers, draft = null) {
    this.seen = seen;
    this.handlers = handlers;
    const field = (name) => find(`[data-field=${name}]`, this.element);
    for (const name of ["title", "description", "priority"]) {
      this.#fields[name] = field(name);
      this.#fields[name].value = member(seen, name);
    }
    this.#due = new DueField(field("due"), field("date"), field("time"));
    this.#due.value = seen.due_date ?? null;
    field("link").href = `#${id}`;
    this.#before = this.#values();
    if (draft) this.#restore(draft);
    this.element.addEventListener("submit", (event) => { event.preventDefault(); this.#save(); });
    this.element.addEventListener("keydown", (event) => this.#key(event));
    for (const type of ["input", "change"]) this.element.addEventListener(type, () => handlers.typed());
    for (const name of ["cancel", "delete"]) field(name).addEventListener("click", () => handlers[name]());
  }

  /** Whether what is typed differs from what was there. */
  get dirty() {
    return Object.entries(this.#values()).some(([name, value]) => value !== this.#before[name]);
  }

  /** What is typed, to be kept. */
  get draft() {
    const values = Object.entries(this.#fields).map(([name, field]) => [name, field.value]);
    return {seen: this.seen, fields: Object.fromEntries(values), due: this.#due.state};
  }

  #restore({fields, due}) {
    for (const [name, value] of Object.entries(fields)) this.#fields[name].value = value;
    this.#due.state = due;
  }

  focus() {
    const {title} = this.#fields;
    title.focus({preventScroll: true});
    title.setSelectionRange(title.value.length, title.value.length);
  }

  /** Say that others changed or deleted the task meanwhile. */
  notice(row) {
    const text = this.#news(row.task);
    if (this.#notice.textContent === text) return;
    this.#notice.textContent = text;
    this.#notice.hidden = text === "";
    this.handlers.changed(text);
  }

  #news(task) {
    if (task === null) return "Somebody deleted this task meanwhile.";
    if (same(task, this.seen)) return "";
    const mine = {before: this.seen, patch: difference(this.seen, this.#edited(this.#values()))};
    return "Somebody changed this task meanwhile."
      + (clashes(mine, task).length ? " When you save, you can compare." : " What you save is merged with it.");
  }

  #values() {
    const values = Object.entries(this.#fields).map(([name, field]) => [name, field.value]);
    return {...Object.fromEntries(values), due_date: this.#due.value};
  }

  #key(event) {
    if (event.isComposing || event.keyCode === INPUT_METHOD) return;
    const {title} = this.#fields;
    const enter = event.key === "Enter"
      && (event.target === title || event.ctrlKey || event.metaKey);
    if (enter && !event.repeat) this.#save();
    else if (event.key === "Escape") this.handlers.cancel();
    else if (!enter) return;
    event.preventDefault();
    event.stopPropagation();
  }

  #save() {
    const now = this.#values();
    const problem = now.title.trim() === "" ? "A task needs a title."
      : this.#due.valid ? "" : "This date is not complete.";
    this.#problem.textContent = problem;
    this.#problem.hidden = problem === "";
    this.#fields.title.setAttribute("aria-invalid", String(now.title.trim() === ""));
    if (problem) this.handlers.changed(problem);
    else this.handlers.save(this.#edited(now));
  }

  /** Return the task with those members changed that the user changed, and no other. */
  #edited(now) {
    const task = {...this.seen};
    for (const [name, value] of Object.entries(now)) {
      if (value === this.#before[name]) continue;
      const empty = value === null || value === "" || (name === "priority" && value === "none");
      if (empty) delete task[name];
      else task[name] = typeof value === "string" ? value.toWellFormed?.() ?? value : value;
    }
    if (now.title !== this.#before.title) task.title = (task.title ?? "").trim();
    return task;
  }
}
