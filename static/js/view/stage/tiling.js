/**
 * How the cells of one tensor become tiles, from its shape alone: stacks of maps, folded vectors, kernels, biases.
 * Tiles start at the origin; layout.js puts them in their place. Everything is in design pixels (1/16 rem).
 */

import { sizeOf } from "../../core/place.js";

/** The height there is for a tensor's tiles, and the gap between maps. */
export const TALL = 113;
export const GAP = 3;

const SIDE = 28;
const INPUT = 84;
const PAGE = 16;
const KERNEL = 15;
const MOSAIC = 6;
const WEIGHTS = 62;
const STRIP = 7;

/** The least side of a weight's cell: below it the kernels are shown one by one. */
const LEAST = 0.2;

/** How far tiles reach from their origin. @param {Tile[]} tiles */
export const boxOf = tiles => ({
  width: Math.max(...tiles.map(({ x, width }) => x + width)),
  height: Math.max(...tiles.map(({ y, height }) => y + height)),
});

/**
 * A stack of maps: two across up to eight, four up to sixteen, then pages of sixteen.
 * @param {number[]} shape [maps, rows, cols] @param {number} first @param {boolean} image
 */
export function maps([count, rows, cols], first = 0, image = false) {
  const shown = Math.min(PAGE, count - first);
  const most = count === 1 ? (image ? INPUT : 2 * SIDE) : SIDE;
  const room = most / Math.max(rows, cols);
  const scale = room < 1 ? room : count === 1 ? Math.floor(room) : 2 ** Math.floor(Math.log2(room));
  let across = count === 1 ? 1 : count <= 8 ? 2 : 4;
  let cell = scale;
  const down = () => Math.ceil(Math.min(PAGE, count) / across);
  const high = () => down() * (rows * cell + GAP) - GAP;
  while (high() > TALL && across < 4) across++;
  while (high() > TALL && cell > 1) cell = Math.ceil(cell) - 1;
  if (high() > TALL) cell = ((TALL + GAP) / down() - GAP) / rows;
  const tiles = Array.from({ length: shown }, (_, k) => ({
    x: (k % across) * (cols * cell + GAP),
    y: Math.floor(k / across) * (rows * cell + GAP),
    width: cols * cell,
    height: rows * cell,
    rows,
    cols,
    start: (first + k) * rows * cols,
    name: count > 1 ? `map ${first + k}` : "",
  }));
  return { tiles, pages: count > PAGE ? { first, step: PAGE, of: count } : null };
}

/** How a vector is folded into a picture that fits: rows, cols, side of a cell. @param {number} count */
export function fold(count) {
  for (const side of [28, 20, 14, 11, 9, 7, 5, 4, 3, 2, 1]) {
    const most = Math.floor(TALL / side);
    for (let rows = Math.min(most, count); rows >= 1; rows--) {
      const cols = count / rows;
      if (Number.isInteger(cols) && cols * side <= 2 * SIDE && cols <= rows) return { rows, cols, side };
    }
  }
  const cols = Math.ceil(Math.sqrt(count / 2));
  const rows = Math.ceil(count / cols);
  return { rows, cols, side: Math.min(TALL / rows, (2 * SIDE) / cols) };
}

/** @param {number} count cells of a vector, as one folded tile */
export function vector(count) {
  const { rows, cols, side } = fold(count);
  return {
    tiles: [{ x: 0, y: 0, width: cols * side, height: rows * side, rows, cols, start: 0, name: "" }],
    pages: null,
  };
}

/**
 * One number for each map, as a thin column: the `k`-th of several side by side.
 * @param {number} count
 * @param {number} k
 */
export function strip(count, k) {
  const height = Math.min(TALL, count * STRIP);
  return {
    tiles: [{ x: k * (STRIP + GAP), y: 0, width: STRIP, height, rows: count, cols: 1, start: 0, name: "" }],
    pages: null,
  };
}

/**
 * The weights of a layer as [outputs, maps, rows, cols]: a matrix takes the shape of what it reads.
 * @param {number[]} weight @param {number[]|null} read the read tensor's shape without its batch axis
 */
export function kernelShape(weight, read) {
  if (weight.length === 4) return weight;
  const [outputs, inputs] = weight;
  if (read?.length === 3 && sizeOf(read) === inputs) return [outputs, ...read];
  const { rows, cols } = fold(inputs);
  return rows * cols === inputs ? [outputs, 1, rows, cols] : [outputs, 1, 1, inputs];
}

/**
 * Kernels: few of one map stand level with the maps they make; many form a mosaic, rows o and columns c, or the
 * other way round where that is narrower.
 * @param {number[]} shape [outputs, maps, rows, cols] @param {number} [first] @param {Tile[]} [made] the maps they make
 * @param {number} [foot] room for a bias under each kernel of one map
 */
