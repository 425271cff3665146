/** What all figures are made of: captioned parts, signs, zoom lines, pictures of reads. */

import { html } from "../../html.js";
import { exponentOf, factor, number } from "../../../core/format.js";
import { foldOf, planePicture, vectorPicture } from "../../../core/tensor_grid.js";
import { at, parse, spoken } from "../../../core/place.js";
import { source } from "../../../core/timeline.js";
import { css, ink } from "../../../core/colour.js";
import {
  axesOf,
  infoOf,
  isKnown,
  known,
  nameOf,
  open,
  rangeOf,
  viewport,
  scheme,
  timeline,
  breakpoint,
  tensorOf,
} from "../../../state/store.js";
import { lit } from "../step_state.js";
import { Heat, rem } from "../heatmap.js";
import { usePointing } from "../pointing.js";
import { TensorSymbol } from "../symbol.js";

/** Width inside the step view, in design pixels, and the sizes that follow from it. */
export function figureSizes() {
  const { width } = viewport.value;
  const inner = width - (breakpoint.value === "wide" ? 312 : 0) - (breakpoint.value === "narrow" ? 32 : 48);
  const share = Math.min(1, Math.max(0, (inner - 592) / (900 - 592)));
  return {
    inner,
    narrow: breakpoint.value === "narrow",
    map: 104 + 56 * share,
    number: 52 + 8 * share,
    tight: inner < 800,
    terms: inner >= 900 ? 9 : inner >= 870 ? 8 : 6,
  };
}

/** Design pixels of a cell in a map whose longer side has n cells. @param {number} n @param {number} target */
export function cellFor(n, target) {
  const size = target / n;
  return size >= 2 ? Math.max(2, Math.floor(Math.min(size, 40) + 0.45)) : size;
}

/** @param {{caption: any, children?: any, kind?: string}} props */
export const Part = ({ caption, children, kind = "" }) => html`<div class="part ${kind}">
  <div class="caption">${caption}</div>${children}</div>`;

/** @param {{children?: any, label?: string, height?: number}} props */
export const Sign = ({ children, label, height = 150 }) =>
  html`<div class="sign" style="height:${rem(height)}" aria-label=${label}
    role=${label ? "img" : undefined}>${children}</div>`;

/**
 * Two lines that join a window in a map to its enlargement.
 * @param {{edge: [number, number], ring: [number, number], depth: number, flip?: boolean, gap?: number}} props
 *   edge: top and bottom of the enlargement; ring: top and bottom in the map; depth: from the map's near edge to the
 * ring
 */
export function ZoomLines({ edge, ring, depth, flip = false, gap = 21 }) {
  const height = Math.max(...edge, ...ring) + 1;
  const line = (/** @type {number} */ from, /** @type {number} */ to) => {
    const near = from + ((to - from) * gap) / (gap + depth);
    return flip ? [0, from, gap, near] : [0, near, gap, from];
  };
  return html`<svg class="zoom-lines" width=${rem(gap)} height=${rem(height)} viewBox="0 0 ${gap} ${height}"
    aria-hidden="true">
    ${[0, 1].map(k => {
      const [x1, y1, x2, y2] = line(edge[k], ring[k]);
      return html`<line x1=${x1} y1=${y1} x2=${x2} y2=${y2} />`;
    })}</svg>`;
}

/**
 * The layer whose numbers a tensor holds, as it is called on the stage.
 * @param {Phase} phase
 * @param {string} name in the sentence
 * @param {string} prefix
 */
export function ownerOf(phase, name, prefix) {
  if (name === "dy") return phase.layer;
  const whole = timeline.value;
  const forward = /^d[a-z]/.test(name) ? `${phase.layer}/${name.slice(1)}` : "";
  if (whole && forward && infoOf(forward)) return parse(source(whole, forward)).layer;
  return parse(whole ? source(whole, prefix) : prefix).layer;
}

/** @param {number} count @param {string} one */
export const plural = (count, one) => `${count} ${one}${count === 1 ? "" : "s"}`;

/**
 * Which map or kernel of a tensor, in words.
 * @param {number[]} lead
 * @param {number[]} tensorShape
 * @param {string} kind
 */
export function slice(lead, tensorShape, kind) {
  const shown = lead.filter((_, axis) => tensorShape[axis] > 1);
  if (!shown.length) return "";
  return kind === "weight" ? `kernel ${shown.join(",")}` : `map ${shown.at(-1)}`;
}

/**
 * The caption of a picture: its symbol, whose it is and which slice; a short one leaves out whose, where a slice tells
 * it from others.
 * @param {{phase: Phase, name: string, kind: string, prefix: string, lead?: number[], more?: string,
 *   parameter?: boolean, short?: boolean}} props
 */
