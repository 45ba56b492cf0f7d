/**
 * The service worker: it keeps the page and its files (FOLDER and FILES, which the service puts
 * above), and gives them where the network does not. What the API says is never kept.
 */
const PAGE = new URL("../", location.href).href;
const PLACE = new URL(PAGE).pathname.replace(/\/$/u, "");  // there may be other services on the origin
const CACHE = `taskservice-page-${FOLDER}${PLACE}`;
const STATIC = new URL(`${FOLDER}/`, location.href).href;

/** How long the network may take for the page, where it was kept: then it is shown from here. */
const PAGE_TIMEOUT = 3_000;

addEventListener("install", (event) => {
  event.waitUntil(fill().then(() => skipWaiting()));
});

addEventListener("activate", (event) => {
  event.waitUntil(forgetOthers());
});

addEventListener("fetch", (event) => {
  const {request} = event;
  if (request.method !== "GET") return;
  if (request.mode === "navigate" && request.url.replace(/[?#].*/u, "") === PAGE) {
    event.respondWith(page(request));
  } else if (request.url.startsWith(STATIC)) {
    event.respondWith(kept(request));
  }
});

async function fill() {
  const cache = await caches.open(CACHE);
  await cache.addAll([PAGE, ...FILES]);
}

async function forgetOthers() {
  const names = await caches.keys();
  const mine = (name) => name.replace(/^taskservice-page-[0-9a-f]{16}/u, "") === PLACE;
  const old = names.filter((name) => mine(name) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

/** Give the page as the service has it, so that it updates itself; where that is away, the one that is kept. */
async function page(request) {
  const cache = await caches.open(CACHE);
  const mine = await cache.match(PAGE);
  const late = new Promise((_, fail) => { setTimeout(fail, PAGE_TIMEOUT, new Error("late")); });
  try {
    const answer = await (mine ? Promise.race([fetch(request), late]) : fetch(request));
    return answer.ok || !mine ? answer : mine;
  } catch (error) {
    if (!mine) throw error;
    return mine;
  }
}

async function kept(request) {
  const cache = await caches.open(CACHE);
  return await cache.match(request.url) ?? fetch(request);
}
