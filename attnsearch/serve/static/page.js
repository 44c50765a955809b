// The page: what the person does → the state → a request → what is shown.

import { byId } from "./dom.js";
import { showHits } from "./hits.js";
import { closePanel, openPanel } from "./panel.js";
import { ask } from "./server.js";
import { change, current, onChange, start } from "./state.js";

let answer = { hits: [] };

byId("query").addEventListener("input", (event) => change({ query: event.target.value }, { step: false }));

onChange(async (state, before) => {
  const query = byId("query");
  if (query.value !== state.query) query.value = state.query;
  if (state.query !== before.query) {
    answer = state.query.trim() ? await ask("v1/query", requestOf(state)) : { hits: [] };
    if (state === current()) showHits(answer);
  }
  showItem(state);
});

start();

// The body of a request for what the state asks.
function requestOf({ query, catalogs, where, temperature, lexical, k, exact }) {
  return { query, catalogs, where, temperature, lexical, k, exact };
}

function showItem(state) {
  const { item } = state;
  if (!item) return closePanel();
  const hit = answer.hits.find(({ id, catalog }) => id === item.id && catalog === item.catalog);
  openPanel(hit ?? item, state);
}
