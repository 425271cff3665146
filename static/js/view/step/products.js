/** The terms of one cell written out as in school: factor, factor, rule, product; the bottom line adds up. */

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import { html } from "../html.js";
import { book } from "../../core/printed.js";
import { candidatesOf } from "../../core/term_rows.js";
import { alone, factor } from "../../core/format.js";
import { drags, movable } from "./drag.js";
import { lit, symbol } from "./step_state.js";
import { infoOf, open, phase, setHover } from "../../state/store.js";
import { TensorSymbol, colourOf } from "./symbol.js";
import { emptyWords } from "./labels.js";

/** @typedef {{name: string, kind: string, text?: string}} Line */

/**
 * @param {{place: string, value: number, entries: Entry[], lines: Line[], kind: string, lettersOf: (entry: Entry) =>
 *   string,
 *   result: Line, divide: boolean, listed: boolean,
 *   onCramped: () => void}} props  listed: one beneath the other; onCramped: called where the row is wider than its
 * place
 */
export function Products({ place, value, entries, lines, lettersOf, result, divide, listed, onCramped }) {
  const made = book(value, entries, { divide });
  return listed
    ? html`<${Table} ...${{ place, entries, made, lettersOf, result }} />`
    : html`<${Row} ...${{ place, entries, made, lines, lettersOf, result, onCramped }} />`;
}

/** @typedef {ReturnType<typeof book>} Book */

/**
 * Handlers of each entry; the one pointed at stays so when the row is of another cell.
 * @param {string} place
 * @param {Entry[]} entries
 */
function usePointed(place, entries) {
  const on = useRef("");
  const point = (/** @type {Entry|undefined} */ entry) => {
    on.current = entry?.id ?? "";
    setHover(entry?.places.length ? { place: entry.places[0] } : null);
  };
  useEffect(() => {
    if (on.current) point(entries.find(({ id }) => id === on.current));
  }, [place]);
  return (/** @type {Entry} */ entry) => ({
    onPointerEnter: () => point(entry),
    onPointerLeave: () => point(undefined),
  });
}

/** @param {Entry} entry */
const isLit = entry => entry.places.length > 0 && entry.places.every(place => lit.value.has(place));

/** @param {{text: string}|undefined} shown @param {number} k */
const sign = (shown, k) => (k > 0 && shown && !shown.text.startsWith("÷") ? "×" : "");

/** A factor that can be opened in turn. @param {{factor: Factor, text: string, before: string}} props */
function Opening({ factor, text, before }) {
  const { place, tensor, inside, constant } = factor;
  const colour = constant ? "soft" : tensor && infoOf(tensor) ? colourOf(/** @type {any} */ (infoOf(tensor)).kind) : "";
  const shown = html`${before && html`<span class="times">${before}</span>`}<span class=${colour}>${text}</span>`;
  if (factor.made) {
    return html`<span class="factor">${before && html`<span class="times">${before}</span>`}${factor.made.places.map(
      (from, k) =>
        html`<button class="factor soft" tabIndex=${-1} title=${from}
          onClick=${() => open(from)}>${k ? ", " : ""}${alone(factor.made?.values[k] ?? NaN)}</button>`,
    )} → ${text}</span>`;
  }
  if (place && movable(place)) {
    return html`<button class="factor movable" tabIndex=${-1} title="${place}: drag to change" ...${drags(
      place,
    )}>${shown}</button>`;
  }
  return place
    ? html`<button class="factor" tabIndex=${-1} title=${place} onClick=${() => open(place)}>${shown}</button>`
    : html`<span class="factor" title=${inside ? undefined : emptyWords(factor, phase.value)}>${shown}</span>`;
}

/**
 * @param {{place: string, entries: Entry[], made: Book, lines: Line[], lettersOf: (entry: Entry) => string,
 *   result: Line, onCramped: () => void}} props
 */
function Row({ place, entries, made, lines, lettersOf, result, onCramped }) {
  const row = useRef(/** @type {HTMLElement|null} */ (null));
  const lights = usePointed(place, entries);
  useLayoutEffect(() => {
    const box = row.current;
    if (box && box.scrollWidth > box.clientWidth + 1) onCramped();
  });
  const height = Math.min(2, Math.max(1, ...entries.map(({ factors }) => factors.length)));
  const columns = entries.length + (made.rounding ? 1 : 0);
  return html`<div class="products ${columns > 10 ? "dense" : columns < 6 ? "few" : ""}" role="group" aria-label="terms"
    ref=${row}>
    ${
      (height > 1 || made.caption) &&
      html`<div class="column gutter" aria-hidden="true">${Array.from(
        { length: Math.max(2, height) },
        (_, k) =>
          html`<span class="line ${lines[k] && symbol.value === lines[k].name ? "marked" : ""}">${
            k < height && lines[k] ? lines[k].text || html`<${TensorSymbol} ...${lines[k]} />` : ""
          } <small>${k < height ? factor(made.exponents[k] ?? 0) : ""}</small></span>`,
      )}<span class="line"><small>${made.caption}</small></span></div>`
    }
    ${entries.map((entry, k) => {
      const line = made.lines[k];
      const alone = line.factors.length < 2;
      return html`<div class="column ${isLit(entry) ? "marked" : ""}" key=${entry.id} ...${lights(entry)}>
        ${
          alone
            ? html`<span class="line name">${two(nameOf(entry, lettersOf))[0]}</span><span
              class="line name">${two(nameOf(entry, lettersOf))[1]}</span>`
            : Array.from(
                { length: Math.max(2, height) },
                (_, n) =>
                  html`<span class="line">${n === 0 && html`<${Seat} letter=${lettersOf(entry)} />`}${
                    line.factors[n]
                      ? html`<${Opening} factor=${entry.factors[n]} text=${line.factors[n].text}
                        before=${sign(line.factors[n], n)} />${
                          n === 1 &&
                          line.factors.slice(2).map(
                            (shown, more) =>
                              html` <span
                                  class="soft">${sign(shown, 2)} ${shown.text}${powerOf(entry, made, more + 2)}</span>`,
                          )
                        }`
                      : " "
                  }</span>`,
              )
        }
        <span class="line sum ${height < 2 ? "bare" : ""}">${
          alone && entry.factors[0]?.place
            ? html`<button
          class="factor" tabIndex=${-1}
            onClick=${() => open(/** @type {string} */ (entry.factors[0].place))}>${line.text}</button>`
            : line.text
        }</span>
      </div><span class="joint" aria-hidden="true">${k < entries.length - 1 || made.rounding ? "+" : "="}</span>`;
    })}
    ${
      made.rounding !== 0 &&
      html`<div class="column"><span class="line"> </span><span class="line name soft">rounding</span><span
        class="line sum">${made.roundingText}</span></div>
      <span class="joint" aria-hidden="true">=</span>`
    }
    <div class="column total"><span class="line"> </span><span class="line"> </span><span class="line value"
      aria-label="${result.name} is ${made.text}">${made.text}</span></div>
  </div>`;
}

