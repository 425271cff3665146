/**
 * The whole state of the page: signals, what follows from them, and the actions that change them.
 * Views read signals and call actions; net/ writes what the server says and carries out what `wanted` asks for.
 */

import { batch, computed, signal } from "@preact/signals-core";

import { largest, roundUp, follow } from "../core/colour.js";
import { at, format, parse, prefixOf, ravel, spoken, unravel } from "../core/place.js";
import * as walk from "../core/timeline.js";
import { telling } from "../core/telling.js";

// What the server says.

/** @type {Signal<{ready: boolean, compiling: Compiling|null, version: string, welcome?: string}>} */
export const status = signal({ ready: false, compiling: null, version: "" });
/** @type {Signal<any>} */
export const run = signal(null);
/** @type {Signal<Timeline|null>} */
export const timeline = signal(null);
/** @type {Signal<Map<string, Tensor>>} */
export const tensors = signal(new Map());
/** @type {Signal<number|null>} */
export const label = signal(null);
/**
 * The loss of the single image that is looked at, through the parameters that its update would leave.
 * @type {Signal<number|null>}
 */
export const lossAfter = signal(null);
/**
 * Where numbers are set by hand: the pass without them, and its loss.
 * @type {Signal<{pass: string, loss: number}|null>}
 */
export const base = signal(null);
/** The step whose parameters are used. @type {Signal<number|null>} */
export const step = signal(null);
/** @type {Signal<{place: string, data: any}|null>} the explanation of the opened place */
export const explanation = signal(null);
/**
 * What could not be had, said once at the top.
 * @type {Signal<{title: string, detail: string, retry?: {words: string, act: () => void}}|null>}
 */
export const problem = signal(null);
/** True while the server does not answer: nothing moves until it does. */
export const offline = signal(false);
/** Whether a frame of the stream has arrived lately. */
export const streaming = signal(false);
/**
 * @type {Signal<{loss: number, accuracy?: number, images_per_second?: number, epoch?: number, images_seen?: number,
 *   step: number}|null>}
 */
export const frame = signal(null);
/** True while a pass is on its way. */
export const loading = signal(false);

/**
 * The image of the run's data that is looked at when none is asked for.
 * @type {Signal<{kind: "pass", dataset: string, split: string, index: number}|null>}
 */
export const usual = signal(null);
/** What the classes of the data are called; null where it has none. @type {Signal<string[]|null>} */
export const classes = signal(null);
/** True where the server has no first run to look at: without MNIST it makes none. */
export const noMnist = signal(false);

// What the learner chose.

/** @type {Signal<Source|null>} */
export const source = signal(null);
/**
 * What net/session.js is asked to fetch: the source and the step; a new object asks again.
 * @type {Signal<{run: string, source: Source, step: number|null}|null>}
 */
export const wanted = signal(null);
/** @type {Signal<Position|null>} null on a first visit: nothing is computed yet */
export const position = signal(null);
export const playing = signal(false);
export const speed = signal(1);
/** The view that is shown. */
export const view = signal("explore");
/** What of the view is shown: a lesson's step, a room. Each view says what it means. @type {Signal<string|null>} */
export const part = signal(null);
/** @type {Signal<string|null>} the opened card's place */
export const place = signal(null);
/** The way to the opened card, first place first. @type {Signal<string[]>} */
export const trail = signal([]);
/** @type {Signal<string|null>} */
export const pinned = signal(null);
/** @type {Signal<Hover>} */
export const hover = signal(null);
/**
 * What the card says of its number: how it was made, what follows from another value, or what it can change.
 * @type {Signal<Aspect>}
 */
export const aspect = signal("sum");
/** How sums that can be looked at in several ways are looked at. @type {Signal<Way>} */
export const way = signal("gather");
/** Which input map or slice of the kernel the step view shows. */
export const focusChannel = signal(0);
/** @type {Signal<"auto"|"light"|"dark"|"contrast">} */
export const theme = signal("auto");
/** @type {Signal<"auto"|"laptop"|"projector">} */
export const textSize = signal("auto");
/**
 * What is open above the page.
 * @type {Signal<"picker"|"draw"|"import"|"help"|"share"|"model"|"step"|"look"|"view"|"speed"|null>}
 */
export const panel = signal(null);
/** First map of each tensor's page on the stage, by tensor. @type {Signal<Record<string, number>>} */
export const pages = signal({});

