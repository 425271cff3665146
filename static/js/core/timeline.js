/**
 * The timeline of a pass: phases in the order of time, each a tensor whose cells are written in scan order.
 * A position is {phase, cell}; cell -1 stands before the first cell. Playing, stepping and scrubbing only move it.
 */

import { ravel, sizeOf, unravel } from "./place.js";

/** Cells a phase writes. @param {Phase} phase */
export const cellsIn = phase => sizeOf(phase.shape);

/** Index of the cell at a position. @param {Phase} phase @param {number} cell */
export const indexAt = (phase, cell) => unravel(Math.max(0, cell), phase.shape);

/** Values of the free letters for the cell at a position. @param {Phase} phase @param {number} cell */
export function lettersAt(phase, cell) {
  const letters = Object.keys(phase.free);
  const index = unravel(Math.max(0, cell), Object.values(phase.free));
  return Object.fromEntries(letters.map((letter, axis) => [letter, index[axis]]));
}

/** @param {Timeline} timeline @param {string} prefix @returns {number} the phase that writes a tensor, or -1 */
export const phaseOf = (timeline, prefix) => timeline.phases.findIndex(phase => phase.place === prefix);

/** The tensor's own name: aliases resolved. @param {Timeline} timeline @param {string} prefix */
export function ownName(timeline, prefix) {
  const seen = new Set();
  while (timeline.aliases[prefix] && !seen.has(prefix)) {
    seen.add(prefix);
    prefix = timeline.aliases[prefix];
  }
  return prefix;
}

/**
 * Where the numbers of a tensor are first written: aliases and mere re-indexing resolved. The flat order is the same.
 * @param {Timeline} timeline @param {string} prefix
 */
export function source(timeline, prefix) {
  let name = ownName(timeline, prefix);
  for (;;) {
    const phase = timeline.phases[phaseOf(timeline, name)];
    if (!phase?.view || !phase.reads.length) return name;
    name = ownName(timeline, phase.reads[0].tensor);
  }
}

/**
 * The shape under which the numbers of a tensor are seen on the stage: of a row that was flattened from maps, or that
 * goes back into maps, that of the maps. The flat order is the same.
 * @param {Timeline} timeline @param {string} prefix @returns {number[]}
 */
export function seenShape(timeline, prefix) {
  const own = ownName(timeline, prefix);
  const shape = timeline.tensors[own]?.shape ?? [];
  if (shape.length !== 2) return shape;
  const first = timeline.tensors[source(timeline, own)]?.shape;
  if (first?.length === 4) return first;
  const view = timeline.phases.find(
    phase => phase.view && phase.reads.some(read => ownName(timeline, read.tensor) === own),
  );
  return view?.shape.length === 4 ? view.shape : shape;
}

/** Whether a tensor's first axis counts images. @param {Timeline} timeline @param {string} prefix */
export function batched(timeline, prefix) {
  const info = timeline.tensors[ownName(timeline, prefix)];
  return info !== undefined && !info.whole && info.shape.length > 0;
}

/**
 * The tensors that are shown while a network trains: all but the optimizer's, which only its own phase shows.
 * @param {Timeline} timeline @param {Phase|null} phase the phase that is looked at
 */
export function living(timeline, phase) {
  const optimizers = (/** @type {string} */ prefix) => prefix.includes(".") || prefix.endsWith("_next");
  return Object.keys(timeline.tensors).filter(
    prefix => !optimizers(prefix) || (phase?.part === "update" && prefix.startsWith(`${phase.layer}/`)),
  );
}

/** The phases one walks through: mere re-indexing takes no time. @param {Timeline} timeline */
export const walked = timeline => timeline.phases.flatMap((phase, k) => (phase.view ? [] : [k]));

/** @param {Timeline} timeline @returns {Position} the end of the pass */
export function end(timeline) {
  const phase = walked(timeline).at(-1) ?? 0;
  return { phase, cell: cellsIn(timeline.phases[phase]) - 1 };
}

