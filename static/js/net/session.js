/** What is looked at: a run, its timeline, a pass or a step, and what is asked about them. Facts go into the store. */

import { batch, computed, effect, untracked } from "@preact/signals-core";

import { decode } from "../core/codec.js";
import { batched, end } from "../core/timeline.js";
import { shapeOf } from "../state/permalink.js";
import * as store from "../state/store.js";
import {
  Refused,
  ask,
  classesOf,
  showError,
  datasets,
  forget,
  get,
  image,
  once,
  post,
  search,
  sleep,
} from "./requests.js";
import { benchOf } from "./bench.js";
import { follow, named, subscribe, take } from "./stream.js";
import { keepToken, mayChange } from "./tokens.js";

// Questions.

/** Where the numbers that are looked at lie on the server, null before a pass is there. */
function room() {
  const run = store.run.value;
  const source = store.source.value;
  if (!run || !source || source.kind === "bench") return null;
  if (source.kind === "step") return `api/runs/${encodeURIComponent(run.id)}/steps/${source.step}`;
  return source.pass ? `api/runs/${encodeURIComponent(run.id)}/passes/${source.pass}` : null;
}

/** Where the pass that is looked at is, once there is one. */
export const passPath = async () => room() ?? whenThere();

/** Resolves as soon as there is a pass to ask about. @returns {Promise<string>} */
const whenThere = () =>
  new Promise(resolve => {
    const stop = effect(() => {
      const path = room();
      if (path)
        queueMicrotask(() => {
          stop();
          resolve(path);
        });
    });
  });

/**
 * The explanation of a place in what is looked at. Fetched once, kept.
 * @param {string} place
 * @param {{page?: number, per_page?: number, order?: "index"|"largest", group?: number,
 *   outside?: "listed"|"hidden"}} [options]
 * @returns {Promise<any>}
 */
export async function explanationOf(place, options = {}) {
  const looked = store.source.value;
  if (looked?.kind === "bench") return looked.explain(place.replace(/@\d+$/, ""), options);
  const path = await passPath();
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
      if (
        await get(path).then(
          () => true,
          () => false,
        )
      )
        throw error;
      if (room() === path) await resume();
    }
    return explanationOf(place, options);
  }
}

/**
 * Reads of a minibatch as this page counts: the image that is looked at is number 0.
 * @param {any} data
 * @param {number} sample
 */
function turned(data, sample) {
  const timeline = store.timeline.value;
  if (!timeline) return data;
  return {
    ...data,
    reads: data.reads.map((/** @type {any} */ read) =>
      read.index.length && batched(timeline, read.tensor.replace(/@\d+$/, ""))
        ? { ...read, index: store.swapped(read.index, sample) }
        : read,
    ),
  };
}

/** Where a number of what is looked at is asked about. @param {string} place */
async function cellAt(place) {
  const path = await passPath();
  return { path, cell: store.trueName(place).replace(/@\d+$/, "") };
}

/**
 * What a number can change or depends on, by tensor; with the mask of one of them.
 * @param {string} place @param {"forward"|"backward"} direction @param {string} [mask]
 * @returns {Promise<{tensors: Record<string, {reachable: number, active: number, of: number, box: number[][]}>,
 *   mask?: any}>}
 */
export async function reachOf(place, direction, mask) {
  const { path, cell } = await cellAt(place);
  return once(`${path}/reach/${cell}${search({ direction, mask })}`);
}

/**
 * On which numbers of a tensor the loss does not depend in the pass that is looked at, and why.
 * @param {string} tensor
 * @returns {Promise<{mask: any, reasons: Record<string, number>}>}
 */
export async function inertOf(tensor) {
  const { path } = await cellAt(tensor);
  return once(`${path}/inert${search({ tensor })}`);
}

/**
 * What the loss does when a number of the pass that nobody changed is moved.
 * @param {string} place @param {number[]} eps
 */
export async function nudgeOf(place, eps) {
  const { path, cell } = await cellAt(place);
  const untouched = store.base.value
    ? `api/runs/${encodeURIComponent(store.run.value.id)}/passes/${store.base.value.pass}`
    : path;
  return post(`${untouched}/nudge`, { place: cell, eps });
}

