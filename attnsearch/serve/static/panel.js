// An item, opened: what it is, why it has its logit, items like it. Beside the hits, or over them in a narrow window.

import { byId, el, isolate } from "./dom.js";
import { buttonOf } from "./hits.js";
import { describeItem, describePlace, nameOf } from "./item.js";
import { makeJudging, onJudged } from "./judge.js";
import { showMatrix } from "./matrix.js";
import { ask, Newest, Refusal } from "./server.js";
import { change } from "./state.js";
import { showWhy } from "./why.js";
import { percent } from "./words.js";

const LIKE = 5; // items like it that are shown

const wide = matchMedia("(min-width: 64rem)");
const newest = new Newest();
const parts = {}; // the elements that are filled again when the answer changes, by name
let item = null; // the open one, as far as it is known
let asked = ""; // what was asked about it
let judged = ""; // which request its buttons are for
let opener = null; // what had the focus before

// Shows an item: a hit of the list, or only `{ id, catalog }` if it is not among them. Also after each answer.
export function openPanel(hit, state) {
  const isOther = !item || item.id !== hit.id || item.catalog !== hit.catalog;
  if (isOther) item = hit;
  else item = { ...item, ...hit };
  if (isOther) build(state);
  showItem();
  showJudging(state);
  wantReasons(state);
  if (isOther) reveal();
}

// Empties the panel and closes it; what was in the focus before is there again.
export function closePanel() {
  const panel = byId("panel");
  if (!item) return;
  const last = item;
  newest.drop();
  [item, asked] = [null, ""];
  panel.close();
  panel.replaceChildren();
  const target = [opener, buttonOf(last), byId("query")].find((element) => element?.isConnected && element !== document.body);
  target.focus();
}

onJudged(() => (asked = ""));
byId("panel").addEventListener("cancel", (event) => {
  event.preventDefault(); // Escape, or a phone's gesture: by way of the state, which the address has
  change({ item: null });
});
byId("panel").addEventListener("click", ({ target }) => {
  if (target === byId("panel") && target.matches(":modal")) change({ item: null });
});
wide.addEventListener("change", () => {
  if (item) reveal();
});

// Opens the panel over the page, which is out of reach then, or beside the hits; the title gets the focus.
function reveal() {
  const panel = byId("panel");
  if (!panel.open) opener = document.activeElement;
  panel.close();
  if (wide.matches) panel.show();
  else panel.showModal();
  panel.scrollTop = 0;
  byId("panel-title").focus({ preventScroll: wide.matches });
}

function build(state) {
  for (const name of ["place", "about", "problem", "why", "matrix", "like"]) parts[name] = el("div", { class: name });
  parts.problem.setAttribute("role", "status");
  parts.judging = el("div");
  [asked, judged] = ["", ""];
  const title = el("h2", { id: "panel-title", tabindex: "-1" });
  const close = el("button", { type: "button", click: () => change({ item: null }) }, "Close");
  byId("panel").replaceChildren(
    el(
      "div",
      { class: "sheet" },
      el("div", { class: "head" }, title, close),
      parts.place, parts.judging, parts.about, parts.problem, parts.why, parts.matrix, parts.like,
    ),
  );
  showLike(item, state);
}

function showItem() {
  byId("panel-title").replaceChildren(isolate(nameOf(item)));
  parts.place.replaceChildren(...[describePlace(item)].filter(Boolean));
  if (item.fields) parts.about.replaceChildren(...describeItem(item));
}

// The buttons, with what came of them, stay until another request or other catalogs are asked.
function showJudging(state) {
  const key = JSON.stringify([state.query, state.catalogs]);
  if (key === judged) return;
  judged = key;
  parts.judging.replaceChildren(makeJudging(item, state));
}

// Asks why the item has its logit, unless that is shown, or on its way; without a request, only what it is.
function wantReasons(state) {
  const { query, catalogs, where, temperature, lexical, exact } = state;
  const request = { query, catalogs, where, temperature, lexical, exact, item: nameIn(catalogs, item) };
  const wanted = JSON.stringify([item.catalog, request]);
  if (wanted === asked) return;
  asked = wanted;
  const isOld = () => wanted !== asked; // another item may be open when the answer comes
  newest.want((signal) => (query.trim() ? showReasons(request, signal, isOld) : lookUp(signal, isOld)));
}

async function showReasons(request, signal, isOld) {
  try {
    const answer = await explain(request, signal);
    if (isOld()) return;
    const [{ why, ...hit }] = answer.hits;
    item = { ...item, ...hit };
    showItem();
    parts.why.replaceChildren(...showWhy({ ...hit, why }, { temperature: answer.temperature, text: answer.matrix?.query ?? answer.asked ?? answer.query }));
    parts.matrix.replaceChildren(...(answer.matrix ? showMatrix(answer.matrix) : []));
    parts.problem.replaceChildren();
  } catch (failure) {
    if (signal.aborted || isOld()) return;
    showFailure(failure);
    await lookUp(signal, isOld);
  }
}

// The explanation with its matrix; without one for a model that has none.
async function explain(request, signal) {
  try {
    return await ask("v1/explain", { ...request, matrix: "words" }, { signal });
  } catch (failure) {
    if (failure.status !== 400) throw failure;
    return ask("v1/explain", request, { signal });
  }
}

async function lookUp(signal, isOld) {
  const { id, catalog } = item;
  try {
    const place = catalog ? `?${new URLSearchParams({ catalog })}` : "";
    const { title, description, fields } = await ask(`v1/items/${encodeURIComponent(id)}${place}`, null, { signal });
    if (isOld()) return;
    item = { ...item, title, description, fields };
    showItem();
  } catch (failure) {
    if (signal.aborted || isOld()) return;
    showFailure(failure);
    if (failure.status === 404) parts.judging.replaceChildren(); // an old link: there is nothing to judge
  }
}

function showFailure(failure) {
  if (!(failure instanceof Refusal)) throw failure;
  parts.why.replaceChildren();
  parts.matrix.replaceChildren();
  parts.problem.replaceChildren(el("p", { class: "note" }, failure.sentence));
}

// What an item is called: several catalogs that are asked as one may have items with the same id.
function nameIn(catalogs, { id, catalog }) {
  return catalogs.length > 1 && catalog ? `${catalog}:${id}` : id;
}

// The items that are most like this one, among those that the filters leave.
async function showLike(item, { catalogs, where, temperature }) {
  const { like } = parts;
  try {
    const { hits } = await ask("v1/like", { items: [nameIn(catalogs, item)], catalogs, where, temperature, k: LIKE });
    if (hits.length) like.replaceChildren(el("h3", {}, "Items like it"), el("ol", {}, ...hits.map(makeLike)));
  } catch (failure) {
    if (!(failure instanceof Refusal)) throw failure;
  }
}

function makeLike({ id, catalog, title, weight }) {
  const open = () => change({ item: { id, catalog } });
  const button = el("button", { type: "button", class: "link", click: open }, isolate(nameOf({ id, title })));
  return el("li", {}, button, el("data", { class: "rest", value: weight }, percent(weight)));
}
