/** What several screens of a room draw: who is there, how an answer was spread, and what a question gives. */

import { html } from "../html.js";
import { number } from "../../core/format.js";
import { nameOf, spread } from "../../core/room_words.js";

/**
 * Who is in the room, in the order of their numbers.
 * @param {{who: import("../../state/room.js").Who[], newest?: number, act?: (number: number) => void}} props
 */
export const Chips = ({ who, newest = 0, act }) =>
  html`<ol class="room-chips" aria-label="In the room">${who.map(each => {
    const state = each.state === "following" ? (each.answered ? "answered" : "thinking") : each.state;
    const words = `${nameOf(each)}, ${state === "own" ? "on their own" : state}`;
    const kind = `${state} ${each.number === newest ? "newest" : ""}`;
    return html`<li key=${each.number}>${
      act && each.nickname
        ? html`<button type="button" translate="no" class=${kind} title=${`${words}. Back to the number ${each.number}`}
          aria-label=${`${words}. Back to the number ${each.number}`}
          onClick=${() => act(each.number)}>${nameOf(each)}</button>`
        : html`<span class=${kind} title=${words} aria-label=${words} role="img">${nameOf(each)}</span>`
    }</li>`;
  })}</ol>`;

/**
 * How often each answer was given.
 * @param {{rows: import("../../state/room.js").Bar[], told: boolean}} props `told`: whether the right one is marked
 */
export const Bars = ({ rows, told }) => {
  const { rows: shown, most, all } = spread(rows);
  return html`<ul class="room-bars">${shown.map(
    row => html`<li key=${row.name} class=${told && row.right ? "right" : ""}
      aria-label=${`${row.text}${row.mistake ? `, ${row.mistake}` : ""}, ${row.count} of ${all}`}>
      <span class="row"><b>${told && row.right ? html`<${Tick} right=${true} /> ` : ""}${row.text}</b>
        ${row.mistake && html`<span class="soft">${row.mistake}</span>`}<span class="count">${row.count}</span></span>
      <i class="bar"><i style=${{ width: `${(100 * row.count) / Math.max(1, most)}%` }}></i></i></li>`,
  )}</ul>`;
};

/** A tensor of a question as a table of numbers. @param {{name: string, data: any}} props */
export function Numbers({ name, data }) {
  const rows = rowsOf(data);
  return html`<table class="room-numbers" aria-label=${name}><caption>${name}</caption><tbody>
    ${rows.map(row => html`<tr>${row.map(each => html`<td>${written(each)}</td>`)}</tr>`)}
  </tbody></table>`;
}

/** A number of a question: whole ones as people write them. @param {any} each */
export const written = each => (typeof each !== "number" ? each : Number.isInteger(each) ? minus(each) : number(each));

const minus = (/** @type {number} */ each) => String(each).replace("-", "−");

/** A tick or a cross, drawn: not every font has them. @param {{right: boolean}} props */
export const Tick = ({ right }) => html`<svg viewBox="0 0 16 16" class="room-tick" role="img"
  aria-label=${right ? "right" : "wrong"}><path d=${right ? "M2.5 8.5l3.5 3.5 7.5-8.5" : "M3.5 3.5l9 9m0-9l-9 9"}
    fill="none" stroke="currentColor" stroke-width="2" /></svg>`;

/** Rows of a tensor; what has more axes than two is put below one another. @param {any} data @returns {any[][]} */
function rowsOf(data) {
  if (!Array.isArray(data)) return [[data]];
  if (!Array.isArray(data[0])) return [data];
  if (!Array.isArray(data[0][0])) return data;
  return data.flatMap(rowsOf);
}
