/** The controls for which tasks are shown: views, filters with their chips, the search, the sort. */
import {copyOf, find, make, setAttribute, setText} from "./dom.js";
import {choicesOf, isNarrow} from "./query.js";

const TYPING = 200;
const FILTERS = ["priority", "due"];
const DONE_TOO = {todo: "all", all: "todo"};

export class Filters {
  #form = find("#filters");
  #panel = find("#filter-panel");
  #button = find("#filter-button");
  #withDone = find("#with-done");
  #active = find("#active");
  #links = [...document.querySelectorAll("[data-view]")];
  #address;
  #timer;

  /** @param {import("./address.js").Address} address */
  constructor(address) {
    this.#address = address;
    address.addEventListener("change", () => this.#show());
    this.#show();
    this.#form.addEventListener("submit", (event) => { event.preventDefault(); this.#read(); });
    document.addEventListener("change", ({target}) => {  // some controls stand outside of their form
      if (target.form === this.#form) this.#read();
    });
    find("#search").addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#read(), TYPING);
    });
    this.#withDone.addEventListener("change", () => this.#address.go(DONE_TOO[this.#address.choices.show] ?? "todo"));
    this.#button.addEventListener("click", () => this.#open(this.#panel.hidden));
    this.#panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { this.#open(false); this.#button.focus(); }
    });
    this.#active.addEventListener("click", ({target}) => this.#remove(target.closest("button")));
    for (const link of this.#links) link.addEventListener("click", (event) => this.#follow(event, link));
  }

  /** Show everything of the view. */
  clear() {
    const {q, priority, due} = choicesOf(this.#address.choices.show);
    this.#address.set({q, priority, due});
  }

  /** Show how many tasks each view has. @param {Record<string, string>} counts in words */
  showCounts(counts) {
    for (const link of this.#links) {
      const number = find(".number", link);
      const text = counts[link.dataset.view] ?? "";
      setText(number, text && ` ${text}`);
      number.hidden = text === "";
    }
  }

  #follow(event, link) {
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    this.#address.go(link.dataset.view);
  }

  #open(open) {
    this.#panel.hidden = !open;
    this.#button.setAttribute("aria-expanded", String(open));
    if (open) find("select", this.#panel).focus();
  }

  #read() {
    clearTimeout(this.#timer);
    const values = ["q", "sort", ...FILTERS].map((name) => [name, this.#control(name).value]);
    this.#address.set(Object.fromEntries(values));
  }

  #show() {
    const {choices} = this.#address;
    for (const name of ["q", "sort", ...FILTERS]) {
      const control = this.#control(name);
      if (control.value !== choices[name]) control.value = choices[name];
    }
    const withDone = choices.show === "all";
    this.#withDone.checked = withDone;
    this.#withDone.parentElement.hidden = !(choices.show in DONE_TOO);
    const view = withDone ? "todo" : choices.show;
    for (const link of this.#links) setAttribute(link, "aria-current", link.dataset.view === view ? "page" : null);
    const active = FILTERS.filter((name) => choices[name] !== "").map((name) => {
      const {selectedOptions: [option]} = this.#control(name);
      return this.#chip(name, option.textContent);
    });
    if (withDone) active.push(this.#chip("done", "Done ones, too"));
    this.#active.replaceChildren(...active);
    this.#active.hidden = !active.length;
    this.#button.classList.toggle("on", isNarrow({...choices, q: ""}) || withDone);
  }

  #chip(name, text) {
    const chip = make("button", "token", text);
    chip.type = "button";
    chip.dataset.filter = name;
    chip.setAttribute("aria-label", `Remove the filter ${text}`);
    chip.append(copyOf("#close-template"));
    return chip;
  }

  #remove(button) {
    if (button === null) return;
    const {filter} = button.dataset;
    if (filter === "done") this.#address.go("todo");
    else this.#address.set({[filter]: ""});
    (this.#active.querySelector("button") ?? this.#button).focus();
  }

  #control(name) {
    return this.#form.elements.namedItem(name);
  }
}
