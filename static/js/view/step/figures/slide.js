/**
 * A kernel that lies in a window: the sum that writes a map, and the sum that takes the gradient back through it.
 * Where kernel and window run against each other, the kernel is turned, and the turn is shown.
 */

import { useEffect, useState } from "preact/hooks";

import { html } from "../../html.js";
import { boxIn, pictureOf, windowOf, fixed } from "../../../core/figure.js";
import { exponentOf, factor } from "../../../core/format.js";
import { at, ravel } from "../../../core/place.js";
import { indexAt, lettersAt } from "../../../core/timeline.js";
import { positionOn } from "../../../core/windows.js";
import {
  cellTime,
  focusChannel,
  isKnown,
  nameOf,
  pause,
  playing,
  position,
  rangeOf,
  reducedMotion,
  tellingOf,
  tensorOf,
} from "../../../state/store.js";
import { NumberGrid } from "../number_grid.js";
import { rem } from "../heatmap.js";
import { showRotationStrip, rotationStrip, wait } from "../step_state.js";
import { TensorSymbol } from "../symbol.js";
import { Caption, ZoomLines, Map2D, Part, Sign, Single, cellFor, figureSizes, pictureAt } from "./parts.js";

/** Phases whose turn was shown already: it waits for the learner once. @type {Set<string>} */
const turned = new Set();

/** @param {{phase: Phase, figure: Extract<Figure, {kind: "slide"}>}} props */
export function Slide({ phase, figure }) {
  const cell = position.value?.cell ?? -1;
  const begin = tellingOf(position.value?.phase ?? 0).cell;
  const first = figure.turned && (cell <= 0 || cell === begin);
  const past = cell > 0 && cell !== begin;
  useEffect(() => {
    showRotationStrip(reducedMotion.peek() && first);
    return () => showRotationStrip(false);
  }, []);
  useEffect(() => {
    if (!first || turned.has(phase.place)) return;
    turned.add(phase.place);
    if (!playing.peek()) return;
    pause();
    wait(true);
  }, []);
  useEffect(() => {
    if (past || playing.value) wait(false);
  }, [past, playing.value]);
  useEffect(() => {
    if (past && reducedMotion.value) showRotationStrip(false);
  }, [past]);

  const scene = sceneOf(phase, figure, cell);
  if (!scene) return null;
  if (rotationStrip.value)
    return html`<${Strip} phase=${phase} scene=${scene} story=${reducedMotion.value && first}
      onClose=${() => showRotationStrip(false)} />`;
  const size = figureSizes();
  return size.narrow
    ? html`<${Narrow} phase=${phase} figure=${figure} scene=${scene} size=${size} onWhy=${() => showRotationStrip(true)}
      />`
    : html`<${Wide} phase=${phase} figure=${figure} scene=${scene} size=${size} turning=${first}
      onWhy=${() => showRotationStrip(true)} />`;
}

/** @param {{value: number}[][]} cells */
const exponentIn = cells => exponentOf(cells.flat().map(({ value }) => value));

/**
 * Everything the figure shows for one written cell.
 * @param {Phase} phase
 * @param {Extract<Figure, {kind: "slide"}>} figure
 * @param {number} cell
 */
export function sceneOf(phase, figure, cell) {
  const { plane, kernel } = figure;
  const planeName = nameOf(plane.tensor);
  const kernelName = nameOf(kernel.tensor);
  const x = tensorOf(planeName);
  const w = tensorOf(kernelName);
  const index = indexAt(phase, cell);
  const result = pictureAt(phase.place, index);
  if (!x || !w || !result) return null;
  const letters = { ...lettersAt(phase, cell), ...fixed(phase, figure.focus, focusChannel.value) };
  const lead = plane.axes.slice(0, 2).map(axis => (axis && positionOn(axis, letters)) ?? 0);
  const kernelLead = kernel.axes.slice(0, 2).map(axis => (axis && positionOn(axis, letters)) ?? 0);
  const cells = windowOf(plane, kernel, phase, letters, x.shape, w.shape);
  const windowCells = cells.map(line =>
    line.map(({ index: k, pad, letter }) => ({
      value: k ? x.data[ravel(k, x.shape)] : 0,
      index: k,
      letter,
      state: /** @type {"pad"|"known"|"notyet"} */ (pad ? "pad" : isKnown(at(planeName, k ?? [])) ? "known" : "notyet"),
    })),
  );
  const kernelCells = cells.map(line =>
    line.map(({ kernelIndex, letter }) => ({
      value: kernelIndex ? w.data[ravel(kernelIndex, w.shape)] : 0,
      index: kernelIndex,
      letter,
    })),
  );
  const sides = pictureOf(plane, phase, x.shape);
  return {
    planeName,
    kernelName,
    x,
    w,
    index,
    result,
    letters,
    lead,
    kernelLead,
    windowCells,
    kernelCells,
    sides,
    asItIs: [...kernelCells].reverse().map(line => [...line].reverse()),
    box: boxIn(plane, phase, letters, x.shape),
    picture: pictureAt(plane.tensor, [...lead, 0, 0]),
    place: cell >= 0 ? at(nameOf(phase.place), index) : null,
    kind: x.kind,
    began: cell >= 0,
  };
}
/** @typedef {NonNullable<ReturnType<typeof sceneOf>>} Scene */

