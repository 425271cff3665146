/** What the network answers now to twenty test digits that stay the same. */

import { answers, digits, openDigit } from "../training.js";
import { run } from "../store.js";
import { html } from "./html.js";
import { Thumb } from "./thumb.js";

const CERTAIN = 0.995;

/** @param {number[]} probabilities */
const answerOf = (probabilities) => probabilities.indexOf(Math.max(...probabilities));

/** @param {{digit: Digit, probabilities: number[]|undefined}} props */
function Answer({ digit, probabilities }) {
  const { index, label } = digit;
  const answer = probabilities && answerOf(probabilities);
  const share = probabilities?.[/** @type {number} */ (answer)] ?? 1;
  const wrong = answer !== undefined && answer !== label;
  const certainty = `${Math.round(100 * share)}%`;
  const words = `test digit ${index}, a ${label}: ` + (answer === undefined ? "no answer yet"
    : `the network says ${answer}${wrong ? ", wrong" : ""}, ${certainty} certain`);
  return html`<li><button class="answer ${wrong ? "wrong" : ""}" title="Open in Explore"
      onClick=${() => openDigit(index)}>
    <${Thumb} dataset=${digits.value?.dataset} split="test" index=${index} width=${56} />
    <span class="spoken">${words}</span>
    <span aria-hidden="true"><b>${answer ?? "–"}</b>${wrong ? html`<b class="not">✗ is ${label}</b>`
      : share < CERTAIN ? html`<i>${certainty}</i>` : null}</span>
  </button></li>`;
}

export function Answers() {
  const shown = digits.value?.digits ?? [];
  const known = answers.value?.run === run.value?.id ? answers.value : null;
  const right = known ? shown.filter(({ label }, k) => answerOf(known.probabilities[k]) === label).length : null;
  return html`<section class="answers" aria-labelledby="answers-title">
    <header><h2 id="answers-title">Its answers now</h2>
      ${right !== null && html`<p class="soft">${right} right, ${shown.length - right} wrong</p>`}</header>
    ${shown.length ? html`<ul>${shown.map((digit, k) => html`
      <${Answer} key=${digit.index} digit=${digit} probabilities=${known?.probabilities[k]} />`)}</ul>`
      : html`<p class="soft">${digits.value ? "This data has no test digits." : "Fetching twenty test digits."}</p>`}
  </section>`;
}