export function Caption({ phase, name, kind, prefix, lead = [], more = "", parameter = false, short = false }) {
  const info = infoOf(prefix);
  const which = info && lead.length ? slice(lead, info.shape, parameter ? "weight" : kind) : "";
  const owner = parameter || (short && which) ? "" : ownerOf(phase, name, prefix);
  return html`<${TensorSymbol} name=${name} kind=${kind}
    /> ${[[owner, which].filter(Boolean).join(", "), more].filter(Boolean).join(", ")}`;
}

/**
 * The picture of a tensor around a cell: its plane, or the vector along its last axis (or another).
 * @param {string} prefix @param {number[]} index @param {number} [axis] @returns {Picture|null}
 */
export function pictureAt(prefix, index, axis) {
  const name = nameOf(prefix);
  const tensor = tensorOf(name);
  if (!tensor) return null;
  const rank = tensor.shape.length;
  if (rank === 0) return null;
  const there = known(name);
  if (rank >= 3 && axis === undefined) return planePicture(name, tensor, index.slice(0, -2), there);
  const along = axis ?? rank - 1;
  return vectorPicture(
    name,
    tensor,
    index,
    along,
    foldOf(tensor.shape[along], foldedAs(name, tensor.shape[along])),
    there,
  );
}

/**
 * The maps a vector was written from, where it is a re-indexing of them.
 * @param {string} name
 * @param {number} length
 */
function foldedAs(name, length) {
  const whole = timeline.value;
  if (!whole) return null;
  const { layer } = parse(name);
  for (const candidate of [name, `${layer}/x`]) {
    const origin = whole.tensors[source(whole, candidate)]?.shape;
    if (origin && origin.length >= 4 && origin.slice(1).reduce((a, b) => a * b, 1) === length) return origin;
  }
  return null;
}

/**
 * A map as it is drawn in a figure.
 * @param {{picture: Picture, target: number, label: string, rings?: any[], name?: string, sides?: any, glide?: boolean,
 *   fading?: boolean, cell?: number, range?: number}} props
 */
export function Map2D({
  picture,
  target,
  label,
  rings = [],
  name = "",
  sides,
  glide = false,
  fading = false,
  cell,
  range,
}) {
  const size =
    cell ??
    cellFor(
      Math.max(...(sides ? sides.map((/** @type {any} */ side) => side.size) : [picture.rows, picture.columns])),
      target,
    );
  return html`<${Heat} picture=${picture} range=${range ?? rangeOf(picture.prefix)} cell=${size} sides=${sides}
    rings=${rings} name=${name}
    label=${label} glide=${glide} fading=${fading} />`;
}

/**
 * One number, large: the cell that is written, or a single factor.
 * @param {{place: string, value?: number, result?: boolean, word?: string, name?: string, width?: number,
 *   height?: number, look?: string}} props
 */
export function Single({ place, value, result = false, word = "", width = 64, height = 56, look = "" }) {
  const prefix = place.slice(0, place.lastIndexOf("/"));
  const { index } = parse(place);
  const own = at(nameOf(index.length ? prefix : place), index);
  const tensor = tensorOf(own);
  const here = value ?? valueAt(own);
  const there = here !== undefined && isKnown(own);
  const pointing = usePointing(there ? own : null);
  const kind = tensor?.kind ?? "value";
  const range = rangeOf(own);
  const theme = scheme.value;
  const exponent = here === undefined ? 0 : exponentOf([here]);
  const title = `${nameOf(own).replace("/", " ")}, ${tensor ? spoken(index, tensor.shape, axesOf(own)) : ""}, ${
    there ? `${number(here, exponent)}${factor(exponent)}` : "not computed yet"
  }`;
  const ringed = !result && lit.value.has(own);
  return html`<button
    class="number single ${there ? "known" : "notyet"} ${result ? "result" : ""} ${ringed ? "ring" : ""} ${look}"
      data-place=${own} aria-label=${title}
    aria-disabled=${!there}
      style="min-width:${rem(width)};height:${rem(height)};${
        there ? `background:${css(kind, here, range, theme)};color:${ink(kind, here, range, theme)}` : ""
      }"
    ...${pointing} onClick=${() => there && open(own)}>
    ${word && html`<span class="word" data-text=${word}></span>`}
    ${
      there &&
      html`<span
      class="digits">${number(here, exponent)}${exponent ? html`<small>${factor(exponent)}</small>` : ""}</span>`
    }</button>`;
}

/** @param {string} place */
function valueAt(place) {
  const tensor = tensorOf(place);
  if (!tensor) return undefined;
  const { index } = parse(place);
  let flat = 0;
  for (let axis = 0; axis < tensor.shape.length; axis++) flat = flat * tensor.shape[axis] + index[axis];
  return tensor.data[flat];
}
