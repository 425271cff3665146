/** A pass with numbers set by hand beside the same pass without them: which of the two the stage shows. */

import { signal } from "@preact/signals-core";

import { largest, roundUp } from "../core/colour.js";
import { at } from "../core/place.js";
import { base, nameOf, setTo, tensorOf, timeline } from "./store.js";

/** @typedef {{data: ArrayLike<number>, shape: number[]}} Numbers */

/** @type {Signal<"before"|"now"|"difference"|"mattered">} */
export const shows = signal("now");

/** 1 where the loss depends on a number, 0 where it does not, by tensor. @type {Map<string, Float32Array>} */
let mattered = new Map();

/**
 * Show what mattered in place of the numbers; null: the numbers again.
 * @param {Map<string, Float32Array>|null} masks
 */
export function showMattered(masks) {
  if (masks) mattered = masks;
  if (masks) shows.value = "mattered";
  else if (shows.peek() === "mattered") shows.value = "now";
}

/**
 * The tensors of the pass without the numbers set by hand; null before they have come.
 * @type {Signal<{pass: string, tensors: Map<string, Numbers>}|null>}
 */
export const untouched = signal(null);

/** The numbers of a tensor in the pass that nothing was set in. @param {string} prefix @returns {Numbers|undefined} */
export const before = prefix =>
  untouched.value && untouched.value.pass === base.value?.pass
    ? untouched.value.tensors.get(nameOf(prefix))
    : undefined;

/** Differences that were computed, by what they are of. @type {WeakMap<object, {was: object, data: Float32Array}>} */
const gaps = new WeakMap();

/** @param {Numbers} now @param {Numbers} was */
function difference(now, was) {
  const known = gaps.get(now.data);
  if (known?.was === was.data) return known.data;
  const data = Float32Array.from(now.data, (value, k) => value - was.data[k]);
  gaps.set(now.data, { was: was.data, data });
  return data;
}

/**
 * What the stage shows of a tensor in place of its numbers, and the range of its colours; null where these are shown.
 * @param {string} prefix
 */
export function shownOf(prefix) {
  if (shows.value === "now") return null;
  if (shows.value === "mattered") {
    const data = mattered.get(nameOf(prefix));
    return data ? { data, range: 1 } : null;
  }
  const [now, was] = [tensorOf(prefix), before(prefix)];
  if (!now || !was || now.data.length !== was.data.length) return null;
  const data = shows.value === "before" ? was.data : difference(now, was);
  return { data, range: roundUp(largest(data)) };
}

/** The tensor that says which cell won each window of a layer, if it has one. @param {Phase} phase */
export function winnersOf({ layer, shape }) {
  const found = Object.entries(timeline.value?.tensors ?? {}).find(
    ([name, info]) => name.startsWith(`${layer}/`) && info.kind === "index" && info.shape.length === shape.length,
  );
  return found?.[0] ?? null;
}

/** The cell that was chosen to win a window, counted row by row. @param {Phase} phase @param {number[]} index */
export function winnerByHand(phase, index) {
  const winners = winnersOf(phase);
  return winners ? setTo(at(winners, index)) : undefined;
}
