/**
 * Undo and redo: two stacks of what the user did, without a limit in time. What others did since
 * stays: only those members of a task go back that are as the user left them.
 * @typedef {{id: string, before: object | null, after: object | null}} Change null: no task
 * @typedef {{said: string, id?: string}} Outcome what to say of it, and a task that it concerns
 * @typedef {{undo: () => Outcome, redo: () => Outcome}} Entry
 */
import {difference, member, patched} from "./task.js";

const MAX_ENTRIES = 1_000;

/** A "change" event says that there is more, or less, to undo or redo. */
export class History extends EventTarget {
  #done = [];
  #undone = [];

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  /** Note what the user did; what was undone before cannot be redone any more. */
  add(entry) {
    this.#done = [...this.#done, entry].slice(-MAX_ENTRIES);
    this.#undone = [];
    this.dispatchEvent(new Event("change"));
  }

  /** Undo the last thing; return its outcome, or null where there is nothing. */
  undo() {
    return this.#move(this.#done, this.#undone, "undo");
  }

  /** Redo what was undone last; return its outcome, or null where there is nothing. */
  redo() {
    return this.#move(this.#undone, this.#done, "redo");
  }

  #move(from, to, way) {
    const entry = from.pop();
    if (entry === undefined) return null;
    to.push(entry);
    const outcome = entry[way]();
    this.dispatchEvent(new Event("change"));
    return outcome;
  }
}

/**
 * Take a change back, as far as nobody has changed the same members since.
 * @param {Change} change
 * @param {object | null} current the task as it is now
 * @returns {{task: object | null, kept: string[], gone: boolean}} what it becomes; the members that
 *   others changed since, which stay; whether others deleted it, or brought it back
 */
export function takenBack({before, after}, current) {
  if (before === null || after === null) {
    const others = (current === null) !== (after === null);
    return {task: others ? current : before, kept: [], gone: others};
  }
  if (current === null) return {task: null, kept: [], gone: true};
  const [back, kept] = [{}, []];
  for (const [name, value] of Object.entries(difference(after, before))) {
    if (member(current, name) === member(after, name)) back[name] = value;
    else if (member(current, name) !== member(before, name)) kept.push(name);
  }
  return {task: patched(current, back), kept, gone: false};
}

/** Return the change that takes back another. */
export function reversed({id, before, after}) {
  return {id, before: after, after: before};
}
