import assert from "node:assert/strict";
import {test} from "node:test";
import {Ledger} from "../page/ledger.js";

function ledgerOf() {
  const outbox = Object.assign(new EventTarget(), {operations: [], of: () => []});
  return new Ledger(outbox, () => {});
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
