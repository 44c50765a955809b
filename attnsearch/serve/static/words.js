// Numbers and answers in words, as the terminal has them.

// A share in percent; only 0 is shown as 0.
export function percent(share) {
  return share > 0 && share < 0.0005 ? "<0.1%" : `${(share * 100).toFixed(1)}%`;
}

// A number of things: "1 item", "2,500 items".
export function counted(count, noun) {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}
