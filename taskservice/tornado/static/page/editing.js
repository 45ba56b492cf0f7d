/** The editors that are open, their drafts, and how they begin and end. */
import {isTyping} from "./dom.js";
import {Editor} from "./editor.js";
import {shortTitle} from "./task.js";

export class Editing {
  #store;
  #list;
  #drafts;
  #actions;
  #history;
  #notices;
  #open = new Map();

  /** @param {object} parts the page's */
  constructor({store, list, drafts, actions, history, notices}) {
    this.#store = store;
    this.#list = list;
    this.#drafts = drafts;
    this.#actions = actions;
    this.#history = history;
    this.#notices = notices;
  }

  /** Whether any editor has typing that is not saved. */
  get dirty() {
    return [...this.#open.values()].some((editor) => editor.dirty);
  }

  /** Open again what was typed before a reload. */
  restore() {
    for (const id of this.#drafts.tasks) {
      const draft = this.#drafts.get(id);
      if (draft) this.open(this.#store.row(id, draft.seen), draft, false);
    }
  }

  /** Open the editor of a row. */
  open(row, draft = null, focus = true) {
    if (this.#open.has(row) || (row.task === null && draft === null)) return;
    const editor = new Editor(row.id, draft?.seen ?? row.task, {
      save: (task) => this.#save(row, task),
      cancel: () => this.#cancel(row),
      delete: () => this.#delete(row),
      changed: (text) => { if (text) this.#notices.announce(text); },
      typed: () => {  // leaving a field that was closed is none
        if (this.#open.has(row)) this.#drafts.set(row.id, editor.dirty ? editor.draft : null);
      },
    }, draft);
    this.#open.set(row, editor);
    this.#store.hold(row);
    this.#store.show(row);
    this.#list.edit(row, editor);
    if (draft) this.#drafts.set(row.id, draft);
    if (focus) this.#list.focus(row);
  }

  #save(row, task) {
    const {seen} = this.#open.get(row);
    this.#close(row);
    const said = this.#actions.edit(row, seen, task);
    if (said) this.#notices.undoable(said);
    this.#list.focus(row);
  }

  /** Leave the task as it was; what was typed can be had back. */
  #cancel(row) {
    const editor = this.#open.get(row);
    const draft = editor.dirty ? editor.draft : null;
    this.#close(row);
    this.#list.focus(row);
    if (draft === null) return;
    const title = shortTitle(draft.seen);
    const dropped = `Dropped what was typed for “${title}”.`;
    this.#history.add({
      undo: () => { this.#openAgain(row.id, draft); return {said: `Editing “${title}” again.`}; },
      redo: () => { this.#closeAgain(row.id); return {said: dropped}; }});
    this.#notices.undoable(dropped);
  }

  /** Open the editor of a task, which may have another row by now, or none. */
  #openAgain(id, draft) {
    this.open(this.#store.row(id, draft.seen), draft);
    this.#store.check();
  }

  #closeAgain(id) {
    const row = [...this.#open.keys()].find((each) => each.id === id);
    if (row) this.#close(row);
  }

  #delete(row) {
    this.#close(row);
    if (row.task) this.#notices.undoable(this.#actions.remove([row]));
  }

  #close(row) {
    const elsewhere = isTyping() && !this.#open.get(row).element.contains(document.activeElement);
    this.#open.delete(row);
    this.#drafts.set(row.id, null);
    this.#list.edit(row, null);
    if (!elsewhere) this.#list.focus(row);
    this.#store.release(row);
  }
}
