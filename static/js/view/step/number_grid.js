/** Number cells: a small grid whose cells are buttons, walked with the arrows, explained with Enter. */

import { useRef, useState } from "preact/hooks";

import { html } from "../html.js";
import { css, ink } from "../../core/colour.js";
import { factor, number, tail } from "../../core/format.js";
import { at } from "../../core/place.js";
import { lit, symbol as litSymbol } from "./step_state.js";
import { cellWords, open, pinned, place as opened, scheme } from "../../state/store.js";
import { moved, rem } from "./heatmap.js";
import { usePointing } from "./pointing.js";

/**
 * @typedef {{value: number, index: number[]|null, state?: "known"|"notyet"|"pad", letter?: string,
 *   mark?: "winner"|"result"|"read"|"", word?: string}} Cell
 */

/**
 * @param {{prefix: string, kind: any, range: number, cells: Cell[][], width?: number, height?: number,
 *   exponent?: number, letters?: boolean, numbers?: boolean, name?: string, label: string, ear?: "first"|"last"|null,
 * turning?: boolean}} props
 */
export function NumberGrid({
  prefix,
  kind,
  range,
  cells,
  width = 60,
  height = 50,
  exponent = 0,
  letters = true,
  numbers = true,
  name = "",
  label,
  ear = null,
  turning = false,
}) {
  const table = useRef(/** @type {HTMLElement|null} */ (null));
  const [walked, walk] = useState(/** @type {number[]|null} */ (null));
  const rows = cells.length;
  const columns = cells[0]?.length ?? 0;
  const [row, column] = walked ?? current(cells, prefix);
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const to = moved(event.key, Math.min(row, rows - 1), Math.min(column, columns - 1), rows, columns);
    if (!to) return;
    event.preventDefault();
    walk(to);
    const cell = table.current?.children[to[0]]?.children[to[1]];
    if (cell instanceof HTMLElement) cell.focus();
  };
  return html`<div
    class="numbers ${turning ? "turning" : ""} ${name && litSymbol.value === name ? "linked" : ""} ${
      ear ? `ear-${ear}` : ""
    }"
    role="grid" aria-label=${label} ref=${table} onKeyDown=${onKeyDown}>
    ${cells.map(
      (line, r) => html`<div role="row" key=${r}>
      ${line.map(
        (cell, c) => html`<${NumberCell} key=${c} ...${cell} prefix=${prefix} kind=${kind} range=${range}
        width=${width} height=${height} exponent=${exponent} letters=${letters} numbers=${numbers}
        stop=${r === Math.min(row, rows - 1) && c === Math.min(column, columns - 1)} onWalk=${() => walk([r, c])} />`,
      )}
    </div>`,
    )}
  </div>`;
}

/**
 * Where the Tab key enters: the pinned cell, else the opened one, else the one that is written.
 * @param {Cell[][]} cells
 * @param {string} prefix
 */
function current(cells, prefix) {
  for (const wanted of [pinned.value, opened.value]) {
    const here = (/** @type {Cell} */ { index }) => index !== null && at(prefix, index) === wanted;
    const row = wanted ? cells.findIndex(line => line.some(here)) : -1;
    if (row >= 0) return [row, cells[row].findIndex(here)];
  }
  const row = cells.findIndex(line => line.some(({ mark }) => mark));
  return row < 0 ? [0, 0] : [row, cells[row].findIndex(({ mark }) => mark)];
}

/**
 * @param {Cell & {prefix: string, kind: any, range: number, width: number, height: number, exponent:
 * number,
 *   letters: boolean, numbers: boolean, stop: boolean, onWalk: () => void}} props */
function NumberCell({
  value,
  index,
  state = "known",
  letter = "",
  mark = "",
  word = "",
  prefix,
  kind,
  range,
  width,
  height,
  exponent,
  letters,
  numbers,
  stop,
  onWalk,
}) {
  const place = index ? at(prefix, index) : null;
  const known = state === "known" && place !== null;
  const pointing = usePointing(known ? place : null, onWalk);
  const text = state === "pad" ? "0" : number(value, exponent);
  const said =
    state === "pad"
      ? `no cell here, 0${letter && `, ${letter}`}`
      : cellWords(place ?? prefix, state === "notyet" ? "not computed yet" : `${text}${factor(exponent)}`);
  const theme = scheme.value;
  const colours = known ? `background:${css(kind, value, range, theme)};color:${ink(kind, value, range, theme)};` : "";
  const look = mark === "winner" ? "winner" : place && (lit.value.has(place) || mark === "result") ? "ring" : mark;
  return html`<button role="gridcell"
    class="number ${state} ${look} ${width < 59 ? "slim" : ""} ${numbers && height < 44 ? "short" : ""}"
      data-place=${place ?? undefined} aria-label=${said}
    aria-disabled=${!known} tabIndex=${stop ? 0 : -1} title=${state === "notyet" ? "not computed yet" : undefined}
    style="${colours}width:${rem(width)};height:${rem(height)}" ...${pointing}
    onClick=${() => known && open(/** @type {string} */ (place))}>
    ${letters && letter && html`<span class="letter ${numbers ? "" : "alone"}" data-text=${letter}></span>`}
    ${word && html`<span class="word" data-text=${word}></span>`}
    ${
      numbers &&
      state !== "notyet" &&
      html`<span class="digits">${text}${
        letters &&
        html`<span class="tail"
      data-text=${tail(text)}></span>`
      }</span>`
    }
  </button>`;
}
