/** A task in the list: what the service has of it, and what this page made of it since. */

/**
 * A state of a task. One that this page made has no revision until the service confirms it; where
 * it gave way to another's, `replacedBy` is that one.
 */
export class Version {
  replacedBy = null;

  /**
   * @param {import("./task.js").Task | null} task null where there is no task (any more)
   * @param {number | null} revision
   */
  constructor(task, revision) {
    this.task = task;
    this.revision = revision;
  }

  /** Return this version, or the one that came in its place. */
  get latest() {
    return this.replacedBy === null ? this : this.replacedBy.latest;
  }
}

export class Row {
  /** Writes on their way to the service, one after the other. */
  pending = 0;
  queue = Promise.resolve();

  /** How many reasons there are to leave the row where it is: it is being edited, say. */
  holds = 0;

  /** Whether it is in the list. */
  placed = false;

  /** Whether others made or changed it, and the user has yet to be shown so. */
  news = false;

  #version;
  #lastTask;

  /**
   * @param {string} id
   * @param {Version} version what is shown
   */
  constructor(id, version) {
    this.id = id;
    this.version = version;
    this.server = version;
  }

  /** What is shown. */
  get version() {
    return this.#version;
  }

  set version(version) {
    this.#version = version;
    this.#lastTask = version.task ?? this.#lastTask;
  }

  /** The task, null where it was deleted. */
  get task() {
    return this.#version.task;
  }

  /** The task as it is, or was before it was deleted: a row that is held shows it all the same. */
  get lastTask() {
    return this.#lastTask;
  }

  /** What its place in the list depends on; what is not confirmed yet was changed last. */
  get place() {
    return {id: this.id, revision: this.#version.revision ?? Infinity, task: this.#lastTask};
  }

  /** Take in what the service has, unless something later is known; tell whether it was news. */
  learn(task, revision) {
    if (revision <= (this.server.revision ?? -1)) return false;
    this.server = new Version(task, revision);
    return true;
  }

  /** Show what the service has, where it is later than what is shown and nothing is on its way. */
  settle() {
    const shown = this.version.latest;
    this.version = (this.server.revision ?? -1) > (shown.revision ?? -1) ? this.server : shown;
  }
}
