/** The controls for which tasks are shown; the address bar has what they say. */
import {find} from "./dom.js";
import {FIRST_CHOICES, choicesFrom, searchOf} from "./query.js";

const TYPING = 200;

export class Filters {
  choices = choicesFrom(location.search);
  #form = find("#filters");
  #changed;
  #timer;

  /** @param {() => void} changed */
  constructor(changed) {
    this.#changed = changed;
    this.#show();
    this.#form.addEventListener("submit", (event) => { event.preventDefault(); this.#read(); });
    document.addEventListener("change", ({target}) => {  // some controls stand outside of their form
      if (target.form === this.#form) this.#read();
    });
    find("#search").addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#read(), TYPING);
    });
    addEventListener("popstate", () => {
      this.choices = choicesFrom(location.search);
      this.#show();
      changed();
    });
  }

  /** Have everything shown that is of the same kind: to do, done, all. */
  clear() {
    this.choices = {...FIRST_CHOICES, show: this.choices.show, sort: this.choices.sort};
    this.#show();
    this.#apply();
  }

  #read() {
    clearTimeout(this.#timer);
    const before = searchOf(this.choices);
    for (const name of Object.keys(this.choices)) {
      this.choices[name] = this.#form.elements.namedItem(name).value;
    }
    if (searchOf(this.choices) !== before) this.#apply();
  }

  #apply() {
    history.replaceState(null, "", location.pathname + searchOf(this.choices));
    this.#changed();
  }

  #show() {
    for (const [name, value] of Object.entries(this.choices)) {
      this.#form.elements.namedItem(name).value = value;
    }
  }
}
