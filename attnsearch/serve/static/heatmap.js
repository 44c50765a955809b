// The last requests × the items that had most of their attention: below the hits, for whoever opens it.

import { byId, el, isolate } from "./dom.js";
import { moveByKeys } from "./grid.js";
import { onJudged } from "./judge.js";
import { addRequest, clearRequests, lastRequests } from "./requests.js";
import { ask, Newest, Refusal } from "./server.js";
import { shade } from "./shades.js";
import { change, current, onChange } from "./state.js";
import { counted, cut, percent } from "./words.js";

const FEW = 2; // requests from which on there is a heatmap
const REQUEST = 60; // characters that are shown
const TITLE = 34;

const newest = new Newest();
const summary = el("summary");
const status = el("p", { class: "rest", role: "status" });
const map = el("div");
const clear = el("button", { type: "button", click: forget }, "Clear");
const view = el("details", { toggle: () => wantHeatmap() }, summary, map, status, clear);
let asked = ""; // what the heatmap that is shown was asked with

byId("heatmap").append(view);
onChange((state) => showRequests(state));
onJudged(() => (asked = ""));

// Notes an answer that the person has stopped at, so that the heatmap can have it.
export function noteAnswer(answer, { catalogs, query }) {
  if (answer.items) addRequest(catalogs, query.trim());
  showRequests(current());
}

function forget() {
  clearRequests(current().catalogs);
  view.open = false;
  showRequests(current());
  byId("query").focus();
}

function showRequests({ catalogs }) {
  const { length } = lastRequests(catalogs);
  byId("heatmap").hidden = length < FEW;
  summary.textContent = `Heatmap of the last ${counted(length, "request")}`;
  wantHeatmap();
}

// Asks for the heatmap if it is open, unless it is shown already, or on its way.
function wantHeatmap() {
  const { catalogs, where, temperature, lexical, exact } = current();
  const queries = lastRequests(catalogs);
  if (!view.open || queries.length < FEW) return;
  const request = { queries, catalogs, where, temperature, lexical, exact };
  const wanted = JSON.stringify(request);
  if (wanted === asked) return markRow();
  asked = wanted;
  if (!map.hasChildNodes()) status.textContent = "Asking …";
  newest.want((signal) => showHeatmap(request, signal));
}

async function showHeatmap(request, signal) {
  try {
    const heatmap = await ask("v1/heatmap", request, { signal });
    map.replaceChildren(makeBox(heatmap));
    markRow();
    status.textContent = heatmap.emptied_by ?? "";
  } catch (failure) {
    if (signal.aborted) return;
    if (!(failure instanceof Refusal)) throw failure;
    asked = "";
    map.replaceChildren();
    status.textContent = failure.sentence;
  }
}

function makeBox(heatmap) {
  const table = makeTable(heatmap);
  moveByKeys(table);
  return el("div", { class: "box" }, table);
}

function makeTable({ queries, columns, weights, logits, others, none_of_these: none }) {
  const margins = ["all others", ...(none ? ["none of these"] : [])];
  const heads = columns.map(({ id, title }) => el("th", { scope: "col" }, el("span", {}, isolate(cut(title || id, TITLE)))));
  const ofMargins = margins.map((name) => el("th", { scope: "col", class: "mark" }, el("span", {}, name)));
  const rows = queries.map((query, row) => {
    const cells = columns.map((column, place) => makeCell(query, column, logits[row][place] === null ? null : weights[row][place]));
    const ofRow = [others[row], ...(none ? [none[row]] : [])].map((share) => el("td", { class: "margin" }, el("data", { value: share }, inPercent(share))));
    return el("tr", {}, makeHead(query), ...cells, ...ofRow);
  });
  const caption = "What each item (column) has of each request’s attention (row), in percent. What is alike stands together. Choose a cell to see why.";
  return el(
    "table",
    { class: "grid heatmap", role: "grid" },
    el("caption", {}, el("span", {}, caption)),
    el("thead", {}, el("tr", {}, el("td"), ...heads, ...ofMargins)),
    el("tbody", {}, ...rows),
  );
}

function makeHead(query) {
  const again = () => change({ query, item: null });
  return el("th", { scope: "row" }, el("button", { type: "button", tabindex: "-1", "data-query": query, click: again }, isolate(cut(query, REQUEST))));
}

// A cell opens its item for its request; one that a filter hides does nothing.
function makeCell(query, { id, title, catalog }, share) {
  if (share === null) return el("td", {}, "–");
  const open = () => change({ query, item: { id, catalog } });
  const name = `${inPercent(share)}: ${cut(title || id, REQUEST)}, for ${cut(query, REQUEST)}`;
  const color = shade(Math.sqrt(share)) || null; // most weights are small
  const properties = { type: "button", tabindex: "-1", "aria-label": name, title: name, click: open };
  return el("td", { class: color }, el("button", properties, el("data", { value: share }, inPercent(share))));
}

function inPercent(share) {
  return percent(share).replace("%", "");
}

// The row of what is asked now.
function markRow() {
  const query = current().query.trim();
  for (const button of map.querySelectorAll("th button")) {
    if (button.dataset.query === query) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}
