/** Tensors of the preview as pictures: tiles, planes, strips and bars. */

import { largest, gradient, roundUp } from "../../core/colour.js";
import * as format from "../../core/format.js";
import * as build from "../../state/build.js";
import { scheme } from "../../state/store.js";
import { html } from "../html.js";
import { Tiles } from "../train/tiles.js";

/** @param {string} name layer/tensor @returns {Tensor|undefined} */
export const tensorOf = name => build.preview.value?.tensors.get(name);

/** One range for a tensor: the image and shares of one have 1. @param {string} name */
export function rangeOf(name) {
  const tensor = tensorOf(name);
  return tensor ? (name === "input/y" || name === "loss/p" ? 1 : roundUp(largest(tensor.data))) : 1;
}

/** Rows and columns of one map; a row of numbers is folded. @param {Tensor} tensor */
export function planeOf({ shape }) {
  if (shape.length === 4) return { count: shape[1], rows: shape[2], columns: shape[3] };
  const size = shape.slice(1).reduce((a, b) => a * b, 1);
  const rows = Math.ceil(Math.sqrt(size / 2));
  return { count: 1, rows: size <= 24 ? size : rows, columns: size <= 24 ? 1 : Math.ceil(size / rows) };
}

/**
 * The first maps of a tensor, hatched where there are none.
 * @param {{name: string, across: number, most: number, side: number, gap?: number, from?: number}} props
 */
export function Maps({ name, across, most, side, gap = 3, from = 0 }) {
  const tensor = tensorOf(name);
  if (!tensor)
    return html`<span class="tiles" style=${{ width: `${(across * side + (across - 1) * gap) / 16}rem` }}>${Array.from(
      { length: Math.min(most, 2 * across) },
      (_, k) => html`<i key=${k} class="hatch" style=${{ width: `${side / 16}rem`, height: `${side / 16}rem` }} />`,
    )}</span>`;
  const { count, rows, columns } = planeOf(tensor);
  const shown = Math.min(most, count - from);
  const wide = Math.min(across, shown);
  const picture = () => {
    const now = tensorOf(name);
    if (!now || now.shape.join() !== tensor.shape.join()) return null;
    const size = rows * columns;
    const data = Array.prototype.slice.call(now.data, from * size, (from + shown) * size);
    while (data.length < shown * size) data.push(NaN);
    return { data, count: shown, rows, columns, kind: now.kind, range: rangeOf(name) };
  };
  const scale = wide === 1 && across > 1 ? 2 : 1;
  const width = Math.min(side * scale + (scale - 1) * gap, side * scale + gap);
  const height = columns >= rows ? Math.max(4, (width * rows) / columns) : width;
  return html`<${Tiles} picture=${picture} across=${wide} gap=${gap} framed=${true}
    width=${rows > columns ? Math.max(8, (width * columns) / rows) : width}
    height=${height} name="maps" />`;
}

/** A legend beneath what it covers. @param {{name: string, width: number}} props */
export const Legend = ({ name, width }) =>
  tensorOf(name)
    ? html`<span class="legend" style=${{ width: `${width / 16}rem` }}><i style=${{
        background: gradient(/** @type {Tensor} */ (tensorOf(name)).kind, scheme.value),
      }} />${format.range(rangeOf(name))}</span>`
    : null;

/** A typographic minus in the engine's arithmetic. @param {string} text */
export const typeset = text => text.replace(/-(?=[\s\d])/g, "−");
