// τ and λ: how sharp the softmax is, and what shared words count.

import { byId, el } from "./dom.js";
import { change } from "./state.js";
import { figure } from "./words.js";

const SPAN = 8; // τ goes from an eighth of the catalog's own to eight times that
const STEPS = 60; // of τ to either side
const MOST_LEXICAL = 2;

const temperature = makeSlider({
  id: "temperature",
  name: "τ, temperature",
  ends: ["sharp", "flat"],
  range: { min: -STEPS, max: STEPS, step: 1 },
  toPlace: (value, own) => (STEPS * Math.log(value / own)) / Math.log(SPAN),
  toValue: (place, own) => Number((own * SPAN ** (place / STEPS)).toPrecision(3)),
});
const lexical = makeSlider({
  id: "lexical",
  name: "λ, shared words",
  ends: ["meaning", "words"],
  range: { min: 0, max: MOST_LEXICAL, step: 0.05 },
  toPlace: (value) => value,
  toValue: (place) => place,
});

// Puts both where the state has them; `own` are the catalog's values.
export function showSliders(state, own) {
  temperature.show(state.temperature, own.temperature);
  lexical.show(state.lexical, own.lexical);
}

function makeSlider({ id, name, ends, range, toPlace, toValue }) {
  let own = 1;
  const input = el("input", { type: "range", id, name: id, ...range, input: slide });
  const value = el("output", { for: id });
  const reset = el("button", { type: "button", "aria-label": `Reset ${name}`, click: () => change({ [id]: null }) }, "Reset");
  byId("sliders").append(
    el(
      "div",
      { class: "slider" },
      el("label", { for: id }, name),
      value,
      reset,
      input,
      el("span", { class: "ends", "aria-hidden": "true" }, el("span", {}, ends[0]), el("span", {}, ends[1])),
    ),
  );

  function slide() {
    const place = Number(input.value);
    change({ [id]: toPlace(own, own) === place ? null : toValue(place, own) }, { streak: id });
  }

  function show(chosen, catalogs) {
    own = catalogs;
    const shown = chosen ?? own;
    if (chosen === null || toValue(Number(input.value), own) !== chosen) input.value = toPlace(shown, own);
    value.textContent = figure(shown);
    input.setAttribute("aria-valuetext", chosen === null ? `${figure(shown)}, the catalog's own` : figure(shown));
    reset.disabled = chosen === null;
  }

  return { show };
}
