/**
 * Which figure a phase needs, seen from its sentence alone: how its reads move with the cell that is written.
 * A read whose plane moves with free and bound letters together is a window; one whose plane runs over the same
 * bound letters alone is the kernel that lies in it. Nothing here knows a layer's name or what it is called.
 */

import { ravel, sizeOf } from "./place.js";
import { cellsOf, padding, positionOn, raw } from "./windows.js";

const NAMES = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** Vectors up to this long are written out as rows of numbers. */
export const ROW = 16;

/** The name of a kernel's cell in reading order, "" where the alphabet ends. @param {number} k */
export const letterOf = k => NAMES[k] ?? "";

/** @param {Read} read @returns {[Axis|null, Axis|null]|null} the two axes of its plane, null for what has none */
const planeOf = read => (read.axes.length === 4 ? [read.axes[2], read.axes[3]] : null);

/** @param {Axis|null} axis @param {Letters} letters */
const uses = (axis, letters) => Object.keys(axis?.letters ?? {}).filter(letter => letter in letters);

/**
 * Whether a read's plane moves with written cells and runs over the sum too.
 * @param {Read} read
 * @param {Phase} phase
 */
const isWindow = (read, { free, bound }) => {
  const plane = planeOf(read);
  return !!plane?.every(axis => uses(axis, free).length > 0 && uses(axis, bound).length === 1);
};

/** Whether a read's plane runs over bound letters alone. @param {Read} read @param {Phase} phase */
const isWhole = (read, { free, bound }) => {
  const plane = planeOf(read);
  return !!plane?.every(axis => uses(axis, free).length === 0 && uses(axis, bound).length === 1);
};

/** The letters along a read's plane that are summed. @param {Read} read @param {Phase} phase */
export const planeLetters = (read, { bound }) => (planeOf(read) ?? []).map(axis => uses(axis, bound)[0] ?? "");

/** @param {Read} read */
const isFactor = read => read.role === "factor";

/** Whether reads are added to one another. @param {Read[]} reads */
export const isSum = reads => reads.slice(1).some(({ joint }) => joint === "+" || joint === "−");

/**
 * What a phase's sum or each of its terms is divided by, as it is written: a number or a tensor's name; "" for nothing.
 * @param {Phase} phase
 */
export const dividedBy = ({ divisor, reads }) =>
  divisor === null
    ? (reads.find(({ role }) => role === "divisor")?.name ?? "")
    : String(divisor).replace("-", "\u2212");

/** Reads of a sentence, each tensor and way of reading once. @param {Phase} phase */
function distinct(phase) {
  const seen = new Set();
  return phase.reads.filter(read => {
    const key = `${read.tensor} ${JSON.stringify(read.axes)}`;
    return seen.has(key) ? false : seen.add(key);
  });
}

/**
 * @param {Phase} phase @returns {Figure}
 */
export function figureOf(phase) {
  const reads = distinct(phase);
  const back = phase.kind === "gradient";
  const window = reads.find(read => isFactor(read) && isWindow(read, phase));
  if (window) {
    const inside = planeLetters(window, phase);
    const whole = reads.find(
      read =>
        read !== window &&
        isFactor(read) &&
        isWhole(read, phase) &&
        planeLetters(read, phase).every((letter, k) => letter === inside[k]),
    );
    const spread = [2, 3].some(axis => (window.axes[axis]?.pitch ?? 1) > 1);
    const backwards = inside.some((letter, k) => (window.axes[2 + k]?.letters[letter] ?? 0) < 0);
    if (whole && phase.form === "sum") {
      const focus = focusLetter(phase, inside);
      return whole.kind === "weight"
        ? {
            kind: "slide",
            plane: window,
            kernel: whole,
            turned: isTurned(window, whole, inside, phase),
            spread,
            back,
            focus,
          }
        : { kind: "product", plane: window, over: whole, focus };
    }
    if (!whole && (spread || backwards)) {
      return { kind: "route", plane: window, gates: reads.filter(read => read.role === "test") };
    }
    if (!whole) return { kind: "pool", plane: window };
  }
  // The numbers that an update has for all weights alike, such as a rate that changes, are no cells.
  const cells = phase.part === "update" ? reads.filter(read => read.axes.length > 0) : reads;
  const same =
    phase.form === "each" &&
    cells.length > 0 &&
    cells.every(read => read.axes.length === phase.shape.length && read.axes.every(axis => axis !== null));
  const last = Math.max(1, phase.shape.at(-1) ?? 1, ...Object.values(phase.shape.length < 2 ? phase.bound : {}));
  const flat = phase.shape.length <= 2 && last <= ROW && reads.every(read => read.axes.length <= 2);
  if (
    flat &&
    phase.part !== "update" &&
    reads.every(read => read.kind !== "weight") &&
    (phase.form === "each" || !phase.shape.length)
  ) {
    return { kind: "ladder", reads };
  }
  const update = phase.part === "update" && reads.every(({ kind }) => kind !== "value");
  if (same && (update || !isSum(reads))) return { kind: "cells", reads: cells, update };
  return { kind: "terms", reads, back };
}

