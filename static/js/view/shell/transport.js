/** Play, steps, speed, and the timeline: a bar for each phase of the pass, to be dragged like time. */

import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

import { html } from "../html.js";
import { Chevron, Icon } from "../icons.js";
import { Choice, Popover } from "./popover.js";
import * as format from "../../core/format.js";
import { at, ravel } from "../../core/place.js";
import {
  CELL,
  LONGEST,
  SLOW_CELLS,
  cellsIn,
  compare,
  end,
  indexAt,
  marks,
  positionAt,
  shareOf,
  start,
  valid,
} from "../../core/timeline.js";
import * as store from "../../state/store.js";
import { skipped } from "../../core/telling.js";

/** @typedef {ReturnType<typeof marks>[number]} Mark */

export function Transport() {
  const timeline = store.timeline.value;
  const narrow = store.breakpoint.value === "narrow";
  return html`<footer class="transport" aria-label="The pass in time">
    <${Buttons} />
    <${Speed} />
    ${
      timeline &&
      (narrow
        ? html`<div class="lines">
      <${Timeline} name="forward" only=${["forward", "loss"]} /><${Timeline} name="backward"
        only=${["backward", "update"]} /></div>`
        : html`<${Timeline} name="" only=${null} />`)
    }
  </footer>`;
}

function Buttons() {
  const timeline = store.timeline.value;
  const position = store.position.value;
  const none = !store.walkable.value;
  const reason = !timeline ? "the network is not here yet" : none ? "nothing is computed yet" : undefined;
  const first = none || !timeline || !position || compare(position, start(timeline)) <= 0;
  const last = none || !timeline || (position !== null && compare(position, end(timeline)) >= 0);
  const playing = store.playing.value;
  const button = (
    /** @type {string} */ name,
    /** @type {any} */ icon,
    /** @type {string} */ key,
    /** @type {boolean} */ off,
    /** @type {() => void} */ act,
    kind = "",
  ) =>
    html`<button type="button" class=${kind} aria-label=${name} title=${off && reason ? reason : `${name} (${key})`}
      aria-disabled=${off ? "true" : undefined}
      onClick=${() => !off && act()}><${Icon} name=${icon} /></button>`;
  return html`<div class="buttons" role="group" aria-label="Play">
    ${button("One phase back", "first", "[", first, () => store.stepPhase(-1))}
    ${button("One cell back", "back", ",", first, () => store.stepCell(-1))}
    ${button(playing ? "Pause" : "Play", playing ? "pause" : "play", "space", none, store.togglePlay, "disc")}
    ${button("One cell on", "forward", ".", last, () => store.stepCell(1))}
    ${button("One phase on", "last", "]", last, () => store.stepPhase(1))}
  </div>`;
}

function Speed() {
  const words = (/** @type {number} */ speed) => `${speed}×`;
  const now = store.speed.value;
  return html`<${Popover} name="speed" className="speed" align="up" spoken=${`Speed ${words(now)}`}
    title="Speed (+ and −)" label=${html`${words(now)} <${Chevron} />`}>
    <${Choice} legend="Speed" choices=${store.SPEEDS.map(speed => ({ value: String(speed), words: words(speed) }))}
      value=${String(now)}
      choose=${(/** @type {string} */ speed) => store.setSpeed(Number(speed))} />
    <label class="check"><input type="checkbox" checked=${store.predicting.value}
      onChange=${(/** @type {any} */ event) => store.setPredicting(event.currentTarget.checked)} /> Predict: ask before
      each phase</label>
    <p class="soft">A phase begins where it has most to show. ${SLOW_CELLS} cells take ${CELL / 1000} s each at 1×; then
      the pace rises, so that no phase lasts longer than ${LONGEST / 1000} s. Below 1× every cell takes its time. A
        speed of 1× or less, chosen anywhere, slows down there.</p>
  <//>`;
}

/** Cells of the whole timeline before a phase. @param {Timeline} timeline @param {number} phase */
const before = (timeline, phase) =>
  timeline.phases.slice(0, phase).reduce((sum, each) => sum + (each.view ? 0 : cellsIn(each)), 0);

