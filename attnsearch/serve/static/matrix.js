// The logit as a sum over pairs: of a word of the item, a row, and a word of the request, a column.

import { el, isolate } from "./dom.js";
import { digitsFor, isVisible, shade, signed } from "./shades.js";
import { cut, decimal } from "./words.js";

const ROWS = 150; // words of the item that have a row: those that add or take most
const COLUMNS = 30;

// A matrix as elements; the rows of the answer are the columns here, for a request is shorter than an item.
export function showMatrix(matrix) {
  const { rows, columns, cells, strongest } = narrow(turn(matrix), ROWS, COLUMNS);
  const place = findStrongest(cells, strongest);
  const digits = digitsFor(strongest);
  const head = el("tr", {}, el("td"), ...columns.map((line) => makeHead(line, "col")), el("th", { scope: "col", class: "margin" }, "sum"));
  const body = rows.map((line, row) => makeRow(line, cells[row], { strongest, digits, marked: place[0] === row ? place[1] : -1 }));
  const sums = columns.map((line) => makeCell(line.sum, digits));
  const foot = el("tr", {}, el("th", { scope: "row" }, "sum"), ...sums, makeCell(matrix.sum, digits, "margin"));
  const star = place[0] < 0 ? "" : "; ★ marks the strongest";
  const caption = `What each word of the item (rows) and each of the request (columns) add to the logit together${star}`;
  const table = el(
    "table",
    { class: "grid matrix" },
    el("caption", {}, el("span", {}, caption)),
    el("thead", {}, head),
    el("tbody", {}, ...body),
    el("tfoot", {}, foot),
  );
  return [el("h3", {}, "Word × word"), box("Word by word", table), el("p", { class: "rest" }, spellSum(matrix))];
}

// A box of its own for what is wider or higher than there is room; a keyboard scrolls it, too.
export function box(name, ...children) {
  return el("div", { class: "box", tabindex: "0", role: "region", "aria-label": name }, ...children);
}

function turn({ rows, columns, cells, strongest }) {
  return { rows: columns, columns: rows, cells: columns.map((_, column) => cells.map((row) => row[column])), strongest };
}

// The marks, and the words that add or take most; all others are one row and one column, so that all still adds up.
function narrow({ rows, columns, cells, strongest }, mostRows, mostColumns) {
  const ofRows = group(rows, cells.map((row) => total(row.map(Math.abs))), mostRows);
  const ofColumns = group(columns, columns.map((_, place) => total(cells.map((row) => Math.abs(row[place])))), mostColumns);
  return {
    rows: ofRows.map((places) => join(rows, places)),
    columns: ofColumns.map((places) => join(columns, places)),
    cells: ofRows.map((some) => ofColumns.map((others) => total(some.flatMap((row) => others.map((column) => cells[row][column]))))),
    strongest,
  };
}

// The places of the lines, each in a list of its own; those of the others are together in the last.
function group(lines, weights, most) {
  const places = lines.map((_, place) => place);
  if (places.length <= most) return places.map((place) => [place]);
  const rank = (place) => (lines[place].kind === "mark" ? Infinity : weights[place]);
  const ranked = [...places].sort((left, right) => (rank(left) === rank(right) ? left - right : rank(right) - rank(left)));
  const byPlace = (left, right) => left - right;
  return [...ranked.slice(0, most).sort(byPlace).map((place) => [place]), ranked.slice(most).sort(byPlace)];
}

function join(lines, [first, ...others]) {
  if (!others.length) return lines[first];
  const sum = [first, ...others].reduce((all, place) => all + lines[place].sum, 0);
  return { kind: "others", label: `${others.length + 1} others`, sum };
}

function total(numbers) {
  return numbers.reduce((sum, number) => sum + number, 0);
}

function findStrongest(cells, strongest) {
  const row = cells.findIndex((numbers) => numbers.some((number) => strongest && Math.abs(number) === strongest));
  return row < 0 ? [-1, -1] : [row, cells[row].findIndex((number) => Math.abs(number) === strongest)];
}

function makeHead({ kind, label }, scope) {
  return el("th", { scope, class: kind === "word" ? null : "mark" }, kind === "word" ? isolate(cut(label, 30)) : label);
}

function makeRow(line, numbers, { strongest, digits, marked }) {
  const shades = numbers.map((number) => shade(strongest ? number / strongest : 0));
  const cells = numbers.map((number, place) => makeCell(number, digits, shades[place], place === marked));
  return el("tr", {}, makeHead(line, "row"), ...cells, makeCell(line.sum, digits, "margin"));
}

function makeCell(number, digits, name = "", isStrongest = false) {
  const star = isStrongest ? [el("span", { "aria-hidden": "true" }, "★"), el("span", { class: "unseen" }, "strongest: ")] : [];
  return el("td", { class: [name, isStrongest ? "strongest" : ""].join(" ").trim() || null }, ...star, el("data", { value: number }, signed(number, digits)));
}

// What is between the sum of the cells and the logit.
function spellSum({ sum, lexical, prior, memory, rounding, logit }) {
  const added = [["shared words", lexical], ["priors", prior], ["judged requests", memory]].map(([name, parts]) => [name, total(Object.values(parts))]);
  const parts = [...added, ["rounding", rounding]].filter(([, share]) => isVisible(share));
  const spelled = parts.map(([name, share]) => ` ${signed(share)} ${name}`).join(",");
  return `The cells add up to ${signed(sum)}${spelled ? `; with${spelled}` : ""}: the logit is ${decimal(logit, 2)}.`;
}
