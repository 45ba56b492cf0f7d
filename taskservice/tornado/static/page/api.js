/**
 * The service, as requests. What it refuses is an ApiError; when it cannot be reached, or has no
 * store for now, that is an AwayError: the same request may be sent again later.
 * @typedef {{id: string, revision: number, task: import("./task.js").Task}} Entry
 */

const ANSWER_TIMEOUT = 20_000;
const NDJSON = "application/x-ndjson";
const CHANGES = 1_000;
const AWAY = [502, 503, 504];

/** The service said no. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The service cannot be reached, or cannot answer for now. */
export class AwayError extends Error {
  /** @param {number} [retryAfter] in milliseconds, where the service said so */
  constructor(message, retryAfter = 0) {
    super(message);
    this.retryAfter = retryAfter;
  }
}

export class Api {
  #access;
  #ahead = 0;

  /** @param {import("./access.js").Access} access */
  constructor(access) {
    this.#access = access;
  }

  /** Return the time, in milliseconds since the epoch, by the service's clock as far as it is known. */
  now() {
    return Date.now() + this.#ahead;
  }

  /** Learn how far the service's clock is ahead; its Date counts whole seconds. */
  #noteClock(response) {
    const ahead = Date.parse(response.headers.get("Date") ?? "") - Date.now();
    if (!Number.isNaN(ahead)) this.#ahead = Math.abs(ahead) < 2_000 ? 0 : ahead;
  }

  /**
   * Read a page of a list, by its path and query.
   * @returns {Promise<{entries: Entry[], next: string | null}>}
   */
  async list(url, signal) {
    const {headers, text} = await this.#ask("GET", url, {Accept: NDJSON}, null, signal);
    const lines = text.split("\n").filter(Boolean);
    return {
      entries: lines.map((line) => JSON.parse(line)), next: nextLink(headers.get("Link"))};
  }

  /**
   * Find a task and its revision, which bodies of lists have (a proxy may weaken the ETag); null
   * where there is none. One that was changed just now comes first.
   * @returns {Promise<Entry | null>}
   */
  async find(id) {
    if (!await this.#exists(id)) return null;
    for (let url = "tasks?sort=-updated&limit=100"; url !== null;) {
      const {entries, next} = await this.list(url);
      const found = entries.find((entry) => entry.id === id);
      if (found) return found;
      url = next;
    }
    return null;
  }

  /**
   * Return the last change of a task after a revision; null where there is none.
   * @returns {Promise<Entry | null>} its task is null where it was deleted
   */
  async latestChange(id, since) {
    for (let [after, found] = [since, null]; ;) {
      const {text} = await this.#ask("GET", `changes?since=${after}&limit=${CHANGES}`, {Accept: "application/json"});
      const {changes, revision} = JSON.parse(text);
      found = changes.findLast((change) => change.id === id) ?? found;
      if (changes.length < CHANGES) return found;
      after = revision;
    }
  }

  async #exists(id) {
    try {
      await this.#ask("GET", `tasks/${id}`);
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return false;
      throw error;
    }
  }

  /** Create a task under an id that is free. */
  async create(id, task) {
    await this.#write("PUT", id, {"If-None-Match": "*", "Content-Type": "application/json"}, task);
  }

  /** Change some members of the task that has this revision, and no other. */
  async change(id, revision, patch) {
    const headers = {"If-Match": `"${revision}"`, "Content-Type": "application/merge-patch+json"};
    await this.#write("PATCH", id, headers, patch);
  }

  /** Delete the task that has this revision, and no other. */
  async delete(id, revision) {
    await this.#ask("DELETE", `tasks/${id}`, {"If-Match": `"${revision}"`});
  }

  /** Return all tasks as NDJSON. */
  async exported() {
    const {text} = await this.#ask("GET", "tasks", {Accept: NDJSON});
    return text;
  }

  /** Create tasks from NDJSON: all or none. */
  async imported(text) {
    await this.#ask("POST", "tasks", {"Content-Type": NDJSON}, text);
  }

  /**
   * Open the stream of changes after a revision, or from now on (null); return its bytes once its
   * head came, in time.
   */
  async changes(since, signal) {
    const headers = {
      Accept: "text/event-stream", ...(since !== null && {"Last-Event-ID": String(since)})};
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error("no answer in time")), ANSWER_TIMEOUT);
    const both = AbortSignal.any([signal, late.signal]);
    try {
      const response = await this.#fetch("GET", "changes", headers, null, both);
      return response.body;
    } finally {
      clearTimeout(timer);
    }
  }

  async #write(method, id, headers, body) {
    await this.#ask(method, `tasks/${id}`, headers, JSON.stringify(body));
  }

  /** Send a request and read all of its answer, in time. */
  async #ask(method, url, headers = {}, body = null, signal = undefined) {
    const inTime = AbortSignal.timeout(ANSWER_TIMEOUT);
    const both = signal ? AbortSignal.any([signal, inTime]) : inTime;
    const response = await this.#fetch(method, url, headers, body, both);
    const text = await reached(response.text(), signal);
    return {headers: response.headers, text};
  }

  async #fetch(method, url, headers, body, signal) {
    for (;;) {
      const {asked} = this.#access;
      const response = await reached(fetch(url, {
        method, body, signal, headers: {...headers, ...this.#access.headers}, cache: "no-store",
        credentials: "same-origin"}), signal);
      this.#noteClock(response);
      if (response.ok) return response;
      if (response.status !== 401) throw await errorOf(response);
      await this.#access.renew(asked);
    }
  }
}

/** Await what the network may fail at; an abort that was asked for stays one. */
async function reached(promise, signal) {
  try {
    return await promise;
  } catch (error) {
    if (signal?.aborted && signal.reason?.name === "AbortError") throw error;
    throw new AwayError(String(error));
  }
}

async function errorOf(response) {
  const text = await response.text().catch(() => "");
  if (AWAY.includes(response.status)) {
    return new AwayError(text, 1000 * (Number(response.headers.get("Retry-After")) || 0));
  }
  return new ApiError(response.status, messageOf(text) || response.statusText);
}

function messageOf(text) {
  try {
    const {message, errors = []} = JSON.parse(text);
    return [message, ...errors.map(({pointer, detail}) => `${pointer} ${detail}`)].join("; ");
  } catch {
    return "";
  }
}

/** Return the target of the Link to the next page (RFC 8288). */
function nextLink(link) {
  return /<([^>]*)>;\s*rel="next"/u.exec(link ?? "")?.[1] ?? null;
}
