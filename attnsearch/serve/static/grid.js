// A grid of buttons is one stop of the Tab key; arrows, Home and End go through it.

const MOVES = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0], Home: [0, -Infinity], End: [0, Infinity] };

// Has the keyboard go through the buttons of a table, the first of which the Tab key finds.
export function moveByKeys(table) {
  const rows = [...table.tBodies[0].rows].map((row) => [...row.querySelectorAll("button")]).filter((row) => row.length);
  let current = rows[0]?.[0];
  if (current) current.tabIndex = 0;
  table.addEventListener("focusin", ({ target }) => {
    if (!target.matches("button")) return;
    current.tabIndex = -1;
    current = target;
    current.tabIndex = 0;
  });
  table.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    const row = rows.findIndex((buttons) => buttons.includes(event.target));
    if (!move || row < 0 || event.altKey || event.metaKey) return;
    event.preventDefault();
    const [down, right] = event.ctrlKey ? [move[0] || move[1], move[1]] : move; // Control+End is the last of all
    const next = rows[clamp(row + down, rows)];
    next[clamp(rows[row].indexOf(event.target) + right, next)].focus();
  });
}

function clamp(place, list) {
  return Math.min(Math.max(place, 0), list.length - 1);
}
