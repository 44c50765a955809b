// What is asked of the server, with the token that it wants.

import { cut } from "./words.js";

const TOKEN = "attnsearch-token"; // the name of the page's own token, and of the one that the person has
const LONGEST = 1000; // characters of a sentence
const PATIENCE = 2000; // ms that a newer request waits for the one before it

// What the server refused: `status` of HTTP (0: there was no answer), its error object, seconds until it may be asked.
export class Refusal extends Error {
  constructor(status, { message, hint = "" }, patience = 0) {
    super(message);
    Object.assign(this, { status, hint, patience });
  }

  // What went wrong, and what to do.
  get sentence() {
    return cut(this.hint ? `${this.message}; ${this.hint}` : this.message, LONGEST);
  }
}

// The JSON of an answer: `await ask("v1/query", { query: "moon" })`. Without a body it is a GET. Throws a Refusal.
export async function ask(path, body = null, { signal = null } = {}) {
  let response = await send(path, body, signal);
  if (response.status === 401 && (await renewToken())) response = await send(path, body, signal);
  let answer = null;
  try {
    answer = await response.json();
  } catch (failure) {
    if (signal?.aborted) throw failure;
  }
  if (response.ok && answer) return answer;
  const patience = Number(response.headers.get("Retry-After")) || 1;
  throw new Refusal(response.status, answer?.error ?? { message: `the server answered ${response.status}` }, patience);
}

async function send(path, body, signal) {
  const token = meta().content || sessionStorage.getItem(TOKEN); // the latter is of a link, which may be anyone's
  const headers = { ...(token && { Authorization: `Bearer ${token}` }), ...(body && { "Content-Type": "application/json" }) };
  const request = body ? { method: "POST", body: JSON.stringify(body) } : {};
  try {
    return await fetch(path, { ...request, headers, signal, cache: "no-store" });
  } catch (failure) {
    if (signal?.aborted) throw failure;
    throw new Refusal(0, { message: "the server does not answer" });
  }
}

function meta() {
  return document.querySelector(`meta[name="${TOKEN}"]`);
}

// Takes the token of a server that was started again; whether it is another one.
async function renewToken() {
  const before = meta().content;
  if (!before) return false;
  const page = await (await send("./", null, null)).text();
  meta().content = /<meta name="attnsearch-token" content="([\w-]*)">/.exec(page)?.[1] ?? "";
  return meta().content !== before;
}

// Asks for what is wanted last. One request runs at a time; the newest waits for it a moment, those between are dropped.
// So an older answer never replaces a newer one, and a slow server gets no more than it can answer.
export class Newest {
  #running = null; // the AbortController of the request that runs
  #waiting = null; // the function that asks next
  #started = 0;

  // `work(signal)` is started now, or as soon as the one before it is over.
  want(work) {
    this.#waiting = work;
    if (!this.#running) this.#next();
    else this.#limit(this.#running);
  }

  // Drops what runs and what waits.
  drop() {
    this.#waiting = null;
    this.#running?.abort();
  }

  // Ends what runs when it has had its time, if something newer waits for it then.
  #limit(control) {
    const rest = Math.max(0, this.#started + PATIENCE - performance.now());
    setTimeout(() => this.#waiting && this.#running === control && control.abort(), rest);
  }

  async #next() {
    while (this.#waiting) {
      const work = this.#waiting;
      const control = new AbortController();
      [this.#waiting, this.#running, this.#started] = [null, control, performance.now()];
      try {
        await work(control.signal);
      } catch (failure) {
        if (!control.signal.aborted) throw failure;
      } finally {
        this.#running = null;
      }
    }
  }
}

// Keeps the token that the person has, for this window.
export function useToken(token) {
  sessionStorage.setItem(TOKEN, token.replace(/[^!-~]/g, "")); // no header can hold others, and no token has them
}

// Takes the token out of the address, so that it is in no link that is copied from now on; whether it was there.
export function takeToken() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const token = parts.get("token");
  if (!token) return false;
  useToken(token);
  parts.delete("token");
  history.replaceState(null, "", `#${parts}`);
  return true;
}
