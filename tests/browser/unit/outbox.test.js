/** Points 3 and 4: an outbox that is on disk, in order, with one effect, and forgets nothing. */
import assert from "node:assert/strict";
import {describe, test} from "node:test";
import {operation} from "../page/operation.js";
import {Journal} from "../page/journal.js";
import {Outbox} from "../page/outbox.js";

/** A disk that two outboxes may share, as tabs do. */
class FakeDisk {
  persistent = true;
  constructor(tab, records = new Map(), alive = new Set()) {
    Object.assign(this, {tab, records, alive});
    alive.add(tab);
  }
  note() {}
  async add(each) {
    each.tab = this.tab;
    each.seq = this.records.size ? Math.max(...this.records.keys()) + 1 : 1;
    this.records.set(each.seq, structuredClone(each));
  }
  async put(each) { this.records.set(each.seq, structuredClone(each)); }
  async remove({seq}) { this.records.delete(seq); }
  async owns({seq}) { return this.records.get(seq)?.tab === this.tab; }
  async adopt() {
    const left = [...this.records.values()].filter(({tab}) => !this.alive.has(tab));
    return left.map((each) => { each.tab = this.tab; return structuredClone(each); });
  }
}

test("point 4: what is not on disk yet survives a reload that comes at once", () => {
  const items = new Map();
  const storage = {
    get length() { return items.size; }, key: (index) => [...items.keys()][index],
    getItem: (key) => items.get(key), setItem: (key, value) => items.set(key, value),
    removeItem: (key) => items.delete(key)};
  const before = new Journal("1-2", storage);
  for (const id of ["b", "a"]) before.note(create(id));
  const after = new Journal("3-4", storage);
  assert.equal(before.hasOthers, false);
  assert.equal(after.hasOthers, true);
  assert.deepEqual(after.take(new Set(["1-2"])), []);
  const left = after.take(new Set());
  assert.deepEqual(left.map(({id}) => id), ["b", "a"]);
  left.forEach((each) => after.forget(each));
  assert.equal(items.size, 0);
});

const create = (id) => operation(id, null, {title: id});
const change = (id, title) => operation(id, {title: id}, {title}, 1);
const settled = () => new Promise((done) => setTimeout(done, 10));

function sender(outcomes = {}) {
  const sent = [];
  const deliver = async (each) => {
    sent.push(`${each.kind} ${each.id}`);
    await null;
    return outcomes[each.id]?.shift() ?? {state: "done"};
  };
  return {sent, deliver};
}

describe("point 4", () => {
  test("is sent in the order it was done, one after the other, and only then forgotten", async () => {
    const disk = new FakeDisk("t");
    let [running, most] = [0, 0];
    const sent = [];
    const outbox = new Outbox(disk, async (each) => {
      most = Math.max(most, ++running);
      assert.ok(disk.records.has(each.seq), "it is on disk while it is sent");
      await settled();
      sent.push(each.id);
      running--;
      return {state: "done"};
    });
    for (const id of ["c", "a", "b"]) outbox.add(create(id));
    assert.equal(outbox.waiting, 3);
    while (outbox.operations.length) await settled();
    await settled();
    assert.deepEqual([sent, most, disk.records.size], [["c", "a", "b"], 1, 0]);
  });

  test("survives the tab: another takes over, in order, and sends it once", async () => {
    const [records, alive] = [new Map(), new Set()];
    const first = new Outbox(new FakeDisk("one", records, alive), () => new Promise(() => {}));
    for (const id of ["a", "b"]) first.add(create(id));
    await settled();
    const {sent, deliver} = sender();
    const second = new Outbox(new FakeDisk("two", records, alive), deliver);
    await second.adopt();
    assert.deepEqual(second.operations, []);  // the tab lives
    alive.delete("one");
    await Promise.all([second.adopt(), second.adopt()]);
    await settled();
    assert.deepEqual([sent, records.size], [["create a", "create b"], 0]);
  });

  test("what a tab that is gone left in conflict is planned anew, with what is there by now", async () => {
    const [records, alive] = [new Map(), new Set()];
    const first = new Outbox(new FakeDisk("one", records, alive), async () => ({state: "conflict"}));
    first.add(change("a", "A"));
    await settled();
    assert.equal(records.get(1).state, "conflict");
    alive.delete("one");
    const sent = [];
    const second = new Outbox(new FakeDisk("two", records, alive), async ({state, revision}) => {
      sent.push([state, revision]);
      return {state: "done"};
    });
    await second.adopt();
    await settled();
    assert.deepEqual([sent, second.operations, records.size], [[["waiting", null]], [], 0]);
  });

  test("the outcome of what was in conflict before says that the user was asked", async () => {
    const [records, alive] = [new Map(), new Set()];
    const conflict = async () => ({state: "conflict"});
    const asked = [];
    for (const name of ["one", "two"]) {
      const outbox = new Outbox(new FakeDisk(name, records, alive), conflict);
      outbox.addEventListener("outcome", ({detail}) => asked.push(detail.asked));
      if (name === "one") outbox.add(change("a", "A"));
      else await outbox.adopt();
      await settled();
      alive.delete(name);
    }
    assert.deepEqual(asked, [false, true]);
  });

  test("what another tab has taken over is not sent", async () => {
    const [records, alive] = [new Map(), new Set()];
    const {sent, deliver} = sender();
    const disk = new FakeDisk("one", records, alive);
    const outbox = new Outbox(disk, deliver);
    disk.add = async (each) => { each.seq = 1; records.set(1, {...each, tab: "two"}); };
    outbox.add(create("a"));
    await settled();
    assert.deepEqual([sent, outbox.operations, records.size], [[], [], 1]);
  });
});

