/**
 * What the user does to tasks, each of which can be undone: it goes to the store at once, and on the
 * history. Each returns a message for the user.
 */
import {reversed, takenBack} from "./history.js";
import {member, patched, same, shortTitle} from "./task.js";

const NAMES = {
  title: "title", description: "description", priority: "priority", completed: "tick", due_date: "date"};

/**
 * @typedef {import("./history.js").Change} Change
 */
export class Actions {
  #store;
  #outbox;
  #history;
  #ids;

  /**
   * @param {import("./store.js").TaskStore} store
   * @param {import("./outbox.js").Outbox} outbox
   * @param {import("./history.js").History} history
   * @param {import("./ids.js").Ids} ids
   */
  constructor(store, outbox, history, ids) {
    this.#store = store;
    this.#outbox = outbox;
    this.#history = history;
    this.#ids = ids;
  }

  /** Add a task; return its row. */
  add(task) {
    const id = this.#ids.next();
    this.#store.add(id, task);
    this.#note([{id, before: null, after: task}]);
    return this.#store.row(id);
  }

  /** Tick tasks off, or the reverse; return what to say of it. */
  tick(rows, completed = !member(rows[0].task, "completed")) {
    this.#do(rows.map(({id, task}) => (
      {id, before: task, after: patched(task, {completed: completed || null})})));
    return `${completed ? "Done" : "To do again"}: ${named(rows)}.`;
  }

  /** Change the same members of tasks; return what to say of it. */
  change(rows, patch) {
    this.#do(rows.map(({id, task}) => ({id, before: task, after: patched(task, patch)})));
    return `Changed ${named(rows)}.`;
  }

  /** Make of a task, as the user saw it, another; return what to say of it, or null for nothing. */
  edit(row, seen, task) {
    if (same(seen, task)) return null;
    this.#do([{id: row.id, before: seen, after: task}]);
    return `Saved “${shortTitle(task)}”.`;
  }

  /** Delete tasks; return what to say of it. */
  remove(rows) {
    const changes = rows.map(({id, task}) => ({id, before: task, after: null}));
    const said = `Deleted ${named(rows)}.`;
    this.#do(changes);
    return said;
  }

  /** Give up operations that the service refused; return what to say of it. */
  discard(operation) {
    let given = this.#outbox.discard(operation);
    this.#history.add({
      undo: () => {
        given.forEach((each) => this.#outbox.add(fresh(each)));
        return {said: "Back, and tried again.", id: operation.id};
      },
      redo: () => {
        given = this.#outbox.of(operation.id).flatMap((each) => this.#outbox.discard(each));
        return {said: "Discarded again."};
      }});
    return "Discarded what could not be saved.";
  }

  /** Note that the user kept what others made of a task instead of what the operation made. */
  keptTheirs({id, before, patch, kind}, theirs) {
    if (kind === "change") {
      const mine = theirs === null ? patched(before, patch) : patched(theirs, patch);
      this.#note([{id, before: mine, after: theirs}]);
    } else if (theirs !== null) {
      this.#note([{id, before: null, after: theirs}]);
    }
  }

  #do(changes) {
    for (const {id, before, after} of changes) this.#store.write(id, after, before);
    this.#note(changes);
  }

  #note(changes) {
    this.#history.add({
      undo: () => this.#takeBack(changes, "Undone"),
      redo: () => this.#takeBack(changes.map(reversed), "Redone")});
  }

  /** Take changes back; return what to say of it. */
  #takeBack(changes, word) {
    const notes = new Set();
    for (const change of changes) {
      const current = this.#store.task(change.id);
      const shown = current === undefined ? change.after : current;
      const {task, kept, gone} = takenBack(change, shown);
      if (gone) notes.add(` Somebody else has ${shown === null ? "deleted" : "brought back"} it since.`);
      if (kept.length) notes.add(` Somebody else has changed its ${inWords(kept)} since: that stays.`);
      if (same(task, shown)) continue;
      // A task that others changed since it was added is not deleted without asking.
      this.#store.write(change.id, task, task === null ? change.after : shown);
    }
    const [{before, after}] = changes;
    const what = changes.length === 1 ? `“${shortTitle(before ?? after)}”` : `${changes.length} tasks`;
    return {said: `${word}: ${what}.${[...notes].join("")}`, id: changes[0].id};
  }
}

/** Return an operation as if it were new, to be sent again. */
function fresh({seq: _, tab: __, ...operation}) {
  return {...operation, state: "waiting", problem: null};
}

function named(rows) {
  return rows.length === 1 ? `“${shortTitle(rows[0].lastTask)}”` : `${rows.length} tasks`;
}

function inWords(names) {
  return names.map((name) => NAMES[name]).join(" and ");
}
