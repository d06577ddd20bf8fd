// A `fetch` whose chat completion streams resume by themselves. For browsers, Node from 18 on, and Deno; no dependency.
//
//     import { resuming } from "./riverrun.mjs";
//     const client = new OpenAI({ baseURL, apiKey, fetch: resuming() });
//
// Every POST to …/chat/completions says that its caller will come back (`x-riverrun-on-disconnect: grace`) and has an
// idempotency key, the same for the SDK's own retries. A stream that breaks goes on after the last event that came; a
// reader sees each event once. Other servers, which send no `location`, are left alone. A stream that is closed early
// only closes its connection; the server then cancels the run after its grace period.
//
// riverrun's contract: events are numbered `id: N` from 1, `[DONE]` has the last number, an `{"error": …}` with a number
// is the stream's own ending, and one without says to come back. The Python twin is `riverrun.client()`.

const PATH = /\/chat\/completions$/;
const LOCATION = /\/chat\/completions\/([A-Za-z0-9_-]{1,128})$/; // no dots: an id becomes a part of a path
const NUMBER = /^[0-9]{1,15}$/;
const LONGEST = 16 * 1024 * 1024; // bytes of one event
const COME_AGAIN = new Set([408, 425, 429, 502, 503, 504]);
const NOT_REPEATED = ["accept", "content-length", "content-type", "idempotency-key"];
const KEYS_KEPT = 1024;

/**
 * @typedef {object} Options  Times are in milliseconds.
 * @property {typeof globalThis.fetch} [fetch]  What carries the requests.
 * @property {number} [giveUpAfter]  Since the first break without anything new, also while old events come.
 * @property {number} [firstPause]  Between two attempts; it doubles, with jitter.
 * @property {number} [longestPause]
 * @property {number} [silentAfter]  Silence that counts as a break; the server says something every 10 s.
 * @property {number} [firstContact]  In place of `giveUpAfter` while nothing is known about the server.
 */

/**
 * A drop-in for `fetch`.
 * @param {Options} [options]
 * @returns {typeof globalThis.fetch}
 */
export function resuming(options = {}) {
  const shared = {
    // A browser's fetch wants to be called as a plain function.
    fetch: options.fetch ?? ((...request) => globalThis.fetch(...request)),
    patience: { giveUpAfter: 60_000, firstPause: 100, longestPause: 5_000, silentAfter: 30_000, firstContact: 5_000, ...options },
    failed: new Map(), // request and retry count → keys of attempts that failed, until their retries come for them
    known: new Map(), // address → whether a riverrun answers there
  };
  return async (input, init = {}) => {
    const url = String(input?.url ?? input);
    const wanted = PATH.test(url.split("?")[0]) && init.method?.toUpperCase() === "POST" && typeof init.body === "string";
    return wanted ? post(shared, url, init) : shared.fetch(input, init);
  };
}

/** The POST, repeated with the same key as long as it has no answer and the patience lasts. */
async function post(shared, url, init) {
  const headers = new Headers(init.headers);
  const retry = Number(headers.get("x-stainless-retry-count") ?? 0);
  const about = `${url}\n${init.body}`;
  if (!headers.has("idempotency-key")) headers.set("idempotency-key", takeKey(shared, about, retry) ?? (await newKey()));
  if (!headers.has("x-riverrun-on-disconnect")) headers.set("x-riverrun-on-disconnect", "grace");
  const request = { ...init, headers };
  const waiting = new Waiting(shared.patience, limit(shared, url));
  const failed = () => keepKey(shared, about, retry, headers.get("idempotency-key"));
  for (;;) {
    try {
      return await answerTo(shared, url, request, failed);
    } catch (error) {
      const pause = init.signal?.aborted ? null : waiting.pause();
      if (pause === null) failed();
      if (pause === null) throw error;
      await sleep(pause, init.signal);
    }
  }
}

async function answerTo(shared, url, request, failed) {
  const answer = await shared.fetch(url, request);
  if (answer.status >= 400) failed();
  if (answer.status !== 200) return answer;
  const id = LOCATION.exec(answer.headers.get("location") ?? "")?.[1];
  shared.known.set(url, id !== undefined);
  if (id === undefined) return answer;
  if (isStream(answer)) return withBody(answer, stream(shared, `${url.split("?")[0]}/${id}`, url, request, answer));
  return withBody(answer, await answer.arrayBuffer()); // a whole answer that breaks is asked for again, by its key
}