/** Points of a curve: where an image is looked at each is a pass of its own. */
const POINTS = 120;

/**
 * A number over the training: of an image in its pass through the parameters of each step, else as the steps had it.
 * @param {string} place @returns {Promise<{steps: number[], values: (number|null)[], first: number, last: number}>}
 */
export async function historyOf(place) {
  const { cell } = await cellAt(place);
  const source = store.source.value;
  const pass = source?.kind === "pass" ? (store.base.value?.pass ?? source.pass) : undefined;
  return get(
    `api/runs/${encodeURIComponent(store.run.value.id)}/history/${cell}${search({ points: POINTS, pass_of: pass })}`,
  );
}

/**
 * The tensors of the pass without the numbers that are set by hand.
 * @returns {Promise<Map<string, {data: ArrayLike<number>, shape: number[]}>|null>}
 */
export async function untouched() {
  const base = store.base.value;
  if (!base) return null;
  const path = `api/runs/${encodeURIComponent(store.run.value.id)}/passes/${base.pass}/frame`;
  const { blocks } = await frameAt(path);
  return new Map(blocks.map(({ layer, tensor, shape, data }) => [`${layer}/${tensor}`, { shape, data }]));
}

/** The frame that was asked for last. @type {{path: string, frame: Promise<ReturnType<typeof decode>>}|null} */
let latest = null;

/** @param {string} path */
function frameAt(path) {
  if (latest?.path !== path)
    latest = { path, frame: ask(path).then(async answer => decode(await answer.arrayBuffer())) };
  return latest.frame;
}

// Benches.

/** What was looked at before a bench took its place. @type {(() => void)|null} */
let putBack = null;

/** Look at a bench in place of the run's pass. @param {import("./bench.js").Bench} bench */
export async function showBench(bench) {
  const made = await benchOf(bench);
  if (store.source.value === made) return;
  fetching?.abort();
  const { timeline, tensors, source, label } = store;
  const before = [timeline.value, tensors.value, source.value, label.value];
  putBack ??= () => {
    [timeline.value, tensors.value, source.value, label.value] = /** @type {any} */ (before);
  };
  batch(() => {
    leavePosition();
    timeline.value = made.timeline;
    tensors.value = made.tensors;
    source.value = made;
    label.value = null;
  });
}

/** The stage of the lessons: the first run's pass of its usual image, through its newest parameters. */
export async function showStage() {
  leaveBench();
  await visit({ run: null, step: null, source: store.usual.value });
  const run = store.run.value;
  if (run && store.step.value !== run.step) store.atStep(run.step);
}

/** The run's pass again, where a bench is looked at. */
export function leaveBench() {
  if (!putBack) return;
  batch(() => {
    leavePosition();
    putBack?.();
    putBack = null;
  });
}

function leavePosition() {
  store.pause();
  store.goTo(null);
  store.closeCard();
  store.pin(null);
  store.focusOn(0);
  store.pages.value = {};
}

// Commands.

/** @param {any} body @returns {Promise<any>} the new run, which is then the one looked at */
export async function createRun(body) {
  const made = await post("api/runs", body);
  keepToken(made);
  await adopt(made.id);
  return made;
}

/** @param {string} id @param {any} change */
export async function patchRun(id, change) {
  const run = await (await ask(`api/runs/${encodeURIComponent(id)}`, { method: "PATCH", body: change })).json();
  if (store.run.value?.id === id) await refresh();
  return run;
}

/** Stop a run, and open the minibatch of the step that just happened where it has most to show. @param {string} id */
export async function stopAndLook(id) {
  const run = await patchRun(id, { state: "paused" });
  for (let tries = 0; tries < 100 && store.live.value; tries++) await sleep(60);
  const step = store.run.value?.id === id ? store.run.value.step : run.step;
  if (store.run.value?.id !== id || step < 1) return;
  store.look({ kind: "step", step, sample: 0 });
  const stop = effect(() => {
    const there = store.source.value?.kind === "step" && !store.loading.value && store.walkable.value;
    if (!there) return;
    queueMicrotask(() => {
      stop();
      store.showLast();
    });
  });
}

