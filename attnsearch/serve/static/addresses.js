// What of an item's fields may lead elsewhere: addresses of the web, and nothing else.

const LINKS = ["url", "link", "href", "homepage"]; // fields that have an item's address, as in all of our output
const PICTURES = ["image"];
const LONGEST = 2000;
// With a host, and no user's name before it; without blanks, controls and what turns the direction of a text, which a
// browser overlooks, or a person.
const WEB = /^https?:\/\/(?![/?#]|[^/?#]*@)[^\s\\\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}]+$/iu;

// A web address as a browser writes it; null if a value is anything else.
export function webAddress(value) {
  const isWeb = typeof value === "string" && value.length <= LONGEST && WEB.test(value) && URL.canParse(value);
  return isWeb ? new URL(value).href : null;
}

// The address that an item has, and that of its picture; null for each that it lacks.
export function linkOf(fields) {
  return firstAddress(fields, LINKS);
}

export function pictureOf(fields) {
  return firstAddress(fields, PICTURES);
}

function firstAddress(fields, names) {
  const named = new Map(Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value]));
  const values = names.flatMap((name) => named.get(name) ?? []); // of a list, each element
  return values.map(webAddress).find((address) => address) ?? null;
}