/** The letter by which a term is known in the figure. @param {{letter: string}} props */
const Seat = ({ letter }) =>
  letter.length === 1 ? html`<span class="factor"><i class="seat">${letter}</i></span>` : null;

/**
 * The power of ten of a factor, where no head of its line says it.
 * @param {Entry} entry
 * @param {Book} made
 * @param {number} k
 */
const powerOf = (entry, made, k) => (entry.factors[k].constant ? "" : factor(made.exponents[k]));

/** Words on the lines of the two factors. @param {string} words @returns {[string, string]} */
function two(words) {
  const part = words.indexOf(" of ");
  const at = part < 0 ? words.lastIndexOf(" ") : part;
  return at < 0 ? ["", words] : [words.slice(0, at), words.slice(at + 1)];
}

/** @param {Entry} entry @param {(entry: Entry) => string} lettersOf */
const nameOf = (entry, lettersOf) => entry.label || lettersOf(entry);

/** @param {{place: string, entries: Entry[], made: Book, lettersOf: (entry: Entry) => string, result: Line}} props */
function Table({ place, entries, made, lettersOf, result }) {
  const lights = usePointed(place, entries);
  return html`<table class="terms"><caption class="spoken">terms</caption><tbody>
    ${
      (made.caption || made.exponents.slice(0, 2).some(Boolean)) &&
      html`<tr
      class="soft"><th></th><td>${factor(made.exponents[0] ?? 0)}</td><td></td><td>${factor(
        made.exponents[1] ?? 0,
      )}</td><td></td><td>${made.caption}</td></tr>`
    }
    ${entries.map((entry, k) => {
      const line = made.lines[k];
      return html`<tr key=${entry.id} class=${isLit(entry) ? "marked" : ""} ...${lights(entry)}>
        <th scope="row">${nameOf(entry, lettersOf)}</th>
        ${
          line.factors.length > 1
            ? html`<td><${Opening} factor=${entry.factors[0]} text=${line.factors[0].text} before="" /></td>
          <td class="soft">${sign(line.factors[1], 1).trim()}</td>
          <td>${line.factors.slice(1).map(
            (shown, n) => html`<${Opening} factor=${entry.factors[n + 1]}
            text=${n > 0 ? `${shown.text}${powerOf(entry, made, n + 1)}` : shown.text}
              before=${n > 0 ? sign(shown, 1) : ""} />`,
          )}</td>
          <td class="soft">=</td>`
            : html`<td colspan="4"></td>`
        }
        <td>${line.text}</td></tr>`;
    })}
    ${
      made.rounding !== 0 &&
      html`<tr class="soft"><th scope="row">rounding</th><td
      colspan="4"></td><td>${made.roundingText}</td></tr>`
    }
    <tr class="total"><th scope="row"><span class="spoken">${result.name}</span><${TensorSymbol} ...${result} /></th><td
      colspan="4" class="soft">${made.caption}</td><td>${made.text}</td></tr></tbody></table>`;
}

/**
 * What the largest is taken from, each with its place.
 * @param {{whole: Explanation, name: string, text: string}} props
 */
export function Candidates({ whole, name, text }) {
  const found = candidatesOf(whole, 9);
  return html`<div class="products blocks candidates ${found.length > 4 ? "dense" : ""}" role="group"
    aria-label="what the largest is taken from">
    ${found.map(
      ({
        place,
        index,
        value,
        wins,
      }) => html`<div class="block ${wins || lit.value.has(place) ? "marked" : ""}" key=${place}
      onPointerEnter=${() => setHover({ place })} onPointerLeave=${() => setHover(null)}><span>${seatOf(index)}</span>
      <span><button class="factor" tabIndex=${-1} title=${place}
        onClick=${() => open(place)}>${alone(value)}</button>${wins && html` <b>max</b>`}</span></div>`,
    )}
    <div class="block"><span>the largest</span><span aria-label="${name} is ${text}">= <b
      class="value">${text}</b></span></div></div>`;
}

/** Row and column of a cell in a map, else its last number. @param {number[]} index */
export const seatOf = index =>
  index.length === 4 ? `row ${index[2]}, column ${index[3]}` : `number ${index.at(-1) ?? 0}`;
