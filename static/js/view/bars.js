/** Ten numbers as bars: probabilities, or a network's bare outputs. */

import { largest } from "../core/colour.js";
import { number } from "../core/format.js";
import { className, digital } from "../state/store.js";
import { html } from "./html.js";

/** @param {{values: number[], label?: number|null}} props `label` is the right answer's number */
export function Bars({ values, label = null }) {
  const shares = values.every(value => value >= 0 && value <= 1);
  const scale = shares ? 1 : largest(values) || 1;
  return html`<ol class="bars ${digital.value ? "" : "named"}">${values.map(
    (value, k) => html`<li key=${k} class=${k === label ? "label" : ""}>
    <span title=${className(k)}>${digital.value ? k : className(k)}</span><i role="img" aria-label=${number(value)}><b
      style=${{ width: `${(100 * Math.abs(value)) / scale}%` }} /></i></li>`,
  )}</ol>`;
}