/** A number with its sign and three decimals needs so much. */
const READABLE = 48;
/** Maps give way to the numbers of a large kernel that is shown twice. */
const BESIDE_LARGE = 112;
const TALL = 166;

/**
 * Number cells of a kernel's size. Of a large kernel the cells keep letter and colour where there is no room for
 * numbers;
 * the products have them.
 * @param {number} rows @param {number} columns @param {number} width of a cell where kernels are small
 * @param {number} room for all columns of one grid
 */
function cellsFor(rows, columns, width, room) {
  const n = Math.max(rows, columns);
  if (n <= 3) return { width, height: n === 3 ? 50 : 56, numbers: true, letters: true };
  const side = Math.max(6, Math.floor(TALL / n));
  const wide = Math.min(60, Math.floor(room / columns));
  if (wide >= READABLE && side >= 32) return { width: wide, height: side, numbers: true, letters: true };
  return { width: side, height: side, numbers: false, letters: side >= 16 };
}

/**
 * @param {{phase: Phase, figure: Extract<Figure, {kind: "slide"}>, scene: Scene, size: ReturnType<typeof figureSizes>,
 *   turning: boolean, onWhy: () => void}} props
 */
function Wide({ phase, figure, scene, size, turning, onWhy }) {
  const { plane, kernel, back } = figure;
  const rows = scene.windowCells.length;
  const columns = scene.windowCells[0].length;
  const beside = figure.turned && size.inner >= 720;
  const snug = size.inner < 860;
  const short = beside && snug;
  const small = snug ? 78 : 90;
  const map = beside && Math.max(rows, columns) > 3 ? Math.min(BESIDE_LARGE, size.map) : size.map;
  // Two maps, the zoom, two signs with their gaps, the kernel as it is.
  const others = 2 * map + 21 + 2 * 32 + (beside ? small + 28 : 0);
  const numbers = cellsFor(
    rows,
    columns,
    figure.turned ? Math.min(size.number, 60) : size.number,
    (size.inner - others) / 2,
  );
  const height = rows * numbers.height;
  const sides = scene.sides;
  const target = figure.turned && map === size.map ? map - 10 : map;
  const planeCell = cellFor(Math.max(sides[0].size, sides[1].size), map);
  const resultCell = cellFor(Math.max(scene.result.rows, scene.result.columns), target);
  const { box } = scene;
  const glide = cellTime.value >= 300;
  const [wx, ww] = [exponentIn(scene.windowCells), exponentIn(scene.kernelCells)];
  const rings = scene.began ? [{ ...box, look: "read" }] : [];
  const grids = {
    window: html`<${Part} caption=${html`window of <${TensorSymbol} name=${plane.name} kind=${scene.kind}
      /> ${factor(wx)}`}>
      <${NumberGrid} prefix=${scene.planeName} kind=${scene.kind} range=${rangeOf(plane.tensor)}
        cells=${scene.windowCells}
        ...${numbers} exponent=${wx} name=${plane.name} label="window" /><//>`,
    kernel: html`<${Part} caption=${html`<${TensorSymbol} name=${kernel.name} kind="weight"
      /> ${figure.turned ? (beside ? "turned" : "turned 180°") : title(scene)} ${factor(ww)}`}>
      <${NumberGrid} key=${phase.place} prefix=${scene.kernelName} kind=${kernel.kind}
        range=${rangeOf(kernel.tensor)} cells=${scene.kernelCells}
        ...${numbers} exponent=${ww} name=${kernel.name} label="kernel" ear=${figure.turned ? "last" : null}
          turning=${figure.turned && turning} /><//>`,
    asItIs:
      beside &&
      html`<${Part} kind="asitis" caption=${html`<${TensorSymbol} name=${kernel.name} kind="weight" /> as it is`}>
      <${NumberGrid} prefix=${scene.kernelName} shape=${scene.w.shape} kind=${kernel.kind}
        range=${rangeOf(kernel.tensor)} cells=${scene.asItIs}
        width=${small / Math.max(rows, 3)} height=${small / Math.max(rows, 3)} numbers=${false} letters=${rows <= 5}
          label="kernel as it is" ear="first" />
      <div class="half-turn"><svg viewBox="0 0 72 40" aria-hidden="true"><path d="M4 36a32 32 0 0 1 64 0" /><path
        d="m58 27 10 9 3-13" /></svg><b>180°</b></div>
      <button class="link why" aria-label="Why is the kernel rotated?" onClick=${onWhy}>Why?</button><//>`,
    plane: html`<${Part} caption=${html`<${Caption} phase=${phase} name=${plane.name} kind=${scene.kind}
      prefix=${scene.planeName} lead=${scene.lead} short=${short}
        more=${size.inner < 660 || (numbers.numbers && columns > 3) ? "" : wordFor(sides)} />`}>
      <${Map2D} picture=${scene.picture} target=${map} cell=${planeCell} sides=${sides} rings=${rings}
        name=${plane.name} glide=${glide}
        fading=${figure.turned && turning} label="map the window lies in" /><//>`,
    result: html`<${Part} caption=${html`<${Caption} phase=${phase} name=${phase.tensor} kind=${phase.kind}
      prefix=${phase.place} lead=${scene.index.slice(0, -2)} short=${short} />`}>
      <${Map2D} picture=${scene.result} target=${map} cell=${resultCell} rings=${ringAt(scene)} name=${phase.tensor}
        glide=${glide} label="map that is written" /><//>`,
  };
  const tall = Math.max(height, 150);
  const sign = (/** @type {string} */ text, /** @type {string} */ label) =>
    html`<${Sign} height=${tall} label=${label}>${text}<//>`;
  const ringTop = box.row * planeCell;
  const ringBottom = (box.row + box.rows) * planeCell;
  const zoom = html`<${ZoomLines} edge=${[0, height]} ring=${[ringTop, ringBottom]} flip=${back}
    depth=${back ? box.column * planeCell : (sides[1].size - box.column - box.columns) * planeCell} />`;
  const factors = beside
    ? back
      ? [grids.asItIs, sign("→", "turns into"), grids.kernel, sign("×", "times"), grids.window]
      : [grids.window, sign("×", "times"), grids.kernel, sign("←", "turned from"), grids.asItIs]
    : back
      ? [grids.kernel, sign("×", "times"), grids.window]
      : [grids.window, sign("×", "times"), grids.kernel];
  if (back) {
    return html`<div class="figure ${snug ? "snug" : ""}">${grids.result}${sign("=", "equals")}${factors.slice(0, -1)}
      <div class="joined">${factors.at(-1)}${zoom}${grids.plane}</div></div>`;
  }
  const [row, column] = scene.result.spotOf(scene.index) ?? [0, 0];
  const single =
    !figure.turned && !size.tight && 2 * columns * numbers.width + others + 112 <= size.inner && scene.place;
  const middle = height / 2;
  return html`<div class="figure ${snug ? "snug" : ""}"><div
    class="joined">${grids.plane}${zoom}${factors[0]}</div>${factors.slice(1)}${sign("=", "equals")}
    <div class="joined">${
      single &&
      html`<${Part} caption=${html`<${TensorSymbol} name=${phase.tensor} kind=${phase.kind} /> this cell`}>
      <div class="centred" style="height:${rem(height)}"><${Single} place=${scene.place} /></div><//>
      <${ZoomLines} edge=${[middle - 28, middle + 28]} ring=${[row * resultCell, (row + 1) * resultCell]}
        depth=${column * resultCell} flip />`
    }
    ${grids.result}</div></div>`;
}

