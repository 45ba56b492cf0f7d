/** The page: its parts, put together. */
import {Access} from "./access.js";
import {Api, ApiError} from "./api.js";
import {Composer} from "./composer.js";
import {ConflictDialog} from "./conflict.js";
import {Connection} from "./connection.js";
import {dayInWords, onNewDay} from "./dates.js";
import {find, setText} from "./dom.js";
import {Editor} from "./editor.js";
import {Filters} from "./filters.js";
import {ListView} from "./list-view.js";
import {Notices} from "./notices.js";
import {TaskQuery} from "./query.js";
import {Status, countInWords} from "./status.js";
import {TaskStore} from "./store.js";
import {difference, member, patched, shortTitle} from "./task.js";

const LINGER = 1_500;

class App {
  notices = new Notices();
  status = new Status();
  conflicts = new ConflictDialog();
  access = new Access();
  api = new Api(this.access);
  connection = new Connection(this.api);
  store = new TaskStore(this.api, this.connection, {
    choose: (conflict) => this.conflicts.choose(conflict),
    report: (error, row, again) => this.report(error, row, again)});
  list = new ListView(find("#list"), this.store);
  composer = new Composer((task) => this.add(task));
  filters = new Filters(() => this.load());
  lingering = new Map();

  start() {
    this.store.addEventListener("change", () => this.show());
    this.store.addEventListener("load", () => this.notices.announce(this.inWords()));
    this.connection.addEventListener("state", () => this.tellState());
    this.list.onnearend = () => this.store.more();
    this.list.addEventListener("emptied", () => this.composer.focus());
    this.listen(find("#list"));
    find("#retry").addEventListener("click", () => this.connection.retry());
    find("#reload").addEventListener("click", () => this.store.load());
    find("#clear").addEventListener("click", () => {
      this.filters.clear();
      find("#search").focus();
    });
    addEventListener("beforeunload", (event) => {
      if (this.store.unsaved) event.preventDefault();
    });
    onNewDay(() => { this.showDay(); this.load(); });
    setInterval(() => this.list.schedule(), 60_000);  // what was due by now is late
    this.showDay();
    this.load();
  }

  load() {
    this.store.load(new TaskQuery(this.filters.choices));
  }

  show() {
    this.status.show(this.connection, this.store, this.filters.choices);
  }

  showDay() {
    setText(find("#today"), dayInWords(new Date()));
  }

  inWords() {
    return this.store.rows.length ? countInWords(this.store) : "No tasks";
  }

  tellState() {
    this.show();
    const {state} = this.connection;
    if (state === "away") this.notices.announce("The service is away.");
    if (state === "live" && this.wasAway) this.notices.announce("The service is back.");
    this.wasAway = state === "away" || (this.wasAway && state !== "live");
  }

  // --- What the user does ----------------------------------------------------------------------

  add(task) {
    const row = this.store.create(task);
    const said = `Added “${shortTitle(task)}”.`;
    if (row.placed || this.store.phase === "loading") this.notices.announce(said);
    else this.notices.tell(`${said} It is not among the tasks shown here.`);
  }

  tick(row) {
    const before = row.version;
    const completed = !member(row.task, "completed");
    this.linger(row);
    this.store.write(row, patched(row.task, {completed: completed || null}));
    const said = completed ? "Done" : "To do again";
    const undo = this.undo(row, before, row.version);
    this.notices.tell(`${said}: “${shortTitle(row.task)}”.`, undo);
  }

  /** Leave what was just ticked where it is, so that nothing moves while more is being ticked. */
  linger(row) {
    if (!this.lingering.has(row)) this.store.hold(row);
    this.lingering.set(row, null);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const rows = [...this.lingering.keys()];
      this.lingering.clear();
      rows.forEach((each) => this.store.release(each));
    }, LINGER);
  }

  remove(row) {
    const before = row.version;
    const title = shortTitle(row.task);
    this.store.write(row, null);
    this.notices.tell(`Deleted “${title}”.`, this.undo(row, before, row.version));
  }

  /** Offer to take a change back, unless somebody changes the task again. */
  undo(row, before, after) {
    return {label: "Undo", run: () => {
      const task = before.task && after.task
        ? patched(after.task, difference(after.task, before.task)) : before.task;
      this.store.write(row, task, after);
      this.list.focus(row);
      this.notices.announce(`Undone: “${shortTitle(before.task)}”.`);
    }};
  }

  edit(row) {
    const view = this.list.view(row);
    if (view.editor || row.task === null) return;
    this.store.hold(row);
    view.edit(new Editor(row, {
      save: (task, seen) => {
        this.close(row);
        if (Object.keys(difference(seen.task, task)).length === 0) return;
        this.store.write(row, task, seen);
        if (!this.list.focus(row)) this.composer.focus();
        this.notices.announce(`Saved “${shortTitle(task)}”.`);
      },
      cancel: () => this.close(row),
      delete: () => { this.close(row); if (row.task) this.remove(row); },
      changed: (text) => { if (text) this.notices.announce(text); },
    }));
    this.list.focus(row);
  }

  close(row) {
    this.list.view(row).edit(null);
    this.list.view(row).focus();
    this.store.release(row);
  }

  report(error, row, again) {
    if (!(error instanceof ApiError)) throw error;
    const task = row.lastTask;
    const said = `“${shortTitle(task)}” was not saved: ${error.message}.`;
    const retry = error.status === 401 || error.status === 403
      ? {label: "Use another token", run: () => this.access.change().then(again)}
      : {label: "Try again", run: again};
    this.notices.tell(said, retry, "error");
  }

  // --- Mouse and keys in the list ----------------------------------------------------------------

  listen(list) {
    const row = (event) => this.list.viewOf(event.target)?.row;
    const ACTIONS = {
      title: (event) => this.edit(row(event)),
      delete: (event) => this.remove(row(event)),
      description: (event) => this.edit(row(event)),
    };
    list.addEventListener("click", (event) => {
      ACTIONS[event.target.closest("[data-part]")?.dataset.part]?.(event);
    });
    list.addEventListener("change", (event) => {
      if (event.target.dataset.part === "done") this.tick(row(event));
    });
    list.addEventListener("keydown", (event) => {
      if (event.target.dataset.part && this.key(event, row(event))) event.preventDefault();
    });
  }

  /** Do what a key asks for on a row; tell whether it was anything. */
  key(event, row) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const {rows} = this.store;
    const go = (index) => {
      const next = rows[Math.max(0, Math.min(rows.length - 1, index))];
      return this.list.focus(next, event.target.dataset.part);
    };
    switch (event.key) {
      case "ArrowDown": return go(rows.indexOf(row) + 1);
      case "ArrowUp": return go(rows.indexOf(row) - 1);
      case "Home": return go(0);
      case "End": return go(rows.length - 1);
      case "Delete": this.remove(row); return true;
      case "F2": this.edit(row); return true;
      default: return false;
    }
  }
}

new App().start();
