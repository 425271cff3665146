/** What the Train view asks of the server at its own pace, and the commands it gives. */

import { batch, computed, signal } from "@preact/signals-core";

import { count, number } from "../../core/format.js";
import { extend, noMetrics } from "../../core/metrics.js";
import * as net from "../../net/requests.js";
import * as session from "../../net/session.js";
import { mayChange } from "../../net/tokens.js";
import * as store from "../../state/store.js";

// Curves.

/** The run's metrics so far; the object is new whenever there is something new. */
export const metrics = signal({ run: "", seen: "", ...noMetrics() });

async function readMetrics() {
  const run = store.run.peek();
  if (!run) return;
  const known = metrics.peek();
  const last = known.step.at(-1) ?? 0;
  const same = known.run === run.id && last <= run.step;
  const seen = `${run.step} ${run.state} ${run.test_accuracy}`;
  if (same && known.seen === seen) return;
  const since = same ? Math.max(known.probe.step.at(-1) ?? 0, last - LATE) : 0;
  const news = await net.metrics(run.id, since, same ? undefined : POINTS);
  metrics.value = { ...extend(same ? known : noMetrics(), news), run: run.id, seen };
}
const POINTS = 2000;
/** A test on the side is told some steps after its own: so many are asked for again. */
const LATE = 300;

// Answers: two digits of each class, the first of the test set and a later one.

const LATER = 33;
/** @type {Signal<{dataset: string, total: number, digits: Digit[]}|null>} */
export const digits = signal(null);
/** @type {Signal<{run: string, step: number, probabilities: number[][]}|null>} */
export const answers = signal(null);

/** @param {string} dataset */
async function chooseDigits(dataset) {
  const found = (await net.datasets()).find((/** @type {any} */ { name }) => name === dataset);
  const pairs = await Promise.all(
    Array.from({ length: 2 * Math.min(10, found ? net.classesOf(found).length : 0) }, async (_, k) => {
      const query = { label: k >> 1, offset: k % 2 ? LATER : 0, limit: 1 };
      const { indices } = await net.digits(dataset, "test", query);
      return { index: indices[0], label: query.label };
    }),
  );
  digits.value = { dataset, total: found?.splits.test ?? 0, digits: pairs.filter(({ index }) => index !== undefined) };
}

async function readAnswers() {
  const run = store.run.peek();
  if (!run || !store.status.peek().ready) return;
  if (digits.peek()?.dataset !== run.dataset) await chooseDigits(run.dataset);
  const before = answers.peek();
  if (before && before.run === run.id && before.step === run.step) return;
  const indices = digits.peek()?.digits.map(({ index }) => index) ?? [];
  if (!indices.length) return;
  const { step, probabilities } = await net.predict(run.id, {
    dataset: run.dataset,
    split: "test",
    indices,
    layers: false,
  });
  answers.value = { run: run.id, step, probabilities };
}

// The first kernels, to be held beside the present ones.

/** @type {Signal<{run: string, place: string, step: number, shape: number[], data: Float32Array}|null>} */
export const firstWeights = signal(null);

/** @param {string} place */
export async function readFirstWeights(place) {
  const run = store.run.peek();
  const known = firstWeights.peek();
  if (!run?.history || (known && known.run === run.id && known.place === place)) return;
  const step = run.history.first;
  const { shape, values } = await net.tensor(run.id, step, place);
  firstWeights.value = { run: run.id, place, step, shape, data: Float32Array.from(values.flat(Infinity)) };
}

/**
 * Ask again and again, each time after the last answer, until told to stop.
 * @param {() => Promise<void>} work @param {number} pause milliseconds
 */
function repeat(work, pause) {
  let timer = 0;
  let going = true;
  const turn = async () => {
    await work().catch(net.showError);
    if (going) timer = setTimeout(turn, pause);
  };
  void turn();
  return () => {
    going = false;
    clearTimeout(timer);
  };
}

/** Keep curves and answers up to date. @returns {() => void} ends it */
export function follow() {
  if (!optimizers.peek().length)
    net.optimizers().then(found => {
      batch(() => {
        optimizers.value = found.optimizers;
        schedules.value = found.schedules;
      });
    }, net.showError);
  const ends = [repeat(readMetrics, 250), repeat(readAnswers, 450)];
  return () => ends.forEach(end => end());
}

