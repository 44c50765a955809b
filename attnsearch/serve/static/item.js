// What an item is: its title, its place in the answer, picture, address, text and fields.

import { linkOf, pictureOf } from "./addresses.js";
import { el, isolate } from "./dom.js";
import { cut, decimal, grouped, percent } from "./words.js";

const TITLE = 500; // characters that are shown
const TEXT = 5000;
const VALUE = 500;
const MOST = 60; // fields that are shown

// The title of an item, or its id if it has none.
export function nameOf({ title, id }) {
  return cut(title || id, TITLE) || "(no name)";
}

// Where the item is in the answer; null for one that was not asked for.
export function describePlace({ rank, weight, score }) {
  if (rank === undefined) return null;
  const share = el("data", { value: weight, class: "strong" }, percent(weight));
  return el("p", { class: "rest" }, `rank ${grouped(rank)}, `, share, ` of the attention, score ${decimal(score, 3)}`);
}

// All else that is known of an item: elements.
export function describeItem({ description, passage, fields }) {
  const [link, picture] = [linkOf(fields), pictureOf(fields)];
  return [
    picture ? makePicture(picture) : null,
    link ? makeLink(link) : null,
    description ? el("p", { dir: "auto", lang: "" }, cut(description, TEXT)) : null,
    passage ? makePassage(passage) : null,
    makeFields(fields, description),
  ].filter(Boolean);
}

// A picture that a stranger's server has: it learns nothing of us, and leaves no gap if it is not there.
function makePicture(address) {
  const picture = el("img", {
    alt: "",
    class: "picture",
    loading: "lazy",
    decoding: "async",
    referrerpolicy: "no-referrer",
    error: () => picture.remove(),
  });
  picture.src = address; // after all else, since it is what starts to load it
  return picture;
}

function makeLink(address) {
  const name = isolate(cut(address.replace(/^https?:\/\//, "").replace(/\/$/, ""), 80));
  const safe = { rel: "noopener noreferrer", referrerpolicy: "no-referrer" };
  return el("p", {}, el("a", { href: address, target: "_blank", ...safe }, name, el("span", { class: "unseen" }, " (opens in a new tab)")));
}

function makePassage(passage) {
  return el("p", { class: "rest" }, "The passage that matched: ", isolate(`… ${cut(passage, TEXT)} …`));
}

// The fields, without that of the description, which is above.
function makeFields(fields, description) {
  const rows = Object.entries(fields).filter(([, value]) => value !== null && spell(value) && value !== description);
  if (!rows.length) return null;
  const others = rows.length - MOST;
  const shown = rows.slice(0, MOST).flatMap(([name, value]) => [
    el("dt", {}, isolate(cut(name, 60))),
    el("dd", { dir: "auto", lang: "" }, cut(spell(value), VALUE)),
  ]);
  const rest = others > 0 ? [el("dt", {}, "…"), el("dd", {}, `${grouped(others)} more`)] : [];
  return el("dl", { class: "fields" }, ...shown, ...rest);
}

// A field's value as text: the elements of a list with commas between them.
function spell(value) {
  if (Array.isArray(value)) return value.map(spell).join(", ");
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}
