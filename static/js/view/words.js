/** How letters of a sentence are called on the screen. */

import { axisWords } from "../place.js";
import { infoOf, score } from "../store.js";

/**
 * What a summed letter counts: the axis of the values it runs along.
 * @param {Phase} phase @param {string} letter
 */
export function axisWord(phase, letter) {
  const reads = [...phase.reads].sort((a, b) => Number(a.kind === "weight") - Number(b.kind === "weight"));
  for (const read of reads) {
    const axis = read.axes.findIndex((form) => form && letter in form.letters);
    const info = infoOf(read.tensor);
    if (axis >= 0 && info) return axisWords(info.shape, read.kind)[axis] ?? letter;
  }
  return letter;
}

/**
 * The named intermediates that no earlier phase of the layer has already shown.
 * @param {Phase} phase
 */
export function freshSteps(phase) {
  const earlier = (score.value?.phases ?? []).filter((other) => other.layer === phase.layer);
  const before = new Set(earlier.slice(0, earlier.findIndex(({ place }) => place === phase.place)).flatMap(({ steps }) => steps.map(({ name }) => name)));
  return phase.steps.filter(({ name }) => !before.has(name));
}

/** Whether a summed letter runs along the rows or columns of a map. @param {Phase} phase @param {string} letter */
export const inPlane = (phase, letter) =>
  phase.reads.some(({ axes }) => axes.length === 4 && axes.slice(2).some((axis) => axis && letter in axis.letters));

/**
 * A term by the numbers of its letters; one of many images by its number.
 * @param {Phase} phase @param {Record<string, number>} at @param {number} total how many terms there are
 */
export function termName(phase, at, total) {
  const known = Object.values(phase.bound).reduce((product, count) => product * count, 1);
  const batch = total > known + 2;
  const letters = Object.keys(phase.bound).filter((letter) => letter in at && (phase.bound[letter] > 1 || (batch && axisWord(phase, letter) === "image")));
  if (letters.length === 1 && axisWord(phase, letters[0]) === "image") return `image ${at[letters[0]]}`;
  return letters.map((letter) => at[letter]).join(",");
}
