/** What the list shows after changes that could not be told. */
import assert from "node:assert/strict";
import {test} from "node:test";
import {TaskQuery, choicesOf} from "../page/query.js";
import {TaskStore} from "../page/store.js";

test("a task that is held and was deleted in a gap of the stream is known to be gone once all are read", async () => {
  const entries = ["a", "b"].map((id, index) => ({id, revision: index + 1, task: {title: id, completed: false}}));
  const api = {list: async () => ({entries: [...entries], next: null})};
  const connection = Object.assign(new EventTarget(), {
    state: "live", position: 2, located: async () => {}, persist: (request) => request(),
    follow(handlers) { this.handlers = handlers; }});
  const outbox = Object.assign(new EventTarget(), {operations: [], of: () => []});
  const store = new TaskStore(api, connection, outbox);
  const turn = () => new Promise((done) => setTimeout(done, 10));
  store.follow();
  await store.load(new TaskQuery(choicesOf("todo")));
  await turn();
  const held = store.row("a");
  store.hold(held);
  entries.shift();
  connection.position = 5;
  connection.handlers.reset();
  await turn();
  assert.equal(store.whole, true);
  assert.equal(held.task, null);
  store.release(held);
  assert.deepEqual(store.rows.map(({id}) => id), ["b"]);
});
