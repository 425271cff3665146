/** The bug lab's runs: the same network from the same seed, with a slip of the backward pass and without. */

import { at, unravel } from "../core/place.js";
import { once, post, tensor } from "./requests.js";
import { keepToken } from "./tokens.js";

/** @typedef {{right: any, wrong: any}} Pair */

/**
 * @param {{name: string, network: any, optimizer: any}} slip with a network in which it shows @param {number} steps
 * @returns {Promise<Pair>} both runs, begun
 */
export async function trainBeside({ name: slip, network, optimizer }, steps) {
  const begin = async (/** @type {any} */ extra) => {
    const made = await post("api/runs", { network, optimizer, seed: 7, steps, start: true, ...extra });
    keepToken(made);
    return made;
  };
  return { right: await begin({ name: `without ${slip}` }), wrong: await begin({ name: slip, slip }) };
}

/**
 * The first number of the first step's backward pass in which two runs differ; null where none of these tensors does.
 * @param {Pair} runs @param {string[]} tensors that the slip edits
 * @returns {Promise<{place: string, right: number, wrong: number}|null>}
 */
export async function firstDifference(runs, tensors) {
  const score = await once(`api/runs/${encodeURIComponent(runs.right.id)}/score?training=true`);
  for (const phase of score.phases) {
    if (phase.part === "forward" || !tensors.includes(phase.tensor)) continue;
    const [right, wrong] = await Promise.all([runs.right, runs.wrong].map(({ id }) => tensor(id, 1, phase.place)));
    const [a, b] = [right, wrong].map(({ values }) => [values].flat(Number.POSITIVE_INFINITY));
    const k = a.findIndex((value, n) => Math.abs(value - b[n]) > 1e-6 * (1 + Math.abs(value)));
    if (k >= 0) return { place: at(phase.place, unravel(k, right.shape)), right: a[k], wrong: b[k] };
  }
  return null;
}
