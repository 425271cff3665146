/** A window without a kernel: the largest of its cells, or their sum shared out; and the way back. */

import { html } from "../../html.js";
import { boxIn, dividedBy, lit as litCells, pictureOf, windowOf } from "../../../core/figure.js";
import { exponentOf, factor } from "../../../core/format.js";
import { at, ravel } from "../../../core/place.js";
import { indexAt, lettersAt } from "../../../core/timeline.js";
import { positionOn } from "../../../core/windows.js";
import { cellTime, infoOf, isKnown, nameOf, position, rangeOf, tensorOf } from "../../../state/store.js";
import { NumberGrid } from "../number_grid.js";
import { rem } from "../heatmap.js";
import { TensorSymbol } from "../symbol.js";
import { winnerByHand } from "../../../state/compare.js";
import { lazy } from "../../shell/lazy.js";
import { Caption, ZoomLines, Map2D, Part, Sign, Single, cellFor, figureSizes, pictureAt } from "./parts.js";

const OtherWinner = lazy(() => import("./other_winner.js"), "OtherWinner");

/** Sizes of a window's number cells. @param {number} n @param {ReturnType<typeof figureSizes>} size */
function cellsFor(n, size) {
  if (n <= 2)
    return { width: size.narrow ? 56 : Math.min(69, size.number + 9), height: size.narrow ? 46 : 62, numbers: true };
  if (n <= 3) return { width: size.narrow ? 52 : size.number, height: size.narrow ? 46 : 50, numbers: true };
  const side = Math.max(6, Math.floor(160 / n));
  return { width: side, height: side, numbers: false };
}

