/** The token that the service may want. It is kept for this tab, until it is closed. */
import {find, isTyping} from "./dom.js";
import {nameHere} from "./place.js";

const KEY = nameHere(".token");

export class Access {
  #dialog = find("#token-dialog");
  #form = find("#token-form");
  #field = find("#token");
  #problem = find("#token-problem");
  #asking = null;

  /** How often a token was asked for. */
  asked = 0;

  /** Called where a token is needed in the middle of typing, with what asks for it at once. */
  ontyping = () => {};

  constructor() {
    this.token = sessionStorage.getItem(KEY);
    this.#dialog.addEventListener("cancel", (event) => event.preventDefault());
  }

  /** Return the header fields with the token. */
  get headers() {
    return this.token === null ? {} : {Authorization: `Bearer ${this.token}`};
  }

  /**
   * Ask for a token in place of one that was refused, once for all that wait for it.
   * @param {number} asked what it was when the refused token was sent
   */
  async renew(asked) {
    if (this.asked !== asked) return;  // another was given since, or the same again
    this.#asking ??= this.#ask(this.token !== null).finally(() => { this.#asking = null; });
    await this.#asking;
  }

  /** Ask for another token, as it may be one that reads only. */
  async change() {
    await this.renew(this.asked);
  }

  async #ask(refused) {
    if (isTyping()) await this.#untilNobodyTypes();
    this.#problem.hidden = !refused;
    this.#field.setAttribute("aria-invalid", String(refused));
    this.#form.reset();
    while (!this.#dialog.returnValue) {  // browsers close a dialog at a second Escape in any case
      if (!this.#dialog.open) this.#dialog.showModal();
      await new Promise((done) => this.#dialog.addEventListener("close", done, {once: true}));
    }
    this.#dialog.returnValue = "";
    this.token = this.#field.value.trim();
    this.asked++;
    this.#form.reset();
    sessionStorage.setItem(KEY, this.token);
  }

  /** Wait until the focus has left what takes keys, or the user wants to be asked. */
  async #untilNobodyTypes() {
    const listening = new AbortController();
    await new Promise((done) => {
      this.ontyping(done);
      const check = () => { if (!isTyping()) done(); };
      const options = {signal: listening.signal};
      addEventListener("focusin", check, options);
      addEventListener("focusout", () => setTimeout(check), options);  // the next has the focus by then
    });
    listening.abort();
  }
}
