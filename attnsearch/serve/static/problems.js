// What the server refuses: said where it belongs, and asked again when that can help.

import { byId, el } from "./dom.js";
import { useToken } from "./server.js";

const FIRST = 1000; // ms until a server that is gone is asked again; each time twice as long
const LAST = 10000;

let timer = 0;
let wait = FIRST;

// Shows a refusal; `retry` asks again, when the server has time, is back, or has got its token.
export function showProblem(refusal, retry) {
  clearTimeout(timer);
  const { status, sentence, patience } = refusal;
  const box = byId("problem");
  if (status === 401) return askToken(box, refusal.message, retry);
  const again = status === 429 ? patience * 1000 : status === 0 || status === 503 ? wait : null;
  const words = again === null ? "" : status === 429 ? "; asking again when it has time" : "; trying again";
  const text = sentence + words;
  if (box.textContent !== text) box.replaceChildren(el("p", { class: "note" }, text)); // which is read out
  if (again === null) return;
  wait = Math.min(2 * wait, LAST);
  timer = setTimeout(retry, again);
}

// Takes away what `showProblem` showed.
export function hideProblem() {
  clearTimeout(timer);
  wait = FIRST;
  byId("problem").replaceChildren();
}

function askToken(box, message, retry) {
  if (box.querySelector("input")) return; // what is typed there stays
  const input = el("input", { id: "token", type: "password", autocomplete: "off", required: true });
  const submit = (event) => {
    event.preventDefault();
    useToken(input.value.trim());
    box.replaceChildren();
    retry();
  };
  box.replaceChildren(
    el("p", { class: "note" }, message),
    el("form", { submit }, el("label", { for: "token" }, "Token"), input, el("button", { type: "submit" }, "Use")),
    el("p", { class: "rest" }, "It is the one that attnsearch serve was started with, or printed then."),
  );
  input.focus();
}
