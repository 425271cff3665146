/**
 * A sum seen three ways. Gathered: a written cell reads its window, cell by cell times the kernel. Scattered: every
 * cell that is read lays its stamp, the kernel times itself, around the written one. As a matrix: a row for each cell
 * that is read, a column for each that is written. How a cell scatters is what the server says of a read: it stands in
 * the sentence of the other direction. Nothing here turns a kernel.
 */

import { letterOf, planeLetters, windowOf } from "./figure.js";
import { ravel } from "./place.js";
import { exactSum } from "./term_rows.js";
import { positionOn, raw } from "./windows.js";

/** Of a larger kernel so many products stand one by one. */
export const SHOWN = 9;

/** @type {Way[]} */
const KERNEL = ["gather", "scatter", "matrix", "all"];

/**
 * The ways in which a figure's sum can be looked at. A window that slides as it lies over what is given is what all
 * begin with; where it turns, spreads, or a gradient goes back through it, the others show why.
 * @param {Figure|null} figure @returns {Way[]}
 */
export function waysOf(figure) {
  if (figure?.kind === "slide" && figure.plane.scatter && (figure.back || figure.turned || figure.spread))
    return KERNEL;
  if (figure?.kind === "product" && figure.over.scatter) return ["gather", "scatter"];
  return ["gather"];
}

/**
 * The letters at which axes stand at an index: each axis counts its own letters, the one with the largest coefficient
 * slowest.
 * @param {Axis[]} axes @param {number[]} index
 */
export function lettersOf(axes, index) {
  /** @type {Letters} */
  const letters = {};
  axes.forEach(({ letters: own, offset, pitch }, k) => {
    let rest = index[k] * pitch - offset;
    for (const [letter, size] of Object.entries(own).sort(([, a], [, b]) => b - a)) {
      letters[letter] = Math.floor(rest / size);
      rest -= letters[letter] * size;
    }
  });
  return letters;
}

/** @param {number[]} index @param {number[]} shape */
const isInside = (index, shape) => index.every((k, axis) => k >= 0 && k < shape[axis]);

/**
 * The letters that run over a stamp: those that move its plane.
 * @param {Scatter} scatter
 */
const stampLetters = ({ target, bound }) =>
  target.slice(-2).map(axis => Object.keys(axis.letters).find(letter => letter in bound) ?? "");

/**
 * What one cell that is read lays into the plane of a written cell: where, and with which cell of the factor.
 * @param {Scatter} scatter @param {number[]} index of the cell that is read
 * @param {number[]} written a cell of the plane @param {number[]} shape of what is written
 * @param {number[]} factorShape
 * @returns {StampCell[]} in the order of the factor's letters
 */
export function stampOf(scatter, index, written, shape, factorShape) {
  const { bound, axes, target, stamp } = scatter;
  const letters = lettersOf(axes, index);
  const over = stampLetters(scatter);
  const outer = target.slice(0, -2);
  for (const letter of Object.keys(bound)) {
    if (over.includes(letter)) continue;
    const axis = outer.findIndex(form => letter in form.letters);
    if (axis < 0) return [];
    const value = (written[axis] * outer[axis].pitch - raw(outer[axis], letters)) / outer[axis].letters[letter];
    if (!Number.isInteger(value) || value < 0 || value >= bound[letter]) return [];
    letters[letter] = value;
  }
  if (outer.some((axis, k) => positionOn(axis, letters) !== written[k])) return [];
  const [u, v] = over;
  const [down, across] = target.slice(-2);
  /** @type {StampCell[]} */
  const cells = [];
  for (letters[u] = 0; letters[u] < (bound[u] ?? 1); letters[u]++) {
    for (letters[v] = 0; letters[v] < (bound[v] ?? 1); letters[v]++) {
      const row = positionOn(down, letters);
      const column = positionOn(across, letters);
      if (row === null || column === null) continue;
      const by = stamp.map(axis => positionOn(axis, letters) ?? -1);
      const to = [...written.slice(0, -2), row, column];
      cells.push({
        row,
        column,
        index: isInside(to, shape) ? to : null,
        factor: isInside(by, factorShape) ? by : null,
        letter: "",
      });
    }
  }
  return cells;
}

/**
 * How far a stamp's cells lie apart and how far the stamps of neighbours do, along rows and columns; and whether a
 * stamp lies against the factor's own order.
 * @param {Scatter} scatter
 */
export function motion(scatter) {
  const plane = scatter.target.slice(-2);
  const over = stampLetters(scatter);
  const step = plane.map(axis => {
    const letter = Object.keys(axis.letters).find(each => each in scatter.free && scatter.free[each] > 0);
    return Math.abs(letter ? axis.letters[letter] : 1) / axis.pitch;
  });
  const turned = over.some((letter, k) => {
    const along = plane[k].letters[letter] ?? 1;
    const own = scatter.stamp.slice(-2)[k]?.letters[letter] ?? 1;
    return (scatter.bound[letter] ?? 1) > 1 && along * own < 0;
  });
  return { step, pitch: plane.map(({ pitch }) => pitch), turned };
}

/**
 * The cells around a written one to which a stamp that reaches it reaches, too.
 * @param {Scatter} scatter @param {number[]} written
 */
