/** One number set by hand: what the loss does, beside the slope that the backward pass says, and what follows. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { html } from "../html.js";
import { largest, roundUp } from "../../core/colour.js";
import { alone, count, percent } from "../../core/format.js";
import { nudgeOf } from "../../net/session.js";
import { Refused } from "../../net/requests.js";
import { parse, ravel } from "../../core/place.js";
import {
  base,
  className,
  edits,
  nameOf,
  timeline,
  setNumber,
  setTo,
  source,
  tensorOf,
  numberAt,
} from "../../state/store.js";
import { untouched } from "../../state/compare.js";
import { Tiles } from "../train/tiles.js";

/** @typedef {{data: ArrayLike<number>, shape: number[]}} Numbers */

/** How far a number is moved at most: a power of ten, at least as large as the number. @param {number} value */
const spanOf = value => 10 ** Math.ceil(Math.log10(Math.max(Math.abs(value), 0.1)) - 1e-9);

const EPSILONS = Array.from({ length: 10 }, (_, k) => 10 ** -(k + 1));

/** A power of ten. Superscript digits are not in every font, the minus sign is. @param {number} value */
function power(value) {
  const exponent = Math.round(Math.log10(value));
  return exponent ? html`10<sup>${String(exponent).replace("-", "\u2212")}</sup>` : "1";
}

/** The change of a number, with its sign. @param {number} value */
const change = value => `${value > 0 ? "+" : ""}${alone(value)}`;

/** @param {{place: string, made: boolean}} props made: whether a layer computes the number */
export function Nudge({ place, made }) {
  const before = base.value && untouched.value?.pass === base.value.pass ? untouched.value.tensors : null;
  const [told, tell] = useState(/** @type {any} */ (null));
  const [refused, refuse] = useState("");
  const pass = source.value?.kind === "pass" ? source.value.pass : null;
  const clean = base.value?.pass ?? pass;
  const own = before?.get(nameOf(place));
  const found = own ? own.data[ravel(parse(place).index, own.shape)] : edits.value.length ? undefined : numberAt(place);
  // Between the first change and the numbers before it the slider must stay under the hand.
  const last = useRef(/** @type {{place: string, value: number|undefined}} */ ({ place, value: found }));
  if (found !== undefined || last.current.place !== place) last.current = { place, value: found };
  const { value } = last.current;
  const there = value !== undefined;
  const span = there ? spanOf(value) : 1;
  useEffect(() => {
    if (made || !there || !clean) return;
    let gone = false;
    nudgeOf(place, [...new Set([span, ...EPSILONS])]).then(
      answer => {
        if (gone) return;
        tell(answer);
        refuse("");
      },
      error => !gone && error instanceof Refused && refuse(error.message),
    );
    return () => {
      gone = true;
    };
  }, [place, clean, there]);
  if (source.value?.kind === "step")
    return html`<p class="note">A whole minibatch is looked at here. Choose one image, and its numbers can be
      changed.</p>`;
  if (value === undefined) return html`<p class="note soft">…</p>`;
  const now = setTo(place) ?? value;
  const loss = { before: base.value?.loss ?? numberAt("loss/y"), now: numberAt("loss/y") };
  const set = (/** @type {Event} */ event) => {
    const typed = /** @type {HTMLInputElement} */ (event.currentTarget).valueAsNumber;
    if (Number.isFinite(typed)) setNumber(place, typed);
  };
  return html`<div class="nudge">
    <div class="setting"><input type="number" step="any" aria-label=${`new value of ${place}`}
      value=${Number(now.toPrecision(6))} onChange=${set} />
      ${now !== value && html`<button class="flat" onClick=${() => setNumber(place, null)}>Put back</button>`}</div>
    <input type="range" aria-label=${`move ${place}`} min=${value - span} max=${value + span} step=${span / 100}
      value=${now} onInput=${set} />
    <table class="compared"><thead><tr><td></td><th>before</th><th>by hand</th><th>change</th></tr></thead><tbody>
      <tr><th scope="row">value</th><td>${alone(value)}</td><td>${alone(now)}</td><td>${change(now - value)}</td></tr>
      ${
        loss.before !== undefined &&
        loss.now !== undefined &&
        html`<tr><th
        scope="row">loss</th><td>${alone(loss.before)}</td><td>${alone(loss.now)}</td><td>${change(
          loss.now - loss.before,
        )}</td></tr>`
      }
    </tbody></table>
    ${refused && html`<p class="note soft">${refused}</p>`}
    ${
      told &&
      told.place === place &&
      html`<${Curve} told=${told}
      now=${edits.value.some(edit => edit.place !== place) ? null : now} /><${Slopes} told=${told} />`
    }
    ${before && edits.value.length > 0 && html`<${Follows} before=${before} />`}
  </div>`;
}

