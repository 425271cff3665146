/** Cell by cell: what stands at one place goes in, and one number comes out at the same place. */

import { html } from "../../html.js";
import { entriesOf } from "../../../core/term_rows.js";
import { exponentOf, factor } from "../../../core/format.js";
import { constant } from "../../../core/printed.js";
import { told } from "../step_state.js";
import { at, ravel } from "../../../core/place.js";
import { indexAt, lettersAt } from "../../../core/timeline.js";
import { positionOn } from "../../../core/windows.js";
import { cellTime, isKnown, known, nameOf, position, rangeOf, tensorOf } from "../../../state/store.js";
import { NumberGrid } from "../number_grid.js";
import { rem } from "../heatmap.js";
import { TensorSymbol, plain } from "../symbol.js";
import { byHand } from "../labels.js";
import { Caption, ZoomLines, Map2D, Part, Sign, Single, cellFor, figureSizes, pictureAt } from "./parts.js";

/** @param {{phase: Phase, figure: Extract<Figure, {kind: "cells"}>}} props */
export function Cells({ phase, figure }) {
  const cell = position.value?.cell ?? -1;
  const index = indexAt(phase, cell);
  const letters = lettersAt(phase, cell);
  const result = tensorOf(phase.place);
  if (!result) return null;
  const unique = [...new Map(figure.reads.map(read => [nameOf(read.tensor), read])).values()];
  if (figure.update)
    return html`<${Update} phase=${phase} reads=${unique} index=${index} letters=${letters} began=${cell >= 0} />`;
  const back = phase.kind === "gradient";
  const main = unique.find(read => read.kind === phase.kind && read.role !== "test") ?? unique[0];
  const gates = unique.filter(read => read !== main);
  const size = figureSizes();
  const target = size.narrow ? Math.min(128, (size.inner - 24) / 2) : size.map;
  const mainIndex = indexOf(main, letters);
  const place = at(nameOf(phase.place), index);
  const input = valueAt(main.tensor, mainIndex);
  const output = valueAt(phase.place, index);
  const began = cell >= 0;
  const source = mapPart(phase, main.name, main.kind, main.tensor, mainIndex, target, began ? "read" : null);
  const own = mapPart(phase, phase.tensor, phase.kind, phase.place, index, target, began ? "ring" : null);
  if (!source || !own) return null;
  const unit = (/** @type {any} */ picture) => cellFor(Math.max(picture.rows, picture.columns), target);
  const zoom = (/** @type {any} */ part, /** @type {boolean} */ flip) => {
    const [row, column] = part.spot;
    const u = unit(part.picture);
    return html`<${ZoomLines} edge=${flip ? [44, 106] : [44, 106]} ring=${[row * u, (row + 1) * u]} flip=${flip}
      depth=${flip ? column * u : (part.picture.columns - column - 1) * u} />`;
  };
  const single = (
    /** @type {string} */ at2,
    /** @type {string} */ name,
    /** @type {string} */ kind,
    /** @type {string} */ words,
    look = "",
  ) => html`<${Part}
    caption=${html`<${TensorSymbol} name=${name} kind=${kind} /> ${words}`}><div class="centred"
      style="height:${rem(150)}">
      <${Single} place=${at2} width=${79} height=${62} look=${look} /></div><//>`;
  const opened = began && output !== undefined && (output !== 0 || input === 0);
  const passes = began && input !== undefined && output !== undefined;
  const choice = phase.reads.some(({ role }) => role === "test") || / if /.test(phase.sentence);
  const verdict =
    !passes || !choice ? "" : input === 0 && back ? "nothing to pass" : opened ? "lets it through" : "blocks it";
  const inside = began && html`${single(at(nameOf(main.tensor), mainIndex), main.name, main.kind, "this cell")}`;
  const outside = began && single(place, phase.tensor, phase.kind, "this cell", "result");
  const gateParts =
    began &&
    gates.map(gate => {
      const gateIndex = indexOf(gate, letters);
      const value = valueAt(gate.tensor, gateIndex);
      const test = gate.role === "test";
      return html`<${Part} kind="gate" caption=${html`<${TensorSymbol} name=${gate.name} kind=${gate.kind}
        /> ${test ? "the gate" : ""}`}>
      <div class="centred" style="height:${rem(150)}"><${Single} place=${at(nameOf(gate.tensor), gateIndex)} width=${79}
        height=${62} />
      ${
        test &&
        value !== undefined &&
        html`<span class="verdict">${plain(gate.name)} ${value > 0 ? "> 0" : "≤ 0"}<br
        />${verdict}</span>`
      }</div><//>`;
    });
  const arrow = (/** @type {string} */ text) => html`<${Sign} height=${150}>${text}<//>`;
  const gate = html`<${Sign} height=${150}><span
    class="verb ${verdict === "blocks it" ? "blocked" : ""}">${verdict}</span>→<//>`;
  const curve =
    began && !gates.length && !size.narrow && html`<${Curve} x=${main} phase=${phase} at2=${[input, output]} />`;
  if (size.narrow) {
    return html`<div class="figure maps">${back ? [own.view, source.view] : [source.view, own.view]}</div>
      <div class="figure pair">${back ? [outside, gateParts, inside] : [inside, gateParts, outside]}</div>`;
  }
  if (back) {
    return html`<div class="figure"><div
      class="joined">${own.view}${began && zoom(own, false)}${outside}</div>${arrow("←")}
      ${gateParts}${arrow("←")}<div class="joined">${inside}${began && zoom(source, true)}${source.view}</div></div>`;
  }
  return html`<div class="figure"><div class="joined">${source.view}${began && zoom(source, false)}${inside}</div>
    ${gates.length ? html`${arrow("→")}${gateParts}${arrow("→")}` : html`${gate}${curve}`}
    <div class="joined">${outside}${began && zoom(own, true)}${own.view}</div></div>`;
}