/** Exactly `count` steps of a paused run. @param {string} id @param {number} [count] */
export async function stepRun(id, count = 1) {
  const before = store.run.value?.step ?? 0;
  await ask(`api/runs/${encodeURIComponent(id)}/step`, { method: "POST", body: { count } });
  for (let tries = 0; tries < 100; tries++) {
    await refresh();
    if (store.run.value?.id !== id || store.run.value.step >= before + count) break;
    await sleep(60);
  }
  lookAgain();
}

/** @param {string} id */
export const deleteRun = id => ask(`api/runs/${encodeURIComponent(id)}`, { method: "DELETE" });

/**
 * The first run gives way to none: where the one that is looked at was deleted, it takes its place.
 * @param {string} id
 */
export async function removeRun(id) {
  await deleteRun(id);
  if (store.run.value?.id === id) await adopt(store.status.value.welcome ?? "welcome");
}

/** How a run is trained, as another is asked for. @param {any} run */
export const trainingOf = ({ optimizer, schedule, max_norm, batch_size, shuffle, drop_last, shift, seed }) => ({
  optimizer,
  schedule,
  max_norm,
  batch_size,
  shuffle,
  drop_last,
  shift,
  seed,
});

/**
 * A run of one's own that goes on from where another stands.
 * @param {any} run
 */
export const copyRun = run =>
  createRun({
    from: { run: run.id },
    ...trainingOf(run),
    steps: run.steps,
    name: `copy of ${run.name || run.model || run.title}`.slice(0, 60),
    start: false,
  });

/** On the first visit's digits: a 3 that its network is not yet sure of. */
const FIRST = 464;

/**
 * The image of a run's data that is looked at when none is asked for, and what its classes are called.
 * @param {any} run @param {any} timeline
 */
async function dataOf(run, timeline) {
  const shape = timeline.tensors["input/y"]?.shape.slice(1).join();
  const found = (await datasets().catch(() => [])).find((/** @type {any} */ { name }) => name === run.dataset);
  const fits = found && !found.problem && found.shape?.join() === shape;
  const dataset = typeof run.dataset === "string" ? run.dataset : "own";
  const split = fits && found.splits.test ? "test" : "train";
  const first = fits && dataset === "mnist" && found.splits.test > FIRST ? FIRST : 0;
  return {
    usual: { kind: /** @type {const} */ ("pass"), dataset, split, index: first },
    classes: found ? classesOf(found) : null,
  };
}

/**
 * The image to look at in a run: the same one where the network takes it, else the usual one of the run's own data.
 * @param {Source|null} source
 * @param {any} timeline
 * @param {NonNullable<typeof store.usual.value>} usual
 * @returns {Source}
 */
function fitting(source, timeline, usual) {
  if (source?.kind === "step") return source;
  const takes = timeline.tensors["input/y"]?.shape.slice(1).join();
  const drawn = source?.kind === "pass" && source.drawn && source.x ? shapeOf(source.x).join() : null;
  if (source?.kind === "pass" && (source.drawn ? drawn === takes : source.dataset === usual.dataset))
    return { ...source, pass: undefined, edits: undefined };
  return usual;
}

/**
 * What happens in a run's pass: that of a training step may differ from one of which nothing is learned.
 * @param {string} id
 * @param {Source|null} source
 */
const scoreOf = (id, source) =>
  once(`api/runs/${encodeURIComponent(id)}/score${source?.kind === "step" ? "?training=true" : ""}`);

/**
 * Look at another run: its timeline, its newest step, the same image.
 * @param {string} id
 * @param {number|null} [step]
 */
