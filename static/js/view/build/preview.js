/** What the chosen layer does with the image, before anything is learned: its input, its kernel, its output. */

import { useState } from "preact/hooks";

import { css, ink } from "../../core/colour.js";
import * as format from "../../core/format.js";
import * as build from "../../state/build.js";
import * as store from "../../state/store.js";
import { html } from "../html.js";
import { Line } from "../icons.js";
import { Choice } from "../shell/popover.js";
import { Tiles } from "../train/tiles.js";
import { openByHand } from "./hand.js";
import { Outputs } from "./row.js";
import { Legend, planeOf, rangeOf, tensorOf } from "./tensors.js";

const LETTERS = "abcdefghijklmnopqrstuvwxyz";
const SIDE = 168;

/** @param {{name: string}} props */
export function Preview({ name }) {
  const label = store.label.value;
  const what = label === null ? "your image" : `this ${store.className(label)}`;
  const now = build.preview.value;
  const whose =
    build.trained.value && now?.trained
      ? now.trained === now.of
        ? "the trained"
        : "the partly trained"
      : "the untrained";
  const run = store.run.value;
  return html`<p class="head"><b class="act"><${Line} name="right" /> Preview</b> <span
    class="sentence">${name}: ${what} through ${`${whose} network`}</span>
    <label class="seed">seed <input type="text" inputmode="numeric" autocomplete="off" value=${build.seed.value}
      onChange=${(/** @type {any} */ event) => {
        const seed = Number(event.currentTarget.value);
        if (Number.isSafeInteger(seed) && seed >= 0) build.seed.value = seed;
        else event.currentTarget.value = build.seed.peek();
      }} /></label>
    ${
      run?.step > 0 &&
      html`<${Choice} legend="Weights" value=${build.trained.value ? "trained" : "untrained"}
        choices=${[{ value: "untrained", words: "untrained" }, { value: "trained", words: "trained" }]} choose=${(
          /** @type {string} */ to,
        ) => {
          build.trained.value = to === "trained";
        }} />`
    }</p>
    ${
      build.previewProblem.value
        ? html`<p class="detail">${build.previewProblem.value}</p>`
        : html`<${Figures}
      name=${name} />`
    }`;
}

/** @param {{name: string}} props */
function Figures({ name }) {
  const [picked, pick] = useState(/** @type {[number, number]|null} */ (null));
  const [map, turn] = useState(0);
  const known = build.described.value.get(name);
  if (name === "input")
    return html`<div class="figures"><${Plane} name="input/y" map=${map} caption="input" /><${Pages} name="input/y"
      map=${map} turn=${turn} /></div>`;
  if (name === "loss")
    return html`<div class="figures"><figure><figcaption>what the loss reads out of it</figcaption><${Outputs}
      name="loss/p" /></figure></div>`;
  const y = tensorOf(`${name}/y`);
  if (!known || !y) return html`<div class="figures"><p class="soft">Not computed yet.</p></div>`;
  const plane = planeOf(y);
  const at = Math.min(map, plane.count - 1);
  const cell = picked && picked[0] < plane.rows && picked[1] < plane.columns ? picked : middle(plane);
  const w = tensorOf(`${name}/w`);
  const kernel = w?.shape.length === 4 && w.shape[2] * w.shape[3] <= 25 ? w : null;
  const field = known.figures?.receptive_field;
  const spans = y.shape.length === 4;
  const whole = field?.stride.every(step => step === 0);
  return html`<div class="figures">
    ${
      known.inputs[0] !== "input" &&
      spans &&
      field &&
      html`<${Plane} name="input/y" map=${0} caption="input" symbol="x" field=${whole ? null : field} cell=${cell}
        beneath=${`a cell of ${name} sees ${field.size.join("×")}`} /><span class="arrow"><${Line}
          name="right" /></span>`
    }
    ${known.inputs.slice(0, 2).map(
      (input, k) => html`${k > 0 && html`<span class="arrow soft">and</span>`}<${Plane} key=${k} name=${`${input}/y`}
        map=${mapRead(w, at, tensorOf(`${input}/y`))} caption=${input} symbol="x"
        field=${spans ? (known.window ?? ONE) : null} cell=${cell} />`,
    )}
    ${
      kernel &&
      html`<span class="arrow"><${Line} name="cross" /></span><${Kernel} name=${name} tensor=${kernel}
      map=${at} />`
    }
    <span class="arrow"><${Line} name="right" /></span>
    <div><${Plane} name=${`${name}/y`} map=${at} caption=${name} symbol="y" cell=${cell} pick=${pick} />
      <${Pages} name=${`${name}/y`} map=${at} turn=${turn} /></div>
  </div>`;
}
const ONE = { size: [1, 1], stride: [1, 1], start: [0, 0] };

/** Which map of its input is shown beside a map: one that it surely reads. */
const mapRead = (/** @type {Tensor|undefined} */ w, /** @type {number} */ map, /** @type {Tensor|undefined} */ x) => {
  const count = x?.shape.length === 4 ? x.shape[1] : 1;
  if (w?.shape.length !== 4) return Math.min(map, count - 1);
  const groups = count / w.shape[1];
  return Number.isInteger(groups) ? Math.floor(map / (w.shape[0] / groups)) * w.shape[1] : 0;
};

/** @param {{rows: number, columns: number}} plane @returns {[number, number]} */
const middle = ({ rows, columns }) => [rows >> 1, columns >> 1];

