/**
 * What a user did to a task, as a plain value that is kept until the service has taken it, and the
 * three-way merge of it with what others did meanwhile.
 * @typedef {import("./task.js").Task} Task
 * @typedef {object} Operation
 * @property {"create" | "change" | "delete"} kind
 * @property {string} id the task's
 * @property {Task} [task] the task to create
 * @property {Task} [before] what the user saw of the task to change or delete
 * @property {object} [patch] the members to change, as a JSON Merge Patch (RFC 7396)
 * @property {number} [addedAfter] a revision before that of a task that is new; others are brought back
 * @property {boolean} [tried] whether it may have been sent, and its answer lost
 * @property {number | null} revision of what the user saw; null where only this page knows of it
 * @property {"waiting" | "refused" | "conflict" | "done"} state done: its event has yet to come
 * @property {{status: number, message: string} | null} problem why the service refused it
 */
import {difference, member, patched, same} from "./task.js";

const NEW = {state: "waiting", problem: null};

/** Return the operation that makes `after` of `before`; null stands for no task. */
export function operation(id, before, after, revision = null) {
  if (before === null) return {kind: "create", id, task: after, revision, ...NEW};
  if (after === null) return {kind: "delete", id, before, revision, ...NEW};
  return {kind: "change", id, before, patch: difference(before, after), revision, ...NEW};
}

/** Return what a task looks like once an operation is done; null stands for no task. */
export function applied({kind, task, before, patch}, current) {
  switch (kind) {
    case "create": return current ?? task;
    case "delete": return null;
    default: return patched(current ?? before, patch);
  }
}

/** Return whether an operation ticks a task off, or the reverse, and does no more. */
export function isTick({kind, patch}) {
  return kind === "change" && Object.keys(patch).join() === "completed";
}

/**
 * Decide how to go on with an operation, where the service has `theirs`.
 * @param {Task | null} theirs
 * @returns {{step: "nothing"} | {step: "create", task: Task} | {step: "change", patch: object}
 *           | {step: "delete"} | {step: "ask"}}
 */
export function plan(operation, theirs) {
  switch (operation.kind) {
    case "create": return theirs === null ? {step: "create", task: operation.task} : NOTHING;
    case "delete": return planDelete(operation, theirs);
    default: return planChange(operation, theirs);
  }
}

const NOTHING = {step: "nothing"};
const ASK = {step: "ask"};

function planDelete({before}, theirs) {
  if (theirs === null) return NOTHING;
  return same(before, theirs) ? {step: "delete"} : ASK;
}

function planChange(operation, theirs) {
  if (theirs === null) return isTick(operation) ? NOTHING : ASK;
  const patch = remaining(operation, theirs);
  if (!Object.keys(patch).length) return NOTHING;
  return clashes(operation, theirs).length ? ASK : {step: "change", patch};
}

/** Return what of a patch the service does not have yet. */
function remaining({patch}, theirs) {
  const wanted = difference(theirs, patched(theirs, patch));
  return Object.fromEntries(Object.keys(wanted).map((name) => [name, patch[name] ?? null]));
}

/** Return the members that both sides changed, each in its own way. A tick never clashes. */
export function clashes({before, patch}, theirs) {
  const mine = patched(before, patch);
  return Object.keys(patch).filter((name) => name !== "completed"
    && member(theirs, name) !== member(before, name)
    && member(theirs, name) !== member(mine, name));
}

/**
 * Return the operation that a user's choice makes of one that clashed; null where nothing is left
 * to do.
 * @param {"mine" | "theirs"} choice
 * @param {Task | null} theirs
 */
export function resolved(operation, choice, theirs) {
  const again = {...operation, ...NEW};
  if (operation.kind === "delete") return choice === "mine" ? {...again, before: theirs} : null;
  if (theirs === null) {
    if (choice === "theirs") return null;
    return {...NEW, kind: "create", id: operation.id, revision: operation.revision,
      task: applied(operation, null)};
  }
  if (choice === "mine") return {...again, before: theirs};
  const given = new Set(clashes(operation, theirs));
  const kept = Object.entries(operation.patch).filter(([name]) => !given.has(name));
  return kept.length ? {...again, before: theirs, patch: Object.fromEntries(kept)} : null;
}

/**
 * Return what a refused operation and the one after it come to, to be tried again as one; null
 * where they come to nothing.
 */
export function combined(refused, later) {
  const again = {...refused, ...NEW};
  if (later.kind === "delete") return refused.kind === "change" ? {...later, before: refused.before} : null;
  if (later.kind === "create") return later;
  if (refused.kind === "create") return {...again, task: patched(refused.task, later.patch)};
  if (refused.kind === "delete") return later;
  return {...again, patch: difference(refused.before, applied(later, applied(refused, refused.before)))};
}
