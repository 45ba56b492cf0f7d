/** When a task is due, as a choice of near days or, where that is not enough, a date. */
import {dayValue, endOfDay, startOfDay} from "./dates.js";

const NEAR = {today: 0, tomorrow: 1};
const NEXT_WEEK = "monday";
const OTHER = "other";

export class DueField {
  #choice;
  #date;
  #kept = null;

  /** @param {HTMLSelectElement} choice @param {HTMLInputElement} date */
  constructor(choice, date) {
    this.#choice = choice;
    this.#date = date;
    choice.addEventListener("change", () => this.#show(true));
  }

  /** The seconds since the epoch, or null. Where the day stays the same, so does the time of it. */
  get value() {
    const day = this.#day();
    return this.#kept?.day === day ? this.#kept.seconds : endOfDay(day);
  }

  set value(seconds) {
    const day = seconds === null ? "" : dayValue(new Date(seconds * 1000));
    this.#kept = seconds === null ? null : {day, seconds};
    this.#choice.value = seconds === null ? "" : OTHER;
    this.#date.value = day;
    this.#show(false);
  }

  /** Whether the date is one that a calendar has, or there is none. */
  get valid() {
    return this.#choice.value !== OTHER || this.#day() !== "" || this.#kept?.day === "";
  }

  #day() {
    const [choice, now] = [this.#choice.value, new Date()];
    if (choice === OTHER) return this.#date.value;
    if (choice in NEAR) return dayValue(startOfDay(now, NEAR[choice]));
    if (choice === NEXT_WEEK) return dayValue(startOfDay(now, (8 - now.getDay()) % 7 || 7));
    return choice;
  }

  #show(chosen) {
    const other = this.#choice.value === OTHER;
    this.#date.hidden = !other;
    if (!other || !chosen) return;
    this.#date.value ||= dayValue(new Date());
    this.#date.focus();
  }
}
