/**
 * Any sum: what each factor reads, as a map, a row of numbers or one number, and what it adds up to. Short vectors
 * stand
 * as a ladder: rows of numbers, one beneath the other, from what goes in through the named steps to what comes out.
 */

import { html } from "../../html.js";
import { css } from "../../../core/colour.js";
import { ROW, isSum } from "../../../core/figure.js";
import { exponentOf, factor } from "../../../core/format.js";
import { at, ravel, sizeOf } from "../../../core/place.js";
import { indexAt, lettersAt } from "../../../core/timeline.js";
import { positionOn } from "../../../core/windows.js";
import { isKnown, label, nameOf, position, rangeOf, scheme, tensorOf } from "../../../state/store.js";
import { NumberGrid } from "../number_grid.js";
import { rem } from "../heatmap.js";
import { TensorSymbol, plain } from "../symbol.js";
import { freshSteps } from "../labels.js";
import { Map2D, Part, Sign, Single, figureSizes, ownerOf, pictureAt, plural } from "./parts.js";

/**
 * How a read meets one written cell.
 * @param {Read} read
 * @param {Phase} phase
 * @param {Record<string, number>} letters
 */
function viewOf(read, phase, letters) {
  const tensor = tensorOf(read.tensor);
  const raw = read.axes.map(axis => (axis ? (positionOn(axis, letters) ?? 0) : 0));
  const index = raw.map((k, axis) => Math.min(Math.max(0, k), (tensor?.shape[axis] ?? 1) - 1));
  const running = read.axes.flatMap((axis, k) =>
    axis && Object.keys(axis.letters).some(letter => (phase.bound[letter] ?? 1) > 1) ? [k] : [],
  );
  const count = sizeOf(running.map(axis => tensor?.shape[axis] ?? 1));
  return { read, tensor, index, running, count, here: raw.every((k, axis) => k === index[axis]) };
}

/** @param {{phase: Phase, figure: {reads: Read[], back: boolean}}} props */
export function Terms({ phase, figure }) {
  const cell = position.value?.cell ?? -1;
  const size = figureSizes();
  const index = indexAt(phase, cell);
  const letters = lettersAt(phase, cell);
  const began = cell >= 0;
  const views = figure.reads
    .map(read => viewOf(read, phase, letters))
    .filter(({ here }) => here || hasBound(phase) || !began);
  const factors = views.filter(({ read, running }) => read.role !== "test" && (running.length > 0 || !hasBound(phase)));
  const added = views.filter(view => !factors.includes(view) && view.read.role !== "test");
  const ordered =
    figure.back && !isSum(figure.reads)
      ? factors.sort((a, b) => Number(b.read.kind === "weight") - Number(a.read.kind === "weight"))
      : factors;
  const rows =
    ordered.length > 0 &&
    ordered.every(
      ({ running, count, tensor }) => running.length === 1 && count <= ROW && (tensor?.shape.length ?? 9) <= 2,
    );
  const many = ordered.length + added.length + 1;
  const room = size.narrow ? (size.inner - 24) / 2 : Math.min(began ? 120 : 150, (size.inner - 40 * many) / many);
  const sign = (/** @type {string} */ text, /** @type {string} */ words) =>
    html`<${Sign} height=${150} label=${words}>${text}<//>`;
  const result = html`<${Result} phase=${phase} index=${index} began=${began} room=${room} />`;
  const terms = sizeOf(Object.values(phase.bound));
  const sum = terms > 1 ? html`∑` : "";
  const middle = rows
    ? html`<${Rows} views=${ordered} phase=${phase} width=${size.inner - room - 150} />`
    : ordered.map(
        (view, k) =>
          html`${k > 0 && sign(...joined(view.read))}<${View} view=${view} phase=${phase} room=${room} began=${began}
            />`,
      );
  const plus = added
    .filter(({ tensor }) => tensor)
    .map(
      view =>
        html`${sign("+", "plus")}<${View} view=${view} phase=${phase} room=${Math.min(room, 80)} began=${began} />`,
    );
  const head =
    sum &&
    html`<${Sign} height=${150} label="sum of ${plural(terms, "product")}"><span
      class="verb big">${sum}<small>${terms} terms</small></span><//>`;
  return html`<div class="figure ${size.narrow ? "wrapped" : ""}">${
    figure.back
      ? html`${result}${sign("=", "equals")}${head}${middle}${plus}`
      : html`${head}${middle}${plus}${sign("=", "equals")}${result}`
  }</div>`;
}

