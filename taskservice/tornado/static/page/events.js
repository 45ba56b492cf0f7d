/**
 * Server-sent events from a stream of bytes (WHATWG HTML §9.2.6): EventSource cannot send a token.
 */

const SILENCE = 40_000;  // the service sends a comment every 15 s

/**
 * Yield the events of a stream; one with an id only, which says where the stream is, has no data.
 * Throws when it falls silent.
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<{id: string, data: string | null}>}
 */
export async function* readEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const {value, done} = await inTime(reader.read());
      if (done) return;
      const blocks = (text + value).split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const event = parse(block);
        if (event !== null) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parse(block) {
  let [id, data] = [null, null];
  for (const line of block.split("\n")) {
    const [, name, value] = /^([^:]*):? ?(.*)$/u.exec(line);
    if (name === "id") id = value;
    if (name === "data") data = data === null ? value : `${data}\n${value}`;
  }
  return id === null && data === null ? null : {id, data};
}

function inTime(promise) {
  let timer;
  const silence = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error("the event stream fell silent")), SILENCE);
  });
  return Promise.race([promise, silence]).finally(() => clearTimeout(timer));
}
