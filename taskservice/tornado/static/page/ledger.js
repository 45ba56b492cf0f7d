/**
 * The tasks that this page knows, each as a Row: what the service said of it, and the operations on
 * it that are in the outbox or whose event has yet to come.
 */
import {Row} from "./row.js";

export class Ledger {
  /** @type {Map<string, Row>} by id */
  rows = new Map();

  #outbox;
  #changed;
  #busy = new Set();
  #echoes = new Map();
  #reading = new Map();

  /**
   * @param {import("./outbox.js").Outbox} outbox
   * @param {(rows: Row[]) => void} changed is called with the rows that the outbox or a refresh changed
   */
  constructor(outbox, changed) {
    this.#outbox = outbox;
    this.#changed = changed;
    outbox.addEventListener("change", () => this.#takeOperations());
  }

  /** Return the row of a task, made where there is none. */
  row(id, task = null, revision = null) {
    let row = this.rows.get(id);
    if (row === undefined) {
      row = new Row(id, task, revision);
      this.rows.set(id, row);
    }
    return row;
  }

  /** Take in a version of the service; return whether it was news. */
  learn(id, task, revision) {
    const known = this.rows.get(id);
    if (known === undefined) {
      this.row(id, task, revision);
      return true;
    }
    const news = known.learn(task, revision);
    if (news) this.#hearEchoes(id, revision);
    return news;
  }

  /**
   * Take in that there is no such task.
   * @param {number | null} known the revision that was known before the service was asked: if a newer
   *   one is known by now, somebody may have brought the task back
   */
  learnGone(id, known) {
    const row = this.row(id);
    if ((row.server.revision ?? -1) > (known ?? -1)) return;
    const isKnown = row.server.task === null && row.server.revision !== null;
    if (isKnown && !this.#echoes.has(id)) return;
    this.learn(id, null, (row.server.revision ?? 0) + 0.5);  // any later revision comes by the stream
  }

  /** Take in that a list of all tasks, which had every change up to `since`, has these ids. */
  learnAll(ids, since) {
    for (const {id, doubtful, server: {task, revision}} of this.rows.values()) {
      const isListable = task !== null && (doubtful || (revision ?? -1) <= since);
      if (isListable && !ids.has(id)) this.learnGone(id, revision);
    }
  }

  /** Note that the service took an operation on the version of a revision: an event will say so. */
  expect(operation, after) {
    const {id} = operation;
    const {task, revision} = this.row(id).server;
    if (operation.kind === "create" ? task !== null : (revision ?? -1) > after) return;
    let heard;
    const promise = new Promise((done) => { heard = done; });
    const done = {...operation, state: "done"};
    this.#echoes.set(id, [...this.#echoes.get(id) ?? [], {operation: done, after, promise, heard}]);
    this.#give(id, this.#outbox.of(id));
  }

  /** Await the events of what the service took of a task. */
  async settled(id) {
    await Promise.all((this.#echoes.get(id) ?? []).map(({promise}) => promise));
  }

  /** Return whether an event of an operation has yet to come. */
  expects({id}) {
    return this.#echoes.has(id);
  }

  /**
   * Take in what `find` finds of a task. What is heard of it meanwhile is not forgotten: the answer
   * may be older, and would bring back a task that was deleted since.
   */
  async refresh(id, find) {
    this.#reading.set(id, (this.#reading.get(id) ?? 0) + 1);
    const known = this.rows.get(id)?.server.revision ?? null;
    try {
      const entry = await find();
      if (entry === null) this.learnGone(id, known);
      else this.learn(id, entry.task, entry.revision);
      this.#changed([this.row(id)]);
    } finally {
      const others = this.#reading.get(id) - 1;
      if (others) this.#reading.set(id, others);
      else this.#reading.delete(id);
    }
  }

  /** Take in that the store may have any version of any task by now. */
  doubt() {
    for (const row of this.rows.values()) row.doubt();
  }

  /** Read the tasks, one by one, that are needed and that no list has had since they were in doubt. */
  async check(find) {
    for (const {id, doubtful, holds, operations} of [...this.rows.values()]) {
      if (!doubtful || !(holds || operations.length)) continue;
      await this.refresh(id, () => find(id));
    }
  }

  /** Forget the rows that `kept` is false for. */
  forget(kept, rows = this.rows.values()) {
    for (const row of rows) {
      const needed = row.operations.length || row.holds || this.#reading.has(row.id);
      if (!needed && !kept(row)) this.rows.delete(row.id);
    }
  }

  #hearEchoes(id, revision) {
    const echoes = this.#echoes.get(id);
    if (echoes === undefined) return;
    const left = echoes.filter(({after}) => after >= revision);
    if (left.length) this.#echoes.set(id, left);
    else this.#echoes.delete(id);
    echoes.filter((echo) => !left.includes(echo)).forEach(({heard}) => heard());
    this.#give(id, this.#outbox.of(id));
  }

  #takeOperations() {
    const byTask = new Map();
    for (const operation of this.#outbox.operations) {
      const {id} = operation;
      byTask.set(id, [...byTask.get(id) ?? [], operation]);
    }
    const ids = new Set([...this.#busy, ...byTask.keys()]);
    this.#busy = new Set(byTask.keys());
    this.#changed([...ids].map((id) => this.#give(id, byTask.get(id) ?? [])));
  }

  #give(id, operations) {
    const [first] = operations;
    const row = this.row(id, first?.before ?? null, first?.revision ?? null);
    row.operations = [...(this.#echoes.get(id) ?? []).map((echo) => echo.operation), ...operations];
    if (row.operations.length) this.#busy.add(id);
    return row;
  }
}