// Settings: what the run has, and what the visitor has changed for the next one.

/**
 * The optimizers on offer, as the server describes them.
 * @type {Signal<{name: string, title: string, settings: any}[]>}
 */
export const optimizers = signal([]);

/** The schedules of the learning rate on offer. @type {Signal<{name: string, title: string, settings: any}[]>} */
export const schedules = signal([]);

/**
 * The settings, by name, of an optimizer or a schedule.
 * @param {{name: string, settings: any}[]} offered @param {string} name @returns {[string, any][]}
 */
export const settingsOf = (offered, name) =>
  Object.entries(offered.find(one => one.name === name)?.settings.properties ?? {});

/** One of them to begin with. @param {{name: string, settings: any}[]} offered @param {string} name @returns {any} */
export const startingWith = (offered, name) => ({
  name,
  ...Object.fromEntries(
    settingsOf(offered, name).map(([key, { default: usual, examples }]) => [key, examples?.[0] ?? usual]),
  ),
});

/** @type {Signal<Partial<Settings>>} */
export const draft = signal({});

/** The welcome run is everybody's: it is looked at, never changed. */
export const isWelcome = computed(
  () => store.run.value !== null && store.run.value.id === (store.status.value.welcome ?? "welcome"),
);

/** A run that only its maker may change: it is watched. */
export const isForeign = computed(() => store.run.value !== null && !isWelcome.value && !mayChange(store.run.value));

/** A run of one's own that goes on from where this one stands. */
export const copy = () =>
  command("copy", async () => {
    await session.copyRun(store.run.peek());
    store.say("This is your own copy.");
  });

/** Epochs a run is asked for; not whole where it was asked for steps. @param {any} run */
function epochsOf({ steps, steps_per_epoch: perEpoch }) {
  const epochs = steps && perEpoch ? steps / perEpoch : 1;
  return isWelcome.value && !Number.isInteger(epochs) ? 1 : epochs;
}

/** Steps a second at which a visitor's first run starts: fast, and yet slow enough to see it learn. */
const WATCHABLE = 100;

/** What is set now: the run's settings under the visitor's changes. */
export const settings = computed(() => {
  const run = store.run.value;
  if (!run) return null;
  const { model, dataset } = run;
  const pace = isWelcome.value ? WATCHABLE : run.pace;
  return /** @type {Settings} */ ({
    model,
    dataset,
    ...session.trainingOf(run),
    epochs: epochsOf(run),
    pace,
    ...draft.value,
  });
});

/** Names of changed settings that only a new run can take. */
export const pending = computed(() => {
  const run = store.run.value;
  if (!run) return [];
  const asked = /** @type {Record<string, any>} */ (draft.value);
  const names = {
    schedule: "schedule",
    max_norm: "largest norm",
    shuffle: "order",
    drop_last: "last batch",
    shift: "shift",
    model: "network",
    dataset: "data",
    batch_size: "batch",
    seed: "seed",
    epochs: "number of epochs",
  };
  const has = { ...run, epochs: epochsOf(run) };
  const differs = (/** @type {any} */ wanted, /** @type {any} */ there) =>
    wanted && typeof wanted === "object" && there
      ? Object.entries(wanted).some(([key, value]) => JSON.stringify(value) !== JSON.stringify(there[key]))
      : JSON.stringify(wanted) !== JSON.stringify(there);
  const changed = Object.entries(names)
    .filter(([key]) => key in asked && differs(asked[key], has[key]))
    .map(([, name]) => name);
  const { learning_rate: _, ...optimizer } = asked.optimizer ?? {};
  const other = differs(optimizer, run.optimizer);
  return other ? ["optimizer", ...changed] : changed;
});

/** Whether the run can train no further. */
export const isOver = computed(() => ["finished", "failed"].includes(store.run.value?.state));

let line = Promise.resolve();
let busy = "";
let waiting = 0;

/**
 * One command at a time, in their order. The same again while it is under way is a second click too many, but for
 * steps, which are counted.
 * @param {string} name @param {() => Promise<any>} work
 */
function command(name, work) {
  if (waiting && busy === name && name !== "step") return;
  busy = name;
  waiting += 1;
  line = line
    .then(work)
    .catch(net.showError)
    .finally(() => {
      waiting -= 1;
    });
}