/**
 * Whether the kernel's cells meet the plane's in the opposite order; a single cell does not turn.
 * @param {Read} plane
 * @param {Read} kernel
 * @param {string[]} letters
 * @param {Phase} phase
 */
function isTurned(plane, kernel, letters, phase) {
  return letters.some(
    (letter, k) =>
      phase.bound[letter] > 1 &&
      Math.sign(plane.axes[2 + k]?.letters[letter] ?? 1) * Math.sign(kernel.axes[2 + k]?.letters[letter] ?? 1) < 0,
  );
}

/**
 * The summed letter that is shown one value at a time: the maps beside the window.
 * @param {Phase} phase
 * @param {string[]} inside
 */
const focusLetter = ({ bound }, inside) =>
  Object.keys(bound).find(letter => !inside.includes(letter) && bound[letter] > 1) ?? null;

/**
 * Fixed values for the summed letters outside the window: the focus, the rest at 0.
 * @param {Phase} phase
 * @param {string|null} focus
 * @param {number} channel
 */
export function fixed(phase, focus, channel) {
  return focus ? { [focus]: Math.min(Math.max(0, channel), phase.bound[focus] - 1) } : {};
}

/** An index without holes inside a shape, or null. @param {(number|null)[]} index @param {number[]} shape */
const inside = (index, shape) =>
  index.every((at, axis) => at !== null && at >= 0 && at < shape[axis]) ? /** @type {number[]} */ (index) : null;

/**
 * The cells of a window as they lie in the plane, top left first, with the kernel's cell each one meets.
 * @param {Read} plane
 * @param {Read|null} kernel
 * @param {Phase} phase
 * @param {Letters} letters free letters and the focus
 * @param {number[]} planeShape @param {number[]} [kernelShape]
 * @returns {WindowCell[][]}
 */
export function windowOf(plane, kernel, phase, letters, planeShape, kernelShape) {
  const [rowLetter, columnLetter] = planeLetters(plane, phase);
  const rows = order(plane.axes[2], rowLetter, phase.bound[rowLetter]);
  const columns = order(plane.axes[3], columnLetter, phase.bound[columnLetter]);
  const width = columns.length;
  return rows.map(u =>
    columns.map(v => {
      const at = { ...letters, [rowLetter]: u, [columnLetter]: v };
      const index = plane.axes.map(axis => axis && positionOn(axis, at));
      const kernelIndex =
        kernel &&
        inside(
          kernel.axes.map(axis => axis && positionOn(axis, at)),
          kernelShape ?? [],
        );
      const name = kernelIndex ? kernelIndex[2] * (kernelShape?.[3] ?? width) + kernelIndex[3] : u * width + v;
      return {
        at,
        index: inside(index, planeShape),
        pad: !inside(index, planeShape),
        letter: letterOf(name),
        kernelIndex,
      };
    }),
  );
}

/**
 * Values of a bound letter in the order in which its axis climbs.
 * @param {Axis|null} axis
 * @param {string} letter
 * @param {number} count
 */
