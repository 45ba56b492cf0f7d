/**
 * Ids of new tasks: UUIDs of version 7 (RFC 9562 §5.7) as the service makes them, 32 hex digits
 * whose first 60 bits are the time, so that the order of ids is the order of creation.
 */

const DIGITS = 16;

export class Ids {
  #last = 0;
  #now;

  /** @param {() => number} now milliseconds since the epoch, by the service's clock */
  constructor(now) {
    this.#now = now;
  }

  /** Return an id that sorts after all that were returned before. */
  next() {
    this.#last = Math.max(this.#last + 1, Math.floor(this.#now() * 1000));
    const fraction = Math.floor(this.#last % 1000 * 4096 / 1000);
    const time = hex(Math.floor(this.#last / 1000), 12);
    return `${time}7${hex(fraction, 3)}${randomEnd()}`;
  }
}

/** By how many milliseconds the clock that an id is from may be ahead of the service's. */
const AHEAD = 3_600_000;

/** Return a revision, in microseconds since the epoch, that is before that of a task with this id. */
export function revisionBefore(id) {
  return Math.max(0, Number.parseInt(id.slice(0, 12), 16) - AHEAD) * 1_000;
}

/** Return the second half of a UUID: its variant, and 62 random bits. */
function randomEnd() {
  const bytes = crypto.getRandomValues(new Uint8Array(DIGITS / 2));
  bytes[0] = bytes[0] & 0x3f | 0x80;
  return [...bytes].map((byte) => hex(byte, 2)).join("");
}

function hex(number, length) {
  return number.toString(16).padStart(length, "0");
}
