/** The network that is built: its document with what was before and after, what is chosen, what the server says. */

import { batch, computed, effect, signal } from "@preact/signals-core";

import * as edit from "../core/network_document.js";
import { edits, say, setNumbers } from "./store.js";

/** @type {Signal<NetworkDocument|null>} null until there is one to begin with */
export const network = signal(null);
/** What to call it. */
export const title = signal("");
/** What is chosen: a layer, "input" or "loss". */
export const chosen = signal("input");
/** @type {Signal<NetworkDocument[]>} */
const past = signal([]);
/** @type {Signal<NetworkDocument[]>} */
const future = signal([]);
/** Draws the first weights. */
export const seed = signal(0);
/** Whether the preview takes the weights of the run that is looked at, where they fit. */
export const trained = signal(false);
/**
 * What the lower half is for: the chosen layer, a layer to be added behind another (on the edge to `before`), a branch
 * whose end is being chosen, a kernel that is set by hand.
 * @type {Signal<{kind: "layer"} | {kind: "add", after: string, before?: string} | {kind: "branch", from: string} |
 *   {kind: "hand", layer: string, out: number, channel: number}>}
 */
export const task = signal({ kind: "layer" });
/** Blocks that were folded or unfolded by hand, by name. @type {Signal<Record<string, boolean>>} */
export const folds = signal({});

// What the server says.

/** @type {Signal<OpDescription[]>} */
export const ops = signal([]);
/** @type {Signal<Draft|null>} the newest answer */
export const draft = signal(null);
/** The network that this answer is about. @type {Signal<any>} */
export const drafted = signal(null);
/** The input as a whole is none: what was expected. @type {Signal<string>} */
export const refusal = signal("");
/**
 * The tensors of one image by name, layer/tensor; how many parameters are trained.
 * @type {Signal<{tensors: Map<string, Tensor>, trained: number, of: number}|null>}
 */
export const preview = signal(null);
/** Why there is no preview. */
export const previewProblem = signal("");

/** The same of the numbers that are set by hand. @type {Signal<Edit[][]>} */
const handPast = signal([]);
/** @type {Signal<Edit[][]>} */
const handFuture = signal([]);

const byHand = computed(() => task.value.kind === "hand");
export const canUndo = computed(() => (byHand.value ? handPast : past).value.length > 0);
export const canRedo = computed(() => (byHand.value ? handFuture : future).value.length > 0);

/** The layers by name as the server described them, as far as they are still the same. */
export const described = computed(
  () => new Map((draft.value?.layers ?? []).map(layer => /** @type {[string, DraftLayer]} */ ([layer.name, layer]))),
);

/** The first layer that does not fit, or the loss. */
export const misfit = computed(() => {
  const found = draft.value?.layers.find(layer => layer.misfit);
  if (found?.misfit) return { name: found.name, ...found.misfit };
  return draft.value?.loss ? { name: "loss", ...draft.value.loss } : null;
});

/** @param {string} name of an op */
export const opOf = name => ops.value.find(op => op.name === name);
/** The op that a branch ends in: the first that reads two layers. */
export const joinOp = () => ops.value.find(op => (op.inputs?.least ?? 0) > 1);

/** Names in the order of the row. */
export const order = computed(() => ["input", ...(network.value?.layers ?? []).map(({ name }) => name), "loss"]);

const KEPT = 200;

/** @param {NetworkDocument} to @param {string} [choose] what is chosen then */
export function change(to, choose = chosen.peek()) {
  const from = network.peek();
  batch(() => {
    if (from) past.value = [...past.peek(), from].slice(-KEPT);
    future.value = [];
    network.value = to;
    task.value = { kind: "layer" };
    chosen.value = order.peek().includes(choose) ? choose : (to.layers.at(-1)?.name ?? "input");
  });
}

/** @param {Signal<NetworkDocument[]>} from @param {Signal<NetworkDocument[]>} to */
function turnBack(from, to) {
  const next = from.peek().at(-1);
  const now = network.peek();
  if (!next || !now) return;
  batch(() => {
    from.value = from.peek().slice(0, -1);
    to.value = [...to.peek(), now];
    network.value = next;
    task.value = { kind: "layer" };
    const names = order.peek();
    if (!names.includes(chosen.peek())) {
      const other = next.layers.find(({ name }) => !now.layers.some(layer => layer.name === name));
      chosen.value = other?.name ?? "input";
    }
  });
}