const WIDE = 272;
const HIGH = 104;

/**
 * The loss over the number, its tangent, and where gates and winners change.
 * @param {{told: any, now: number|null}} props
 */
function Curve({ told, now }) {
  const { values, losses } = told.curve;
  const points = values
    .map((/** @type {number} */ value, /** @type {number} */ k) => [value, losses[k]])
    .filter((/** @type {number[]} */ [, loss]) => Number.isFinite(loss));
  if (points.length < 2) return null;
  const [first, last] = [values[0], values[values.length - 1]];
  const all = points.map((/** @type {number[]} */ [, loss]) => loss);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const x = (/** @type {number} */ value) => ((value - first) / (last - first)) * WIDE;
  const y = (/** @type {number} */ loss) => HIGH - 16 - ((loss - low) / (high - low || 1)) * (HIGH - 26);
  const tangent = (/** @type {number} */ value) => y(told.loss + told.gradient * (value - told.value));
  const near = (last - first) / 5;
  const on = now !== null && now >= first && now <= last ? now : null;
  const nearest = on === null ? null : lossAt(points, on);
  return html`<svg class="loss-curve" viewBox="0 0 ${WIDE} ${HIGH}" role="img"
      aria-label=${`the loss from ${alone(low)} to ${alone(high)} while the number goes
        from ${alone(first)} to ${alone(last)}; its slope here is ${alone(told.gradient)}`}>
      <line class="base" x1="0" x2=${WIDE} y1=${HIGH - 8} y2=${HIGH - 8} />
      ${told.kinks.map(
        (/** @type {any} */ { at }) => html`<line class="kink" x1=${x(at)} x2=${x(at)} y1=${HIGH - 14}
        y2=${HIGH - 8} />`,
      )}
      <polyline points=${points.map((/** @type {number[]} */ [value, loss]) => `${x(value)},${y(loss)}`).join(" ")} />
      <line class="tangent" x1=${x(told.value - near)} x2=${x(told.value + near)} y1=${tangent(told.value - near)}
        y2=${tangent(told.value + near)} />
      <circle cx=${x(told.value)} cy=${y(told.loss)} r="4" />
      ${
        on !== null &&
        on !== told.value &&
        nearest !== null &&
        html`<circle class="moved" cx=${x(on)} cy=${y(nearest)}
        r="5" />`
      }
    </svg>
    <div class="curve-ends soft"><span>${alone(first)}</span><span>loss over the
      value</span><span>${alone(last)}</span></div>
    ${
      told.kinks.length > 0 &&
      html`<p class="note soft">At each tick a ReLU or a maximum
      switches: ${count(told.kinks.length)} of them in this range.</p>`
    }`;
}

/** Between two points of a curve. @param {number[][]} points @param {number} value */
function lossAt(points, value) {
  const k = points.findIndex(([at]) => at >= value);
  if (k <= 0) return k === 0 ? points[0][1] : null;
  const [[a, before], [b, after]] = [points[k - 1], points[k]];
  return before + ((value - a) / (b - a)) * (after - before);
}

/** @param {{told: any}} props */
function Slopes({ told }) {
  const best = told.differences.reduce((/** @type {any} */ most, /** @type {any} */ each) =>
    each.digits > most.digits ? each : most,
  );
  return html`<table class="compared slopes"><tbody>
      <tr><th scope="row">slope by the backward pass</th><td class="grad">${alone(told.gradient)}</td></tr>
      <tr><th scope="row">slope by ± ${power(best.eps)}</th><td>${alone(best.slope)}</td></tr></tbody></table>
    <p class="note">${verdict(told, best)}</p>
    <details><summary>The same at every ε</summary><table
      class="compared"><thead><tr><th>ε</th><th>slope</th><th>digits that agree</th></tr></thead>
      <tbody>${told.differences.map(
        (/** @type {any} */ { eps, slope, digits }) =>
          html`<tr><td>${power(eps)}</td><td>${alone(slope)}</td><td>${digits}</td></tr>`,
      )}</tbody></table></details>`;
}

