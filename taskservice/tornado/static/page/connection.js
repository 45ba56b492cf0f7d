/** Whether the service can be reached, and what it tells of changes while it can. */
import {ApiError, AwayError} from "./api.js";
import {readEvents} from "./events.js";

const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 10_000;
const HIDDEN_FOR = 60_000;

/**
 * `state` is "connecting", "live" or "away"; a "state" event tells when it becomes another.
 */
export class Connection extends EventTarget {
  state = "connecting";
  #api;
  #stream = "connecting";
  #waiting = new Set();
  #position = null;
  #following = null;
  #handlers = null;
  #wake = new EventTarget();
  #retries = 0;

  /** @param {import("./api.js").Api} api */
  constructor(api) {
    super();
    this.#api = api;
    addEventListener("online", () => this.retry());
    this.#restWhileHidden();
  }

  /**
   * Follow the changes after a revision, from now on and whatever happens. Where they cannot be
   * told any more, `expired` has to list again and return the revision to go on from.
   * @param {{change: (change: object) => void, expired: () => Promise<number>}} handlers
   */
  follow(revision, handlers) {
    this.#position = revision;
    this.#handlers = handlers;
    this.#resume();
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
    const longer = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** failures);
    const backoff = longer * (0.75 + Math.random() / 2);  // so that not all come back at once
    await new Promise((done) => {
      const timer = setTimeout(done, Math.max(backoff, atLeast));
      this.#wake.addEventListener("now", () => { clearTimeout(timer); done(); }, {once: true});
    });
  }

  #resume() {
    if (this.#following !== null || this.#position === null) return;
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
    this.#become("live");
    this.retry();
    opened();
    for await (const {id, data} of readEvents(body)) {
      if (data !== null) this.#handlers.change(JSON.parse(data));
      if (id !== null) this.#position = Number(id);
    }
  }

  async #open(signal) {
    for (;;) {
      try {
        return await this.#api.changes(this.#position, signal);
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 410)) throw error;
        this.#position = await this.#handlers.expired();
      }
    }
  }

  #become(stream) {
    this.#stream = stream;
    this.#update();
  }

  #update() {
    const state = this.#waiting.size ? "away" : this.#stream;
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  /** Let go of the stream in a tab that nobody looks at: a browser has six for a service. */
  #restWhileHidden() {
    let timer;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(timer);
      if (document.hidden) timer = setTimeout(() => this.#rest(), HIDDEN_FOR);
      else {
        this.#resume();
        this.retry();
      }
    });
    addEventListener("pagehide", () => this.#rest());
    addEventListener("pageshow", () => this.#resume());
  }
}
