/** The rows that are chosen together, by Ctrl and Shift. */

/** A "change" event says that others are chosen. */
export class Selection extends EventTarget {
  #rows = new Set();
  #anchor = null;

  get size() {
    return this.#rows.size;
  }

  /** Return those of the rows that are chosen, in their order. */
  among(rows) {
    return rows.filter((row) => this.#rows.has(row));
  }

  has(row) {
    return this.#rows.has(row);
  }

  /** Choose a row, or leave it out again. */
  toggle(row) {
    if (!this.#rows.delete(row)) this.#rows.add(row);
    this.#anchor = row;
    this.#changed();
  }

  /** Choose the rows from the one that was chosen last, or from `start`, to another. */
  extend(rows, row, start = row) {
    const ends = [rows.indexOf(rows.includes(this.#anchor) ? this.#anchor : start), rows.indexOf(row)];
    this.#anchor ??= start;
    for (const each of rows.slice(Math.min(...ends), Math.max(...ends) + 1)) this.#rows.add(each);
    this.#changed();
  }

  /** Leave out what is not listed any more. */
  keep(rows) {
    const listed = new Set(rows);
    const left = [...this.#rows].filter((row) => listed.has(row));
    if (left.length === this.#rows.size) return;
    this.#rows = new Set(left);
    this.#changed();
  }

  clear() {
    this.#rows.clear();
    this.#anchor = null;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
