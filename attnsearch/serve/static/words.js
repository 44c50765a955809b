// Numbers, texts and answers in words, as the terminal has them.

const UNSAFE = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\p{NChar}\p{Cs}]/gu;
const STACKED = /((?:\p{Mn}|\p{Me}){6})(?:\p{Mn}|\p{Me})+/gu; // hundreds of marks would cross out what is above

// A text as one line: controls and what turns its direction are spelled out, a letter has six marks at most.
export function inert(text) {
  return plain(text).trim();
}

// The same of a part of a line, which may begin and end with a blank.
export function plain(text) {
  const line = text.split(/\s+/u).join(" ");
  return line.replace(UNSAFE, spellOut).replace(STACKED, "$1…");
}

function spellOut(character) {
  const code = character.codePointAt(0).toString(16);
  return code.length <= 2 ? `\\x${code.padStart(2, "0")}` : `\\u${code.padStart(4, "0")}`;
}

// The beginning of a text, inert, with an ellipsis if it has more than so many characters.
export function cut(text, length) {
  const start = inert(text.slice(0, 2 * length));
  const letters = [...start];
  return letters.length <= length && text.length <= 2 * length ? start : `${letters.slice(0, length).join("")}…`;
}

// A share in percent; only 0 is shown as 0.
export function percent(share) {
  return share > 0 && share < 0.0005 ? "<0.1%" : `${(share * 100).toFixed(1)}%`;
}

// A number of things: "1 item", "2,500 items".
export function counted(count, noun) {
  return `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;
}

// A number with commas between its thousands.
export function grouped(count) {
  return count.toLocaleString("en-US");
}

// A number with so many decimals, and a minus as wide as a plus: "−0.005".
export function decimal(number, digits) {
  return number.toFixed(digits).replace("-", "−");
}

// A number to three figures, without zeros at its end.
export function figure(number) {
  return String(Number(number.toPrecision(3)));
}

// The counts of an answer, how far attention is spread, and what is not the default: parts of one line.
export function countsOf(answer) {
  const { catalog, catalogs = [catalog], items, masked, effective_items: spread, recalled } = answer;
  const seen = masked ? `${grouped(items - masked)} of ${counted(items, "item")}` : counted(items, "item");
  const parts = [catalogs.map(inert).join(", "), seen];
  if (masked < items) parts.push(`attention spread over about ${rounded(spread)}`);
  if (recalled) parts.push(fromMemory(recalled));
  if (answer.trained) parts.push("trained");
  if (answer.heads) parts.push(...answer.heads.map((model) => `with ${inert(model)}`));
  return parts;
}

function rounded(count) {
  return count < 9.95 ? count.toFixed(1).replace(/\.0$/, "") : grouped(Math.round(count));
}

function fromMemory(recalled) {
  const [first, ...others] = Object.keys(recalled);
  const share = Object.values(recalled).reduce((sum, part) => sum + part, 0);
  const more = others.length ? ` and ${grouped(others.length)} more` : "";
  return `${percent(share)} from memory, because "${cut(first, 60)}"${more} ${others.length ? "were" : "was"} judged`;
}

// Whether nothing fits: then none of these has more of the attention than all items together.
export function fitsNothing(answer) {
  return answer.none_of_these > 0.5;
}

// Whether anything fits, and what hides it: sentences.
export function remarksOf(answer) {
  const { masked, items, hits } = answer;
  if (!items) return ["the catalog is empty"];
  if (masked === items) {
    const every = items === 1 ? "the only item" : `all ${counted(items, "item")}`;
    return [`nothing is left: the filters hide ${every}`, ...(answer.emptied_by ? [inert(answer.emptied_by)] : [])];
  }
  if (answer.unreadable) return ["the model can't read this request, which seems to be in another language"];
  if (fitsNothing(answer)) return ["nothing here matches well: none of these has more attention than all items together"];
  return hits.length ? [] : ["no item is shown"];
}

// What these hits have of the attention, and what is left to the others.
export function restOf({ hits, items, masked }) {
  const others = items - masked - hits.length;
  const share = Math.min(1, hits.reduce((sum, { weight }) => sum + weight, 0));
  if (!hits.length) return "";
  if (others <= 0) return `These are all ${masked ? "that the filters leave" : "items"}: their weights add up to one.`;
  const these = hits.length === 1 ? "This one has" : `These ${grouped(hits.length)} have`;
  return `${these} ${percent(share)} of the attention, ${others === 1 ? "the other one" : `the other ${grouped(others)}`} the rest.`;
}
