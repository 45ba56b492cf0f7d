/**
 * What was typed and not saved yet, kept for this tab over a reload: the composer's under its own
 * name, an editor's under its task's id.
 */
import {nameHere} from "./place.js";

const PREFIX = nameHere(".draft.");
export const COMPOSER = "composer";

export class Drafts {
  #storage;

  /** @param {Storage} storage the tab's, such as sessionStorage */
  constructor(storage) {
    this.#storage = storage;
  }

  /** Return a draft; null where there is none. */
  get(name) {
    try {
      return JSON.parse(this.#storage.getItem(PREFIX + name));
    } catch {
      return null;
    }
  }

  /** Keep a draft; null forgets it. */
  set(name, draft) {
    try {
      if (draft === null) this.#storage.removeItem(PREFIX + name);
      else this.#storage.setItem(PREFIX + name, JSON.stringify(draft));
    } catch {
      // The tab's storage is full: the draft lives as long as the page does.
    }
  }

  /** Return the ids of the tasks whose editors have drafts. */
  get tasks() {
    return this.names.filter((name) => name !== COMPOSER);
  }

  get names() {
    return Array.from({length: this.#storage.length}, (_, index) => this.#storage.key(index))
      .filter((key) => key.startsWith(PREFIX)).map((key) => key.slice(PREFIX.length));
  }
}