/** What stands before a read, and how it is spoken. @param {Read} read @returns {[string, string]} */
const joined = ({ joint, role }) =>
  joint === "+"
    ? ["+", "plus"]
    : joint === "−"
      ? ["−", "minus"]
      : role === "divisor"
        ? ["÷", "divided by"]
        : ["×", "times"];

/** @param {Phase} phase */
const hasBound = ({ bound }) => Object.values(bound).some(count => count > 1);

/**
 * What is written: its map or row, and the cell.
 * @param {{phase: Phase, index: number[], began: boolean, room: number}} props
 */
function Result({ phase, index, began, room }) {
  const own = nameOf(phase.place);
  const tensor = tensorOf(own);
  if (!tensor) return null;
  const picture = pictureAt(own, index);
  const spot = picture?.spotOf(index);
  const words = [
    ownerOf(phase, phase.tensor, own),
    tensor.shape.length === 2 && tensor.shape[0] > 1 && `row ${index[0]}`,
  ]
    .filter(Boolean)
    .join(", ");
  const one = picture && picture.rows * picture.columns === 1;
  const flat = picture && !one && picture.rows === 1 && picture.columns <= ROW;
  return html`<${Part} caption=${html`<${TensorSymbol} name=${phase.tensor} kind=${phase.kind} /> ${words}`}>
    ${
      one &&
      html`<div class="centred" style="height:${rem(150)}"><${Single} place=${at(own, index)} result=${began}
      width=${72} height=${50} /></div>`
    }
    ${
      picture &&
      !one &&
      (flat
        ? html`<${Column} prefix=${own} index=${index} began=${began} name=${phase.tensor} />`
        : html`<${Map2D} picture=${picture} target=${room}
          rings=${began && spot ? [{ row: spot[0], column: spot[1], rows: 1, columns: 1, look: "ring" }] : []}
        name=${phase.tensor} label="${plain(phase.tensor)}" glide />`)
    }
    ${
      began &&
      !flat &&
      !one &&
      html`<div class="under"><${Single} place=${at(own, index)} result width=${72}
      height=${34} /></div>`
    }<//>`;
}

/**
 * A short vector as columns of at most five numbers.
 * @param {{prefix: string, index: number[], began: boolean, name: string, look?: "result"|"read"}} props
 */
function Column({ prefix, index, began, name, look = "result" }) {
  const tensor = tensorOf(prefix);
  if (!tensor) return null;
  const length = tensor.shape.at(-1) ?? 1;
  const across = Math.ceil(length / 5);
  const tall = Math.ceil(length / across);
  const cell = (/** @type {number} */ k) => {
    const here = [...index.slice(0, -1), k];
    return {
      value: tensor.data[ravel(here, tensor.shape)],
      index: here,
      letter: String(k),
      state: /** @type {"known"|"notyet"} */ (isKnown(at(prefix, here)) ? "known" : "notyet"),
      mark: /** @type {"result"|"read"|""} */ (began && k === index.at(-1) ? look : ""),
    };
  };
  const cells = Array.from({ length: tall }, (_, r) =>
    Array.from({ length: across }, (_c, c) => r + c * tall)
      .filter(k => k < length)
      .map(cell),
  );
  const exponent = exponentOf(
    cells
      .flat()
      .filter(({ state }) => state === "known")
      .map(({ value }) => value),
  );
  return html`${exponent !== 0 && html`<span class="soft">${factor(exponent)}</span>`}<${NumberGrid} prefix=${prefix}
    kind=${tensor.kind} range=${rangeOf(prefix)} cells=${cells}
    width=${84} height=${exponent ? 28 : 32} exponent=${exponent} name=${name} label=${plain(name)} />`;
}

/**
 * A read beside the result.
 * @param {{view: ReturnType<typeof viewOf>, phase: Phase, room: number, began: boolean}} props
 */