/** @param {Timeline} timeline @returns {Position} the start of the pass */
export const start = timeline => ({ phase: walked(timeline)[0] ?? 0, cell: -1 });

/** Whether a position exists. @param {Timeline} timeline @param {Position|null} position */
export const valid = (timeline, position) =>
  position !== null &&
  timeline.phases[position.phase] !== undefined &&
  position.cell >= -1 &&
  position.cell < cellsIn(timeline.phases[position.phase]);

/**
 * One cell on or back. Beyond the last cell of a phase the next one begins; null past either end.
 * @param {Timeline} timeline @param {Position} position @param {1|-1} by @returns {Position|null}
 */
export function nextCell(timeline, { phase, cell }, by) {
  const order = walked(timeline);
  if (by > 0) {
    if (cell + 1 < cellsIn(timeline.phases[phase])) return { phase, cell: cell + 1 };
    const following = order.find(k => k > phase);
    return following === undefined ? null : { phase: following, cell: 0 };
  }
  if (cell > 0) return { phase, cell: cell - 1 };
  const previous = order.filter(k => k < phase).at(-1);
  if (previous === undefined) return cell === 0 ? { phase, cell: -1 } : null;
  return { phase: previous, cell: cellsIn(timeline.phases[previous]) - 1 };
}

/**
 * One phase on, or back to the start of this one and then of the one before. Null past either end.
 * @param {Timeline} timeline @param {Position} position @param {1|-1} by @returns {Position|null}
 */
export function nextPhase(timeline, { phase, cell }, by) {
  const order = walked(timeline);
  if (by > 0) {
    const following = order.find(k => k > phase);
    if (following !== undefined) return { phase: following, cell: 0 };
    const last = cellsIn(timeline.phases[phase]) - 1;
    return cell < last ? { phase, cell: last } : null;
  }
  if (cell > 0) return { phase, cell: 0 };
  const previous = order.filter(k => k < phase).at(-1);
  return previous === undefined ? null : { phase: previous, cell: 0 };
}

/** @param {Position} a @param {Position} b negative when a comes first */
export const compare = (a, b) => a.phase - b.phase || a.cell - b.cell;

/**
 * How many cells of a tensor are written at a position: all, some (the phase being walked) or none.
 * What no phase writes is given (the image, the label, the parameters, the optimizer's state before the update), or an
 * intermediate that is there as soon as its layer's own phase, or its parameter's update, has begun.
 * @param {Timeline} timeline @param {Position|null} position @param {string} prefix
 */
export function known(timeline, position, prefix) {
  const own = ownName(timeline, prefix);
  const info = timeline.tensors[own];
  const size = info ? sizeOf(info.shape) : Infinity;
  const name = source(timeline, own);
  const writer = phaseOf(timeline, name);
  if (writer >= 0) {
    if (position === null || position.phase < writer) return 0;
    return position.phase > writer ? size : position.cell + 1;
  }
  const [layer, tensor] = name.split("/");
  const state = tensor.indexOf(".") > 0 && !timeline.tensors[`${name}_next`];
  const first = state
    ? phaseOf(timeline, `${layer}/${tensor.slice(0, tensor.indexOf("."))}_next`)
    : info?.kind === "weight" || tensor.includes(".")
      ? -1
      : timeline.phases.findIndex(phase => phase.layer === layer);
  if (first < 0) return size;
  if (position === null || position.phase < first) return 0;
  return position.phase > first || position.cell >= 0 ? size : 0;
}

/**
 * The position just after a cell of a tensor is written, null where nothing is written.
 * @param {Timeline} timeline @param {string} prefix @param {ArrayLike<number>} index @returns {Position|null}
 */
