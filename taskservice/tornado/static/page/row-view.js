/** A row as it is seen. */
import {DATE_LANGUAGE, capital, dueInWords} from "./dates.js";
import {copyOf, find, make, setAttribute, setText} from "./dom.js";
import {linksIn} from "./markdown.js";
import {OVERDUE} from "./query.js";
import {member} from "./task.js";

const LABELS = {urgent: "Urgent", high: "High", normal: "Normal", low: "Low"};

let count = 0;

export class RowView {
  element = copyOf("#row-template");

  /** The editor that is open in the row, if one is. */
  editor = null;

  /** The heading of the day that begins with it, if one does. */
  heading = null;

  #parts = {};
  #task = null;
  #problem = null;
  #trouble = null;
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

  /**
   * Show the row as it is; `size` is how long the list is, -1 where that is not known; `heading` is
   * the day that begins with it, or ''.
   */
  update(position, size, now, heading = "") {
    setAttribute(this.element, "aria-posinset", position);
    setAttribute(this.element, "aria-setsize", size);
    this.element.classList.toggle("unsaved", this.row.pending || this.row.problem !== null);
    this.#parts.done.checked = member(this.row.lastTask, "completed");
    const day = Math.floor(now.getTime() / 60_000);
    if (this.row.lastTask !== this.#task || day !== this.#day) this.#show(this.row.lastTask, now);
    [this.#task, this.#day] = [this.row.lastTask, day];
    if (this.row.news) this.element.classList.add("news");
    this.row.news = false;
    this.#showHeading(heading);
    this.#showProblem(this.row.problem);
    this.editor?.notice(this.row);
  }

  #showHeading(text) {
    if ((this.heading?.textContent ?? "") === text) return;
    this.heading?.remove();
    this.heading = text ? make("h3", "day", text) : null;
    if (text) {
      if (text !== OVERDUE) this.heading.lang = DATE_LANGUAGE;
      this.element.prepend(this.heading);
    }
  }

  #show(task, now) {
    const {title, description, meta, delete: remove} = this.#parts;
    const completed = member(task, "completed");
    this.element.classList.toggle("done", completed);
    this.element.dataset.priority = member(task, "priority");
    setText(title, task.title);
    if (description.textContent !== (task.description ?? "") || description.firstElementChild) {
      description.replaceChildren(...linksIn(task.description ?? "").map(linkOrText));
    }
    description.hidden = !task.description;
    setAttribute(remove, "aria-label", `Delete ${task.title}`);
    const facts = [dueFact(task, completed, now), priorityFact(task)].filter(Boolean);
    meta.replaceChildren(...facts);
    meta.hidden = !facts.length;
  }

  #showProblem(operation) {
    const key = operation && `${operation.state} ${operation.kind} ${operation.problem?.message}`;
    if (key === this.#problem) return;
    this.#problem = key;
    this.#trouble?.remove();
    this.#trouble = operation && copyOf("#problem-template");
    if (operation === null) return;
    const status = operation.problem?.status;
    const part = (name) => find(`[data-part=${name}]`, this.#trouble);
    part("reason").textContent = inWords(operation);
    part("compare").hidden = operation.state !== "conflict";
    part("token").hidden = status !== 403;
    part("again").hidden = operation.state === "conflict";
    this.element.append(this.#trouble);
  }

  /** Show whether the row is one of several that are chosen. */
  choose(chosen) {
    if (this.element.classList.contains("chosen") === chosen) return;
    this.element.classList.toggle("chosen", chosen);
    if (chosen) this.#parts.meta.after(make("span", "visually-hidden chosen-word", "Chosen"));
    else find(".chosen-word", this.element).remove();
  }

  /** Put an editor in the place of what is seen; null puts that back. */
  edit(editor) {
    this.editor?.element.remove();
    this.editor = editor;
    this.#parts.view.hidden = editor !== null;
    if (editor) this.#parts.view.after(editor.element);
    this.element.classList.toggle("editing", editor !== null);
  }

  /** Set the focus on a part of the row. */
  focus(part = "title") {
    if (this.editor) this.editor.focus();
    else (this.#parts[part] ?? this.#parts.title).focus({preventScroll: true});
  }
}

/** Return why an operation is not done, in words. */
function inWords({kind, state, problem}) {
  if (state === "conflict") {
    return kind === "delete" ? "Not deleted: somebody else changed it." : "Not saved: somebody else changed it, too.";
  }
  const not = kind === "delete" ? "Not deleted" : "Not saved";
  switch (problem.status) {
    case 403: return `${not}: this token may read, not write.`;
    case 413: return `${not}: it is longer than the service takes. Make it shorter.`;
    case 400: return `${not}: the service takes no such task (${problem.message}). Edit it.`;
    case 507: return `${not}: the store of the service is full. Retry once there is room.`;
    default: return `${not}: ${problem.message}.`;
  }
}

function linkOrText({text, href}) {
  if (href === null) return text;
  const link = make("a", "", text);
  link.href = href;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  return link;
}

function dueFact(task, completed, now) {
  if (task.due_date === undefined) return null;
  const {text, full, iso, late, today} = dueInWords(task.due_date, now);
  const overdue = late && !completed;
  const fact = make("span", "fact due");
  fact.classList.toggle("overdue", overdue);
  fact.classList.toggle("today", today && !overdue && !completed);
  const time = make("time", "", capital(text));
  time.lang = DATE_LANGUAGE;
  time.title = full;
  if (iso) time.dateTime = iso;
  const said = make("span", "visually-hidden", overdue ? "Overdue, " : "Due ");
  fact.append(copyOf("#day-template"), said, time);
  return fact;
}

function priorityFact(task) {
  const priority = member(task, "priority");
  if (!(priority in LABELS)) return null;
  const fact = make("span", `fact priority ${priority}`);
  fact.append(copyOf("#flag-template"), LABELS[priority], make("span", "visually-hidden", " priority"));
  return fact;
}
