/**
 * The list as it is seen. Of however many rows, only those near the viewport are in the document,
 * besides the one that has the focus and the one that is edited; a margin stands for those that are
 * not. All are there to be printed. What is looked at stays where it is
 * when rows above come, go, or turn out to be higher.
 */
import {collapse} from "./collapse.js";
import {RowView} from "./row-view.js";

const AHEAD = 800;  // pixels above and below the viewport that are there already
const MORE_WHEN = 60;  // rows from the end
const FIRST_GUESS = {plain: 45, rich: 67};

export class ListView extends EventTarget {
  /** Returns whether a row is chosen. */
  isChosen = () => false;

  /** Called where the end of what was read comes near. */
  onnearend = () => {};

  /** Called when the list was shown as it is by then. */
  onrendered = () => {};

  #list;
  #store;
  #views = new Map();
  #heights = new WeakMap();
  #guesses = {...FIRST_GUESS};
  #tops = new Float64Array(1);
  #query = null;
  #stale = true;
  #scheduled = false;
  #width = 0;
  #printing = false;
  #editors = new Map();
  #resizes;

  /** @param {HTMLElement} list @param {import("./store.js").TaskStore} store */
  constructor(list, store) {
    super();
    this.#list = list;
    this.#store = store;
    this.#resizes = new ResizeObserver((entries) => this.#resized(entries));
    this.#resizes.observe(list);
    store.addEventListener("change", () => { this.#stale = true; this.schedule(); });
    addEventListener("scroll", () => this.schedule(), {passive: true});
    addEventListener("resize", () => this.schedule());
    for (const [type, printing] of [["beforeprint", true], ["afterprint", false]]) {
      addEventListener(type, () => { this.#printing = printing; this.render(); });
    }
  }

  /** Show the list as it is before the next frame. */
  schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.render();
    });
  }

  /** Return the row that an element is in, and its view. */
  viewOf(element) {
    const item = element.closest("li");
    return [...this.#views.values()].find((view) => view.element === item) ?? null;
  }

  /** Return the row that has the focus, or null. */
  get focused() {
    const element = document.activeElement;
    return this.#list.contains(element) ? this.viewOf(element).row : null;
  }

  /** Put an editor into a row, wherever that is; null puts back what is seen. */
  edit(row, editor) {
    if (editor === null) this.#editors.delete(row);
    else this.#editors.set(row, editor);
    this.#views.get(row)?.edit(editor);
    this.#stale = true;
    this.render();
  }

  /** Set the focus on a part of a row, wherever the row is; false where it is not in the list. */
  focus(row, part) {
    const index = this.#store.rows.indexOf(row);
    if (index < 0) return false;
    this.#reveal(index);
    this.#views.get(row).focus(part);
    return true;
  }

  #reveal(index) {
    this.render();
    const row = this.#store.rows[index];
    if (!this.#views.has(row)) {
      scrollTo({top: this.#offset() + this.#tops[index] - innerHeight / 2, behavior: "instant"});
      this.render();
    }
    this.#views.get(row).element.scrollIntoView({block: "nearest", behavior: "instant"});
    this.render();
  }

  // --- Rendering -------------------------------------------------------------------------------

  /** Show the list as it is. */
  render() {
    const rows = this.#store.rows;
    const focus = this.#focused();
    const anchor = this.#anchor();
    const slide = this.#leaves();
    if (this.#stale) this.#layOut();
    const [first, last] = this.#visible();
    const indexes = this.#withPinned(first, last);
    this.#remove(new Set(indexes.map((index) => rows[index])));
    const fresh = this.#insert(indexes);
    this.#measure(fresh);
    this.#space(indexes);
    this.#keep(anchor);
    slide();
    this.#restore(focus);
    this.onrendered();
    if (last + MORE_WHEN >= rows.length && !this.#store.complete) this.onnearend();
  }

  /** Return what closes the gaps of rows that have left the list; another list is there at once. */
  #leaves() {
    const views = [...this.#views.values()];
    const isAnother = this.#query !== this.#store.query;
    this.#query = this.#store.query;
    if (isAnother || views.every(({row}) => row.placed)) return () => {};
    return collapse(views.map(({element}) => element));
  }

  #layOut() {
    const rows = this.#store.rows;
    if (this.#tops.length <= rows.length) this.#tops = new Float64Array(rows.length * 2 + 1);
    let top = 0;
    for (let index = 0; index < rows.length; index++) {
      this.#tops[index] = top;
      top += this.#height(rows[index]);
    }
    this.#tops[rows.length] = top;
    this.#stale = false;
  }

  #height(row) {
    return this.#heights.get(row) ?? this.#guesses[kind(row)];
  }

  #offset() {
    return this.#list.getBoundingClientRect().top + scrollY;
  }

  /** Return the first row in or near the viewport, and the one after the last; on paper, all. */
  #visible() {
    const top = -this.#list.getBoundingClientRect().top;
    const size = this.#store.rows.length;
    if (this.#printing) return [0, size];
    return [this.#find(top - AHEAD), Math.min(size, this.#find(top + innerHeight + AHEAD) + 1)];
  }

  /** Return the last row that begins at or above a height. */
  #find(height) {
    let [low, high] = [0, this.#store.rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#tops[middle + 1] <= height) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #withPinned(first, last) {
    const indexes = Array.from({length: Math.max(0, last - first)}, (_, offset) => first + offset);
    for (const view of this.#views.values()) {
      if (!view.editor && !view.element.contains(document.activeElement)) continue;
      const index = this.#store.rows.indexOf(view.row);
      if (index >= 0 && (index < first || index >= last)) indexes.push(index);
    }
    return indexes.sort((one, other) => one - other);
  }

  #remove(kept) {
    for (const [row, view] of this.#views) {
      if (kept.has(row)) continue;
      this.#resizes.unobserve(view.element);
      view.element.remove();
      this.#views.delete(row);
    }
  }

  #insert(indexes) {
    const [now, rows] = [new Date(), this.#store.rows];
    const size = this.#store.complete ? rows.length : -1;
    const fresh = [];
    let next = this.#list.firstElementChild;
    for (const index of indexes) {
      const row = rows[index];
      let view = this.#views.get(row);
      if (view === undefined) {
        view = new RowView(row);
        view.edit(this.#editors.get(row) ?? null);
        this.#views.set(row, view);
        this.#resizes.observe(view.element);
        fresh.push(view);
      }
      view.update(index + 1, size, now, this.#heading(rows, index, now));
      view.choose(this.isChosen(row));
      if (view.element === next) next = next.nextElementSibling;
      else this.#list.insertBefore(view.element, next);
    }
    return fresh;
  }

  /** Return the heading above a row, where the list is by days and another begins with it; or ''. */
  #heading(rows, index, now) {
    const {query} = this.#store;
    const heading = query.heading(rows[index], now);
    return heading && index > 0 && query.heading(rows[index - 1], now) === heading ? "" : heading;
  }

  #measure(views) {
    for (const view of views) this.#learnHeight(view, view.element.getBoundingClientRect().height);
    if (this.#stale) this.#layOut();
  }

  #learnHeight({row, editor, heading}, height) {
    if (Math.abs(height - this.#height(row)) > 0.01) this.#stale = true;
    this.#heights.set(row, height);
    if (!editor && !heading && row.task && row.task.title.length < 40) this.#guesses[kind(row)] = height;
  }

  /** Leave room for the rows that are not in the document. */
  #space(indexes) {
    const rows = this.#store.rows;
    let bottom = 0;
    for (const index of indexes) {
      const gap = this.#tops[index] - bottom;
      this.#views.get(rows[index]).element.style.marginTop = gap > 0.01 ? `${gap}px` : "";
      bottom = this.#tops[index] + this.#height(rows[index]);
    }
    const rest = this.#tops[rows.length] - bottom;
    this.#list.style.paddingBottom = rest > 0.01 ? `${rest}px` : "";
  }

  // --- What stays where it is ------------------------------------------------------------------

  /** Return the row at the top of the viewport, and where it is; null if the list begins there. */
  #anchor() {
    if (this.#list.getBoundingClientRect().top >= 0) return null;
    let found = null;
    for (const view of this.#views.values()) {
      const {top, bottom} = view.element.getBoundingClientRect();
      if (bottom > 0 && (found === null || top < found.top)) found = {view, top};
    }
    return found;
  }

  #keep(anchor) {
    if (anchor === null || !anchor.view.element.isConnected) return;
    const moved = anchor.view.element.getBoundingClientRect().top - anchor.top;
    if (Math.abs(moved) > 0.5) scrollBy({top: moved, behavior: "instant"});
  }

  #focused() {
    const element = document.activeElement;
    const view = element && this.#list.contains(element) ? this.viewOf(element) : null;
    if (view === null) return null;
    const index = [...this.#list.children].indexOf(view.element);
    return {element, index};
  }

  /**
   * Give the focus back where moving its row took it. Where the row is gone, its neighbour's title
   * gets it: the next key must not tick or delete a task that nobody chose.
   */
  #restore(focus) {
    if (focus === null || document.activeElement === focus.element) return;
    if (focus.element.isConnected) {
      focus.element.focus({preventScroll: true});
      return;
    }
    const items = this.#list.children;
    const neighbour = items[Math.min(focus.index, items.length - 1)];
    if (neighbour) this.viewOf(neighbour).focus();
    else this.dispatchEvent(new Event("emptied"));
  }

  #resized(entries) {
    for (const {target, contentRect} of entries) {
      if (target === this.#list) this.#adapt(contentRect.width);
      const view = this.viewOf(target);
      if (view) this.#learnHeight(view, target.getBoundingClientRect().height);
    }
    if (this.#stale) this.schedule();
  }

  /** Forget the heights of rows that were less wide, or more. */
  #adapt(width) {
    if (width === this.#width) return;
    this.#width = width;
    this.#heights = new WeakMap();
    this.#stale = true;
  }
}

function kind({lastTask: {description, due_date: due, priority = "none"}}) {
  return description || due !== undefined || priority !== "none" ? "rich" : "plain";
}
