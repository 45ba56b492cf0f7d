/**
 * The list: what the service has, as far as it was read, with this page's own changes shown at
 * once and sent behind. Each write is for the version that the user saw (If-Match); where somebody
 * else was faster, the user chooses.
 */
import {ApiError} from "./api.js";
import {Row, Version} from "./row.js";
import {difference, patched, same} from "./task.js";

const PAGE = 200;
const LARGEST_PAGE = 1000;

/** How the id of a task begins until the service gives it one: it sorts after all of those. */
const TEMPORARY = "~";

/**
 * @typedef {{mine: object | null, theirs: object | null}} Conflict
 * @typedef {(conflict: Conflict) => Promise<"mine" | "theirs">} Choose
 * @typedef {(error: Error, row: Row, again: () => void) => void} Report
 *
 * A "change" event tells that there is something else to show; a "load" event, that a list is read.
 */
export class TaskStore extends EventTarget {
  /** The rows that are shown, in order. */
  rows = [];

  /** Whether these are all that match. */
  complete = false;

  /** "loading" until the list that was asked for is there, then "ready"; or "failed", with why. */
  phase = "loading";
  reason = "";

  /** How many writes the service has yet to confirm. */
  unsaved = 0;

  /** The query of the rows. */
  query = null;
  #wanted = null;
  #api;
  #connection;
  #choose;
  #report;
  #known = new Map();
  #creating = new Set();
  #created = 0;
  #held = [];
  #next = null;
  #end = null;
  #loading = new AbortController();
  #reading = 0;
  #following = false;

  /**
   * @param {import("./api.js").Api} api
   * @param {import("./connection.js").Connection} connection
   * @param {{choose: Choose, report: Report}} user
   */
  constructor(api, connection, {choose, report}) {
    super();
    this.#api = api;
    this.#connection = connection;
    this.#choose = choose;
    this.#report = report;
  }

  // --- Reading ---------------------------------------------------------------------------------

  /** Show the list of a query. @param {import("./query.js").TaskQuery} query */
  async load(query = this.#wanted) {
    this.#wanted = query;
    this.query ??= query;
    this.phase = "loading";
    this.#changed();
    const revision = await this.#orFail(() => this.#read(PAGE));
    if (revision !== null && !this.#following) {
      this.#following = true;
      this.#connection.follow(revision, {
        change: (change) => this.#hear(change), expired: () => this.#readAgain()});
    }
  }

