/** Points 2, 6, 7, 9, 10: drafts, views, orders, days, quick add, links, ids. */
import assert from "node:assert/strict";
import {describe, test} from "node:test";
import {countsOf} from "../page/counts.js";
import {firstMoment, headingOf, isDay, lastMoment, secondsOf, timeValue} from "../page/dates.js";
import {COMPOSER, Drafts} from "../page/drafts.js";
import {Ids, revisionBefore} from "../page/ids.js";
import {linksIn} from "../page/markdown.js";
import {OVERDUE, TaskQuery, choicesFrom, choicesOf, searchOf} from "../page/query.js";
import {titleOf, tokensIn} from "../page/quick-add.js";

const NOW = new Date(2026, 10, 26, 15, 0);  // a Thursday

describe("point 9: quick add", () => {
  const CASES = [
    ["Pay rent tomorrow 5pm !high", "Pay rent", "2026-11-27", "17:00", "high"],
    ["Buy milk"],
    ["Call at 17:30 on 24 Dec", "Call", "2026-12-24", "17:30"],
    ["may 5 party", "party", "2027-05-05"],
    ["1 May 2027 parade", "parade", "2027-05-01"],
    ["Monday meeting 9.30 am", "meeting", "2026-11-30", "09:30"],
    ["Thursday again", "again", "2026-12-03"],
    ["report 2026-12-01!", "report!", "2026-12-01"],
    ["24:00 at 13pm on 31 Feb"],
    ["!1 go in 2 weeks", "go", "2026-12-10", undefined, "urgent"],
    ["Todays paper, the tomorrowland, !higher, 5pm-ish"],
    ["TODAY or today", "TODAY or", "2026-11-26"],
  ];
  for (const [text, title = text, day, time, priority] of CASES) {
    test(text, () => {
      const tokens = tokensIn(text, NOW);
      const value = (kind) => tokens.find((token) => token.kind === kind)?.value;
      assert.deepEqual([titleOf(text, tokens), value("day"), value("time"), value("priority")],
        [title, day, time, priority]);
    });
  }

  test("a token that is removed stays in the title", () => {
    const text = "Read Monday tomorrow";
    const tokens = tokensIn(text, NOW, ["tomorrow"]);
    assert.deepEqual(tokens.map(({value}) => value), ["2026-11-30"]);
    assert.equal(titleOf(text, tokens), "Read tomorrow");
  });
});

describe("point 9: a day without a time is the same day everywhere", () => {
  test("it is stored as its midnight in UTC", () => {
    assert.equal(secondsOf("2030-12-31"), Date.UTC(2030, 11, 31) / 1000);
    assert.deepEqual([secondsOf(""), secondsOf("2030-02-31T"), isDay(secondsOf("1970-01-01"))], [null, null, true]);
    assert.equal(secondsOf("0050-01-01"), Date.parse("0050-01-01T00:00:00Z") / 1000);
  });

  test("it begins and ends with the day here", () => {
    const day = secondsOf("2030-12-31");
    assert.equal(firstMoment(day).getTime(), new Date(2030, 11, 31).getTime());
    assert.ok(Math.abs(lastMoment(day) * 1000 - new Date(2031, 0, 1).getTime()) < 2);
  });

  test("a time stays a time, even where it is midnight in UTC", () => {
    const zone = new Date(2030, 11, 31);
    const minutes = (2 * 1440 - zone.getTimezoneOffset()) % 1440;
    const time = [Math.floor(minutes / 60), minutes % 60].map((part) => String(part).padStart(2, "0")).join(":");
    const seconds = secondsOf("2030-12-31", time);
    assert.equal(isDay(seconds), false);
    assert.equal(timeValue(seconds), time);
  });
});

