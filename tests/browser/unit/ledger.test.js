import assert from "node:assert/strict";
import {test} from "node:test";
import {Ledger} from "../page/ledger.js";

function ledgerOf(changed = () => {}) {
  const outbox = Object.assign(new EventTarget(), {operations: [], of: () => []});
  return new Ledger(outbox, changed);
}

test("an answer that is older than a deletion that was heard meanwhile brings no task back", async () => {
  const ledger = ledgerOf();
  ledger.learn("a", {title: "Milk"}, 1);
  let answer;
  const reading = ledger.refresh("a", () => new Promise((done) => { answer = done; }));
  ledger.learn("a", null, 2);
  ledger.forget(() => false);
  answer({id: "a", task: {title: "Milk"}, revision: 1});
  await reading;
  assert.equal(ledger.rows.get("a").task, null);
  ledger.forget(() => false);
  assert.equal(ledger.rows.size, 0);
});

test("what a refresh finds is passed on, so that the list shows it", async () => {
  const changed = [];
  const ledger = ledgerOf((rows) => changed.push(...rows.map(({id, task}) => [id, task])));
  ledger.learn("a", {title: "Milk"}, 1);
  await ledger.refresh("a", async () => null);
  assert.deepEqual(changed, [["a", null]]);
});

test("a late answer that there is no task hides none that was brought back meanwhile", async () => {
  const ledger = ledgerOf();
  ledger.learn("a", {title: "Milk"}, 1);
  let answer;
  const reading = ledger.refresh("a", () => new Promise((done) => { answer = done; }));
  ledger.learn("a", {title: "Oat"}, 3);
  answer(null);
  await reading;
  assert.deepEqual(ledger.rows.get("a").task, {title: "Oat"});
});

test("what a list of all tasks lacks is gone, unless something newer than the list is known", () => {
  const ledger = ledgerOf();
  ledger.learn("a", {title: "Milk"}, 5);
  ledger.learn("b", {title: "Oat"}, 9);
  ledger.learn("d", {title: "Soy"}, 5);
  ledger.row("c", {title: "Tea"});
  ledger.row("a").holds++;
  ledger.learnAll(new Set(["d"]), 7);
  const titles = ["a", "b", "c", "d"].map((id) => ledger.rows.get(id).task?.title ?? null);
  assert.deepEqual(titles, [null, "Oat", null, "Soy"]);
});
