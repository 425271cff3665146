/** How letters of a sentence are called on the screen. */

import { axisWords } from "../place.js";
import { infoOf, score } from "../store.js";

/**
 * What a summed letter counts: the axis of the values it runs along.
 * @param {import("../score.js").Phase} phase @param {string} letter
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
 * @param {import("../score.js").Phase} phase
 */
export function freshSteps(phase) {
  const earlier = (score.value?.phases ?? []).filter((other) => other.layer === phase.layer);
  const before = new Set(earlier.slice(0, earlier.findIndex(({ place }) => place === phase.place)).flatMap(({ steps }) => steps.map(({ name }) => name)));
  return phase.steps.filter(({ name }) => !before.has(name));
}

/** Whether a summed letter runs along the rows or columns of a map. @param {import("../score.js").Phase} phase @param {string} letter */
export const inPlane = (phase, letter) =>
  phase.reads.some(({ axes }) => axes.length === 4 && axes.slice(2).some((axis) => axis && letter in axis.letters));
