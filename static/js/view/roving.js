/** Many buttons of a kind as one stop of the Tab key: the arrows go from one to the next, wherever it is drawn. */

const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Focuses the neighbour of the focused button in the direction of an arrow key.
 * @param {KeyboardEvent} event heard on what holds the buttons @param {string} selector of the buttons
 */
export function rove(event, selector) {
  const way = WAYS[/** @type {keyof typeof WAYS} */ (event.key)];
  const all = /** @type {HTMLElement[]} */ ([
    .../** @type {HTMLElement} */ (event.currentTarget).querySelectorAll(selector),
  ]);
  const from = all.find(button => button === event.target);
  if (!from || event.ctrlKey || event.altKey || event.metaKey) return;
  const to = event.key === "Home" ? all[0] : event.key === "End" ? all[all.length - 1] : way && nearest(from, all, way);
  if (to === undefined) return;
  event.preventDefault();
  to?.focus();
}

/** @param {HTMLElement} from @param {HTMLElement[]} all @param {number[]} way */
function nearest(from, all, [dx, dy]) {
  const { x, y } = from.getBoundingClientRect();
  let best = null;
  let least = Infinity;
  for (const button of all) {
    const box = button.getBoundingClientRect();
    const along = (box.x - x) * dx + (box.y - y) * dy;
    const beside = Math.abs((box.x - x) * dy) + Math.abs((box.y - y) * dx);
    if (along > 1 && along + 9 * beside < least && (dy || beside < 4)) {
      least = along + 9 * beside;
      best = button;
    }
  }
  return best;
}
