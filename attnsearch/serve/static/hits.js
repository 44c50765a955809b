// The items that answer a request, with a bar of attention each. Rows are used again, so that bars glide.

import { byId, el, isolate } from "./dom.js";
import { MOST_HITS, change } from "./state.js";
import { countsOf, cut, decimal, fitsNothing, percent, remarksOf, restOf } from "./words.js";

const TITLE = 300; // characters that are shown
const DESCRIPTION = 600;

const rows = new Map(); // of the items that are shown, by catalog and id
const none = makeNone();
const calm = matchMedia("(prefers-reduced-motion: reduce)");
let query = ""; // that of the answer before

// Shows an answer in #answer; `remark` is a line of its own above the others, or null.
export function showAnswer(answer, remark) {
  setText(byId("counts"), countsOf(answer).join(" · "));
  showRemarks(answer, remark);
  showNone(answer);
  const places = answer.query === query && !calm.matches ? placesOf() : new Map();
  query = answer.query;
  showHits(answer);
  glide(places);
  setText(byId("rest"), restOf(answer));
  const { hits, items, masked } = answer;
  byId("head").hidden = !hits.length;
  byId("more").hidden = hits.length >= Math.min(items - masked, MOST_HITS);
  byId("answer").classList.toggle("nothing", fitsNothing(answer));
  byId("answer").hidden = false;
}

function showRemarks(answer, remark) {
  const lines = remarksOf(answer).map((text) => el("p", { class: "note" }, text));
  const texts = [remark?.textContent ?? "", ...lines.map((line) => line.textContent)].join("\n");
  const box = byId("remarks");
  if (box.textContent !== texts.replaceAll("\n", "")) box.replaceChildren(...(remark ? [remark] : []), ...lines);
}

function showNone({ none_of_these: share, masked, items }) {
  none.element.hidden = share === null || masked === items;
  if (!none.element.hidden) setShare(none, share);
}

// The row of none of these, in its place.
function makeNone() {
  const row = makeRow();
  row.element.id = "none";
  row.name.append("none of these");
  row.description.append("the chance that nothing here fits");
  byId("none").replaceWith(row.element);
  return row;
}

function showHits({ hits, catalogs }) {
  const list = byId("hits");
  const wanted = new Map(hits.map((hit) => [keyOf(hit), hit]));
  const spare = [...rows.keys()].filter((key) => !wanted.has(key));
  let place = list.firstElementChild;
  for (const [key, hit] of wanted) {
    const row = rows.get(key) ?? takeRow(spare);
    rows.set(key, row);
    if (row.element === place) place = place.nextElementSibling;
    else move(list, row.element, place);
    fill(row, hit, Boolean(catalogs));
  }
  for (const key of spare) drop(key);
  list.classList.toggle("described", hits.some((hit) => describe(hit)));
}

// Where the rows are, by element.
function placesOf() {
  return new Map([...rows.values()].map(({ element }) => [element, element.offsetTop]));
}

// Lets rows glide from where they were: of the same request, it is another weighing that changes their order.
function glide(places) {
  for (const [element, before] of places) {
    const way = before - element.offsetTop;
    if (way && element.isConnected) element.animate([{ transform: `translateY(${way}px)` }, {}], { duration: 200, easing: "ease-out" });
  }
}

// A row that no hit needs any more, or a new one.
function takeRow(spare) {
  const key = spare.shift();
  if (key === undefined) return makeRow("li");
  const row = rows.get(key);
  rows.delete(key);
  return row;
}

function drop(key) {
  rows.get(key).element.remove();
  rows.delete(key);
}

// Puts a row before another one; where the browser can, its bar goes on gliding.
function move(list, element, place) {
  if (element.isConnected && list.moveBefore) list.moveBefore(element, place);
  else list.insertBefore(element, place);
}

function makeRow(tag = "div") {
  const row = {
    rank: el("span", { class: "rank" }),
    share: el("data"),
    fill: el("span", { class: "fill" }),
    name: isolate(""),
    description: el("p", { class: "description", dir: "auto", lang: "" }),
    score: el("data"),
    origin: el("span", { class: "origin" }),
  };
  const name = tag === "li" ? el("button", { type: "button", click: () => open(row.hit) }, row.name) : row.name;
  row.element = el(
    tag,
    { class: "row" },
    row.rank,
    el("span", { class: "weight" }, row.share, el("span", { class: "bar", "aria-hidden": "true" }, row.fill)),
    el("div", { class: "item" }, el(tag === "li" ? "h3" : "p", { class: "name" }, name), row.description, row.origin),
    el("span", { class: "score" }, tag === "li" ? el("span", { class: "unseen" }, "score ") : null, row.score),
  );
  return row;
}

function fill(row, hit, isOneOfSeveral) {
  row.hit = hit;
  setText(row.rank, String(hit.rank));
  setText(row.name, cut(hit.title || hit.id, TITLE));
  setText(row.description, describe(hit));
  setText(row.origin, isOneOfSeveral ? cut(hit.catalog, 60) : "");
  setShare(row, hit.weight);
  setText(row.score, decimal(hit.score, 3));
  row.score.value = hit.score;
}

function setShare(row, share) {
  setText(row.share, percent(share));
  row.share.value = share;
  row.fill.style.setProperty("--share", share);
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// The passage that matched, between ellipses, when the item has several; else its description.
function describe({ passage, description }) {
  return passage ? `… ${cut(passage, DESCRIPTION)} …` : cut(description, DESCRIPTION);
}

function open(hit) {
  change({ item: { id: hit.id, catalog: hit.catalog } });
}

function keyOf({ catalog, id }) {
  return JSON.stringify([catalog, id]);
}

// Marks the row of the open item, if it has one.
export function markOpen(item) {
  for (const [key, { element }] of rows) {
    const button = element.querySelector("button");
    if (item && key === keyOf(item)) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

// The button of an item's row; null if it is not shown.
export function buttonOf(item) {
  return rows.get(keyOf(item))?.element.querySelector("button") ?? null;
}