/** @param {{name: string, map: number, turn: (to: number) => void}} props */
function Pages({ name, map, turn }) {
  const tensor = tensorOf(name);
  const count = tensor?.shape.length === 4 ? tensor.shape[1] : 1;
  if (count < 2) return null;
  const button = (/** @type {number} */ by, /** @type {string} */ sign, /** @type {string} */ words) =>
    html`<button type="button" class="turn" aria-label=${words}
      onClick=${() => turn((map + by + count) % count)}>${sign}</button>`;
  return html`<p class="pages">${button(-1, "‹", "The map before")} map <b>${map}</b> of ${count}
    ${button(1, "›", "The next map")}</p>`;
}

/**
 * One map, with what a cell reads of it.
 * @param {{name: string, map: number, caption: string, symbol?: string, field?: Field|null,
 *   cell?: [number, number], beneath?: string, pick?: (cell: [number, number]) => void}} props
 */
export function Plane({ name, map, caption, symbol = "", field = null, cell, beneath = "", pick }) {
  const tensor = tensorOf(name);
  if (!tensor) return html`<figure><figcaption>${caption}</figcaption><i class="hatch plane" /></figure>`;
  const { rows, columns, count } = planeOf(tensor);
  const at = Math.min(map, count - 1);
  const unit = Math.max(1, Math.floor(SIDE / Math.max(rows, columns))) || 1;
  const scale = rows > SIDE || columns > SIDE ? SIDE / Math.max(rows, columns) : unit;
  const [width, height] = [columns * scale, rows * scale];
  const size = rows * columns;
  const data = Array.prototype.slice.call(tensor.data, at * size, (at + 1) * size);
  while (data.length < size) data.push(NaN);
  const picture = () => ({ data, count: 1, rows, columns, kind: tensor.kind, range: rangeOf(name) });
  const rem = (/** @type {number} */ cells) => `${(cells * scale) / 16}rem`;
  const box = (/** @type {number[]} */ [top, left], /** @type {number[]} */ [high, wide]) => ({
    top: rem(top),
    left: rem(left),
    height: rem(high),
    width: rem(wide),
  });
  const start = field && cell ? field.start.map((first, k) => first + field.stride[k] * cell[k]) : null;
  const before = start && field ? padding(field, [rows, columns]) : 0;
  const onPick = (/** @type {MouseEvent} */ event) => {
    if (!pick || tensor.shape.length !== 4) return;
    const area = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
    const to = [
      (rows * (event.clientY - area.top)) / area.height,
      (columns * (event.clientX - area.left)) / area.width,
    ];
    pick([Math.min(rows - 1, Math.max(0, Math.floor(to[0]))), Math.min(columns - 1, Math.max(0, Math.floor(to[1])))]);
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const way = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!way || !pick || !cell) return;
    event.preventDefault();
    pick([Math.min(rows - 1, Math.max(0, cell[0] + way[0])), Math.min(columns - 1, Math.max(0, cell[1] + way[1]))]);
  };
  const value = cell && data[cell[0] * columns + cell[1]];
  return html`<figure>
    <figcaption>${
      symbol &&
      html`<i
      class="symbol act">${symbol}</i> `
    }${caption}${count > 1 ? `, map ${at}` : ""}</figcaption>
    <div class="plane ${before ? "padded" : ""}"
      style=${{ width: rem(columns), height: rem(rows), padding: before ? rem(before) : 0 }}>
      <div class="cells">
      <${Tiles} picture=${picture} across=${1} width=${width} height=${height} name="map"
        label=${`${caption}, ${rows} by ${columns}`} />
      ${start && field && html`<i class="read" style=${box(start, field.size)} />`}
      ${!field && cell && tensor.shape.length === 4 && html`<i class="result" style=${box(cell, [1, 1])} />`}
      ${
        pick &&
        tensor.shape.length === 4 &&
        html`<button type="button" class="pick"
          aria-label=${`Cell in row ${cell?.[0]}, column ${cell?.[1]}: ${format.number(
            value ?? NaN,
          )}. Arrow keys choose another`} onClick=${onPick} onKeyDown=${onKeyDown}></button>`
      }</div>
    </div>
    ${pick ? html`<${Legend} name=${name} width=${width} />` : null}
    ${beneath && html`<span class="soft">${beneath}</span>`}
  </figure>`;
}

/** Cells of padding around a map, as far as windows reach out of it. @param {Field} field @param {number[]} sizes */
const padding = (field, sizes) =>
  field.size[0] > sizes[0] ? 0 : Math.max(0, -field.start[0]) > 3 ? 0 : Math.max(0, -field.start[0]);

/** Its numbers, if they are few. @param {{name: string, tensor: Tensor, map: number}} props */
function Kernel({ name, tensor, map }) {
  const [, , rows, columns] = tensor.shape;
  const from = map * tensor.shape[1] * rows * columns;
  const range = rangeOf(`${name}/w`);
  const wide = columns <= 3 ? 56 : 40;
  return html`<figure class="kernel">
    <figcaption><i class="symbol wt">w</i> kernel ${map},0</figcaption>
    <div class="weights" role="img" aria-label=${`kernel ${map},0: ${rows} by ${columns} numbers`}
      style=${{ gridTemplateColumns: `repeat(${columns}, ${wide / 16}rem)` }}>${Array.from(
        { length: rows * columns },
        (_, k) => {
          const value = tensor.data[from + k];
          return html`<span key=${k} style=${{
            background: css("weight", value, range, store.scheme.value),
            color: ink("weight", value, range, store.scheme.value),
          }}>${columns <= 3 && html`<i>${LETTERS[k]}</i>`}${columns <= 4 ? format.number(value) : ""}</span>`;
        },
      )}</div>
    <button type="button" class="link" onClick=${() => openByHand(name, map, 0)}>Edit this kernel by hand</button>
  </figure>`;
}
