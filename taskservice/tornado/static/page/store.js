/**
 * The list: the tasks of the service, as far as they were read, with this page's own changes shown at
 * once. First come the rows of a query, as the service pages them; then all tasks, so that counts
 * are known, and filters and searches work without the service.
 */
import {ApiError} from "./api.js";
import {revisionBefore} from "./ids.js";
import {Ledger} from "./ledger.js";
import {ListedRows} from "./listed-rows.js";
import {operation} from "./operation.js";

const PAGE = 200;
const MAX_PAGE = 1_000;

/** How many tasks are kept that are not shown. */
const MAX_KEPT = 20_000;

/**
 * A "change" event says that there is something else to show; a "load" event, that a list is read.
 */
export class TaskStore extends EventTarget {
  /** "loading" until the list that was asked for is there, then "ready"; or "failed", with why. */
  phase = "loading";
  reason = "";

  /** Whether the rows are what this page has in memory, as the service is away. */
  local = false;

  /** Whether the service has no task at all, as far as it was asked. */
  isBlank = false;

  /** Whether all tasks are known. */
  whole = false;

  #wanted = null;
  #api;
  #connection;
  #outbox;
  #ledger;
  #listed = new ListedRows();
  #next = null;
  #loading = new AbortController();
  #reading = 0;
  #readingAll = null;

  /**
   * @param {import("./api.js").Api} api
   * @param {import("./connection.js").Connection} connection
   * @param {import("./outbox.js").Outbox} outbox
   */
  constructor(api, connection, outbox) {
    super();
    this.#api = api;
    this.#connection = connection;
    this.#outbox = outbox;
    this.#ledger = new Ledger(outbox, (rows) => {
      if (this.query) rows.forEach((row) => this.#listed.place(row));
      this.#showLocally();
      this.#changed();
    });
    connection.addEventListener("state", () => this.#showLocally());
  }

  /** The rows that are shown, in order. */
  get rows() {
    return this.#listed.rows;
  }

  /** Whether these are all that match. */
  get complete() {
    return this.#listed.complete;
  }

  /** The query of the rows; null until one was asked for. */
  get query() {
    return this.#listed.query;
  }

  get ledger() {
    return this.#ledger;
  }

  /** How many writes the service has yet to confirm. */
  get unsaved() {
    return this.#outbox.waiting;
  }

  /** How many writes the service refused, or others interfered with. */
  get refused() {
    return this.#outbox.operations.filter(({state}) => state !== "waiting").length;
  }

  // --- Reading ---------------------------------------------------------------------------------

  /** Follow the changes, from now on. */
  follow() {
    this.#connection.follow({
      change: (change) => this.#hear(change), reset: () => this.#readAgain()});
  }

