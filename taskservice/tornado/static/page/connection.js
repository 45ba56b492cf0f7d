/** Whether the service can be reached, and its stream of changes. */
import {ApiError, AwayError} from "./api.js";
import {readEvents} from "./events.js";
import {Leader} from "./leader.js";
import {nameHere} from "./place.js";

const FIRST_PAUSE = 250;
const MAX_PAUSE = 10_000;

/** The channel on which the tabs that have the same token share a stream. */
const CHANNEL = nameHere(".stream");
const LOCATE_TIMEOUT = 2_000;

/**
 * `state` is "connecting", "live" or "away"; a "state" event says that it changed.
 */
export class Connection extends EventTarget {
  state = "connecting";
  #api;
  #stream = "connecting";
  #waiting = new Set();
  #position = null;
  #listedBlindly = false;
  #anew = false;
  #following = null;
  #handlers = null;
  #leader = null;
  #channel = null;
  #tab;
  #token;
  #wake = new EventTarget();
  #retries = 0;

  /**
   * @param {import("./api.js").Api} api
   * @param {string} tab this tab's name
   * @param {() => string | null} token
   */
  constructor(api, tab, token) {
    super();
    this.#api = api;
    this.#tab = tab;
    this.#token = token;
    addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.retry(); });
    this.#leaveWhileGone();
  }

  /**
   * Follow the changes from now on, whatever happens. Where some are missing, or lists were
   * read before the position of the stream was known, `reset` has to list again.
   * @param {{change: (change: object) => void, reset: () => void}} handlers
   */
  follow(handlers) {
    this.#handlers = handlers;
    this.#join().start();
  }

  /** Find the tabs that have the same token; return how one of them comes to lead. */
  #join() {
    this.#leader?.leave();
    this.#channel?.close();
    this.#channel = new BroadcastChannel(`${CHANNEL}.${this.#token() ?? ""}`);
    const leader = new Leader(
      this.#tab, this.#channel, () => ({stream: this.#stream, position: this.#position}));
    leader.addEventListener("lead", () => this.#resume());
    leader.addEventListener("yield", () => this.#rest());
    leader.addEventListener("message", ({detail}) => this.#hear(detail));
    this.#leader = leader;
    return leader;
  }

  /** Handle a message of the tab that leads. */
  #hear({stream, position, before, change, anew}) {
    if (change && before === this.#position) {
      this.#handlers.change(change);
      this.#locate(position);
    } else if (position !== null && (anew || position > (this.#position ?? -1))) {
      const missed = this.#position !== null;
      this.#locate(position);
      if (missed) this.#handlers.reset();
    }
    if (stream === "live" && this.#stream !== "live") this.retry();
    this.#become(stream);
  }

  /** The revision up to which changes were received; null where it is not known yet. */
  get position() {
    return this.#position;
  }

  /** Await the position, but not for long: a list that is read without one is read again later. */
  async located() {
    if (this.#position !== null || this.#stream === "away") return;
    const listening = new AbortController();
    await new Promise((done) => {
      const options = {signal: listening.signal};
      setTimeout(done, LOCATE_TIMEOUT);
      this.addEventListener("located", done, options);
      this.addEventListener("state", () => { if (this.state === "away") done(); }, options);
    });
    listening.abort();
    this.#listedBlindly ||= this.#position === null;
  }

  /** Send a request again and again until the service answers it; what it refuses is thrown. */
  async persist(request, signal = undefined) {
    const ticket = {};
    try {
      for (let failures = 0; ; failures++) {
        signal?.throwIfAborted();
        const since = this.#retries;
        try {
          const answer = await request();
          if (this.#stream === "away") this.retry();  // the service is back
          return answer;
        } catch (error) {
          if (!(error instanceof AwayError)) throw error;
          this.#waiting.add(ticket);
          this.#update();
          await this.#pause(failures, since, error.retryAfter);
        }
      }
    } finally {
      this.#waiting.delete(ticket);
      this.#update();
    }
  }

  /** Try again now, whatever is waiting to. */
  retry() {
    this.#retries++;
    this.#wake.dispatchEvent(new Event("now"));
  }

  /** Wait before another try, unless a retry came `since` the one that failed began. */
  async #pause(failures, since, atLeast = 0) {
    if (this.#retries !== since) return;
    const longer = Math.min(MAX_PAUSE, FIRST_PAUSE * 2 ** failures);
    const backoff = longer * (0.75 + Math.random() / 2);  // so that not all come back at once
    await new Promise((done) => {
      const timer = setTimeout(done, Math.max(backoff, atLeast));
      this.#wake.addEventListener("now", () => { clearTimeout(timer); done(); }, {once: true});
    });
  }

  #resume() {
    if (this.#following !== null) return;
    this.#following = new AbortController();
    this.#run(this.#following.signal);
  }

  #rest() {
    this.#following?.abort();
    this.#following = null;
  }

  async #run(signal) {
    for (let failures = 0; !signal.aborted; failures++) {
      let since = this.#retries;
      try {
        await this.#read(signal, () => { [failures, since] = [0, this.#retries]; });
        this.#become("connecting");  // it ended as it should: the service restarts, or cut us off
      } catch (error) {
        if (signal.aborted) return;
        this.#become("away");
      }
      await this.#pause(failures, since);
    }
  }

  async #read(signal, opened) {
    const body = await this.#open(signal);
    if (!this.#channel.name.endsWith(`.${this.#token() ?? ""}`)) this.#join().claim();
    this.#become("live");
    this.retry();
    opened();
    for await (const {id, data} of readEvents(body)) {
      const change = data === null ? null : JSON.parse(data);
      const before = this.#position;
      if (change) this.#handlers.change(change);
      if (id !== null) this.#locate(Number(id));
      this.#leader.broadcast({stream: this.#stream, position: this.#position, before, change, anew: this.#anew});
      this.#anew &&= this.#position === null;
    }
  }

  #locate(position) {
    const first = this.#position === null;
    this.#position = position;
    if (!first) return;
    this.dispatchEvent(new Event("located"));
    if (this.#listedBlindly) this.#handlers.reset();
    this.#listedBlindly = false;
  }

  async #open(signal) {
    try {
      return await this.#api.changes(this.#position, signal);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 410)) throw error;
      this.#position = null;
      this.#listedBlindly = true;
      this.#anew = true;  // other tabs may be at a later position of a store that is no more
      return this.#api.changes(null, signal);
    }
  }

  #become(stream) {
    const other = stream !== this.#stream;
    this.#stream = stream;
    if (other) this.#leader?.beat();
    this.#update();
  }

  #update() {
    const state = this.#waiting.size ? "away" : this.#stream;
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  /** Leave the stream to other tabs when the page goes, and take it again where it comes back. */
  #leaveWhileGone() {
    let led = false;
    addEventListener("pagehide", () => {
      led = this.#leader?.leads ?? false;
      this.#leader?.leave();
      this.#rest();
    });
    addEventListener("pageshow", () => { if (led) this.#leader.claim(); });
  }
}
