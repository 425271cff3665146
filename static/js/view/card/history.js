/** A number over the training: its curve, and any of its steps to look at. */

import { useEffect, useState } from "preact/hooks";

import { html } from "../html.js";
import { alone, count } from "../../core/format.js";
import { historyOf } from "../../net/session.js";
import { Refused } from "../../net/requests.js";
import { atStep, run, source, step } from "../../state/store.js";

const WIDE = 272;
const HIGH = 120;

/** @param {{place: string}} props */
export function History({ place }) {
  const [told, tell] = useState(/** @type {Awaited<ReturnType<typeof historyOf>>|null} */ (null));
  const [refused, refuse] = useState("");
  const { kind, ...what } = source.value ?? { kind: "" };
  const image = kind === "pass" ? JSON.stringify({ ...what, pass: undefined }) : kind;
  useEffect(() => {
    let gone = false;
    historyOf(place).then(
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
  }, [place, run.value?.step, image]);
  if (refused) return html`<p class="note soft">${refused}</p>`;
  if (!told) return html`<p class="note soft">…</p>`;
  if (told.steps.length < 2)
    return html`<p class="note">It has no history yet. Train a few steps, and its curve is drawn here.</p>`;
  return html`<div class="history"><${Curve} told=${told} /></div>`;
}

/** @param {{told: {steps: number[], values: (number|null)[]}}} props */
function Curve({ told: { steps, values } }) {
  const [first, last] = [steps[0], steps[steps.length - 1]];
  const points = steps.flatMap((at, k) => (Number.isFinite(values[k]) ? [[at, Number(values[k])]] : []));
  const all = points.map(([, value]) => value);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const x = (/** @type {number} */ at) => ((at - first) / (last - first)) * WIDE;
  const y = (/** @type {number} */ value) => HIGH - 10 - ((value - low) / (high - low || 1)) * (HIGH - 20);
  const here = step.value ?? last;
  const at = points.reduce(
    (best, point) => (Math.abs(point[0] - here) < Math.abs(best[0] - here) ? point : best),
    [Infinity, 0],
  );
  const look = (/** @type {Event} */ event) => {
    const to = /** @type {HTMLInputElement} */ (event.currentTarget).valueAsNumber;
    if (to !== step.value) atStep(to);
  };
  return html`<svg class="loss-curve" viewBox="0 0 ${WIDE} ${HIGH}" role="img"
      aria-label=${`its value from step ${first} to step ${last}, between ${alone(low)} and ${alone(high)}`}>
      ${low <= 0 && high >= 0 && html`<line class="base" x1="0" x2=${WIDE} y1=${y(0)} y2=${y(0)} />`}
      <polyline points=${points.map(([when, value]) => `${x(when)},${y(value)}`).join(" ")} />
      ${
        here >= first &&
        here <= last &&
        points.length > 0 &&
        html`<line class="base" x1=${x(here)} x2=${x(here)} y1="0"
        y2=${HIGH} /><circle class="moved" cx=${x(at[0])} cy=${y(at[1])} r="5" />`
      }
    </svg>
    <input type="range" aria-label="look at the step" min=${first} max=${last} step="1" value=${here} onInput=${look} />
    <div class="curve-ends soft"><span>${count(first)}</span><span>steps</span><span>${count(last)}</span></div>
    <table class="compared"><tbody>
      <tr><th scope="row">largest</th><td>${alone(high)}</td></tr>
      <tr><th scope="row">smallest</th><td>${alone(low)}</td></tr>
      <tr><th scope="row">after
        step ${count(here)}</th><td>${points.length ? alone(at[1]) : ""}</td></tr></tbody></table>
    <p class="note soft">Move the handle, and the whole page shows that step again, bit for bit.</p>`;
}
