/** The token that the service may want. It is kept for this tab, until it is closed. */
import {find} from "./dom.js";

const KEY = "taskservice.token";

export class Access {
  #dialog = find("#token-dialog");
  #form = find("#token-form");
  #field = find("#token");
  #problem = find("#token-problem");
  #asking = null;

  constructor() {
    this.token = sessionStorage.getItem(KEY);
    this.#dialog.addEventListener("cancel", (event) => event.preventDefault());
  }

  /** Return the header fields that say who is asking. */
  get headers() {
    return this.token === null ? {} : {Authorization: `Bearer ${this.token}`};
  }

  /** Ask for a token in place of one that was refused, once for all that wait for it. */
  async renew(refused) {
    if (this.token !== refused) return;
    this.#asking ??= this.#ask(refused !== null).finally(() => { this.#asking = null; });
    await this.#asking;
  }

  /** Ask for another token, as it may be one that reads only. */
  async change() {
    await this.renew(this.token);
  }

  async #ask(refused) {
    this.#problem.hidden = !refused;
    this.#field.setAttribute("aria-invalid", String(refused));
    this.#form.reset();
    while (!this.#dialog.returnValue) {  // browsers close a dialog at a second Escape in any case
      if (!this.#dialog.open) this.#dialog.showModal();
      await new Promise((done) => this.#dialog.addEventListener("close", done, {once: true}));
    }
    this.#dialog.returnValue = "";
    this.token = this.#field.value.trim();
    this.#form.reset();
    sessionStorage.setItem(KEY, this.token);
  }
}
