// The page: what the person does → the state → a request → what is shown.

import { askedCatalogs, joinFields, learnCatalogs, nameFirst, ownFields, showAbout, showCatalogs } from "./catalogs.js";
import { byId, el, isolate } from "./dom.js";
import { addFilter, showFacets, updateFacets } from "./facets.js";
import { noteAnswer } from "./heatmap.js";
import { markOpen, showAnswer } from "./hits.js";
import { onJudged } from "./judge.js";
import { listen } from "./keys.js";
import { closePanel, openPanel } from "./panel.js";
import { hideProblem, showProblem } from "./problems.js";
import { Newest, Refusal, ask, takeToken } from "./server.js";
import { showSliders } from "./sliders.js";
import { K, MOST_HITS, amend, change, current, linkOf, onChange, start } from "./state.js";
import { counted, cut, fitsNothing, percent } from "./words.js";

const CALM = 700; // ms without an answer until one is read out, and noted
const SLOW = 500; // ms from which on the page shows that it waits
const STEP = 10; // hits more at a time

const newest = new Newest();
const own = { temperature: 0.05, lexical: 0 }; // what the catalogs that are asked have
let answer = null; // the last one that is shown
let asked = ""; // the request that it is of, or that is on its way
let isKnown = false; // whether the catalogs are
let calm = 0;

takeToken();
addEventListener("popstate", () => takeToken() && retry());
onChange(show);
onJudged(askAgain);
start();
listen();
fitControls();
loadCatalogs();

byId("query").addEventListener("input", ({ target }) => change({ query: target.value, k: K, item: null }, { streak: "query" }));
byId("more").addEventListener("click", () => change({ k: Math.min(current().k + STEP, MOST_HITS) }));
byId("filter-form").addEventListener("submit", (event) => {
  event.preventDefault();
  addFilter();
});
document.addEventListener("visibilitychange", () => document.hidden || loadCatalogs());
byId("copy").addEventListener("click", copyLink);

// Filters and sliders are always open beside the hits, and above them only if the person opens them.
function fitControls() {
  const wide = matchMedia("(min-width: 64rem)");
  const fit = () => (byId("controls").open = wide.matches);
  wide.addEventListener("change", fit);
  fit();
  if (wide.matches && !current().query) byId("query").focus();
}

async function copyLink() {
  const link = linkOf(current());
  if (navigator.clipboard) await navigator.clipboard.writeText(link);
  else copySelected(link);
  byId("copy").textContent = "Copied";
  byId("status").textContent = "link copied";
  setTimeout(() => (byId("copy").textContent = "Copy link"), 2000);
}

// Browsers have no clipboard for a page that came over plain HTTP from another machine.
function copySelected(text) {
  const input = el("input", { value: text, class: "unseen", "aria-label": "link" });
  document.body.append(input);
  input.select();
  document.execCommand("copy");
  input.remove();
  byId("copy").focus();
}

// Loads what is known of the catalogs, then shows all that depends on it, if it is new; whether there was an answer.
async function loadCatalogs() {
  let isNew;
  try {
    isNew = learnCatalogs(await ask("v1/catalogs"));
  } catch (failure) {
    showFailure(failure);
    return false;
  }
  if (!current().query.trim()) hideProblem();
  if (!isNew && isKnown) return true;
  isKnown = true;
  showSetting(current());
  show(current(), current());
  return true;
}

function show(state, before) {
  if (isKnown && !state.catalogs.length && nameFirst().length) return amend({ catalogs: nameFirst() });
  const query = byId("query");
  if (query.value !== state.query) query.value = state.query;
  document.title = state.query ? `${cut(state.query, 60)} – attnsearch` : "attnsearch";
  if (isKnown && state.catalogs !== before.catalogs) showSetting(state);
  if (state.where !== before.where) updateFacets(state.where);
  showSliders(state, own);
  if (isKnown) showAbout(state);
  if (state.item !== before.item) showItem(state);
  wantAnswer(state);
}

