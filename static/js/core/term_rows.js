/**
 * What a server's explanation says, put in the order in which it is read: entries with their factors, subtotals of what
 * is not shown one by one, what is added at the end. Sums of what is left out are exact values, never printed ones.
 */

import * as format from "./format.js";
import { at as placeAt } from "./place.js";

/** The place of a cell that is read; a tensor of another step keeps it. @param {ReadCell} read */
export function placeOfRead({ tensor, index }) {
  return placeAt(tensor, index);
}

/**
 * The factors of a term with the cells they were read from, as the engine says what each is. The numbers that the
 * sentence itself puts in make one factor, the last.
 * @param {Term} term @param {ReadCell[]} reads @returns {Factor[]}
 */
export function factorsOf(term, reads) {
  const constants = term.parts.filter(({ role }) => PUT.includes(role));
  const found = term.parts.flatMap(part => (PUT.includes(part.role) ? [] : [factorOf(part, reads)]));
  if (constants.length) {
    const value = constants.reduce(
      (all, part) => (part.role === "constant_divisor" ? all / part.value : all * part.value),
      1,
    );
    found.push({ value, place: null, constant: true, divisor: false, tensor: null, inside: true });
  }
  return found;
}

/** Roles of numbers that no cell holds; cells may decide them. */
const PUT = ["constant", "constant_divisor", "test", "winner"];

/** @param {TermPart} part @param {ReadCell[]} reads @returns {Factor} */
function factorOf({ role, value, reads: at, text }, reads) {
  const cells = at.map(k => reads[k]);
  const divisor = role === "divisor" || role === "made_divisor";
  const here = cells.filter(({ inside }) => inside);
  const factor = { value, place: null, constant: false, divisor, tensor: null, inside: true };
  if (role === "made" || cells.length > 1)
    return { ...factor, made: { text, places: here.map(placeOfRead), values: here.map(read => read.value) } };
  const [read] = cells;
  return {
    ...factor,
    place: read.inside ? placeOfRead(read) : null,
    tensor: read.tensor.split("@")[0],
    inside: read.inside,
    ...(role === "made_divisor" ? { over: text } : {}),
    ...(read.gap ? { gap: true } : {}),
  };
}

/** @param {Explanation} explanation @returns {Entry[]} */
export function entriesOf({ terms, reads }) {
  return terms.map((term, k) => ({
    id: `${term.family ?? 0} ${Object.values(term.at ?? { k }).join(",")}`,
    label: term.label ?? "",
    at: term.at ?? {},
    factors: factorsOf(term, reads),
    exact: term.value,
    places: term.reads.flatMap(at => (reads[at].inside ? [placeOfRead(reads[at])] : [])),
    group: null,
    count: 1,
  }));
}

/**
 * What the largest was taken from, largest first where there is much.
 * @param {Explanation} explanation
 * @param {number} most
 */
export function candidatesOf({ terms, reads }, most) {
  const all = terms.flatMap(term => {
    const read = reads[term.reads[0]];
    return read?.inside
      ? [
          {
            place: placeOfRead(read),
            index: read.index,
            value: read.value,
            wins: term.parts.some(({ role, value }) => role === "winner" && value === 1),
          },
        ]
      : [];
  });
  return all.length > most
    ? all.sort((a, b) => Number(b.wins) - Number(a.wins) || b.value - a.value).slice(0, most)
    : all;
}

/**
 * @param {string} id
 * @param {string} label
 * @param {number} exact
 * @param {number} count
 * @param {number|null} [group]
 * @returns {Entry}
 */
export const subtotal = (id, label, exact, count, group = null) => ({
  id,
  label,
  at: {},
  factors: [],
  exact,
  places: [],
  group,
  count,
});

/** Neumaier's sum: the order of the terms does not matter. @param {Iterable<number>} values */
export function exactSum(values) {
  let sum = 0;
  let lost = 0;
  for (const value of values) {
    const next = sum + value;
    lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;
    sum = next;
  }
  return sum + lost;
}

/** @param {Entry[]} entries */
const sumOf = entries => exactSum(entries.map(({ exact }) => exact));

/** @param {Entry[]} entries */
const bySize = entries => [...entries].sort((a, b) => Math.abs(b.exact) - Math.abs(a.exact));

/**
 * At most `most` entries one by one, the rest as one: "16 smaller". The order of those that stay is kept.
 * @param {Entry[]} entries @param {number} most
 */
export function shorten(entries, most) {
  if (entries.length <= most + 1) return entries;
  const kept = new Set(bySize(entries).slice(0, most));
  const rest = entries.filter(entry => !kept.has(entry));
  return [
    ...entries.filter(entry => kept.has(entry)),
    subtotal("rest", `${rest.length} smaller`, sumOf(rest), rest.length),
  ];
}

/** @param {number} count @param {string} word */
export const counted = (count, word) => `${format.count(count)} ${word}${count === 1 ? "" : "s"}`;

