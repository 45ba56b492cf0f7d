/**
 * What the service has yet to take, in the order in which it was done. It is on disk before it is
 * sent, and forgotten only when the service has it; what the service refuses stays, with why.
 * @typedef {import("./operation.js").Operation} Operation
 * @typedef {{state: "done"} | {state: "refused", problem: object} | {state: "conflict"}} Outcome
 */
import {combined} from "./operation.js";

/**
 * A "change" event says that the operations, or what is known of one, are others; an "outcome"
 * event has what became of one in its `detail`, and whether the user was `asked` about it in a tab before.
 */
export class Outbox extends EventTarget {
  /** @type {Operation[]} in order */
  operations = [];

  #disk;
  #deliver;
  #sending = false;
  #written = Promise.resolve();
  #saved = new WeakMap();
  #asked = new WeakSet();

  /**
   * @param {import("./disk.js").Disk} disk
   * @param {(operation: Operation) => Promise<Outcome>} deliver
   */
  constructor(disk, deliver) {
    super();
    this.#disk = disk;
    this.#deliver = deliver;
  }

  /** Take over what tabs that are gone have left, and go on with it. */
  async adopt() {
    const left = await this.#disk.adopt();
    if (!left.length) return;
    for (const each of left) {
      each.tried = true;  // its answer may have been lost with the tab
      each.revision = null;  // the user may have seen an older version than this: read the task first
      if (each.state !== "conflict") continue;
      each.state = "waiting";  // it may be settled by now
      this.#asked.add(each);
    }
    this.operations.unshift(...left);
    this.#changed();
    this.#send();
  }

  /** How many operations wait to be sent. */
  get waiting() {
    return this.operations.filter(({state}) => state === "waiting").length;
  }

  /** Whether all that waits is on disk, so that the tab may be closed. */
  get kept() {
    return this.#disk.persistent;
  }

  /** Return the operations on a task, in order. */
  of(id) {
    return this.operations.filter((operation) => operation.id === id);
  }

  /** Add an operation, behind all others; one on a task whose last was refused is joined to that. */
  add(operation) {
    const last = this.of(operation.id).at(-1);
    if (last && last.state !== "waiting") {
      this.replace(last, combined(last, operation));
      return;
    }
    this.operations.push(operation);
    this.#disk.note(operation);
    this.#write(operation, () => this.#disk.add(operation));
    this.#changed();
    this.#send();
  }

  /** Put an operation in another's place; null only takes that out. */
  replace(operation, other) {
    const index = this.operations.indexOf(operation);
    if (index < 0) return;
    if (other === null) {
      this.#drop(operation);
    } else {
      const next = {...other, seq: operation.seq, tab: operation.tab};
      this.operations[index] = next;
      this.#write(next, async () => {
        [next.seq, next.tab] = [operation.seq, operation.tab];  // which it may have got just now
        await this.#disk.put(next);
      });
    }
    this.#changed();
    this.#send();
  }

  /** Send a refused operation again. */
  retry(operation) {
    this.replace(operation, {...operation, state: "waiting", problem: null});
  }

  /** Forget an operation and, where it would have created the task, all others on it. */
  discard(operation) {
    const given = operation.kind === "create" ? this.of(operation.id) : [operation];
    for (const each of given) this.#drop(each);
    this.#changed();
    this.#send();
    return given;
  }

  #drop(operation) {
    this.operations = this.operations.filter((each) => each !== operation);
    this.#write(operation, () => this.#disk.remove(operation));
  }

  /** Write to disk, one after the other: what is not written yet has no place in the order. */
  #write(operation, write) {
    this.#written = this.#written.then(write);
    this.#saved.set(operation, this.#written);
  }

  /** Send what waits, one after the other, for as long as there is any. */
  async #send() {
    if (this.#sending) return;
    this.#sending = true;
    try {
      for (let next = this.#next(); next; next = this.#next()) await this.#sendOne(next);
    } finally {
      this.#sending = false;
    }
  }

  async #sendOne(operation) {
    await this.#saved.get(operation);
    if (!this.operations.includes(operation)) return;
    if (await this.#disk.owns(operation)) this.#settle(operation, await this.#deliver(operation));
    else this.operations = this.operations.filter((each) => each !== operation);  // another tab's by now
    this.#changed();
  }

  /** Return the first operation that waits, behind none on the same task that was refused. */
  #next() {
    const stopped = new Set();
    for (const operation of this.operations) {
      if (operation.state !== "waiting") stopped.add(operation.id);
      else if (!stopped.has(operation.id)) return operation;
    }
    return null;
  }

  #settle(operation, outcome) {
    if (!this.operations.includes(operation)) return;  // given up meanwhile
    if (outcome.state === "done") {
      this.#drop(operation);
    } else {
      Object.assign(operation, {state: outcome.state, problem: outcome.problem ?? null});
      this.#write(operation, () => this.#disk.put(operation));
    }
    this.dispatchEvent(new CustomEvent("outcome", {detail: {operation, outcome, asked: this.#asked.has(operation)}}));
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