/** @param {Scene} scene */
const ringAt = scene => {
  const spot = scene.began ? scene.result.spotOf(scene.index) : null;
  return spot ? [{ row: spot[0], column: spot[1], rows: 1, columns: 1, look: "ring" }] : [];
};

/** @param {Scene} scene */
const title = ({ kernelLead, w }) => {
  const shown = kernelLead.filter((_, axis) => w.shape[axis] > 1);
  return shown.length ? `kernel ${shown.join(",")}` : "kernel";
};

/**
 * What was done to the map before the window slides.
 * @param {{pitch: number, before: number, after: number}[]} sides
 */
function wordFor(sides) {
  const spread = sides.some(({ pitch }) => pitch > 1);
  const padded = sides.some(({ before, after }) => before + after > 0);
  return spread ? "spread" : padded ? "padded" : "";
}

/**
 * The phone's layout: both maps small, or the kernel as it is beside the map that the window lies in; then window and
 * kernel.
 * @param {{phase: Phase, figure: Extract<Figure, {kind: "slide"}>, scene: Scene, size: ReturnType<typeof figureSizes>,
 *   onWhy: () => void}} props
 */
function Narrow({ phase, figure, scene, size, onWhy }) {
  const { plane, kernel, back } = figure;
  const half = (size.inner - 24) / 2;
  const rows = scene.windowCells.length;
  const columns = scene.windowCells[0].length;
  const small = Math.max(rows, columns) > 3;
  const width = Math.min(56, (size.inner - 24) / 2 / columns);
  const readable = !small && width >= 52;
  const numbers = { width, height: small ? width : figure.turned ? 40 : 46, numbers: readable, letters: width >= 16 };
  const target = figure.turned ? 84 : Math.min(128, half - 8);
  const side = target / Math.max(rows, columns);
  const rings = scene.began ? [{ ...scene.box, look: "read" }] : [];
  const [wx, ww] = [exponentIn(scene.windowCells), exponentIn(scene.kernelCells)];
  const source = html`<${Part} caption=${html`<${Caption} phase=${phase} name=${plane.name} kind=${scene.kind}
    prefix=${scene.planeName} lead=${scene.lead} short=${figure.turned && size.inner < 340} />`}>
    <${Map2D} picture=${scene.picture} target=${target} sides=${scene.sides} rings=${rings} name=${plane.name}
      label="map the window lies in" /><//>`;
  const result = html`<${Part} caption=${html`<${Caption} phase=${phase} name=${phase.tensor} kind=${phase.kind}
    prefix=${phase.place} lead=${scene.index.slice(0, -2)} />`}>
    <${Map2D} picture=${scene.result} target=${target} rings=${ringAt(scene)} name=${phase.tensor}
      label="map that is written" /><//>`;
  const window = html`<${Part} caption=${html`window of <${TensorSymbol} name=${plane.name} kind=${scene.kind}
    /> ${factor(wx)}`}>
    <${NumberGrid} prefix=${scene.planeName} kind=${scene.kind} range=${rangeOf(plane.tensor)}
      cells=${scene.windowCells} ...${numbers}
      exponent=${wx} name=${plane.name} label="window" /><//>`;
  const weights = html`<${Part} caption=${html`<${TensorSymbol} name=${kernel.name} kind="weight"
    /> ${figure.turned ? "turned 180°" : title(scene)} ${factor(ww)}`}>
    <${NumberGrid} prefix=${scene.kernelName} kind=${kernel.kind} range=${rangeOf(kernel.tensor)}
      cells=${scene.kernelCells} ...${numbers}
      exponent=${ww} name=${kernel.name} label="kernel" ear=${figure.turned ? "last" : null} /><//>`;
  const asItIs = html`<${Part} caption=${html`<${TensorSymbol} name=${kernel.name} kind="weight" /> as it is`}>
    <${NumberGrid} prefix=${scene.kernelName} shape=${scene.w.shape} kind=${kernel.kind} range=${rangeOf(kernel.tensor)}
      cells=${scene.asItIs}
      width=${side} height=${side} numbers=${false} letters=${rows <= 5} label="kernel as it is" ear="first" /><//>`;
  const turn = html`<button class="half-turn" title="Why the kernel is turned"
    aria-label="180 degrees: why the kernel is turned" onClick=${onWhy}>
    <svg viewBox="0 0 72 40" aria-hidden="true"><path d="M4 36a32 32 0 0 1 64 0" /><path d="m58 27 10 9 3-13"
      /></svg><b>180°</b></button>`;
  const maps = figure.turned ? [asItIs, turn, source] : back ? [result, source] : [source, result];
  return html`<div class="figure maps ${figure.turned ? "turned" : ""}">${maps}</div>
    <div class="figure pair">${back ? weights : window}<${Sign} height=${rows * numbers.height}
      label="times">×<//>${back ? window : weights}</div>`;
}

