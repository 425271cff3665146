/** Terms as a waterfall: each bar starts where the last one ended, and the last one ends at the value. */

import { useEffect, useState } from "preact/hooks";

import { html } from "../html.js";
import { candidatesOf, entriesOf } from "../../core/term_rows.js";
import { css } from "../../core/colour.js";
import { letterOf, planeLetters, figureOf } from "../../core/figure.js";
import { alone, factor } from "../../core/format.js";
import { explanationOf } from "../../net/session.js";
import { lit } from "../step/step_state.js";
import { book } from "../../core/printed.js";
import {
  focusChannel,
  focusOn,
  infoOf,
  open,
  phase as phaseNow,
  scheme,
  setHover,
  tensorOf,
  numberAt,
} from "../../state/store.js";
import { seatOf } from "../step/products.js";
import { colourOf } from "../step/symbol.js";
import { emptyWords, factorName, termName, termText, valueText } from "../step/labels.js";

const WIDTH = 100;
const PAGE = 20;

/** @param {{place: string, data: Explanation, rows: Entry[], phase: Phase|null}} props */
export function Waterfall({ place, data, rows, phase }) {
  const [opened, choose] = useState(/** @type {string|null} */ (null));
  const made = book(data.value, rows, { divide: phase?.part !== "update" });
  const kind = infoOf(place)?.kind ?? "value";
  const steps = [0];
  for (const line of made.lines) steps.push(steps[steps.length - 1] + line.units);
  const ends = [...steps, made.total];
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const x = (/** @type {number} */ units) => (WIDTH * (units - low)) / (high - low || 1);
  const figure = phase && figureOf(phase);
  const focus = figure && "focus" in figure && figure.focus && phase === phaseNow.value ? figure.focus : null;
  const range = Math.max(...made.lines.map(({ units }) => Math.abs(units)), 1);
  const theme = scheme.value;
  const mine = (/** @type {Entry} */ entry) =>
    (entry.places.length > 0 && entry.places.every(read => lit.value.has(read))) ||
    (entry.group !== null && focus !== null && entry.group === focusChannel.value);
  const bar = (
    /** @type {number} */ from,
    /** @type {number} */ by,
    /** @type {boolean} */ marked,
  ) => html`<svg class="bar" viewBox="0 0 ${WIDTH} 24" preserveAspectRatio="none" aria-hidden="true">
    <line x1=${x(0)} x2=${x(0)} y1="0" y2="24" /><rect x=${Math.min(x(from), x(from + by))}
      width=${Math.max(1.5, Math.abs(x(from + by) - x(from)))} y="7" height="10"
      fill=${
        by === 0
          ? "var(--rule2)"
          : css(
              /** @type {any} */ (kind),
              Math.sign(by) * (0.5 + Math.abs(by) / range / 2),
              1,
              marked ? "light" : theme,
            )
      } /></svg>`;
  return html`<div class="waterfall"><table aria-label="terms of ${place}"><tbody>
    ${rows.map((entry, k) => {
      const line = made.lines[k];
      const marked = mine(entry);
      const can = entry.group !== null || entry.factors.length > 0;
      const toggle = () => {
        if (entry.group !== null && focus) focusOn(entry.group);
        choose(opened === entry.id ? null : entry.id);
      };
      return html`<tr key=${entry.id} class="${marked ? "marked" : ""} ${can ? "can" : ""}"
        onClick=${can ? toggle : undefined}
          onPointerEnter=${() => setHover(entry.places.length ? { place: entry.places[0] } : null)}
            onPointerLeave=${() => setHover(null)}>
        <th scope="row">${
          can
            ? html`<button class="row-name" aria-expanded=${opened === entry.id} onClick=${(
                /** @type {Event} */ event,
              ) => {
                event.stopPropagation();
                toggle();
              }}>${labelOf(entry, phase, data.terms_total)}</button>`
            : labelOf(entry, phase, data.terms_total)
        }</th>
        <td class="bars">${bar(steps[k], line.units, marked)}</td><td class="term">${line.text}</td></tr>
      ${
        opened === entry.id &&
        html`<tr class="detail"><td colspan="3">${
          entry.group !== null
            ? html`<${Group} place=${place} group=${entry.group} phase=${phase} count=${entry.count}
              exponent=${made.exponent} />`
            : html`<${Factors} entry=${entry} line=${line} exponents=${made.exponents} phase=${phase} />`
        }</td></tr>`
      }`;
    })}
    ${
      made.rounding !== 0 &&
      html`<tr class="rounding"><th scope="row">rounding</th><td
      class="bars">${bar(steps[steps.length - 1], made.rounding, false)}</td><td
        class="term">${made.roundingText}</td></tr>`
    }
    <tr class="total"><th scope="row">=</th><td class="bars soft">${made.caption}</td><td
      class="term">${made.text}</td></tr>
  </tbody></table></div>`;
}