/** @param {Signal<Edit[][]>} from @param {Signal<Edit[][]>} to */
function turnBackByHand(from, to) {
  const next = from.peek().at(-1);
  if (!next) return;
  to.value = [...to.peek(), edits.peek()];
  from.value = from.peek().slice(0, -1);
  setNumbers(next);
}

export function undo() {
  if (byHand.peek()) turnBackByHand(handPast, handFuture);
  else turnBack(past, future);
  say("Undone.");
}

export function redo() {
  if (byHand.peek()) turnBackByHand(handFuture, handPast);
  else turnBack(future, past);
  say("Done again.");
}

/** @param {string} layer @param {number} out @param {number} channel */
export const setByHand = (layer, out, channel) =>
  batch(() => {
    handPast.value = [];
    handFuture.value = [];
    task.value = { kind: "hand", layer, out, channel };
  });

/**
 * The numbers of a kernel set by hand; null puts it back.
 * @param {string} at place of the kernel, as conv1/w/0,0 @param {number[][]|null} rows
 */
export function setKernel(at, rows) {
  handPast.value = [...handPast.peek(), edits.peek()].slice(-KEPT);
  handFuture.value = [];
  const others = edits.peek().filter(({ place }) => !place.startsWith(`${at},`));
  const set = (rows ?? []).flatMap((row, u) => row.map((value, v) => ({ place: `${at},${u},${v}`, value })));
  setNumbers([...others, ...set]);
}

/** Another network, as presets, runs and files have it. @param {any} document @param {string} called */
export function open(document, called) {
  const to = edit.whole(document);
  batch(() => {
    change(to, to.layers[0]?.name);
    title.value = called;
    folds.value = {};
  });
}

/** @param {string} name */
export function choose(name) {
  batch(() => {
    chosen.value = name;
    if (task.peek().kind !== "branch") task.value = { kind: "layer" };
  });
}

/** The neighbour in the row, folded layers passed over. @param {1|-1} by @param {string[]} names */
export function chooseNext(by, names) {
  const at = names.indexOf(chosen.peek());
  choose(names[Math.min(names.length - 1, Math.max(0, at + by))]);
}

const now = () => /** @type {NetworkDocument} */ (network.peek());

/**
 * Ask what is to be added behind a layer.
 * @param {string} after @param {string} [before] on the edge that leads there
 */
export const askToAdd = (after, before) =>
  batch(() => {
    const last = now().layers.at(-1)?.name ?? "input";
    task.value = { kind: "add", after: after === "loss" ? last : after, ...(before ? { before } : {}) };
  });

/** @param {OpDescription} op */
export function add(op) {
  const asked = task.peek();
  if (asked.kind !== "add") return;
  const settings = edit.startingSettings(op.layer_settings);
  const { after, before } = asked;
  const shapeOf = (/** @type {string} */ name) =>
    (name === "input" ? now().input : described.peek().get(name)?.figures?.shape)?.join();
  const own = edit.layerOf(now(), after)?.inputs ?? [];
  const others = order
    .peek()
    .filter(name => name !== after && shapeOf(name) === shapeOf(after))
    .toReversed()
    .sort((a, b) => Number(own.includes(a)) - Number(own.includes(b)));
  const reads = op.inputs?.least ?? 1;
  const made = edit.insert(now(), { op: op.name, settings, after, before, reads, others });
  change(made.network, made.name);
  say(`${made.name} is added behind ${after}.`);
}

/** @param {string} name */
export function remove(name) {
  const before = now();
  if (!edit.layerOf(before, name)) return;
  const at = edit.indexOf(before, name);
  const after = edit.remove(before, name);
  const gone = before.layers.length - after.layers.length - 1;
  change(after, after.layers[Math.min(at, after.layers.length - 1)]?.name ?? "input");
  say(`${name} is removed${gone ? `, and ${gone} ${gone === 1 ? "layer" : "layers"} of its branch` : ""}.`);
}

