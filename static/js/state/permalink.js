/** The permalink: one table from which the address is both written and read. */

import { batch } from "@preact/signals-core";

import { at, holds, parse } from "../core/place.js";
import { indexAt, start } from "../core/timeline.js";
import * as build from "./build.js";
import * as store from "./store.js";

/** @param {Source|null} source */
function nameSource(source) {
  if (!source) return null;
  if (source.kind === "bench") return null;
  if (source.kind === "step") return `step/${source.sample}`;
  if (source.drawn) return source.x ? nameDrawn(source.x, source.target) : null;
  const { dataset, split, index } = source;
  const usual = store.usual.value;
  return usual && index === usual.index && split === usual.split && dataset === usual.dataset
    ? null
    : `${dataset}/${split}/${index}`;
}

/** Numbers of a picture that an address still holds. */
const LONGEST = 3 * 64 * 64;

/**
 * A picture of another shape than a digit's says its shape first.
 * @param {number[][]|number[][][]} x @param {number} [target]
 */
function nameDrawn(x, target) {
  const [channels, height, width] = shapeOf(x);
  if (channels * height * width > LONGEST) return null;
  const shape = channels === 1 && height === 28 && width === 28 ? "" : `${channels}x${height}x${width}:`;
  return ["drawn", shape + pack(x), target].filter(part => part !== undefined).join("/");
}

/** [channels, rows, columns] of rows, or of planes of rows. @param {number[][]|number[][][]} x */
export function shapeOf(x) {
  const planes = /** @type {number[][][]} */ (Array.isArray(x[0][0]) ? x : [x]);
  return [planes.length, planes[0].length, planes[0][0].length];
}

/** @param {string|null} text @param {number|null} step @returns {Source|null} null: the run's usual image */
export function readSource(text, step) {
  const parts = (text ?? "").split("/");
  if (parts[0] === "step" && step !== null && /^\d+$/.test(parts[1] ?? "")) {
    return { kind: "step", step, sample: Number(parts[1]) };
  }
  const x = parts[0] === "drawn" ? unpack(parts[1] ?? "") : null;
  if (x) return { kind: "pass", drawn: true, x, ...(/^\d+$/.test(parts[2] ?? "") ? { target: Number(parts[2]) } : {}) };
  if (parts.length === 3 && /^\d+$/.test(parts[2])) {
    return { kind: "pass", dataset: parts[0], split: parts[1], index: Number(parts[2]) };
  }
  return null;
}

