/**
 * The service, as requests. What it refuses is an ApiError; that it cannot be reached, or has no
 * store for now, is an AwayError: the same request may be sent again later.
 * @typedef {{id: string, revision: number, task: import("./task.js").Task}} Entry
 */

const ANSWER_WITHIN = 20_000;
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

  /** @param {import("./access.js").Access} access */
  constructor(access) {
    this.#access = access;
  }

  /**
   * Read a page of a list, by its path and query.
   * @returns {Promise<{entries: Entry[], revision: number, next: string | null}>}
   */
  async list(url, signal) {
    const accept = {Accept: "application/x-ndjson"};
    const {headers, text} = await this.#ask("GET", url, accept, null, signal);
    const lines = text.split("\n").filter(Boolean);
    return {
      entries: lines.map((line) => JSON.parse(line)), revision: revisionOf(headers),
      next: nextLink(headers.get("Link"))};
  }

  /** Read a task; null where there is none. */
  async read(id) {
    try {
      const {headers, text} = await this.#ask("GET", `/tasks/${id}`);
      return {id, revision: revisionOf(headers), task: JSON.parse(text)};
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  }

  /** Create a task. Sent again with the same key it makes no second one. */
  async create(task, key) {
    return this.#write("POST", "/tasks", {"Idempotency-Key": `"${key}"`}, task);
  }

  /** Create a task under an id that is free. */
  async createAs(id, task) {
    return this.#write("PUT", `/tasks/${id}`, {"If-None-Match": "*"}, task);
  }

  /** Change some members of the task that has this revision, and no other. */
  async change(id, revision, patch) {
    const headers = {"If-Match": `"${revision}"`, "Content-Type": "application/merge-patch+json"};
    return this.#write("PATCH", `/tasks/${id}`, headers, patch);
  }

  /** Delete the task that has this revision, and no other. */
  async delete(id, revision) {
    await this.#ask("DELETE", `/tasks/${id}`, {"If-Match": `"${revision}"`});
  }

  /** Open the stream of changes after a revision; return its bytes once its head came, in time. */
  async changes(since, signal) {
    const headers = {Accept: "text/event-stream", "Last-Event-ID": String(since)};
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error("no answer in time")), ANSWER_WITHIN);
    const both = AbortSignal.any([signal, late.signal]);
    try {
      const response = await this.#fetch("GET", "/changes", headers, null, both);
      return response.body;
    } finally {
      clearTimeout(timer);
    }
  }

  async #write(method, url, headers, body) {
    const json = {"Content-Type": "application/json", Prefer: "return=representation"};
    const answer = await this.#ask(method, url, {...json, ...headers}, JSON.stringify(body));
    const id = (answer.headers.get("Location") ?? url).split("/").at(-1);
    return {id, revision: revisionOf(answer.headers), task: JSON.parse(answer.text)};
  }

  /** Send a request and read all of its answer, in time. */
  async #ask(method, url, headers = {}, body = null, signal = undefined) {
    const inTime = AbortSignal.timeout(ANSWER_WITHIN);
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

/** Return the revision that an ETag names, strong or weak. */
function revisionOf(headers) {
  return Number(/"(\d+)"/u.exec(headers.get("ETag") ?? "")?.[1] ?? 0);
}

/** Return the target of the Link to the next page (RFC 8288). */
function nextLink(link) {
  return /<([^>]*)>;\s*rel="next"/u.exec(link ?? "")?.[1] ?? null;
}
