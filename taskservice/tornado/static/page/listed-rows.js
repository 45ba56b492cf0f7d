/** The rows of a list, in its order: those of a query, and those that stay whatever is listed. */

export class ListedRows {
  /** @type {import("./row.js").Row[]} */
  rows = [];

  /** @type {import("./query.js").TaskQuery | null} */
  query = null;

  /** Whether these are all that match. */
  complete = false;

  /** The last entry that was read, where there are more. */
  end = null;

  /** Begin with the list of a query, of which nothing is read yet. */
  clear(query) {
    this.rows.forEach((row) => { row.placed = false; });
    [this.rows, this.query, this.complete, this.end] = [[], query, false, null];
  }

  /** Leave no row but those that stay. */
  drop() {
    const kept = this.rows.filter(stays);
    this.clear(this.query);
    kept.forEach((row) => { row.placed = true; });
    this.rows = kept;
  }

  /** Show all that match among rows that are all there are, by the days of this time zone. */
  fill(rows) {
    this.clear(this.query);
    this.query.isLocal = true;
    this.rows = [...rows].filter((row) => this.#belongs(row));
    this.rows.sort((one, other) => this.query.compare(one.place, other.place));
    this.rows.forEach((row) => { row.placed = true; });
    this.complete = true;
  }

  /** Put a row where it belongs; out of the list, if that is nowhere or has not been read yet. */
  place(row) {
    if (row.holds && row.placed) return;
    if (row.placed) this.rows.splice(this.rows.indexOf(row), 1);
    row.placed = stays(row) || (this.#belongs(row) && this.#isRead(row.place));
    if (row.placed) this.rows.splice(this.#position(row.place), 0, row);
  }

  #belongs(row) {
    return stays(row) || (row.task !== null && this.query.matches(row.task));
  }

  #isRead(place) {
    return this.complete || (this.end !== null && this.query.compare(place, this.end) <= 0);
  }

  /** Return where in the rows a place is. */
  #position(place) {
    let [low, high] = [0, this.rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.query.compare(this.rows[middle].place, place) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Return whether a row is shown whatever is listed: it is edited, or could not be saved. */
function stays(row) {
  return row.lastTask !== undefined && (row.holds > 0 || row.problem !== null);
}