/**
 * The code of the class's room, "" where one is being opened or joined, null outside of rooms.
 * @type {Signal<string|null>}
 */
export const room = signal(null);

// What the browser says (written by main.js).

/** The theme after "auto" is resolved. @type {Signal<"light"|"dark"|"contrast">} */
export const scheme = signal("light");
/** Width and height in design pixels (1/16 rem), pixels in a design pixel. */
export const viewport = signal({ width: 1280, height: 720, scale: 1 });
/** @type {Signal<"wide"|"medium"|"narrow">} */
export const breakpoint = computed(() =>
  viewport.value.width >= 1152 ? "wide" : viewport.value.width >= 640 ? "medium" : "narrow",
);
/** True where the window is wide and not high: what stands above and beneath the figures gives way. */
export const short = computed(() => breakpoint.value === "wide" && viewport.value.height < 700);
/** True where motion is to be reduced. */
export const reducedMotion = signal(false);
/** The last sentence for the live region. */
export const announcement = signal("");

// What follows.

/** True while training is running and its frames are what Explore shows. */
export const live = computed(() => run.value?.state === "running" && streaming.value && source.value?.kind !== "bench");

/** @type {Signal<Phase|null>} the phase at the position; before the first play the first one */
export const phase = computed(() => {
  const whole = timeline.value;
  if (!whole) return null;
  return whole.phases[position.value?.phase ?? walk.start(whole).phase] ?? null;
});

/** Whether the numbers of a pass are here, so that it can be walked. */
export const walkable = computed(() => timeline.value !== null && tensors.value.has(timeline.value.phases[0]?.place));

/**
 * How far the pass had come when the learner looked back at an earlier cell; what was computed stays computed.
 * @type {Signal<Position|null>}
 */
const kept = signal(null);

/** Phases that count as finished: all of them when live. @type {Signal<Position|null>} */
export const reached = computed(() => {
  if (live.value && timeline.value) return walk.end(timeline.value);
  const [here, far] = [position.value, kept.value];
  return here && far && walk.compare(far, here) > 0 ? far : here;
});

/** The cell at which a phase has most to show, and what is skipped before it. @param {number} phase */
export const tellingOf = phase =>
  timeline.value ? telling(timeline.value, phase, tensorOf, label.value) : { cell: 0, zeros: 0 };

/** @param {number} phase */
const begins = phase => tellingOf(phase).cell;

/**
 * Exactly where play is. While it runs ahead `position` follows a few times a second, and only canvases keep up.
 * @type {Signal<Position|null>}
 */
const swept = signal(null);

/** Cells of a tensor that are written as play runs: for what is redrawn every frame. @param {string} prefix */
export function knownNow(prefix) {
  const [now, said] = [swept.value, reached.value];
  const exact = playing.value && now && said && walk.compare(now, said) > 0 ? now : said;
  return timeline.value ? walk.known(timeline.value, exact, prefix) : 0;
}
/** Changes whenever `knownNow` does. */
export const running = computed(() => [swept.value, reached.value]);

/** @type {Map<string, {range: number, time: number}>} */
const ranges = new Map();
let rangesOf = "";

/** The tensor at a place or prefix, aliases resolved. @param {string} text @returns {Tensor|undefined} */
export function tensorOf(text) {
  const prefix = prefixOf(text);
  const known = tensors.value;
  return known.get(prefix) ?? (timeline.value ? known.get(walk.ownName(timeline.value, prefix)) : undefined);
}

/** The name under which a tensor is stored and shown: "conv2/x" is "pool1/y". @param {string} text */
export const nameOf = text => (timeline.value ? walk.ownName(timeline.value, prefixOf(text)) : prefixOf(text));

/** @param {string} text @returns {TensorInfo|undefined} */
export const infoOf = text => timeline.value?.tensors[nameOf(text)];

/** The kind whose axes a tensor has: a parameter's gradient is indexed like the parameter. @param {string} text */
export const axesOf = text => (timeline.value && !walk.batched(timeline.value, prefixOf(text)) ? "weight" : "value");

/** Where a cell is, in words: of a row that was flattened from maps in those of the maps. @param {string} text */
export function whereabouts(text) {
  const { index } = parse(text);
  const shape = infoOf(text)?.shape;
  if (!shape || !timeline.value || index.length !== shape.length) return "";
  const seen = walk.seenShape(timeline.value, prefixOf(text));
  return spoken(seen === shape ? index : unravel(ravel(index, shape), seen), seen, axesOf(text));
}