/** Runs that this page made: they make room for the next one. */
const own = new Set();

/** @param {boolean} start */
async function create(start) {
  const old = store.run.peek();
  const { model, dataset, epochs, pace, ...training } = /** @type {Settings} */ (settings.peek());
  const named = model === old.model;
  if (!isWelcome.peek() && old.state === "running" && mayChange(old))
    await session.patchRun(old.id, { state: "paused" });
  const made = await session.createRun({
    ...(model === null ? { network: old.network } : { model }),
    ...(named && "dataset" in draft.peek() ? { dataset } : {}),
    ...(Number.isInteger(epochs) ? { epochs } : named ? { steps: old.steps } : {}),
    ...training,
    start: start && pace === null,
  });
  if (pace !== null) await session.patchRun(made.id, { pace, ...(start ? { state: "running" } : {}) });
  if (own.delete(old.id)) await session.deleteRun(old.id);
  own.add(made.id);
  draft.value = {};
  store.say(start ? "A new run has started from step 0." : "A new run stands at step 0.");
}

/** Train on, or, where the run cannot, start one of the visitor's own. */
export const start = () =>
  command("start", async () => {
    const run = store.run.peek();
    if (isWelcome.peek() || isForeign.peek() || isOver.peek()) return create(true);
    await session.patchRun(run.id, { state: "running" });
    store.say("Training goes on.");
  });

export const pause = () =>
  command("pause", async () => {
    if (isForeign.peek()) return;
    await session.patchRun(store.run.peek().id, { state: "paused" });
    await session.refresh();
    store.say(`Training stands at step ${count(store.run.peek().step)}.`);
  });

/** One minibatch; a running run is paused first. */
export const oneStep = () =>
  command("step", async () => {
    const run = store.run.peek();
    if (isOver.peek()) return store.say(`The run has ${run.state}.`);
    if (isWelcome.peek() || isForeign.peek()) await create(false);
    else if (run.state === "running") await session.patchRun(run.id, { state: "paused" });
    await session.stepRun(store.run.peek().id, 1);
    const { step, loss } = store.run.peek();
    store.say(`Step ${count(step)}, loss ${number(loss)}.`);
  });

/** A network as its preset says, as fast as it goes. @param {string} model */
export const trainAtOnce = model =>
  command("train at once", async () => {
    const old = store.run.peek();
    if (!isWelcome.peek() && old.state === "running" && mayChange(old))
      await session.patchRun(old.id, { state: "paused" });
    const made = await session.createRun({ model, start: true });
    if (own.delete(old.id)) await session.deleteRun(old.id);
    own.add(made.id);
    draft.value = {};
    store.say("A new run has started from step 0.");
  });

export const restart = () => command("restart", () => create(true));

/** @param {Partial<Settings>} change for the next run */
export function plan(change) {
  draft.value = { ...draft.peek(), ...change };
}

/**
 * A change the run takes while it runs; on the welcome run, or beside another optimizer, it waits for the next run.
 * @param {{learning_rate: number}|{pace: number|null}} change
 */
export async function adjust(change) {
  const { optimizer } = /** @type {Settings} */ (settings.peek());
  const planned = "pace" in change ? change : { optimizer: { ...optimizer, ...change } };
  plan(planned);
  if (isWelcome.peek() || isForeign.peek() || ("optimizer" in planned && pending.peek().includes("optimizer"))) return;
  await session.patchRun(store.run.peek().id, change).catch(net.showError);
  const { [Object.keys(planned)[0]]: _, ...others } = /** @type {Record<string, any>} */ (draft.peek());
  draft.value = others;
}

/** Look at one of the answered digits in Explore. @param {number} index */
export function openDigit(index) {
  const dataset = digits.peek()?.dataset;
  batch(() => {
    store.look({ kind: "pass", dataset, split: "test", index });
    store.show("explore");
  });
}

/**
 * Look at a recorded step's own minibatch in Explore.
 * @param {number} step
 * @returns {boolean} whether the step is still kept
 */
export function openStep(step) {
  const history = store.run.peek()?.history;
  if (!history || step < history.first || step > history.last) return false;
  batch(() => {
    store.look({ kind: "step", step, sample: 0 });
    store.show("explore");
  });
  return true;
}
