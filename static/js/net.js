/** The conversation with the server: the only module that fetches or opens a socket. Facts go into the store. */

import { batch, computed, effect, untracked } from "@preact/signals-core";

import { decode } from "./codec.js";
import { excerptOf, tensorsIn } from "./excerpt.js";
import { batched, end, living } from "./score.js";
import * as store from "./store.js";

const BASE = new URL(".", document.baseURI);

/** A refusal of the server, in its own words. */
export class Refused extends Error {
  /** @param {number} status @param {{title?: string, detail?: string, errors?: any[]}} body */
  constructor(status, body) {
    super(body.detail || body.title || `the server answered ${status}`);
    this.status = status;
    this.title = body.title ?? "The server refused";
    this.errors = body.errors ?? [];
  }
}

/** @param {string} path @param {Omit<RequestInit, "body"> & {body?: any}} [options] */
async function ask(path, options = {}) {
  const { body, ...rest } = options;
  const request = body === undefined ? rest
    : { ...rest, body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...rest.headers } };
  for (let wait = 250; ; wait = Math.min(2000, 2 * wait)) {
    const response = await fetch(new URL(path, BASE), request).catch((error) => {
      if (!options.signal?.aborted) void (back ??= untilBack());
      if (options.signal?.aborted || !repeatable(path, options.method)) throw error;
    });
    if (!response) {
      await back;
      continue;
    }
    if (response.ok) return response;
    const problem = await response.json().catch(() => ({}));
    if (response.status !== 503 || !response.headers.has("Retry-After")) throw new Refused(response.status, problem);
    await sleep(wait, options.signal ?? undefined);
  }
}

/** Whether a request may be sent again that perhaps arrived. @param {string} path @param {string} [method] */
const repeatable = (path, method) => method !== "POST" || /(passes|predict)$/.test(path);

/** While the server does not answer: resolves when it does. @type {Promise<void>|null} */
let back = null;

async function untilBack() {
  store.away.value = true;
  do await sleep(700);
  while (!(await fetch(new URL("api/status", BASE)).then(({ ok }) => ok, () => false)));
  back = null;
  store.away.value = false;
  store.complain(null);
  void resume();
}

/** After the server was away: what is looked at is computed again, as far as it is still there. */
async function resume() {
  kept.clear();
  const id = store.run.value?.id;
  if (!id) return;
  try {
    await untilReady();
    await refresh();
    watch();
    const { history } = store.run.value;
    const step = store.step.value ?? 0;
    if (step >= history.first && step <= history.last) store.atStep(step);
    else lookAgain();
  } catch (error) {
    await lost(error, id);
  }
}

/** A run that the server no longer has gives way to the first one; anything else is said. @param {unknown} error @param {string} id */
async function lost(error, id) {
  const { welcome = "welcome" } = store.status.value;
  const missing = (/** @type {unknown} */ what) => what instanceof Refused && what.status === 404;
  if (!missing(error) || !(await get(`api/runs/${id}`).then(() => false, missing))) return complain(error);
  if (id === welcome) {
    // A server that has just started still makes it.
    await sleep(500);
    return resume();
  }
  await adopt(welcome).catch(complain);
  store.complain({ title: "That run is gone", detail: `The server has no run "${id}" any more; this is the first one.` });
}

/** @param {number} milliseconds @param {AbortSignal} [signal] */
const sleep = (milliseconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, milliseconds);
  signal?.addEventListener("abort", () => {
    clearTimeout(timer);
    reject(signal.reason);
  });
});

/** @param {string} path @param {RequestInit} [options] */
export const get = async (path, options) => (await ask(path, options)).json();
/** @param {string} path @param {any} body @param {RequestInit} [options] */
export const post = async (path, body, options) => (await ask(path, { ...options, method: "POST", body })).json();

/** The address of something the server has, for an <img> or a link. @param {string} path */
export const address = (path) => new URL(path, BASE).href;

// Questions.

/** @type {Map<string, Promise<any>>} */
const kept = new Map();
const KEPT = 400;

/** A question whose answer never changes is asked once. @param {string} path @returns {Promise<any>} */
function once(path) {
  let answer = kept.get(path);
  if (!answer) {
    answer = get(path);
    answer.catch(() => kept.delete(path));
    kept.set(path, answer);
    if (kept.size > KEPT) kept.delete(/** @type {string} */ (kept.keys().next().value));
  }
  return answer;
}

export const models = () => once("api/models");
export const datasets = () => once("api/datasets");

/** @param {string} dataset @param {string} split @param {{label?: number, offset?: number, limit?: number}} [query] */
export const digits = (dataset, split, query = {}) => once(`api/datasets/${dataset}/${split}${search(query)}`);

