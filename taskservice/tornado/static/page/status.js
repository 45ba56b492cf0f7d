/** What is told about the list as a whole, and about the service. */
import {find, setText} from "./dom.js";
import {isNarrow} from "./query.js";

const STATES = {connecting: "Connecting", live: "Live", away: "Away"};

const EMPTY = {
  todo: ["All done", "Nothing is left to do. What comes next goes in at the top."],
  done: ["Nothing done yet", "What you tick off is kept here."],
  all: ["A clean sheet", "Write down the first thing at the top, and press Enter."],
  narrow: ["No match", "No task is like that."],
};

export class Status {
  #state = find("#connection");
  #away = find("#away");
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
    this.#empty.hidden = loading || failed || rows > 0 || !store.complete;
    const [heading, text] = EMPTY[isNarrow(choices) ? "narrow" : choices.show];
    setText(find("#empty-heading"), heading);
    setText(find("#empty-text"), text);
    find("#clear").hidden = !isNarrow(choices);
    setText(this.#count, rows ? countInWords(store) : "");
  }

  #showConnection({state}, {unsaved}) {
    this.#state.dataset.state = state;
    setText(find("#connection-text"), STATES[state]);
    this.#away.hidden = state !== "away";
    const waiting = unsaved === 1 ? "1 change waits" : `${unsaved} changes wait`;
    setText(find("#away-text"), unsaved
      ? `The service is away. ${waiting} to be saved.`
      : "The service is away. The page goes on when it is back.");
  }
}

/** Tell how many tasks there are, as far as that is known. */
export function countInWords({rows, complete}) {
  const count = rows.length.toLocaleString();
  return rows.length === 1 && complete ? "1 task" : `${count}${complete ? "" : "+"} tasks`;
}
