/**
 * What a user is asked when others changed the same as they did: what each side made of what was
 * there before, and which one to keep. Escape leaves the choice for later.
 */
import {DATE_LANGUAGE, dueInWords} from "./dates.js";
import {find, make} from "./dom.js";
import {applied} from "./operation.js";
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

  /**
   * Ask which version to keep; several conflicts are asked about one after the other.
   * @param {import("./operation.js").Operation} operation
   * @param {() => import("./task.js").Task | null} theirs as it is when the question is asked
   * @returns {Promise<"mine" | "theirs" | "">} '' for later
   */
  choose(operation, theirs) {
    const turn = this.#turn.then(() => this.#ask(operation, theirs()));
    this.#turn = turn;
    return turn;
  }

  async #ask(operation, theirs) {
    const {before} = operation;
    const mine = applied(operation, null);
    const words = WORDS[theirs === null ? "gone" : mine === null ? "deleting" : "changed"];
    find("#conflict-heading").textContent = words.heading;
    show(find("#conflict-mine"), before, mine, "You deleted it.");
    show(find("#conflict-theirs"), before, theirs, `“${shortTitle(before)}” is not there any more.`);
    find("#keep-mine").textContent = words.mine;
    find("#keep-theirs").textContent = words.theirs;
    // The heading has the focus next, so that one Enter too many chooses nothing.
    const focused = document.activeElement;
    this.#dialog.returnValue = "";
    this.#dialog.showModal();
    await closed(this.#dialog);
    // The user may be elsewhere by now.
    const free = document.activeElement === document.body;
    if (free && focused?.isConnected) focused.focus({preventScroll: true});
    return this.#dialog.returnValue;
  }
}

/** Show what a side made of a task: each member, and what it was before where that is another. */
function show(place, before, task, absent) {
  if (task === null) {
    place.replaceChildren(make("p", "absent", absent));
    return;
  }
  const facts = document.createElement("dl");
  for (const name of MEMBERS) {
    const [value, old] = [inWords(task, name), inWords(before, name)];
    const differs = value !== old;
    if (!value && !differs) continue;
    const fact = make("dd", differs ? "differs" : "");
    fact.dir = "auto";
    if (differs) {
      fact.append(hidden("was "), make("del", "", old || "none"), " ", hidden("now "));
    }
    fact.append(make(differs ? "ins" : "span", "", value || "none"));
    if (name === "due_date" && value) fact.lang = DATE_LANGUAGE;
    facts.append(make("dt", "", NAMES[name]), fact);
  }
  place.replaceChildren(facts);
}

function hidden(text) {
  return make("span", "visually-hidden", text);
}

function inWords(task, name) {
  const value = member(task, name);
  if (name === "completed") return value ? "yes" : "no";
  if (name === "priority") return value === "none" ? "" : value;
  if (name === "due_date") return value === null ? "" : dueInWords(value, new Date()).full;
  return value;
}

/** Await that a dialog is closed: its "close" event waits for a frame, of which a tab in the background shows few. */
async function closed(dialog) {
  await new Promise((done) => {
    new MutationObserver((_, observer) => {
      if (dialog.open) return;
      observer.disconnect();
      done();
    }).observe(dialog, {attributeFilter: ["open"]});
  });
}
