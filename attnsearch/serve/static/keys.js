// What keys do: / goes to the box, arrows go through the hits, Enter asks or opens, Escape closes.

import { byId } from "./dom.js";
import { change, current, endStreak } from "./state.js";

const MOVES = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };

// Listens to the keyboard from now on.
export function listen() {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && !isTyping(event.target)) focusQuery(event);
    else if (event.key === "Escape" && current().item) close(event);
    else if (event.key === "Enter" && event.target.id === "query") askNow();
    else if (event.key in MOVES) move(event);
  });
}

function isTyping(element) {
  return element.matches("input:not([type=range], [type=checkbox]), textarea, select, [contenteditable]");
}

function focusQuery(event) {
  event.preventDefault();
  byId("query").focus();
  byId("query").select();
}

// What is typed so far becomes an entry of the history.
function askNow() {
  endStreak();
  change({});
}

function close(event) {
  event.preventDefault();
  change({ item: null });
}

// From the box down to the first hit, among the hits up and down, and from the first one back to the box.
function move(event) {
  const buttons = [...byId("hits").querySelectorAll(":scope > li h3 button")];
  const place = buttons.indexOf(event.target);
  const isInBox = event.target.id === "query";
  if (!buttons.length || (place < 0 && !(isInBox && event.key === "ArrowDown"))) return;
  event.preventDefault();
  const next = Math.min(place + MOVES[event.key], buttons.length - 1);
  const target = next < 0 && event.key === "ArrowUp" ? byId("query") : buttons[Math.max(next, 0)];
  target.focus();
}
