// An item, opened: why it has its logit, items like it.

import { byId, el, own } from "./dom.js";
import { change } from "./state.js";

// Shows an item in #panel: a hit of the list, or only `{ id, catalog }` if it is not among them.
export function openPanel(hit, state) {
  const panel = byId("panel");
  panel.hidden = false;
  panel.replaceChildren(
    el("h2", { tabindex: "-1" }, own(hit.title || hit.id)),
    el("button", { type: "button", click: () => change({ item: null }) }, "Close"),
  );
}

// Empties #panel and hides it.
export function closePanel() {
  const panel = byId("panel");
  panel.hidden = true;
  panel.replaceChildren();
}
