/** Point 12: one tab follows the changes for all, and another takes over when it goes. */
import assert from "node:assert/strict";
import {beforeEach, mock, test} from "node:test";
import {Leader} from "../page/leader.js";

class Hall {
  channels = new Set();
  channel() {
    const channel = {onmessage: () => {}, postMessage: (data) => {
      for (const other of this.channels) if (other !== channel) other.onmessage({data});
    }};
    this.channels.add(channel);
    return channel;
  }
}

let hall;
beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({apis: ["setTimeout", "setInterval"]});
  hall = new Hall();
});

function tab(name) {
  const heard = [];
  const channel = hall.channel();
  const leader = new Leader(name, channel, () => ({position: name}));
  leader.addEventListener("message", ({detail}) => heard.push(detail));
  leader.start();
  return {leader, heard, die: () => { hall.channels.delete(channel); channel.postMessage = () => {}; }};
}

const leaders = (tabs) => tabs.map(({leader}) => leader.leads);

test("the first leads, and those that come ask it where it is", () => {
  const first = tab("b");
  mock.timers.tick(100);
  const second = tab("a");
  mock.timers.tick(100);
  assert.deepEqual(leaders([first, second]), [true, false]);
  assert.deepEqual(second.heard, [{position: "b"}]);
  first.leader.broadcast({change: 1});
  second.leader.broadcast({change: 2});
  assert.deepEqual([first.heard, second.heard.at(-1)], [[], {change: 1}]);
});

test("when it leaves, or dies without a word, exactly one other leads", () => {
  const tabs = ["a", "b", "c"].map(tab);
  mock.timers.tick(100);
  assert.equal(leaders(tabs).filter(Boolean).length, 1);
  for (const go of ["leave", "die"]) {
    const gone = tabs.splice(leaders(tabs).indexOf(true), 1)[0];
    if (go === "leave") gone.leader.leave();
    gone.die();
    mock.timers.tick(go === "leave" ? 100 : 13_000);
    assert.equal(leaders(tabs).filter(Boolean).length, 1, go);
  }
});

test("a leader that is only silent is kept by its beats", () => {
  const tabs = ["a", "b"].map(tab);
  mock.timers.tick(100);
  const before = leaders(tabs);
  mock.timers.tick(60_000);
  assert.deepEqual(leaders(tabs), before);
});

test("of two that came to lead one yields", () => {
  const tabs = ["a", "b"].map(tab);
  let yielded = 0;
  tabs[1].leader.addEventListener("yield", () => yielded++);
  tabs[0].leader.claim();
  tabs[1].leader.claim();
  assert.deepEqual([leaders(tabs), yielded], [[true, false], 1]);
});
