/** What a user is asked when somebody else was faster: both versions, and which one to keep. */
import {DATE_LANGUAGE, dueInWords} from "./dates.js";
import {find, make} from "./dom.js";
import {MEMBERS, member, shortTitle} from "./task.js";

const NAMES = {
  title: "Title", description: "Description", priority: "Priority", completed: "Done",
  due_date: "Due"};

const WORDS = {
  changed: {
    heading: "Somebody else changed this task",
    mine: "Keep mine", theirs: "Keep theirs"},
  gone: {
    heading: "Somebody else deleted this task",
    mine: "Bring it back, as mine", theirs: "Leave it deleted"},
  deleting: {
    heading: "Somebody else changed the task that you deleted",
    mine: "Delete it all the same", theirs: "Keep it"},
};

export class ConflictDialog {
  #dialog = find("#conflict-dialog");
  #turn = Promise.resolve();

  constructor() {
    this.#dialog.addEventListener("cancel", (event) => event.preventDefault());
  }

  /** Ask which version to keep; several conflicts are asked about one after the other. */
  choose(conflict) {
    const turn = this.#turn.then(() => this.#ask(conflict));
    this.#turn = turn;
    return turn;
  }

  async #ask({mine, theirs}) {
    const words = WORDS[theirs === null ? "gone" : mine === null ? "deleting" : "changed"];
    find("#conflict-heading").textContent = words.heading;
    show(find("#conflict-mine"), mine, theirs, "You deleted it.");
    const gone = `“${shortTitle(theirs ?? mine)}” is not there any more.`;
    show(find("#conflict-theirs"), theirs, mine, gone);
    find("#keep-mine").textContent = words.mine;
    find("#keep-theirs").textContent = words.theirs;
    // The heading has the focus next, so that one Enter too many chooses nothing.
    const focused = document.activeElement;
    this.#dialog.returnValue = "";
    while (!this.#dialog.returnValue) {  // browsers close a dialog at a second Escape in any case
      if (!this.#dialog.open) this.#dialog.showModal();
      await new Promise((done) => this.#dialog.addEventListener("close", done, {once: true}));
    }
    if (focused?.isConnected) focused.focus({preventScroll: true});
    return this.#dialog.returnValue;
  }
}

/** Show a version, and mark where it is not as the other. */
function show(place, task, other, absent) {
  if (task === null) {
    place.replaceChildren(make("p", "absent", absent));
    return;
  }
  const facts = document.createElement("dl");
  for (const name of MEMBERS) {
    const value = inWords(task, name);
    const differs = other !== null && value !== inWords(other, name);
    if (!value && !differs) continue;
    const fact = make("dd", differs ? "differs" : "", value || "none");
    if (name === "due_date" && value) fact.lang = DATE_LANGUAGE;
    if (differs) fact.prepend(make("span", "visually-hidden", "differs: "));
    facts.append(make("dt", "", NAMES[name]), fact);
  }
  place.replaceChildren(facts);
}

function inWords(task, name) {
  const value = member(task, name);
  if (name === "completed") return value ? "yes" : "no";
  if (name === "priority") return value === "none" ? "" : value;
  if (name === "due_date") return value === null ? "" : dueInWords(value, new Date()).full;
  return value;
}