/** @param {string} dataset @param {string} split @param {number} index */
export const image = (dataset, split, index) => once(`api/datasets/${dataset}/${split}/${index}`);

/** @param {string} id @param {any} body */
export const predict = (id, body) => post(`api/runs/${id}/predict`, body);

/** @param {string} id @param {number} since @param {number} [points] */
export const metrics = (id, since = 0, points) => get(`api/runs/${id}/metrics${search({ since, points })}`);

/** @param {Record<string, any>} query */
function search(query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  return given.length ? `?${new URLSearchParams(given.map(([key, value]) => [key, String(value)]))}` : "";
}

/** Where the numbers that are looked at lie on the server, null before a pass is there. */
function room() {
  const run = store.run.value;
  const source = store.source.value;
  if (!run || !source) return null;
  if (source.kind === "step") return `api/runs/${run.id}/steps/${source.step}`;
  return source.pass ? `api/runs/${run.id}/passes/${source.pass}` : null;
}

/** Resolves as soon as there is a pass to ask about. @returns {Promise<string>} */
const whenThere = () => new Promise((resolve) => {
  const stop = effect(() => {
    const path = room();
    if (path) queueMicrotask(() => { stop(); resolve(path); });
  });
});

/**
 * The explanation of a place in what is looked at. Fetched once, kept.
 * @param {string} place
 * @param {{page?: number, per_page?: number, order?: "index"|"largest", group?: number, outside?: "listed"|"hidden"}} [options]
 * @returns {Promise<any>}
 */
export async function explanationOf(place, options = {}) {
  const path = room() ?? await whenThere();
  const name = store.trueName(place);
  const cell = store.elsewhere(place) ? name : name.replace(/@\d+$/, "");
  const source = store.source.value;
  const sample = source?.kind === "step" ? source.sample : 0;
  try {
    const told = await once(`${path}/explain/${cell}${search(options)}`);
    return sample ? turned(told, sample) : told;
  } catch (error) {
    if (source?.kind !== "pass" || !(error instanceof Refused) || error.status !== 404) throw error;
    if (room() === path) {
      if (await get(path).then(() => true, () => false)) throw error;
      if (room() === path) await resume();
    }
    return explanationOf(place, options);
  }
}

/** Reads of a minibatch as this page counts: the image that is looked at is number 0. @param {any} data @param {number} sample */
function turned(data, sample) {
  const score = store.score.value;
  if (!score) return data;
  return { ...data, reads: data.reads.map((/** @type {any} */ read) => (read.index.length && batched(score, read.tensor.replace(/@\d+$/, ""))
    ? { ...read, index: store.swapped(read.index, sample) } : read)) };
}

// Commands.

/** @param {any} body @returns {Promise<any>} the new run, which is then the one looked at */
export async function createRun(body) {
  const made = await post("api/runs", body);
  await adopt(made.id);
  return made;
}

/** @param {string} id @param {any} change */
export async function patchRun(id, change) {
  const run = await (await ask(`api/runs/${id}`, { method: "PATCH", body: change })).json();
  if (store.run.value?.id === id) await refresh();
  return run;
}

/** Exactly `count` steps of a paused run. @param {string} id @param {number} [count] */
export async function stepRun(id, count = 1) {
  const before = store.run.value?.step ?? 0;
  await ask(`api/runs/${id}/step`, { method: "POST", body: { count } });
  for (let tries = 0; tries < 100; tries++) {
    await refresh();
    if (store.run.value?.id !== id || store.run.value.step >= before + count) break;
    await sleep(60);
  }
  lookAgain();
}

/** @param {string} id */
export const deleteRun = (id) => ask(`api/runs/${id}`, { method: "DELETE" });

/**
 * The image to look at in a run: the same one where the network takes it, else the first of the run's own data.
 * @param {Source|null} source @param {any} run @param {any} score @returns {Source}
 */
function fitting(source, run, score) {
  const digit = score.tensors["input/y"]?.shape.join() === "1,1,28,28";
  const { dataset } = run;
  const own = typeof dataset === "string" ? dataset : "own";
  if (source?.kind === "step") return source;
  if (source && (source.drawn ? digit : source.dataset === own || (digit && source.dataset === "mnist"))) return { ...source, pass: undefined };
  return digit ? { kind: "pass", dataset: "mnist", split: "test", index: 464 } : { kind: "pass", dataset: own, split: "train", index: 0 };
}

