/** The turn as a strip of pictures: for reduced motion, and for whoever asks why the kernel is turned. */

import { html } from "../html.js";
import { rangeOf } from "../../store.js";
import { NumberGrid } from "../grid.js";
import { Symbol } from "../symbol.js";
import { Map2D, cellFor } from "./parts.js";

/** @param {{phase: Phase, scene: any, onClose: () => void}} props */
export function Strip({ phase, scene, onClose }) {
  const rows = scene.asItIs.length;
  const side = 132 / Math.max(rows, scene.asItIs[0].length);
  const grid = (/** @type {any} */ cells, /** @type {"first"|"last"} */ ear, kind = "") => html`<div class="pose ${kind}">
    <${NumberGrid} prefix=${scene.kernelName} shape=${scene.w.shape} kind="weight" range=${rangeOf(scene.kernelName)} cells=${cells}
      width=${side} height=${side} numbers=${false} letters=${rows <= 5} ear=${ear} label="kernel" /></div>`;
  const [down, across] = scene.sides;
  const map = (/** @type {any[]} */ rings) => html`<div class="pose"><${Map2D} picture=${scene.picture} target=${132} rings=${rings}
    cell=${cellFor(Math.max(down.size, across.size), 136)} sides=${scene.sides} label="padded map" /></div>`;
  const delta = html`<${Symbol} name="dy" kind="gradient" />`;
  const back = phase.kind === "gradient";
  const source = back ? delta : html`<${Symbol} name="x" kind="value" />`;
  const result = html`<${Symbol} name=${phase.tensor} kind=${phase.kind} />`;
  const apart = Math.max(down.pitch, across.pitch) > 1;
  const frames = [
    [grid(scene.asItIs, "first"), html`The kernel as it lies in memory: <i>a</i> comes first.`],
    [grid(scene.asItIs, "first", "tilted"), html`It turns about its centre by half a turn. Letters stay upright.`],
    [grid(scene.kernelCells, "last"), html`Turned: the last cell comes first, the marked corner is last.`],
    [map([]), apart ? html`${source} is spread apart and padded with zeros, so that every cell has its partners.`
      : html`${source} gets its rings of zeros, so that every cell has as many partners.`],
    [map([{ ...scene.box, look: "ring" }]), html`It slides over ${source}; each stop writes one cell of ${result}.`],
  ];
  return html`<ol class="strip" aria-label="Why the kernel is turned">
    ${frames.map(([picture, words], k) => html`<li key=${k}>${picture}<p><b>${k + 1}</b> ${words}</p></li>`)}
    <li class="go"><button class="button" onClick=${onClose}>Show the numbers</button></li></ol>`;
}
