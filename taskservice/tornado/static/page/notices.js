/** What the page tells: for a while on the screen, and to screen readers. */
import {find, setText, takesText} from "./dom.js";

const SHOWN_FOR = 10_000;

export class Notices {
  #announcer = find("#announcer");
  #toast = find("#toast");
  #text = find("#toast-text");
  #button = find("#toast-action");
  #action = null;
  #timer;

  constructor() {
    this.#button.addEventListener("click", () => this.#act());
    find("#toast-close").addEventListener("click", () => this.close());
    for (const [enter, leave] of [["mouseenter", "mouseleave"], ["focusin", "focusout"]]) {
      this.#toast.addEventListener(enter, () => clearTimeout(this.#timer));
      this.#toast.addEventListener(leave, () => this.#closeLater());
    }
    addEventListener("keydown", (event) => this.#key(event));
  }

  /** Tell a screen reader. */
  announce(text) {
    // The same text again is told only where it differs: a space that nobody hears.
    setText(this.#announcer, this.#announcer.textContent === text ? `${text}\u00a0` : text);
  }

  /**
   * Tell everybody, and offer to do something about it.
   * @param {{label: string, run: () => void} | null} [action] Ctrl+Z does it, too, if it is an Undo
   */
  tell(text, action = null, tone = "") {
    this.#action = action;
    this.#toast.dataset.tone = tone;
    setText(this.#text, text);
    setText(this.#button, action?.label ?? "");
    this.#button.hidden = action === null;
    this.#toast.hidden = false;
    this.announce(action === null ? text : `${text} ${action.label}: ${hint(action)}`);
    this.#closeLater();
  }

  close() {
    clearTimeout(this.#timer);
    const focused = this.#toast.contains(document.activeElement);
    this.#toast.hidden = true;
    this.#action = null;
    if (focused) find("#new-title").focus();
  }

  #closeLater() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.close(), SHOWN_FOR);
  }

  #act() {
    const action = this.#action;
    this.close();
    action?.run();
  }

  #key(event) {
    const undo = event.key === "z" && (event.ctrlKey || event.metaKey);
    if (!undo || this.#action?.label !== "Undo" || hasText(event.target)) return;
    event.preventDefault();
    this.#act();
  }
}

/** Tell whether there is typing that Ctrl+Z could take back. */
function hasText(element) {
  return takesText(element) && element.value !== "";
}

function hint({label}) {
  return label === "Undo" ? "Control Z" : "the button at the end of the page";
}