/** The bytes of one answer, from as many connections as it takes. */
function stream(shared, location, url, request, first) {
  const { patience } = shared;
  const query = url.includes("?") ? url.slice(url.indexOf("?")) : "";
  const waiting = new Waiting(patience, patience.giveUpAfter);
  const events = new Events();
  let reader = first.body.getReader();
  let closed = false;

  async function resume() {
    reader.cancel().catch(() => {}); // it may be broken already; nothing more is wanted of it
    events.cut();
    for (let pause = waiting.pause(); pause !== null && !closed; ) {
      await sleep(pause, request.signal);
      const headers = new Headers(request.headers);
      for (const name of NOT_REPEATED) headers.delete(name);
      headers.set("accept", "text/event-stream");
      if (events.last) headers.set("last-event-id", String(events.last));
      const { body: _, ...rest } = request;
      const answer = await shared.fetch(location + query, { ...rest, method: "GET", headers }).catch(() => null);
      if (answer?.status === 200 && isStream(answer)) {
        reader = answer.body.getReader();
        if (closed) reader.cancel().catch(() => {});
        return !closed;
      }
      answer?.body?.cancel().catch(() => {});
      if (request.signal?.aborted || (answer && !COME_AGAIN.has(answer.status))) return false;
      pause = waiting.pause(1000 * (Number(answer?.headers.get("retry-after")) || 0));
    }
    return false;
  }

  /** What is whole now; null at the end. Throws what the reader shall see. */
  async function next() {
    for (;;) {
      const { value, done, error } = events.end === "come back" ? {} : await read(reader, patience.silentAfter);
      if (value) {
        const before = events.last;
        const ready = events.feed(value);
        if (!ready.length && (events.end === "come back" || !waiting.barren())) continue;
        if (!ready.length) throw new TypeError(`after event ${before} bytes came for long, but no new event; ask again`);
        waiting.alive(events.last > before);
        return ready;
      }
      if (events.end === "done") return null;
      if (events.end === "failed" || !events.numbered || request.signal?.aborted) {
        if (error) throw error;
        return null;
      }
      if (await resume()) continue;
      const final = error ?? new TypeError("the stream ended before [DONE], and the server could not go on with it");
      if (!events.parting.length) throw final;
      const parting = events.parting;
      [events.parting, events.end] = [new Uint8Array(), "failed"];
      return parting;
    }
  }

  return new ReadableStream({
    async pull(controller) {
      const ready = await next().catch((error) => {
        reader.cancel().catch(() => {}); // it may be endless
        throw error;
      });
      if (ready === null) controller.close();
      else controller.enqueue(ready);
    },
    cancel(reason) {
      closed = true;
      return reader.cancel(reason);
    },
  });
}

/** Bytes in, whole events out, each number once; and whether the stream is over. */
class Events {
  last = 0;
  end = ""; // done | failed | come back
  parting = new Uint8Array(); // an error without a number: the last word, if nobody goes on
  numbered = true; // as long as no event came that can't be asked for again
  #held = new Uint8Array(1024); // its first `#size` bytes: what is not whole yet
  #size = 0;

