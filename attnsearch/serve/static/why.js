// Why an item has its logit: the sum, and the two texts with their words shaded by what each adds.

import { el, isolate } from "./dom.js";
import { digitsFor, isVisible, shade, signed } from "./shades.js";
import { cut, decimal, figure, plain } from "./words.js";

const NAMED = 1 / 4; // of the strongest word's share: from here on a word has its number under it
const MOST = 12; // terms, and judged requests, that have a row

// An explanation → elements. `text` is the request as it was read.
export function showWhy({ why, logit, score }, { temperature, text }) {
  return [el("h3", {}, "Why"), makeSum(why, logit, score, temperature), ...makeTexts(why, text)];
}

function makeSum(why, logit, score, temperature) {
  const rows = partsOf(why, score, temperature).map(([name, share]) => makeRow(name, share));
  const total = el("tr", {}, el("th", { scope: "row" }, "logit"), number(logit, decimal(logit, 2)));
  const head = el("tr", {}, el("th", { scope: "col" }, "part"), el("th", { scope: "col", class: "num" }, "logits"));
  const caption = el("caption", {}, "The logit as a sum; each logit more is 2.7 times the attention");
  return el("table", { class: "sum" }, caption, el("thead", {}, head), el("tbody", {}, ...rows), el("tfoot", {}, total));
}

// The names and numbers of what makes the logit.
function partsOf({ semantic, heads = {}, lexical, prior, memory }, score, temperature) {
  const several = Object.entries(heads).map(([model, share]) => [["of it, ", isolate(cut(model, 60))], share]);
  return [
    [[several.length ? "meaning, of several models" : `meaning: a score of ${decimal(score, 3)}, τ ${figure(temperature)}`], semantic],
    ...several,
    ...nameParts(lexical, (term) => ["shared word ", isolate(cut(term, 60))]),
    ...nameParts(prior, (field) => ["prior ", isolate(cut(field, 60))]),
    ...nameParts(memory, (request) => ["because “", isolate(cut(request, 80)), "” was judged"]),
  ];
}

// The largest parts by name, and all smaller ones together.
function nameParts(parts, name) {
  const sorted = Object.entries(parts).sort(([, left], [, right]) => Math.abs(right) - Math.abs(left));
  const shown = sorted.filter(([, share], place) => place < MOST && isVisible(share));
  const others = sorted.slice(shown.length).reduce((sum, [, share]) => sum + share, 0);
  return [...shown.map(([part, share]) => [name(part), share]), ...(isVisible(others) ? [[["others"], others]] : [])];
}

function makeRow(name, share) {
  return el("tr", {}, el("th", { scope: "row" }, ...name), number(share, signed(share)));
}

function number(value, text) {
  return el("td", { class: "num" }, el("data", { value }, text));
}

function makeTexts({ query_words: query, item_words: item, item_text: itemText, marks }, text) {
  if (!query && !item) return [el("p", { class: "note" }, "This model’s vectors are not sums over words, so that no word has a share of its own.")];
  const shades = ["for", "p8", "much for", "p16", "against", "n8", "much against", "n16"];
  const samples = [0, 2, 4, 6].map((place) => el("span", { class: shades[place + 1] }, shades[place]));
  return [
    el("p", { class: "key" }, "Words are shaded by what they add to the logit: ", ...samples),
    query ? shadeText("request", text, query, marks.query) : null,
    item ? shadeText("item", itemText, item, marks.item) : null,
  ].filter(Boolean);
}

// A text whose words have their places counted in code points, as Python counts them.
function shadeText(side, text, words, marks) {
  const letters = [...text];
  const strongest = Math.max(...words.map(({ share }) => Math.abs(share)), 0) || 1;
  const paragraph = el("p", { dir: "auto", lang: "" });
  let end = 0;
  for (const { start, stop, share } of words) {
    paragraph.append(plain(letters.slice(end, start).join("")), makeWord(letters.slice(start, stop).join(""), share, strongest));
    end = stop;
  }
  paragraph.append(plain(letters.slice(end).join("")));
  const rest = isVisible(marks) ? el("p", { class: "rest" }, `and ${signed(marks)} by the marks that the model puts around it`) : null;
  return el("div", { class: "words" }, el("h4", {}, `By the words of the ${side}`), paragraph, rest);
}

function makeWord(word, share, strongest) {
  const strength = share / strongest;
  const number = signed(share, digitsFor(strongest));
  const data = el("data", { value: share, class: shade(strength) || null, title: `${number} logits` }, plain(word));
  return Math.abs(strength) < NAMED ? data : el("span", { class: "word" }, data, el("small", {}, number));
}