/** Look at another run: its score, its newest step, the same image. @param {string} id @param {number|null} [step] */
export async function adopt(id, step = null) {
  const [run, score] = await Promise.all([get(`api/runs/${id}`), once(`api/runs/${id}/score`)]);
  batch(() => {
    const other = store.run.value !== null && store.run.value.id !== id;
    const what = fitting(other && step === null && store.source.value?.kind === "step" ? null : store.source.value, run, score);
    store.run.value = run;
    if (store.score.value && store.score.value !== score) {
      store.tensors.value = new Map();
      store.position.value = null;
      store.pages.value = {};
      store.focusChannel.value = 0;
      store.closeCard();
    }
    store.score.value = score;
    store.step.value = step ?? run.step;
    store.source.value = what;
    store.wanted.value = { run: id, source: what, step };
  });
  return run;
}

/** The run's own facts, read again. */
export async function refresh() {
  const id = store.run.value?.id;
  if (!id) return;
  const run = await get(`api/runs/${id}`);
  if (store.run.value?.id === id) store.run.value = run;
}

/** The same image through the newest parameters. */
function lookAgain() {
  const run = store.run.value;
  const source = store.source.value;
  if (!run || !source) return;
  const what = source.kind === "step" ? source : { ...source, pass: undefined };
  batch(() => {
    store.step.value = what.kind === "step" ? what.step : run.step;
    store.wanted.value = { run: run.id, source: what, step: what.kind === "step" ? what.step : run.step };
  });
}

// What is wanted is fetched: a pass of one image, or a step's minibatch.

/** @type {AbortController|null} */
let fetching = null;

async function fetchWanted(/** @type {NonNullable<typeof store.wanted.value>} */ wanted) {
  fetching?.abort();
  const controller = fetching = new AbortController();
  const { signal } = controller;
  store.loading.value = true;
  try {
    const { run, source } = wanted;
    const step = wanted.step ?? undefined;
    let made = source;
    let path;
    let facts = { label: /** @type {number|null} */ (null), step: step ?? null };
    if (source.kind === "step") {
      path = `api/runs/${run}/steps/${source.step}/frame${search({ sample: source.sample })}`;
      facts.step = source.step;
    } else {
      const pass = await post(`api/runs/${run}/passes`, { ...named(source), step }, { signal });
      made = { ...source, pass: pass.id };
      facts = { label: pass.label ?? null, step: pass.step };
      path = `api/runs/${run}/passes/${pass.id}/frame`;
    }
    const { header, blocks } = decode(await (await ask(path, { signal })).arrayBuffer());
    if (signal.aborted || store.live.value) return;
    batch(() => {
      take(header, blocks, true);
      store.source.value = made;
      store.step.value = facts.step ?? header.step;
      store.label.value = facts.label ?? header.label ?? null;
    });
  } catch (error) {
    if (!signal.aborted) await lost(error, wanted.run);
  } finally {
    if (fetching === controller) store.loading.value = false;
  }
}

/** An image as the server is told of it. @param {Extract<Source, {kind: "pass"}>} source */
const named = ({ drawn, x, target, dataset, split, index }) => (drawn ? { x, target } : { dataset, split, index });

/** Put a frame's tensors into the store. @param {any} header @param {Sent[]} blocks @param {boolean} whole */
function take(header, blocks, whole) {
  const info = store.score.value?.tensors ?? {};
  const tensors = whole ? new Map() : new Map(store.tensors.value);
  for (const { layer, tensor, shape, data } of blocks) {
    const prefix = `${layer}/${tensor}`;
    tensors.set(prefix, { shape, data, kind: info[prefix]?.kind ?? "value" });
  }
  store.tensors.value = tensors;
  store.frame.value = header;
}

/** @param {unknown} error */
export function complain(error) {
  if (store.away.value) return;
  const title = error instanceof Refused ? error.title : "The server cannot be reached";
  store.complain({ title, detail: error instanceof Error ? error.message : String(error) });
}

// The stream of a run that is training.

/** @type {WebSocket|null} */
let socket = null;
let streamed = "";

/** @param {string} id */
function openStream(id) {
  closeStream();
  streamed = id;
  const url = new URL(`api/runs/${id}/stream`, BASE);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const opened = socket = new WebSocket(url);
  opened.binaryType = "arraybuffer";
  opened.onopen = subscribe;
  opened.onmessage = ({ data }) => {
    if (opened !== socket || typeof data === "string") return;
    const { header, blocks } = decode(data);
    batch(() => {
      store.streaming.value = true;
      const run = store.run.value;
      if (run?.id === id) {
        const { step, loss, accuracy, epoch, images_seen, images_per_second } = header;
        const facts = { step, loss, accuracy, epoch, images_seen, images_per_second, state: header.state ?? run.state };
        store.run.value = { ...run, ...Object.fromEntries(Object.entries(facts).filter(([, fact]) => fact !== undefined)) };
        store.step.value = step;
      }
      if (header.label !== undefined) store.label.value = header.label;
      take(header, blocks, false);
    });
    requestAnimationFrame(() => {
      if (opened.readyState === WebSocket.OPEN) opened.send(JSON.stringify({ seen: header.step }));
    });
  };
  opened.onclose = () => {
    if (opened !== socket) return;
    socket = null;
    store.streaming.value = false;
    if (store.run.value?.state === "running") setTimeout(() => store.run.value?.id === id && !store.away.value && watch(), 1000);
  };
}

