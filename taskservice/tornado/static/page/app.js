/** The page: its parts, put together. */
import {Access} from "./access.js";
import {Actions} from "./actions.js";
import {Address} from "./address.js";
import {Api} from "./api.js";
import {Composer} from "./composer.js";
import {ConflictDialog} from "./conflict.js";
import {BulkBar} from "./bulk.js";
import {Connection} from "./connection.js";
import {countsOf} from "./counts.js";
import {onNewDay} from "./dates.js";
import {Delivery} from "./delivery.js";
import {Disk} from "./disk.js";
import {find, focusList, isTyping, takesText} from "./dom.js";
import {Drafts} from "./drafts.js";
import {Editing} from "./editing.js";
import {Filters} from "./filters.js";
import {History} from "./history.js";
import {Ids} from "./ids.js";
import {keepPage} from "./install.js";
import {Journal} from "./journal.js";
import {ListControl} from "./list-control.js";
import {ListView} from "./list-view.js";
import {Menu} from "./menu.js";
import {Notices} from "./notices.js";
import {resolved} from "./operation.js";
import {Outbox} from "./outbox.js";
import {Presence} from "./presence.js";
import {TaskQuery} from "./query.js";
import {Selection} from "./selection.js";
import {Shortcuts} from "./shortcuts.js";
import {Status, countInWords} from "./status.js";
import {TaskStore} from "./store.js";
import {shortTitle} from "./task.js";

const COUNT_EVERY = 300;
const ADOPT_EVERY = 5_000;

class App {
  access = new Access();
  api = new Api(this.access);
  presence = new Presence();
  connection = new Connection(this.api, this.presence.tab, () => this.access.token);
  delivery = new Delivery(this.api, this.connection, () => this.store.ledger);
  outbox = new Outbox(
    new Disk(this.presence.tab, () => this.presence.alive(), new Journal(this.presence.tab, storage())),
    (operation) => this.delivery.deliver(operation));
  store = new TaskStore(this.api, this.connection, this.outbox);
  history = new History();
  actions = new Actions(this.store, this.outbox, this.history, new Ids(() => this.api.now()));
  address = new Address();
  drafts = new Drafts(sessionStorage);
  notices = new Notices(() => this.walk("undo"));
  status = new Status();
  conflicts = new ConflictDialog();
  filters = new Filters(this.address);
  list = new ListView(find("#list"), this.store);
  composer = new Composer((task) => this.add(task), this.drafts);
  editing = new Editing(this);
  selection = new Selection();
  bulk = new BulkBar(this.store, this.selection, {
    tick: (rows) => this.tick(rows, true),
    remove: (rows) => this.remove(rows),
    change: (rows, patch) => this.change(rows, patch),
  });
  control = new ListControl(find("#list"), this.store, this.list, this.selection, {
    edit: (row) => this.editing.open(row),
    tick: (row) => this.tick([row]),
    remove: (row) => this.remove([row]),
    again: (row) => this.outbox.retry(row.problem),
    discard: (row) => this.notices.undoable(this.actions.discard(row.problem)),
    compare: (row) => this.ask(row.problem),
    token: (row) => this.access.change().then(() => this.outbox.retry(row.problem)),
  });

  shortcuts = new Shortcuts({
    add: () => this.composer.focus(),
    search: () => find("#search").focus(),
    undo: () => this.walk("undo"),
    first: () => this.list.focused === null && this.list.focus(this.store.rows[0]),
    edit: () => this.onTarget(([row]) => this.editing.open(row)),
    remove: () => this.onTarget((rows) => this.remove(rows)),
    change: (patch) => this.onTarget((rows) => this.change(rows, patch)),
  });
  menu = new Menu(this.api, {
    say: (text) => this.notices.say(text), shortcuts: () => this.shortcuts.show()});

