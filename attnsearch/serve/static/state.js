// The state of the page ↔ its address: all that a link holds, in the fragment, which no browser sends to a server.
//
//   q     the request                 c     a catalog; repeatable, none: the default
//   w     a filter; repeatable        t     the temperature τ, if not the catalog's own
//   l     λ, if not the catalog's own k     how many hits, if not 10
//   exact the request is asked as typed
//   item  the id of the open item     of    its catalog
//
// A deliberate step (a filter, an item) makes an entry in the browser's history. What is typed without a pause for
// anything else has one entry, and so has a slider that is moved.

export const K = 10;
export const MOST_HITS = 1000;

const LOWEST_TEMPERATURE = 1e-6;
const PACE = 200; // ms between two writes of the address: browsers refuse hundreds in a few seconds

const EMPTY = { query: "", catalogs: [], where: [], temperature: null, lexical: null, k: K, exact: false, item: null };
const listeners = [];
let state = { ...EMPTY };
let last = ""; // the streak of the last change
let written = 0; // when the address was
let timer = 0; // of the next write

// What the page shows now. Never changed in place: `change` makes another.
export function current() {
  return state;
}

// Has a function called with the state after each change, and with what was before.
export function onChange(listener) {
  listeners.push(listener);
}

// Changes a part of the state, such as `change({ item: null })`. Changes that follow one another under the name of one
// `streak`, such as letters that are typed, share an entry of the history.
export function change(changes, { streak = "" } = {}) {
  const before = state;
  const isStep = !streak || streak !== last;
  if (isStep) writeAddress();
  state = { ...state, ...changes };
  last = streak;
  if (isStep && spell(state) !== spell(before)) history.pushState(null, "", addressOf(state));
  else scheduleAddress();
  announce(before);
}

// Completes the state by what the page chose itself: that is no step of the person's.
export function amend(changes) {
  const before = state;
  state = { ...state, ...changes };
  writeAddress();
  announce(before);
}

// Ends a streak: what comes next is a step, whatever it is.
export function endStreak() {
  last = "";
}

// The link to what the page shows now.
export function linkOf(state) {
  return new URL(addressOf(state), location.href).href;
}

// Reads the state from the address, and does so again whenever the person goes back or forward.
export function start() {
  const reread = () => {
    const before = state;
    clearTimeout(timer);
    endStreak();
    state = read(location.hash.slice(1));
    announce(before);
  };
  addEventListener("popstate", reread);
  reread();
}

function addressOf(state) {
  return `#${spell(state)}`;
}

function scheduleAddress() {
  clearTimeout(timer);
  timer = setTimeout(writeAddress, Math.max(0, written + PACE - performance.now()));
}

function writeAddress() {
  clearTimeout(timer);
  if (addressOf(state) === `#${location.hash.slice(1)}`) return;
  written = performance.now();
  history.replaceState(null, "", addressOf(state));
}

// The address of a state, without its #.
export function spell({ query, catalogs, where, temperature, lexical, k, exact, item }) {
  const parts = new URLSearchParams();
  if (query) parts.append("q", query);
  for (const name of catalogs) parts.append("c", name);
  for (const filter of where) parts.append("w", filter);
  if (temperature !== null) parts.append("t", temperature);
  if (lexical !== null) parts.append("l", lexical);
  if (k !== K) parts.append("k", k);
  if (exact) parts.append("exact", "1");
  if (item) parts.append("item", item.id);
  if (item && item.catalog) parts.append("of", item.catalog);
  return parts.toString();
}

// An address → the state; what it lacks, or has in a wrong form, is the default.
export function read(address) {
  const parts = new URLSearchParams(address);
  const k = number(parts.get("k"), 1, MOST_HITS);
  const item = parts.get("item");
  return {
    query: parts.get("q") ?? "",
    catalogs: parts.getAll("c"),
    where: parts.getAll("w"),
    temperature: number(parts.get("t"), LOWEST_TEMPERATURE, Infinity),
    lexical: number(parts.get("l"), 0, Infinity),
    k: Number.isInteger(k) ? k : K,
    exact: parts.get("exact") === "1",
    item: item ? { id: item, catalog: parts.get("of") ?? "" } : null,
  };
}

function number(text, low, high) {
  const value = text ? Number(text) : NaN;
  return Number.isFinite(value) && low <= value && value <= high ? value : null;
}

function announce(before) {
  for (const listener of listeners) listener(state, before);
}
