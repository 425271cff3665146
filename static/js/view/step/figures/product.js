/**
 * The gradient of a kernel: the delta lies over the map and every pair of cells is multiplied; the sum is one weight's.
 */

import { html } from "../../html.js";
import { boxIn, fixed, letterOf, pictureOf } from "../../../core/figure.js";
import { exponentOf, factor, range as rangeText } from "../../../core/format.js";
import { largest, roundUp } from "../../../core/colour.js";
import { at, ravel } from "../../../core/place.js";
import { indexAt, lettersAt } from "../../../core/timeline.js";
import { positionOn } from "../../../core/windows.js";
import { focusChannel, isKnown, nameOf, position, rangeOf, tensorOf } from "../../../state/store.js";
import { lit } from "../step_state.js";
import { NumberGrid } from "../number_grid.js";
import { TensorSymbol } from "../symbol.js";
import { Caption, Map2D, Part, Sign, cellFor, figureSizes, pictureAt, plural, slice } from "./parts.js";

/** @param {{phase: Phase, figure: Extract<Figure, {kind: "product"}>}} props */
export function Product({ phase, figure }) {
  const { plane, over } = figure;
  const cell = position.value?.cell ?? -1;
  const index = indexAt(phase, cell);
  const x = tensorOf(plane.tensor);
  const d = tensorOf(over.tensor);
  const own = tensorOf(phase.place);
  const size = figureSizes();
  if (!x || !d || !own) return null;
  const letters = { ...lettersAt(phase, cell), ...fixed(phase, figure.focus, focusChannel.value) };
  const lead = plane.axes.slice(0, 2).map(axis => (axis && positionOn(axis, letters)) ?? 0);
  const overLead = over.axes.slice(0, 2).map(axis => (axis && positionOn(axis, letters)) ?? 0);
  const picture = pictureAt(plane.tensor, [...lead, 0, 0]);
  const delta = pictureAt(over.tensor, [...overLead, 0, 0]);
  const result = pictureAt(phase.place, index);
  if (!picture || !delta || !result) return null;
  const sides = pictureOf(plane, phase, x.shape);
  const target = size.narrow ? Math.min(140, (size.inner - 40) / 2) : size.map;
  const unit = cellFor(Math.max(sides[0].size, sides[1].size, x.shape[2], x.shape[3]), target);
  const box = boxIn(plane, phase, letters, x.shape);
  const products = productsOf(plane, phase, letters, picture, delta);
  const most = roundUp(largest(products.data));
  const began = cell >= 0;
  const [rows, columns] = own.shape.slice(-2);
  const small = Math.max(rows, columns) <= 3;
  const side = small ? (size.narrow ? 52 : size.number) : Math.max(5, Math.floor(156 / Math.max(rows, columns)));
  const grid = Array.from({ length: rows }, (_, r) =>
    Array.from({ length: columns }, (_, c) => {
      const at2 = [...index.slice(0, -2), r, c];
      const there = isKnown(at(nameOf(phase.place), at2));
      return {
        value: own.data[ravel(at2, own.shape)],
        index: at2,
        letter: letterOf(r * columns + c),
        state: /** @type {"known"|"notyet"} */ (there ? "known" : "notyet"),
        mark: /** @type {"result"|""} */ (began && r === index[2] && c === index[3] ? "result" : ""),
      };
    }),
  );
  const exponent = exponentOf(
    grid
      .flat()
      .filter(({ state }) => state === "known")
      .map(({ value }) => value),
  );
  const rings = began ? [{ ...box, look: "read" }] : [];
  const terms = delta.rows * delta.columns;
  const marks = began ? termMarks(delta) : [];
  const productPart = html`<${Part} caption=${html`<span
    class="sym"><math><mi>${plane.name}</mi></math></span>·<${TensorSymbol} name=${over.name} kind="gradient" /> ${
      size.narrow ? "" : `${plural(terms, "product")}, `
    }${rangeText(most)}`}>
    <div class="still-map" aria-label="products"><${Map2D}
      picture=${{ ...products, holes: began ? [] : [{ row: 0, column: 0, rows: delta.rows, columns: delta.columns }] }}
      target=${target} cell=${unit} range=${most} rings=${marks} label="products" /></div><//>`;
  const height = size.narrow ? 120 : 156;
  const sign = (/** @type {string} */ text, /** @type {string} */ label) =>
    html`<${Sign} height=${height} label=${label}>${text}<//>`;
  const resultPart = html`<${Part} caption=${html`<${TensorSymbol} name=${phase.tensor} kind="gradient"
    /> ${slice(index.slice(0, -2), own.shape, "weight") || "kernel"} ${factor(exponent)}`}>
    <${NumberGrid} prefix=${nameOf(phase.place)} kind="gradient" range=${rangeOf(phase.place)}
      cells=${grid} width=${side}
      height=${small ? (size.narrow ? 46 : 52) : side} numbers=${small} letters=${side >= 16} exponent=${exponent}
        name=${phase.tensor} label="gradient that is written" /><//>`;
  const planePart = html`<${Part} caption=${html`<${Caption} phase=${phase} name=${plane.name} kind=${plane.kind}
    prefix=${nameOf(plane.tensor)} lead=${lead} />`}>
    <${Map2D} picture=${picture} target=${target} cell=${unit} sides=${sides} rings=${rings} name=${plane.name}
      label="map the delta lies over" glide /><//>`;
  const overPart = html`<${Part} caption=${html`<${Caption} phase=${phase} name=${over.name} kind=${over.kind}
    prefix=${nameOf(over.tensor)} lead=${overLead} />`}>
    <${Map2D} picture=${delta} target=${target} cell=${unit} name=${over.name} label="delta" /><//>`;
  if (size.narrow) {
    return html`<div class="figure maps">${planePart}${sign("×", "times")}${overPart}</div><div
      class="figure pair">${resultPart}${productPart}</div>`;
  }
  return html`<div
    class="figure level">${resultPart}${sign("= ∑", "equals the sum of")}${productPart}${sign(
      "=",
      "equals",
    )}${planePart}${sign("×", "times")}${overPart}</div>`;
}

