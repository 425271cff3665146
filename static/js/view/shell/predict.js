/** Predict, then reveal: before a phase begins its first number is asked for; its card keeps the guess. */

import { useEffect, useRef } from "preact/hooks";

import { html } from "../html.js";
import * as store from "../../state/store.js";

const CHOICES = /** @type {const} */ (["positive", "zero", "negative"]);

/** In place of the step view, which would show it. @param {{place: string}} props */
export function Predict({ place }) {
  const first = useRef(/** @type {HTMLButtonElement|null} */ (null));
  const phase = store.phase.value;
  const title = store.infoOf(place)?.title ?? place;
  const where = store.whereabouts(place);
  useEffect(() => {
    first.current?.focus();
    store.say(`${title}${where && `, ${where}`}: what comes?`);
  }, [place]);
  return html`<section class="step predict" aria-label="Step view, not shown before your answer">
    <header class="step-head"><h2 class="sentence">${phase?.layer}: ${phase?.head}</h2></header>
    <div class="hatch"><span class="disc" aria-hidden="true">?</span></div>
    <p class="sentence">What comes first: the ${title}${where && `, ${where}`}?</p>
    <p class="picks-row" role="group" aria-label="Your guess">${CHOICES.map(
      (each, k) => html`<button type="button" class="button" ref=${k ? undefined : first}
        onClick=${() => store.predict(each)}>${each === "zero" ? "exactly 0" : each}</button>`,
    )}<button type="button" class="button quiet" onClick=${() => store.predict(null)}>Skip</button></p></section>`;
}
