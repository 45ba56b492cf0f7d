/**
 * What was done and is not in IndexedDB yet: that takes a moment, in which a page may be reloaded or
 * closed. localStorage keeps it at once, and is empty again a moment later.
 */
import {nameHere} from "./place.js";

const PREFIX = nameHere(".journal.");
const DIGITS = 12;

export class Journal {
  #storage;
  #tab;
  #count = 0;
  #keys = new WeakMap();

  /**
   * @param {string} tab this tab's name
   * @param {Storage | undefined} storage
   */
  constructor(tab, storage) {
    this.#tab = tab;
    this.#storage = storage;
  }

  /** Keep an operation, before anything else happens. */
  note(operation) {
    const key = `${PREFIX}${this.#tab}.${String(++this.#count).padStart(DIGITS, "0")}`;
    try {
      this.#storage?.setItem(key, JSON.stringify(operation));
      this.#keys.set(operation, key);
    } catch {
      // The storage is full, or there is none: IndexedDB keeps it a moment later.
    }
  }

  /** Forget an operation that is kept elsewhere by now. */
  forget(operation) {
    const key = this.#keys.get(operation);
    if (key) this.#storage.removeItem(key);
  }

  /** Whether tabs have left something, this one apart. */
  get hasOthers() {
    return this.#others().length > 0;
  }

  /** Take what tabs that are gone have left, in order. @param {Set<string>} alive */
  take(alive) {
    const left = this.#others().filter((key) => !alive.has(tabOf(key))).sort();
    return left.map((key) => {
      const operation = JSON.parse(this.#storage.getItem(key));
      this.#keys.set(operation, key);
      return operation;
    });
  }

  #others() {
    const {length = 0} = this.#storage ?? {};
    return Array.from({length}, (_, index) => this.#storage.key(index))
      .filter((key) => key.startsWith(PREFIX) && tabOf(key) !== this.#tab);
  }
}

function tabOf(key) {
  return key.slice(PREFIX.length).split(".")[0];
}
