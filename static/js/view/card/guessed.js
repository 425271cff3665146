/** What was said of a number before it was seen, beside the truth. */

import { html } from "../html.js";
import { Tick } from "../icons.js";
import { guesses } from "../../state/store.js";

/** @param {number} value */
const truth = value => (value > 0 ? "positive" : value < 0 ? "negative" : "zero");

/** @param {{place: string, value: number|undefined}} props */
export function Guessed({ place, value }) {
  const said = guesses.value.get(place);
  if (!said || value === undefined) return null;
  const now = truth(value);
  const words = { positive: "positive", zero: "exactly 0", negative: "negative" };
  return html`<p class="guessed" role="status"><${Tick} right=${said === now} /> You said <b>${words[said]}</b>.${
    said === now ? "" : html` It is <b>${words[now]}</b>.`
  }</p>`;
}