/** What the largest was taken from: each as long as it is large. @param {{data: Explanation, place: string}} props */
export function Largest({ data, place }) {
  const found = candidatesOf(data, 12);
  const sizes = found.map(({ value }) => value);
  const [low, high] = [Math.min(0, ...sizes), Math.max(0, ...sizes)];
  const x = (/** @type {number} */ v) => (WIDTH * (v - low)) / (high - low || 1);
  return html`<div class="waterfall largest"><table aria-label="what ${place} is the largest of"><tbody>
    ${found.map(
      each => html`<tr key=${each.place} class="can ${each.wins ? "marked" : ""}"
        onClick=${() => open(each.place, { from: "card" })}
        onPointerEnter=${() => setHover({ place: each.place })} onPointerLeave=${() => setHover(null)}>
      <th scope="row"><button class="row-name" title=${each.place}>${seatOf(each.index)}</button></th>
      <td class="bars"><svg class="bar" viewBox="0 0 ${WIDTH} 24" preserveAspectRatio="none" aria-hidden="true"><line
        x1=${x(0)} x2=${x(0)} y1="0" y2="24" />
        <rect x=${Math.min(x(0), x(each.value))} width=${Math.max(1.5, Math.abs(x(each.value) - x(0)))} y="7"
          height="10"
          fill=${
            each.value === 0
              ? "var(--rule2)"
              : css(
                  infoOf(each.place)?.kind ?? "value",
                  each.value,
                  Math.max(high, -low),
                  each.wins ? "light" : scheme.value,
                )
          } /></svg></td>
      <td class="term">${alone(each.value)}</td><td class="won">${each.wins ? "max" : ""}</td></tr>`,
    )}</tbody></table></div>`;
}

/**
 * A term by its kernel's letter, its word, or the numbers of its letters.
 * @param {Entry} entry
 * @param {Phase|null} phase
 * @param {number} total
 */
function labelOf(entry, phase, total) {
  if (entry.label) return entry.label;
  if (phase) {
    const figure = figureOf(phase);
    if (figure.kind === "slide") {
      const [u, v] = planeLetters(figure.plane, phase);
      const w = tensorOf(figure.kernel.tensor);
      const columns = w?.shape.at(-1) ?? phase.bound[v];
      const form = (/** @type {number} */ axis, /** @type {string} */ letter) => {
        const axisForm = figure.kernel.axes[axis];
        return axisForm ? axisForm.offset + (axisForm.letters[letter] ?? 0) * (entry.at[letter] ?? 0) : 0;
      };
      const single = phase.bound[u] * phase.bound[v] === 1;
      const name = single ? "" : letterOf(form(2, u) * columns + form(3, v));
      if (name) return name;
    }
    const name = termName(phase, entry.at, total);
    if (name) return name;
  }
  return termText(entry, phase) || Object.values(entry.at).join(",") || "value";
}

/**
 * The factors of one term, each of which opens.
 * @param {{entry: Entry, line: import("../../core/printed.js").Line, exponents: number[], phase: Phase|null}} props
 */
