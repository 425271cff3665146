/** The keys: one list, read by the handler and by the help. */

import * as store from "../../state/store.js";

/** All ways at once, with the network folded, and back. */
const toggleWays = () => store.setWay(store.way.value === "all" ? "gather" : "all");

/** @type {{keys: string[], words: string, shown: string[], act: () => void}[]} */
export const KEYS = [
  { keys: [" "], shown: ["Space"], words: "play or pause", act: store.togglePlay },
  { keys: ["."], shown: ["."], words: "one cell on", act: () => store.stepCell(1) },
  { keys: [","], shown: [","], words: "one cell back", act: () => store.stepCell(-1) },
  { keys: [">", "]"], shown: ["]"], words: "one phase on", act: () => store.stepPhase(1) },
  { keys: ["<", "["], shown: ["["], words: "one phase back", act: () => store.stepPhase(-1) },
  { keys: ["m"], shown: ["m"], words: "a turned kernel: three ways, or one", act: toggleWays },
  { keys: ["+", "="], shown: ["+"], words: "faster", act: () => store.changeSpeed(1) },
  { keys: ["-"], shown: ["−"], words: "slower", act: () => store.changeSpeed(-1) },
  { keys: ["p"], shown: ["P"], words: "predict", act: () => store.setPredicting(!store.predicting.peek()) },
  { keys: ["Escape"], shown: ["Esc"], words: "one level out", act: () => void store.leave() },
  { keys: ["?"], shown: ["?"], words: "these keys", act: () => store.openPanel("help") },
];

/** What the number cells and the stage's tiles listen to themselves. */
export const WITHIN = [
  { shown: ["←", "↑", "→", "↓"], words: "one cell or tile" },
  { shown: ["PageUp", "PageDown"], words: "one map" },
  { shown: ["Home", "End"], words: "first, last" },
  { shown: ["Enter"], words: "explain this number" },
];

/** What Train listens to instead. */
export const TRAIN_KEYS = [
  { shown: ["Space"], words: "train or pause" },
  { shown: ["."], words: "one step" },
  { shown: ["←", "→"], words: "on the curves: one recorded step" },
  { shown: ["Enter"], words: "on the curves: open the step" },
];

/** What Build listens to in its row of layers. */
export const BUILD_KEYS = [
  { shown: ["←", "→"], words: "in the row: choose a layer" },
  { shown: ["Alt ←", "Alt →"], words: "move it" },
  { shown: ["Insert"], words: "add a layer behind it" },
  { shown: ["Delete"], words: "remove it" },
  { shown: ["b"], words: "begin a branch; Enter where it joins" },
  { shown: ["Enter"], words: "its settings, or a way to make it fit" },
  { shown: ["Ctrl Z", "Ctrl Y"], words: "undo, redo" },
];

/** @param {KeyboardEvent} event */
export function handle(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const target = /** @type {HTMLElement|null} */ (event.target);
  if (event.key !== "Escape" && target?.closest?.("input, textarea, select, [contenteditable]")) return;
  if (event.key === " " && target?.closest?.("button, a, summary, [role=button], [role=tab], [role=option]")) return;
  if (store.view.peek() === "build" && !["Escape", "?"].includes(event.key)) return;
  const found = KEYS.find(({ keys }) => keys.includes(event.key));
  if (!found || (store.panel.peek() && event.key !== "Escape")) return;
  event.preventDefault();
  found.act();
}
