/** A row as it is seen. */
import {DATE_LANGUAGE, dueInWords} from "./dates.js";
import {copyOf, find, make, setAttribute, setText} from "./dom.js";
import {member} from "./task.js";

const LABELS = {urgent: "Urgent", high: "High", normal: "Normal", low: "Low"};

let count = 0;

export class RowView {
  element = copyOf("#row-template");

  /** The editor that is open in the row, if one is. */
  editor = null;

  #parts = {};
  #task = null;
  #day = 0;

  /** @param {import("./row.js").Row} row */
  constructor(row) {
    this.row = row;
    for (const name of ["view", "done", "title", "description", "meta", "delete"]) {
      this.#parts[name] = find(`[data-part=${name}]`, this.element);
    }
    const {title, done, meta} = this.#parts;
    title.id = `title-${++count}`;
    meta.id = `meta-${count}`;
    done.setAttribute("aria-labelledby", title.id);
    title.setAttribute("aria-describedby", meta.id);
    this.element.addEventListener("animationend", () => this.element.classList.remove("news"));
  }

  /** Show the row as it is; `size` is how long the list is, -1 where that is not known. */
  update(position, size, now) {
    setAttribute(this.element, "aria-posinset", position);
    setAttribute(this.element, "aria-setsize", size);
    this.element.classList.toggle("unsaved", this.row.pending > 0);
    this.#parts.done.checked = member(this.row.lastTask, "completed");
    const day = Math.floor(now.getTime() / 60_000);
    if (this.row.lastTask !== this.#task || day !== this.#day) this.#show(this.row.lastTask, now);
    [this.#task, this.#day] = [this.row.lastTask, day];
    if (this.row.news) this.element.classList.add("news");
    this.row.news = false;
    this.editor?.notice(this.row);
  }

  #show(task, now) {
    const {title, description, meta, delete: remove} = this.#parts;
    const completed = member(task, "completed");
    this.element.classList.toggle("done", completed);
    this.element.dataset.priority = member(task, "priority");
    setText(title, task.title);
    setText(description, task.description ?? "");
    description.hidden = !task.description;
    setAttribute(remove, "aria-label", `Delete ${task.title}`);
    const facts = [dueFact(task, completed, now), priorityFact(task)].filter(Boolean);
    meta.replaceChildren(...facts);
    meta.hidden = !facts.length;
  }

  /** Put an editor in the place of what is seen; null puts that back. */
  edit(editor) {
    this.editor?.element.remove();
    this.editor = editor;
    this.#parts.view.hidden = editor !== null;
    if (editor) this.element.append(editor.element);
    this.element.classList.toggle("editing", editor !== null);
  }

  /** Set the focus on a part of the row. */
  focus(part = "title") {
    if (this.editor) this.editor.focus();
    else this.#parts[part].focus({preventScroll: true});
  }
}

function dueFact(task, completed, now) {
  if (task.due_date === undefined) return null;
  const {text, full, iso, late, today} = dueInWords(task.due_date, now);
  const overdue = late && !completed;
  const fact = make("span", "fact due");
  fact.classList.toggle("overdue", overdue);
  fact.classList.toggle("today", today && !overdue && !completed);
  const time = make("time", "", overdue ? text : capital(text));
  time.lang = DATE_LANGUAGE;
  time.title = full;
  if (iso) time.dateTime = iso;
  fact.append(make("span", overdue ? "" : "visually-hidden", overdue ? "Overdue, " : "Due "), time);
  return fact;
}

function capital(text) {
  return text.charAt(0).toLocaleUpperCase(DATE_LANGUAGE) + text.slice(1);
}

function priorityFact(task) {
  const priority = member(task, "priority");
  if (!(priority in LABELS)) return null;
  const fact = make("span", `fact priority ${priority}`, LABELS[priority]);
  fact.append(make("span", "visually-hidden", " priority"));
  return fact;
}
