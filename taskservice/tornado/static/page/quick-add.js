/**
 * Dates, times and priorities in what is typed: "Pay rent tomorrow 5pm !high". Each is a token that
 * the user sees as a chip, and can have left in the title instead.
 * @typedef {{kind: "day" | "time" | "priority", start: number, end: number, text: string,
 *            value: string}} Token `value` is as inputs have it: 2026-11-30, 17:00, high
 */
import {dayValue, startOfDay} from "./dates.js";
import {PRIORITIES} from "./task.js";

const WEEKDAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const MONTH = "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
  + "sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)";
const LEVELS = {1: "urgent", 2: "high", 3: "normal", 4: "low"};

const DAYS = [
  [/today/, (_, now) => startOfDay(now)],
  [/tomorrow/, (_, now) => startOfDay(now, 1)],
  [/next week/, (_, now) => nextWeekday(1, now)],
  [new RegExp(`(?:on |next )?(${WEEKDAYS.join("|")})`), ([, name], now) => nextWeekday(WEEKDAYS.indexOf(name), now)],
  [/in (\d{1,3}) (day|week)s?/, ([, count, unit], now) => startOfDay(now, count * (unit === "week" ? 7 : 1))],
  [/(\d{4})-(\d\d)-(\d\d)/, ([, year, month, day]) => date(Number(year), month - 1, day)],
  [new RegExp(`(?:on )?(\\d{1,2})(?:st|nd|rd|th)? (${MONTH})(?: (\\d{4}))?`),
    ([, day, month, year], now) => nextDate(day, month, year, now)],
  [new RegExp(`(?:on )?(${MONTH}) (\\d{1,2})(?:st|nd|rd|th)?(?:,? (\\d{4}))?`),
    ([, month, day, year], now) => nextDate(day, month, year, now)],
];

const TIMES = [
  [/(?:at )?(\d{1,2})(?:[:.](\d\d))? ?([ap])\.?m\.?/, ([, hour, minute = "0", half]) =>
    Number(hour) >= 1 && Number(hour) <= 12 ? clock(hour % 12 + (half === "p" ? 12 : 0), minute) : null],
  [/(?:at )?(\d{1,2}):(\d\d)/, ([, hour, minute]) => clock(hour, minute)],
];

const LEVEL = [[new RegExp(`!(${PRIORITIES.slice(0, -1).join("|")}|[1-4])`),
  ([, name]) => LEVELS[name] ?? name]];

/**
 * Find the tokens in a text: at most one of each kind, the last.
 * @param {string[]} [left] texts of tokens that the user wants left in the title
 * @returns {Token[]} in the order of the text
 */
export function tokensIn(text, now = new Date(), left = []) {
  const found = [
    last("day", DAYS, (value) => dayValue(value)), last("time", TIMES, (value) => value),
    last("priority", LEVEL, (value) => value)].filter(Boolean);
  return found.sort((one, other) => one.start - other.start);

  function last(kind, patterns, valueOf) {
    const tokens = patterns.flatMap(([pattern, read]) => matches(pattern, text).map((match) => {
      const value = read(match, now);
      const [start, all] = [match.index, match[0]];
      return {kind, start, end: start + all.length, text: text.slice(start, start + all.length),
        value: value === null ? "" : valueOf(value)};
    }));
    const taken = tokens.filter((token) => token.value && !left.includes(token.text));
    // Where one is a part of another, as "1 May" of "1 May 2027", the longer is meant.
    return taken.sort((one, other) => one.end - other.end || other.start - one.start).at(-1);
  }
}

/** Return a text without its tokens. */
export function titleOf(text, tokens) {
  let [title, from] = ["", 0];
  for (const {start, end} of tokens) {
    title += text.slice(from, start).trimEnd();
    from = end;
    if (title && /^\s*[^\s,;.!?]/u.test(text.slice(end))) title += " ";
    from += text.slice(end).length - text.slice(end).trimStart().length;
  }
  return (title + text.slice(from)).trim();
}

/** Return what stands in a text as words of their own. */
function matches(pattern, text) {
  const alone = new RegExp(`(?<=^|\\s)${pattern.source}(?=$|[\\s,;.!?](?:\\s|$)|\\s)`, "giu");
  return [...text.matchAll(alone)].map((match) => {
    const lower = match.map((part) => part?.toLowerCase());
    return Object.assign(lower, {index: match.index});
  });
}

function nextWeekday(weekday, now) {
  return startOfDay(now, (weekday - now.getDay() + 7) % 7 || 7);
}

function nextDate(day, name, year, now) {
  const month = MONTHS.indexOf(name.slice(0, 3));
  if (year) return date(Number(year), month, day);
  const thisYear = date(now.getFullYear(), month, day);
  return thisYear !== null && thisYear < startOfDay(now) ? date(now.getFullYear() + 1, month, day) : thisYear;
}

/** Return midnight of a date; null where no calendar has it. */
function date(year, month, day) {
  const made = new Date(year, month, Number(day));
  return made.getMonth() === month && made.getDate() === Number(day) ? made : null;
}

function clock(hour, minute) {
  if (Number(hour) > 23 || Number(minute) > 59) return null;
  return `${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}`;
}
