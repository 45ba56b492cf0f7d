/**
 * Due dates in words, in the user's locale and time zone. The service counts seconds since the
 * epoch; a day without a time is its midnight in UTC, so that it is the same day in every time zone
 * (docs/architecture.md). A time that falls on that moment is kept as one second later.
 */

const LOCALES = globalThis.navigator?.languages ?? [];
const relative = new Intl.RelativeTimeFormat(LOCALES, {numeric: "auto"});
const formats = {
  weekday: new Intl.DateTimeFormat(LOCALES, {weekday: "long"}),
  thisYear: new Intl.DateTimeFormat(LOCALES, {weekday: "short", day: "numeric", month: "short"}),
  otherYear: new Intl.DateTimeFormat(LOCALES, {day: "numeric", month: "short", year: "numeric"}),
  time: new Intl.DateTimeFormat(LOCALES, {timeStyle: "short"}),
  full: new Intl.DateTimeFormat(LOCALES, {dateStyle: "full"}),
  heading: new Intl.DateTimeFormat(LOCALES, {weekday: "long", day: "numeric", month: "long"}),
  headingOfYear: new Intl.DateTimeFormat(LOCALES, {dateStyle: "full"}),
};

/** The language that dates come in, which need not be that of the page. */
export const DATE_LANGUAGE = relative.resolvedOptions().locale;

const DAY_SECONDS = 86_400;
const A_DAY = 1000 * DAY_SECONDS;

/** What others set for a day in their own zone: its beginning or, as this page once did, its end. */
const DAYS_OF_OTHERS = ["00:00:00", "23:59:59"];

/** Return midnight of a date's day, or of so many days after it. */
export function startOfDay(date, days = 0) {
  return midnight(date.getFullYear(), date.getMonth(), date.getDate() + days);
}

function midnight(year, month, day) {
  const date = new Date(2000, 0);
  date.setFullYear(year, month, day);  // the constructor takes the years up to 99 for others
  return date;
}

/** Return the words for a day in a heading: "Tuesday 24 November". */
export function dayInWords(date) {
  return formats.heading.format(date);
}

/** Return whether a due date is a day without a time. */
export function isDay(seconds) {
  return seconds % DAY_SECONDS === 0;
}

/** Return the moment that a due date is, or the first one of the day that it is here. */
export function firstMoment(seconds) {
  const date = new Date(seconds * 1000);
  if (!isDay(seconds) || Number.isNaN(date.getTime())) return date;
  return midnight(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate());
}

/** Return the seconds since the epoch when a due date is over here; a day is when the next begins. */
export function lastMoment(seconds) {
  const first = firstMoment(seconds);
  if (!isDay(seconds) || Number.isNaN(first.getTime())) return seconds;
  return startOfDay(first, 1).getTime() / 1000 - 0.001;
}

/** Return how many days from today a due date is; NaN where no calendar reaches. */
export function daysUntil(seconds, now) {
  return Math.round((startOfDay(firstMoment(seconds)).getTime() - startOfDay(now).getTime()) / A_DAY);
}

/**
 * Return a due date in words.
 * @returns {{text: string, full: string, iso: string, late: boolean, today: boolean}}
 *   `full` names the day in any case; `iso` is '' where no calendar reaches.
 */
export function dueInWords(seconds, now) {
  const date = firstMoment(seconds);
  const late = lastMoment(seconds) * 1000 < now.getTime();
  if (Number.isNaN(date.getTime())) {
    const text = late ? "long ago" : "in a distant future";
    return {text, full: text, iso: "", late, today: false};
  }
  const days = daysUntil(seconds, now);
  const timed = timeValue(seconds) !== "";
  const time = timed ? `, ${formats.time.format(date)}` : "";
  const iso = timed ? date.toISOString() : dayValue(date);
  return {
    text: dayRelative(date, days, now) + time, full: formats.full.format(date) + time, iso, late,
    today: days === 0};
}

/** Return the heading of the tasks that are due on the day of a due date. */
export function headingOf(seconds, now) {
  const date = firstMoment(seconds);
  if (Number.isNaN(date.getTime())) return dueInWords(seconds, now).text;
  const days = daysUntil(seconds, now);
  const name = (date.getFullYear() === now.getFullYear() ? formats.heading : formats.headingOfYear).format(date);
  return Math.abs(days) <= 1 ? `${capital(relative.format(days, "day"))} · ${name}` : name;
}

/** Return a text with a first capital letter, in the language of dates. */
export function capital(text) {
  return text.charAt(0).toLocaleUpperCase(DATE_LANGUAGE) + text.slice(1);
}

function dayRelative(date, days, now) {
  if (days >= -6 && days <= 1) return relative.format(days, "day");
  if (days > 1 && days < 7) return formats.weekday.format(date);
  const thisYear = date.getFullYear() === now.getFullYear();
  return (thisYear ? formats.thisYear : formats.otherYear).format(date);
}

/** Return the seconds of a day, and a time on it, as inputs have them; null for no such day. */
export function secondsOf(day, time = "") {
  if (!day) return null;
  if (!time) {
    const midnight = Date.parse(`${day}T00:00:00Z`) / 1000;
    return Number.isNaN(midnight) ? null : midnight;
  }
  const seconds = new Date(`${day}T${time}`).getTime() / 1000;
  if (Number.isNaN(seconds)) return null;
  return isDay(seconds) ? seconds + 1 : seconds;
}

/** Return a date's day as `<input type=date>` has it; '' for one that it cannot have. */
export function dayValue(date) {
  const year = date.getFullYear();
  if (!(year >= 1 && year <= 9999)) return "";
  return `${padded(year, 4)}-${padded(date.getMonth() + 1)}-${padded(date.getDate())}`;
}

/** Return the time of a due date as `<input type=time>` has it; '' for a day without one. */
export function timeValue(seconds) {
  const date = new Date(seconds * 1000);
  if (isDay(seconds) || Number.isNaN(date.getTime())) return "";
  const time = `${padded(date.getHours())}:${padded(date.getMinutes())}`;
  return DAYS_OF_OTHERS.includes(`${time}:${padded(date.getSeconds())}`) ? "" : time;
}

function padded(number, length = 2) {
  return String(number).padStart(length, "0");
}

/** Call back at each midnight, or when the page is looked at again after one. */
export function onNewDay(callback) {
  let day = startOfDay(new Date()).getTime();
  const check = () => {
    const today = startOfDay(new Date()).getTime();
    if (today !== day) callback();
    day = today;
  };
  setInterval(check, 30_000);
  document.addEventListener("visibilitychange", check);
}
