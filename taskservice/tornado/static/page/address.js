/**
 * The one place that knows the address bar: which tasks are shown, in which order, and how far they
 * are scrolled. Views are steps of Back and Forward; filters and sorts change the step one is at.
 */
import {choicesFrom, choicesOf, searchOf} from "./query.js";

const SCROLL_TIMEOUT = 5_000;

/** A "change" event says that there are other choices. */
export class Address extends EventTarget {
  choices = choicesFrom(location.search);
  #scroll = history.state?.scroll ?? 0;
  #until = performance.now() + SCROLL_TIMEOUT;

  constructor() {
    super();
    history.scrollRestoration = "manual";
    addEventListener("popstate", ({state}) => {
      this.choices = choicesFrom(location.search);
      this.#scrollTo(state?.scroll ?? 0);
      this.#changed();
    });
    addEventListener("scrollend", () => this.#keepScroll());
    addEventListener("pagehide", () => this.#keepScroll());
    for (const type of ["wheel", "touchmove", "keydown", "pointerdown"]) {
      addEventListener(type, () => { this.#scroll = null; }, {passive: true});
    }
  }

  /** Return the address of a view. */
  static of(show) {
    return `./${searchOf(choicesOf(show))}`;
  }

  /** Go to a view: what is filtered stays, its order is the view's own. */
  go(show) {
    const {due: _, sort: __, ...kept} = this.choices;
    const next = {...choicesOf(show), ...kept, show};
    if (searchOf(next) === searchOf(this.choices)) return;
    this.#keepScroll();
    this.choices = next;
    history.pushState(null, "", location.pathname + searchOf(next));
    this.#scrollTo(0);
    this.#changed();
  }

  /** Change filters or the sort of the view. */
  set(choices) {
    const next = {...this.choices, ...choices};
    if (searchOf(next) === searchOf(this.choices)) return;
    this.choices = next;
    history.replaceState(history.state, "", location.pathname + searchOf(next));
    this.#changed();
  }

  /** Scroll to where the page was before a reload, or when this step was left, once that is there. */
  restoreScroll() {
    if (this.#scroll === null) return;
    scrollTo({top: this.#scroll, behavior: "instant"});
    const there = Math.abs(scrollY - this.#scroll) < 2;
    if (there || performance.now() > this.#until) this.#scroll = null;
  }

  #scrollTo(top) {
    this.#scroll = top;
    this.#until = performance.now() + SCROLL_TIMEOUT;
  }

  #keepScroll() {
    if (this.#scroll === null) history.replaceState({...history.state, scroll: scrollY}, "");
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
