/** The ways in which a sum is looked at: their switch, and that all come to the same. */

import { html } from "../html.js";
import { alone } from "../../core/format.js";
import { setWay } from "../../state/store.js";
import { Choice } from "../shell/popover.js";
import { figure, stamps, turn, way, ways } from "./step_state.js";

const WORDS = { gather: "gather", scatter: "scatter", matrix: "matrix", all: "all three" };
const OF_KERNELS = { ...WORDS, gather: "δ over x", scatter: "stamped" };

export function WaySwitch() {
  if (ways.value.length < 2) return null;
  const words = figure.value?.kind === "product" ? OF_KERNELS : WORDS;
  return html`<div class="way-switch"><${Choice} legend="how the sum is looked at" silent=${true}
    choices=${ways.value.map(value => ({ value, words: words[value] }))} value=${way.value} choose=${setWay} /></div>`;
}

/** What each way comes to for the shown map, in the order of the columns. */
export function totalsNow() {
  const totals = turn.value?.totals ?? stamps.value?.totals;
  return totals ? Object.entries(totals).map(([name, value]) => ({ name, value, text: alone(value) })) : [];
}

/** Whether all ways come to the same, to what float64 can say. @param {{value: number}[]} totals */
export const agree = totals => {
  const size = Math.max(...totals.map(({ value }) => Math.abs(value)));
  return totals.every(({ value }) => Math.abs(value - totals[0].value) <= 1e-12 * size);
};

/** What the ways come to, side by side. */
export function Totals() {
  const totals = totalsNow();
  if (!totals.length) return null;
  const words = figure.value?.kind === "product" ? OF_KERNELS : WORDS;
  const same = agree(totals);
  return html`<dl class="totals ${same ? "" : "differ"}" aria-label=${
    same ? "the same each way" : "not the same each way"
  }>${totals.map(
    ({ name, text }) => html`<div><dt>${words[/** @type {Way} */ (name)]}</dt><dd>${text}</dd></div>`,
  )}</dl>`;
}
