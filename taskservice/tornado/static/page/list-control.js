/** Mouse and keys in the list. */

const LINGER = 1_500;

export class ListControl {
  #element;
  #store;
  #list;
  #selection;
  #user;
  #lingering = new Set();
  #timer;

  /**
   * @param {HTMLElement} element
   * @param {import("./store.js").TaskStore} store
   * @param {import("./list-view.js").ListView} list
   * @param {import("./selection.js").Selection} selection
   * @param {Record<"edit" | "tick" | "remove" | "again" | "discard" | "compare" | "token",
   *                (row: import("./row.js").Row) => void>} user what can be done to a row
   */
  constructor(element, store, list, selection, user) {
    this.#element = element;
    this.#store = store;
    this.#list = list;
    this.#selection = selection;
    this.#user = user;
    element.addEventListener("click", (event) => this.#click(event));
    element.addEventListener("change", ({target}) => {
      if (target.dataset.part === "done") this.#user.tick(this.#row(target));
    });
    element.addEventListener("keydown", (event) => {
      if (!event.target.dataset.part) return;
      const again = event.repeat && ["Delete", "Enter", "F2", " "].includes(event.key);
      if (again || this.#key(event)) event.preventDefault();  // one press, one change
    });
  }

  /** Leave what was just ticked where it is, so that nothing moves while more is being ticked. */
  linger(rows) {
    for (const row of rows) {
      if (!this.#lingering.has(row)) this.#store.hold(row);
      this.#lingering.add(row);
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const leaving = [...this.#lingering];
      this.#lingering.clear();
      leaving.forEach((row) => this.#store.release(row));
    }, LINGER);
  }

  #row(target) {
    return this.#list.viewOf(target)?.row;
  }

  #click(event) {
    const {target} = event;
    const row = this.#row(target);
    if (target.closest("a, form") || !row) return;
    if ((event.ctrlKey || event.metaKey || event.shiftKey) && !target.closest(".tick, .trouble, .delete")) {
      if (event.shiftKey) this.#selection.extend(this.#store.rows, row);
      else this.#selection.toggle(row);
      return;
    }
    switch (target.closest("[data-part]")?.dataset.part) {
      case "body":
      case "title":
      case "description":
      case "meta": this.#user.edit(row); break;
      case "delete": this.#user.remove(row); break;
      case "again": this.#user.again(row); break;
      case "discard": this.#user.discard(row); break;
      case "compare": this.#user.compare(row); break;
      case "token": this.#user.token(row); break;
      default:
    }
  }

  /** Do what a key asks for on a row; return whether it was anything. */
  #key({ctrlKey, metaKey, altKey, shiftKey, key, target}) {
    if (ctrlKey || metaKey || altKey) return false;
    const row = this.#row(target);
    const {rows} = this.#store;
    const go = (index) => {
      const next = rows[Math.max(0, Math.min(rows.length - 1, index))];
      if (shiftKey) this.#selection.extend(rows, next, row);
      return this.#list.focus(next, target.dataset.part);
    };
    switch (key) {
      case "ArrowDown": return go(rows.indexOf(row) + 1);
      case "ArrowUp": return go(rows.indexOf(row) - 1);
      case "Home": return go(0);
      case "End": return go(rows.length - 1);
      case "Delete": this.#user.remove(row); return true;
      case "F2": this.#user.edit(row); return true;
      case "Escape": this.#selection.clear(); return true;
      default: return false;
    }
  }
}