/** @param {any} told @param {any} best */
function verdict({ verdict: said, below, above }, best) {
  if (said === "kink")
    return `Two slopes meet exactly here, ${alone(below)} below and ${alone(above)} above: a ReLU or a maximum switches.
      The backward pass takes one of them.`;
  if (said === "round_off") return "The gradient is too small to be seen in two losses: rounding hides it.";
  if (said === "differs") return "The two do not agree: more than a gate lies within the smallest ε.";
  return html`${best.digits === 1 ? "One digit agrees" : `${best.digits} digits agree`} at ε = ${power(best.eps)}. With
    a larger ε the loss bends, with a smaller one its digits are rounded away.`;
}

/** What the numbers set by hand did to every layer. @param {{before: Map<string, Numbers>}} props */
function Follows({ before }) {
  const whole = /** @type {Timeline} */ (timeline.value);
  const rows = whole.phases.flatMap(({ place, part, layer }) => {
    const was = before.get(nameOf(place));
    const now = tensorOf(place);
    if (part !== "forward" || !was || !now || was.data.length !== now.data.length) return [];
    const moved = Float32Array.from(now.data, (value, k) => value - was.data[k]);
    const many = moved.reduce((sum, value) => sum + Number(value !== 0), 0);
    return [{ place, layer, moved, many, shape: now.shape }];
  });
  return html`<h3 class="card-title">What follows</h3>
    <table class="compared follows"><thead><tr><th>layer</th><th>cells that move</th><th>at
      most</th></tr></thead><tbody>${rows.map(
        ({ place, ...row }) => html`<${Moved} key=${place} ...${row} />`,
      )}</tbody></table><${Answers} before=${before} />`;
}

/** @param {{layer: string, moved: Float32Array, many: number, shape: number[]}} props */
function Moved({ layer, moved, many, shape }) {
  const most = largest(moved);
  const [, , rows, columns] = shape;
  const picture = useMemo(() => {
    if (shape.length !== 4 || most === 0) return null;
    const size = rows * columns;
    const map = Math.floor(moved.findIndex(value => Math.abs(value) === most) / size);
    const data = moved.subarray(map * size, (map + 1) * size);
    return { map, data, count: 1, rows, columns, kind: /** @type {Kind} */ ("value"), range: roundUp(most) };
  }, [moved]);
  const [draw, words] = useMemo(() => [() => picture, picture && `map ${picture.map}`], [picture]);
  return html`<tr><th
    scope="row">${layer}</th><td>${many ? `${count(many)} of ${count(moved.length)}` : "none"}</td><td>${
      many ? alone(most) : ""
    }</td></tr>
    ${
      picture &&
      html`<tr class="picture"><td colspan="3"><div class="pictured"><${Tiles} picture=${draw} across=${1} width=${64}
        height=${(64 * rows) / columns} framed=${true}
      label=${`the change of ${layer}, ${words}`} /><span class="soft">${words}, the change</span></div></td></tr>`
    }`;
}

/** The answer before and now: the classes that moved most. @param {{before: Map<string, Numbers>}} props */
function Answers({ before }) {
  const was = before.get(nameOf("loss/p"));
  const now = tensorOf("loss/p");
  if (!was || !now || now.shape.length !== 2) return null;
  const classes = Array.from(now.data, (value, k) => ({ k, from: was.data[k], to: value }));
  classes.sort((a, b) => Math.abs(b.to - b.from) - Math.abs(a.to - a.from));
  return html`<table class="compared"><thead><tr><th>class</th><th>before</th><th>by
    hand</th></tr></thead><tbody>${classes
      .slice(0, 3)
      .map(
        ({ k, from, to }) =>
          html`<tr><th scope="row">${className(k)}</th><td>${percent(from)}</td><td>${percent(to)}</td></tr>`,
      )}</tbody></table>`;
}