function order(axis, letter, count) {
  const values = Array.from({ length: count }, (_, k) => k);
  return (axis?.letters[letter] ?? 1) < 0 ? values.reverse() : values;
}

/**
 * The plane as it is drawn: how far apart its cells stand and how much padding lies around, per plane axis.
 * @param {Read} read @param {Phase} phase @param {number[]} shape
 */
export function pictureOf(read, phase, shape) {
  const pads = padding(read, shape, phase.free, phase.bound);
  return [2, 3].map(axis => {
    const pitch = read.axes[axis]?.pitch ?? 1;
    const { before, after } = pads[axis];
    return { pitch, before, after, size: (shape[axis] - 1) * pitch + 1 + before + after };
  });
}

/**
 * The window's box in the picture, in picture cells from its top left.
 * @param {Read} read
 * @param {Phase} phase
 * @param {Letters} letters
 * @param {number[]} shape
 */
export function boxIn(read, phase, letters, shape) {
  const picture = pictureOf(read, phase, shape);
  const [rows, columns] = [2, 3].map((axis, k) => {
    const letter = planeLetters(read, phase)[k];
    const form = /** @type {Axis} */ (read.axes[axis]);
    const ends = [0, phase.bound[letter] - 1].map(value => raw(form, { ...letters, [letter]: value }));
    const low = Math.min(...ends) + picture[k].before;
    return { low, count: Math.max(...ends) - Math.min(...ends) + 1 };
  });
  return { row: rows.low, column: columns.low, rows: rows.count, columns: columns.count };
}

/**
 * Cells a read lights for one written cell, those outside its tensor left out.
 * @param {Read} read
 * @param {Phase} phase
 * @param {Letters} free
 * @param {number[]} shape
 */
export const lit = (read, phase, free, shape) =>
  cellsOf(read, free, phase.bound).flatMap(({ at, index }) => {
    const cell = inside(index, shape);
    return cell ? [{ at, index: cell }] : [];
  });

/** How many terms the sum of one cell has. @param {Phase} phase */
export const termsOf = phase => sizeOf(Object.values(phase.bound));

/**
 * The summed map that says most at the start: the one whose numbers weigh most together.
 * @param {Read} read
 * @param {Phase} phase
 * @param {string} letter
 * @param {{shape: number[], data: ArrayLike<number>}} tensor
 */
export function strongest(read, phase, letter, tensor) {
  const axis = read.axes.findIndex(form => form && letter in form.letters);
  if (axis < 0) return 0;
  const inner = sizeOf(tensor.shape.slice(axis + 1));
  const sums = new Array(phase.bound[letter]).fill(0);
  for (let k = 0; k < tensor.data.length; k++) {
    const at = Math.floor(k / inner) % tensor.shape[axis];
    if (at < sums.length) sums[at] += tensor.data[k] === 0 ? 0 : 1 + Math.abs(tensor.data[k]);
  }
  return sums.indexOf(Math.max(...sums));
}

/**
 * The summed map that gives one cell most: the one whose window and kernel multiply to the largest sum.
 * @param {Extract<Figure, {kind: "slide"}>} figure @param {Phase} phase @param {Letters} letters of the written cell
 * @param {{shape: number[], data: ArrayLike<number>}} x @param {{shape: number[], data: ArrayLike<number>}} w
 */
export function strongestAt({ plane, kernel, focus }, phase, letters, x, w) {
  let best = 0;
  let most = 0;
  for (let at = 0; focus && at < phase.bound[focus]; at++) {
    let sum = 0;
    for (const { index, kernelIndex } of windowOf(
      plane,
      kernel,
      phase,
      { ...letters, [focus]: at },
      x.shape,
      w.shape,
    ).flat())
      if (index && kernelIndex) sum += x.data[ravel(index, x.shape)] * w.data[ravel(kernelIndex, w.shape)];
    if (Math.abs(sum) > most) [most, best] = [Math.abs(sum), at];
  }
  return best;
}
