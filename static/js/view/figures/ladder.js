/** Short vectors as rows of numbers, one beneath the other, from what goes in through the named steps to what comes out. */

import { html } from "../html.js";
import { css } from "../../colour.js";
import { ROW } from "../../figure.js";
import { exponentOf, factor } from "../../format.js";
import { at, ravel } from "../../place.js";
import { indexAt } from "../../score.js";
import { isKnown, label, nameOf, position, rangeOf, scheme, tensorOf } from "../../store.js";
import { NumberGrid } from "../grid.js";
import { rem } from "../heatmap.js";
import { Symbol, plain } from "../symbol.js";
import { freshSteps } from "../words.js";
import { fit } from "./parts.js";

/** @param {{phase: Phase, figure: {reads: Read[]}}} props */
export function Ladder({ phase, figure }) {
  const cell = position.value?.cell ?? -1;
  const size = fit();
  const index = indexAt(phase, cell);
  const rows = rowsOf(phase, figure.reads);
  const length = Math.max(1, ...rows.map(({ length: n }) => n));
  const head = size.narrow ? 44 : 96;
  const width = Math.min(74, Math.max(size.narrow ? 26 : 44, (size.inner - head - 8) / length));
  const numbers = width >= 44;
  const height = rows.length > 4 ? 26 : 30;
  const bars = phase.shape.length > 0 && phase.kind === "gradient";
  const at0 = index.at(-1) ?? 0;
  return html`<div class="figure ladder" style="--head:${rem(head)}">
    <div class="ladder-rows">
      <div class="ladder-row heads" aria-hidden="true"><span class="ladder-name"></span>${Array.from({ length }, (_, k) => html`<span
        class="ladder-head ${phase.shape.length && k === at0 && cell >= 0 ? "now" : ""} ${k === label.value && length === 10 ? "label" : ""}" style="width:${rem(width)}">${k}</span>`)}</div>
      ${rows.map((row) => {
        const cells = Array.from({ length: row.length }, (_, k) => {
          const here = row.index(k);
          const there = isKnown(at(row.prefix, here));
          return { value: row.tensor.data[ravel(here, row.tensor.shape)], index: here, letter: "",
            state: /** @type {"known"|"notyet"} */ (there ? "known" : "notyet"),
            mark: /** @type {"result"|""} */ (row.result && cell >= 0 && (row.length === 1 || k === at0) ? "result" : "") };
        });
        const exponent = exponentOf(cells.filter(({ state }) => state === "known").map(({ value }) => value));
        return html`<div class="ladder-row ${row.result ? "sum" : ""}" key=${row.prefix}>
          <span class="ladder-name"><${Symbol} name=${row.result && row.tensor.shape.length === 0 ? "L" : row.name} kind=${row.tensor.kind} /> ${factor(exponent)}</span>
          <${NumberGrid} prefix=${row.prefix} shape=${row.tensor.shape} kind=${row.tensor.kind} range=${rangeOf(row.prefix)} cells=${[cells]}
            width=${row.length === 1 ? Math.max(width, 60) : width} height=${height} letters=${false} numbers=${numbers || row.length === 1} exponent=${exponent} name=${row.name} label=${plain(row.name)} />
        </div>`;
      })}
      ${bars && html`<${Bars} phase=${phase} width=${width} length=${length} />`}
    </div></div>`;
}

/** Inputs, the named steps between, the result: every one that is a short vector or a single number. @param {Phase} phase @param {Read[]} reads */
function rowsOf(phase, reads) {
  const fresh = freshSteps(phase);
  const named = [
    ...(fresh.length === phase.steps.length && fresh.length && phase.part !== "backward" ? [{ name: "x", prefix: `${phase.layer}/x` }] : []),
    ...fresh.filter(({ name }) => !reads.some((read) => read.name === name)).map(({ name }) => ({ name, prefix: `${phase.layer}/${name}` })),
    ...reads.map(({ name, tensor }) => ({ name, prefix: tensor })),
  ];
  const seen = new Set([nameOf(phase.place)]);
  const rows = [];
  for (const { name, prefix } of [...named, { name: phase.tensor, prefix: phase.place }]) {
    const own = nameOf(prefix);
    const result = prefix === phase.place;
    const tensor = tensorOf(own);
    if (!tensor || (seen.has(own) && !result)) continue;
    seen.add(own);
    const { shape } = tensor;
    const length = shape.length === 0 ? 1 : shape.at(-1) ?? 1;
    if (shape.length > 2 || length > ROW || (shape.length === 2 && shape[0] > 1 && !result)) continue;
    rows.push({ name, prefix: own, tensor, length, result,
      index: (/** @type {number} */ k) => shape.map((_, axis) => (axis === shape.length - 1 ? k : 0)) });
  }
  return rows;
}

/** The result as bars from a line of zero. @param {{phase: Phase, width: number, length: number}} props */
function Bars({ phase, width, length }) {
  const tensor = tensorOf(phase.place);
  if (!tensor) return null;
  const range = rangeOf(phase.place);
  const most = Math.max(...Array.from(tensor.data, Math.abs), 1e-12);
  const theme = scheme.value;
  return html`<div class="ladder-row bar-row" aria-hidden="true"><span class="ladder-name"></span>
    ${Array.from({ length }, (_, k) => {
      const value = tensor.data[k];
      const there = isKnown(at(nameOf(phase.place), tensor.shape.map((_s, axis) => (axis === tensor.shape.length - 1 ? k : 0))));
      const high = there ? 17 * Math.abs(value) / most : 0;
      return html`<span class="bar-cell" style="width:${rem(width)}"><i style="height:${rem(Math.max(value ? 1.5 : 0, high))};${
        value < 0 ? "top:50%" : "bottom:50%"};background:${css("gradient", value, range, theme)}"></i></span>`;
    })}</div>`;
}

