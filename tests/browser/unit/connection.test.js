/** The tabs of a browser share a stream of changes. */
import assert from "node:assert/strict";
import {test} from "node:test";
import {ApiError} from "../page/api.js";

globalThis.addEventListener = () => {};
globalThis.document = new EventTarget();
const {Connection} = await import("../page/connection.js");

/** A channel between the tabs of a test, which hear each other at once. */
class FakeChannel {
  static all = new Set();
  constructor(name) {
    this.name = name;
    FakeChannel.all.add(this);
  }
  postMessage(data) {
    for (const each of FakeChannel.all) if (each !== this) each.onmessage?.({data: structuredClone(data)});
  }
  close() { FakeChannel.all.delete(this); }
}

/** Streams that the test writes to; a position after the last one that there is gets 410. */
class FakeApi {
  last = 100;
  asked = [];
  async changes(since) {
    this.asked.push(since);
    if (since > this.last) throw new ApiError(410, "gone");
    return new ReadableStream({start: (stream) => { this.stream = stream; }});
  }
  push(text) { this.stream.enqueue(new TextEncoder().encode(text)); }
}

test("a store that begins anew is listed again in every tab, not only in the one that leads", async (t) => {
  globalThis.BroadcastChannel = FakeChannel;
  t.mock.timers.enable({apis: ["setTimeout", "setInterval"]});
  const turn = () => new Promise((done) => setImmediate(done));
  const api = new FakeApi();
  const resets = [];
  const tabs = ["one", "two"].map((name) => new Connection(api, name, () => null));
  const changes = [];
  for (const tab of tabs) {
    tab.follow({change: ({id}) => changes.push(id), reset: () => resets.push(tabs.indexOf(tab))});
    t.mock.timers.tick(50);
    await turn();
  }
  api.push("id: 100\n\n");
  await turn();
  assert.deepEqual([tabs.map(({position}) => position), resets], [[100, 100], []]);
  api.last = 3;
  api.stream.close();
  await turn();
  tabs[0].retry();
  await turn();
  assert.deepEqual(api.asked, [null, 100, null]);
  api.push("id: 3\n\n");
  await turn();
  assert.deepEqual([tabs.map(({position}) => position), resets], [[3, 3], [0, 1]]);
  api.push('id: 4\ndata: {"id": "a", "task": null, "revision": 4}\n\n');
  await turn();
  assert.deepEqual([tabs.map(({position}) => position), resets.length, changes], [[4, 4], 2, ["a", "a"]]);
});
