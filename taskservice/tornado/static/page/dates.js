/** Due dates in words, in the user's locale and time zone. The service counts seconds. */

const LOCALES = navigator.languages;
const relative = new Intl.RelativeTimeFormat(LOCALES, {numeric: "auto"});
const formats = {
  weekday: new Intl.DateTimeFormat(LOCALES, {weekday: "long"}),
  thisYear: new Intl.DateTimeFormat(LOCALES, {weekday: "short", day: "numeric", month: "short"}),
  otherYear: new Intl.DateTimeFormat(LOCALES, {day: "numeric", month: "short", year: "numeric"}),
  time: new Intl.DateTimeFormat(LOCALES, {timeStyle: "short"}),
  full: new Intl.DateTimeFormat(LOCALES, {dateStyle: "full"}),
  heading: new Intl.DateTimeFormat(LOCALES, {weekday: "long", day: "numeric", month: "long"}),
};

/** The language that dates come in, which need not be that of the page. */
export const DATE_LANGUAGE = relative.resolvedOptions().locale;

const LAST_SECOND = "23:59:59";
const A_DAY = 86_400_000;

/** Return midnight of a date's day, or of so many days after it. */
export function startOfDay(date, days = 0) {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + days);
}

/** Return the words for a day in a heading: "Tuesday 24 November". */
export function dayInWords(date) {
  return formats.heading.format(date);
}

/**
 * Tell a due date in words.
 * @returns {{text: string, full: string, iso: string, late: boolean, today: boolean}}
 *   `full` names the day in any case; `iso` is '' where no calendar reaches.
 */
export function dueInWords(seconds, now) {
  const date = new Date(seconds * 1000);
  const late = seconds * 1000 < now.getTime();
  if (Number.isNaN(date.getTime())) {
    const text = late ? "long ago" : "in a distant future";
    return {text, full: text, iso: "", late, today: false};
  }
  const days = Math.round((startOfDay(date).getTime() - startOfDay(now).getTime()) / A_DAY);
  const time = hasTime(date) ? `, ${formats.time.format(date)}` : "";
  return {
    text: dayRelative(date, days, now) + time, full: formats.full.format(date) + time,
    iso: date.toISOString(), late, today: days === 0};
}

function dayRelative(date, days, now) {
  if (days >= -6 && days <= 1) return relative.format(days, "day");
  if (days > 1 && days < 7) return formats.weekday.format(date);
  const thisYear = date.getFullYear() === now.getFullYear();
  return (thisYear ? formats.thisYear : formats.otherYear).format(date);
}

/** What this page sets is the last second of a day: it is late when that is over. */
function hasTime(date) {
  const pad = (number) => String(number).padStart(2, "0");
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(pad).join(":");
  return time !== LAST_SECOND && time !== "00:00:00";
}

/** Return the seconds of the end of a day, given as `<input type=date>` has it; null for ''. */
export function endOfDay(value) {
  if (!value) return null;
  const date = new Date(`${value}T${LAST_SECOND}`);
  return Number.isNaN(date.getTime()) ? null : date.getTime() / 1000;
}

/** Return a day as `<input type=date>` has it; '' for one that it cannot have. */
export function dayValue(date) {
  const year = date.getFullYear();
  if (!(year >= 1 && year <= 9999)) return "";
  const pad = (number, length) => String(number).padStart(length, "0");
  return `${pad(year, 4)}-${pad(date.getMonth() + 1, 2)}-${pad(date.getDate(), 2)}`;
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
