/** Editing a task in its place: Enter saves, Escape leaves it as it was. */
import {copyOf, find} from "./dom.js";
import {DueField} from "./due-field.js";
import {member} from "./task.js";

/** The code of keys that belong to an input method; Safari tells of its last Enter by this alone. */
const INPUT_METHOD = 229;

export class Editor {
  element = copyOf("#editor-template");

  #seen;
  #fields = {};
  #due;
  #notice = find("[data-field=notice]", this.element);
  #problem = find("[data-field=problem]", this.element);
  #before;

  /**
   * @param {import("./row.js").Row} row
   * @param {{save: (task: object, seen: object) => void, cancel: () => void,
   *          delete: () => void, changed: (text: string) => void}} handlers
   */
  constructor(row, handlers) {
    this.#seen = row.version;
    this.handlers = handlers;
    for (const name of ["title", "description", "priority"]) {
      this.#fields[name] = find(`[data-field=${name}]`, this.element);
      this.#fields[name].value = member(row.task, name);
    }
    this.#due = new DueField(
      find("[data-field=due]", this.element), find("[data-field=date]", this.element));
    this.#due.value = row.task.due_date ?? null;
    this.#before = this.#values();
    this.element.addEventListener("submit", (event) => { event.preventDefault(); this.#save(); });
    this.element.addEventListener("keydown", (event) => this.#key(event));
    for (const name of ["cancel", "delete"]) {
      find(`[data-field=${name}]`, this.element).addEventListener("click", () => handlers[name]());
    }
  }

  focus() {
    const {title} = this.#fields;
    title.focus({preventScroll: true});
    title.setSelectionRange(title.value.length, title.value.length);
  }

  /** Tell that others changed or deleted the task meanwhile. */
  notice(row) {
    const text = row.task === null ? "Somebody deleted this task meanwhile."
      : row.version.latest === this.#seen.latest ? ""
        : "Somebody changed this task meanwhile. When you save, you can compare.";
    if (this.#notice.textContent === text) return;
    this.#notice.textContent = text;
    this.#notice.hidden = text === "";
    this.handlers.changed(text);
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
    if (enter) this.#save();
    else if (event.key === "Escape") this.handlers.cancel();
    else return;
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
    else this.handlers.save(this.#edited(now), this.#seen);
  }

  /** Return the task with those members changed that the user changed, and no other. */
  #edited(now) {
    const task = {...this.#seen.task};
    for (const [name, value] of Object.entries(now)) {
      if (value === this.#before[name]) continue;
      const empty = value === null || value === "" || (name === "priority" && value === "none");
      if (empty) delete task[name];
      else task[name] = typeof value === "string" ? value.toWellFormed?.() ?? value : value;
    }
    if (now.title !== this.#before.title) task.title = task.title.trim();
    return task;
  }
}
