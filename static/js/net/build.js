/** What the server says of the network that is built: each change is described and seen with one image. */

import { batch, effect, untracked } from "@preact/signals-core";

import { decode } from "../core/codec.js";
import { compact } from "../core/network_document.js";
import * as build from "../state/build.js";
import * as store from "../state/store.js";
import { Refused, ask, datasets, once, post, showError } from "./requests.js";
import { createRun, trainingOf } from "./session.js";
import { named } from "./stream.js";

/** Milliseconds within which several changes, as of a stepper that is held, are one. */
const TOGETHER = 60;

/** All networks there are to begin with, those too large to train here among them. */
export const presets = () => once("api/models");

/** @type {AbortController|null} */
let asking = null;

async function describe() {
  const document = build.network.peek();
  if (!document) return;
  asking?.abort();
  const controller = (asking = new AbortController());
  const { signal } = controller;
  const network = compact(document);
  try {
    const draft = await post("api/networks/draft", { network }, { signal });
    if (signal.aborted) return;
    batch(() => {
      build.draft.value = draft;
      build.drafted.value = document;
    });
    build.refusal.value = "";
    if (draft.layers.some((/** @type {DraftLayer} */ { state }) => state === "fits")) await look(network, signal);
    else keepInput();
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof Refused && error.status < 500) build.refusal.value = error.message;
    else showError(error);
  }
}

/** Where no layer fits there is the image alone. */
function keepInput() {
  const image = build.preview.peek()?.tensors.get("input/y");
  build.preview.value = image ? { tensors: new Map([["input/y", image]]), trained: 0, of: 0 } : null;
}

/** The image that is looked at, through the layers that fit. @param {any} network @param {AbortSignal} signal */
async function look(network, signal) {
  const looked = store.source.peek();
  const source = looked?.kind === "pass" ? looked : store.usual.peek();
  if (!source) return;
  const { target: _, ...image } = named(source);
  const run = build.trained.peek() ? store.run.peek()?.id : undefined;
  const body = { network, ...image, seed: build.seed.peek(), ...(run ? { run } : {}) };
  try {
    const answer = await ask("api/networks/preview", { method: "POST", body, signal });
    const { header, blocks } = decode(await answer.arrayBuffer());
    if (signal.aborted) return;
    const tensors = new Map(
      blocks.map(({ layer, tensor, shape, data }) => {
        const kind = /** @type {Kind} */ (tensor === "y" || tensor === "p" ? "value" : "weight");
        return /** @type {[string, Tensor]} */ ([`${layer}/${tensor}`, { shape, data, kind }]);
      }),
    );
    build.preview.value = { tensors, trained: header.trained, of: header.of };
    build.previewProblem.value = "";
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Refused) || error.status >= 500) throw error;
    build.preview.value = null;
    build.previewProblem.value = error.message;
  }
}

/** While the view is open: what changes is described. @returns {() => void} ends it */
export function follow() {
  if (!build.ops.peek().length)
    once("api/ops").then(({ ops }) => {
      build.ops.value = ops;
    }, showError);
  let timer = 0;
  const stopAsking = effect(() => {
    for (const part of [build.network, build.seed, build.trained, store.source]) void part.value;
    if (build.trained.value) void store.step.value;
    untracked(() => {
      clearTimeout(timer);
      timer = setTimeout(() => void describe(), TOGETHER);
    });
  });
  const stopSaving = effect(() => build.save());
  return () => {
    clearTimeout(timer);
    stopAsking();
    stopSaving();
    asking?.abort();
  };
}

/** The data that a network of this input learns from: the run's own where it fits. @param {number[]} input */
export async function dataFor(input) {
  const fitting = (await datasets()).filter(
    (/** @type {any} */ { problem, shape }) => !problem && shape?.join() === input.join(),
  );
  return fitting.find((/** @type {any} */ { name }) => name === store.run.peek()?.dataset) ?? fitting[0] ?? null;
}

/** A run of the network, at step 0 or training. @param {boolean} start */
export async function makeRun(start) {
  const document = /** @type {NetworkDocument} */ (build.network.peek());
  const data = await dataFor(document.input);
  if (!data) throw new Error(`There is no data of the shape ${document.input.join(" × ")} here.`);
  const name = build.title.peek() || "my network";
  return createRun({ network: compact(document), dataset: data.name, name, seed: build.seed.peek(), start });
}

/**
 * A run that begins with kernels set by hand.
 * @param {boolean} start
 */
export async function runFromEdits(start) {
  const from = store.run.peek();
  const edits = store.edits.peek().filter(({ place }) => store.infoOf(place)?.kind === "weight");
  const name = `${from.name || from.title || from.model || "network"} by hand`.slice(0, 60);
  return createRun({
    from: { run: from.id, step: store.step.peek() ?? undefined, edits },
    ...trainingOf(from),
    epochs: 1,
    name,
    start,
  });
}

/**
 * Maps of one image under several kernels at once, as the engine computes them.
 * @param {{op: string, settings: Record<string, any>}} layer @param {number[][]} plane @param {number[][][]} kernels
 * @returns {Promise<number[][][]>} a map for each kernel
 */
export async function mapsOf({ op, settings }, plane, kernels) {
  const tensors = { x: [[plane]], w: kernels.map(kernel => [kernel]) };
  const { tensors: made } = await post(`api/ops/${op}/forward`, { settings, tensors, dtype: "float32" });
  return made.y[0];
}