/**
 * A cell as it is spoken: its value, what it is a number of, where it stands.
 * @param {string} text its place @param {string} value
 */
export const cellWords = (text, value) =>
  [value, infoOf(text)?.title ?? prefixOf(text).replace("/", " "), whereabouts(text)].filter(Boolean).join(", ");

/** Whether a place is of a training step other than the one looked at; a pass belongs to none. @param {string} text */
export function elsewhere(text) {
  const of = parse(text).step;
  return of !== null && (source.value?.kind !== "step" || of !== step.value);
}

/** The number at a place, undefined when it is not here. @param {string} text */
export function numberAt(text) {
  const tensor = tensorOf(text);
  if (!tensor || elsewhere(text)) return undefined;
  const { index } = parse(text);
  return index.length === tensor.shape.length ? tensor.data[ravel(index, tensor.shape)] : undefined;
}

/**
 * A place as the server and the address have it. Here the image that is looked at is always number 0 of its batch;
 * in a training step's minibatch it has a number of its own, and 0 changes places with it.
 * @param {string} text
 */
export function trueName(text) {
  const what = source.value;
  if (what?.kind !== "step" || what.sample === 0 || !timeline.value) return text;
  const { layer, tensor, index, step: of } = parse(text);
  if (!index.length || !walk.batched(timeline.value, `${layer}/${tensor}`)) return text;
  return format({ layer, tensor, index: swapped(index, what.sample), step: of });
}

/** @param {number[]} index @param {number} sample */
export const swapped = ([first, ...rest], sample) => [first === 0 ? sample : first === sample ? 0 : first, ...rest];

/** Cells of a tensor that are written at the position, in scan order. @param {string} prefix */
export const known = prefix => (timeline.value ? walk.known(timeline.value, reached.value, prefix) : 0);

/** Whether one cell is written at the position; other steps are over. @param {string} text */
export function isKnown(text) {
  if (elsewhere(text)) return true;
  const info = infoOf(text);
  const { index } = parse(text);
  return info ? ravel(index, info.shape) < known(prefixOf(text)) : false;
}

/**
 * The symmetric range of a tensor's colours, one per layer and tensor. What is a share of one (the image, the
 * loss's vectors) keeps 1. While training it grows at once and shrinks slowly.
 * @param {string} prefix @param {number} [now] milliseconds
 */
export function rangeOf(prefix, now = performance.now()) {
  const name = timeline.value ? walk.source(timeline.value, prefixOf(prefix)) : prefix;
  const tensor = tensors.value.get(name) ?? tensorOf(prefix);
  if (!tensor) return 1;
  const most = largest(tensor.data);
  const layer = name.slice(0, name.indexOf("/"));
  if (most <= 1 && (layer === "input" || layer === "loss") && tensor.shape.length > 0) return 1;
  const key = `${run.value?.id} ${live.value}`;
  if (key !== rangesOf) {
    ranges.clear();
    rangesOf = key;
  }
  const before = ranges.get(name);
  const fresh = live.value && before ? follow(before.range, most, (now - before.time) / 1000) : most;
  ranges.set(name, { range: fresh, time: now });
  return roundUp(fresh);
}

/** Whether the network takes what can be drawn: one map of 28 x 28. */
export const takesDigits = computed(() => infoOf("input/y")?.shape.join() === "1,1,28,28");

/** What a class is called. @param {number} label */
export const className = label => classes.value?.[label] ?? String(label);

/** Whether the classes are the ten digits. */
export const digital = computed(() => (classes.value ?? []).join() === "0,1,2,3,4,5,6,7,8,9");

/** What an image of the data is called in a sentence. */
export const thing = computed(() => (digital.value ? "digit" : "image"));

/** What an image of the visitor's own is called. */
export const yours = computed(() => (digital.value && takesDigits.value ? "your digit" : "your picture"));

/** An image by its label: "a 3", "a T-shirt/top", "an Ankle boot". @param {number} label */
export function withArticle(label) {
  const name = className(label);
  return `${/^[aeiou]/i.test(name) || /^(8|11|18)$/.test(name) ? "an" : "a"} ${name}`;
}

/** What a run is called: as whoever made it calls it, else its network. @param {any} run */
export const nameOfRun = run => run.name || run.model || run.title || run.id;