  start() {
    this.store.addEventListener("change", () => {
      if (this.linked?.task === null) this.unlink();
      this.show();
    });
    this.store.addEventListener("load", () => this.notices.announce(this.inWords()));
    this.store.addEventListener("load", () => this.begin(), {once: true});
    this.connection.addEventListener("state", () => this.showState());
    this.outbox.addEventListener("outcome", ({detail}) => this.hear(detail));
    this.access.ontyping = (ask) => this.notices.say(
      "The service wants a token before it goes on.", {label: "Give a token", run: ask});
    this.address.addEventListener("change", () => this.load());
    this.list.onnearend = () => this.store.more();
    this.list.onrendered = () => this.address.restoreScroll();
    this.list.addEventListener("emptied", focusList);
    this.list.isChosen = (row) => this.selection.has(row);
    this.selection.addEventListener("change", () => this.list.schedule());
    this.store.addEventListener("load", () => this.showTask(), {once: true});
    addEventListener("hashchange", () => this.showTask());
    this.listen();
    onNewDay(() => this.load());
    setInterval(() => this.list.schedule(), 60_000);  // what was due by now is late
    this.store.follow();
    this.load();
    this.composer.restore();
    this.editing.restore();
    this.adopt();
  }

  listen() {
    find("#retry").addEventListener("click", () => this.connection.retry());
    find("#reload").addEventListener("click", () => this.store.load());
    find("#show-refused").addEventListener("click", () => this.showRefused());
    for (const [id, act] of [["#clear", () => this.filters.clear()], ["#everywhere", () => this.address.go("all")]]) {
      find(id).addEventListener("click", () => {
        act();
        find("#search").focus();
      });
    }
    addEventListener("keydown", (event) => this.key(event));
    addEventListener("beforeunload", (event) => {
      const lost = !this.outbox.kept && this.store.unsaved > 0;
      if (lost || this.composer.dirty || this.editing.dirty) event.preventDefault();
    });
  }

  /** Take over what closed tabs have left to be saved, now and whenever one closes. */
  adopt() {
    this.outbox.adopt();
    this.presence.onleave = () => this.outbox.adopt();
    setInterval(() => this.outbox.adopt(), ADOPT_EVERY);  // one that was killed says nothing
  }

  load() {
    const {choices} = this.address;
    this.composer.inherit(choices.show);
    this.store.load(new TaskQuery(choices));
  }

  show() {
    this.status.show(this.connection, this.store, this.address.choices);
    this.counting ??= setTimeout(() => {
      this.counting = null;
      this.showCounts();
    }, COUNT_EVERY);
  }

  showCounts() {
    const counts = this.store.whole ? countsOf(this.store.ledger.rows.values()) : {};
    const words = Object.entries(counts).map(([view, count]) => [view, count.toLocaleString()]);
    this.filters.showCounts(Object.fromEntries(words));
  }

  /** Once the list is there, begin with the first task where there is none, and keep the page. */
  begin() {
    keepPage((text) => this.notices.say(text));
    if (this.store.isBlank && document.activeElement === document.body) this.composer.focus();
  }

  inWords() {
    return this.store.rows.length ? countInWords(this.store) : "No tasks";
  }

  showState() {
    this.show();
    const {state} = this.connection;
    if (state === "away") this.notices.announce("The service is away.");
    if (state === "live" && this.wasAway) this.notices.announce("The service is back.");
    this.wasAway = state === "away" || (this.wasAway && state !== "live");
  }

  // --- What the user does ----------------------------------------------------------------------

  add(task) {
    const row = this.actions.add(task);
    const said = `Added “${shortTitle(task)}”.`;
    if (row.placed || this.store.phase === "loading") this.notices.announce(said);
    else this.notices.say(`${said} It is not among the tasks shown here.`);
  }

  tick(rows, completed = undefined) {
    const there = rows.filter(({task}) => task !== null);  // a row that is held may show what is gone
    if (!there.length) return;
    this.control.linger(there);
    this.notices.undoable(this.actions.tick(there, completed));
  }

  remove(rows) {
    const there = rows.filter(({task}) => task !== null);
    if (there.length) this.notices.undoable(this.actions.remove(there));
  }

