/** A pad for a digit of one's own: by mouse, finger, pen and keyboard, with the network's answer while it is drawn. */

import { batch, computed, effect, signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";

import { centred, drawPiece, drawStroke, emptyPad, SIDE } from "./mnist_centering.js";
import { count, percent } from "../../core/format.js";
import * as net from "../../net/requests.js";
import { className, classes, look, panel, viewport, run, say, scheme, show, status } from "../../state/store.js";
import { Bars } from "../bars.js";
import { html } from "../html.js";
import { Digit } from "../train/tiles.js";

/** The pad's own pixels, and half the width of its pen: at a digit's usual size as thick as MNIST's. */
const SIZE = 280;
const PEN = 11;
/** Milliseconds between two questions while the hand moves. */
const PATIENCE = 150;

/** Strokes stay while the page stays. @type {Signal<Point[][]>} */
const strokes = signal([]);
/** Counts changes of the ink, which is drawn in place. */
const changes = signal(0);
let pad = emptyPad(SIZE);
/** The keyboard's pen: where it is, whether it draws. @type {Signal<{at: Point, down: boolean}|null>} */
const pen = signal(null);

/** The image as MNIST would have it. */
const image = computed(() => {
  void changes.value;
  return centred(pad);
});
/** @type {Signal<{step: number, probabilities: number[]}|null>} */
const answer = signal(null);
/** The label the loss shall use; null for the network's own answer. @type {Signal<number|null>} */
const chosen = signal(null);

const said = computed(() =>
  answer.value ? answer.value.probabilities.indexOf(Math.max(...answer.value.probabilities)) : null,
);

const rowsOf = (/** @type {Float32Array} */ values) =>
  Array.from({ length: SIDE }, (_, row) => Array.from(values.subarray(row * SIDE, (row + 1) * SIDE)));

/** @param {Point} point a new stroke begins */
function begin(point) {
  strokes.value = [...strokes.peek(), [point]];
  drawPiece(pad, point, point, PEN);
  changes.value += 1;
}

/** @param {Point} point the last stroke goes on */
function go(point) {
  const stroke = /** @type {Point[]} */ (strokes.peek().at(-1));
  drawPiece(pad, stroke[stroke.length - 1], point, PEN);
  stroke.push(point);
  changes.value += 1;
}

/** @param {Point[][]} all */
function redraw(all) {
  pad = emptyPad(SIZE);
  all.forEach(stroke => drawStroke(pad, stroke, PEN));
  batch(() => {
    strokes.value = all;
    changes.value += 1;
    if (!all.length) [answer.value, chosen.value] = [null, null];
  });
}
const undo = () => redraw(strokes.peek().slice(0, -1));
const clear = () => redraw([]);

/** Ask for the answer when the image or the network has changed, one question at a time. */
function askLive() {
  let timer = 0;
  let asking = false;
  let stale = false;
  const ask = async () => {
    timer = 0;
    const now = image.peek();
    const id = run.peek()?.id;
    if (!now || !id) return;
    asking = true;
    try {
      const { step, probabilities } = await net.predict(id, { x: [[rowsOf(now)]], layers: false });
      if (image.peek()) answer.value = { step, probabilities: probabilities[0] };
    } catch (error) {
      net.showError(error);
    }
    asking = false;
    if (stale) later();
  };
  const later = () => {
    stale = asking;
    if (!asking) timer ||= setTimeout(ask, PATIENCE);
  };
  let before = "";
  const end = effect(() => {
    const now = `${image.value ? changes.value : 0} ${run.value?.id} ${run.value?.step}`;
    if (now === before || !status.value.ready) return;
    before = now;
    if (image.value) later();
  });
  return () => {
    end();
    clearTimeout(timer);
  };
}

/** @param {HTMLCanvasElement} canvas */
function paintPad(canvas) {
  const style = getComputedStyle(canvas);
  const colour = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`);
  const side = Math.round(canvas.clientWidth * devicePixelRatio);
  if (!side) return;
  canvas.width = canvas.height = side;
  const sheet = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  sheet.scale(side / SIZE, side / SIZE);
  sheet.strokeStyle = colour("rule");
  sheet.lineWidth = 1;
  sheet.setLineDash([2, 4]);
  sheet.strokeRect(40.5, 40.5, 200, 200);
  sheet.setLineDash([]);
  sheet.strokeStyle = colour("ink");
  sheet.lineWidth = 2 * PEN;
  sheet.lineCap = sheet.lineJoin = "round";
  for (const stroke of strokes.value) {
    sheet.beginPath();
    stroke.forEach(([x, y], k) => (k ? sheet.lineTo(x, y) : sheet.moveTo(x, y)));
    if (stroke.length === 1) sheet.lineTo(stroke[0][0] + 0.01, stroke[0][1]);
    sheet.stroke();
  }
  if (!pen.value) return;
  const {
    at: [x, y],
    down,
  } = pen.value;
  for (const [width, name] of /** @type {[number, string][]} */ ([
    [7, "ink"],
    [4, "mark"],
  ])) {
    sheet.lineWidth = width;
    sheet.strokeStyle = colour(name);
    sheet.setLineDash(down ? [] : [5, 8]);
    sheet.beginPath();
    sheet.arc(x, y, PEN + 3, 0, 2 * Math.PI);
    sheet.stroke();
  }
}

const MOVES = /** @type {Record<string, Point>} */ ({
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
});

/** @param {KeyboardEvent} event */
function keys(event) {
  const { key } = event;
  const now = pen.peek() ?? { at: /** @type {Point} */ ([SIZE / 2, SIZE / 4]), down: false };
  const undoing = key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey);
  if (MOVES[key]) {
    const by = SIZE / SIDE;
    const at = /** @type {Point} */ (
      now.at.map((value, k) => Math.min(SIZE - PEN, Math.max(PEN, value + by * MOVES[key][k])))
    );
    if (now.down) go(at);
    pen.value = { ...now, at };
  } else if (key === " ") {
    if (!now.down) begin(now.at);
    pen.value = { ...now, down: !now.down };
    say(now.down ? "pen up" : "pen down: the arrows draw");
  } else if (key === "Escape" && now.down) {
    pen.value = { ...now, down: false };
    say("pen up");
  } else if (key === "Backspace" || undoing) undo();
  else if (key === "Delete") clear();
  else return;
  event.preventDefault();
  event.stopPropagation();
}

function Pad() {
  const canvas = useRef(/** @type {HTMLCanvasElement|null} */ (null));
  useEffect(() => {
    const element = /** @type {HTMLCanvasElement} */ (canvas.current);
    if (panel.peek() === "draw") element.focus();
    let asked = 0;
    const end = effect(() => {
      void [changes.value, strokes.value, pen.value, scheme.value, viewport.value];
      asked ||= requestAnimationFrame(() => {
        asked = 0;
        paintPad(element);
      });
    });
    return () => {
      end();
      cancelAnimationFrame(asked);
    };
  }, []);
  const pointOf = (/** @type {PointerEvent} */ event) => {
    const { left, top, width } = /** @type {HTMLElement} */ (canvas.current).getBoundingClientRect();
    return /** @type {Point} */ ([((event.clientX - left) * SIZE) / width, ((event.clientY - top) * SIZE) / width]);
  };
  const drawing = useRef(-1);
  const lift = (/** @type {PointerEvent} */ event) => {
    if (event.pointerId === drawing.current) drawing.current = -1;
  };
  return html`<canvas ref=${canvas} class="pad" tabindex="0" role="application" aria-roledescription="drawing pad"
    aria-label="Draw a digit. The arrows move a pen, space sets it down and lifts it."
    onPointerDown=${(/** @type {PointerEvent} */ event) => {
      if (event.button !== 0 || drawing.current >= 0) return;
      drawing.current = event.pointerId;
      canvas.current?.setPointerCapture(event.pointerId);
      pen.value = null;
      begin(pointOf(event));
    }}
    onPointerMove=${(/** @type {PointerEvent} */ event) => {
      if (event.pointerId !== drawing.current) return;
      const parts = event.getCoalescedEvents?.() ?? [];
      batch(() => (parts.length ? parts : [event]).forEach(part => go(pointOf(part))));
    }}
    onPointerUp=${lift} onPointerCancel=${lift} onKeyDown=${keys}
    onFocus=${(/** @type {FocusEvent} */ event) => {
      if (/** @type {HTMLElement} */ (event.target).matches(":focus-visible"))
        pen.value ??= { at: [SIZE / 2, SIZE / 4], down: false };
    }}
    onBlur=${() => {
      pen.value = null;
    }} />`;
}

/** A share that is not one is never shown as one. @param {number} share */
const sure = share => (share >= 0.9995 ? "more than 99.9%" : percent(share));

function Verdict() {
  const [digit, known] = [said.value, answer.value];
  if (!status.value.ready) return html`<p class="soft">The network answers as soon as its arithmetic is compiled.</p>`;
  if (!image.value) return html`<p class="soft">Draw, and the network answers at once.</p>`;
  if (digit === null || !known) return html`<p class="soft">Asking.</p>`;
  return html`<p>The network says <b class="said">${className(digit)}</b><br /><span
    class="soft">${sure(known.probabilities[digit])} sure, after step ${count(known.step)}</span></p>`;
}

/** The drawing becomes what is looked at, in Explore. */
function use() {
  const now = image.peek();
  const target = chosen.peek() ?? said.peek();
  if (!now || target === null) return;
  batch(() => {
    look({ kind: "pass", drawn: true, x: rowsOf(now), target });
    show("explore");
  });
  say(`Looking at your digit, as a ${target}.`);
}

export function Draw() {
  useEffect(askLive, []);
  const own = said.value;
  const able = image.value !== null && own !== null;
  const [blank] = useState(() => new Float32Array(SIDE * SIDE));
  return html`<section class="draw" aria-labelledby="draw-title">
    <h3 id="draw-title">Draw your own digit</h3>
    <${Pad} />
    <div class="draw-tools">
      <button class="button" aria-disabled=${!strokes.value.length} onClick=${undo}>Undo</button>
      <button class="button" aria-disabled=${!strokes.value.length} onClick=${clear}>Clear</button>
    </div>
    <div class="seen">
      <figure><${Digit} image=${image.value ?? blank} width=${84} label="the drawing as the network gets it" />
        <figcaption class="soft">28×28, centred and scaled as MNIST was</figcaption></figure>
      <${Bars} values=${answer.value?.probabilities ?? new Array(classes.value?.length || 10).fill(0)}
        label=${chosen.value ?? own} />
    </div>
    <${Verdict} />
    <div class="use">
      <label><span class="soft">label for the loss</span>
        <select value=${chosen.value ?? ""} onChange=${(/** @type {any} */ event) => {
          const { value } = event.currentTarget;
          chosen.value = value === "" ? null : Number(value);
        }}>
          <option value="">${own === null ? "its own answer" : `its own answer, ${className(own)}`}</option>
          ${Array.from(
            { length: answer.value?.probabilities.length ?? classes.value?.length ?? 10 },
            (_, k) => html`<option key=${k} value=${k}>${className(k)}</option>`,
          )}
        </select></label>
      <button class="button primary" aria-disabled=${!able} title=${able ? "" : "Draw something first"}
        onClick=${() => able && use()}>Use this digit</button>
    </div>
  </section>`;
}
