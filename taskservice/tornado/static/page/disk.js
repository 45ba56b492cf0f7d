/**
 * Where the outbox is kept: IndexedDB, which all tabs of the service share; each operation belongs
 * to the tab that sends it. Where a browser has no IndexedDB, as in some private windows, the
 * operations live in memory, and `persistent` is false.
 */
import {nameHere} from "./place.js";

const DATABASE = nameHere("");
const STORE = "outbox";

export class Disk {
  persistent = true;
  #tab;
  #alive;
  #database;
  #journal;
  #known = new Set();

  /**
   * @param {string} tab this tab's name
   * @param {() => Promise<Set<string>>} alive asks for the names of the tabs that are open
   * @param {import("./journal.js").Journal} journal
   * @param {IDBFactory | undefined} [factory]
   */
  constructor(tab, alive, journal, factory = globalThis.indexedDB) {
    this.#tab = tab;
    this.#journal = journal;
    this.#alive = alive;
    this.#database = this.#open(factory);
  }

  /** Keep an operation at once, until it is added. */
  note(operation) {
    this.#journal.note(operation);
  }

  /** Keep an operation behind all others; its `seq` is its place. */
  async add(operation) {
    operation.tab = this.#tab;
    const seq = await this.#run("readwrite", (store) => store.add(plain(operation)));
    operation.seq = seq ?? null;
    this.#known.add(operation.seq);
    this.#journal.forget(operation);
  }

  /** Keep an operation as it is now. */
  async put(operation) {
    if (operation.seq) await this.#run("readwrite", (store) => store.put(plain(operation)));
  }

  /** Forget an operation. */
  async remove({seq}) {
    if (seq) await this.#run("readwrite", (store) => store.delete(seq));
  }

  /** Return whether an operation is this tab's still, and not done by another. */
  async owns({seq}) {
    if (!seq) return true;
    const kept = await this.#run("readonly", (store) => store.get(seq));
    return !this.persistent || kept?.tab === this.#tab;
  }

  /** Take over the operations of tabs that are gone; return them in order. */
  async adopt() {
    const kept = await this.#run("readonly", (store) => store.getAll()) ?? [];
    if (kept.every(({seq}) => this.#known.has(seq)) && !this.#journal.hasOthers) return [];
    const alive = await this.#alive();
    const left = [];
    await this.#run("readwrite", (store) => {
      const walk = store.openCursor();
      walk.onsuccess = () => {
        const cursor = walk.result;
        if (cursor === null) return;
        const {value} = cursor;
        if (value.tab !== this.#tab && !alive.has(value.tab)) {
          const mine = {...value, tab: this.#tab};
          left.push(mine);
          cursor.update(mine);
        }
        cursor.continue();
      };
      return walk;
    });
    left.forEach(({seq}) => this.#known.add(seq));
    for (const operation of this.#journal.take(alive)) {
      await this.add(operation);
      left.push(operation);
    }
    return left;
  }

  async #open(factory) {
    try {
      const request = factory.open(DATABASE, 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore(STORE, {keyPath: "seq", autoIncrement: true});
      };
      const database = await outcome(request);
      database.onversionchange = () => database.close();
      return database;
    } catch {
      this.persistent = false;
      return null;
    }
  }

  /** Run one transaction; return the result of its request once it is on disk, undefined without one. */
  async #run(mode, work) {
    const database = await this.#database;
    if (database === null) return undefined;
    try {
      const transaction = database.transaction(STORE, mode, {durability: "strict"});
      const request = work(transaction.objectStore(STORE));
      await new Promise((done, fail) => {
        transaction.oncomplete = done;
        transaction.onabort = transaction.onerror = () => fail(transaction.error);
      });
      return request.result;
    } catch {  // the disk is full, or the user has cleared the site's data: memory has it still
      this.persistent = false;
      return undefined;
    }
  }
}

/** Return an operation as it is stored: without a `seq` that it has yet to get. */
function plain(operation) {
  const {seq, ...rest} = operation;
  return seq ? {seq, ...rest} : rest;
}

function outcome(request) {
  return new Promise((done, fail) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => fail(request.error);
    request.onblocked = () => fail(new Error("blocked"));
  });
}