/** A drawing as text, a byte a pixel. @param {number[][]|number[][][]} x */
export function pack(x) {
  const bytes = /** @type {number[]} */ (x.flat(2)).map(value => String.fromCharCode(Math.round(255 * value))).join("");
  return btoa(bytes)
    .replace(/A{4,}/g, run => `.${run.length}.`)
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/** @param {string} text @returns {number[][]|number[][][]|null} rows, or planes of rows */
export function unpack(text) {
  try {
    const [, shape, rest] = /^(?:(\d+x\d+x\d+):)?(.*)$/.exec(text) ?? [];
    const [channels, height, width] = (shape ?? "1x28x28").split("x").map(Number);
    if (channels * height * width > LONGEST) return null;
    const packed = rest.replace(/\.(\d{1,5})\./g, (_, run) => "A".repeat(Math.min(Number(run), 2 * LONGEST)));
    const bytes = Array.from(atob(packed.replaceAll("-", "+").replaceAll("_", "/")), c => c.charCodeAt(0) / 255);
    if (!bytes.length || bytes.length !== channels * height * width) return null;
    const planes = Array.from({ length: channels }, (_, c) =>
      Array.from({ length: height }, (_, y) => bytes.slice((c * height + y) * width, (c * height + y + 1) * width)),
    );
    return channels === 1 ? planes[0] : planes;
  } catch {
    return null;
  }
}

/** @param {string} text place=value;place=value @returns {Edit[]} what can be read of it */
export const readEdits = text =>
  text.split(";").flatMap(part => {
    const [place, value] = part.split("=");
    return place && value && Number.isFinite(Number(value)) ? [{ place, value: Number(value) }] : [];
  });

const nameEdits = () => store.edits.value.map(({ place, value }) => `${place}=${value}`).join(";") || null;

/** The welcome run's newest step goes without saying; so does any step while it changes. */
function nameStep() {
  const run = store.run.value;
  const step = store.step.value;
  if (!run || step === null || run.state === "running") return null;
  const newest = run.id === store.status.value.welcome && step === run.step && store.source.value?.kind === "pass";
  return newest ? null : String(step);
}

function namePosition() {
  const timeline = store.timeline.value;
  const position = store.position.value;
  if (!timeline || !position) return null;
  const phase = timeline.phases[position.phase];
  return position.cell < 0 ? phase.place : store.trueName(at(phase.place, indexAt(phase, position.cell)));
}

/** A lesson's step says where the figure stands. */
const taught = () => store.lesson.value !== null;

/** Name in the address, how it is written (null: left out), how it is read. */
const TABLE = /** @type {const} */ ([
  ["room", () => store.room.value || null],
  ["view", () => (store.view.value === "explore" ? null : store.view.value)],
  ["part", () => store.part.value],
  ["network", () => (store.view.value === "build" ? build.shortText.value : null)],
  ["run", () => (store.run.value && store.run.value.id !== store.status.value.welcome ? store.run.value.id : null)],
  ["source", () => nameSource(store.source.value)],
  ["step", nameStep],
  ["edits", nameEdits],
  ["at", () => (store.playing.value || taught() ? null : namePosition())],
  ["place", () => (taught() ? null : store.place.value && store.trueName(store.place.value))],
  ["card", () => (store.aspect.value === "sum" ? null : store.aspect.value)],
  ["way", () => (store.way.value === "gather" ? null : store.way.value)],
  ["pin", () => store.pinned.value && store.trueName(store.pinned.value)],
  ["speed", () => (store.speed.value === 1 ? null : String(store.speed.value))],
  ["theme", () => (store.theme.value === "auto" ? null : store.theme.value)],
  ["size", () => (store.textSize.value === "auto" ? null : store.textSize.value)],
]);

/** Where the pass is, as a place; null before it begins. */
export const position = namePosition;

/** The state as a hash. @param {{without?: string[]}} [options] names that are left out */
export function write({ without = [] } = {}) {
  const query = TABLE.flatMap(([name, value]) => {
    const text = without.includes(name) ? null : value();
    return text === null ? [] : [`${name}=${encodeURIComponent(text).replaceAll("%2F", "/").replaceAll("%2C", ",")}`];
  });
  return query.length ? `#${query.join("&")}` : "#";
}

/** @param {string} hash */
export function read(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const text = (/** @type {typeof TABLE[number][0]} */ name) => given.get(name);
  const number = Number(text("step"));
  const step = text("step") !== null && Number.isInteger(number) && number >= 0 ? number : null;
  return {
    room: text("room"),
    view: text("view"),
    part: text("part"),
    network: text("network"),
    run: text("run"),
    step,
    source: readSource(text("source"), step),
    edits: readEdits(text("edits") ?? ""),
    at: text("at"),
    place: text("place"),
    card: text("card"),
    way: text("way"),
    pin: text("pin"),
    speed: Number(text("speed")),
    theme: text("theme"),
    size: text("size"),
  };
}

/**
 * @template {string} T
 * @param {readonly T[]} choices
 * @param {string|null} text
 * @returns {T} the first choice for anything else
 */
const oneOf = (choices, text) => choices.find(choice => choice === text) ?? choices[0];

/**
 * Put what was read of the view and its looks into the store.
 * @param {ReturnType<typeof read>} given @param {string[]} views that there are
 */
export const look = (given, views) =>
  batch(() => {
    store.show(oneOf(views, given.view), given.part);
    if (given.network && given.view === "build") build.restore(given.network);
    if (given.room) store.enterRoom(given.room.toUpperCase());
    store.setTheme(oneOf(["auto", "light", "dark", "contrast"], given.theme));
    store.setTextSize(oneOf(["auto", "laptop", "projector"], given.size));
    store.setAspect(oneOf(["sum", "nudge", "reach", "history"], given.card));
    store.setWay(oneOf(["gather", "scatter", "matrix", "all"], given.way));
    if (given.speed > 0) store.setSpeed(given.speed);
  });

/**
 * Put the places that were read into the store, as soon as their run is there.
 * @param {ReturnType<typeof read>} given
 */
export function place(given) {
  const { timeline } = store;
  if (!timeline.value) return;
  const here = (/** @type {string|null} */ text, /** @type {string} */ name) => {
    const why = text === null ? null : misplaced(text);
    if (why && !store.problem.peek()) store.showError({ title: `The address asks for ${name}=${text}`, detail: why });
    return text === null || why ? null : store.trueName(text);
  };
  batch(() => {
    store.setNumbers(given.edits.filter(({ place }) => here(place, "edits")));
    store.pin(here(given.pin, "pin"));
    const opened = here(given.place, "place");
    if (!opened) store.closeCard();
    else if (opened !== store.place.value) store.open(opened);
    const position = here(given.at, "at");
    if (position) store.goToPlace(position);
    else if (opened && !store.position.value) store.goTo(start(/** @type {Timeline} */ (timeline.value)));
  });
}

/** Why a text names no number of this pass, null where it does. @param {string} text */
function misplaced(text) {
  let where;
  try {
    where = parse(text);
  } catch {
    return "A place is layer/tensor/index, as conv1/y/0,1,2,3.";
  }
  const info = store.infoOf(text);
  if (!info) return `This network has no ${where.layer}/${where.tensor}.`;
  if (!where.index.length || holds(info.shape, where.index)) return null;
  const last = info.shape.map(extent => extent - 1).join(",");
  return `${where.layer}/${where.tensor} has the places ${info.shape.map(() => 0).join(",")} to ${last}.`;
}