/** @param {Read} read @param {Record<string, number>} letters */
const indexOf = (read, letters) => read.axes.map(axis => (axis && positionOn(axis, letters)) ?? 0);

/** @param {string} prefix @param {number[]} index */
function valueAt(prefix, index) {
  const tensor = tensorOf(prefix);
  return tensor?.data[ravel(index, tensor.shape)];
}

/**
 * @param {Phase} phase
 * @param {string} name
 * @param {string} kind
 * @param {string} prefix
 * @param {number[]} index
 * @param {number} target
 * @param {"ring"|"read"|null} look
 */
function mapPart(phase, name, kind, prefix, index, target, look) {
  const picture = pictureAt(prefix, index);
  if (!picture) return null;
  const spot = picture.spotOf(index) ?? [0, 0];
  const rings = look ? [{ row: spot[0], column: spot[1], rows: 1, columns: 1, look }] : [];
  return {
    picture,
    spot,
    view: html`<${Part} caption=${html`<${Caption} phase=${phase} name=${name} kind=${kind} prefix=${nameOf(prefix)}
      lead=${index.slice(0, -2)} />`}>
    <${Map2D} picture=${picture} target=${target} rings=${rings} name=${name} glide=${cellTime.value >= 300}
      label="${plain(name)}" /><//>`,
  };
}

/**
 * Every output over its input: the curve that the numbers themselves draw.
 * @param {{x: Read, phase: Phase, at2: (number|undefined)[]}} props
 */
function Curve({ x, phase, at2 }) {
  const from = tensorOf(x.tensor);
  const to = tensorOf(phase.place);
  if (!from || !to || from.data.length !== to.data.length) return null;
  const there = Math.min(known(phase.place), to.data.length);
  const [width, height] = [132, 118];
  let [left, right, low, high] = [0, 0, 0, 0];
  for (let k = 0; k < from.data.length; k++) {
    left = Math.min(left, from.data[k]);
    right = Math.max(right, from.data[k]);
    low = Math.min(low, to.data[k]);
    high = Math.max(high, to.data[k]);
  }
  const px = (/** @type {number} */ v) => 6 + ((width - 12) * (v - left)) / (right - left || 1);
  const py = (/** @type {number} */ v) => height - 6 - ((height - 12) * (v - low)) / (high - low || 1);
  const stride = Math.max(1, Math.floor(there / 300));
  const dots = [];
  for (let k = 0; k < there; k += stride) dots.push(`M${px(from.data[k]).toFixed(1)} ${py(to.data[k]).toFixed(1)}h0`);
  return html`<${Part} kind="curve" caption=${html`<${TensorSymbol} name=${phase.tensor} kind=${phase.kind}
    /> over <${TensorSymbol}
    name=${x.name} kind=${x.kind} />`}>
    <svg class="dots" style="width:${rem(width)};height:${rem(height)}" viewBox="0 0 ${width} ${height}" role="img"
      aria-label="every output so far over its input">
      <path class="axis" d="M0 ${py(0)}H${width}M${px(0)} 0V${height}" />
      <path class="points" d=${dots.join("")} />
      ${at2[0] !== undefined && at2[1] !== undefined && html`<circle cx=${px(at2[0])} cy=${py(at2[1])} r="4.5" />`}
    </svg><//>`;
}

