/** Single keys, and the overlay that lists them and turns them off (WCAG 2.1.4). */
import {dayValue, secondsOf, startOfDay} from "./dates.js";
import {find, takesText} from "./dom.js";
import {nameHere} from "./place.js";

const KEY = nameHere(".single-keys");
const PRIORITIES = {1: "urgent", 2: "high", 3: "normal", 4: "low"};

export class Shortcuts {
  #overlay = find("#shortcuts");
  #switch = find("#single-keys");
  #user;

  /**
   * @param {Record<"add" | "search" | "undo" | "first", () => void>
   *         & Record<"edit" | "remove", () => boolean>
   *         & {change: (patch: object) => boolean}} user what keys do; those on the row that has
   *   the focus, or on those that are chosen, return whether there is one
   */
  constructor(user) {
    this.#user = user;
    this.#switch.checked = this.#on;
    this.#switch.addEventListener("change", () => this.#remember(this.#switch.checked));
    addEventListener("keydown", (event) => {
      if (this.#isOurs(event) && this.#key(event)) event.preventDefault();
    });
  }

  /** Show which keys there are. */
  show() {
    if (!this.#overlay.open) this.#overlay.showModal();
  }

  get #on() {
    try {
      return localStorage.getItem(KEY) !== "off";
    } catch {
      return true;
    }
  }

  #remember(on) {
    try {
      if (on) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, "off");
    } catch {
      // Without storage it holds as long as the page does.
    }
  }

  #isOurs({defaultPrevented, ctrlKey, metaKey, altKey, repeat, isComposing, target, key}) {
    if (defaultPrevented || ctrlKey || metaKey || altKey || isComposing) return false;
    if (takesText(target) || document.querySelector("dialog[open]")) return false;
    if (repeat && !key.startsWith("Arrow")) return false;
    return key.length > 1 || this.#switch.checked;
  }

  /** Do what a key asks for; return whether it was anything. */
  #key({key}) {
    const user = this.#user;
    switch (key) {
      case "?": this.show(); return true;
      case "n": user.add(); return true;
      case "/": user.search(); return true;
      case "z": user.undo(); return true;
      case "ArrowDown": return user.first();
      case "e": return user.edit();
      case "d": return user.remove();
      case "t": return user.change({due_date: secondsOf(dayValue(startOfDay(new Date())))});
      default: return key in PRIORITIES && user.change({priority: PRIORITIES[key]});
    }
  }
}
