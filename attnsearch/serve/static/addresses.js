// What of an item's fields may lead elsewhere: addresses of the web, and nothing else.

const LINKS = ["url", "link", "href", "homepage"]; // fields that have an item's address, as in all of our output
const PICTURES = ["image"];
const LONGEST = 2000;
// Without blanks, controls and what turns the direction of a text, all of which a browser would overlook, or a person.
const WEB = /^https?:\/\/[^\s\\\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}]+$/iu;

// A web address as a browser writes it; null if a value is anything else, or has a user's name in it.
export function webAddress(value) {
  if (typeof value !== "string" || value.length > LONGEST || !WEB.test(value) || !URL.canParse(value)) return null;
  const { protocol, username, password, href } = new URL(value);
  const isWeb = protocol === "https:" || protocol === "http:";
  return isWeb && !username && !password && !/^https?:\/\/\/|^https?:\/\/[^/?#]*@/i.test(value) ? href : null;
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