/** @param {{phase: Phase, figure: Extract<Figure, {kind: "pool"}>}} props */
export function Pool({ phase, figure }) {
  const { plane } = figure;
  const cell = position.value?.cell ?? -1;
  const size = figureSizes();
  const x = tensorOf(plane.tensor);
  const index = indexAt(phase, cell);
  const result = pictureAt(phase.place, index);
  const letters = lettersAt(phase, cell);
  const lead = plane.axes.slice(0, 2).map(axis => (axis && positionOn(axis, letters)) ?? 0);
  const picture = pictureAt(plane.tensor, [...lead, 0, 0]);
  if (!x || !result || !picture) return null;
  const own = nameOf(plane.tensor);
  const value = tensorOf(phase.place)?.data[ravel(index, phase.shape)];
  const byHand = phase.form === "max" && cell >= 0 ? winnerByHand(phase, index) : undefined;
  let won = phase.form !== "max";
  const cells = windowOf(plane, null, phase, letters, x.shape).map(line =>
    line.map(({ index: k, pad }) => {
      const here = k ? x.data[ravel(k, x.shape)] : 0;
      const flat = k ? k[k.length - 2] * x.shape[x.shape.length - 1] + k[k.length - 1] : -1;
      const wins = !won && cell >= 0 && k !== null && (byHand === undefined ? here === value : flat === byHand);
      won ||= wins;
      return {
        value: here,
        index: k,
        letter: "",
        state: /** @type {"pad"|"known"} */ (pad ? "pad" : "known"),
        mark: /** @type {"winner"|""} */ (wins ? "winner" : ""),
        word: wins ? (byHand === undefined ? "max" : "by hand") : "",
      };
    }),
  );
  const rows = cells.length;
  const columns = cells[0].length;
  const numbers = cellsFor(Math.max(rows, columns), size);
  const exponent = exponentOf(cells.flat().map(({ value: v }) => v));
  const sides = pictureOf(plane, phase, x.shape);
  const target = size.narrow ? Math.min(128, (size.inner - 24) / 2) : size.map;
  const unit = cellFor(Math.max(sides[0].size, sides[1].size), target);
  const resultUnit = cellFor(Math.max(result.rows, result.columns), target);
  const box = boxIn(plane, phase, letters, x.shape);
  const glide = cellTime.value >= 300;
  const height = rows * numbers.height;
  const [row, column] = result.spotOf(index) ?? [0, 0];
  const ring = cell >= 0 ? [{ row, column, rows: 1, columns: 1, look: "ring" }] : [];
  const source = html`<${Part} caption=${html`<${Caption} phase=${phase} name=${plane.name} kind=${plane.kind}
    prefix=${own} lead=${lead} />`}>
    <${Map2D} picture=${picture} target=${target} sides=${sides} rings=${cell >= 0 ? [{ ...box, look: "read" }] : []}
      name=${plane.name} glide=${glide} label="map the window lies in" /><//>`;
  const other =
    phase.form === "max" &&
    cell >= 0 &&
    html`<${OtherWinner} phase=${phase} index=${index} shape=${x.shape} cells=${cells.flat()} />`;
  const grid = html`<${Part} caption=${html`window of <${TensorSymbol} name=${plane.name} kind=${plane.kind}
    /> ${factor(exponent)}`}>
    <${NumberGrid} prefix=${own} kind=${plane.kind} range=${rangeOf(plane.tensor)} cells=${cells}
      ...${numbers} letters=${false}
      exponent=${exponent} name=${plane.name} label="window" />${size.narrow && other}<//>`;
  const target2 = html`<${Part} caption=${html`<${Caption} phase=${phase} name=${phase.tensor} kind=${phase.kind}
    prefix=${phase.place} lead=${index.slice(0, -2)} />`}>
    <${Map2D} picture=${result} target=${target} rings=${ring} name=${phase.tensor} glide=${glide}
      label="map that is written" /><//>`;
  const over = dividedBy(phase);
  const verb = phase.form === "max" ? "the largest" : over ? `sum ÷ ${over}` : "sum";
  if (size.narrow)
    return html`<div class="figure maps">${source}${target2}</div><div class="figure pair">${grid}</div>`;
  const middle = Math.max(height, 100) / 2;
  return html`<div class="figure"><div class="joined">${source}<${ZoomLines} edge=${[0, height]}
    ring=${[box.row * unit, (box.row + box.rows) * unit]}
      depth=${(sides[1].size - box.column - box.columns) * unit} />${grid}</div>
    <div class="chosen"><${Sign} height=${other ? 56 : middle * 2}><span
      class="verb">${verb}</span>→<//>${other}</div>
    <div class="joined">${
      cell >= 0 &&
      html`<${Part} caption=${html`<${TensorSymbol} name=${phase.tensor} kind=${phase.kind} /> this cell`}>
      <div class="centred" style="height:${rem(middle * 2)}"><${Single} place=${at(nameOf(phase.place), index)}
        width=${69} height=${62} /></div><//>
      <${ZoomLines} edge=${[middle - 31, middle + 31]} ring=${[row * resultUnit, (row + 1) * resultUnit]}
        depth=${column * resultUnit} flip />`
    }
    ${target2}</div></div>`;
}

/**
 * What a written gradient's cell reads on the way back, and the window it stood in on the way forward.
 * @param {Phase} phase @param {Extract<Figure, {kind: "route"}>} figure @param {number} cell
 */
export function routeOf(phase, { plane, gates }, cell) {
  const d = tensorOf(plane.tensor);
  if (!d) return null;
  const letters = lettersAt(phase, cell);
  const index = indexAt(phase, cell);
  const senders = litCells(plane, phase, letters, d.shape);
  const gate = gates.find(({ kind }) => kind === "index");
  const winner = gate ? winnerOf(phase, gate) : null;
  const sender = senders[0]?.index ?? null;
  /** @type {{index: number[], wins: boolean|null}[][]} */
  const window = [];
  if (sender) {
    const reach = [2, 3].map(axis => {
      const form = plane.axes[axis];
      const free = Object.keys(form?.letters ?? {}).find(letter => letter in phase.free) ?? "";
      const bound = Object.keys(form?.letters ?? {}).find(letter => letter in phase.bound) ?? "";
      const found = [];
      for (let u = 0; u < (phase.bound[bound] ?? 1); u++) {
        const step = form?.letters[free] ?? 1;
        const h = (sender[axis] * (form?.pitch ?? 1) - (form?.offset ?? 0) - (form?.letters[bound] ?? 0) * u) / step;
        if (Number.isInteger(h) && h >= 0 && h < phase.shape[axis]) found.push(h);
      }
      return found.sort((a, b) => a - b);
    });
    for (const h of reach[0]) {
      window.push(
        reach[1].map(k => ({
          index: [...index.slice(0, -2), h, k],
          wins: winner && winner(sender, index.slice(0, -2), reach) === h * (phase.shape.at(-1) ?? 1) + k,
        })),
      );
    }
  }
  return {
    letters,
    index,
    senders: senders.map(each => each.index),
    sender,
    window,
    count: Object.values(phase.bound).reduce((a, b) => a * b, 1),
  };
}

