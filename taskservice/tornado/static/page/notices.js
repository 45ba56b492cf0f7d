/** What the page says: for a while on the screen, and to screen readers. */
import {find, focusList, setText} from "./dom.js";

const SHOWN_MS = 10_000;

export class Notices {
  #announcer = find("#announcer");
  #toast = find("#toast");
  #text = find("#toast-text");
  #button = find("#toast-action");
  #close = find("#toast-close");
  #action = null;
  #timer;
  #undo;

  /** @param {() => void} undo undoes the last thing that the user did */
  constructor(undo) {
    this.#undo = undo;
    this.#button.addEventListener("click", () => this.#act());
    this.#close.addEventListener("click", () => this.close());
    for (const [enter, leave] of [["mouseenter", "mouseleave"], ["focusin", "focusout"]]) {
      this.#toast.addEventListener(enter, () => clearTimeout(this.#timer));
      this.#toast.addEventListener(leave, () => this.#closeLater());
    }
  }

  /** Say something to screen readers. */
  announce(text) {
    // The same text again is said only where it differs: a space that nobody hears.
    setText(this.#announcer, this.#announcer.textContent === text ? `${text}\u00a0` : text);
  }

  /**
   * Say something to everybody, and offer to do something about it.
   * @param {{label: string, hint?: string, run: () => void} | null} [action]
   */
  say(text, action = null) {
    this.#action = action;
    setText(this.#text, text);
    setText(this.#button, action?.label ?? "");
    const focused = document.activeElement === this.#button;
    this.#button.hidden = action === null;
    if (focused && action === null) this.#close.focus();
    this.#toast.hidden = false;
    this.announce(action?.hint ? `${text} ${action.label}: ${action.hint}` : text);
    this.#closeLater();
  }

  /** Say what the user did, and offer to undo it. */
  undoable(text) {
    this.say(text, {label: "Undo", hint: "Control Z", run: this.#undo});
  }

  close() {
    clearTimeout(this.#timer);
    const focused = this.#toast.contains(document.activeElement);
    this.#toast.hidden = true;
    this.#action = null;
    if (focused) focusList();
  }

  #closeLater() {
    clearTimeout(this.#timer);
    if (this.#toast.matches(":hover, :focus-within")) return;  // once that ends it is closed later
    this.#timer = setTimeout(() => this.close(), SHOWN_MS);
  }

  #act() {
    const action = this.#action;
    this.close();
    action?.run();
  }
}