/**
 * A parameter, what moves it and what it becomes.
 * @param {{phase: Phase, reads: Read[], index: number[], letters: Record<string, number>, began: boolean}} props
 */
function Update({ phase, reads, index, letters, began }) {
  const size = figureSizes();
  const given = [...reads].sort(
    (a, b) =>
      Number(b.kind === "weight" && !b.name.includes(".")) - Number(a.kind === "weight" && !a.name.includes(".")),
  );
  const parameter = phase.tensor.replace(/_next$/, "");
  const gradient = `${phase.layer}/d${parameter}`;
  const through = reads.some(read => nameOf(read.tensor) === nameOf(gradient));
  const first = given[0];
  const others = given.slice(1);
  const read = /** @type {"read"} */ ("read");
  const moved = began && told.value ? entriesOf(told.value.whole).find(({ factors }) => factors.length > 1) : undefined;
  const rates = moved?.factors.filter(each => each.constant || isScalar(each)) ?? [];
  const made = others.length === 1 ? madeOf(phase, others[0]) : [];
  const over = moved?.factors.find(each => each.over)?.over;
  /** What stands before the next slice. */
  const rate = rates.reduce((product, each) => product * each.value, 1);
  const scaled = rates.length && rate !== 1 ? `× ${constant(rate, false).text}` : "";
  const many = others.length > 2;
  const last = many ? html`<span class="verb">go<br />into</span>→` : html`<span class="verb">${scaled}</span>+`;
  /**
   * @type {{name: string, kind: string, tensor: string, index: number[], look: "ring"|"read"|null, words: string,
   *   before: any}[]}
   */
  const shown = [
    ...made.map(({ name, tensor, kind, factor: by }, k) => ({
      name,
      kind,
      tensor,
      index,
      look: read,
      words: "",
      before: html`${k > 0 && "+"}<span class="verb">${by}</span>`,
    })),
    ...(!through && !made.length && tensorOf(gradient)
      ? [{ name: `d${parameter}`, kind: "gradient", tensor: gradient, index, look: read, words: "", before: "" }]
      : []),
    ...others.map((each, k) => ({
      name: each.name,
      kind: each.kind,
      tensor: each.tensor,
      index: indexOf(each, letters),
      look: read,
      words: "",
      before: made.length
        ? "="
        : k && many
          ? html`<span class="verb">and</span>`
          : k
            ? html`÷<span class="verb">${over && byHand(over)}</span>`
            : through
              ? ""
              : html`<span class="verb">goes<br />into</span>→`,
    })),
    {
      name: first.name,
      kind: first.kind,
      tensor: first.tensor,
      index: indexOf(first, letters),
      look: read,
      words: "before",
      before: last,
    },
    {
      name: phase.tensor,
      kind: phase.kind,
      tensor: phase.place,
      index,
      look: "ring",
      words: "after",
      before: many ? "→" : "=",
    },
  ];
  const room = (size.inner - (shown.length > 3 ? 76 : 48) * shown.length) / shown.length;
  return html`<div class="figure ${size.narrow ? "wrapped" : ""}">
    ${shown.map(
      ({ name, kind, tensor, index: at2, look, words, before }) => html`
      ${before && html`<${Sign} height=${150}>${before}<//>`}
      <${Slice} name=${name} kind=${kind} prefix=${tensor} index=${at2} look=${began ? look : null} words=${words}
        room=${size.narrow ? 150 : Math.min(190, room)} />`,
    )}</div>`;
}

