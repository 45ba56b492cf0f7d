/** How many tasks each view has, as far as all are known. */
import {TaskQuery, choicesOf} from "./query.js";

const VIEWS = ["today", "upcoming", "todo"];

/**
 * Count the tasks of the views.
 * @param {Iterable<import("./row.js").Row>} rows
 * @returns {Record<string, number>}
 */
export function countsOf(rows, now = new Date()) {
  const queries = VIEWS.map((view) => [view, new TaskQuery(choicesOf(view), now)]);
  const counts = {today: 0, upcoming: 0, todo: 0, done: 0};
  for (const {task} of rows) {
    if (task === null) continue;
    if (task.completed) counts.done++;
    else for (const [view, query] of queries) if (query.matches(task)) counts[view]++;
  }
  return counts;
}
