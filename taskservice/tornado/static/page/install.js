/** The service worker, by which the page opens without the network; only https and localhost have one. */
import {nameHere} from "./place.js";

const WORKER = "static/worker.js";
const POLICY = "taskservice-worker";
const SAID = nameHere(".insecure");

/**
 * Have the browser keep the page. Where it cannot, say so, once.
 * @param {(text: string) => void} say
 */
export async function keepPage(say) {
  if (!isSecureContext) {
    sayOnce(say, "This address is not https: the page works, but does not open without the network.");
    return;
  }
  const url = new URL(WORKER, document.baseURI).href;
  try {
    await navigator.serviceWorker?.register(trusted(url), {scope: "./"});
  } catch {
    // A browser that keeps no sites' data has no worker either.
  }
}

/** Return the address as one that the policy of the page passes; it passes no other. */
function trusted(url) {
  if (!globalThis.trustedTypes) return url;
  const policy = trustedTypes.createPolicy(POLICY, {createScriptURL: (given) => {
    if (given !== url) throw new TypeError("not the worker of the page");
    return given;
  }});
  return policy.createScriptURL(url);
}

function sayOnce(say, text) {
  try {
    if (localStorage.getItem(SAID)) return;
    localStorage.setItem(SAID, "said");
  } catch {
    // It is said each time.
  }
  say(text);
}
