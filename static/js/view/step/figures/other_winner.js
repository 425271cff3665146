/** Had another cell of the window won: it is chosen by hand, and the two deltas stand beside each other. */

import { html } from "../../html.js";
import { alone, number } from "../../../core/format.js";
import { at, ravel } from "../../../core/place.js";
import { before, winnersOf } from "../../../state/compare.js";
import { isKnown, live, nameOf, setNumber, setTo, source, tensorOf } from "../../../state/store.js";

/** Windows of more cells are not asked about. */
const MOST = 16;

/** "row 3, column 5" of a cell that is counted row by row. @param {number} flat @param {number} columns */
const spot = (flat, columns) => `row ${Math.floor(flat / columns)}, column ${flat % columns}`;

/**
 * @param {{phase: Phase, index: number[], shape: number[], cells: {value: number, index: number[]|null, mark?:
 *   string}[]}} props  index: of the window; shape: of the tensor that it looks at
 */
export function OtherWinner({ phase, index, shape, cells }) {
  const winners = winnersOf(phase);
  const there = cells.filter(cell => cell.index);
  if (!winners || live.value || source.value?.kind !== "pass" || there.length < 2 || there.length > MOST) return null;
  const columns = shape[shape.length - 1];
  const window = at(winners, index);
  const set = setTo(window);
  const flat = (/** @type {number[]} */ k) => k[k.length - 2] * columns + k[k.length - 1];
  if (set !== undefined)
    return html`<p class="other-winner">By hand, ${spot(set, columns)} wins. <${Deltas} phase=${phase} index=${index}
      columns=${columns} winners=${winners} />
      <button class="flat" onClick=${() => setNumber(window, null)}>Put back</button></p>`;
  return html`<p class="other-winner"><span>Had another won:</span> ${there
    .filter(({ mark }) => mark !== "winner")
    .map(({ value, index: k }) => {
      const to = flat(/** @type {number[]} */ (k));
      return html`<button class="flat" key=${to} aria-label=${`let ${number(value)} win, ${spot(to, columns)}`}
        onClick=${() => setNumber(window, to)}>${number(value)}</button>`;
    })}</p>`;
}

/**
 * Where the window's delta goes now, and where it went.
 * @param {{phase: Phase, index: number[], columns: number, winners: string}} props
 */
function Deltas({ phase, index, columns, winners }) {
  const delta = nameOf(`${phase.layer}/dy`);
  const [now, was, old] = [tensorOf(delta), before(delta), before(winners)];
  const [set, place] = [setTo(at(winners, index)), at(delta, index)];
  if (!now || !was || set === undefined) return null;
  const flat = ravel(index, now.shape);
  const went = old ? ` to ${spot(Number(old.data[flat]), columns)}` : "";
  const past = alone(was.data[flat]);
  if (!isKnown(place)) return html`Play on to see where its δ goes; before, ${past} went${went}.`;
  return html`Its δ, ${alone(now.data[flat])}, goes to ${spot(set, columns)}; before, ${past} went${went}.`;
}
