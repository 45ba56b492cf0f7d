/** Which tabs of the page are open: each answers on a channel that all of them hear. */
import {nameHere} from "./place.js";

const CHANNEL = nameHere(".tabs");
const ANSWER_TIMEOUT = 300;

export class Presence {
  /** This tab's name, unlike any other's. */
  tab = crypto.getRandomValues(new Uint32Array(4)).join("-");

  /** Called when a tab says that it closes. */
  onleave = () => {};

  #channel = new BroadcastChannel(CHANNEL);
  #answers = null;

  constructor() {
    this.#channel.onmessage = ({data}) => this.#hear(data);
    addEventListener("pagehide", () => this.#channel.postMessage({leaving: this.tab}));
  }

  /** Ask for the names of the tabs that are open, this one among them. */
  async alive() {
    this.#answers ??= this.#ask();
    return this.#answers;
  }

  async #ask() {
    const names = new Set([this.tab]);
    this.#names = names;
    this.#channel.postMessage({asking: this.tab});
    await new Promise((done) => setTimeout(done, ANSWER_TIMEOUT));
    this.#answers = null;
    return names;
  }

  #names = new Set();

  #hear({asking, here, leaving}) {
    if (asking) this.#channel.postMessage({here: this.tab});
    if (here) this.#names.add(here);
    if (leaving) this.onleave();
  }
}
