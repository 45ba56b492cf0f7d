/** Points 1 and 5: what is merged, what is asked about, what undo takes back. */
import assert from "node:assert/strict";
import {describe, test} from "node:test";
import {History, reversed, takenBack} from "../page/history.js";
import {applied, clashes, combined, operation, plan, resolved} from "../page/operation.js";

const MILK = {title: "Milk", priority: "low"};
const edit = (after, before = MILK) => operation("a", before, after, 7);

describe("point 5: what is no conflict is merged", () => {
  test("edits of different members", () => {
    const theirs = {...MILK, description: "two litres"};
    assert.deepEqual(plan(edit({...MILK, title: "Oat milk"}), theirs), {step: "change", patch: {title: "Oat milk"}});
  });

  test("the same change on both sides is done already", () => {
    const after = {...MILK, title: "Oat milk"};
    assert.deepEqual(plan(edit(after), after), {step: "nothing"});
  });

  test("only what the service does not have yet is sent", () => {
    const after = {title: "Oat milk", priority: "high"};
    assert.deepEqual(plan(edit(after), {title: "Oat milk", priority: "low"}), {step: "change", patch: {priority: "high"}});
  });

  test("a member that is removed is sent as null", () => {
    assert.deepEqual(plan(edit({title: "Milk"}), MILK), {step: "change", patch: {priority: null}});
  });

  test("the same member changed on both sides asks, and says which", () => {
    const mine = edit({title: "Oat milk", priority: "high"});
    const theirs = {title: "Soy milk", priority: "low", description: "x"};
    assert.deepEqual(plan(mine, theirs), {step: "ask"});
    assert.deepEqual(clashes(mine, theirs), ["title"]);
  });

  test("a tick never asks", () => {
    const tick = edit({...MILK, completed: true});
    assert.equal(plan(tick, {...MILK, title: "Soy milk", completed: false}).step, "change");
    assert.deepEqual(plan(tick, null), {step: "nothing"});
    assert.equal(plan(edit({...MILK, title: "x", completed: true}), {...MILK, completed: true}).step, "change");
  });

  test("what was deleted is asked about, and so is deleting what was changed", () => {
    assert.deepEqual(plan(edit({...MILK, title: "x"}), null), {step: "ask"});
    const gone = operation("a", MILK, null, 7);
    assert.deepEqual(plan(gone, {...MILK, title: "x"}), {step: "ask"});
    assert.deepEqual(plan(gone, MILK), {step: "delete"});
    assert.deepEqual(plan(gone, null), {step: "nothing"});
  });

  test("a create whose answer was lost is done", () => {
    const made = operation("a", null, MILK);
    assert.deepEqual(plan(made, MILK), {step: "nothing"});
    assert.deepEqual(plan(made, null), {step: "create", task: MILK});
  });
});

describe("point 5: the choice", () => {
  const mine = edit({title: "Oat milk", priority: "high"});
  const theirs = {title: "Soy milk", priority: "low"};

  test("mine overwrites what I changed, and no more", () => {
    assert.deepEqual(plan(resolved(mine, "mine", theirs), theirs),
      {step: "change", patch: {title: "Oat milk", priority: "high"}});
  });

  test("theirs gives up only what clashed", () => {
    assert.deepEqual(plan(resolved(mine, "theirs", theirs), theirs), {step: "change", patch: {priority: "high"}});
    assert.equal(resolved(edit({...MILK, title: "x"}), "theirs", theirs), null);
  });

  test("what was deleted is brought back, or left", () => {
    assert.deepEqual(plan(resolved(mine, "mine", null), null),
      {step: "create", task: {title: "Oat milk", priority: "high"}});
    assert.equal(resolved(mine, "theirs", null), null);
  });

  test("what was changed is deleted all the same, or kept", () => {
    const gone = operation("a", MILK, null, 7);
    assert.deepEqual(plan(resolved(gone, "mine", theirs), theirs), {step: "delete"});
    assert.equal(resolved(gone, "theirs", theirs), null);
  });
});

describe("point 3: what was refused is joined to what is done next", () => {
  const create = operation("a", null, {title: "x".repeat(9)});

  test("a task that was too long is created shorter", () => {
    const later = operation("a", create.task, {title: "x"});
    assert.deepEqual(applied(combined({...create, state: "refused"}, later), null), {title: "x"});
    assert.equal(combined(create, later).state, "waiting");
  });

  test("one that is deleted was never there", () => {
    assert.equal(combined(create, operation("a", create.task, null)), null);
  });

  test("two edits come to one", () => {
    const first = edit({...MILK, title: "x"});
    const both = combined(first, operation("a", {...MILK, title: "x"}, {title: "y"}));
    assert.deepEqual([both.before, both.patch], [MILK, {title: "y", priority: null}]);
  });
});

describe("point 1: undo is a stack", () => {
  const entry = (log, name) => ({undo: () => log.push(`-${name}`), redo: () => log.push(`+${name}`)});

  test("it walks back and forth without a limit of time", () => {
    const [log, history] = [[], new History()];
    for (const name of ["a", "b", "c"]) history.add(entry(log, name));
    for (const way of ["undo", "undo", "redo", "undo", "undo"]) history[way]();
    assert.deepEqual(log, ["-c", "-b", "+b", "-b", "-a"]);
    assert.equal(history.undo(), null);
  });

  test("something new forgets what was undone", () => {
    const [log, history] = [[], new History()];
    history.add(entry(log, "a"));
    history.undo();
    history.add(entry(log, "b"));
    assert.equal(history.redo(), null);
    assert.equal(history.canUndo, true);
  });

  const change = {id: "a", before: MILK, after: {title: "Oat milk", priority: "high"}};

  test("only the members that it concerns go back", () => {
    const now = {...change.after, description: "two litres", completed: true};
    assert.deepEqual(takenBack(change, now), {
      task: {title: "Milk", priority: "low", description: "two litres", completed: true}, kept: [], gone: false});
  });

  test("what somebody else changed since stays, and is said", () => {
    const now = {...change.after, title: "Soy milk"};
    assert.deepEqual(takenBack(change, now),
      {task: {title: "Soy milk", priority: "low"}, kept: ["title"], gone: false});
  });

  test("what somebody else deleted, or brought back, is said", () => {
    assert.deepEqual(takenBack(change, null), {task: null, kept: [], gone: true});
    assert.equal(takenBack({id: "a", before: MILK, after: null}, MILK).gone, true);
    assert.equal(takenBack({id: "a", before: null, after: MILK}, null).gone, true);
  });

  test("adds and deletes go back and forth", () => {
    const add = {id: "a", before: null, after: MILK};
    assert.equal(takenBack(add, MILK).task, null);
    assert.deepEqual(takenBack(reversed(add), null).task, MILK);
  });
});