export function fieldOf(scatter, written) {
  const over = stampLetters(scatter);
  const [rows, columns] = scatter.target.slice(-2).map(({ letters, pitch }, k) => {
    const letter = over[k];
    return Math.floor((Math.abs(letters[letter] ?? 0) * ((scatter.bound[letter] ?? 1) - 1)) / pitch);
  });
  const [row, column] = written.slice(-2);
  return { row: row - rows, column: column - columns, rows: 2 * rows + 1, columns: 2 * columns + 1 };
}

/**
 * Everything the three ways show for one written cell: a part for each cell of its window, in the window's order.
 * @param {{plane: Read, kernel: Read}} figure @param {Phase} phase
 * @param {Letters} letters of the written cell and the shown map @param {number[]} written its index
 * @param {{x: Numbers, w: Numbers}} tensors what is read, and the kernel
 * @returns {Turn|null} null where the server does not say how a cell scatters
 */
export function turnOf({ plane, kernel }, phase, letters, written, { x, w }) {
  const { scatter } = plane;
  if (!scatter) return null;
  const window = windowOf(plane, kernel, phase, letters, x.shape, w.shape);
  const field = fieldOf(scatter, written);
  const parts = window.flat().map(({ index, kernelIndex, letter }) => {
    const value = index ? x.data[ravel(index, x.shape)] : 0;
    const weight = kernelIndex ? w.data[ravel(kernelIndex, w.shape)] : 0;
    const stamp = index
      ? stampOf(scatter, index, written, phase.shape, w.shape).map(cell => ({
          ...cell,
          letter: cell.factor ? letterOf(cell.factor[2] * w.shape[3] + cell.factor[3]) : "",
          weight: cell.factor ? w.data[ravel(cell.factor, w.shape)] : 0,
        }))
      : [];
    const here = stamp.find(({ row, column }) => row === written.at(-2) && column === written.at(-1)) ?? null;
    return { index, kernelIndex, letter, value, weight, product: value * weight, stamp, here };
  });
  return {
    parts,
    columns: window[0].length,
    field,
    totals: {
      gather: exactSum(parts.map(({ product }) => product)),
      scatter: exactSum(parts.map(({ value, here }) => value * (here?.weight ?? 0))),
      matrix: exactSum(columnOf(parts, written).map((weight, k) => weight * parts[k].value)),
    },
  };
}

/**
 * The written cell's column of the matrix: in each row the weights that stand there.
 * @param {Turn["parts"]} parts @param {number[]} written
 */
export const columnOf = (parts, written) =>
  parts.map(({ stamp }) =>
    exactSum(
      stamp
        .filter(({ row, column }) => row === written.at(-2) && column === written.at(-1))
        .map(({ weight }) => weight),
    ),
  );

/**
 * The parts that stand one by one: all of a small kernel, else the largest, in their order.
 * @param {Turn["parts"]} parts
 */
export function shownParts(parts) {
  if (parts.length <= SHOWN) return { shown: parts, rest: [] };
  const largest = new Set(
    parts
      .filter(({ index }) => index)
      .sort((a, b) => Math.abs(b.product) - Math.abs(a.product))
      .slice(0, SHOWN),
  );
  return {
    shown: parts.filter(part => largest.has(part)),
    rest: parts.filter(part => !largest.has(part) && part.index),
  };
}

/**
 * A gradient of the kernel, pair by pair: each delta lays its window of the map, times itself, onto the gradient.
 * @param {{plane: Read, over: Read}} figure @param {Phase} phase
 * @param {Letters} letters of the written cell, the image among them @param {number[]} written its index
 * @param {{x: Numbers, d: Numbers}} tensors the map, and the delta that lies over it
 * @returns {{parts: StampPart[], totals: {gather: number, scatter: number}}|null} the largest pairs, in their order
 */
export function stampsOf({ plane, over }, phase, letters, written, { x, d }) {
  const { scatter } = over;
  if (!scatter) return null;
  const [u, v] = planeLetters(over, phase);
  const pairs = [];
  for (let a = 0; a < phase.bound[u]; a++) {
    for (let b = 0; b < phase.bound[v]; b++) {
      const here = { ...letters, [u]: a, [v]: b };
      const index = over.axes.map(axis => (axis && positionOn(axis, here)) ?? 0);
      const value = d.data[ravel(index, d.shape)];
      if (value === 0) continue;
      const read = plane.axes.map(axis => (axis ? (positionOn(axis, here) ?? -1) : -1));
      pairs.push({ index, value, product: isInside(read, x.shape) ? value * x.data[ravel(read, x.shape)] : 0 });
    }
  }
  const stamp = (/** @type {number[]} */ index) =>
    stampOf(scatter, index, written, phase.shape, x.shape).map(cell => ({
      ...cell,
      letter: letterOf(cell.row * (phase.shape.at(-1) ?? 1) + cell.column),
      weight: cell.factor ? x.data[ravel(cell.factor, x.shape)] : 0,
    }));
  const lands = (/** @type {Stamp} */ cells) =>
    cells.find(({ row, column }) => row === written.at(-2) && column === written.at(-1)) ?? null;
  const largest = new Set([...pairs].sort((a, b) => Math.abs(b.product) - Math.abs(a.product)).slice(0, SHOWN));
  return {
    parts: pairs
      .filter(pair => largest.has(pair))
      .map(pair => {
        const cells = stamp(pair.index);
        return { ...pair, stamp: cells, here: lands(cells) };
      }),
    totals: {
      gather: exactSum(pairs.map(({ product }) => product)),
      scatter: exactSum(pairs.map(({ index, value }) => value * (lands(stamp(index))?.weight ?? 0))),
    },
  };
}
