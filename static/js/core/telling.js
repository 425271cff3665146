/**
 * Where a phase has something to show: the cell whose terms say most. Found from the values and from how the sentence
 * reads them; nothing here knows what an op is called.
 */

import { largest } from "./colour.js";
import { ravel, sizeOf } from "./place.js";
import { cellsIn, lettersAt, ownName } from "./timeline.js";
import { positionOn } from "./windows.js";

/** Cells of a phase, terms of a cell and products in all that are looked at: the search takes a few milliseconds. */
const CELLS = 600;
const TERMS = 600;
const PRODUCTS = 60_000;
/** So many terms that are not zero say enough. */
const ENOUGH = 9;

/** @typedef {{cell: number, zeros: number}} Telling  the cell; how many cells before it are exactly zero */

/** @type {WeakMap<Phase, {data: ArrayLike<number>, label: number|null, told: Telling}>} */
const found = new WeakMap();

/**
 * The telling cell of a phase; the first one where the numbers are not here. Kept until the numbers change.
 * @param {Timeline} timeline
 * @param {number} at the phase
 * @param {(name: string) => Tensor|undefined} tensorOf
 * @param {number|null} label
 * @returns {Telling}
 */
export function telling(timeline, at, tensorOf, label) {
  const phase = timeline.phases[at];
  const own = tensorOf(phase.place);
  if (!own) return { cell: 0, zeros: 0 };
  const before = found.get(phase);
  if (before?.data === own.data && before.label === label) return before.told;
  const cell = choose(timeline, phase, own, tensorOf, label);
  let zeros = 0;
  for (let k = 0; k < cell; k++) zeros += own.data[k] === 0 ? 1 : 0;
  const told = { cell, zeros };
  found.set(phase, { data: own.data, label, told });
  return told;
}

/**
 * Whether a tensor has a number for each class: it is shaped like one of the loss's.
 * @param {Timeline} timeline
 * @param {Phase} phase
 */
const countsClasses = (timeline, phase) =>
  phase.shape.length === 2 &&
  timeline.phases.some(({ part, shape }) => part === "loss" && shape.length === 2 && shape[1] === phase.shape[1]);

/**
 * @param {Timeline} timeline
 * @param {Phase} phase
 * @param {Tensor} own
 * @param {(name: string) => Tensor|undefined} tensorOf
 * @param {number|null} label
 */
function choose(timeline, phase, own, tensorOf, label) {
  const cells = cellsIn(phase);
  if (label !== null && countsClasses(timeline, phase) && label < phase.shape[1]) return label;
  const most = largest(own.data);
  if (most === 0 || cells < 2) return 0;
  const reads = phase.reads
    .filter(({ role }) => role !== "test")
    .map(read => ({ read, tensor: tensorOf(ownName(timeline, read.tensor)) }))
    .filter(({ tensor }) => tensor !== undefined);
  const largestRead = reads.map(({ tensor }) => largest(/** @type {Tensor} */ (tensor).data) || 1);
  const letters = Object.keys(phase.bound);
  const counts = letters.map(letter => phase.bound[letter]);
  const terms = Math.max(1, sizeOf(counts));
  const looked = Math.min(terms, TERMS);
  const tried = Math.min(cells, CELLS, Math.max(40, Math.floor(PRODUCTS / looked)));
  let best = 0;
  let highest = -1;
  for (let k = 0; k < tried; k++) {
    const cell = Math.floor((k * cells) / tried);
    const value = Math.abs(own.data[cell]);
    // A number that is zero tells nothing; one of a good size is as good as the largest. Early is better than late.
    if (value === 0) continue;
    const size = Math.min(1, value / (0.5 * most));
    const timeline = (0.4 * size + 0.6 * clarity(cell)) * (1 - (0.3 * cell) / cells);
    if (timeline > highest) [highest, best] = [timeline, cell];
  }
  return best;

  /** 0..1: how many terms are not zero; of a largest one also how clearly it wins. @param {number} cell */
  function clarity(cell) {
    const at = lettersAt(phase, cell);
    let full = 0;
    let first = -Infinity;
    let second = -Infinity;
    for (let k = 0; k < looked; k++) {
      let rest = Math.floor((k * terms) / looked);
      for (let axis = letters.length - 1; axis >= 0; axis--) {
        at[letters[axis]] = rest % counts[axis];
        rest = Math.floor(rest / counts[axis]);
      }
      let product = 1;
      reads.forEach(({ read, tensor }, j) => {
        const { shape, data } = /** @type {Tensor} */ (tensor);
        const index = read.axes.map((axis, dim) => {
          const where = axis ? positionOn(axis, at) : 0;
          return where !== null && where >= 0 && where < shape[dim] ? where : -1;
        });
        product *= index.includes(-1) ? 0 : data[ravel(index, shape)] / largestRead[j];
      });
      if (product !== 0) full++;
      if (product > first) [first, second] = [product, first];
      else if (product > second) second = product;
    }
    if (phase.form === "max") {
      const gap = first - second;
      return Number.isFinite(gap) && gap > 0 ? Math.min(1, 0.4 + 2 * gap) * Math.min(1, full / Math.min(4, looked)) : 0;
    }
    return Math.min(1, full / Math.min(ENOUGH, looked));
  }
}

/**
 * What is skipped before a phase's telling cell, in words; "" where nothing is.
 * @param {Telling} telling
 * @param {(count: number) => string} count
 */
export function skipped({ cell, zeros }, count) {
  if (cell === 0) return "";
  const cells = cell === 1 ? "1 cell before it is" : `${count(cell)} alike before it are`;
  return `${cells} skipped${zeros ? `, ${zeros === cell ? "all" : count(zeros)} of them zero` : ""}`;
}