  /** Read the next page, where there is one. */
  async more() {
    if (this.#next === null || this.#reading || this.phase !== "ready") return;
    const {signal} = this.#loading;
    await this.#orFail(() => this.#whileReading(signal, async () => {
      this.#append(await this.#page(this.#next, signal));
    }));
  }

  /** Read the list from its beginning; return its revision, or null where another was asked for. */
  async #read(count) {
    this.#loading.abort();
    this.#loading = new AbortController();
    const {signal} = this.#loading;
    const [query, limit] = [this.#wanted, Math.min(count, LARGEST_PAGE)];
    return this.#whileReading(signal, async () => {
      const pages = [await this.#page(`/tasks?${query.parameters(limit)}`, signal)];
      while (pages.at(-1).next !== null && pages.length * limit < count) {
        pages.push(await this.#page(pages.at(-1).next, signal));
      }
      this.#clear();
      this.query = query;
      pages.forEach((page) => this.#append(page));
      this.phase = "ready";
      this.dispatchEvent(new Event("load"));
      return pages[0].revision;
    });
  }

  /** Read again as much as there was: what happened in between cannot be told any more. */
  async #readAgain() {
    const kept = [...this.#known].filter(([, row]) => row.pending || row.holds);
    this.#known = new Map(kept);
    for (;;) {
      const revision = await this.#read(Math.max(PAGE, this.rows.length));
      if (revision !== null) return revision;
    }
  }

  async #whileReading(signal, read) {
    this.#reading++;
    try {
      return await read();
    } catch (error) {
      if (!signal.aborted) throw error;
      return null;
    } finally {
      this.#reading--;
      this.#forget();
      this.#changed();
    }
  }

  async #orFail(read) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      [this.phase, this.reason] = ["failed", error.message];
      this.#changed();
      return null;
    }
  }

  #page(url, signal) {
    return this.#connection.persist(() => this.#api.list(url, signal), signal);
  }

  #clear() {
    this.rows.forEach((row) => { row.placed = false; });
    this.rows = [];
    this.#end = null;
  }

  #append({entries, next, revision: read}) {
    this.#next = next;
    this.complete = next === null;
    if (entries.length) this.#end = entries.at(-1);
    for (const {id, revision, task} of entries) this.#learn(id, task, revision);
    for (const row of [...this.#creating, ...this.#known.values()]) {
      // What the page is too old to have.
      if (row.pending || row.holds || row.server.revision > read) this.#place(row);
    }
  }

  /** Forget what is not shown: the stream tells of it when it has to be. */
  #forget() {
    if (this.#reading) return;  // a page on its way may be older than what is known by then
    for (const [id, row] of this.#known) {
      if (!row.placed && !row.pending && !row.holds) this.#known.delete(id);
    }
  }

  // --- What others do --------------------------------------------------------------------------

  /** Take in a change from the stream. */
  #hear(change) {
    if (this.#creating.size && !this.#known.has(change.id)) {
      this.#held.push(change);  // it may be one that we are creating, whose id is on its way
      return;
    }
    const row = this.#learn(change.id, change.task, change.revision);
    if (!row.placed && !row.pending && !row.holds && !this.#reading) this.#known.delete(row.id);
    this.#changed();
  }

  #hearHeld() {
    const held = this.#held;
    this.#held = [];
    held.forEach((change) => this.#hear(change));
  }

  #learn(id, task, revision) {
    const known = this.#known.get(id);
    const row = known ?? new Row(id, new Version(task, revision));
    this.#known.set(id, row);
    const news = known !== undefined && row.learn(task, revision);
    if (!row.pending) row.settle();
    if (news && row.placed && !row.pending) row.news = true;
    this.#place(row);
    if (known === undefined && this.phase === "ready" && !this.#reading) row.news = true;
    return row;
  }

  // --- What the user does ----------------------------------------------------------------------

  /** Create a task; return its row, which is shown at once where it belongs in the list. */
  create(task) {
    const id = TEMPORARY + String(++this.#created).padStart(12, "0");
    const row = new Row(id, new Version(task, null));
    this.#creating.add(row);
    this.#send(row, () => this.#deliverNew(row, row.version));
    return row;
  }

  /**
   * Make a row's task another, or none (null).
   * @param {Version} [seen] what the user saw when deciding so
   */
  write(row, task, seen = row.version) {
    const patch = seen.task && task && difference(seen.task, task);
    const now = row.version.task;
    const version = new Version(patch && now ? patched(now, patch) : task, null);
    row.version = version;
    if (!this.#creating.has(row)) this.#known.set(row.id, row);
    this.#send(row, () => this.#deliver(row, seen, version, patch));
  }

  /** Leave a row where it is until it is released. */
  hold(row) {
    row.holds++;
  }

  /** Have a row go where it belongs by now. */
  release(row) {
    row.holds--;
    this.#place(row);
    this.#changed();
  }

  #send(row, deliver) {
    row.pending++;
    this.unsaved++;
    this.#place(row);
    this.#changed();
    row.queue = row.queue.then(deliver).finally(() => {
      row.pending--;
      this.unsaved--;
      if (!row.pending) row.settle();
      this.#place(row);
      this.#changed();
    });
  }

  async #deliverNew(row, version) {
    const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
    const {task} = version;
    try {
      const entry = await this.#connection.persist(() => this.#api.create(task, key));
      this.#name(row, entry.id);
      this.#confirm(row, version, entry);
    } catch (error) {
      this.#giveUp(row, version, new Version(null, 0), error, () => this.create(task));
    } finally {
      this.#creating.delete(row);
      this.#hearHeld();
    }
  }

  /** Give a row the id of its task, which a list that was read meanwhile may have, too. */
  #name(row, id) {
    const other = this.#known.get(id);
    if (other?.placed) this.rows.splice(this.rows.indexOf(other), 1);
    row.id = id;
    row.server = other?.server ?? row.server;
    this.#known.set(id, row);
  }

  async #deliver(row, seen, version, patch) {
    let base = seen.latest;
    if (row.id.startsWith(TEMPORARY)) {  // it could not be created, which the user was told
      version.replacedBy = row.server;
      return;
    }
    try {
      for (;;) {
        const done = await this.#try(row, base, version, patch);
        if (done !== null) {
          this.#confirm(row, version, done);
          return;
        }
        const theirs = await this.#connection.persist(() => this.#api.read(row.id));
        base = new Version(theirs?.task ?? null, theirs?.revision ?? base.revision);
        if (theirs !== null) row.learn(theirs.task, theirs.revision);
        if (same(base.task, version.task)) {  // ours it was: only its answer was lost
          this.#confirm(row, version, {id: row.id, ...base});
          return;
        }
        const mine = patch && base.task ? patched(base.task, patch) : version.task;
        if (await this.#choose({mine, theirs: base.task}) === "theirs") {
          version.replacedBy = base;
          row.learn(base.task, base.revision);
          return;
        }
        version.task = mine;
      }
    } catch (error) {
      const {task} = version;
      this.#giveUp(row, version, row.server, error, () => this.write(row, task));
    }
  }

  /** Send a write for one version; return the entry it made, null if that was not the last. */
  async #try(row, base, version, patch) {
    try {
      return await this.#connection.persist(() => this.#request(row.id, base, version.task, patch));
    } catch (error) {
      if (error instanceof ApiError && (error.status === 412 || error.status === 404)) return null;
      throw error;
    }
  }

  async #request(id, base, task, patch) {
    if (task !== null) {
      return base.task === null
        ? this.#api.createAs(id, task)
        : this.#api.change(id, base.revision, patch ?? difference(base.task, task));
    }
    if (base.task !== null) await this.#api.delete(id, base.revision);
    return {id, revision: base.revision, task: null};
  }

  #confirm(row, version, {task, revision}) {
    version.task = task;
    version.revision = revision;
    if (row.server.revision === null || revision >= row.server.revision) row.server = version;
  }

  #giveUp(row, version, instead, error, again) {
    version.replacedBy = instead;
    row.server = instead;
    this.#report(error, row, again);
  }

  // --- The order -------------------------------------------------------------------------------

  /** Put a row where it belongs; out of the list, if that is nowhere or has not been read yet. */
  #place(row) {
    if (row.holds && row.placed) return;
    if (row.placed) this.rows.splice(this.rows.indexOf(row), 1);
    row.placed = row.task !== null && this.query.matches(row.task) && this.#isRead(row.place);
    if (row.placed) this.rows.splice(this.#position(row.place), 0, row);
  }

  #isRead(place) {
    return this.complete || (this.#end !== null && this.query.compare(place, this.#end) <= 0);
  }

  /** Return where in the rows a place is. */
  #position(place) {
    let [low, high] = [0, this.rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.query.compare(this.rows[middle].place, place) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
