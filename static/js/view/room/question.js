/** A question on a student's phone: what is given, how to answer, and after the reveal how everybody did. */

import { useEffect, useState } from "preact/hooks";

import { html } from "../html.js";
import { nameOf } from "../../core/room_words.js";
import * as net from "../../net/room.js";
import * as state from "../../state/room.js";
import * as store from "../../state/store.js";
import { Outcome } from "./outcome.js";
import { Bars, Numbers, Tick } from "./parts.js";

/** @typedef {{question: string, kind: string, given: {tensors: Record<string, any>}, shape?: number[],
 *   choices?: {name: string, text: string, tensor?: any}[]}} Drawn an exercise with its numbers */

/** @param {{asked: import("../../state/room.js").Asked, close: () => void}} props */
export function Question({ asked, close }) {
  const { item } = asked;
  const [drawn, setDrawn] = useState(/** @type {Drawn|null} */ (null));
  const kept = state.kept.value[asked.question];
  const before = kept?.value ?? asked.answer?.value;
  const [value, setValue] = useState(/** @type {any} */ (before ?? null));
  useEffect(() => {
    if (item.exercise) net.exercise(item.exercise, item.seed ?? 0).then(setDrawn, () => {});
  }, [item.exercise, item.seed]);
  const open = asked.state === "open";
  const send = (/** @type {Event} */ event) => {
    event.preventDefault();
    net.answer(asked.question, value);
  };
  const changed = JSON.stringify(value) !== JSON.stringify(before ?? null);
  const hint = kept ? "Kept on this phone until the server has it." : "You can change it until the answer is shown.";
  const told = state.refused.value || hint;
  const words = before === undefined ? "Send" : changed ? "Change the answer" : kept ? "Kept on this phone" : "Sent";
  return html`<section class="room-sheet" aria-labelledby="room-question">
    <p class="room-head"><span><b>● Room ${store.room.value}</b></span><span class="soft">you are${" "}
      <b>${state.you.value && nameOf(state.you.value)}</b></span>
      <button type="button" class="close" aria-label="Put the question away" onClick=${close}>×</button></p>
    <p class="soft">Question ${asked.question}${item.again ? ", once more" : ""}</p>
    <h2 id="room-question">${drawn?.question ?? item.question}</h2>
    ${
      drawn &&
      html`<div class="given">${Object.entries(drawn.given.tensors).map(
        ([name, data]) => html`<${Numbers} name=${name} data=${data} />`,
      )}</div>`
    }
    ${
      open
        ? html`<form onSubmit=${send}>
            <${Field} kind=${item.kind} choices=${drawn?.choices ?? item.choices ?? []} shape=${drawn?.shape}
              value=${value} set=${setValue} />
            <button type="submit" class="button primary send" disabled=${!complete(value) || !changed}>
              ${words}</button>
            <p class="soft" role="status">${told}</p>
          </form>`
        : html`<${Verdict} asked=${asked} />`
    }
  </section>`;
}

/** Whether something is filled in everywhere. @param {any} value @returns {boolean} */
const complete = value =>
  value !== null && value !== "" && (!Array.isArray(value) || (value.length > 0 && value.every(complete)));

/**
 * @param {{kind: string, choices: {name: string, text: string, tensor?: any}[], shape?: number[], value: any,
 *   set: (to: any) => void}} props
 */
function Field({ kind, choices, shape, value, set }) {
  if (kind === "choice")
    return html`<fieldset class="choices"><legend class="spoken">Your answer</legend>${choices.map(
      each => html`<label class=${value === each.name ? "chosen" : ""}>
        ${each.tensor !== undefined && html`<${Numbers} name="" data=${each.tensor} />`}
        <span><input type="radio" name="answer" checked=${value === each.name} onChange=${() => set(each.name)} />
        ${each.text}</span></label>`,
    )}</fieldset>`;
  if (kind === "order") return html`<${Order} choices=${choices} value=${value ?? []} set=${set} />`;
  if (kind === "grid" || kind === "cell") {
    const [rows, columns] = kind === "cell" ? [1, 2] : (shape ?? [1, 1]);
    const cells = Array.isArray(value) ? value : [];
    const at = (/** @type {number} */ row, /** @type {number} */ column) =>
      kind === "cell" ? (cells[column] ?? "") : (cells[row]?.[column] ?? "");
    const put = (/** @type {number} */ row, /** @type {number} */ column, /** @type {string} */ text) => {
      const next = Array.from({ length: rows }, (_, r) =>
        Array.from({ length: columns }, (_, c) => (r === row && c === column ? text : at(r, c))),
      );
      set(kind === "cell" ? next[0].map(each => (/^\d+$/.test(String(each)) ? Number(each) : each)) : next);
    };
    return html`<table class="room-grid" aria-label="Your answer"><tbody>${Array.from(
      { length: rows },
      (_, row) =>
        html`<tr>${Array.from(
          { length: columns },
          (_, column) => html`<td><input inputmode="decimal" autocomplete="off" value=${at(row, column)}
          aria-label=${kind === "cell" ? ["row", "column"][column] : `row ${row}, column ${column}, of your answer`}
          placeholder=${kind === "cell" ? ["row", "column"][column] : ""}
          onInput=${(/** @type {any} */ event) => put(row, column, event.currentTarget.value)} /></td>`,
        )}</tr>`,
    )}</tbody></table>`;
  }
  return html`<label class="room-number">Your answer <input inputmode="text" autocomplete="off" value=${value ?? ""}
    onInput=${(/** @type {any} */ event) => set(event.currentTarget.value.trim() || null)} /></label>`;
}

/**
 * Choices in the order in which they are touched.
 * @param {{choices: {name: string, text: string}[], value: string[], set: (to: any) => void}} props
 */
function Order({ choices, value, set }) {
  return html`<fieldset class="choices"><legend>Touch them in order</legend>${choices.map(({ name, text }) => {
    const at = value.indexOf(name);
    return html`<button type="button" aria-pressed=${at >= 0}
      onClick=${() => set(at >= 0 ? value.filter(each => each !== name) : [...value, name])}>
      <b>${at >= 0 ? at + 1 : "·"}</b> ${text}</button>`;
  })}</fieldset>`;
}

/** After the question: one's own verdict first. @param {{asked: import("../../state/room.js").Asked}} props */
function Verdict({ asked }) {
  const { verdict, result, answer } = asked;
  const said = asked.item.choices?.find(({ name }) => name === answer?.value)?.text ?? answer?.value;
  return html`<div class="room-verdict" role="status">
    ${asked.late && html`<p>Came after the answer was shown; not counted.</p>`}
    ${
      verdict &&
      html`<p><b><${Tick} right=${verdict.right} /> You said ${[said].flat().join("  ")}.</b>
      ${verdict.mistake && html` <span class="soft">${verdict.mistake.replace(/[-_]/g, " ")}</span>`}</p>`
    }
    ${!result && html`<p>No more answers are taken. The lecturer shows the answer soon.</p>`}
    ${result && html`<${Bars} rows=${result.tally} told=${true} /><${Outcome} asked=${asked} />`}
  </div>`;
}
