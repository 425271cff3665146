/** After the reveal: what the commonest mistake computes, beside what is right. */

import { html } from "../html.js";
import { Tick, written as cell } from "./parts.js";

/** @param {any} value @returns {string} */
const written = value =>
  Array.isArray(value) ? value.map(written).join(Array.isArray(value[0]) ? "; " : "  ") : String(cell(value));

/** @param {{asked: import("../../state/room.js").Asked}} props */
export function Outcome({ asked }) {
  const { right, mistake, solution } = asked.result ?? {};
  const choices = asked.item.choices ?? [];
  const called = (/** @type {any} */ value) => choices.find(({ name }) => name === value)?.text ?? written(value);
  return html`<div class="outcome">
    ${
      mistake &&
      html`<h3>What “${mistake.name.replace(/[-_]/g, " ")}” computes</h3><p>${mistake.feedback}</p>
      <p class="beside"><span class="was">${called(mistake.value)}</span></p>`
    }
    ${
      right !== undefined &&
      right !== null &&
      html`<p class="beside"><span class="soft"><${Tick} right=${true} /> right</span> <b>${called(right)}</b></p>`
    }
    ${solution && html`<p>${solution}</p>`}
  </div>`;
}
