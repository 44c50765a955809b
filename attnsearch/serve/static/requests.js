// The last requests of each set of catalogs, as long as the window is open.

import { readStored, store } from "./storage.js";

const KEY = "attnsearch-requests";
const MOST = 10;

// The last requests of these catalogs, the newest first.
export function lastRequests(catalogs) {
  const list = readStored(KEY)[keyOf(catalogs)];
  return Array.isArray(list) ? list.filter((query) => typeof query === "string" && query.trim()).slice(0, MOST) : [];
}

// Adds a request. One that goes on from the last, or is the beginning of it, takes its place: someone was typing.
export function addRequest(catalogs, query) {
  const [last, ...others] = lastRequests(catalogs).filter((other) => other !== query);
  const isTyped = last !== undefined && (query.startsWith(last) || last.startsWith(query));
  remember(catalogs, [query, ...(last === undefined || isTyped ? [] : [last]), ...others].slice(0, MOST));
}

// Forgets the requests of these catalogs.
export function clearRequests(catalogs) {
  remember(catalogs, []);
}

function remember(catalogs, queries) {
  store(KEY, { ...readStored(KEY), [keyOf(catalogs)]: queries });
}

function keyOf(catalogs) {
  return JSON.stringify(catalogs);
}