/** @param {string} name @param {1|-1} by */
export function move(name, by) {
  const to = edit.move(now(), name, by);
  if (!to) return say(`${name} cannot move further that way.`);
  change(to, name);
  say(`${name} is layer ${edit.indexOf(to, name) + 1} of ${to.layers.length}.`);
}

/** @param {string} name @param {string} after @returns {boolean} whether it can be put there */
export function moveAfter(name, after) {
  const to = edit.moveAfter(now(), name, after);
  if (!to) return false;
  change(to, name);
  say(`${name} stands behind ${after}.`);
  return true;
}

/** Begin a branch at a layer: its end is chosen next. @param {string} from */
export function startBranch(from) {
  const at = order.peek().indexOf(from);
  const next = order.peek()[at + 1];
  if (from === "loss" || !next || next === "loss") return say("A branch ends further right: there is no layer there.");
  batch(() => {
    task.value = { kind: "branch", from };
    chosen.value = next;
  });
  say(`A branch from ${from}. Choose the layer behind which it joins, then press Enter.`);
}

/** The branch joins behind the chosen layer. @param {string} to */
export function endBranch(to) {
  const asked = task.peek();
  const join = joinOp();
  if (asked.kind !== "branch" || !join) return;
  const settings = edit.startingSettings(join.layer_settings);
  const made = to === "loss" || to === "input" ? null : edit.branch(now(), asked.from, to, { op: join.name, settings });
  if (!made) return say(`A branch from ${asked.from} joins further right.`);
  change(made.network, made.name);
  say(`${made.name} joins ${asked.from} and ${to}.`);
}

/**
 * @param {string} name a layer or the loss @param {string} key
 * @param {any} value undefined: as it goes without saying
 */
export const set = (name, key, value) => change(edit.set(now(), name, key, value));
/** @param {string} name @param {OpDescription} op */
export const become = (name, op) => change(edit.become(now(), name, op));
/** @param {string} name @param {string[]} inputs */
export const read = (name, inputs) => change(edit.read(now(), name, inputs), name);
/** @param {string} name @param {string} to */
export const rename = (name, to) => change(edit.rename(now(), name, to), to);
/** @param {number[]} input */
export const setInput = input => change({ ...now(), input });

/**
 * A way out is a whole network: where this one has changed since it was described, the same way out of the newest
 * answer is taken, as soon as it is there.
 * @param {Misfit["fixes"][0]} fix
 */
export function take(fix) {
  const accept = (/** @type {Misfit["fixes"][0]} */ { network: fitting, words }) => {
    change(edit.whole(fitting));
    say(`Changed: ${words}.`);
  };
  if (drafted.peek() === network.peek()) return accept(fix);
  const stop = effect(() => {
    if (drafted.value !== network.value) return;
    queueMicrotask(() => {
      stop();
      const same = misfit.peek()?.fixes.find(({ words }) => words === fix.words);
      if (same) accept(same);
    });
  });
}

// Kept over a reload, and in the address where it is short.

const KEY = "convscope.build";
/** Characters of an address that every browser and mail program lets through. */
const SHORT = 1500;

/** The network as text, null where there is none. */
export const text = computed(() =>
  network.value ? JSON.stringify({ title: title.value, ...edit.compact(network.value) }) : null,
);
/** For the address. */
export const shortText = computed(() =>
  text.value && encodeURIComponent(text.value).length <= SHORT ? text.value : null,
);

/** @param {string|null|undefined} given what `text` was @returns {boolean} whether it could be read */
export function restore(given) {
  if (!given) return false;
  if (given === text.peek()) return true;
  try {
    const { title: called = "", ...document } = JSON.parse(given);
    open(document, String(called).slice(0, 60));
    return true;
  } catch {
    return false;
  }
}

export function save() {
  try {
    if (text.value) globalThis.localStorage?.setItem(KEY, text.value);
  } catch {
    // A browser that keeps nothing loses it with the page.
  }
}

export function saved() {
  try {
    return globalThis.localStorage?.getItem(KEY) ?? null;
  } catch {
    return null;
  }
}