  change(rows, patch) {
    this.notices.undoable(this.actions.change(rows, patch));
  }

  /** Do something to the tasks that are chosen, or to the one that has the focus, if there is one. */
  onTarget(act) {
    const chosen = this.selection.among(this.store.rows);
    const rows = (chosen.length ? chosen : [this.list.focused]).filter((row) => row?.task);
    if (rows.length) act(rows);
    return rows.length > 0;
  }

  /** Show the task that the address names (#id), wherever it is listed. */
  async showTask() {
    const id = location.hash.slice(1);
    if (!/^[a-zA-Z0-9-]{1,128}$/u.test(id) || document.getElementById(id)) return;
    const entry = this.store.task(id) ? null : await this.connection.persist(() => this.api.find(id));
    const row = this.store.row(id, entry?.task, entry?.revision);
    if (row.task === null) {
      this.notices.say("There is no such task (any more).");
      return;
    }
    this.unlink();
    this.linked = row;
    this.store.hold(row);
    this.store.show(row);
    if (!isTyping()) this.list.focus(row);  // somebody may by now
  }

  /** Let the task that the address named go where it belongs: it was deleted, or another is named. */
  unlink() {
    const row = this.linked;
    this.linked = null;
    if (row) this.store.release(row);
  }

  /** Undo or redo. */
  walk(way) {
    const typing = isTyping();
    const outcome = this.history[way]();
    this.notices.close();
    const {said, id} = outcome ?? {said: `There is nothing to ${way}.`};
    if (said.includes("Somebody else")) this.notices.say(said);
    else this.notices.announce(said);
    if (id && !typing) this.list.focus(this.store.row(id));
  }

  key(event) {
    const way = wayOf(event);
    if (way === null || hasText(event.target) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    this.walk(way);
  }

  /** Hear what became of an operation. */
  hear({operation, outcome, asked}) {
    const task = operation.task ?? operation.before;
    if (outcome.state === "conflict" && !asked) this.meet(operation);  // else the row says it, until somebody compares
    if (outcome.state === "refused") this.notices.announce(`“${shortTitle(task)}” is not saved.`);
    if (outcome.gone && operation.kind !== "delete") {
      this.notices.say(`Somebody else has deleted “${shortTitle(task)}” meanwhile.`);
    }
  }

  /** Ask about a conflict, or offer to: a question in the middle of typing would take the keys. */
  meet(operation) {
    if (!isTyping() || document.activeElement.closest("#conflict-dialog")) {
      this.ask(operation);
      return;
    }
    const title = shortTitle(operation.before);
    this.notices.say(
      `Somebody else changed “${title}”, too.`, {label: "Compare", run: () => this.ask(operation)});
  }

  /** Ask which of two versions to keep. */
  async ask(operation) {
    if (!this.outbox.operations.includes(operation)) return;  // it is settled already
    const row = this.store.row(operation.id);
    const theirs = () => row.server.task;
    const choice = await this.conflicts.choose(operation, theirs);
    if (!choice || !this.outbox.operations.includes(operation)) return;
    this.outbox.replace(operation, resolved(operation, choice, theirs()));
    if (choice === "theirs") this.actions.keptTheirs(operation, theirs());
  }

  showRefused() {
    const row = this.store.rows.find(({problem}) => problem !== null);
    if (row) this.list.focus(row);
  }
}

/** Return the browser's storage for all tabs; undefined where it refuses any. */
function storage() {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}

/** Return which way a key walks through what was done: "undo", "redo" or null. */
function wayOf({key, ctrlKey, metaKey, shiftKey, altKey}) {
  if (!(ctrlKey || metaKey) || altKey) return null;
  const letter = key.toLowerCase();
  if (letter === "y") return "redo";
  return letter !== "z" ? null : shiftKey ? "redo" : "undo";
}

/** Return whether there is typing that Ctrl+Z could take back. */
function hasText(element) {
  return takesText(element) && element.value !== "";
}

new App().start();
