/** The curves of loss and accuracy: two canvases drawn at most once a frame, read by pointer and by keyboard. */

import { computed, effect, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import * as curve from "../../core/chart_geometry.js";
import { count, exponentOf, factor, number, percent } from "../../core/format.js";
import { translate } from "../../state/language.js";
import { viewport, run, say, scheme, thing } from "../../state/store.js";
import { digits, metrics, openStep } from "./state.js";
import { html } from "../html.js";

/** Room around the plot in design pixels: axis labels at the left, line ends named at the right. */
const LEFT = 46;
const RIGHT = 104;

/** The step that is being read, null when none is. @type {Signal<number|null>} */
const reading = signal(null);

const smooth = computed(() => {
  const { loss } = metrics.value;
  const span = curve.spanOf(loss.length);
  return { span, loss: curve.smoothed(loss, span) };
});
const lastStep = computed(() => metrics.value.step.at(-1) ?? 0);

/**
 * What both canvases share: paper, lines and words at the right scale.
 * @param {HTMLCanvasElement} canvas @param {number} unit device pixels in a design pixel
 */
function sheet(canvas, unit) {
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const style = getComputedStyle(canvas);
  const colour = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`);
  pen.scale(unit, unit);
  pen.font = `14px ${style.fontFamily}`;
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  return { pen, colour, width: canvas.width / unit, height: canvas.height / unit };
}

/** @param {CanvasRenderingContext2D} pen @param {[number, number][]} points */
function stroke(pen, points) {
  pen.beginPath();
  points.forEach(([x, y], k) => (k ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.stroke();
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{top: number, ticks: number[], tick: (value: number) => string, steps: boolean, above: number, below: number,
 *   raw?: {step: number[], value: ArrayLike<number>},
 *   lines: {step: number[], value: ArrayLike<number>, dash?: boolean, dots?: boolean, name: (value: number) =>
 * string}[]}} plan
 */
function draw(canvas, plan) {
  const unit = viewport.value.scale * devicePixelRatio;
  const { pen, colour, width, height } = sheet(canvas, unit);
  const last = Math.max(2, lastStep.value);
  const frame = {
    first: 1,
    last,
    top: plan.top,
    left: LEFT,
    right: width - RIGHT,
    above: plan.above,
    below: height - plan.below,
  };

  pen.lineWidth = 1;
  pen.strokeStyle = colour("rule");
  pen.fillStyle = colour("ink2");
  pen.textAlign = "right";
  for (const value of plan.ticks) {
    const y = Math.round(curve.yOf(frame, value)) + 0.5;
    stroke(pen, [
      [frame.left, y],
      [frame.right, y],
    ]);
    pen.fillText(translate(plan.tick(value)), frame.left - 8, y, LEFT - 8);
  }
  pen.strokeStyle = colour("rule2");
  pen.setLineDash([1.5, 3]);
  for (const { epoch, step } of curve.epochEnds(run.value?.steps_per_epoch ?? 0, lastStep.value)) {
    const x = Math.round(curve.xOf(frame, step)) + 0.5;
    stroke(pen, [
      [x, 2],
      [x, frame.below],
    ]);
    if (!plan.steps && x - frame.left > 60) pen.fillText(translate(`epoch ${epoch}`), x - 6, 10);
  }
  pen.setLineDash([]);
  if (plan.steps) {
    pen.textAlign = "center";
    for (const step of lastStep.value ? curve.stepTicks(last) : []) {
      pen.fillText(translate(count(step)), curve.xOf(frame, step), frame.below + 15);
    }
    pen.textAlign = "left";
    pen.fillText(translate("step"), frame.right + 28, frame.below + 15);
  }

  pen.strokeStyle = pen.fillStyle = colour("ink");
  if (plan.raw) {
    pen.globalAlpha = 0.22;
    stroke(pen, curve.lineOf(frame, plan.raw.step, plan.raw.value));
    pen.globalAlpha = 1;
  }
  pen.lineWidth = 2;
  const ends = plan.lines
    .filter(({ step }) => step.length)
    .map(({ step, value, dash, dots, name }) => {
      const points = curve.lineOf(frame, step, value);
      pen.setLineDash(dash ? [5, 4] : []);
      if (!dots) stroke(pen, points);
      pen.setLineDash([]);
      for (const [x, y] of dots ? points : points.slice(-1)) {
        pen.beginPath();
        pen.arc(x, y, 3.5, 0, 2 * Math.PI);
        if (dots) pen.stroke();
        else pen.fill();
      }
      return { y: points[points.length - 1][1], text: name(value[value.length - 1]) };
    });
  pen.textAlign = "left";
  const heights = curve.spread(
    ends.map(({ y }) => y),
    17,
    frame.below - 4,
  );
  ends.forEach(({ text }, k) => pen.fillText(translate(text), frame.right + 10, heights[k], RIGHT - 12));

  if (reading.value !== null && lastStep.value) {
    const x = Math.round(curve.xOf(frame, reading.value)) + 0.5;
    pen.lineWidth = 5;
    pen.strokeStyle = colour("mark");
    stroke(pen, [
      [x, 0],
      [x, frame.below],
    ]);
    pen.lineWidth = 1;
    pen.strokeStyle = scheme.value === "dark" ? colour("markink") : colour("ink");
    stroke(pen, [
      [x, 0],
      [x, frame.below],
    ]);
  }
}

/** A round value, short enough for the margin. @param {number} value */
function lossTick(value) {
  const exponent = exponentOf([value]);
  const [digits, power] = exponent ? [value / 10 ** exponent, factor(exponent)] : [value, ""];
  return `${Number(digits.toPrecision(2))}${power}`;
}

/** @param {HTMLCanvasElement} canvas */
function drawLoss(canvas) {
  const { step, loss, probe } = metrics.value;
  const top = Math.max(
    loss.reduce((most, value) => Math.max(most, value), 0),
    ...probe.loss.slice(-500),
    loss.length ? 1e-6 : 1,
  );
  draw(canvas, {
    top,
    ticks: curve.valueTicks(top),
    tick: lossTick,
    steps: false,
    above: 8,
    below: 8,
    raw: { step, value: loss },
    lines: [
      { step: probe.step, value: probe.loss, dash: true, name: value => `test ${number(value)}` },
      { step, value: smooth.value.loss, name: value => `train ${number(value)}` },
    ],
  });
}

/** @param {HTMLCanvasElement} canvas */
function drawAccuracy(canvas) {
  const { probe, test } = metrics.value;
  draw(canvas, {
    top: 1,
    ticks: [0, 0.5, 1],
    tick: value => `${100 * value}%`,
    steps: true,
    above: 8,
    below: 26,
    lines: [
      { step: probe.step, value: probe.accuracy, name: value => percent(value) },
      { step: test.step, value: test.accuracy, dots: true, name: value => `all ${percent(value, 2)}` },
    ],
  });
}

/** @param {{paint: (canvas: HTMLCanvasElement) => void}} props */
function Plot({ paint }) {
  const canvas = useRef(/** @type {HTMLCanvasElement|null} */ (null));
  useEffect(() => {
    const element = /** @type {HTMLCanvasElement} */ (canvas.current);
    let asked = 0;
    const later = () => {
      asked ||= requestAnimationFrame(() => {
        asked = 0;
        paint(element);
      });
    };
    const end = effect(() => {
      void [metrics.value, smooth.value, reading.value, scheme.value, viewport.value, run.value?.steps_per_epoch];
      later();
    });
    const watcher = new ResizeObserver(later);
    watcher.observe(element);
    return () => {
      end();
      watcher.disconnect();
      cancelAnimationFrame(asked);
    };
  }, [paint]);
  return html`<canvas ref=${canvas} class="plot" aria-hidden="true" />`;
}

/** The recorded step nearest to the one asked for. @param {number} step */
function recorded(step) {
  const steps = metrics.peek().step;
  const at = curve.indexAt(steps, step);
  return steps[Math.max(0, at)] ?? null;
}

/** What the curves say at a step. @param {number} step */
function valuesAt(step) {
  const { step: steps, loss, accuracy, probe } = metrics.value;
  const at = curve.indexAt(steps, step);
  const tested = curve.indexAt(probe.step, step);
  return {
    loss: loss[at],
    accuracy: accuracy[at],
    smooth: smooth.value.loss[at],
    test: tested < 0 ? null : { step: probe.step[tested], loss: probe.loss[tested], accuracy: probe.accuracy[tested] },
  };
}

const kept = (/** @type {number} */ step) => {
  const history = run.value?.history;
  return Boolean(history && step >= history.first && step <= history.last);
};

/** @param {number} step */
function choose(step) {
  if (openStep(step)) return;
  const { first, last } = run.peek().history;
  say(`Step ${count(step)} is no longer kept. Steps ${count(first)} to ${count(last)} can be opened.`);
}

/** Reads the curves: a slider over both plots, whose value is a step. */
function Reader() {
  const area = useRef(/** @type {HTMLElement|null} */ (null));
  const last = lastStep.value;
  const at = reading.value;
  const stepUnder = (/** @type {PointerEvent} */ event) => {
    const { left, width } = /** @type {HTMLElement} */ (area.current).getBoundingClientRect();
    const scale = viewport.peek().scale;
    const frame = {
      first: 1,
      last: Math.max(2, last),
      top: 1,
      left: LEFT,
      right: width / scale - RIGHT,
      above: 0,
      below: 1,
    };
    return recorded(curve.stepAt(frame, (event.clientX - left) / scale));
  };
  const read = (/** @type {PointerEvent} */ event) => {
    reading.value = last ? stepUnder(event) : null;
  };
  const keys = (/** @type {KeyboardEvent} */ event) => {
    if (!last) return;
    const from = at ?? last;
    const jump = Math.max(1, Math.round(last / 20));
    const moves = {
      ArrowRight: 1,
      ArrowUp: 1,
      ArrowLeft: -1,
      ArrowDown: -1,
      PageUp: jump,
      PageDown: -jump,
      Home: -last,
      End: last,
    };
    if (event.key in moves) reading.value = nextRecorded(from, moves[/** @type {keyof typeof moves} */ (event.key)]);
    else if (event.key === "Enter" && at !== null) choose(at);
    else if (event.key === "Escape" && at !== null) reading.value = null;
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const values = at === null ? null : valuesAt(at);
  const words =
    values === null || at === null
      ? "no step read"
      : `step ${count(at)}, loss ${number(values.loss)}` +
        (values.test ? `, test loss ${number(values.test.loss)}, test accuracy ${percent(values.test.accuracy)}` : "");
  return html`<div ref=${area} class="curve-reader" role="slider" tabindex="0" aria-label="Step on the curves"
    aria-valuemin="0" aria-valuemax=${last} aria-valuenow=${at ?? last} aria-valuetext=${words}
    onPointerMove=${read} onPointerDown=${read} onKeyDown=${keys}
    onClick=${(/** @type {PointerEvent} */ event) => {
      if (event.pointerType !== "touch" && at !== null) choose(at);
    }} />`;
}

/** @param {number} from @param {number} by recorded steps */
function nextRecorded(from, by) {
  const steps = metrics.peek().step;
  const at = curve.indexAt(steps, from);
  return steps[Math.min(steps.length - 1, Math.max(0, at + by))] ?? null;
}

function LossWords() {
  const at = reading.value;
  if (!lastStep.value) return html`<p class="soft">The curve begins with step 1.</p>`;
  if (at === null)
    return html`<p class="soft"><i class="thick" />mean of ${smooth.value.span} steps <i class="thin" />each step <i
      class="dashed" />test</p>`;
  const values = valuesAt(at);
  return html`<p><b>step ${count(at)}</b> loss ${number(values.loss)}, mean ${number(values.smooth)}${" "}
    ${
      kept(at)
        ? html`<button class="link" onClick=${() => choose(at)}>open in Explore</button>`
        : html`<span class="soft">no longer kept</span>`
    }</p>`;
}

function AccuracyWords() {
  const at = reading.value;
  const test = at === null ? null : valuesAt(at).test;
  return (
    test && html`<p>after step ${count(test.step)}: loss ${number(test.loss)}, ${percent(test.accuracy)} right</p>`
  );
}

/** Test images that accuracy is measured over now and then; the server takes so many of them. */
const PROBE = 1000;
const probed = () => count(Math.min(PROBE, digits.value?.total ?? PROBE));

export function Curves() {
  const untested = digits.value?.digits.length === 0;
  const leave = (/** @type {PointerEvent} */ event) => {
    if (event.pointerType === "mouse") reading.value = null;
  };
  return html`<section class="curves" aria-label="Curves" onPointerLeave=${leave}>
    <header><h2>Loss</h2><${LossWords} /></header>
    <${Plot} paint=${drawLoss} />
    <header><h2>${untested ? "Accuracy" : `Accuracy on ${probed()} test ${thing.value}s`}</h2>
      ${
        untested
          ? html`<p class="soft">this data has no test ${thing.value}s</p>`
          : html`<${AccuracyWords}
        />`
      }</header>
    <${Plot} paint=${drawAccuracy} />
    <${Reader} />
  </section>`;
}