// Actions.

/** An action that only sets its signal. @template T @param {Signal<T>} signal @returns {(to: T) => void} */
export const setter = signal => to => {
  signal.value = to;
};
export const pin = setter(pinned);
export const setHover = setter(hover);
export const focusOn = setter(focusChannel);
export const openPanel = setter(panel);
export const setAspect = setter(aspect);
export const setWay = setter(way);
export const setTheme = setter(theme);
export const enterRoom = setter(room);
export const setTextSize = setter(textSize);
/** One polite sentence for who listens. */
export const say = setter(announcement);
export const showError = setter(problem);

/**
 * What could not be had belongs to the view in which it was wanted.
 * @param {string} to @param {string|null} [which] part of it
 */
export const show = (to, which = null) =>
  batch(() => {
    if (to !== view.value) problem.value = null;
    view.value = to;
    part.value = which;
  });

/** The lesson that is played, by name; null for all lessons. */
export const lesson = computed(() => {
  const name = view.value === "learn" ? (part.value?.split("/")[0] ?? null) : null;
  return name && LEARN_PAGES.includes(name) ? null : name;
});

/** Pages of Learn beside the lessons. */
export const LEARN_PAGES = ["inventory", "bug-lab", "homework"];

/** Where in the lesson: a step's name, or an exercise's. */
export const stop = computed(() => part.value?.split("/")[1] ?? null);

/** Go to a lesson's step; null: to all lessons. @param {string|null} name @param {string|null} [at] */
export const learn = (name, at = null) => show("learn", name && (at ? `${name}/${at}` : name));

/** Whether the pass stops before each phase and asks what comes. */
export const predicting = signal(false);
export const setPredicting = setter(predicting);

/**
 * What was said of a number before it was seen, by its place.
 * @type {Signal<Map<string, "positive"|"zero"|"negative">>}
 */
export const guesses = signal(new Map());

/** The number that is to be guessed before the pass moves on; null where nothing is asked. */
export const asked = computed(() => {
  const here = position.value;
  const now = phase.value;
  if (!predicting.value || live.value || !here || !now || here.cell >= 0) return null;
  const place = at(now.place, walk.indexAt(now, begins(here.phase)));
  return guesses.value.has(place) ? null : place;
});

/** Answer what is asked; null passes it over. @param {"positive"|"zero"|"negative"|null} said */
export function predict(said) {
  const place = asked.value;
  const here = position.value;
  if (!place || !here) return;
  batch(() => {
    if (said) guesses.value = new Map(guesses.value).set(place, said);
    settle({ phase: here.phase, cell: begins(here.phase) });
  });
}

/**
 * Where a phase is entered: at its most telling cell, or before all where that is to be guessed.
 * @param {number} phase
 */
const entry = phase => ({ phase, cell: predicting.value ? -1 : begins(phase) });

/** Set when play last moved, so that a position set by hand starts the clock anew. */
export const clock = { phase: 0, time: 0, from: 0 };

/** The first slow cell of the phase that plays. */
const slowFrom = signal(0);

/** Play goes on slowly from a position. @param {Position} from */
function wind(from) {
  if (!timeline.value) return;
  Object.assign(clock, walk.clockAt(timeline.value, from, begins));
  slowFrom.value = clock.from;
}

/** @param {Position|null} to @param {Position|null} [far] how far the pass counts as computed, where that is further */
function settle(to, far = null) {
  batch(() => {
    if (to) wind(to);
    kept.value = far;
    position.value = swept.value = to;
  });
}

/**
 * The timeline of another kind of pass through the same network; the position stays where its phase is.
 * @param {Timeline} to
 */
export function changeTimeline(to) {
  const from = timeline.value;
  const here = position.value;
  if (from === to) return;
  timeline.value = to;
  if (!from || !here) return;
  const phase = walk.phaseOf(to, from.phases[here.phase].place);
  settle(phase < 0 ? walk.end(to) : { phase, cell: here.cell });
}

/** Go to a position on the timeline; what is not on it is ignored. @param {Position|null} to */
export function goTo(to) {
  if (to === null || (timeline.value && walk.valid(timeline.value, to))) settle(to);
}

/** Go to where a place is written. @param {string} text */
export function goToPlace(text) {
  if (!timeline.value) return;
  const { index } = parse(text);
  const to = walk.positionOf(timeline.value, prefixOf(text), index);
  if (to) goTo(to);
}

