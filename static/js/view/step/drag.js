/** A factor that is a weight or a pixel can be dragged: the pass answers while it moves. */

import { phaseOf } from "../../core/timeline.js";
import { parse } from "../../core/place.js";
import { elsewhere, infoOf, live, nameOf, numberAt, open, setNumber, source, timeline } from "../../state/store.js";

/** Pixels before a press becomes a drag, and over which a number moves by its power of ten. */
const SLACK = 4;
const STROKE = 200;

/** Whether a drag has just ended: the click that follows it opens nothing. */
let dragged = false;

/**
 * Whether a number is given, so that it can be set by hand: a parameter or a pixel of one image's pass.
 * @param {string} place
 */
export function movable(place) {
  const whole = timeline.value;
  if (!whole || live.value || source.value?.kind !== "pass" || elsewhere(place)) return false;
  const name = nameOf(place);
  const given = infoOf(name)?.kind === "weight" && !parse(name).tensor.includes(".");
  return phaseOf(whole, name) < 0 && (given || name === "input/y");
}

/** How much of a number one pixel of a drag is. @param {number} value */
const unitOf = value => 10 ** Math.ceil(Math.log10(Math.max(Math.abs(value), 0.1)) - 1e-9) / STROKE;

/** @param {string} place @param {number} value */
const set = (place, value) => setNumber(place, Number(value.toPrecision(5)));

/**
 * Handlers of a number that can be dragged sideways, moved with the arrows, or opened. The window listens while it is
 * dragged, because the row is written anew under the hand.
 * @param {string} place
 */
export const drags = place => ({
  onPointerDown: (/** @type {PointerEvent} */ event) => {
    const from = numberAt(place);
    if (event.button !== 0 || from === undefined) return;
    const unit = unitOf(from);
    const start = event.clientX;
    let moved = false;
    const move = (/** @type {PointerEvent} */ { clientX }) => {
      moved ||= Math.abs(clientX - start) >= SLACK;
      if (moved) set(place, from + (clientX - start) * unit);
    };
    const stop = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", stop);
      removeEventListener("pointercancel", stop);
      dragged = moved;
      setTimeout(() => {
        dragged = false;
      });
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", stop);
    addEventListener("pointercancel", stop);
  },
  onKeyDown: (/** @type {KeyboardEvent} */ event) => {
    const by = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    const from = numberAt(place);
    if (!by || from === undefined) return;
    event.preventDefault();
    set(place, from + by * unitOf(from) * (event.shiftKey ? 20 : 2));
  },
  onClick: () => dragged || open(place),
});