function closeStream() {
  const old = socket;
  socket = null;
  streamed = "";
  old?.close();
  store.streaming.value = false;
}

/** Ask for what is shown, for the image that is looked at. */
function subscribe() {
  const training = store.view.value === "train";
  const score = store.score.value;
  const source = store.source.value;
  if (!score || socket?.readyState !== WebSocket.OPEN) return;
  socket.send(JSON.stringify({
    subscribe: training ? tensorsIn(excerptOf(score)) : living(score, store.position.value && store.phase.value),
    sample: source?.kind === "step" ? source.sample : 0,
    ...(source?.kind === "pass" ? { image: named(source) } : {}),
  }));
}

let asking = 0;

/** The stream follows the run: open while it trains, closed when it stands. */
function watch() {
  const run = store.run.value;
  clearInterval(asking);
  if (run?.state === "running") {
    asking = setInterval(() => document.hidden || store.away.value || refresh().catch(() => {}), 1000);
    if (!socket || streamed !== run.id) openStream(run.id);
  } else if (socket) {
    closeStream();
  }
}

/** The image alone, while nothing can be computed yet. */
async function showImage() {
  const source = store.source.value;
  if (source?.kind !== "pass" || source.drawn || store.tensors.value.size) return;
  const { label, image: rows } = await image(source.dataset ?? "", source.split ?? "", source.index ?? 0);
  if (store.tensors.value.size) return;
  const planes = rows[0]?.[0]?.length ? rows : [rows];
  const shape = [1, planes.length, planes[0].length, planes[0][0].length];
  store.label.value = label;
  store.tensors.value = new Map([["input/y", { shape, kind: "value", data: Float32Array.from(planes.flat(2)) }]]);
}

// Start.

/** Wait until the kernels are compiled, counting honestly. */
async function untilReady() {
  for (;;) {
    store.status.value = await get("api/status");
    if (store.status.value.ready) return;
    await sleep(400);
  }
}

/** Follow the address to another run, image or step. @param {{run: string|null, step: number|null, source: Source}} to */
export async function visit({ run, step, source }) {
  const id = run ?? store.status.value.welcome ?? "welcome";
  const known = store.source.value;
  const same = (/** @type {any} */ a, /** @type {any} */ b) => JSON.stringify({ ...a, pass: undefined }) === JSON.stringify({ ...b, pass: undefined });
  if (id !== store.run.value?.id) {
    store.source.value = source;
    await adopt(id, step).catch(complain);
  } else if (!same(known, source)) {
    store.look(source);
  } else if (step !== null && step !== store.step.value) {
    store.atStep(step);
  }
}

/**
 * Connect: status, run, score, the first pass; then follow the store.
 * @param {{run: string|null, step: number|null, source: Source}} first
 */
export async function connect(first) {
  effect(() => {
    const wanted = store.wanted.value;
    if (wanted) void fetchWanted(wanted);
  });
  let before = "";
  effect(() => {
    const run = store.run.value;
    const state = run ? `${run.id} ${run.state}` : "";
    if (state === before) return;
    const stopped = before.endsWith(" running") && before.startsWith(`${run?.id} `);
    before = state;
    watch();
    if (!stopped) return;
    store.halted.value = null;
    void refresh().then(() => {
      lookAgain();
      if (store.score.value && !store.position.value && !store.playing.value) store.goTo(end(store.score.value));
    });
  });
  effect(() => {
    const id = store.halted.value;
    if (id) patchRun(id, { state: "paused" }).catch(complain);
  });
  const shown = computed(() => `${store.view.value} ${store.position.value && store.phase.value?.part === "update" ? store.phase.value.layer : ""}`);
  effect(() => {
    for (const part of [store.source, store.score, shown]) void part.value;
    untracked(subscribe);
  });
  store.source.value = first.source;
  try {
    store.status.value = await get("api/status");
    const welcome = store.status.value.welcome ?? "welcome";
    const ready = store.status.value.ready ? null : untilReady();
    if (ready) showImage().catch(() => {});
    try {
      await adopt(first.run ?? welcome, first.step);
    } catch (error) {
      if (!first.run) throw error;
      await lost(error, first.run);
    }
    if (ready) {
      await ready;
      await refresh();
      lookAgain();
    }
  } catch (error) {
    complain(error);
  }
}