// What belongs to the catalogs that are asked: their list, their fields, their constants.
function showSetting(state) {
  const rows = askedCatalogs(state);
  const names = state.catalogs.length ? state.catalogs : rows.map(({ name }) => name);
  showCatalogs(state);
  byId("heading").replaceChildren("attention over ", isolate(names.map((name) => cut(name, 60)).join(", ")));
  showFacets(joinFields(rows), ownFields(rows));
  own.temperature = rows[0]?.temperature ?? own.temperature;
  own.lexical = rows[0]?.lexical ?? own.lexical;
  showSliders(state, own);
}

// Asks for what the state wants, unless that is shown already, or on its way.
function wantAnswer(state) {
  if (!isKnown && !state.catalogs.length) return;
  const request = state.query.trim() ? requestOf(state) : null;
  const wanted = JSON.stringify(request);
  if (wanted === asked) return;
  asked = wanted;
  if (request) newest.want((signal) => answerRequest(request, signal));
  else clearAnswer();
}

function clearAnswer() {
  newest.drop();
  hideAnswer();
  hideProblem();
}

function hideAnswer() {
  answer = null;
  byId("answer").hidden = true;
  byId("status").textContent = "";
}

async function answerRequest(request, signal) {
  const slow = setTimeout(() => (byId("working").hidden = false), SLOW);
  try {
    answer = await ask("v1/query", request, { signal });
  } catch (failure) {
    if (signal.aborted || JSON.stringify(request) !== asked) return;
    if (failure.status === 400 || failure.status === 404) hideAnswer();
    showFailure(failure);
    return;
  } finally {
    clearTimeout(slow);
    byId("working").hidden = true;
  }
  if (asked === "null") return;
  hideProblem();
  adoptConstants(request, answer);
  showAnswer(answer, corrected(answer, request));
  markOpen(current().item);
  if (current().item) openPanel(findHit(current().item), current());
  clearTimeout(calm);
  calm = setTimeout(settle, CALM);
}

// The answer says what the catalogs' own τ is, also for several of them.
function adoptConstants(request, { temperature, lexical = 0 }) {
  if (request.temperature === null) own.temperature = temperature;
  if (request.lexical === null) own.lexical = lexical;
  showSliders(current(), own);
}

function askAgain() {
  asked = "";
  wantAnswer(current());
}

// How a request with misspelled words was read, and the way to the other reading.
function corrected({ asked: text }, { exact }) {
  if (exact) return el("p", {}, "asked exactly as typed; ", link("correct misspelled words", { exact: false }));
  return text === undefined ? null : el("p", {}, `asked as "${cut(text, 200)}"; `, link("ask exactly as typed", { exact: true }));
}

function link(text, changes) {
  return el("button", { type: "button", class: "link", click: () => change(changes) }, text);
}

// Once the person pauses, the answer is read out, and the heatmap may have it.
function settle() {
  if (!answer) return;
  const [first] = answer.hits;
  const best = first ? `; the best: ${cut(first.title || first.id, 100)}, ${percent(first.weight)}` : "";
  const doubt = fitsNothing(answer) ? "nothing here matches well; " : "";
  byId("status").textContent = `${doubt}${counted(answer.hits.length, "hit")}${best}`;
  noteAnswer(answer, current());
}

function showItem(state) {
  markOpen(state.item);
  if (state.item) openPanel(findHit(state.item), state);
  else closePanel();
}

// The hit of an item, or only its id if it is not among those that are shown.
function findHit(item) {
  return answer?.hits.find(({ id, catalog }) => id === item.id && catalog === item.catalog) ?? item;
}

function showFailure(failure) {
  if (!(failure instanceof Refusal)) throw failure;
  showProblem(failure, retry);
}

async function retry() {
  if (await loadCatalogs()) askAgain();
}

// The body of a request for what a state asks.
function requestOf({ query, catalogs, where, temperature, lexical, k, exact }) {
  return { query, catalogs, where, temperature, lexical, k, exact };
}