function View({ view, phase, room, began }) {
  const { read, tensor, index, running } = view;
  if (!tensor) return null;
  const own = nameOf(read.tensor);
  const axis = running.length === 1 ? running[0] : undefined;
  const rank = tensor.shape.length;
  const folded = rank <= 2 ? pictureAt(own, index, rank ? (axis ?? rank - 1) : undefined) : pictureAt(own, index);
  const alone = running.length === 0;
  const whole = folded && folded.rows * folded.columns > 1;
  const words = [
    read.kind === "weight" ? "" : ownerOf(phase, read.name, own),
    folded?.title && rank === 2 ? (axis === 0 ? `column ${folded.title}` : `row ${folded.title}`) : "",
    rank >= 3 && tensor.shape[1] > 1 ? `map ${index[1]}` : "",
    rank === 1 ? String(index[0]) : "",
  ]
    .filter(Boolean)
    .join(", ");
  const spot = alone && folded ? folded.spotOf(index) : null;
  return html`<${Part} caption=${html`<${TensorSymbol} name=${read.name} kind=${read.kind} /> ${words}`}>
    ${
      alone && rank === 2 && folded && folded.rows === 1 && whole
        ? html`<${Column} prefix=${own} index=${index} began=${began} name=${read.name} look="read" />`
        : whole && (rank > 1 || folded.columns > ROW)
          ? html`<${Map2D} picture=${folded} target=${room} name=${read.name} label="${plain(read.name)} ${words}"
        rings=${began && spot ? [{ row: spot[0], column: spot[1], rows: 1, columns: 1, look: "read" }] : []} />
      ${
        alone &&
        began &&
        html`<div class="under"><${Single} place=${at(own, index)} width=${72} height=${34}
        /></div>`
      }`
          : began &&
            html`<div class="centred" style="height:${rem(150)}"><${Single} place=${at(own, index)} width=${72}
              height=${50} /></div>`
    }<//>`;
}

/**
 * Factors of few terms, pair beneath pair.
 * @param {{views: ReturnType<typeof viewOf>[], phase: Phase, width: number}} props
 */
function Rows({ views, phase, width }) {
  const length = views[0].count;
  const cell = Math.min(64, Math.max(26, (width - 60) / length));
  return html`<div class="pairs">
    <div class="ladder-row" aria-hidden="true"><span
      class="ladder-name"></span>${Array.from(
        { length },
        (_, k) => html`<span class="ladder-head"
        style="width:${rem(cell)}">${k}</span>`,
      )}</div>
    ${views.map(({ read, tensor, index, running }) => {
      if (!tensor) return null;
      const own = nameOf(read.tensor);
      const cells = Array.from({ length }, (_, k) => {
        const here = index.map((v, axis) => (axis === running[0] ? k : v));
        return {
          value: tensor.data[ravel(here, tensor.shape)],
          index: here,
          letter: "",
          state: /** @type {"known"|"notyet"} */ (isKnown(at(own, here)) ? "known" : "notyet"),
        };
      });
      const exponent = exponentOf(cells.map(({ value }) => value));
      return html`<div class="ladder-row"><span class="ladder-name"><${TensorSymbol} name=${read.name} kind=${read.kind}
        /> ${factor(exponent)}</span>
        <${NumberGrid} prefix=${own} kind=${tensor.kind} range=${rangeOf(own)} cells=${[cells]}
          width=${cell} height=${40} letters=${false}
          numbers=${cell >= 44} exponent=${exponent} name=${read.name}
            label="${ownerOf(phase, read.name, own)} ${plain(read.name)}" /></div>`;
    })}</div>`;
}