/** The position in words. @param {Timeline} timeline @param {Position|null} position */
function words(timeline, position) {
  if (!position) return "not begun";
  const phase = timeline.phases[position.phase];
  if (position.cell < 0) return `${phase.place.replace("/", " ")}, not begun`;
  const place = at(phase.place, indexAt(phase, position.cell));
  const value = store.tensorOf(place)?.data[ravel(indexAt(phase, position.cell), phase.shape)];
  return [
    store.cellWords(place, value === undefined ? "" : format.alone(value)),
    `${format.count(position.cell + 1)} of ${format.count(cellsIn(phase))}`,
  ]
    .filter(Boolean)
    .join(", ");
}

/** @param {{name: string, only: string[]|null}} props */
function Timeline({ name, only }) {
  const timeline = /** @type {Timeline} */ (store.timeline.value);
  const position = store.live.value ? end(timeline) : store.position.value;
  const shown = useMemo(() => marks(timeline).filter(({ part }) => !only || only.includes(part)), [timeline]);
  const root = useRef(/** @type {HTMLElement|null} */ (null));
  const dragging = useRef(false);
  const at = shown.findIndex(({ phases }) => position && phases.includes(position.phase));
  const label = (/** @type {Mark} */ mark) =>
    position && mark.phases.includes(position.phase) && mark.part !== "update"
      ? timeline.phases[position.phase].label
      : mark.label;
  const { seen } = useFit(root, shown, at);

  const to = (/** @type {PointerEvent} */ event) => {
    const bars = /** @type {HTMLElement} */ (root.current).querySelectorAll(".timeline-mark");
    const x = event.clientX;
    let k = 0;
    while (k < bars.length - 1 && bars[k + 1].getBoundingClientRect().left <= x) k++;
    const box = bars[k].getBoundingClientRect();
    store.goTo(positionAt(timeline, shown[k], (x - box.left) / box.width));
  };
  const key = (/** @type {KeyboardEvent} */ event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const acts = /** @type {Record<string, () => void>} */ ({
      ArrowRight: () => store.stepCell(1),
      ArrowUp: () => store.stepCell(1),
      ArrowLeft: () => store.stepCell(-1),
      ArrowDown: () => store.stepCell(-1),
      PageUp: () => store.stepPhase(1),
      PageDown: () => store.stepPhase(-1),
      Home: () => store.goTo(start(timeline)),
      End: () => store.goTo(end(timeline)),
    });
    if (!acts[event.key]) return;
    event.preventDefault();
    store.pause();
    acts[event.key]();
  };
  const now = position && valid(timeline, position) ? before(timeline, position.phase) + position.cell + 1 : 0;
  const inside = at >= 0 || (position === null && (!only || only.includes("forward")));
  const mark = Math.max(0, at);
  const share = position && at >= 0 ? shareOf(timeline, shown[mark], position) : 0;
  return html`<div class="timeline" ref=${root} role="slider" tabindex=${inside ? 0 : -1}
      aria-label=${name ? `Timeline of the pass, ${name}` : "Timeline of the pass"}
      aria-valuemin="0" aria-valuemax=${before(timeline, timeline.phases.length)} aria-valuenow=${now}
        aria-valuetext=${words(timeline, position)}
      onKeyDown=${key}
      onPointerDown=${(/** @type {PointerEvent} */ event) => {
        if (event.button !== 0) return;
        dragging.current = true;
        /** @type {HTMLElement} */ (event.currentTarget).setPointerCapture(event.pointerId);
        store.pause();
        to(event);
      }}
      onPointerMove=${(/** @type {PointerEvent} */ event) => dragging.current && to(event)}
      onPointerUp=${() => {
        dragging.current = false;
      }}
      onPointerCancel=${() => {
        dragging.current = false;
      }}>
    ${name && html`<span class=${`way ${name}`}>${name === "forward" ? "→" : "←"} <b>${name}</b></span>`}
    <div class=${`marks ${shown.length > 30 ? "dense" : ""}`}>
      ${shown.map((each, k) => {
        const done = position === null ? 0 : shareOf(timeline, each, position);
        return html`<div class=${`timeline-mark ${each.part} ${k === at ? "now" : ""}`} key=${each.phases[0]}
          title=${seen ? each.label : undefined}>
          <span class="label"
            style=${
              seen &&
              (seen.has(k) ? { marginLeft: `${-(seen.get(k) ?? 0)}px` } : { visibility: "hidden", overflow: "hidden" })
            }>${label(each)}</span>
          <i class="bar"><i style=${{ width: `${100 * done}%` }}></i></i>
          ${k === mark && inside && html`<i class="thumb" style=${{ left: `${100 * share}%` }}></i>`}
        </div>`;
      })}
    </div>
  </div>`;
}