export async function adopt(id, step = null) {
  leaveBench();
  const stays = store.run.value === null || store.run.value.id === id;
  const [run, timeline] = await Promise.all([
    get(`api/runs/${encodeURIComponent(id)}`),
    scoreOf(id, stays ? store.source.value : null),
  ]);
  const { usual, classes } = await dataOf(run, timeline);
  batch(() => {
    const other = store.run.value !== null && store.run.value.id !== id;
    const known = store.source.value;
    const what = fitting(other && step === null && known?.kind === "step" ? null : known, timeline, usual);
    store.usual.value = usual;
    store.classes.value = classes;
    store.noMnist.value = false;
    store.run.value = run;
    if (store.timeline.value && store.timeline.value !== timeline) {
      store.tensors.value = new Map();
      store.position.value = null;
      store.pages.value = {};
      store.focusChannel.value = 0;
      store.closeCard();
    }
    store.timeline.value = timeline;
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
  const run = await get(`api/runs/${encodeURIComponent(id)}`);
  if (store.run.value?.id === id) store.run.value = run;
}

/** While a run trains its facts are read now and then; one that was deleted meanwhile gives way. @param {string} id */
const check = id =>
  refresh().catch(error => (error instanceof Refused && error.status === 404 ? lost(error, id) : undefined));

/** The same image through the newest parameters. */
function lookAgain() {
  leaveBench();
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
  if (wanted.source.kind === "bench") return;
  fetching?.abort();
  const controller = (fetching = new AbortController());
  const { signal } = controller;
  store.loading.value = true;
  try {
    const { run } = wanted;
    const source = /** @type {Exclude<Source, {kind: "bench"}>} */ (wanted.source);
    const step = wanted.step ?? undefined;
    /** @type {Source} */
    let made = source;
    let base = null;
    let path;
    let facts = {
      label: /** @type {number|null} */ (null),
      step: step ?? null,
      after: /** @type {number|null} */ (null),
    };
    if (source.kind === "step") {
      path = `api/runs/${encodeURIComponent(run)}/steps/${source.step}/frame${search({ sample: source.sample })}`;
      facts.step = source.step;
    } else {
      const { edits } = source;
      const asked = { ...named(source), step, ...(edits ? { edits } : {}) };
      const pass = await post(`api/runs/${encodeURIComponent(run)}/passes`, asked, { signal });
      made = { ...source, pass: pass.id };
      base = pass.base ? { pass: pass.base, loss: pass.base_loss } : null;
      facts = { label: pass.label ?? null, step: pass.step, after: pass.loss_after ?? null };
      path = `api/runs/${encodeURIComponent(run)}/passes/${pass.id}/frame`;
    }
    const [frame, timeline] = await Promise.all([ask(path, { signal }), scoreOf(run, made)]);
    const { header, blocks } = decode(await frame.arrayBuffer());
    if (signal.aborted || store.live.value) return;
    batch(() => {
      store.changeTimeline(timeline);
      take(header, blocks, true);
      store.source.value = made;
      store.base.value = base;
      store.step.value = facts.step ?? header.step;
      store.lossAfter.value = facts.after;
      store.label.value = facts.label ?? header.label ?? null;
    });
  } catch (error) {
    if (!signal.aborted) {
      await lost(error, wanted.run);
      // What cannot be set by hand must not keep the pass from being seen.
      if (wanted.source.kind === "pass" && wanted.source.edits && error instanceof Refused && error.status === 422)
        store.setNumbers([]);
    }
  } finally {
    if (fetching === controller) store.loading.value = false;
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

// The server comes back.

/** After the server was away: what is looked at is computed again, as far as it is still there. */
async function resume() {
  forget();
  const id = store.run.value?.id;
  if (!id) return;
  try {
    await untilReady();
    await refresh();
    follow();
    const { history } = store.run.value;
    const step = store.step.value ?? 0;
    if (step >= history.first && step <= history.last) store.atStep(step);
    else lookAgain();
  } catch (error) {
    await lost(error, id);
  }
}

/**
 * A run that the server no longer has gives way to the first one; anything else is said.
 * @param {unknown} error
 * @param {string} id
 */
async function lost(error, id) {
  const { welcome = "welcome" } = store.status.value;
  const missing = (/** @type {unknown} */ what) => (what instanceof Refused && what.status === 404 ? what : null);
  const gone = missing(error) && (await get(`api/runs/${encodeURIComponent(id)}`).then(() => null, missing));
  if (!gone) return showError(error);
  if (!store.status.value.welcome && store.status.value.ready) {
    store.noMnist.value = store.run.value === null;
    return showError(error);
  }
  if (id === welcome) {
    // A server that has just started still makes it.
    await sleep(500);
    return resume();
  }
  await adopt(welcome).catch(showError);
  store.showError({ title: "That run is gone", detail: `${gone.message}; this is the first one.` });
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

/** Whether there is a first run to look at, as soon as that is known; a server without its data makes none. */
async function untilWelcome() {
  while (!store.status.value.welcome) {
    if (store.status.value.ready) {
      store.noMnist.value = true;
      return false;
    }
    await sleep(300);
    store.status.value = await get("api/status");
  }
  return true;
}

/**
 * Follow the address to another run, image or step.
 * @param {{run: string|null, step: number|null, source: Source|null}} to
 */
export async function visit({ run, step, source }) {
  leaveBench();
  const id = run ?? store.status.value.welcome ?? "welcome";
  const known = store.source.value;
  const what = source ?? store.usual.value;
  const same = (/** @type {any} */ a, /** @type {any} */ b) =>
    JSON.stringify({ ...a, pass: undefined }) === JSON.stringify({ ...b, pass: undefined });
  if (id !== store.run.value?.id) {
    store.source.value = source;
    await adopt(id, step).catch(showError);
  } else if (what && !same(known, what)) {
    store.look(what);
  } else if (step !== null && step !== store.step.value) {
    store.atStep(step);
  }
}

/**
 * Connect: status, run, timeline; then follow the store. The first pass comes when the kernels are compiled.
 * @param {{run: string|null, step: number|null, source: Source|null}} first
 */
export async function connect(first) {
  effect(() => {
    const wanted = store.wanted.value;
    if (wanted) void fetchWanted(wanted);
  });
  // Before anything else is drawn: a view that is drawn with a bench would ask the run about it.
  effect(() => {
    if (store.lesson.value === null) untracked(leaveBench);
  });
  let gone = false;
  effect(() => {
    const back = gone && !store.offline.value;
    gone = store.offline.value;
    if (back) untracked(resume);
  });
  let before = "";
  let asking = 0;
  effect(() => {
    const run = store.run.value;
    const state = run ? `${run.id} ${run.state}` : "";
    if (state === before) return;
    const stopped = before.endsWith(" running") && before.startsWith(`${run?.id} `);
    before = state;
    follow();
    clearInterval(asking);
    if (run?.state === "running")
      asking = setInterval(() => document.hidden || store.offline.value || void check(run.id), 1000);
    if (!stopped) return;
    store.halted.value = null;
    void refresh().then(() => {
      lookAgain();
      if (store.timeline.value && !store.position.value && !store.playing.value) store.goTo(end(store.timeline.value));
    });
  });
  const notice = computed(() => store.run.value?.notice ?? "");
  effect(() => {
    if (notice.value) store.showError({ title: "Not saved", detail: notice.value });
  });
  effect(() => {
    const id = store.halted.value;
    const run = untracked(() => store.run.value);
    if (id && run?.id === id && !mayChange(run)) {
      store.pause();
      store.halted.value = null;
      return store.showError({
        title: "This run is somebody else's",
        detail: "It can be watched. Make your own copy, and stop that.",
        retry: { words: "Make my own copy", act: () => void copyRun(run).catch(showError) },
      });
    }
    if (id) patchRun(id, { state: "paused" }).catch(showError);
  });
  const shown = computed(
    () =>
      `${store.view.value} ${
        store.position.value && store.phase.value?.part === "update" ? store.phase.value.layer : ""
      }`,
  );
  effect(() => {
    for (const part of [store.source, store.timeline, shown]) void part.value;
    untracked(subscribe);
  });
  store.source.value = first.source;
  try {
    store.status.value = await get("api/status");
    const ready = store.status.value.ready ? null : untilReady();
    if (!first.run && !(await untilWelcome())) return;
    const welcome = store.status.value.welcome ?? "welcome";
    try {
      await adopt(first.run ?? welcome, first.step);
      if (ready) showImage().catch(() => {});
    } catch (error) {
      if (!first.run) throw error;
      await lost(error, first.run);
    }
    void ready?.then(refresh).then(lookAgain).catch(showError);
  } catch (error) {
    showError(error);
  }
}