/** @param {{phase: Phase, figure: {reads: Read[]}}} props */
export function Ladder({ phase, figure }) {
  const cell = position.value?.cell ?? -1;
  const size = figureSizes();
  const index = indexAt(phase, cell);
  const rows = rowsOf(phase, figure.reads);
  const length = Math.max(1, ...rows.map(({ length: n }) => n));
  const head = size.narrow ? 44 : 96;
  const width = Math.min(74, Math.max(size.narrow ? 26 : 44, (size.inner - head - 8) / length));
  const numbers = width >= 44;
  const height = rows.length > 4 ? 26 : 30;
  const bars = phase.shape.length > 0 && phase.kind === "gradient";
  const at0 = index.at(-1) ?? 0;
  return html`<div class="figure ladder" style="--head:${rem(head)}">
    <div class="ladder-rows">
      <div class="ladder-row heads" aria-hidden="true"><span class="ladder-name"></span>${Array.from(
        { length },
        (_, k) => html`<span
        class="ladder-head ${phase.shape.length && k === at0 && cell >= 0 ? "now" : ""} ${
          k === label.value && length === 10 ? "label" : ""
        }" style="width:${rem(width)}">${k}</span>`,
      )}</div>
      ${rows.map(row => {
        const cells = Array.from({ length: row.length }, (_, k) => {
          const here = row.index(k);
          const there = isKnown(at(row.prefix, here));
          return {
            value: row.tensor.data[ravel(here, row.tensor.shape)],
            index: here,
            letter: "",
            state: /** @type {"known"|"notyet"} */ (there ? "known" : "notyet"),
            mark: /** @type {"result"|""} */ (
              row.result && cell >= 0 && (row.length === 1 || k === at0) ? "result" : ""
            ),
          };
        });
        const exponent = exponentOf(cells.filter(({ state }) => state === "known").map(({ value }) => value));
        return html`<div class="ladder-row ${row.result ? "sum" : ""}" key=${row.prefix}>
          <span class="ladder-name"><${TensorSymbol}
            name=${row.result && row.tensor.shape.length === 0 ? "L" : row.name}
            kind=${row.tensor.kind} /> ${factor(exponent)}</span>
          <${NumberGrid} prefix=${row.prefix} kind=${row.tensor.kind}
            range=${rangeOf(row.prefix)} cells=${[cells]}
            width=${row.length === 1 ? Math.max(width, 60) : width} height=${height} letters=${false}
              numbers=${numbers || row.length === 1} exponent=${exponent} name=${row.name} label=${plain(row.name)} />
        </div>`;
      })}
      ${bars && html`<${Bars} phase=${phase} width=${width} length=${length} />`}
    </div></div>`;
}

/**
 * Inputs, the named steps between, the result: every one that is a short vector or a single number.
 * @param {Phase} phase
 * @param {Read[]} reads
 */
function rowsOf(phase, reads) {
  const fresh = freshSteps(phase);
  const named = [
    ...(fresh.length === phase.steps.length && fresh.length && phase.part !== "backward"
      ? [{ name: "x", prefix: `${phase.layer}/x` }]
      : []),
    ...fresh
      .filter(({ name }) => !reads.some(read => read.name === name))
      .map(({ name }) => ({ name, prefix: `${phase.layer}/${name}` })),
    ...reads.map(({ name, tensor }) => ({ name, prefix: tensor })),
  ];
  const seen = new Set([nameOf(phase.place)]);
  const rows = [];
  for (const { name, prefix } of [...named, { name: phase.tensor, prefix: phase.place }]) {
    const own = nameOf(prefix);
    const result = prefix === phase.place;
    const tensor = tensorOf(own);
    if (!tensor || (seen.has(own) && !result)) continue;
    seen.add(own);
    const { shape } = tensor;
    const length = shape.length === 0 ? 1 : (shape.at(-1) ?? 1);
    if (shape.length > 2 || length > ROW || (shape.length === 2 && shape[0] > 1 && !result)) continue;
    rows.push({
      name,
      prefix: own,
      tensor,
      length,
      result,
      index: (/** @type {number} */ k) => shape.map((_, axis) => (axis === shape.length - 1 ? k : 0)),
    });
  }
  return rows;
}

/** The result as bars from a line of zero. @param {{phase: Phase, width: number, length: number}} props */
function Bars({ phase, width, length }) {
  const tensor = tensorOf(phase.place);
  if (!tensor) return null;
  const range = rangeOf(phase.place);
  const most = Math.max(...Array.from(tensor.data, Math.abs), 1e-12);
  const theme = scheme.value;
  return html`<div class="ladder-row bar-row" aria-hidden="true"><span class="ladder-name"></span>
    ${Array.from({ length }, (_, k) => {
      const value = tensor.data[k];
      const there = isKnown(
        at(
          nameOf(phase.place),
          tensor.shape.map((_s, axis) => (axis === tensor.shape.length - 1 ? k : 0)),
        ),
      );
      const high = there ? (17 * Math.abs(value)) / most : 0;
      return html`<span class="bar-cell" style="width:${rem(width)}"><i
        style="height:${rem(there && value ? Math.max(1.5, high) : 0)};${
          value < 0 ? "top:50%" : "bottom:50%"
        };background:${css("gradient", value, range, theme)}"></i></span>`;
    })}</div>`;
}