/**
 * Take the figure to where a number is written, and open its card. What was computed stays so; what was not is where
 * the pass goes. A number that no phase writes (a weight, a pixel) only opens its card.
 * @param {string} text
 */
export function visit(text) {
  batch(() => {
    makeSeen(text);
    open(text);
  });
}

/** Take the figure to where a number is written. @param {string} text */
export function makeSeen(text) {
  const whole = timeline.value;
  if (!whole || !walkable.value || live.value || elsewhere(text)) return;
  const to = walk.positionOf(whole, prefixOf(text), parse(text).index);
  if (!to || !walk.valid(whole, to)) return;
  pause();
  settle(to, reached.value);
}

/** All of the pass is there, and the figure stands where its last gradient of a parameter has most to show. */
export function showLast() {
  const whole = timeline.value;
  if (!whole) return;
  const parameters = (/** @type {Phase} */ { part, layer, tensor, shape }) =>
    part === "backward" && shape.length > 1 && `${layer}/${tensor.slice(1)}_next` in whole.tensors;
  const phase = whole.phases.findLastIndex(parameters);
  if (phase < 0) return goTo(walk.end(whole));
  settle({ phase, cell: begins(phase) }, walk.end(whole));
}

/** Whether a phase of the pass writes a number, and the figure can be taken there. @param {string} text */
export const canSee = text =>
  timeline.value !== null &&
  walkable.value &&
  !live.value &&
  !elsewhere(text) &&
  walk.positionOf(timeline.value, prefixOf(text), parse(text).index) !== null;

/** One cell on or back; stops the play. @param {1|-1} by */
export function stepCell(by) {
  if (!timeline.value) return;
  batch(() => {
    pause();
    const from = position.value ?? walk.start(/** @type {Timeline} */ (timeline.value));
    const to = walk.nextCell(/** @type {Timeline} */ (timeline.value), from, by);
    if (to) settle(predicting.value && to.phase !== from.phase && by > 0 ? entry(to.phase) : to, kept.value);
  });
}

/**
 * One phase on or back, to where it has something to show; back from further on in a phase leads there first.
 * @param {1|-1} by
 */
export function stepPhase(by) {
  if (!timeline.value) return;
  const from = position.value ?? walk.start(timeline.value);
  const here = { ...from, cell: by < 0 && from.cell <= begins(from.phase) ? Math.min(from.cell, 0) : from.cell };
  const to = walk.nextPhase(timeline.value, here, by);
  if (to) settle(to.cell === 0 ? entry(to.phase) : to);
}

/** Go to where a phase has something to show. @param {number} phase */
export const goToPhase = phase => goTo(entry(phase));

/** The run that is to stand still, so that its newest pass can be played. @type {Signal<string|null>} */
export const halted = signal(null);

/** Play from the position; from the end it starts again. A run that trains is halted first. */
export function play() {
  const whole = timeline.value;
  if (!whole || !walkable.value) return;
  batch(() => {
    if (live.value) halted.value = run.value.id;
    const from = position.value;
    if (!from || walk.compare(from, walk.end(whole)) >= 0) settle(walk.start(whole));
    else settle(from);
    if (asked.value) return;
    playing.value = true;
  });
}

export const pause = () =>
  batch(() => {
    if (playing.value) position.value = swept.value;
    playing.value = false;
  });

export const togglePlay = () => (playing.value ? pause() : play());

/** Milliseconds between two moves of all that is written out, while play runs ahead: nobody reads faster. */
const BEAT = 400;
let since = 0;

/** Time passes (main.js calls this on each animation frame while playing). @param {number} milliseconds */
export function tick(milliseconds) {
  const whole = timeline.value;
  if (!whole || !playing.value || live.value || offline.value) return;
  const now = walk.advance(whole, clock, milliseconds * speed.value, { speed: speed.value, begins });
  Object.assign(clock, { phase: now.phase, time: now.time, from: now.from });
  batch(() => {
    slowFrom.value = now.from;
    const before = swept.value;
    if (predicting.value && before && before.phase !== now.phase) {
      playing.value = false;
      return settle(entry(now.phase));
    }
    if (!before || before.phase !== now.phase || before.cell !== now.cell) {
      swept.value = { phase: now.phase, cell: now.cell };
    }
    since += milliseconds;
    const slow = walk.cellTime(whole, now, speed.value, now.from) >= BEAT;
    if (slow || now.over || position.value?.phase !== now.phase || since >= BEAT) {
      if (position.value !== swept.value) since = 0;
      position.value = swept.value;
    }
    if (now.over) playing.value = false;
  });
}

