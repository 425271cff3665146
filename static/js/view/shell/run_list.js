/**
 * The runs there are, told apart by name, settings, accuracy and colour; renamed, deleted, handed to another browser.
 */

import { useState } from "preact/hooks";

import * as format from "../../core/format.js";
import * as net from "../../net/requests.js";
import * as session from "../../net/session.js";
import { keepKey, keyOf, mayChange } from "../../net/tokens.js";
import * as store from "../../state/store.js";
import { html } from "../html.js";

/** Hues that stay apart beside one another, by the golden angle. @param {string} id */
export function colourOfRun(id) {
  let hash = 0;
  for (const letter of id) hash = (hash * 31 + /** @type {number} */ (letter.codePointAt(0))) >>> 0;
  return `hsl(${Math.round((hash * 137.508) % 360)} 62% 45%)`;
}

/** The settings in which runs differ, in one line. @param {any} run */
export function settingsOfRun({ model, title, name, dataset, optimizer, batch_size, seed }) {
  const network = name ? `${model ?? title}, ` : "";
  return `${network}${dataset}, ${optimizer.name} ${optimizer.learning_rate ?? ""}, batch ${batch_size}, seed ${seed}`;
}

/** @param {any} run */
function standing({ step, steps, state, test_accuracy: test, accuracy, id }) {
  const share = test ?? accuracy;
  const right =
    share === null || share === undefined
      ? ""
      : `, ${format.percent(share, 1)} right${test === null ? " in its last batch" : ""}`;
  const now =
    { running: ", training", finished: ", finished", failed: ", failed" }[/** @type {string} */ (state)] ?? "";
  const first = id === (store.status.value.welcome ?? "welcome") ? "the first visit's, " : "";
  return `${first}${step ? `step ${format.count(step)} of ${format.count(steps)}` : "untrained"}${now}${right}`;
}

/** @param {{run: any, choose: (id: string) => void, changed: () => void}} props */
function Line({ run, choose, changed }) {
  const [doing, setDoing] = useState(/** @type {""|"rename"|"delete"} */ (""));
  const current = run.id === store.run.value?.id;
  const mine = !run.kept && mayChange(run);
  const key = keyOf(run.id);
  const name = store.nameOfRun(run);
  const act = (/** @type {Promise<any>} */ work) =>
    work.then(() => {
      setDoing("");
      changed();
    }, net.showError);
  if (doing === "rename")
    return html`<li><form class="rename" onSubmit=${(/** @type {any} */ event) => {
      event.preventDefault();
      act(session.patchRun(run.id, { name: event.currentTarget.elements.namedItem("name").value }));
    }}><input name="name" aria-label="Name of the run" maxlength="60" value=${run.name} placeholder=${name}
      autocomplete="off"
        ref=${(/** @type {HTMLInputElement|null} */ box) => box && box !== document.activeElement && box.select()} />
      <button class="button">Save</button><button type="button" class="button"
        onClick=${() => setDoing("")}>Cancel</button></form></li>`;
  if (doing === "delete")
    return html`<li class="sure"><p>Delete <b translate="no">${name}</b> at step ${format.count(run.step)}? It cannot be
        had back.</p>
      <button type="button" class="button primary" onClick=${() => act(session.removeRun(run.id))}>Delete</button>
      <button type="button" class="button" onClick=${() => setDoing("")}>Keep</button></li>`;
  return html`<li class="run-line" data-run=${run.id}>
    <button type="button" aria-current=${current ? "true" : undefined} onClick=${() => choose(run.id)}>
      <i class="run-colour" style=${{ background: colourOfRun(run.id) }}></i>
      <span><b translate="no">${name}</b>${
        run.owner
          ? html` <span
        class="soft by">by ${run.owner}</span>`
          : ""
      }${
        !mine && !run.kept && !run.owner
          ? html` <span
          class="soft by">somebody else's</span>`
          : ""
      }
        <span class="soft">${standing(run)}</span><span class="soft">${settingsOfRun(run)}</span></span></button>
    ${
      mine &&
      html`<span class="run-acts">
      <button type="button" class="act-on" title="Rename" aria-label=${`Rename ${name}`}
        onClick=${() => setDoing("rename")}>Rename</button>
      ${
        key &&
        html`<button type="button" class="act-on"
        title="Copy its key: pasted in another browser it may change this run" aria-label=${`Copy the key of ${name}`}
          onClick=${() => copyKey(key)}>Key</button>`
      }
      <button type="button" class="act-on" title="Delete" aria-label=${`Delete ${name}`}
        onClick=${() => setDoing("delete")}>Delete</button></span>`
    }
  </li>`;
}

/** @param {string} key */
function copyKey(key) {
  const said = { title: "The key of this run", detail: key };
  if (!navigator.clipboard) return store.showError(said);
  navigator.clipboard.writeText(key).then(
    () => store.say("The key is copied. Paste it in another browser under Network."),
    () => store.showError(said),
  );
}

/** A key that was copied elsewhere. @param {{choose: (id: string) => void}} props */
function Paste({ choose }) {
  const [refused, refuse] = useState(false);
  return html`<form class="paste" onSubmit=${(/** @type {any} */ event) => {
    event.preventDefault();
    const id = keepKey(event.currentTarget.elements.namedItem("key").value);
    refuse(id === null);
    if (id) choose(id);
  }}><label><span class="soft">A run's key from another browser</span>
      <input name="key" autocomplete="off" spellcheck="false" aria-invalid=${refused} /></label><button
        class="button">Use</button>
    ${refused && html`<p role="status">Expected the run's id and its token, with a space between.</p>`}</form>`;
}

/** @param {{runs: any[], choose: (id: string) => void, changed: () => void}} props */
export const Runs = ({ runs, choose, changed }) => html`
  <ul class="runs">${runs.map(
    run => html`<${Line} key=${run.id} run=${run} choose=${choose} changed=${changed}
    />`,
  )}</ul>
  ${runs.some(run => run.owned) && html`<${Paste} choose=${choose} />`}`;