/**
 * The letters of the kernel in its own order, each with the output cell that it sent a pixel to.
 * @param {Scene} scene
 */
const sendings = scene =>
  scene.windowCells
    .flat()
    .filter(({ letter }) => letter)
    .sort((a, b) => (a.letter < b.letter ? -1 : 1));

/** One pixel, and the outputs that read it: each in turn with its letter. @param {{scene: Scene}} props */
function Reach({ scene }) {
  const all = sendings(scene);
  const [on, turn] = useState(reducedMotion.peek() ? -1 : 0);
  useEffect(() => {
    if (reducedMotion.peek()) return;
    const timer = setInterval(() => turn(k => (k + 1) % all.length), 900);
    return () => clearInterval(timer);
  }, [all.length]);
  const now = all[on]?.letter;
  const side = 132 / Math.max(scene.windowCells.length, scene.windowCells[0].length);
  return html`<div class="pose" data-letter=${now}><${NumberGrid} prefix=${scene.planeName}
    kind=${scene.kind} range=${rangeOf(scene.planeName)}
    cells=${scene.windowCells.map(line => line.map(cell => ({ ...cell, mark: cell.letter === now ? "ring" : "" })))}
    width=${side} height=${side} numbers=${false} letters=${true} label="outputs that read the pixel" /></div>`;
}