export const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];

/** A speed of 1 or less, chosen anywhere, slows down there. @param {number} to */
export function setSpeed(to) {
  const before = speed.value;
  batch(() => {
    speed.value = Math.min(8, Math.max(0.25, to));
    if (position.value && (speed.value <= 1 || before < 1)) wind(position.value);
  });
}

/** Speed of the next notch up or down. @param {1|-1} by */
export function changeSpeed(by) {
  const at = SPEEDS.findIndex(notch => notch >= speed.value);
  setSpeed(SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, at + by))]);
}

/** Milliseconds the current cell takes at this speed: above 300 there is time for its terms. */
export const cellTime = computed(() =>
  timeline.value && position.value
    ? walk.cellTime(timeline.value, position.value, speed.value, slowFrom.value)
    : walk.CELL,
);

/**
 * Open a place's card. From within a card, also one that follows the pass, the trail grows; opening a place of the
 * trail goes back to it.
 * @param {string} text @param {{from?: "card"}} [options]
 */
export function open(text, { from } = {}) {
  batch(() => {
    const bare = elsewhere(text) ? text : text.replace(/@\d+$/, "");
    const way =
      from !== "card" ? [] : trail.value.length ? trail.value : explanation.value ? [explanation.value.place] : [];
    const at = way.indexOf(bare);
    trail.value = at >= 0 ? way.slice(0, at + 1) : [...way, bare];
    place.value = bare;
  });
}

export function closeCard() {
  batch(() => {
    place.value = null;
    trail.value = [];
  });
}

/** One place back on the trail. */
export function back() {
  const way = trail.value.slice(0, -1);
  if (!way.length) return closeCard();
  batch(() => {
    trail.value = way;
    place.value = way[way.length - 1];
  });
}

/**
 * Look at another image, through the same step's parameters; those that were set by hand stay so.
 * @param {Source} to
 */
export function look(to) {
  const id = run.value?.id;
  if (!id) return;
  const kept = edits.value.filter(({ place }) => infoOf(place)?.kind === "weight");
  const what = to.kind === "pass" && !to.edits && kept.length ? { ...to, edits: kept } : to;
  batch(() => {
    source.value = what;
    wanted.value = { run: id, source: what, step: what.kind === "step" ? what.step : step.value };
    panel.value = null;
  });
}

/** The numbers of the pass that are set by hand. */
export const edits = computed(() => (source.value?.kind === "pass" ? (source.value.edits ?? []) : []));

/** The value that a number is set to by hand, undefined where it is not. @param {string} text */
export const setTo = text => edits.value.find(edit => edit.place === text)?.value;

/** Set a number of the pass by hand; null puts it back. @param {string} text @param {number|null} value */
export const setNumber = (text, value) =>
  setNumbers([...edits.value.filter(edit => edit.place !== text), ...(value === null ? [] : [{ place: text, value }])]);

/** All the numbers that are set by hand, instead of those that were. @param {Edit[]} to */
export function setNumbers(to) {
  const id = run.value?.id;
  const what = source.value;
  if (!id || what?.kind !== "pass" || (!to.length && !edits.value.length)) return;
  const then = { ...what, pass: undefined, edits: to.length ? to : undefined };
  batch(() => {
    source.value = then;
    wanted.value = { run: id, source: then, step: step.value };
  });
}

/** Look at the same image through the parameters of another step. @param {number} to */
export function atStep(to) {
  const id = run.value?.id;
  const what = source.value;
  if (!id || !what) return;
  const then = what.kind === "step" ? { ...what, step: to } : { ...what, pass: undefined };
  batch(() => {
    step.value = to;
    source.value = then;
    wanted.value = { run: id, source: then, step: to };
  });
}

/** Turn the page of a tensor's maps. @param {string} prefix @param {number} first */
export function turnPage(prefix, first) {
  pages.value = { ...pages.value, [prefix]: Math.max(0, first) };
}

/** One level out: the panel, then the card. Returns whether there was anything to leave. */
export function leave() {
  if (panel.value) panel.value = null;
  else if (place.value) back();
  else return false;
  return true;
}
