// Strengths → the classes of colors.css, and numbers with their signs.

const STEPS = 16;
const EPSILON = 0.005; // logits; less would be shown as 0.00

// The class of a cell or a word of a strength from -1 to 1; none if it is next to nothing.
export function shade(strength) {
  const step = Math.round(Math.min(Math.abs(strength), 1) * STEPS);
  return step ? `${strength > 0 ? "p" : "n"}${step}` : "";
}

// A number of logits with its sign: "+1.20", "−0.31".
export function signed(number, digits = 2) {
  const text = Math.abs(number).toFixed(digits);
  return Number(text) === 0 ? text : `${number < 0 ? "−" : "+"}${text}`;
}

// How many decimals show numbers of which this is the largest, whatever its sign: two, or as many as it needs for two.
export function digitsFor(strongest) {
  return strongest ? Math.min(Math.max(2 - Math.ceil(Math.log10(strongest)), 2), 8) : 2;
}

// Whether so many logits can be seen in two decimals.
export function isVisible(logits) {
  return Math.abs(logits) >= EPSILON;
}