describe("points 6 and 7: views and the address", () => {
  test("each has its order; only what differs from the usual is in the address", () => {
    assert.equal(searchOf(choicesOf()), "");
    assert.equal(searchOf(choicesOf("today")), "?show=today");
    assert.equal(choicesFrom("?show=done").sort, "-updated");
    assert.equal(searchOf(choicesFrom("?show=today&sort=title&q=a&nonsense=1&due=x")), "?show=today&q=a&sort=title");
    for (const show of ["today", "upcoming", "todo", "done", "all"]) {
      for (const sort of ["title", "-title", "due_date", "-updated"]) {
        const choices = {...choicesOf(show), sort, priority: "low", due: "week"};
        assert.deepEqual(choicesFrom(searchOf(choices)), choices);
      }
    }
  });

  test("today has what is overdue; upcoming begins tomorrow; counts agree", () => {
    const due = (text) => secondsOf(...text.split(" "));
    const tasks = [
      {title: "late", due_date: due("2026-11-01")}, {title: "today", due_date: due("2026-11-26")},
      {title: "tonight", due_date: due("2026-11-26 23:30")}, {title: "tomorrow", due_date: due("2026-11-27")},
      {title: "some day"}, {title: "done", completed: true, due_date: due("2026-11-26")}];
    const titles = (show) => tasks.filter((task) => new TaskQuery(choicesOf(show), NOW).matches(task))
      .map(({title}) => title);
    assert.deepEqual(titles("today"), ["late", "today", "tonight"]);
    assert.deepEqual(titles("upcoming"), ["tomorrow"]);
    assert.deepEqual(countsOf(tasks.map((task) => ({task})), NOW), {today: 3, upcoming: 1, todo: 5, done: 1});
  });

  test("today, upcoming and done are by days, in their own order", () => {
    const heading = (show, task, revision = 1, others = {}) => new TaskQuery({...choicesOf(show), ...others}, NOW)
      .heading({lastTask: task, place: {revision}}, NOW);
    const due = (day) => ({due_date: secondsOf(`2026-11-${day}`)});
    const named = (day) => headingOf(due(day).due_date, NOW);
    assert.deepEqual([heading("today", due(25)), heading("today", due(10))], [OVERDUE, OVERDUE]);
    assert.deepEqual([heading("today", due(26)), heading("upcoming", due(27))], [named(26), named(27)]);
    const microseconds = (day, hour) => new Date(2026, 10, day, hour).getTime() * 1000;
    assert.equal(heading("done", due(10), microseconds(25, 23)), named(25));
    for (const done of [microseconds(26, 1), microseconds(27, 1), Infinity]) {
      assert.equal(heading("done", due(10), done), named(26));  // a clock may be fast; what is not saved yet is of today
    }
    assert.deepEqual(
      [heading("todo", due(26)), heading("today", due(26), 1, {sort: "title"}), heading("today", {})], ["", "", ""]);
  });

  test("of a text that folding makes far longer the beginning is searched, as the service does", () => {
    const found = (title, q) => new TaskQuery({...choicesOf("all"), q}, NOW).matches({title});
    assert.ok(found("\ufdfa".repeat(20) + "x", "x"));
    assert.ok(!found("\ufdfa".repeat(200) + "x", "x"));
    assert.ok(found("\u{1f33b}".repeat(600) + "x", "x"));
  });

  test("titles sort by code point, as the service sorts them", () => {
    const query = new TaskQuery({...choicesOf(), sort: "title"}, NOW);
    const titles = ["\u{1f33b}", "\uffee", "a", "A", "\ue000", "\ud7ff"];
    const sorted = titles.map((title, id) => ({id: String(id), revision: 1, task: {title}}))
      .sort((one, other) => query.compare(one, other)).map(({task}) => task.title);
    assert.deepEqual(sorted, ["A", "a", "\ud7ff", "\ue000", "\uffee", "\u{1f33b}"]);
  });
});

describe("point 10: links in descriptions", () => {
  test("Markdown's and addresses as such", () => {
    assert.deepEqual(linksIn("See [the plan](https://a.example/x(1)), or http://b.example/y_(z)."), [
      {text: "See ", href: null}, {text: "the plan", href: "https://a.example/x(1)"}, {text: ", or ", href: null},
      {text: "http://b.example/y_(z)", href: "http://b.example/y_(z)"}, {text: ".", href: null}]);
  });

  test("nothing that a browser would run", () => {
    for (const text of ["[x](javascript:alert(1))", "[x](data:text/html,1)", "javascript:1", "[x]( https://a )"]) {
      assert.deepEqual(linksIn(text).filter(({href}) => href !== null && !href.startsWith("https://a")), []);
    }
  });
});

describe("point 2: drafts", () => {
  function storage(limit = Infinity) {
    const items = new Map();
    return {
      get length() { return items.size; }, key: (index) => [...items.keys()][index],
      getItem: (key) => items.get(key) ?? null, removeItem: (key) => items.delete(key),
      setItem: (key, value) => { if (value.length > limit) throw new Error("full"); items.set(key, value); }};
  }

  test("are kept by the task, and the composer's beside them", () => {
    const kept = storage();
    const drafts = new Drafts(kept);
    drafts.set("a", {title: "x"});
    drafts.set(COMPOSER, {title: "y"});
    kept.setItem("other", "z");
    assert.deepEqual([new Drafts(kept).tasks, new Drafts(kept).get("a")], [["a"], {title: "x"}]);
    drafts.set("a", null);
    assert.deepEqual([drafts.tasks, drafts.get("a"), drafts.get(COMPOSER)], [[], null, {title: "y"}]);
  });

  test("a tab whose storage is full goes on without", () => {
    const drafts = new Drafts(storage(5));
    drafts.set("a", {title: "longer"});
    assert.equal(drafts.get("a"), null);
  });
});

test("point 4: ids are UUIDs of version 7 in the order of creation, whatever the clock does", () => {
  let now = 1_800_000_000_000;
  const ids = new Ids(() => now);
  const made = [ids.next(), ids.next()];
  now -= 5_000;
  made.push(ids.next());
  now += 10_000;
  made.push(ids.next());
  assert.deepEqual([...made].sort(), made);
  for (const id of made) assert.match(id, /^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/u);
  assert.equal(parseInt(made[3].slice(0, 12), 16), now);
  assert.equal(revisionBefore(made[3]), (now - 3_600_000) * 1_000);
});
