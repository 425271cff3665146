/**
 * What is asked about a cell: everything where that is little, else totals, the part that is shown and what is added.
 */

import { entriesOf } from "../../core/term_rows.js";
import { figureOf, termsOf } from "../../core/figure.js";
import { explanationOf } from "../../net/session.js";

/** Up to so many terms are asked for in one answer. */
const MANY = 200;

/** Whether the sentence adds something outside its sum. @param {Phase|null} phase */
const adds = phase =>
  phase !== null &&
  termsOf(phase) > 1 &&
  phase.reads.some(
    ({ role, axes }) =>
      role === "factor" && !axes.some(axis => axis && Object.keys(axis.letters).some(letter => letter in phase.bound)),
  );

/**
 * An explanation with what is added at the end, which may stand on its last page.
 * @param {string} place
 * @param {Phase|null} phase
 * @param {Parameters<typeof explanationOf>[1]} options
 * @returns {Promise<Explanation>}
 */
async function withAdded(place, phase, options) {
  const whole = /** @type {Explanation} */ (await explanationOf(place, options));
  if (whole.pages <= 1 || !adds(phase)) return whole;
  const size = options?.per_page ?? 20;
  const last = /** @type {Explanation} */ (
    await explanationOf(place, { per_page: size, page: Math.ceil(whole.terms_total / size) - 1 })
  );
  return { ...whole, added: entriesOf(last).filter(({ label }) => label) };
}

const LARGEST = /** @type {const} */ ({ per_page: 20, order: "largest", outside: "hidden" });

/**
 * The account of a written cell: every term, or the largest; with a window, the terms of the shown map.
 * @param {string} place @param {Phase} phase @param {Figure} figure @param {number} channel the shown map
 * @param {number} sample the image of the batch that is looked at
 * @returns {Promise<{whole: Explanation, part: Explanation|null,
 *   batch: string|null}>} batch: the letter of the samples that are summed
 */
export async function fetchTerms(place, phase, figure, channel, sample) {
  const terms = termsOf(phase);
  if (figure.kind === "slide" && terms > MANY && figure.focus) {
    const [whole, part] = await Promise.all([
      withAdded(place, phase, { per_page: 20 }),
      explanationOf(place, { group: channel, per_page: MANY }),
    ]);
    return { whole, part, batch: null };
  }
  if (figure.kind === "product" || terms > MANY) {
    const whole = await withAdded(place, phase, LARGEST);
    const letter = figure.kind === "product" ? Object.keys(figure.over.axes[0]?.letters ?? {})[0] : "";
    const groups = whole.groups ?? [];
    const batch = groups.length > 1 && groups[0].letter === letter && phase.bound[letter] === 1 ? letter : null;
    return { whole, part: batch ? await explanationOf(place, { ...LARGEST, group: sample }) : null, batch };
  }
  const hidden = figure.kind === "pool" || figure.kind === "route";
  const all = /** @type {Explanation} */ (
    await explanationOf(place, { per_page: terms + 8, ...(hidden ? { outside: /** @type {const} */ ("hidden") } : {}) })
  );
  return { whole: all.pages > 1 ? await withAdded(place, phase, LARGEST) : all, part: null, batch: null };
}

/**
 * The account for a card: all terms where they are few or grouped, else the largest.
 * @param {string} place @param {Phase|null} phase @param {(data: Explanation) => boolean} grouped
 */
export async function fetchCardTerms(place, phase, grouped) {
  const hidden = phase !== null && ["route", "pool"].includes(figureOf(phase).kind);
  const data = await withAdded(place, phase, {
    per_page: 20,
    ...(hidden ? { outside: /** @type {const} */ ("hidden") } : {}),
  });
  if (data.terms_total <= 12 || grouped(data)) return data;
  return withAdded(place, phase, LARGEST);
}