/**
 * The entries of one window and what comes from the other maps, then what is added (a bias).
 * @param {Explanation} whole every term, or the first page with all groups
 * @param {Explanation|null} part the terms of the shown map, where `whole` has not got them all
 * @param {{focus: string|null, channel: number, most: number, word: string, order?: (at: Record<string, number>) =>
 *   number}} options
 */
export function windowEntries(whole, part, { focus, channel, most, word, order }) {
  const all = entriesOf(part ?? whole).filter(entry => !entry.label);
  const added = addedTo(whole);
  const shown = focus ? all.filter(entry => entry.at[focus] === channel) : all;
  if (order) shown.sort((a, b) => /** @type {Function} */ (order)(a.at) - /** @type {Function} */ (order)(b.at));
  const entries = shorten(shown, most);
  const groups = focus ? (whole.groups ?? []).filter(group => group.at !== channel) : [];
  if (groups.length) {
    entries.push(
      subtotal(
        "others",
        counted(groups.length, `other ${word}`),
        exactSum(groups.map(({ value }) => value)),
        groups.length,
      ),
    );
  } else if (focus && !part) {
    const others = all.filter(entry => entry.at[focus] !== channel);
    const count = new Set(others.map(entry => entry.at[focus])).size;
    if (count) entries.push(subtotal("others", counted(count, `other ${word}`), sumOf(others), count));
  }
  return closed(whole, entries, added);
}

/** Of a long sum so many terms stand one by one, in the card and in the row of products alike. */
const LISTED = 8;

/**
 * The largest terms one by one, the rest as one entry, then what is added.
 * @param {Explanation} whole @param {number} most
 */
export function largestEntries(whole, most) {
  const added = addedTo(whole);
  const plain = entriesOf(whole).filter(entry => !entry.label);
  const complete = whole.pages <= 1;
  if (complete) return closed(whole, shorten(plain, most), added);
  const largest = bySize(plain).slice(0, Math.min(most, LISTED));
  const entries = largest.some(({ exact }) => exact !== 0) ? largest.filter(({ exact }) => exact !== 0) : largest;
  const rest = whole.terms_total - entries.length - added.length;
  const zero = entries.length < largest.length;
  const exact = zero ? 0 : whole.value - whole.remainder - sumOf(entries) - sumOf(added);
  return [...entries, subtotal("rest", `${rest} ${zero ? "zeros" : "smaller"}`, exact, rest), ...added];
}

/** Where the list is long, terms that are exactly zero share a row. @param {Entry[]} entries @param {number} most */
function withoutZeros(entries, most) {
  const zeros = entries.filter(entry => entry.exact === 0 && !entry.label);
  if (entries.length <= most + 1 || zeros.length < 4) return entries;
  return [
    ...entries.filter(entry => !zeros.includes(entry)),
    subtotal("zeros", `${zeros.length} zeros`, 0, zeros.length),
  ];
}

/** What is added at the end. @param {Explanation} whole */
const addedTo = whole => whole.added ?? entriesOf(whole).filter(entry => entry.label);

/**
 * What is added belongs to the value even where the page did not list it.
 * @param {Explanation} whole
 * @param {Entry[]} entries
 * @param {Entry[]} added
 */
function closed(whole, entries, added) {
  if (added.length || whole.pages <= 1) return [...entries, ...added];
  const exact = whole.value - whole.remainder - sumOf(entries);
  const size = Math.max(...entries.map(entry => Math.abs(entry.exact)), Math.abs(whole.value));
  return Math.abs(exact) <= 1e-9 * size ? entries : [...entries, subtotal("added", "added", exact, 1)];
}

/**
 * The rows of a card: terms one by one up to ten, then groups, largest first, with what is left as one row.
 * @param {Explanation} explanation
 * @param {(group: Group) => string} nameOf
 * @param {number} [most]
 * @param {number|null} [keep] a group that is always shown
 * @returns {Entry[]}
 */
export function rowsOf(explanation, nameOf, most = 8, keep = null) {
  const groups = explanation.groups ?? [];
  if (explanation.terms_total <= most + 2) return withoutZeros(largestEntries(explanation, most + 2), most);
  if (!groups.length) return largestEntries(explanation, most);
  const added = addedTo(explanation);
  const named = groups.map(group => subtotal(`group ${group.at}`, nameOf(group), group.value, group.count, group.at));
  const sorted = bySize(named);
  const kept = sorted.findIndex(({ group }) => group === keep);
  if (kept >= most) sorted.splice(most - 1, 0, ...sorted.splice(kept, 1));
  const rest = sorted.slice(most);
  const rows = rest.length > 1 ? sorted.slice(0, most) : sorted;
  if (rest.length > 1) rows.push(subtotal("rest", `${rest.length} others`, sumOf(rest), rest.length));
  return closed(explanation, rows, added);
}