export function positionOf(timeline, prefix, index) {
  const own = ownName(timeline, prefix);
  const phase = phaseOf(timeline, source(timeline, own));
  if (phase < 0) return null;
  if (!index.length) return { phase, cell: timeline.phases[phase].shape.length ? -1 : 0 };
  const shape = (timeline.tensors[own] ?? timeline.phases[phase]).shape;
  return { phase, cell: ravel(index, shape) };
}

/**
 * The timeline bar's marks: one for each phase that is walked; all updates share the last one.
 * @param {Timeline} timeline
 * @returns {{label: string, part: string, phases: number[], cells: number}[]}
 */
export function marks(timeline) {
  /** @type {{label: string, part: string, phases: number[], cells: number}[]} */
  const made = [];
  for (const k of walked(timeline)) {
    const { label, part, layer, tensor, kind } = timeline.phases[k];
    const cells = cellsIn(timeline.phases[k]);
    const last = made.at(-1);
    const before = last && timeline.phases[last.phases[0]];
    const small = before?.layer === layer && kind === "gradient" && rank(tensor, timeline) === 1 && part === "backward";
    if (last && before && (part === "update" ? last.part === "update" : small)) {
      last.phases.push(k);
      last.cells += cells;
    } else {
      made.push({ label: part === "update" ? "update" : label, part, phases: [k], cells });
    }
  }
  return made;

  /** The rank of the parameter a gradient belongs to. @param {string} tensor @param {Timeline} whole */
  function rank(tensor, whole) {
    const owner = tensor.replace(/^d/, "");
    const layer = whole.layers.find(({ parameters }) => owner in parameters);
    return layer ? layer.parameters[owner].length : 0;
  }
}

/**
 * Where a position lies within its mark, 0..1.
 * @param {Timeline} timeline
 * @param {{phases: number[], cells: number}} mark
 * @param {Position} position
 */
export function shareOf(timeline, mark, position) {
  let done = 0;
  for (const k of mark.phases) {
    if (position.phase > k) done += cellsIn(timeline.phases[k]);
    else if (position.phase === k) done += position.cell + 1;
  }
  return mark.cells ? Math.min(1, done / mark.cells) : 0;
}

/**
 * The position at a share 0..1 of a mark.
 * @param {Timeline} timeline
 * @param {{phases: number[], cells: number}} mark
 * @param {number} share
 * @returns {Position}
 */
export function positionAt(timeline, mark, share) {
  let cell = Math.min(mark.cells - 1, Math.max(0, Math.floor(share * mark.cells)));
  for (const phase of mark.phases) {
    const cells = cellsIn(timeline.phases[phase]);
    if (cell < cells) return { phase, cell };
    cell -= cells;
  }
  const phase = mark.phases[mark.phases.length - 1];
  return { phase, cell: cellsIn(timeline.phases[phase]) - 1 };
}

/* Pace. From the cell at which play begins in a phase, the first cells are slow enough to be read; then the pace rises
   smoothly, so that a phase of any size is over in a bounded time. Below speed 1 every cell takes its time. The same
   for every phase, forward and backward, so that the two can be compared. */

export const CELL = 600;
export const SLOW_CELLS = 4;
const TAIL = 1800;

/** The longest a phase lasts at speed 1, in milliseconds. */
export const LONGEST = SLOW_CELLS * CELL + TAIL;

/** Cells that are slow when a phase of `cells` begins at cell `from`. @param {number} cells @param {Pace} pace */
const slowIn = (cells, { from, speed }) => Math.min(cells - from, speed < 1 ? Infinity : SLOW_CELLS);

/** Milliseconds a phase of `cells` lasts at speed 1. @param {number} cells @param {Pace} [pace] */
export function duration(cells, pace = PLAIN) {
  const slow = slowIn(cells, pace);
  const rest = cells - pace.from - slow;
  return slow * CELL + Math.min(rest * CELL, TAIL);
}

/** From the first cell, at speed 1. @type {Pace} */
const PLAIN = { from: 0, speed: 1 };

/**
 * Cells (a fraction) written after `time` milliseconds of a phase; those before the first slow one are there at once.
 * @param {number} cells
 * @param {number} time
 * @param {Pace} [pace]
 */
