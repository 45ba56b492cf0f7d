/**
 * How an operation gets to the service: it is merged with what others did meanwhile, and sent for
 * exactly that version (If-Match), until the service has taken it, refused it, or the user has to
 * choose. Sent twice it has one effect.
 */
import {ApiError} from "./api.js";
import {plan} from "./operation.js";

const ECHO_TIMEOUT = 2_000;
const MAX_TRIES = 20;

export class Delivery {
  #api;
  #connection;
  #ledger;

  /**
   * @param {import("./api.js").Api} api
   * @param {import("./connection.js").Connection} connection
   * @param {() => import("./ledger.js").Ledger} ledger
   */
  constructor(api, connection, ledger) {
    this.#api = api;
    this.#connection = connection;
    this.#ledger = ledger;
  }

  /**
   * Deliver an operation.
   * @param {import("./operation.js").Operation} operation
   * @returns {Promise<import("./outbox.js").Outcome>}
   */
  async deliver(operation) {
    try {
      await this.#ledger().settled(operation.id);
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const outcome = await this.#try(operation);
        if (outcome !== null) return outcome;
        await this.#refresh(operation.id);
      }
      return refused(new ApiError(412, "others change this task all the time"));
    } catch (error) {
      if (error instanceof ApiError) return refused(error);
      throw error;
    }
  }

  /** Send it for the version that is known; return null where the service has another. */
  async #try(operation) {
    const {task: theirs, revision} = this.#known(operation);
    const next = plan(operation, theirs);
    if (next.step === "nothing") return {state: "done", gone: theirs === null};
    if (next.step === "ask") return {state: "conflict"};
    if (next.step !== "create" && revision === null) return null;
    try {
      const gone = await this.#connection.persist(() => this.#send(operation, revision, next));
      if (gone) return {state: "done", gone};
    } catch (error) {
      const stale = error instanceof ApiError && [404, 412].includes(error.status);
      if (!stale) throw error;
      if (next.step !== "create") return null;
    }
    this.#expect(operation, revision ?? -1);
    return {state: "done"};
  }

  #known(operation) {
    const {task, revision} = this.#ledger().row(operation.id).server;
    const before = operation.kind === "create" ? null : operation.before;
    return revision === null && task === null ? {task: before, revision: operation.revision} : {task, revision};
  }

  /** Send it once; or return true where it got there before, and somebody has deleted the task since. */
  async #send(operation, revision, next) {
    const {id, addedAfter, tried} = operation;
    if (addedAfter !== undefined && tried && await this.#wasDeleted(id, addedAfter)) return true;
    operation.tried = true;
    await this.#request(id, revision, next);
    return false;
  }

  /** Return whether a task was deleted after a revision at which it had never been created. */
  async #wasDeleted(id, since) {
    try {
      const change = await this.#api.latestChange(id, since);
      if (change === null || change.task !== null) return false;
      this.#ledger().learn(id, null, change.revision);
      return true;
    } catch (error) {
      if (error instanceof ApiError) return false;  // such as 410: the service does not know any more
      throw error;
    }
  }

  #request(id, revision, {step, task, patch}) {
    switch (step) {
      case "create": return this.#api.create(id, task);
      case "delete": return this.#api.delete(id, revision);
      default: return this.#api.change(id, revision, patch);
    }
  }

  /** Have the event of what was written awaited, and the task be read where none comes. */
  #expect(operation, after) {
    this.#ledger().expect(operation, after);
    if (this.#ledger().expects(operation)) this.#refreshLater(operation);
  }

  /** Read the task unless its event comes in time; try again after an error, as the outbox waits for it. */
  #refreshLater(operation) {
    setTimeout(() => {
      if (!this.#ledger().expects(operation)) return;
      this.#refresh(operation.id).catch(() => this.#refreshLater(operation));
    }, ECHO_TIMEOUT);
  }

  /** Read the latest version of a task from the service. */
  async #refresh(id) {
    await this.#ledger().refresh(id, () => this.#connection.persist(() => this.#api.find(id)));
  }
}

function refused({status, message}) {
  return {state: "refused", problem: {status, message}};
}
