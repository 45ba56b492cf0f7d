/** When a task is due: a choice of near days or, where that is not enough, a date; and a time. */
import {dayValue, firstMoment, secondsOf, startOfDay, timeValue} from "./dates.js";

const NEAR = {today: 0, tomorrow: 1};
const NEXT_WEEK = "monday";
const OTHER = "other";

export class DueField {
  #choice;
  #date;
  #time;
  #kept = null;

  /**
   * @param {HTMLSelectElement} choice
   * @param {HTMLInputElement} date
   * @param {HTMLInputElement} time
   */
  constructor(choice, date, time) {
    this.#choice = choice;
    this.#date = date;
    this.#time = time;
    choice.addEventListener("change", () => this.#show(true));
  }

  /** The seconds since the epoch, or null. Where day and time stay, so do the seconds. */
  get value() {
    const [day, time] = [this.day, this.time];
    const kept = this.#kept?.day === day && this.#kept.time === time;
    return kept ? this.#kept.seconds : secondsOf(day, time);
  }

  set value(seconds) {
    const day = seconds === null ? "" : dayValue(firstMoment(seconds));
    const time = seconds === null ? "" : timeValue(seconds);
    this.#kept = seconds === null ? null : {day, time, seconds};
    this.state = {choice: seconds === null ? "" : OTHER, date: day, time};
  }

  /** What the controls say, to be kept as a draft. */
  get state() {
    return {choice: this.#choice.value, date: this.#date.value, time: this.#time.value};
  }

  set state({choice, date, time}) {
    this.#choice.value = choice;
    this.#date.value = date;
    this.#time.value = time;
    this.#show(false);
  }

  /** The day as `<input type=date>` has it, '' for none. */
  get day() {
    const [choice, now] = [this.#choice.value, new Date()];
    if (choice === OTHER) return this.#date.value;
    if (choice in NEAR) return dayValue(startOfDay(now, NEAR[choice]));
    if (choice === NEXT_WEEK) return dayValue(startOfDay(now, (8 - now.getDay()) % 7 || 7));
    return choice;
  }

  /** The time as `<input type=time>` has it, '' for none. */
  get time() {
    return this.#choice.value === "" ? "" : this.#time.value;
  }

  /** Whether the date is one that a calendar has, or there is none. */
  get valid() {
    return this.#choice.value !== OTHER || this.day !== "" || this.#kept?.day === "";
  }

  #show(chosen) {
    const other = this.#choice.value === OTHER;
    this.#date.hidden = !other;
    this.#time.hidden = this.#choice.value === "";
    if (!other || !chosen) return;
    this.#date.value ||= dayValue(new Date());
    this.#date.focus();
  }
}
