/** How letters of a sentence are called on the screen. */

import { axisWords } from "../place.js";
import { infoOf } from "../store.js";

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
