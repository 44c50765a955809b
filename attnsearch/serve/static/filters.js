// Filters as text, in the tool's own syntax: what is spelled here reads as this field and these values, whatever they are.

const WORDS = new Set(["and", "or", "not", "in", "between", "has", "where", "is", "are"]);
const BARE = /^[\p{L}\p{N}_.-]+(?: [\p{L}\p{N}_.-]+)*$/u;

// A name or a value as a filter takes it: in quotes, in which a quote is doubled, unless it is plain.
export function quote(text) {
  const isPlain = BARE.test(text) && !text.split(" ").some((word) => WORDS.has(word.toLowerCase()));
  return isPlain ? text : `"${text.replaceAll('"', '""')}"`;
}

// The filter that a field has one of these values.
export function spellValues(field, values) {
  return `${quote(field)} = ${values.map(quote).join(", ")}`;
}

// The filter that a field lies between two values, of which one may be empty.
export function spellRange(field, low, high) {
  if (low && high) return `${quote(field)} between ${quote(low)} and ${quote(high)}`;
  return low ? `${quote(field)} >= ${quote(low)}` : `${quote(field)} <= ${quote(high)}`;
}

// The values of a filter that `spellValues` made; null if it is another.
export function readValues(field, filter) {
  const start = `${quote(field)} = `;
  if (!filter.startsWith(start)) return null;
  const values = readList(filter.slice(start.length));
  return values && spellValues(field, values) === filter ? values : null;
}

// The ends of a filter that `spellRange` made, an open one empty; null if it is another.
export function readRange(field, filter) {
  const name = quote(field);
  for (const [start, toEnds] of [
    [`${name} >= `, (low) => [low, ""]],
    [`${name} <= `, (high) => ["", high]],
    [`${name} between `, (low, high) => [low, high]],
  ]) {
    const ends = filter.startsWith(start) ? readList(filter.slice(start.length), " and ") : null;
    if (!ends) continue;
    const [low, high = ""] = toEnds(...ends);
    if ((low || high) && spellRange(field, low, high) === filter) return [low, high];
  }
  return null;
}

// Plain and quoted texts that are parted by `joint`; null if there is anything else.
function readList(text, joint = ", ") {
  const values = [];
  let rest = text;
  while (rest) {
    const quoted = /^"((?:[^"]|"")+)"/.exec(rest);
    const end = rest.indexOf(joint);
    const part = quoted ? quoted[0] : end < 0 ? rest : rest.slice(0, end);
    values.push(quoted ? quoted[1].replaceAll('""', '"') : part);
    rest = rest.slice(part.length);
    if (!rest) return values;
    if (!rest.startsWith(joint)) return null;
    rest = rest.slice(joint.length);
  }
  return null;
}