/** A number that all weights share. @param {{tensor?: string|null}} factor */
const isScalar = ({ tensor }) => Boolean(tensor) && tensorOf(/** @type {string} */ (tensor))?.shape.length === 0;

/**
 * What a named step of an update adds up, each with its number: 0.9 × v and ∂L/∂w for v′; nothing where it is no such
 * sum.
 * @param {Phase} phase @param {Read} read
 */
function madeOf(phase, read) {
  const text = phase.steps.find(({ name }) => name === read.name)?.equation.text.split(" = ")[1] ?? "";
  const terms = text
    .replace(/\[[^\]]*\]/g, "")
    .split(" + ")
    .map(term => /^(?:([\d.]+)\*)?([a-z]\w*)$/.exec(term));
  const parameter = phase.tensor.replace(/_next$/, "");
  const found = terms.flatMap(term => {
    if (!term) return [];
    const [, by, name] = term;
    const tensor =
      name === `d${parameter}`
        ? `${phase.layer}/${name}`
        : name === parameter
          ? `${phase.layer}/${name}`
          : `${phase.layer}/${parameter}.${name}`;
    return tensorOf(tensor)
      ? [{ name, tensor, kind: tensorOf(tensor)?.kind ?? "weight", factor: by ? `${by} ×` : "" }]
      : [];
  });
  return found.length === terms.length ? found : [];
}

/**
 * The kernel, row or vector a parameter's cell stands in.
 * @param {{name: string, kind: string, prefix: string, index: number[], look: "ring"|"read"|null, words: string,
 *   room: number}} props
 */
function Slice({ name, kind, prefix, index, look, words, room }) {
  const own = nameOf(prefix);
  const tensor = tensorOf(own);
  if (!tensor) return null;
  const lead = index.slice(0, -2).filter((_, axis) => tensor.shape[axis] > 1);
  const which = index.length >= 3 ? lead.join(",") : index.length === 2 ? `row ${index[0]}` : "";
  const [rows, columns] = index.length >= 3 ? tensor.shape.slice(-2) : [1, tensor.shape.at(-1) ?? 1];
  const small = rows <= 3 && columns <= 3 && room / columns >= 55;
  const label = `${plain(name)} ${which}`;
  if (!small) {
    const picture = pictureAt(own, index);
    if (!picture) return null;
    const spot = picture.spotOf(index);
    return html`<${Part} caption=${html`<${TensorSymbol} name=${name} kind=${kind}
      /> ${[which, words].filter(Boolean).join(", ")}`}>
      <${Map2D} picture=${picture} target=${Math.min(look ? 120 : 150, room)}
        rings=${look && spot ? [{ row: spot[0], column: spot[1], rows: 1, columns: 1, look }] : []} name=${name}
          label=${label} />
      <div class="under">${
        look &&
        html`<${Single} place=${at(own, index)} result=${look === "ring"} width=${72}
        height=${34} />`
      }</div><//>`;
  }
  const cells = Array.from({ length: rows }, (_, r) =>
    Array.from({ length: columns }, (_, c) => {
      const here = index.length >= 3 ? [...index.slice(0, -2), r, c] : index.length === 2 ? [index[0], c] : [c];
      const same = here.every((v, a) => v === index[a]);
      return {
        value: tensor.data[ravel(here, tensor.shape)],
        index: here,
        letter: "",
        state: /** @type {"known"|"notyet"} */ (isKnown(at(own, here)) ? "known" : "notyet"),
        mark: /** @type {"result"|""} */ (same && look ? "result" : ""),
      };
    }),
  );
  const exponent = exponentOf(
    cells
      .flat()
      .filter(({ state }) => state === "known")
      .map(({ value }) => value),
  );
  return html`<${Part} caption=${html`<${TensorSymbol} name=${name} kind=${kind}
    /> ${[which, words].filter(Boolean).join(", ")} ${factor(exponent)}`}>
    <${NumberGrid} prefix=${own} kind=${kind} range=${rangeOf(own)} cells=${cells}
      width=${Math.max(50, Math.min(60, room / columns))} height=${50}
      letters=${false} exponent=${exponent} name=${name} label=${label} /><//>`;
}
