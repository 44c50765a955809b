// The catalogs that are served: which of them are asked, and what they are.

import { byId, el, isolate } from "./dom.js";
import { change, current } from "./state.js";
import { counted, cut, grouped } from "./words.js";

const EXAMPLES = 4; // fields, and values of each

let known = []; // rows of v1/catalogs

// Keeps what is known of the catalogs; whether it is new.
export function learnCatalogs(rows) {
  const isNew = JSON.stringify(rows) !== JSON.stringify(known);
  known = rows;
  return isNew;
}

// The catalog to name where none is: nothing if the server knows which that is, or if there is none.
export function nameFirst() {
  return known.length && !known.some((row) => row.default) ? [known[0].name] : [];
}

// Those that a state asks: by its names, or else the default one, or the first.
export function askedCatalogs({ catalogs }) {
  if (catalogs.length) return known.filter(({ name }) => catalogs.includes(name));
  const first = known.find((row) => row.default) ?? known[0];
  return first ? [first] : [];
}

// The fields of these catalogs: those with the same name are one, if they are of the same kind.
export function joinFields(rows) {
  const joined = new Map();
  for (const field of rows.flatMap(({ fields = [] }) => fields)) {
    const before = joined.get(field.name);
    if (!before) joined.set(field.name, field);
    else if (before.kind === field.kind) joined.set(field.name, { ...before, values: joinValues(before, field) });
  }
  return [...joined.values()];
}

function joinValues(...fields) {
  const counts = new Map();
  for (const { value, count } of fields.flatMap(({ values }) => values)) counts.set(value, (counts.get(value) ?? 0) + count);
  return [...counts].map(([value, count]) => ({ value, count })).sort((left, right) => right.count - left.count);
}

// The names of the fields that are an item's id, its title and its description.
export function ownFields(rows) {
  return new Set(["id", "title", "description", ...rows.flatMap((row) => [row.id_field, row.title_field]).flat()]);
}

// The list of catalogs, if there are several: a name asks that one alone, a box adds it to the others.
export function showCatalogs(state) {
  const section = byId("catalogs");
  section.hidden = known.length < 2;
  const asked = askedCatalogs(state);
  section.querySelector("ul").replaceChildren(...known.map((row) => makeRow(row, asked)));
}

function makeRow(row, asked) {
  const isAsked = asked.includes(row);
  const name = cut(row.name, 60);
  const isAlone = isAsked && asked.length === 1;
  const chosen = asked.map((other) => other.name);
  const together = isAsked ? chosen.filter((other) => other !== row.name) : [...chosen, row.name];
  const box = el("input", {
    type: "checkbox",
    "aria-label": `ask ${name} too`,
    checked: isAsked,
    disabled: isAlone || Boolean(row.problem),
    change: () => choose(together),
  });
  const button = el(
    "button",
    { type: "button", "aria-pressed": String(isAsked), disabled: Boolean(row.problem), click: () => choose([row.name]) },
    isolate(name),
    el("small", {}, "items" in row ? grouped(row.items) : ""),
  );
  return el("li", {}, box, button, row.problem ? el("p", { class: "note" }, cut(row.problem, 300)) : null);
}

// Asks other catalogs. What was set for the ones before need not fit them.
function choose(names) {
  const isSame = names.join("\n") === current().catalogs.join("\n");
  if (!isSame) change({ catalogs: names, where: [], temperature: null, lexical: null, item: null });
}

// What the catalogs are, where nothing is asked yet.
export function showAbout(state) {
  const rows = askedCatalogs(state);
  const section = byId("about");
  section.hidden = state.query.trim() !== "";
  if (section.hidden) return;
  if (!rows.length) return section.replaceChildren(el("p", {}, "There is no catalog here yet."));
  const examples = joinFields(rows).map(exampleRow).filter(Boolean).slice(0, EXAMPLES);
  section.replaceChildren(...rows.map(describeCatalog), sentence());
  if (examples.length) section.append(el("h3", {}, "Ask for what its items have"), el("dl", { class: "examples" }, ...examples));
}

function describeCatalog({ name, description, items, updated, problem }) {
  const size = items === undefined ? "built in; the first request indexes it" : counted(items, "item");
  const counts = problem ? [cut(problem, 300)] : [size, updated ? `as of ${updated.slice(0, 10)}` : null];
  return el(
    "div",
    {},
    el("h2", {}, isolate(cut(name, 100))),
    description ? el("p", { dir: "auto", lang: "" }, cut(description, 1000)) : null,
    el("p", { class: "rest" }, counts.filter(Boolean).join(" · ")),
  );
}

// Equation (1), in the words of the README.
function sentence() {
  const letter = (name, text) => el("span", { class: name }, text);
  return el(
    "p",
    { class: "lede" },
    "What you say is the ", letter("q", "query"), ", each description is a ", letter("k", "key"),
    ", and every item gets its share of attention: ",
    el("span", { class: "formula" }, "softmax(", letter("q", "Q"), letter("k", "Kᵀ"), "/√d", el("sub", {}, "k"), ")"),
  );
}

// The commonest values of a field, as requests; null if they are not words, or no two items have the same.
function exampleRow({ name, kind, values }) {
  const words = values.filter(({ value, count }) => count > 1 && /\p{L}{3}/u.test(value) && value.length > 3).slice(0, EXAMPLES);
  if ((kind !== "text" && kind !== "list") || words.length < 2) return null;
  const buttons = words.map(({ value }) => exampleButton(value));
  return el("div", {}, el("dt", {}, isolate(cut(name, 60))), el("dd", {}, ...buttons));
}

function exampleButton(value) {
  return el("button", { type: "button", click: () => change({ query: value }) }, isolate(cut(value, 60)));
}
