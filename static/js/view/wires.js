/** The wires above the names: from a layer to those that read it later. */

import { ROWS } from "../layout.js";
import * as store from "../store.js";
import { carries } from "../wires.js";
import { html } from "./html.js";

/** Between what comes into a name and what leaves it. */
const ASIDE = 4;

/** @param {{stage: Layout, margin: number}} props */
export function Wires({ stage, margin }) {
  const score = store.score.value;
  const position = store.position.value;
  const phase = score && position && !store.live.value ? score.phases[position.phase] : null;
  return html`<svg class="wires" viewBox=${`0 0 ${stage.width} ${stage.height}`} aria-hidden="true">
    ${stage.wires.map(wire => html`<path class=${score && phase ? carries(score, wire, phase) : ""} d=${path(stage, wire, margin)} />`)}
  </svg>`;
}

/** Up from the source, along the lane, down to each reader; from system to system over the margins. @param {Layout} stage @param {Wire} wire @param {number} margin */
function path(stage, { from, to, lane }, margin) {
  const columnOf = (/** @type {string} */ layer) =>
    stage.columns.find(each => each.kind !== "weights" && each.shows === layer);
  const start = columnOf(from);
  const lanes = stage.rows.top - ROWS.top;
  return to
    .map(columnOf)
    .map(goal => {
      if (!start || !goal) return "";
      const high = (/** @type {number} */ system) => stage.systems[system] + lanes - ROWS.lane * (lane + 0.5);
      const foot = (/** @type {number} */ system) => stage.systems[system] + lanes + 3;
      const middle = (/** @type {Column} */ { x, width }) => x + width / 2;
      const out = `M${middle(start) + ASIDE} ${foot(start.system)}V${high(start.system)}`;
      const across = Array.from(
        { length: goal.system - start.system },
        (_, k) => `H${stage.width - margin}M${margin} ${high(start.system + k + 1)}`,
      ).join("");
      const x = middle(goal) - ASIDE;
      return `${out}${across}H${x}V${foot(goal.system)}m-3 -4l3 4l3 -4`;
    })
    .join("");
}