function Factors({ entry, line, exponents, phase }) {
  const way = (/** @type {string} */ place) =>
    html`<button class="link" onClick=${() => open(place, { from: "card" })}>${place}</button>`;
  const deciding = entry.places.filter(
    place => !entry.factors.some(each => each.place === place || each.made?.places.includes(place)),
  );
  return html`<ul class="factors">${entry.factors.map(
    (each, k) => html`<li key=${k}>${
      each.made
        ? html`<span>${each.made.places.map(place => html`${way(place)} `)}</span>`
        : each.place
          ? way(each.place)
          : html`<span class="soft">${each.constant ? "a constant" : emptyWords(each, phase)}</span>`
    }
    ${(each.over || each.made) && html`<i>${factorName(each, phase)}</i>`}
    <span
      class="${each.tensor ? colourOf(infoOf(each.tensor)?.kind ?? "value") : "soft"}">${
        line.factors.length > 1 || each.constant
          ? `${line.factors[k].text} ${each.constant ? "" : factor(exponents[k])}`
          : alone(each.value)
      }</span></li>`,
  )}
    ${deciding.map(
      place =>
        html`<li key=${place}>${way(place)} <i>decides</i> <span
          class=${colourOf(infoOf(place)?.kind ?? "value")}>${valueText(place, numberAt(place) ?? NaN)}</span></li>`,
    )}</ul>`;
}

/**
 * The terms of one group, page by page, in the unit of their sum.
 * @param {{place: string, group: number, phase: Phase|null, count: number, exponent: number}} props
 */
function Group({ place, group, phase, count, exponent }) {
  const [page, turn] = useState(0);
  const [part, set] = useState(/** @type {Explanation|null} */ (null));
  useEffect(() => {
    let gone = false;
    explanationOf(place, { group, page, per_page: PAGE, order: "largest", outside: "hidden" }).then(
      data => !gone && set(data),
      () => {},
    );
    return () => {
      gone = true;
    };
  }, [place, group, page]);
  if (!part) return html`<p class="soft">…</p>`;
  const entries = entriesOf(part).filter(({ label }) => !label);
  const made = book(part.value, entries, { exponent, divide: phase?.part !== "update" });
  return html`<div class="group"><table>${
    [made.exponent, ...made.exponents].some(Boolean) &&
    html`<thead><tr><th></th><td class="soft">${made.exponents
      .map(factor)
      .filter(Boolean)
      .join(", ")}</td><td class="soft">${made.caption}</td></tr></thead>`
  }<tbody>${entries.map(
    (entry, n) => html`<tr key=${entry.id}
      class=${entry.places.length && entry.places.every(read => lit.value.has(read)) ? "marked" : ""}
      onPointerEnter=${() => setHover(entry.places.length ? { place: entry.places[0] } : null)}
        onPointerLeave=${() => setHover(null)}>
      <th
        scope="row">${labelOf(entry, phase, part.terms_total).replace(/^image \d+, /, "")}</th><td>${entry.factors.map(
          (each, k) =>
            html`${k > 0 && !each.divisor ? " × " : " "}${
              each.place
                ? html`<button class="link ${each.tensor ? colourOf(infoOf(each.tensor)?.kind ?? "value") : ""}"
                title=${each.place} onClick=${() => open(/** @type {string} */ (each.place), { from: "card" })}>${
                  made.lines[n].factors[k].text
                }</button>`
                : made.lines[n].factors[k].text
            }`,
        )}</td><td class="term">${made.lines[n].text}</td></tr>`,
  )}</tbody></table>
    ${
      part.pages > 1 &&
      html`<p class="pages"><button aria-label="page before" disabled=${page === 0}
        onClick=${() => turn(page - 1)}>‹</button>
      ${PAGE * page}–${Math.min(count, PAGE * (page + 1)) - 1} of ${count}<button aria-label="next page"
        disabled=${page + 1 >= part.pages} onClick=${() => turn(page + 1)}>›</button></p>`
    }</div>`;
}
