/**
 * What the step view and the card share: the figure of the phase, the cell that is written, what the server says
 * about it, and which cells, terms and symbols are lit together.
 */

import { computed, signal } from "@preact/signals-core";

import { entriesOf } from "../../core/term_rows.js";
import { figureOf, fixed } from "../../core/figure.js";
import { at } from "../../core/place.js";
import { stampsOf, turnOf, waysOf } from "../../core/scatter.js";
import { indexAt, lettersAt } from "../../core/timeline.js";
import {
  breakpoint,
  explanation,
  focusChannel,
  hover,
  nameOf,
  phase,
  position,
  setter,
  tensorOf,
  way as chosenWay,
} from "../../state/store.js";

/** The figure of the phase at the position. */
export const figure = computed(() => (phase.value ? figureOf(phase.value) : null));

/** The ways in which its sum can be looked at; all at once where there is room. */
export const ways = computed(() => waysOf(figure.value).filter(way => way !== "all" || breakpoint.value === "wide"));

/** The way in which it is looked at. @type {Signal<Way>} */
export const way = computed(() => (ways.value.includes(chosenWay.value) ? chosenWay.value : "gather"));

/** The letters at the position, with the shown map. */
const lettersNow = computed(() => {
  const [now, drawn] = [phase.value, figure.value];
  if (!now || !drawn) return {};
  const focus = "focus" in drawn ? drawn.focus : null;
  return { ...lettersAt(now, position.value?.cell ?? -1), ...fixed(now, focus, focusChannel.value) };
});

/** What the ways show of the written cell, where it is not only gathered. @type {Signal<Turn|null>} */
export const turn = computed(() => {
  const [now, drawn] = [phase.value, figure.value];
  if (!now || drawn?.kind !== "slide" || way.value === "gather") return null;
  const [x, w] = [tensorOf(drawn.plane.tensor), tensorOf(drawn.kernel.tensor)];
  return x && w ? turnOf(drawn, now, lettersNow.value, indexAt(now, position.value?.cell ?? -1), { x, w }) : null;
});

/** The same of a kernel's gradient: the pairs that are stamped onto it. */
export const stamps = computed(() => {
  const [now, drawn] = [phase.value, figure.value];
  if (!now || drawn?.kind !== "product" || way.value === "gather") return null;
  const [x, d] = [tensorOf(drawn.plane.tensor), tensorOf(drawn.over.tensor)];
  return x && d ? stampsOf(drawn, now, lettersNow.value, indexAt(now, position.value?.cell ?? -1), { x, d }) : null;
});

/** The cell that is written at the position, null before the first one. @type {Signal<string|null>} */
export const cellPlace = computed(() => {
  const now = phase.value;
  const cell = position.value?.cell ?? -1;
  return now && cell >= 0 ? at(now.place, indexAt(now, cell)) : null;
});

/**
 * What the server said about the written cell, whole and the part that is shown.
 * @type {Signal<{place: string, whole: Explanation, part: Explanation|null, batch: string|null, channel: number}|null>}
 */
export const told = signal(null);

/** The term that is lit while the terms are walked through, or at rest: places it reads. @type {Signal<string[]>} */
const walking = signal([]);

/** Whether the strip that explains the turn takes the place of the numbers. */
export const rotationStrip = signal(false);

export const showRotationStrip = setter(rotationStrip);

/** Whether the turn was shown and waits for the learner. */
export const waiting = signal(false);

/** The summed map that is shown whatever the cell, where somebody has chosen it for the learner. */
export const heldChannel = signal(/** @type {number|null} */ (null));

export const holdChannel = setter(heldChannel);
export const wait = setter(waiting);
export const tell = setter(told);

/** @param {string[]} places */
export function walkTo(places) {
  if (places.length !== walking.peek().length || places.some((place, k) => place !== walking.peek()[k]))
    walking.value = places;
}

/**
 * Places that are lit together: what the pointer is on with the cells of the terms it takes part in; otherwise the
 * term that is being walked through.
 * @type {Signal<Set<string>>}
 */
export const lit = computed(() => {
  const on = hover.value;
  if (on && "places" in on) return new Set(on.places);
  if (!on || !("place" in on)) return new Set(on ? [] : walking.value);
  const place = on.index ? at(nameOf(on.place), on.index) : on.place;
  const found = new Set([place]);
  for (const known of [told.value?.part, told.value?.whole, explanation.value?.data]) {
    if (!known) continue;
    for (const { places } of entriesOf(known)) {
      if (places.includes(place) && places.length <= 4) for (const other of places) found.add(other);
    }
  }
  return found;
});

/** The tensor whose symbol is pointed at, by its name in the sentence. */
export const symbol = computed(() => {
  const on = hover.value;
  return on && "symbol" in on ? on.symbol : null;
});
