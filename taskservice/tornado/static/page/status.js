/** What is said of the list as a whole, and of the service. */
import {find, setText} from "./dom.js";
import {isNarrow} from "./query.js";

const EMPTY = {
  welcome: ["Welcome", "There are no tasks yet. Type the first one at the top, and press Enter."],
  today: ["All done for today", "What is due today, or overdue, is shown here."],
  upcoming: ["Nothing is planned", "Tasks with a date after today are shown here, day by day."],
  todo: ["All done", "Nothing is left to do. What comes next goes in at the top."],
  done: ["Nothing done yet", "What you tick off is kept here."],
  narrow: ["No match", "No task in this view matches."],
};

export class Status {
  #state = find("#connection");
  #away = find("#away");
  #refused = find("#refused");
  #empty = find("#empty");
  #failed = find("#failed");
  #skeleton = find("#skeleton");
  #list = find("#list");
  #more = find("#more");
  #count = find("#count");

  /** Show how it stands. */
  show(connection, store, choices) {
    this.#showConnection(connection, store);
    const rows = store.rows.length;
    const [loading, failed] = ["loading", "failed"].map((phase) => store.phase === phase);
    this.#list.setAttribute("aria-busy", String(loading));
    this.#skeleton.hidden = !loading || rows > 0;
    this.#more.hidden = store.complete || loading || failed || !rows;
    this.#failed.hidden = !failed;
    setText(find("#reason"), store.reason);
    const kind = loading || failed || rows > 0 || !store.complete ? "" : this.#kind(store, choices);
    this.#showEmpty(kind);
    find("#clear").hidden = kind !== "narrow";
    find("#everywhere").hidden = kind !== "narrow" || choices.show === "all";
    find("#local").hidden = !store.local;
    setText(this.#count, rows && !failed ? countInWords(store) : "");
  }

  #kind(store, choices) {
    if (store.isBlank) return "welcome";
    if (isNarrow(choices)) return "narrow";
    return choices.show === "all" ? "todo" : choices.show;
  }

  #showEmpty(kind) {
    this.#empty.hidden = kind === "";
    if (kind === "") return;
    const [heading, text] = EMPTY[kind];
    setText(find("#empty-heading"), heading);
    setText(find("#empty-text"), text);
    for (const picture of this.#empty.querySelectorAll("[data-picture]")) {
      picture.toggleAttribute("hidden", picture.dataset.picture !== kind);
    }
  }

  #showConnection({state}, {unsaved, refused}) {
    this.#state.dataset.state = state;
    this.#state.dataset.unsaved = unsaved;
    this.#state.hidden = state !== "away";
    setText(this.#state, state === "away" ? "Away" : "");
    this.#away.hidden = state !== "away";
    setText(find("#away-text"), unsaved
      ? `The service is away. ${changes(unsaved, "waits", "wait")} to be saved.`
      : "The service is away. The page goes on when it is back.");
    this.#refused.hidden = !refused;
    setText(find("#refused-text"), `${changes(refused, "is", "are")} not saved.`);
  }
}

function changes(count, one, more) {
  return count === 1 ? `1 change ${one}` : `${count} changes ${more}`;
}

/** Return how many tasks there are, in words, as far as that is known. */
export function countInWords({rows, complete}) {
  const count = rows.length.toLocaleString();
  return rows.length === 1 && complete ? "1 task" : `${count}${complete ? "" : "+"} tasks`;
}
