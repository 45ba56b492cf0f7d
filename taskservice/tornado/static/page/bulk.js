/** The bar with what can be done to all tasks that are chosen. */
import {dayValue, secondsOf, startOfDay} from "./dates.js";
import {find, focusList, setText} from "./dom.js";

const DAYS = {today: 0, tomorrow: 1};

export class BulkBar {
  #bar = find("#bulk");
  #store;
  #selection;

  /**
   * @param {import("./store.js").TaskStore} store
   * @param {import("./selection.js").Selection} selection
   * @param {{tick: (rows: object[]) => void, remove: (rows: object[]) => void,
   *          change: (rows: object[], patch: object) => void}} user
   */
  constructor(store, selection, user) {
    this.#store = store;
    this.#selection = selection;
    selection.addEventListener("change", () => this.#show());
    store.addEventListener("change", () => { if (selection.size) selection.keep(store.rows); });
    const act = (what) => {
      const rows = selection.among(store.rows).filter(({task}) => task !== null);
      selection.clear();
      if (rows.length) what(rows);
    };
    find("#bulk-done").addEventListener("click", () => act((rows) => user.tick(rows)));
    find("#bulk-delete").addEventListener("click", () => act((rows) => user.remove(rows)));
    find("#bulk-close").addEventListener("click", () => selection.clear());
    this.#choice("#bulk-due", (value) => act((rows) => user.change(rows, {due_date: dueOf(value)})));
    this.#choice("#bulk-priority", (value) => act((rows) => user.change(
      rows, {priority: value === "none" ? null : value})));
  }

  /** Do something for a choice that was made, and offer it anew. */
  #choice(selector, chosen) {
    const select = find(selector);
    select.addEventListener("change", () => {
      const {value} = select;
      select.selectedIndex = 0;
      chosen(value);
    });
  }

  #show() {
    const {size} = this.#selection;
    const focused = this.#bar.contains(document.activeElement);
    this.#bar.hidden = size === 0;
    if (focused && !size) focusList();
    setText(find("#bulk-count"), `${size.toLocaleString()} chosen`);
  }
}

function dueOf(value) {
  return value in DAYS ? secondsOf(dayValue(startOfDay(new Date(), DAYS[value]))) : null;
}