describe("point 3", () => {
  const REFUSED = {state: "refused", problem: {status: 413, message: "too large"}};

  test("what is refused stays, on disk too, and stops only what follows on the same task", async () => {
    const disk = new FakeDisk("t");
    const {sent, deliver} = sender({a: [REFUSED]});
    const outbox = new Outbox(disk, deliver);
    const first = create("a");
    outbox.add(first);
    outbox.add(change("a", "A"));
    outbox.add(create("b"));
    await settled();
    assert.deepEqual(sent, ["create a", "create b"]);
    assert.deepEqual(outbox.operations.map(({state}) => state), ["refused", "waiting"]);
    assert.deepEqual(disk.records.get(1).problem, REFUSED.problem);
    outbox.retry(outbox.operations[0]);
    await settled();
    assert.deepEqual(sent.slice(2), ["create a", "change a"]);
    assert.equal(disk.records.size, 0);
  });

  test("each of several can be retried or discarded", async () => {
    const disk = new FakeDisk("t");
    const {deliver} = sender({a: [REFUSED], b: [REFUSED], c: [REFUSED]});
    const outbox = new Outbox(disk, deliver);
    for (const id of ["a", "b", "c"]) outbox.add(create(id));
    await settled();
    assert.equal(outbox.waiting, 0);
    outbox.discard(outbox.operations[1]);
    outbox.retry(outbox.operations[0]);
    await settled();
    assert.deepEqual(outbox.operations.map(({id, state}) => [id, state]), [["c", "refused"]]);
    assert.equal(disk.records.size, 1);
  });

  test("an edit of what was refused tries both again as one", async () => {
    const {sent, deliver} = sender({a: [REFUSED]});
    const disk = new FakeDisk("t");
    const outbox = new Outbox(disk, deliver);
    outbox.add(create("a"));
    await settled();
    outbox.add(change("a", "shorter"));
    assert.deepEqual(outbox.operations.map(({task}) => task), [{title: "shorter"}]);
    await settled();
    assert.deepEqual([sent, disk.records.size], [["create a", "create a"], 0]);
  });

  test("what is given up while it is sent is not brought back by its answer", async () => {
    let answer;
    const disk = new FakeDisk("t");
    const outbox = new Outbox(disk, () => new Promise((done) => { answer = done; }));
    outbox.add(create("a"));
    await settled();
    outbox.discard(outbox.operations[0]);
    answer(REFUSED);
    await settled();
    assert.deepEqual([outbox.operations, disk.records.size], [[], 0]);
  });
});
