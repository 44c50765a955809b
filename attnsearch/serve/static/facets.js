// What the catalog's fields hold, as filters: values to check, ends of ranges; chips for those that are set.

import { byId, el, isolate } from "./dom.js";
import { readRange, readValues, spellRange, spellValues } from "./filters.js";
import { Refusal, ask } from "./server.js";
import { change, current } from "./state.js";
import { counted, cut, grouped } from "./words.js";

const MOST = 30; // fields that are shown
const FEW = 6; // values of a field that are shown at once
const OPEN = 3; // fields that are open at first, beside those with a range, which are short
const ORDERED = new Set(["number", "date"]);

let shown = []; // the fields' elements, each with `update(where)`

// Makes the facets of these fields; those that say nothing about an item beside others have none.
export function showFacets(fields, own) {
  const useful = fields.filter((field) => !own.has(field.name) && (isOrdered(field) || repeated(field).length));
  const first = useful.slice(0, MOST);
  shown = first.map((field) => (isOrdered(field) ? makeRange(field) : makeValues(field)));
  shown.forEach(({ element }, number) => element.toggleAttribute("open", number < OPEN || isOrdered(first[number])));
  const others = useful.length - shown.length;
  const note = others > 0 ? [el("p", { class: "rest" }, `and ${counted(others, "field")} more: write a filter`)] : [];
  byId("facets").replaceChildren(...shown.map(({ element }) => element), ...note);
  byId("filter").placeholder = useful.length ? cut(exampleOf(useful.find(isOrdered) ?? useful[0]), 100) : "";
  updateFacets(current().where);
}

// Puts the facets and the chips where the filters are.
export function updateFacets(where) {
  for (const { update } of shown) update(where);
  byId("chips").hidden = !where.length;
  byId("chips").replaceChildren(...where.map(makeChip));
}

// A filter that the field takes.
function exampleOf(field) {
  return isOrdered(field) ? spellRange(field.name, "", field.high) : spellValues(field.name, [repeated(field)[0].value]);
}

function isOrdered({ kind, low, high }) {
  return ORDERED.has(kind) && low !== null && low !== high;
}

// The values that several items have: one that differs in each says nothing about the others.
function repeated({ kind, values }) {
  return values.filter(({ count }) => count > 1 || kind === "yes/no");
}

function makeValues(field) {
  const values = repeated(field);
  const boxes = new Map(values.map(({ value, count }) => [value, makeBox(field, value, count)]));
  const rows = [...boxes.values()].map(({ row }) => row);
  const rest = rows.slice(FEW);
  const more = el("button", { type: "button", click: () => reveal(rest, more) }, `${grouped(rest.length)} more`);
  for (const row of rest) row.hidden = true;
  const list = el("ul", {}, ...rows);
  const element = makeField(field, list, rest.length ? more : null);

  function update(where) {
    const chosen = new Set(where.flatMap((filter) => readValues(field.name, filter) ?? []));
    for (const [value, { input, row }] of boxes) {
      input.checked = chosen.has(value);
      if (input.checked) row.hidden = false;
    }
    if (chosen.size) element.open = true;
  }

  return { element, update };
}

function makeBox(field, value, count) {
  const input = el("input", { type: "checkbox", change: () => toggle(field.name, value, input.checked) });
  const name = isolate(cut(value, 100));
  return { input, row: el("li", {}, el("label", {}, input, name, el("small", {}, grouped(count)))) };
}

function reveal(rows, button) {
  for (const row of rows) row.hidden = false;
  button.remove();
  rows[0].querySelector("input").focus();
}

function makeField(field, ...children) {
  const name = isolate(cut(field.name, 60));
  return el("details", { class: "facet" }, el("summary", {}, el("h3", {}, name)), ...children);
}

// Adds a value to the filter of its field, or takes it out.
function toggle(name, value, isWanted) {
  const { where } = current();
  const place = where.findIndex((filter) => readValues(name, filter));
  const before = place < 0 ? [] : readValues(name, where[place]);
  const values = isWanted ? [...before, value] : before.filter((other) => other !== value);
  replaceFilter(place, values.length ? spellValues(name, values) : null);
}

function makeRange(field) {
  const inputs = ["from", "to"].map((end) => makeEnd(field, end));
  const [low, high] = inputs;
  const form = el("form", { class: "range", submit: apply, change: apply }, ...inputs.map(({ label }) => label));
  form.append(el("button", { type: "submit", class: "unseen" }, "Apply"));
  const element = makeField(field, form);

  function apply(event) {
    event.preventDefault();
    const place = current().where.findIndex((filter) => readRange(field.name, filter));
    const [from, to] = inputs.map(({ input }) => input.value.trim());
    replaceFilter(place, from || to ? spellRange(field.name, from, to) : null);
  }

  function update(where) {
    const ends = where.map((filter) => readRange(field.name, filter)).find(Boolean) ?? ["", ""];
    [low.input.value, high.input.value] = ends;
    if (ends.some((end) => end)) element.open = true;
  }

  return { element, update };
}

function makeEnd(field, end) {
  const placeholder = cut(end === "from" ? field.low : field.high, 30);
  const input = el("input", { type: "text", autocomplete: "off", placeholder });
  const name = el("span", { class: "unseen" }, `${cut(field.name, 60)} `);
  const word = el("span", { class: end === "from" ? "unseen" : null }, end); // the boxes need the width
  return { input, label: el("label", {}, name, word, input) };
}

// Puts a filter in the place of another one; -1 is after all, and null takes it out.
function replaceFilter(place, filter) {
  const { where } = current();
  const before = place < 0 ? where : where.slice(0, place);
  const after = place < 0 ? [] : where.slice(place + 1);
  const filters = [...before, ...(filter ? [filter] : []), ...after];
  if (filters.join("\n") !== where.join("\n")) change({ where: filters });
}

function makeChip(filter, place) {
  const text = cut(filter, 120);
  const edit = () => {
    replaceFilter(place, null);
    byId("filter").value = filter;
    byId("filter").focus();
  };
  return el(
    "li",
    {},
    el("button", { type: "button", class: "edit", title: "Edit", click: edit }, isolate(text)),
    el("button", { type: "button", "aria-label": `Remove ${text}`, click: () => remove(place) }, "×"),
  );
}

function remove(place) {
  replaceFilter(place, null);
  const next = byId("chips").children[Math.min(place, byId("chips").children.length - 1)];
  (next?.lastElementChild ?? byId("query")).focus();
}

// Adds what is in the filter box, if the server can read it; else says why not. The text of the request does not matter
// for that, but it needs one.
export async function addFilter() {
  const filter = byId("filter").value.trim();
  const { query, catalogs } = current();
  if (!filter) return showFilterProblem("");
  try {
    await ask("v1/query", { query: query.trim() || filter, catalogs, where: [filter], k: 1 });
  } catch (failure) {
    if (!(failure instanceof Refusal)) throw failure;
    return showFilterProblem(failure.sentence);
  }
  byId("filter").value = "";
  showFilterProblem("");
  change({ where: [...current().where.filter((other) => other !== filter), filter] });
}

// Says at the filter box what is wrong with a filter; nothing for an empty sentence.
export function showFilterProblem(sentence) {
  byId("filter-problem").textContent = sentence;
  byId("filter").setAttribute("aria-invalid", String(Boolean(sentence)));
}
