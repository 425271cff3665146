/** What can be said of a number beside its terms: who reads it, its gradient in words, what the update does to it. */

import { at, parse, prefixOf } from "./place.js";
import { ownName } from "./timeline.js";
import { every } from "./windows.js";

/** What a gradient is, and what a delta: said where they first appear. */
export const GRADIENT =
  "A gradient, ∂L/∂x, says how the loss would change if this number alone grew: " +
  "by so much for each 1, nearly in proportion for a little.";
export const DELTA = "The gradient of a layer’s outputs is called its delta, δ.";

/**
 * How many numbers of each phase read a number, and which phases those are; only on the way forward.
 * @param {Timeline} timeline @param {string} place @returns {{layer: string, count: number}[]}
 */
export function readers(timeline, place) {
  const own = ownName(timeline, prefixOf(place));
  const { index } = parse(place);
  const found = [];
  for (const phase of timeline.phases) {
    if (phase.part !== "forward" && phase.part !== "loss") continue;
    const counts = phase.reads
      .filter(({ tensor, axes }) => ownName(timeline, tensor) === own && axes.length === index.length)
      .map(({ axes }) => countOf(phase, axes, index));
    const count = Math.max(0, ...counts);
    if (count) found.push({ layer: phase.layer, count });
  }
  return found;
}

/**
 * Written cells whose read touches an index.
 * @param {Phase} phase
 * @param {(Axis|null)[]} axes
 * @param {number[]} index
 */
function countOf({ free, bound }, axes, index) {
  const used = new Set(axes.flatMap(axis => Object.keys(axis?.letters ?? {})));
  let count = 1;
  for (const letter in free) if (!used.has(letter)) count *= free[letter];
  axes.forEach((axis, dim) => {
    if (!axis) return;
    const own = Object.keys(axis.letters);
    const all = Object.fromEntries(own.map(letter => [letter, free[letter] ?? bound[letter] ?? 1]));
    const cells = new Set();
    for (const letters of every(all)) {
      let position = axis.offset;
      for (const letter of own) position += axis.letters[letter] * letters[letter];
      if (position !== index[dim] * axis.pitch) continue;
      cells.add(
        own
          .filter(letter => letter in free)
          .map(letter => letters[letter])
          .join(),
      );
    }
    count *= cells.size;
  });
  return count;
}

/**
 * Where the gradient of a number stands, and the number after the update; null where there is none.
 * @param {Timeline} timeline @param {string} place @returns {{gradient: string|null, after: string|null}}
 */
export function relatives(timeline, place) {
  const { layer, tensor, index } = parse(place);
  const of = (/** @type {string} */ name) => {
    const own = ownName(timeline, `${layer}/${name}`);
    return own in timeline.tensors && timeline.tensors[own].shape.length === index.length ? at(own, index) : null;
  };
  return { gradient: of(tensor === "y" ? "dy" : `d${tensor}`), after: of(`${tensor}_next`) };
}