/** Why the kernel turns, in words. @param {{scene: Scene, result: any, source: any}} props */
function Reason({ scene, result, source }) {
  const all = sendings(scene);
  const [first, last] = [all[0]?.letter ?? "a", all.at(-1)?.letter ?? ""];
  return html`Going forward, one pixel meets <i>${first}</i> in the window of the output to its lower
    right, <i>${last}</i> in that to its upper
    left. So around it the outputs’ ${source} lie from <i>${last}</i> to <i>${first}</i>, and each comes back by the
      letter it went out by:
    ${result} reads the kernel from its end.`;
}

/**
 * The turn as a strip of pictures: for reduced motion, and for whoever asks why the kernel is turned.
 * @param {{phase: Phase, scene: any, story: boolean, onClose: () => void}} props
 */
export function Strip({ phase, scene, story, onClose }) {
  const rows = scene.asItIs.length;
  const side = 132 / Math.max(rows, scene.asItIs[0].length);
  const grid = (
    /** @type {any} */ cells,
    /** @type {"first"|"last"} */ ear,
    kind = "",
  ) => html`<div class="pose ${kind}">
    <${NumberGrid} prefix=${scene.kernelName} shape=${scene.w.shape} kind="weight" range=${rangeOf(scene.kernelName)}
      cells=${cells}
      width=${side} height=${side} numbers=${false} letters=${rows <= 5} ear=${ear} label="kernel" /></div>`;
  const [down, across] = scene.sides;
  const map = (
    /** @type {any[]} */ rings,
  ) => html`<div class="pose"><${Map2D} picture=${scene.picture} target=${132} rings=${rings}
    cell=${cellFor(Math.max(down.size, across.size), 136)} sides=${scene.sides} label="padded map" /></div>`;
  const delta = html`<${TensorSymbol} name="dy" kind="gradient" />`;
  const back = phase.kind === "gradient";
  const source = back ? delta : html`<${TensorSymbol} name="x" kind="value" />`;
  const result = html`<${TensorSymbol} name=${phase.tensor} kind=${phase.kind} />`;
  const apart = Math.max(down.pitch, across.pitch) > 1;
  const frames = [
    [grid(scene.asItIs, "first"), html`The kernel as it lies in memory: <i>a</i> comes first.`],
    [grid(scene.asItIs, "first", "tilted"), html`It turns about its centre by half a turn. Letters stay upright.`],
    [grid(scene.kernelCells, "last"), html`Turned: the last cell comes first, the marked corner is last.`],
    [
      map([]),
      apart
        ? html`${source} is spread apart and padded with zeros, so that every cell has its partners.`
        : html`${source} gets its rings of zeros, so that every cell has as many partners.`,
    ],
    [map([{ ...scene.box, look: "ring" }]), html`It slides over ${source}; each stop writes one cell of ${result}.`],
  ];
  // Who asks why gets the reason, and the turn in three pictures; the storyboard of the turn itself has all five.
  const asked = back && !story;
  const shown = asked
    ? [
        [html`<${Reach} scene=${scene} />`, html`<${Reason} scene=${scene} result=${result} source=${source} />`],
        frames[0],
        frames[2],
        frames[4],
      ]
    : frames;
  return html`<ol class="strip ${asked ? "reasoned" : ""}" aria-label="Why the kernel is turned">
    ${shown.map(
      ([picture, words], k) => html`<li key=${k}
      class=${asked && k === 0 ? "reason" : ""}>${picture}<p><b>${k + 1}</b> ${words}</p></li>`,
    )}
    <li class="go"><button class="button" onClick=${onClose}>Show the numbers</button></li></ol>`;
}
