/** The file that was brought: on its way, read, or refused; and what becomes of it. */

import { batch, signal } from "@preact/signals";

import { kindOf, nameFor, namesOf, TAIL } from "../../core/file_kind.js";
import * as net from "../../net/requests.js";
import * as session from "../../net/session.js";
import { bring } from "../../state/dropped.js";
import { openPanel, say, show } from "../../state/store.js";

/**
 * @typedef {{phase: "none"|"reading"|"read"|"refused", name: string, bytes: number, format?: string, error?: string,
 *   other?: "model"|"data"|null, model?: any, dataset?: any, file?: File}} Now
 */

/** @type {Signal<Now>} */
export const now = signal({ phase: "none", name: "", bytes: 0 });
/** Whether an answer to a guess is on its way. */
export const settling = signal(false);

/** Counts files, so that one that was followed by another is passed over. */
let taken = 0;

/** @param {File} file @returns {Promise<"model"|"data">} */
async function kind(file) {
  const bytes = async (/** @type {number} */ from, /** @type {number} */ to) =>
    new Uint8Array(await file.slice(from, to).arrayBuffer());
  const first = await bytes(0, 4096);
  const zipped = first[0] === 0x50 && first[1] === 0x4b;
  const members = zipped ? namesOf(await bytes(Math.max(0, file.size - TAIL), file.size)) : [];
  return kindOf(file.name, members, zipped ? "" : new TextDecoder().decode(first));
}

/** Read a file as what it seems to be. @param {File} file */
export function take(file) {
  if (file.type.startsWith("image/")) return bring(file);
  void kind(file).then(as => read(file, as), net.showError);
}

/** The other way round, where it was taken for the wrong thing. */
export function takeOtherwise() {
  const { file, other } = now.peek();
  if (file && other) void read(file, other);
}

/** @param {File} file @param {"model"|"data"} as */
async function read(file, as) {
  const mine = ++taken;
  const about = { name: file.name, bytes: file.size, file };
  now.value = { phase: "reading", ...about };
  try {
    if (as === "model") {
      const model = await net.importModel(file, file.name);
      if (mine === taken) now.value = { phase: "read", ...about, format: FORMATS[model.format] ?? model.format, model };
      say(`${file.name} was read: ${model.layers.length} layers.`);
    } else {
      const dataset = await net.addDataset(file, await free(nameFor(file.name)));
      if (mine === taken) now.value = { phase: "read", ...about, format: "data", dataset };
      say(`${file.name} was read as data.`);
    }
  } catch (error) {
    if (mine !== taken) return;
    const other = /\.(npz|zip|json)$/i.test(file.name) ? (as === "model" ? "data" : "model") : null;
    const words = error instanceof Error ? error.message : String(error);
    now.value = { phase: "refused", ...about, error: words, other };
  }
}

/** @type {Record<string, string>} */
const FORMATS = {
  onnx: "ONNX",
  pytorch: "PyTorch",
  safetensors: "safetensors",
  npz: ".npz",
  keras: "Keras",
  tfjs: "TensorFlow.js",
  document: "a network document",
};

/** A name that no data set has yet. @param {string} wish */
async function free(wish) {
  const names = new Set((await net.datasets()).map((/** @type {any} */ { name }) => name.toLowerCase()));
  let name = wish;
  for (let k = 2; names.has(name.toLowerCase()); k++) name = `${wish.slice(0, 55)} ${k}`;
  return name;
}

/** Take something else for what was guessed, or in a missing layer's place. @param {string} what @param {any} value */
export async function answer(what, value) {
  const { model } = now.peek();
  settling.value = true;
  try {
    const settled = await net.settleImport(model.id, { [what]: value });
    if (now.peek().model?.id === settled.id) now.value = { ...now.peek(), model: settled };
  } catch (error) {
    net.showError(error);
  }
  settling.value = false;
}

/**
 * A run with the model's parameters, or of a network for the data; then a look at it.
 * @param {any} body of POST /api/runs @param {"explore"|"train"} view
 */
export async function open(body, view) {
  try {
    await session.createRun({ ...body, start: false });
    batch(() => {
      openPanel(null);
      show(view);
    });
  } catch (error) {
    net.showError(error);
    openPanel(null);
  }
}

/** A picture for a network to which no data set fits, so that a pass can be walked. @param {number[]} shape */
export const ramp = ([channels, height, width]) =>
  Array.from({ length: channels }, () =>
    Array.from({ length: height }, (_, row) =>
      Array.from({ length: width }, (_, column) => Math.round((100 * (row + column)) / (height + width)) / 100),
    ),
  );

/** @param {string} name */
export async function remove(name) {
  try {
    await net.deleteDataset(name);
    if (now.peek().dataset?.name === name) now.value = { phase: "none", name: "", bytes: 0 };
    say(`${name} is deleted.`);
    return true;
  } catch (error) {
    net.showError(error);
    return false;
  }
}
