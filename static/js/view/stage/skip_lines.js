/** The connections above the names: from a layer to those that read it later. */

import { ROWS } from "./layout.js";
import * as store from "../../state/store.js";
import { carries } from "./skip_connections.js";
import { html } from "../html.js";

/** Between what comes into a name and what leaves it. */
const ASIDE = 4;

/** @param {{stage: Layout, margin: number}} props */
export function SkipLines({ stage, margin }) {
  const timeline = store.timeline.value;
  const position = store.position.value;
  const phase = timeline && position && !store.live.value ? timeline.phases[position.phase] : null;
  return html`<svg class="skip-lines" viewBox=${`0 0 ${stage.width} ${stage.height}`} aria-hidden="true">
    ${stage.connections.map(
      connection => html`<path
      class=${timeline && phase ? carries(timeline, connection, phase) : ""} d=${path(stage, connection, margin)} />`,
    )}
  </svg>`;
}

/**
 * Up from the source, along the lane, down to each reader; from system to system over the margins.
 * @param {Layout} stage
 * @param {SkipConnection} connection
 * @param {number} margin
 */
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
