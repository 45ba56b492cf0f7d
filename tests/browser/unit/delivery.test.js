/** Points 4 and 5: how an operation gets to the service, and what the list shows meanwhile. */
import assert from "node:assert/strict";
import {test} from "node:test";
import {ApiError} from "../page/api.js";
import {Delivery} from "../page/delivery.js";
import {Ledger} from "../page/ledger.js";
import {operation} from "../page/operation.js";

/** A service of one list, whose answers may be lost. */
class FakeService {
  tasks = new Map();
  revision = 10;
  log = [];
  lose = 0;
  meanwhile = () => {};
  deleted = [];
  set(id, task) { this.tasks.set(id, {task, revision: ++this.revision}); }
  #check(id, revision) {
    const known = this.tasks.get(id);
    if (!known) throw new ApiError(404, "gone");
    if (known.revision !== revision) throw new ApiError(412, "stale");
    return known.task;
  }
  async create(id, task) {
    this.log.push("create");
    if (this.tasks.has(id)) throw new ApiError(412, "there");
    this.set(id, task);
  }
  async change(id, revision, patch) {
    this.log.push("change");
    this.set(id, {...this.#check(id, revision), ...patch});
  }
  async delete(id, revision) {
    this.log.push("delete");
    this.#check(id, revision);
    this.remove(id);
  }
  remove(id) {
    this.tasks.delete(id);
    this.deleted.push({id, revision: ++this.revision, task: null});
  }
  async latestChange(id, since) {
    this.log.push("changes");
    const {revision, task} = this.tasks.get(id) ?? {};
    const changes = [...this.deleted, {id, revision, task}].filter((each) => each.id === id && each.revision > since);
    return changes.at(-1) ?? null;
  }
  async find(id) {
    this.log.push("find");
    const known = this.tasks.get(id);
    return known ? {id, ...known} : null;
  }
}

function setUp() {
  const service = new FakeService();
  const outbox = Object.assign(new EventTarget(), {operations: [], of: () => []});
  const ledger = new Ledger(outbox, () => {});
  const connection = {
    async persist(request) {
      const answer = await request();
      if (!service.lose) return answer;
      service.lose--;
      service.meanwhile();
      return request();  // the answer was lost: it is tried again
    }};
  return {service, ledger, delivery: new Delivery(service, connection, () => ledger)};
}

const MILK = {title: "Milk"};

test("a create whose answer was lost has one effect", async () => {
  const {service, delivery} = setUp();
  service.lose = 1;
  assert.equal((await delivery.deliver(operation("a", null, MILK))).state, "done");
  assert.deepEqual([service.log, service.tasks.get("a").task], [["create", "create"], MILK]);
});

const addition = (id) => ({...operation(id, null, MILK), addedAfter: 10});

test("a task whose answer was lost and that somebody deleted since is not created again", async () => {
  const {service, delivery, ledger} = setUp();
  service.lose = 1;
  service.meanwhile = () => service.remove("a");
  assert.deepEqual(await delivery.deliver(addition("a")), {state: "done", gone: true});
  assert.deepEqual([service.log, service.tasks.size], [["create", "changes"], 0]);
  assert.equal(ledger.row("a").task, null);
});

test("nor is one that a tab that is gone may have sent", async () => {
  const {service, delivery} = setUp();
  service.set("a", MILK);
  service.remove("a");
  assert.deepEqual(await delivery.deliver({...addition("a"), tried: true}), {state: "done", gone: true});
  assert.equal(service.tasks.size, 0);
});

test("one whose request was lost is created", async () => {
  const {service, delivery} = setUp();
  assert.equal((await delivery.deliver({...addition("a"), tried: true})).state, "done");
  assert.deepEqual(service.tasks.get("a").task, MILK);
});

test("a task that was deleted is brought back, whatever became of it before", async () => {
  const {service, delivery} = setUp();
  service.set("a", MILK);
  service.remove("a");
  assert.equal((await delivery.deliver({...operation("a", null, MILK), tried: true})).state, "done");
  assert.deepEqual(service.tasks.get("a").task, MILK);
});

test("a change whose answer was lost has one effect", async () => {
  const {service, ledger, delivery} = setUp();
  service.set("a", MILK);
  ledger.learn("a", MILK, 11);
  service.lose = 1;
  assert.equal((await delivery.deliver(operation("a", MILK, {title: "Oat"}, 11))).state, "done");
  assert.deepEqual([service.revision, service.log], [12, ["change", "change", "find"]]);
});

test("a change of what others changed elsewhere is merged", async () => {
  const {service, ledger, delivery} = setUp();
  ledger.learn("a", MILK, 5);
  service.set("a", {...MILK, priority: "high"});
  assert.equal((await delivery.deliver(operation("a", MILK, {title: "Oat"}, 5))).state, "done");
  assert.deepEqual(service.tasks.get("a").task, {title: "Oat", priority: "high"});
});

test("a change of the same is a conflict, and writes nothing", async () => {
  const {service, ledger, delivery} = setUp();
  ledger.learn("a", MILK, 5);
  service.set("a", {title: "Soy"});
  assert.equal((await delivery.deliver(operation("a", MILK, {title: "Oat"}, 5))).state, "conflict");
  assert.deepEqual([service.tasks.get("a").task, ledger.row("a").server.task], [{title: "Soy"}, {title: "Soy"}]);
});

test("a change of what is gone is a conflict; deleting it is done", async () => {
  const {ledger, delivery} = setUp();
  ledger.learn("a", MILK, 5);
  assert.equal((await delivery.deliver(operation("a", MILK, {title: "Oat"}, 5))).state, "conflict");
  ledger.learn("b", MILK, 6);
  assert.equal((await delivery.deliver(operation("b", MILK, null, 6))).state, "done");
});

test("changes in a row wait for the revision of the one before", async () => {
  const {service, ledger, delivery} = setUp();
  service.set("a", MILK);
  ledger.learn("a", MILK, 11);
  await delivery.deliver(operation("a", MILK, {title: "B"}, 11));
  assert.equal(ledger.row("a").task.title, "B");
  const second = delivery.deliver(operation("a", {title: "B"}, {title: "C"}, 11));
  ledger.learn("a", {title: "B"}, 12);  // by the stream
  assert.equal((await second).state, "done");
  assert.deepEqual(service.log, ["change", "change"]);
  assert.equal(ledger.row("a").task.title, "C");
  ledger.learn("a", {title: "C"}, 13);
  assert.deepEqual(ledger.row("a").operations, []);
});

test("what a tab that is gone has left is sent for the version that is there now", async () => {
  const {service, delivery} = setUp();
  service.set("a", MILK);
  service.set("a", {...MILK, priority: "low"});
  assert.equal((await delivery.deliver(operation("a", MILK, {title: "Oat"}, null))).state, "done");
  assert.deepEqual(service.tasks.get("a").task, {title: "Oat", priority: "low"});
});

test("point 3: what the service refuses says how", async () => {
  const {service, delivery} = setUp();
  service.create = async () => { throw new ApiError(413, "too large"); };
  assert.deepEqual(await delivery.deliver(operation("a", null, MILK)),
    {state: "refused", problem: {status: 413, message: "too large"}});
});

test("an event that does not come is made up for, also where reading the task fails at first", async (t) => {
  t.mock.timers.enable({apis: ["setTimeout"]});
  const turn = () => new Promise((done) => setImmediate(done));
  const {service, ledger, delivery} = setUp();
  service.set("a", MILK);
  ledger.learn("a", MILK, 11);
  await delivery.deliver(operation("a", MILK, {title: "Oat"}, 11));
  const find = service.find.bind(service);
  service.find = async () => {
    service.find = find;
    throw new ApiError(500, "broken");
  };
  let settled = false;
  ledger.settled("a").then(() => { settled = true; });
  t.mock.timers.tick(2_000);
  await turn();
  assert.equal(settled, false);
  t.mock.timers.tick(2_000);
  await turn();
  assert.equal(settled, true);
});

test("a change of what the page knows nothing of, and that is gone, is a conflict", async () => {
  const {ledger, delivery} = setUp();
  ledger.row("a");
  assert.equal((await delivery.deliver(operation("a", MILK, {title: "Oat"}))).state, "conflict");
});

test("an echo that was heard before the list was read again is made up for", async (t) => {
  t.mock.timers.enable({apis: ["setTimeout"]});
  const {service, ledger, delivery} = setUp();
  service.set("a", MILK);
  ledger.learn("a", MILK, 11);
  await delivery.deliver(operation("a", MILK, null, 11));
  ledger.doubt();
  let settled = false;
  ledger.settled("a").then(() => { settled = true; });
  t.mock.timers.tick(2_000);
  await new Promise((done) => setImmediate(done));
  assert.equal(settled, true);
});
