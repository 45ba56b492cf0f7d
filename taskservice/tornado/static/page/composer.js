/** Where a task is added: type, and press Enter. */
import {find} from "./dom.js";
import {DueField} from "./due-field.js";

export class Composer {
  #form = find("#composer");
  #title = find("#new-title");
  #priority = find("#new-priority");
  #due = new DueField(find("#new-due"), find("#new-date"));

  /** @param {(task: object) => void} add */
  constructor(add) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(add);
    });
  }

  focus() {
    this.#title.focus();
  }

  #submit(add) {
    const title = this.#title.value.trim();
    if (title !== "") {
      add(this.#task(title.toWellFormed?.() ?? title));
      this.#form.reset();
      this.#due.value = null;
    }
    this.#title.focus();
  }

  #task(title) {
    const [priority, due] = [this.#priority.value, this.#due.value];
    return {title, ...(priority !== "none" && {priority}), ...(due !== null && {due_date: due})};
  }
}