export function kernels([outputs, depth, rows, cols], first = 0, made = [], foot = 0) {
  const side = Math.max(rows, cols);
  const size = rows * cols;
  if (depth === 1 && outputs > 1 && outputs <= PAGE && made.length === outputs && side <= KERNEL) {
    const scale = Math.floor(KERNEL / side);
    const across = new Set(made.map(({ x }) => x)).size;
    const tiles = made.map(({ y }, o) => ({
      x: (o % across) * (cols * scale + GAP),
      y,
      width: cols * scale,
      height: rows * scale,
      rows,
      cols,
      start: o * size,
      name: outputs > 1 ? `kernel ${o}` : "",
    }));
    return { tiles, pages: null };
  }
  if (depth === 1) return grid([outputs, rows, cols], first, foot);
  const most = Math.floor((outputs * depth > PAGE ? MOSAIC : KERNEL) / side);
  const straight = mosaic(outputs, rows, most);
  const turned = mosaic(depth, rows, most);
  const wide = (/** @type {number} */ across, /** @type {typeof straight} */ { cell, gap }) =>
    across * (cols * cell + gap);
  const turn = straight.cell < 1 || (turned.cell >= 1 && wide(outputs, turned) < wide(depth, straight));
  const { cell, gap } = turn ? turned : straight;
  if (cell < LEAST) return alone([outputs, depth, rows, cols], first);
  const step = turn ? Math.min(outputs, Math.max(1, Math.floor((WEIGHTS + gap) / (cols * cell + gap)))) : outputs;
  const tiles = [];
  for (let o = first; o < Math.min(outputs, first + step); o++) {
    for (let c = 0; c < depth; c++) {
      const [right, down] = turn ? [o - first, c] : [c, o - first];
      tiles.push({
        x: right * (cols * cell + gap),
        y: down * (rows * cell + gap),
        width: cols * cell,
        height: rows * cell,
        rows,
        cols,
        start: (o * depth + c) * size,
        name: `kernel ${o}, map ${c}`,
      });
    }
  }
  return { tiles, pages: step < outputs ? { first, step, of: outputs } : null };
}

/**
 * One kernel alone, its maps folded into lines, where all of a layer's weights together would be a grey blur.
 * @param {number[]} shape [outputs, maps, rows, cols] @param {number} first
 */
function alone([outputs, depth, rows, cols], first) {
  const fits = (/** @type {number} */ across) =>
    Math.min(WEIGHTS / (across * cols), TALL / (Math.ceil(depth / across) * rows));
  let across = 1;
  for (let more = 2; more <= depth; more++) if (fits(more) > fits(across)) across = more;
  const cell = fits(across);
  const tiles = Array.from({ length: depth }, (_, c) => ({
    x: (c % across) * cols * cell,
    y: Math.floor(c / across) * rows * cell,
    width: cols * cell,
    height: rows * cell,
    rows,
    cols,
    start: (first * depth + c) * rows * cols,
    name: `kernel ${first}, map ${c}`,
  }));
  return { tiles, pages: outputs > 1 ? { first, step: 1, of: outputs } : null };
}

/**
 * Size of a cell and of the gap where `down` kernels stand one above the other: whole pixels where they fit.
 * @param {number} down
 * @param {number} rows
 * @param {number} most
 */
function mosaic(down, rows, most) {
  const pitch = (TALL + 1) / down;
  const gap = pitch > 3 ? 1 : 0;
  const cell = (pitch - gap) / rows;
  return { cell: cell >= 1 ? Math.max(1, Math.min(most, Math.floor(cell))) : (pitch - gap - 1 / down) / rows, gap };
}

/**
 * Kernels of one map, one after the other, as large as there is room.
 * @param {number[]} shape [outputs, rows, cols]
 * @param {number} first
 * @param {number} foot room under each
 */
function grid([outputs, rows, cols], first, foot) {
  const most = outputs === 1 ? SIDE : MOSAIC;
  const across = (/** @type {number} */ scale) => Math.floor((WEIGHTS + 1) / (cols * scale + 1));
  const down = (/** @type {number} */ scale) => Math.floor((TALL + 1) / (rows * scale + 1 + foot));
  let scale = most;
  while (scale > 1 && across(scale) * down(scale) < outputs) scale--;
  const wide = Math.max(1, Math.min(outputs, across(scale)));
  const step = Math.min(outputs, wide * Math.max(1, down(scale)));
  const tiles = Array.from({ length: Math.min(step, outputs - first) }, (_, k) => ({
    x: (k % wide) * (cols * scale + 1),
    y: Math.floor(k / wide) * (rows * scale + 1 + foot),
    width: cols * scale,
    height: rows * scale,
    rows,
    cols,
    start: (first + k) * rows * cols,
    name: outputs > 1 ? `kernel ${first + k}` : "",
  }));
  return { tiles, pages: step < outputs ? { first, step, of: outputs } : null };
}

/**
 * One number per output, beside its kernel: at the right of a row, beneath a column.
 * @param {Tile[]} made
 * @param {number} outputs
 * @param {number} depth
 */
export function biases(made, outputs, depth) {
  const { width, height } = boxOf(made);
  const perRow = made.length > 1 && depth > 1 && made[1].x > made[0].x;
  const few = depth === 1;
  /** @type {Tile[]} */
  const tiles = [];
  for (let k = 0; k < made.length; k += few ? 1 : depth) {
    const { x, y, width: w, height: h, start, rows, cols } = made[k];
    const o = start / (rows * cols * depth);
    if (o >= outputs) break;
    const box = perRow
      ? { x: width + 3, y, width: 4, height: h }
      : few
        ? { x, y: y + h + 2, width: w, height: 4 }
        : { x, y: height + 3, width: w, height: 4 };
    tiles.push({ ...box, rows: 1, cols: 1, start: o, name: outputs > 1 ? `of output ${o}` : "" });
  }
  return tiles;
}
