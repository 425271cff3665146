/** Fourteen questions on what is often confused, before and after; and how usable this page is. Nothing is sent. */

import { useEffect, useState } from "preact/hooks";

import { html } from "../html.js";
import { Tick } from "../icons.js";
import * as net from "../../net/requests.js";
import { learn } from "../../state/store.js";
import { keepInventory, progress, save } from "./progress.js";

export function Inventory() {
  const [whole, set] = useState(/** @type {any} */ (null));
  const [answers, answer] = useState(/** @type {Record<string, number>} */ ({}));
  const [marks, mark] = useState(/** @type {Record<number, number>} */ ({}));
  const [done, finish] = useState(false);
  useEffect(() => {
    net.inventory().then(set, net.showError);
  }, []);
  if (!whole) return html`<main class="learn" aria-label="Concept inventory" aria-busy="true"></main>`;
  const { questions, usability } = whole;
  const kept = progress.value.inventory;
  const which = kept.before ? "after" : "before";
  const right = (/** @type {Record<string, number>} */ given) =>
    questions.filter((/** @type {any} */ each) => each.choices[given?.[each.name]]?.mistake === null).length;
  const all = questions.every((/** @type {any} */ each) => each.name in answers);
  return html`<main class="learn"><div class="learn-page">
    <header class="learn-head"><h1>${whole.title}</h1><button type="button" class="button"
      onClick=${() => learn(null)}>All lessons</button></header>
    <p class="about">${whole.about}</p>
    ${
      kept.before &&
      html`<p><b>Before:</b> ${right(kept.before)} of ${questions.length} right.${
        kept.after ? html` <b>After:</b> ${right(kept.after)}.` : ""
      }</p>`
    }
    <form onSubmit=${(/** @type {Event} */ event) => {
      event.preventDefault();
      if (!all) return;
      keepInventory(which, answers);
      finish(true);
      scrollTo(0, 0);
    }}>${questions.map(
      (/** @type {any} */ each, /** @type {number} */ k) => html`<fieldset key=${each.name}>
        <legend><b>${k + 1}. ${each.question}</b></legend>
        <div class="picks">${each.choices.map(
          (/** @type {any} */ choice, /** @type {number} */ j) => html`<label key=${choice.name}
            class=${answers[each.name] === j ? "chosen" : ""}><span><input type="radio" name=${each.name}
            checked=${answers[each.name] === j} disabled=${done}
            onChange=${() => answer({ ...answers, [each.name]: j })} /> ${choice.text}${
              done && answers[each.name] === j ? html` <${Tick} right=${choice.mistake === null} />` : ""
            }</span></label>`,
        )}</div></fieldset>`,
    )}
      <p class="asked"><button type="submit" class="button primary" disabled=${!all || done}>${
        all ? `Finish: ${which}` : `${Object.keys(answers).length} of ${questions.length} answered`
      }</button></p></form>
    ${done && html`<p role="status">${right(answers)} of ${questions.length} are right.</p>`}
    <h2>${usability.title}</h2><p class="about">${usability.about}</p>
    ${usability.items.map(
      (/** @type {string} */ item, /** @type {number} */ k) => html`<fieldset key=${k}>
        <legend><b>${k + 1}. ${item}</b></legend><div class="scale-of">${usability.scale.map(
          (/** @type {string} */ words, /** @type {number} */ j) => html`<label key=${j}><input type="radio"
            name=${`usability ${k}`} checked=${marks[k] === j} onChange=${() => mark({ ...marks, [k]: j })} />
            ${words}</label>`,
        )}</div></fieldset>`,
    )}
    ${
      usability.items.every((/** @type {string} */ _, /** @type {number} */ k) => k in marks) &&
      html`<p role="status">Its score is <b>${scoreOf(marks, usability.items.length)}</b> of 100.</p>`
    }
    <p><button type="button" class="link" onClick=${() =>
      save("convscope-inventory.json", { inventory: progress.value.inventory, usability: marks })}>Save the answers as a
      file</button></p>
  </div></main>`;
}

/** As the System Usability Scale counts. @param {Record<number, number>} marks from 0 @param {number} count */
const scoreOf = (marks, count) =>
  (100 / (4 * count)) *
  Array.from({ length: count }, (_, k) => (k % 2 ? 4 - marks[k] : marks[k])).reduce((sum, each) => sum + each, 0);
