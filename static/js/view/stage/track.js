/** The racetrack: values run right along the upper line, turn at the loss, and run back left along the lower one. */

import { useEffect, useRef } from "preact/hooks";

import { html } from "../html.js";
import { ROWS, headOf } from "./layout.js";
import { bisect, end } from "../../core/timeline.js";
import * as store from "../../state/store.js";

const RADIUS = ROWS.shape / 2;
const STRAIGHT = 300;
const TURN = 400;

/**
 * @typedef {{path: string, start: number, length: number, way: "forward"|"backward", at: (s: number) => [number,
 *   number, number]}} Piece
 */

/**
 * The track as pieces in the order of time, each with its start along the whole.
 * @param {Layout} stage @param {number} margin
 * @returns {{pieces: Piece[], length: number, place: (head: ReturnType<typeof headOf>) => number}}
 */
function trackOf(stage, margin) {
  const left = margin;
  const systems = stage.systems.length;
  const { track } = stage.rows;
  const right = (/** @type {number} */ k) => stage.width - margin - (k === systems - 1 ? RADIUS : 0);
  /** @type {Piece[]} */
  const pieces = [];
  let start = 0;
  const add = (/** @type {Omit<Piece, "start">} */ piece) => {
    pieces.push({ ...piece, start });
    start += piece.length;
  };
  for (let k = 0; k < systems; k++) {
    const y = stage.systems[k] + track;
    const to = right(k);
    add({ path: `M${left} ${y}H${to}`, length: to - left, way: "forward", at: s => [left + s, y, 0] });
  }
  const last = systems - 1;
  const middle = stage.systems[last] + track + RADIUS;
  const x = right(last);
  add({
    path: `M${x} ${middle - RADIUS}A${RADIUS} ${RADIUS} 0 0 1 ${x} ${middle + RADIUS}`,
    length: Math.PI * RADIUS,
    way: "backward",
    at: s => {
      const angle = s / RADIUS;
      return [x + RADIUS * Math.sin(angle), middle - RADIUS * Math.cos(angle), (angle * 180) / Math.PI];
    },
  });
  for (let k = last; k >= 0; k--) {
    const y = stage.systems[k] + track + ROWS.shape;
    const from = right(k);
    add({ path: `M${from} ${y}H${left}`, length: from - left, way: "backward", at: s => [from - s, y, 180] });
  }
  return {
    pieces,
    length: start,
    place({ system, x: at, way, turn }) {
      const piece = way === "forward" ? pieces[system] : pieces[pieces.length - 1 - system];
      if (turn) return piece.start + piece.length;
      return piece.start + Math.min(piece.length, Math.max(0, way === "forward" ? at - left : right(system) - at));
    },
  };
}

/** cubic-bezier(.2, 0, 0, 1), the one easing. @param {number} t */
function ease(t) {
  const along = bisect(u => 3 * u * (1 - u) ** 2 * 0.2 + u ** 3 < t);
  return 3 * along ** 2 * (1 - along) + along ** 3;
}

/** @param {{stage: Layout, margin: number}} props */
export function Track({ stage, margin }) {
  const here = useRef(/** @type {SVGSVGElement|null} */ (null));
  const head = useRef({ at: 0, frame: 0, shape: "" });
  const track = trackOf(stage, margin);
  const timeline = store.timeline.value;
  const phase = store.live.value && timeline ? end(timeline).phase : (store.position.value?.phase ?? null);
  const target = timeline && phase !== null ? track.place(headOf(stage, timeline, phase)) : 0;

  const put = (/** @type {number} */ at) => {
    head.current.at = at;
    const root = here.current;
    if (!root) return;
    track.pieces.forEach((piece, k) => {
      const line = /** @type {SVGPathElement} */ (root.querySelector(`[data-piece="${k}"]`));
      const done = Math.min(piece.length, Math.max(0, at - piece.start));
      line.style.strokeDasharray = `${done} ${piece.length + 10}`;
      line.style.visibility = done > 0 ? "visible" : "hidden";
    });
    const piece = track.pieces.findLast(({ start }) => at > start) ?? track.pieces[0];
    const [x, y, angle] = piece.at(Math.min(piece.length, at - piece.start));
    const arrow = /** @type {SVGPathElement} */ (root.querySelector(".head"));
    arrow.setAttribute("transform", `translate(${x} ${y}) rotate(${angle})`);
    const look = `head ${piece.way}`;
    if (arrow.getAttribute("class") !== look) arrow.setAttribute("class", look);
    arrow.style.visibility = at > 0 ? "visible" : "hidden";
  };

  useEffect(() => {
    const state = head.current;
    const shape = `${stage.width} ${stage.height} ${track.length}`;
    const moved = state.shape === shape;
    state.shape = shape;
    cancelAnimationFrame(state.frame);
    const from = state.at;
    const turn = track.pieces[stage.systems.length];
    const crosses = from <= turn.start !== target <= turn.start;
    const lasts = crosses ? TURN : STRAIGHT;
    if (!moved || store.reducedMotion.peek() || target === 0 || from === target) return put(target);
    const began = performance.now();
    const move = (/** @type {number} */ now) => {
      const part = Math.min(1, Math.max(0, (now - began) / lasts));
      put(from + (target - from) * ease(part));
      if (part < 1) state.frame = requestAnimationFrame(move);
    };
    state.frame = requestAnimationFrame(move);
    return () => cancelAnimationFrame(state.frame);
  }, [target, track.length, stage.height]);

  return html`
    <svg ref=${here} class="track" viewBox=${`0 0 ${stage.width} ${stage.height}`} aria-hidden="true">
      ${track.pieces.map(piece => html`<path class="ahead" d=${piece.path} />`)}
      ${stage.systems.map(
        (y, k) => html`
        <path class="ahead" d=${`M${margin + 6} ${y + stage.rows.track + ROWS.shape - 4}l-6 4l6 4`} />
        ${
          k === stage.systems.length - 1
            ? ""
            : html`<path class="ahead"
          d=${`M${stage.width - margin - 6} ${y + stage.rows.track - 4}l6 4l-6 4`} />`
        }`,
      )}
      ${track.pieces.map((piece, k) => html`<path class=${`done ${piece.way}`} data-piece=${k} d=${piece.path} />`)}
      <path class="head" d="M-5 -5L0 0L-5 5" />
    </svg>`;
}