  /** Show the list of a query. @param {import("./query.js").TaskQuery} query */
  async load(query = this.#wanted) {
    this.#wanted = query;
    this.#listed.query ??= query;
    this.phase = "loading";
    this.#showLocally();
    this.#changed();
    await this.#connection.located();
    if (this.#wanted !== query) return;
    const read = await this.#orFail(() => this.#read(PAGE));
    if (this.phase === "failed") this.#drop();
    if (read) this.#readAll();
  }

  /** Read the next page, where there is one. */
  async more() {
    if (this.#next === null || this.#reading || this.phase !== "ready") return;
    const {signal} = this.#loading;
    await this.#orFail(() => this.#whileReading(signal, async () => {
      this.#append(await this.#page(this.#next, signal));
    }));
  }

  /** Read the list from its beginning; return whether it is there, and no other was asked for. */
  async #read(count) {
    this.#loading.abort();
    this.#loading = new AbortController();
    const {signal} = this.#loading;
    const [query, limit] = [this.#wanted, Math.min(count, MAX_PAGE)];
    return this.#whileReading(signal, async () => {
      const pages = [await this.#page(`tasks?${query.parameters(limit)}`, signal)];
      while (pages.at(-1).next !== null && pages.length * limit < count) {
        pages.push(await this.#page(pages.at(-1).next, signal));
      }
      const blank = !pages[0].entries.length
        && !(await this.#page("tasks?limit=1", signal)).entries.length;
      this.isBlank = blank && [...this.#ledger.rows.values()].every((row) => row.task === null);
      [this.local, query.isLocal] = [false, false];
      this.#listed.clear(query);
      pages.forEach((page) => this.#append(page));
      if (this.whole) this.#fill();
      this.phase = "ready";
      this.dispatchEvent(new Event("load"));
      return true;
    });
  }

  /**
   * Read again as much as there was: the changes in between are not kept any more. A task that
   * is shown keeps its row, which the user may be about to change.
   */
  async #readAgain() {
    this.whole = false;
    this.#readingAll?.abort();
    this.#readingAll = null;
    this.#ledger.doubt();
    this.#ledger.forget((row) => row.placed);
    if (!await this.#orFail(() => this.#read(Math.max(PAGE, this.rows.length)))) return;
    await this.#readAll();
    await this.check();
  }

  /** Read the tasks that are needed, where no list has said whether they are there still. */
  async check() {
    await this.#ledger.check((id) => this.#connection.persist(() => this.#api.find(id))).catch(passOver);
  }

  /** Read all tasks, a page at a time, so that what is shown can be counted and searched here. */
  async #readAll() {
    if (this.whole || this.#readingAll !== null) return;
    const reading = new AbortController();
    this.#readingAll = reading;
    await this.#whileReading(reading.signal, () => this.#readPages(reading.signal)).catch(passOver);
    if (this.#readingAll === reading) this.#readingAll = null;
  }

  async #readPages(signal) {
    let next = `tasks?limit=${MAX_PAGE}`;
    let first = null;
    const ids = new Set();
    for (let read = 0; next !== null && read < MAX_KEPT; read += MAX_PAGE) {
      const page = await this.#page(next, signal);
      first ??= page;
      for (const {id, revision, task} of page.entries) {
        ids.add(id);
        this.#ledger.learn(id, task, revision);
      }
      ({next} = page);
    }
    this.whole = next === null;
    if (this.whole) this.#ledger.learnAll(ids, first.since);
    if (this.whole && this.phase === "ready") this.#fill();
  }

  async #whileReading(signal, read) {
    this.#reading++;
    try {
      return await read();
    } catch (error) {
      if (!signal.aborted) throw error;
      return false;
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
      return false;
    }
  }

  async #page(url, signal) {
    let since;
    const page = await this.#connection.persist(() => {
      since = this.#connection.position ?? -1;
      return this.#api.list(url, signal);
    }, signal);
    return {...page, since};
  }

  /** Show no row of another list, but those that stay whatever is listed. */
  #drop() {
    this.#listed.drop();
    [this.#next, this.local] = [null, false];
    this.#forget();
    this.#changed();
  }

  #append({entries, next, since}) {
    this.#next = next;
    this.#listed.complete = next === null;
    if (entries.length) this.#listed.end = entries.at(-1);
    for (const {id, revision, task} of entries) this.#learn(id, task, revision);
    for (const row of this.#ledger.rows.values()) {
      // What the page is too old to have, or not the service's yet.
      if (row.operations.length || row.holds || row.server.revision > since) this.#listed.place(row);
    }
  }

  /** Show all that match among the tasks that are known. */
  #fill() {
    this.#listed.fill(this.#ledger.rows.values());
    this.#next = null;
  }

  /** Show what is known while the service is away: what was asked for may take its time. */
  #showLocally() {
    const known = this.whole || this.#ledger.rows.size > 0;
    if (this.phase !== "loading" || this.#connection.state !== "away" || !known) return;
    this.#listed.query = this.#wanted;
    this.#fill();
    [this.phase, this.local] = ["ready", true];
    this.dispatchEvent(new Event("load"));
    this.#changed();
  }

  /** Forget what is not shown, where there is too much of it, and what is no more. */
  #forget() {
    if (this.#reading) return;  // a page on its way may be older than what is known by then
    const {rows} = this.#ledger;
    if (rows.size > MAX_KEPT) this.whole = false;
    const all = this.whole || this.local || rows.size <= PAGE;
    this.#ledger.forget((row) => row.placed || (all && row.server.task !== null));
  }

  // --- What others do --------------------------------------------------------------------------

  /** Take in a change from the stream. */
  #hear({id, task, revision}) {
    const row = this.#learn(id, task, revision);
    if (!this.#reading && !row.placed && (!this.whole || row.task === null)) this.#ledger.forget(() => false, [row]);
    this.#changed();
  }

  #learn(id, task, revision) {
    const known = this.#ledger.rows.has(id);
    const news = this.#ledger.learn(id, task, revision);
    const row = this.#ledger.rows.get(id);
    if (task !== null) this.isBlank = false;
    const own = row.operations.length > 0;
    if (news && known && row.placed && !own) row.news = true;
    this.#listed.place(row);
    if (!known && this.phase === "ready" && !this.#reading && !own) row.news = true;
    return row;
  }

  // --- What the user does ----------------------------------------------------------------------

  /** Return a task as it is shown; undefined where nothing is known of it. */
  task(id) {
    return this.#ledger.rows.get(id)?.task;
  }

  /** Return the row of a task, from what was known of it where it is not known now. */
  row(id, task = null, revision = null) {
    return this.#ledger.row(id, task, revision);
  }

  /** Add a task, under an id that none has had. */
  add(id, task) {
    const addedAfter = this.#connection.position ?? revisionBefore(id);
    this.#outbox.add({...operation(id, null, task), addedAfter});
  }

  /**
   * Make a task another, or none (null).
   * @param {object | null} seen what the user saw of it when deciding so
   */
  write(id, task, seen) {
    const row = this.#ledger.row(id, seen);
    this.#outbox.add(operation(id, seen, task, row.server.revision));
    return row;
  }

  /** Leave a row where it is until it is released. */
  hold(row) {
    row.holds++;
    this.#ledger.rows.set(row.id, row);
  }

  /** Have a row go where it belongs by now. */
  release(row) {
    row.holds--;
    this.show(row);
  }

  /** Show a row that is held, whatever is listed. */
  show(row) {
    this.#listed.place(row);
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** Pass over what the service refused: what is known is shown. */
function passOver(error) {
  if (!(error instanceof ApiError)) throw error;
}