/**
 * Whether the labels fit; where they do not, which are seen: the current one, and then as many as have room.
 * @param {{current: HTMLElement|null}} root @param {Mark[]} shown @param {number} at
 */
function useFit(root, shown, at) {
  const { width } = store.viewport.value;
  const [state, set] = useState(
    /** @type {{tight: boolean, widths: number[], lefts: number[], room: number}} */ ({
      tight: false,
      widths: [],
      lefts: [],
      room: 0,
    }),
  );
  useLayoutEffect(() => {
    const element = /** @type {HTMLElement} */ (root.current);
    const labels = [...element.querySelectorAll(".label")];
    const marks = /** @type {HTMLElement[]} */ ([...element.querySelectorAll(".timeline-mark")]);
    const room = /** @type {HTMLElement} */ (element.querySelector(".marks")).clientWidth;
    element.classList.remove("tight", "close");
    element.classList.add("measured");
    const measured = () => labels.map(each => each.getBoundingClientRect().width);
    const fits = () => measured().reduce((sum, each) => sum + (each && each + 7), 0) <= room;
    if (!fits()) element.classList.add("close");
    const tight = !fits();
    const widths = measured().map((width, k) => (k === at ? 1.1 * width : width));
    element.classList.remove("measured");
    element.classList.toggle("tight", tight);
    marks.forEach((mark, k) => {
      mark.style.flexGrow = tight ? String(widths[k]) : "";
    });
    const lefts = labels.map(each => /** @type {HTMLElement} */ (each.parentElement).offsetLeft);
    set({ tight, widths, lefts, room });
  }, [shown, width, at]);
  if (!state.tight) return { seen: null };
  /** How far to the left of its bar each seen label begins. @type {Map<number, number>} */
  const seen = new Map();
  const left = (/** @type {number} */ k) => Math.max(0, Math.min(state.lefts[k], state.room - state.widths[k]));
  const free = (/** @type {number} */ k) =>
    [...seen.keys()].every(
      other => left(k) >= left(other) + state.widths[other] + 8 || left(other) >= left(k) + state.widths[k] + 8,
    );
  const order = [at, ...shown.keys()].filter(k => k >= 0);
  for (const k of order) if (!seen.has(k) && free(k)) seen.set(k, state.lefts[k] - left(k));
  return { seen };
}

/** Play that runs ahead says so: a simplification is never animated in silence. */
export function Hurry() {
  const phase = store.phase.value;
  if (!store.playing.value || store.live.value || !phase) return null;
  const { phase: at, cell } = store.position.value ?? { phase: 0, cell: -1 };
  if (store.cellTime.value >= TERMS) {
    const telling = store.tellingOf(at);
    const words = cell < telling.cell + SLOW_CELLS && cell >= telling.cell ? skipped(telling, format.count) : "";
    return words && html`<p class="hurry soft">${words}.</p>`;
  }
  return html`<p class="hurry soft">Faster now, through ${format.count(cellsIn(phase))} cells. Pause at any of them to
    see its terms.</p>`;
}

/** A cell this long has time for its terms, in milliseconds. */
const TERMS = 300;