/**
 * Where the winner of a window stands in its plane: as the index tensor says, or, where that is not at hand, the first
 * of
 * the window that is as large as what came out.
 * @param {Phase} phase @param {Read} gate
 * @returns {((sender: number[], lead: number[], reach: number[][]) => number)|null}
 */
function winnerOf(phase, gate) {
  const winners = tensorOf(gate.tensor);
  if (winners) return sender => winners.data[ravel(sender, winners.shape)];
  const x = tensorOf(`${phase.layer}/${phase.tensor.slice(1)}`);
  const y = tensorOf(`${phase.layer}/y`);
  if (!x || !y) return null;
  return (sender, lead, [rows, columns]) => {
    const out = y.data[ravel(sender, y.shape)];
    for (const h of rows) {
      for (const k of columns)
        if (x.data[ravel([...lead, h, k], x.shape)] === out) return h * x.shape[x.shape.length - 1] + k;
    }
    return -1;
  };
}

/** @param {{phase: Phase, figure: Extract<Figure, {kind: "route"}>}} props */
export function Route({ phase, figure }) {
  const { plane } = figure;
  const cell = position.value?.cell ?? -1;
  const size = figureSizes();
  const route = routeOf(phase, figure, cell);
  const own = tensorOf(phase.place);
  const d = tensorOf(plane.tensor);
  const before = `${phase.layer}/${phase.tensor.slice(1)}`;
  const x = infoOf(before) ? tensorOf(before) : undefined;
  if (!route || !own || !d) return null;
  const result = pictureAt(phase.place, route.index);
  const lead = plane.axes.slice(0, 2).map(axis => (axis && positionOn(axis, route.letters)) ?? 0);
  const picture = pictureAt(plane.tensor, [...lead, 0, 0]);
  if (!result || !picture) return null;
  const { window, sender, index } = route;
  const rows = window.length;
  const columns = window[0]?.length ?? 0;
  const numbers = cellsFor(Math.max(rows, columns), size);
  const target = size.narrow ? Math.min(128, (size.inner - 24) / 2) : size.map;
  const resultUnit = cellFor(Math.max(result.rows, result.columns), target);
  const unit = cellFor(Math.max(picture.rows, picture.columns), target);
  const prefix = nameOf(phase.place);
  const gradient = window.map(line =>
    line.map(({ index: k }) => {
      const there = isKnown(at(prefix, k));
      return {
        value: own.data[ravel(k, own.shape)],
        index: k,
        letter: "",
        state: /** @type {"known"|"notyet"} */ (there ? "known" : "notyet"),
        mark: /** @type {"result"|""} */ (cell >= 0 && k.every((v, a) => v === index[a]) ? "result" : ""),
      };
    }),
  );
  const forward =
    x &&
    window.map(line =>
      line.map(({ index: k, wins }) => ({
        value: x.data[ravel(k, x.shape)],
        index: k,
        letter: "",
        mark: /** @type {"winner"|""} */ (wins ? "winner" : ""),
        word: wins ? "max" : "",
      })),
    );
  const exponent = exponentOf([
    ...gradient
      .flat()
      .filter(({ state }) => state === "known")
      .map(({ value }) => value),
    ...(sender ? [d.data[ravel(sender, d.shape)]] : []),
  ]);
  const height = rows * numbers.height;
  const middle = Math.max(height, 100) / 2;
  const box = rows ? { row: window[0][0].index[2], column: window[0][0].index[3], rows, columns } : null;
  const rings = cell < 0 ? [] : [{ row: index[2], column: index[3], rows: 1, columns: 1, look: "ring" }];
  const from = sender ? { row: sender[2], column: sender[3] } : null;
  const resultPart = html`<${Part} caption=${html`<${Caption} phase=${phase} name=${phase.tensor} kind="gradient"
    prefix=${phase.place} lead=${index.slice(0, -2)} />`}>
    <${Map2D} picture=${result} target=${target}
      rings=${[...(box && cell >= 0 ? [{ ...box, look: "read" }] : []), ...rings]} name=${phase.tensor}
        label="map that is written" glide /><//>`;
  const grid =
    rows > 0 &&
    html`<${Part} caption=${html`its ${rows} × ${columns} window ${factor(exponent)}`}>
    <${NumberGrid} prefix=${prefix} kind="gradient" range=${rangeOf(phase.place)} cells=${gradient}
      ...${numbers} letters=${false}
      exponent=${exponent} name=${phase.tensor} label="gradient in the window" /><//>`;
  const way =
    forward &&
    rows > 0 &&
    html`<${Part} caption=${html`<${TensorSymbol} name=${phase.tensor.slice(1)} kind=${x.kind} /> on the way forward`}>
    <${NumberGrid} prefix=${nameOf(before)} kind=${x.kind} range=${rangeOf(before)} cells=${forward}
      ...${numbers} letters=${false}
      name=${phase.tensor.slice(1)} label="values on the way forward" /><//>`;
  const deltaPart = html`<${Part} caption=${html`<${Caption} phase=${phase} name=${plane.name} kind=${plane.kind}
    prefix=${nameOf(plane.tensor)} lead=${lead} />`}>
    <${Map2D} picture=${picture} target=${target}
      rings=${cell < 0 ? [] : route.senders.map(k => ({ row: k[2], column: k[3], rows: 1, columns: 1, look: "read" }))}
      name=${plane.name} label="delta" glide /><//>`;
  if (size.narrow)
    return html`<div class="figure maps">${resultPart}${deltaPart}</div><div class="figure pair">${grid}${way}</div>`;
  const shared = figure.gates.length === 0;
  const over = dividedBy(phase);
  const arrow = html`<${Sign} height=${middle * 2}>${
    shared && over
      ? html`<span class="verb">shared out<br
    />÷ ${over}</span>←`
      : "←"
  }<//>`;
  return html`<div class="figure"><div class="joined">${resultPart}
    ${
      box &&
      html`<${ZoomLines} edge=${[0, height]} ring=${[box.row * resultUnit, (box.row + box.rows) * resultUnit]}
      depth=${(result.columns - box.column - box.columns) * resultUnit} />`
    }${grid}</div>
    ${!shared && way && html`<${Sign} height=${middle * 2}>←<//>${way}`}
    ${arrow}
    <div class="joined">${
      sender
        ? html`<${Part} caption=${html`<${TensorSymbol} name=${plane.name} kind="gradient"
          /> ${route.senders.length > 1 ? `first of ${route.senders.length}` : "this cell"}`}>
      <div class="centred" style="height:${rem(middle * 2)}"><${Single} place=${at(nameOf(plane.tensor), sender)}
        width=${79} height=${62} /></div><//>
      ${
        from &&
        html`<${ZoomLines} edge=${[middle - 31, middle + 31]} ring=${[from.row * unit, (from.row + 1) * unit]}
        depth=${from.column * unit} flip />`
      }`
        : html`<p class="aside">No window covers this cell, so nothing comes back.</p>`
    }
    ${deltaPart}</div></div>`;
}
