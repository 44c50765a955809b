// Judgments: whether an item is right for a request. The catalog remembers those that are, and answers differently.

import { el, isolate } from "./dom.js";
import { ask, Refusal } from "./server.js";
import { change } from "./state.js";
import { readStored, store } from "./storage.js";
import { cut } from "./words.js";

const KEY = "attnsearch-judged"; // in the window's storage: what was judged in it, for no answer says that
const VERDICTS = [
  { grade: "good", sign: "👍", name: "Right for this request" },
  { grade: "bad", sign: "👎", name: "Wrong for this request" },
];
const listeners = [];

// Has a function called after each judgment, which the catalog answers with from now on.
export function onJudged(listener) {
  listeners.push(listener);
}

// The two buttons for an item and a request, or why there are none.
export function makeJudging(item, { query, catalogs }) {
  if (!query.trim()) return el("p", { class: "rest" }, "Ask something, to judge whether this is right for it.");
  if (catalogs.length > 1) return refuseSeveral(item);
  const status = el("p", { class: "rest", role: "status" });
  const buttons = VERDICTS.map((verdict) => makeButton(verdict, (isPressed) => judge(item, query, isPressed ? null : verdict.grade)));
  const group = el("div", { class: "judging", role: "group", "aria-label": "Judge this item" }, ...buttons, status);

  let isBusy = false; // a button that is disabled meanwhile would lose the focus

  async function judge(...judgment) {
    if (isBusy) return;
    isBusy = true;
    try {
      status.textContent = await post(...judgment);
      showGrade(buttons, gradeOf(item, query));
    } catch (failure) {
      if (!(failure instanceof Refusal)) throw failure;
      status.textContent = failure.sentence;
    } finally {
      isBusy = false;
    }
  }

  showGrade(buttons, gradeOf(item, query));
  return group;
}

function refuseSeveral({ catalog }) {
  const alone = el("button", { type: "button", class: "link", click: () => change({ catalogs: [catalog] }) }, "ask ", isolate(cut(catalog, 60)), " alone");
  return el("p", { class: "rest" }, "A judgment belongs to one catalog, and several are asked here: ", alone, " to judge.");
}

function makeButton({ grade, sign, name }, act) {
  const isPressed = () => button.getAttribute("aria-pressed") === "true";
  const properties = { type: "button", "aria-pressed": "false", "data-grade": grade, title: name, click: () => act(isPressed()) };
  const button = el("button", properties, el("span", { "aria-hidden": "true" }, sign), el("span", { class: "unseen" }, name));
  return button;
}

function showGrade(buttons, grade) {
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.grade === grade));
}

// Notes a grade, or takes back what there is; null. What came of it, in words.
async function post({ id, catalog }, query, grade) {
  const before = gradeOf({ id, catalog }, query);
  const judgment = grade ? { [grade]: [id] } : { [before]: [id], remove: true };
  const { grades, remembered } = await ask("v1/feedback", { catalogs: [catalog], query, ...judgment });
  rememberGrade({ id, catalog }, query, grade);
  for (const listener of listeners) listener();
  if (!grade) return "Taken back.";
  if (grade === "bad") return "Noted; attnsearch train learns from it.";
  return remembered ? "Noted and remembered: requests like this one find it from now on." : "Noted.";
}

function gradeOf(item, query) {
  return readStored(KEY)[keyOf(item, query)] ?? null;
}

function rememberGrade(item, query, grade) {
  store(KEY, { ...readStored(KEY), [keyOf(item, query)]: grade });
}

function keyOf({ catalog, id }, query) {
  return JSON.stringify([catalog, query.trim(), id]);
}