export function cellsAfter(cells, time, pace = PLAIN) {
  const slow = slowIn(cells, pace);
  if (time <= slow * CELL) return pace.from + Math.max(0, time / CELL);
  const rest = cells - pace.from - slow;
  const tail = duration(cells, pace) - slow * CELL;
  if (rest <= 0 || time >= slow * CELL + tail) return cells;
  return pace.from + slow + rest * rise((time - slow * CELL) / tail, tail / (rest * CELL));
}

/** Milliseconds until `count` cells are written. @param {number} cells @param {number} count @param {Pace} [pace] */
export function timeOf(cells, count, pace = PLAIN) {
  const slow = slowIn(cells, pace);
  const done = Math.max(0, count - pace.from);
  if (done <= slow) return done * CELL;
  const rest = cells - pace.from - slow;
  const tail = duration(cells, pace) - slow * CELL;
  const share = Math.min(1, (done - slow) / rest);
  const first = tail / (rest * CELL);
  return slow * CELL + tail * bisect(t => rise(t, first) < share);
}

/** Where, between 0 and 1, a condition ceases to hold; a hair above it. @param {(t: number) => boolean} holds */
export function bisect(holds) {
  let low = 0;
  let high = 1;
  for (let k = 0; k < 40; k++) {
    const middle = (low + high) / 2;
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return high;
}

/** From 0 to 1 with slope `first` at 0 (the slow pace), then ever faster. @param {number} t @param {number} first */
const rise = (t, first) => first * t + (1 - first) * t ** 3;

/**
 * Milliseconds the cell at a position takes: what a view asks to decide between terms in order and a mere jump.
 * @param {Timeline} timeline
 * @param {Position} position
 * @param {number} speed
 * @param {number} [from] the phase's first slow cell
 */
export function cellTime(timeline, { phase, cell }, speed, from = 0) {
  const cells = cellsIn(timeline.phases[phase]);
  const at = Math.max(0, cell);
  if (at < from) return CELL / speed;
  const pace = { from: Math.min(from, cells - 1), speed };
  return (timeOf(cells, at + 1, pace) - timeOf(cells, at, pace)) / speed;
}

/**
 * Where play stands after some milliseconds. `time` runs within the phase, at speed 1, from its first slow cell on.
 * @param {Timeline} timeline @param {Clock} clock @param {number} elapsed already times the speed
 * @param {{speed?: number, begins?: (phase: number) => number}} [how] begins: the cell at which a phase is entered
 * @returns {Clock & {cell: number, over: boolean}}
 */
export function advance(timeline, { phase, time, from = 0 }, elapsed, { speed = 1, begins = () => 0 } = {}) {
  const order = walked(timeline);
  let now = time + elapsed;
  let at = Math.max(0, order.indexOf(phase));
  let first = from;
  for (;;) {
    const cells = cellsIn(timeline.phases[order[at]]);
    const pace = { from: first, speed };
    const lasts = duration(cells, pace);
    if (now < lasts) {
      const cell = Math.min(cells - 1, Math.floor(cellsAfter(cells, now, pace) + 1e-6));
      return { phase: order[at], time: now, from: first, cell, over: false };
    }
    if (at === order.length - 1) return { phase: order[at], time: lasts, from: first, cell: cells - 1, over: true };
    now -= lasts;
    at++;
    first = begins(order[at]);
  }
}

/**
 * The clock of a position: play goes on from here, slowly at first. Before a phase it begins where the phase does.
 * @param {Timeline} timeline @param {Position} position @param {(phase: number) => number} [begins] @returns {Clock}
 */
export function clockAt(timeline, { phase, cell }, begins = () => 0) {
  const cells = cellsIn(timeline.phases[phase]);
  return { phase, time: 0, from: cell < 0 ? begins(phase) : Math.min(cells, cell + 1) };
}