  feed(block) {
    const searched = this.#size;
    const bytes = this.#hold(block);
    const ready = [];
    let start = 0;
    for (let at = searched; at < bytes.length; at++) {
      if (bytes[at] !== 10) continue;
      // A comment line is whole by itself: no blank line follows a heartbeat.
      if (bytes[start] === 58 || bytes[at - 1] === 10) {
        const text = bytes.subarray(start, at + 1);
        if (bytes[start] === 58 || this.#event(text)) ready.push(text);
        start = at + 1;
      }
    }
    const whole = join(ready); // a copy, before its bytes are moved over
    if (start) this.#held.copyWithin(0, start, this.#size);
    this.#size -= start;
    if (this.#size > LONGEST) throw new TypeError(`event ${this.last + 1} is larger than ${LONGEST} bytes`);
    return whole;
  }

  /** All that is held now, with `block` at its end. */
  #hold(block) {
    const size = this.#size + block.length;
    if (size > this.#held.length) {
      const larger = new Uint8Array(2 * size);
      larger.set(this.#held.subarray(0, this.#size));
      this.#held = larger;
    }
    this.#held.set(block, this.#size);
    this.#size = size;
    return this.#held.subarray(0, size);
  }

  cut() {
    this.#size = 0;
    if (this.end === "come back") this.end = "";
  }

  /** Whether the event is handed on. */
  #event(text) {
    if (this.end) return this.end !== "come back";
    const { id, data } = fields(text);
    if (data === undefined) return true;
    const error = data.includes('"error"') && isError(data);
    if (!id && error) {
      this.end = "come back";
      this.parting = text.slice();
      return false;
    }
    if (!id) this.numbered = false;
    else if (!NUMBER.test(id) || Number(id) > this.last + 1)
      throw new TypeError(`after event ${this.last} came event ${id.slice(0, 15)}`);
    else if (Number(id) <= this.last) return false;
    else this.last += 1;
    this.parting = new Uint8Array();
    if (data === "[DONE]") this.end = "done";
    else if (error) this.end = "failed";
    return true;
  }
}

/** The pauses between the attempts of one request. */
class Waiting {
  #since = null;
  #barrenSince = null;
  #attempts = 0;

  constructor(patience, limit) {
    this.patience = patience;
    this.limit = limit;
  }

  /** Milliseconds until the next attempt, or null: give up. */
  pause(atLeast = 0) {
    const now = performance.now();
    this.#since ??= now;
    const left = this.#since + this.limit - now;
    if (left <= 0) return null;
    const longest = Math.min(this.patience.firstPause * 2 ** this.#attempts++, this.patience.longestPause);
    return Math.min(Math.max(longest * (0.5 + Math.random() / 2), atLeast), left);
  }

  /** Bytes came that bring nothing new: whether the patience is at its end. */
  barren() {
    const now = performance.now();
    this.#barrenSince ??= this.#since ?? now;
    return now - this.#barrenSince >= this.patience.giveUpAfter;
  }

  /** Something came through; with progress, the next break is a first one. */
  alive(progress) {
    this.#since = this.#barrenSince = null;
    if (progress) this.#attempts = 0;
  }
}

function takeKey({ failed }, about, retry) {
  return failed.get(`${retry - 1} ${about}`)?.pop();
}

async function newKey() {
  const crypto = globalThis.crypto ?? (await import("node:crypto")).webcrypto; // Node 18 does not have it globally
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function keepKey({ failed }, about, retry, key) {
  const name = `${retry} ${about}`;
  failed.set(name, [...(failed.get(name) ?? []), key]);
  if (failed.size > KEYS_KEPT) failed.delete(failed.keys().next().value);
}

function limit({ patience, known }, url) {
  if (!known.has(url)) return Math.min(patience.firstContact, patience.giveUpAfter);
  return known.get(url) ? patience.giveUpAfter : 0;
}

/** One read, which counts as broken after `silentAfter`. */
async function read(reader, silentAfter) {
  let timer;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new TypeError(`nothing came for ${silentAfter} ms`)), silentAfter);
  });
  return Promise.race([reader.read(), silence])
    .catch((error) => ({ error }))
    .finally(() => clearTimeout(timer));
}

function sleep(pause, signal) {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", wake);
      resolve();
    };
    const timer = setTimeout(wake, pause);
    signal?.addEventListener("abort", wake);
  });
}

/** `answer` with another body. A new Response has no address, so it is carried over. */
function withBody(answer, body) {
  const { status, statusText, headers, url } = answer;
  return Object.defineProperty(new Response(body, { status, statusText, headers }), "url", { value: url });
}

function isStream(answer) {
  return answer.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
}

function isError(data) {
  try {
    return Boolean(JSON.parse(data).error);
  } catch {
    return false;
  }
}

/** The last `id` and the joined `data` of one event; undefined where it has none. */
function fields(text) {
  const found = {};
  for (const line of new TextDecoder().decode(text).split("\n")) {
    const colon = line.indexOf(":");
    const [name, value] = colon < 0 ? [line, ""] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
    if (name === "id") found.id = value;
    if (name === "data") found.data = found.data === undefined ? value : `${found.data}\n${value}`;
  }
  return found;
}

function join(parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}