/** Every product of the shown maps, for their colours. @param {Read} plane @param {Phase} phase
 * @param {Record<string, number>} letters @param {Picture} x @param {Picture} d */
function productsOf(plane, phase, letters, x, d) {
  const data = new Float32Array(d.rows * d.columns);
  const [rowLetter, columnLetter] = [2, 3].map(
    axis => Object.keys(plane.axes[axis]?.letters ?? {}).find(letter => letter in phase.bound) ?? "",
  );
  for (let r = 0; r < d.rows; r++) {
    for (let c = 0; c < d.columns; c++) {
      const at2 = { ...letters, [rowLetter]: r, [columnLetter]: c };
      const row = plane.axes[2] && positionOn(plane.axes[2], at2);
      const column = plane.axes[3] && positionOn(plane.axes[3], at2);
      if (row === null || column === null || row < 0 || column < 0 || row >= x.rows || column >= x.columns) continue;
      data[r * d.columns + c] = x.data[x.offset + row * x.columns + column] * d.data[d.offset + r * d.columns + c];
    }
  }
  return { ...d, data, offset: 0, prefix: "", kind: "gradient", spotOf: () => null, holes: [] };
}

/** The product of the cells that are lit lies where its delta does. @param {Picture} delta */
function termMarks(delta) {
  for (const place of lit.value) {
    const [layer, tensor, cells = ""] = place.split("/");
    if (`${layer}/${tensor}` !== delta.prefix) continue;
    const spot = delta.spotOf(cells.split(",").map(Number));
    if (spot) return [{ row: spot[0], column: spot[1], rows: 1, columns: 1, look: "ring" }];
  }
  return [];
}
