/**
 * How a tensor lies on the screen: a plane of its own, or a vector folded the way its maps were before they were
 * written in one row. A picture says which index stands at a row and column, and where an index stands.
 */

import { sizeOf } from "./place.js";

/** @typedef {{shape: number[], data: ArrayLike<number>, kind: string}} Tensor */
/**
 * How a vector is folded: maps of a plane each, so many side by side.
 * @typedef {{maps: number, rows: number, columns: number, across: number}} Fold
 */

/**
 * One plane of a tensor with two last axes.
 * @param {string} prefix
 * @param {Tensor} tensor
 * @param {number[]} lead index of the plane
 * @param {number} known cells of the tensor that are written
 * @returns {Picture}
 */
export function planePicture(prefix, { shape, data, kind }, lead, known = Infinity) {
  const [rows, columns] = shape.slice(-2);
  const flat = lead.reduce((at, k, axis) => at * shape[axis] + k, 0);
  const offset = flat * rows * columns;
  return {
    prefix,
    shape,
    kind,
    data,
    offset,
    rows,
    columns,
    tile: { rows, columns },
    title: lead.join(","),
    indexAt: (row, column) => [...lead, row, column],
    spotOf: index =>
      index.length === shape.length && lead.every((k, axis) => index[axis] === k)
        ? [index[lead.length], index[lead.length + 1]]
        : null,
    holes: holesOf({ maps: 1, rows, columns, across: 1 }, known - offset),
  };
}

/**
 * A vector along one axis, folded.
 * @param {string} prefix
 * @param {Tensor} tensor
 * @param {number[]} index any cell of the vector
 * @param {number} axis the axis it runs along
 * @param {Fold} fold @param {number} known cells of the tensor that are written
 * @returns {Picture}
 */
export function vectorPicture(prefix, { shape, data, kind }, index, axis, fold, known = Infinity) {
  const step = sizeOf(shape.slice(axis + 1));
  const start = index.reduce((at, k, a) => at * shape[a] + (a === axis ? 0 : k), 0);
  const length = shape[axis];
  const columns = fold.columns * fold.across;
  const rows = fold.rows * Math.ceil(fold.maps / fold.across);
  const folded = new Float32Array(rows * columns).fill(NaN);
  for (let k = 0; k < length; k++) {
    const [row, column] = spotIn(fold, k);
    folded[row * columns + column] = data[start + k * step];
  }
  const written = step === 1 ? known - start : known >= sizeOf(shape) ? length : 0;
  return {
    prefix,
    shape,
    kind,
    data: folded,
    offset: 0,
    rows,
    columns,
    tile: { rows: fold.rows, columns: fold.columns },
    title: index.filter((_, a) => a !== axis && shape[a] > 1).join(","),
    indexAt: (row, column) => index.map((k, a) => (a === axis ? Math.min(length - 1, flatIn(fold, row, column)) : k)),
    spotOf: other =>
      other.length === shape.length && other.every((k, a) => a === axis || k === index[a])
        ? spotIn(fold, other[axis])
        : null,
    holes: holesOf(fold, written),
  };
}

/** @param {Fold} fold @param {number} k @returns {[number, number]} */
function spotIn({ rows, columns, across }, k) {
  const map = Math.floor(k / (rows * columns));
  const inside = k - map * rows * columns;
  return [
    Math.floor(map / across) * rows + Math.floor(inside / columns),
    (map % across) * columns + (inside % columns),
  ];
}

/** @param {Fold} fold @param {number} row @param {number} column */
function flatIn({ rows, columns, across }, row, column) {
  const map = Math.floor(row / rows) * across + Math.floor(column / columns);
  return (map * rows + (row % rows)) * columns + (column % columns);
}

/** What is not written yet, as rectangles. @param {Fold} fold @param {number} written @returns {Rect[]} */
function holesOf({ maps, rows, columns, across }, written) {
  /** @type {Rect[]} */
  const holes = [];
  for (let map = 0; map < maps; map++) {
    const row = Math.floor(map / across) * rows;
    const column = (map % across) * columns;
    const there = Math.min(rows * columns, Math.max(0, written - map * rows * columns));
    const full = Math.floor(there / columns);
    const part = there - full * columns;
    if (part) holes.push({ row: row + full, column: column + part, rows: 1, columns: columns - part });
    const from = full + (part ? 1 : 0);
    if (from < rows) holes.push({ row: row + from, column, rows: rows - from, columns });
  }
  return holes;
}

/**
 * The fold of a vector: as the maps it came from, else as near a square as its length allows.
 * @param {number} length
 * @param {number[]|null} maps shape (..., rows, columns) of the tensor with the same numbers in the same order
 * @returns {Fold}
 */
export function foldOf(length, maps) {
  if (maps && maps.length >= 3) {
    const [rows, columns] = maps.slice(-2);
    const count = length / (rows * columns);
    return { maps: count, rows, columns, across: Math.ceil(Math.sqrt(count)) };
  }
  if (length <= 16) return { maps: 1, rows: 1, columns: length, across: 1 };
  let columns = Math.ceil(Math.sqrt(length));
  while (length % columns) columns++;
  if (columns > 4 * Math.sqrt(length)) columns = Math.ceil(Math.sqrt(length));
  return { maps: 1, rows: Math.ceil(length / columns), columns, across: 1 };
}
