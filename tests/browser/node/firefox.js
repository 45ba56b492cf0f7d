/**
 * The main flows of the page in Firefox, one after the other, each on a page of its own. Each line of the output is a
 * step's name and its error, or null; a line `["service", "stop"]` or `["service", "start"]` asks for that, and waits
 * for a line of input.
 */
import assert from "node:assert/strict";
import {createInterface} from "node:readline";
import puppeteer from "puppeteer-core";

const {FIREFOX, SERVICE_URL: URL} = process.env;
const PATIENCE = 30_000;

const answers = createInterface({input: process.stdin})[Symbol.asyncIterator]();
const say = (...line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const service = async (what) => { say("service", what); await answers.next(); };

// --- The service, as somebody else uses it -----------------------------------------------------------------------------

const ask = async (method, path, body) => {
  const answer = await fetch(URL + path, {
    method, body: body && JSON.stringify(body),
    headers: body ? {"Content-Type": method === "PATCH" ? "application/merge-patch+json" : "application/json"} : {}});
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer;
};
const create = async (title, members = {}) => (await ask("POST", "/tasks", {title, ...members})).headers.get("Location");
const stored = async () => Object.values(await (await ask("GET", "/tasks")).json());
const titles = async () => (await stored()).map(({title}) => title);
const empty = async () => {
  for (const id of Object.keys(await (await ask("GET", "/tasks")).json())) await ask("DELETE", `/tasks/${id}`);
};

// --- The page ----------------------------------------------------------------------------------------------------------

const pause = () => new Promise((done) => { setTimeout(done, 50); });

/** Wait until what is found is as expected. */
async function see(find, expected) {
  let found;
  for (const ends = Date.now() + PATIENCE; Date.now() < ends; await pause()) {
    found = await find();
    try {
      assert.deepEqual(found, expected);
      return;
    } catch {
      // Not yet.
    }
  }
  assert.deepEqual(found, expected);
}

const browser = await puppeteer.launch({browser: "firefox", executablePath: FIREFOX, headless: true});
const complaints = [];

async function open(path = "/") {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(URL + path);
  await live(page);
  return page;
}

const live = (page) => see(() => page.evaluate(() => document.querySelector("#connection").dataset.state), "live");
const saved = (page) => see(() => page.evaluate(() => document.querySelector("#connection").dataset.unsaved), "0");
const shown = (page) => () => page.evaluate(
  () => [...document.querySelectorAll("#list button.title")].map((title) => title.textContent));
const text = (page, selector) => () => page.evaluate((each) => document.querySelector(each).textContent, selector);
const value = (page, selector) => () => page.evaluate((each) => document.querySelector(each).value, selector);
const visible = (page, selector) => () => page.evaluate(
  (each) => document.querySelector(each)?.checkVisibility() ?? false, selector);

async function add(page, title) {
  await page.focus("#new-title");
  await page.keyboard.type(title);
  await page.keyboard.press("Enter");
}

/** Return a part of the row with a title. */
async function part(page, title, name) {
  await see(async () => (await shown(page)()).includes(title), true);
  const index = (await shown(page)()).indexOf(title);
  return (await page.$$(`#list li [data-part=${name}]`))[index];
}

async function press(page, keys) {
  const [key, ...modifiers] = keys.split("+").reverse();
  for (const modifier of modifiers.reverse()) await page.keyboard.down(modifier);
  await page.keyboard.press(key);
  for (const modifier of modifiers) await page.keyboard.up(modifier);
}

const steps = {
  async "Enter adds a task, and the field is ready for the next"(page) {
    await add(page, "Milk");
    await add(page, "Bread");
    await see(shown(page), ["Bread", "Milk"]);
    assert.equal(await value(page, "#new-title")(), "");
    await saved(page);
    assert.deepEqual(await titles(), ["Milk", "Bread"]);
  },
  async "quick add understands a day, a time and a priority"(page) {
    await page.focus("#new-title");
    await page.keyboard.type("Pay rent tomorrow 5pm !high");
    await see(() => page.evaluate(() => document.querySelectorAll("#tokens button").length), 3);
    await page.keyboard.press("Enter");
    await see(shown(page), ["Pay rent"]);
    await saved(page);
    const [{priority, due_date: due}] = await stored();
    assert.equal(priority, "high");
    assert.equal(new Date(due * 1000).getHours(), 17);
  },
  async "a ticked task is done, leaves, and comes back by Undo"(page) {
    await create("Milk");
    await (await part(page, "Milk", "done")).click();
    await saved(page);
    assert.equal((await stored())[0].completed, true);
    await see(shown(page), []);
    await page.click("#toast-action");
    await see(shown(page), ["Milk"]);
    await saved(page);
    assert.equal((await stored())[0].completed ?? false, false);
  },
  async "a task is edited in its place"(page) {
    await create("Milk");
    await (await part(page, "Milk", "title")).click();
    await page.keyboard.type(" and honey");
    await page.focus(".edit-description");
    await page.keyboard.type("two litres");
    await press(page, "Control+Enter");
    await see(shown(page), ["Milk and honey"]);
    await saved(page);
    assert.deepEqual(await stored(), [{title: "Milk and honey", description: "two litres"}]);
  },
  async "Escape drops an edit, which can be undone"(page) {
    await create("Milk");
    await (await part(page, "Milk", "title")).click();
    await page.keyboard.type("shake");
    await page.keyboard.press("Escape");
    await see(visible(page, ".editor"), false);
    await press(page, "Control+z");
    await see(value(page, ".edit-title"), "Milkshake");
  },
  async "a deleted task comes back by undo, and goes by redo"(page) {
    await create("Milk", {priority: "low"});
    await (await part(page, "Milk", "title")).focus();
    await page.keyboard.press("Delete");
    await see(shown(page), []);
    await saved(page);
    await press(page, "Control+z");
    await see(shown(page), ["Milk"]);
    await saved(page);
    assert.deepEqual(await stored(), [{title: "Milk", priority: "low"}]);
    await press(page, "Control+Shift+z");
    await see(shown(page), []);
    await saved(page);
    assert.deepEqual(await stored(), []);
  },
  async "single keys: d, z, 1 and the overlay"(page) {
    await create("Milk");
    await (await part(page, "Milk", "title")).focus();
    await page.keyboard.press("d");
    await see(shown(page), []);
    await page.keyboard.press("z");
    await see(shown(page), ["Milk"]);
    await page.keyboard.press("1");
    await saved(page);
    assert.equal((await stored())[0].priority, "urgent");
    await page.keyboard.press("?");
    await see(visible(page, "#shortcuts"), true);
  },
  async "the search finds, and is in the address"(page) {
    await create("Milk");
    await create("Bread");
    await page.focus("#search");
    await page.keyboard.type("mil");
    await see(shown(page), ["Milk"]);
    await see(() => page.evaluate(() => location.search), "?q=mil");
    await page.reload();
    await see(shown(page), ["Milk"]);
    assert.equal(await value(page, "#search")(), "mil");
  },
  async "the order can be chosen"(page) {
    for (const title of ["Bread", "Apples", "Cheese"]) await create(title);
    await page.select("[name=sort]", "title");
    await see(shown(page), ["Apples", "Bread", "Cheese"]);
    await page.select("[name=sort]", "-title");
    await see(shown(page), ["Cheese", "Bread", "Apples"]);
  },
  async "views, and back and forward"(page) {
    await create("Milk");
    await create("Bread", {completed: true});
    await see(shown(page), ["Milk"]);
    await page.click("[data-view=done]");
    await see(shown(page), ["Bread"]);
    await page.evaluate(() => history.back());
    await see(shown(page), ["Milk"]);
    await page.evaluate(() => history.forward());
    await see(shown(page), ["Bread"]);
  },
  async "filters are behind a button, and chips remove them"(page) {
    await create("Milk");
    await create("Bread", {priority: "urgent"});
    await page.click("#filter-button");
    await page.select("[name=priority]", "urgent");
    await see(shown(page), ["Bread"]);
    await page.click("#active button");
    await see(shown(page), ["Bread", "Milk"]);
  },
  async "several are chosen and changed together"(page) {
    await create("Milk");
    await create("Bread");
    await see(shown(page), ["Bread", "Milk"]);  // a row that comes between look and click takes the click
    await page.keyboard.down("Control");
    for (const title of ["Milk", "Bread"]) await (await part(page, title, "title")).click();
    await page.keyboard.up("Control");
    await see(text(page, "#bulk-count"), "2 chosen");
    await page.select("#bulk-priority", "low");
    await saved(page);
    await see(async () => (await stored()).map(({priority}) => priority), ["low", "low"]);
  },
  async "what others do appears"(page) {
    const path = await create("Milk");
    await see(shown(page), ["Milk"]);
    await ask("PATCH", path, {title: "Oat milk"});
    await see(shown(page), ["Oat milk"]);
    await ask("DELETE", path);
    await see(shown(page), []);
  },
  async "edits of different members merge, the same one asks"(page) {
    const path = await create("Milk");
    await (await part(page, "Milk", "title")).click();
    await page.keyboard.type("shake");
    await ask("PATCH", path, {title: "Soy milk", priority: "high"});
    await see(text(page, "[data-field=notice]"), "Somebody changed this task meanwhile. When you save, you can compare.");
    await page.keyboard.press("Enter");
    await see(visible(page, "#conflict-dialog"), true);
    await page.click("#keep-mine");
    await saved(page);
    await see(stored, [{title: "Milkshake", priority: "high"}]);
  },
  async "drafts survive a reload"(page) {
    await create("Milk");
    await (await part(page, "Milk", "title")).click();
    await page.keyboard.type("shake");
    await page.focus("#new-title");
    await page.keyboard.type("Bread");
    await page.evaluate(() => addEventListener("beforeunload", (event) => event.stopImmediatePropagation(), {capture: true}));
    page.on("dialog", (dialog) => dialog.accept());
    await page.reload();
    await see(value(page, ".edit-title"), "Milkshake");
    assert.equal(await value(page, "#new-title")(), "Bread");
    await page.evaluate(() => { document.querySelector("#new-title").value = ""; });
    await page.focus(".edit-title");
    await page.keyboard.press("Enter");
    await see(titles, ["Milkshake"]);
  },
  async "tabs share a stream, also when its tab closes"(page) {
    const another = await open();
    const streams = async () => Number(
      /^taskservice_event_streams (\S+)$/mu.exec(await (await ask("GET", "/metrics")).text())[1]);
    await see(streams, 1);
    await page.close();
    await create("Milk");
    await see(shown(another), ["Milk"]);
    await another.close();
  },
  async "the page opens without the service, and what was done is kept over a reload and sent"(page) {
    await create("Milk");
    await see(shown(page), ["Milk"]);
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
    await service("stop");
    await see(visible(page, "#away"), true);
    await add(page, "Bread");
    await (await part(page, "Milk", "done")).click();
    await see(text(page, "#away-text"), "The service is away. 2 changes wait to be saved.");
    await page.reload();
    await see(async () => (await shown(page)()).includes("Bread"), true);
    await service("start");
    await live(page);
    await saved(page);
    await see(stored, [{title: "Milk", completed: true}, {title: "Bread"}]);
    await see(shown(page), ["Bread"]);
  },
  async "a link to a task shows it"(page) {
    const path = await create("Milk", {completed: true});
    await page.goto(`${URL}/#${path.split("/").at(-1)}`);
    await page.reload();
    await see(shown(page), ["Milk"]);
  },
  async "what people write is text"(page) {
    await create("<img src=x onerror=window.hit=1>");
    await see(shown(page), ["<img src=x onerror=window.hit=1>"]);
    assert.equal(await page.evaluate(() => window.hit ?? null), null);
  },
  async "nothing is wider than a narrow window"(page) {
    await create("x".repeat(300), {description: "y".repeat(300)});
    await page.setViewport({width: 320, height: 600});
    await see(async () => (await shown(page)()).length, 1);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  },
};

for (const [name, step] of Object.entries(steps)) {
  const page = await open();
  try {
    await step(page);
    assert.deepEqual(complaints.splice(0), []);
    say(name, null);
  } catch (error) {
    say(name, error.stack);
  }
  await page.close().catch(() => {});
  await empty();
}
await browser.close();
process.stdin.destroy();  // which would be waited for
