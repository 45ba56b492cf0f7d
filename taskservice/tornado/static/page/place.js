/**
 * The names of what the browser keeps for the page. It keeps them for an origin, on which there may be other services
 * of this kind, each under its own path.
 */
const PLACE = globalThis.location?.pathname.replace(/\/$/u, "") ?? "";

/** Return the name of something of this service. */
export function nameHere(name) {
  return `taskservice${PLACE}${name}`;
}
