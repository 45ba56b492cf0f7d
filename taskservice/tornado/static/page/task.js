/**
 * Tasks as plain values, as schema/todoList-v1.0.json has them.
 * @typedef {{title: string, description?: string, priority?: string, completed?: boolean,
 *            due_date?: number}} Task
 */

/** Most urgent first, which is also how the service sorts them. */
export const PRIORITIES = ["urgent", "high", "normal", "low", "none"];

const DEFAULTS = {title: "", description: "", priority: "none", completed: false, due_date: null};

export const MEMBERS = Object.keys(DEFAULTS);

/** Return a member, or what stands for one that was not sent. */
export function member(task, name) {
  return task[name] ?? DEFAULTS[name];
}

/** Return whether two tasks mean the same; null stands for one that is not there. */
export function same(one, other) {
  if (one === null || other === null) return one === other;
  return MEMBERS.every((name) => member(one, name) === member(other, name));
}

/** Return the members that differ, as a JSON Merge Patch (RFC 7396): null removes one. */
export function difference(before, after) {
  const changed = MEMBERS.filter((name) => member(before, name) !== member(after, name));
  return Object.fromEntries(changed.map((name) => [name, after[name] ?? null]));
}

/** Apply a JSON Merge Patch. */
export function patched(task, patch) {
  const kept = Object.entries({...task, ...patch}).filter(([, value]) => value !== null);
  return Object.fromEntries(kept);
}

/** Shorten a title for a message. */
export function shortTitle(task) {
  const characters = [...task.title];
  return characters.length <= 40 ? task.title : `${characters.slice(0, 39).join("").trimEnd()}…`;
}
