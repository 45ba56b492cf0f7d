/** What the list shows after a gap in the stream. */
import assert from "node:assert/strict";
import {test} from "node:test";
import {TaskQuery, choicesOf} from "../page/query.js";
import {TaskStore} from "../page/store.js";

const turn = () => new Promise((done) => setTimeout(done, 10));

/** A list that is shown of the tasks a and b; where `next` is one, more than are kept follow them. */
async function listed(next = null) {
  const entries = ["a", "b"].map((id, index) => ({id, revision: index + 1, task: {title: id, completed: false}}));
  const found = [];
  const api = {
    list: async () => ({entries: [...entries], next}),
    find: async (id) => { found.push(id); return entries.find((entry) => entry.id === id) ?? null; }};
  const connection = Object.assign(new EventTarget(), {
    state: "live", position: 2, located: async () => {}, persist: (request) => request(),
    follow(handlers) { this.handlers = handlers; }});
  const outbox = Object.assign(new EventTarget(), {operations: [], of: () => []});
  const store = new TaskStore(api, connection, outbox);
  store.follow();
  await store.load(new TaskQuery(choicesOf("todo")));
  await turn();
  return {store, connection, entries, found};
}

/** Have the first task deleted in a gap of the stream, while it is held. */
async function deletedInAGap(next) {
  const {store, connection, entries, found} = await listed(next);
  const held = store.row("a");
  store.hold(held);
  entries.shift();
  connection.position = 5;
  connection.handlers.reset();
  await turn();
  return {store, held, found};
}

test("a task that is held and was deleted in a gap of the stream is known to be gone once all are read", async () => {
  const {store, held} = await deletedInAGap();
  assert.equal(store.whole, true);
  assert.equal(held.task, null);
  store.release(held);
  assert.deepEqual(store.rows.map(({id}) => id), ["b"]);
});

test("so it is where there are more tasks than are read", async () => {
  const {store, held, found} = await deletedInAGap("tasks?cursor=more");
  assert.equal(store.whole, false);
  assert.equal(held.task, null);
  assert.deepEqual(found, ["a"]);
  store.release(held);
  assert.deepEqual(store.rows.map(({id}) => id), ["b"]);
});

test("point 1: what is listed again keeps its row, in which the next key or click is", async () => {
  const {store, connection, entries} = await listed();
  const shown = store.row("b");
  entries.shift();
  entries[0] = {id: "b", revision: 1, task: {title: "as it was", completed: false}};  // the store was restored
  connection.handlers.reset();
  await turn();
  assert.deepEqual(store.rows.map((row) => row === shown), [true]);
  assert.equal(shown.task.title, "as it was");
  assert.equal(store.task("a"), undefined);
});
