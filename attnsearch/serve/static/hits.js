// The items that answer a request, with a bar of attention each.

import { byId, el, own } from "./dom.js";
import { change } from "./state.js";
import { percent } from "./words.js";

// Shows the hits of an answer in #hits.
export function showHits({ hits }) {
  byId("hits").replaceChildren(...hits.map(makeRow));
}

function makeRow(hit) {
  const open = () => change({ item: { id: hit.id, catalog: hit.catalog } });
  return el(
    "li",
    { class: "hit" },
    el("button", { type: "button", class: "name", click: open }, own(hit.title || hit.id)),
    el("data", { class: "weight", value: hit.weight }, percent(hit.weight)),
  );
}
