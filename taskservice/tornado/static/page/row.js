/** A task in the list: the version of the service, and the changes of this page since. */
import {applied} from "./operation.js";

export class Row {
  /** What the service is known to have; the revision is null where it is not known. */
  server;

  /** Whether the service may have any other version by now, also an older one. */
  doubtful;

  /** How many reasons there are to leave the row where it is: it is being edited, say. */
  holds = 0;

  /** Whether it is in the list. */
  placed = false;

  /** Whether others made or changed it, and the user has yet to be shown so. */
  news = false;

  #operations = [];
  #task;
  #lastTask;

  /**
   * @param {string} id
   * @param {import("./task.js").Task | null} task null where there is none (any more)
   * @param {number | null} revision
   */
  constructor(id, task, revision) {
    this.id = id;
    this.server = {task, revision};
    this.doubtful = task !== null && revision === null;
    this.#update();
  }

  /** The task as it is shown; null where it was deleted. */
  get task() {
    return this.#task;
  }

  /** The task as it is, or was before it was deleted: a row that is held shows it all the same. */
  get lastTask() {
    return this.#lastTask;
  }

  /** What the user did to it that the service has yet to take, or to confirm by an event, in order. */
  get operations() {
    return this.#operations;
  }

  set operations(operations) {
    this.#operations = operations;
    this.#update();
  }

  /** Whether something waits to be saved. */
  get pending() {
    return this.#operations.some(({state}) => state === "waiting");
  }

  /** The first operation that the service refused or others interfered with, if one is. */
  get problem() {
    return this.#operations.find(({state}) => state === "refused" || state === "conflict") ?? null;
  }

  /** What its place in the list depends on; what is not confirmed yet was changed last. */
  get place() {
    const revision = this.#operations.length ? Infinity : this.server.revision ?? Infinity;
    return {id: this.id, revision, task: this.#lastTask};
  }

  /** Take in a version of the service, unless a later one is known; return whether it was news. */
  learn(task, revision) {
    if (!this.doubtful && revision <= (this.server.revision ?? -1)) return false;
    this.server = {task, revision};
    this.doubtful = false;
    this.#update();
    return true;
  }

  /** Take in that the store may have gone back since: whatever it says next is news. */
  doubt() {
    this.doubtful = true;
  }

  #update() {
    this.#task = this.#operations.reduce(
      (task, operation) => isUndecided(operation) ? task : applied(operation, task), this.server.task);
    this.#lastTask = this.#task ?? this.#lastTask ?? this.server.task
      ?? this.#operations.find((operation) => operation.before)?.before;
  }
}

/** Return whether a row is shown as if the operation were not: a task that could not be deleted. */
function isUndecided({kind, state}) {
  return kind === "delete" && (state === "refused" || state === "conflict");
}
