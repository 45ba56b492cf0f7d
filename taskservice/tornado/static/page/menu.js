/** The menu: export and import as NDJSON, the shortcuts, the API's own page. */
import {ApiError} from "./api.js";
import {find} from "./dom.js";

/** How many tasks go in one request: all of it is taken, or nothing. */
const LINES = 5_000;

export class Menu {
  #menu = find("#menu");
  #file = find("#import-file");
  #api;
  #say;

  /**
   * @param {import("./api.js").Api} api
   * @param {{say: (text: string) => void, shortcuts: () => void}} user
   */
  constructor(api, {say, shortcuts}) {
    this.#api = api;
    this.#say = say;
    const choose = (selector, act) => find(selector).addEventListener("click", () => {
      this.#menu.hidePopover();
      act();
    });
    choose("#export", () => this.#orSay("exported", () => this.#export()));
    choose("#import", () => this.#file.click());
    choose("#show-shortcuts", shortcuts);
    this.#file.addEventListener("change", () => this.#orSay("imported", () => this.#import()));
  }

  /** Do something; where the service refuses it or is away, say so. */
  async #orSay(done, act) {
    try {
      await act();
    } catch (error) {
      const why = error instanceof ApiError ? error.message : "the service is away";
      this.#say(`Not ${done}: ${why}.`);
    }
  }

  async #export() {
    const text = await this.#api.exported();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], {type: "application/x-ndjson"}));
    link.download = `tasks-${new Date().toISOString().slice(0, 10)}.ndjson`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    this.#say(`Exported ${inWords(linesOf(text).length)}.`);
  }

  async #import() {
    const [file] = this.#file.files;
    if (file === undefined) return;
    const lines = linesOf(await file.text());
    this.#file.value = "";
    for (let from = 0; from < lines.length; from += LINES) {
      await this.#api.imported(lines.slice(from, from + LINES).join("\n"));
    }
    this.#say(`Imported ${inWords(lines.length)}.`);
  }
}

function linesOf(text) {
  return text.split("\n").filter((line) => line.trim() !== "");
}

function inWords(count) {
  return count === 1 ? "1 task" : `${count.toLocaleString()} tasks`;
}
