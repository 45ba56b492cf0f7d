/**
 * Which of the tabs follows the changes for all of them: a browser has six connections for a
 * service, however many tabs there are. They agree over a channel that all hear, which needs no https.
 */

const ANSWER_TIMEOUT = 50;
const BEAT_EVERY = 5_000;
const SILENT_AFTER = 12_000;

/**
 * A "lead" event says that this tab leads from now on, a "yield" event that another does. What the
 * leader sends comes to the others as "message" events, with the message in `detail`.
 */
export class Leader extends EventTarget {
  leads = false;
  #name;
  #channel;
  #about;
  #timer;
  #beats = null;

  /**
   * @param {string} name this tab's, unlike any other's
   * @param {{postMessage: (message: object) => void, onmessage: Function}} channel
   * @param {() => object} about returns what the leader says of itself to tabs that ask
   */
  constructor(name, channel, about) {
    super();
    this.#name = name;
    this.#channel = channel;
    this.#about = about;
    channel.onmessage = ({data}) => this.#hear(data);
  }

  /** Find the tab that leads; lead where none answers. */
  start() {
    this.#claimAfter(ANSWER_TIMEOUT);
    this.#post("hello");
  }

  /** Leave it to others. */
  leave() {
    clearTimeout(this.#timer);
    if (!this.leads) return;
    this.#stop();
    this.#post("leave");
  }

  /** As the leader, send the others a message. */
  broadcast(message) {
    if (this.leads) this.#post("message", message);
  }

  /** Say how it stands, as the leader does every few seconds. */
  beat() {
    this.broadcast(this.#about());
  }

  #hear({kind, from, message}) {
    if (kind === "hello") this.beat();
    if (kind === "leave" && !this.leads) this.#claimAfter(Math.random() * ANSWER_TIMEOUT);
    if (kind !== "message") return;
    if (this.leads) {
      if (from > this.#name) this.beat();  // of two that lead, the later name yields
      else this.#yield();
    }
    if (this.leads) return;
    this.#claimAfter(SILENT_AFTER);
    this.dispatchEvent(new CustomEvent("message", {detail: message}));
  }

  #claimAfter(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.claim(), milliseconds);
  }

  /** Lead from now on. */
  claim() {
    clearTimeout(this.#timer);
    if (this.leads) return;
    this.leads = true;
    this.#beats = setInterval(() => this.beat(), BEAT_EVERY);
    this.beat();
    this.dispatchEvent(new Event("lead"));
  }

  #yield() {
    this.#stop();
    this.dispatchEvent(new Event("yield"));
  }

  #stop() {
    this.leads = false;
    clearInterval(this.#beats);
  }

  #post(kind, message = null) {
    this.#channel.postMessage({kind, from: this.#name, message});
  }
}
