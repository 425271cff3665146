/** An imported model: what each layer of the file became, what was guessed, and whether it answers rightly. */

import { useEffect, useState } from "preact/hooks";

import { count, percent, shape as times } from "../../core/format.js";
import * as net from "../../net/requests.js";
import { html } from "../html.js";
import * as state from "./state.js";

/** @type {Record<string, string>} */
const STATES = { as_is: "✓ as it is", moved: "✓ moved", guessed: "✓ guessed", missing: "✗ choose" };

/** What an answer is called on a button. @param {string} name */
const words = name => (name === "leave_out" ? "Leave it out" : `Use ${name.replaceAll("_", " ")}`);

/** @param {{row: any, number: number}} props */
function Layer({ row, number }) {
  const missing = row.state === "missing";
  const [kind, ...rest] = row.source.split(" ");
  return html`<tr class=${row.state}>
    <td class="soft">${number}</td>
    <th scope="row"><b>${kind}</b> <span class="soft">${rest.join(" ")}</span></th>
    <td>${
      missing
        ? html`<b>not here</b> <span class="soft">${row.detail}</span>`
        : html`<b>${row.layer ?? ""}</b> <span class="soft">${row.op ? row.op.replaceAll("_", " ") : ""}${
            row.detail ? `${row.op ? ": " : ""}${row.detail}` : ""
          }</span>`
    }
      ${
        missing &&
        html`<div class="ways">${row.nearest.map(
          (/** @type {string} */ op, /** @type {number} */ k) => html`<button type="button" key=${op}
          class="button ${k ? "" : "primary"}" disabled=${state.settling.value}
          onClick=${() => state.answer(row.source, op)}>${words(op)}</button>`,
        )}</div>`
      }</td>
    <td class="amount">${row.shape ? times(row.shape) : "–"}</td>
    <td class="amount">${row.parameters ? count(row.parameters) : "–"}</td>
    <td class="state">${STATES[row.state] ?? row.state}</td>
  </tr>`;
}

/** @param {any} value */
const shown = value =>
  Array.isArray(value) ? times(value) : value === "" || value === null ? "none" : String(value).replaceAll("_", " ");

/** @param {{guess: any}} props */
function Guess({ guess }) {
  const choices = [guess.value, ...guess.alternatives];
  return html`<li><label><b>${guess.what.replaceAll("_", " ")}</b>
    ${
      choices.length > 1
        ? html`<select disabled=${state.settling.value} value="0" onChange=${(/** @type {any} */ event) =>
            state.answer(guess.what, choices[Number(event.currentTarget.value)])}>
          ${choices.map((choice, k) => html`<option key=${k} value=${k} selected=${k === 0}>${shown(choice)}</option>`)}
        </select>`
        : html`<span>${shown(guess.value)}</span>`
    }</label>
    <p class="soft">${guess.why}</p></li>`;
}

/** @param {{check: any}} props */
function Check({ check }) {
  if (!check)
    return html`<p class="soft">No data set here fits this network, so its answers are not tried. Bring data, or open it
      and look at a picture of your own.</p>`;
  return html`<p>It answers <b>${percent(check.accuracy)}</b> of ${count(check.images)} test images
    rightly.${check.accuracy < 0.3 ? " That is little: look at what was guessed." : ""}</p>`;
}

/** The data sets that a network takes. @param {any} network @param {any[]} all */
const fitting = (network, all) =>
  network ? all.filter(({ shape, problem }) => !problem && shape?.join() === network.input.join()) : [];

/** @param {{model: any}} props */
export function Model({ model }) {
  const [all, setAll] = useState(/** @type {any[]} */ ([]));
  const [chosen, choose] = useState(/** @type {string|null} */ (null));
  useEffect(() => void net.datasets().then(setAll, net.showError), []);
  const missing = model.layers.filter((/** @type {any} */ row) => row.state === "missing");
  const known = model.layers.length - missing.length;
  const fits = fitting(model.network, all);
  const dataset = fits.find(({ name }) => name === chosen) ?? fits[0];
  const { placed, of } = model.parameters;
  const open = (/** @type {"explore"|"train"} */ view) => {
    const own = { x: [state.ramp(model.network.input)], target: [0] };
    void state.open({ imported: model.id, dataset: dataset?.name ?? own }, view);
  };
  const flat = model.network && model.network.input.length !== 3;
  return html`<div class="imported">
    <section aria-label="Layers">
      <p class="lead">${
        missing.length
          ? `${count(known)} of ${count(model.layers.length)} layers were recognised. ${
              missing.length === 1 ? "One is" : `${missing.length} are`
            } not here.`
          : `All ${count(model.layers.length)} layers were recognised.`
      }</p>
      <div class="table" tabindex="0" role="region" aria-label="What each layer became"><table>
        <thead><tr><th></th><th scope="col">in the file</th><th scope="col">becomes</th><th scope="col"
          class="amount">output</th><th scope="col" class="amount">parameters</th><th scope="col"
          class="state">state</th></tr></thead>
        <tbody>${model.layers.map(
          (/** @type {any} */ row, /** @type {number} */ k) => html`<${Layer} key=${k} row=${row} number=${k + 1} />`,
        )}</tbody>
        <tfoot><tr><td></td><td colspan="3">${
          placed === of ? "all tensors of the file are placed" : "tensors of the file that are placed"
        }</td><td class="amount"><b>${count(placed)}</b></td><td class="state soft">of ${count(of)}</td></tr></tfoot>
      </table></div>
    </section>
    <aside>
      <h3>Does it answer rightly?</h3>
      ${
        model.network
          ? html`<${Check} check=${model.check} />`
          : html`<p class="soft">Settle what is missing first.</p>`
      }
      ${
        model.guesses.length > 0 &&
        html`<h3>What was guessed</h3><ul class="guesses">${model.guesses.map(
          (/** @type {any} */ guess) => html`<${Guess} key=${guess.what} guess=${guess} />`,
        )}</ul>`
      }
    </aside>
    <footer>
      ${
        fits.length > 0 &&
        html`<label>Data <select onChange=${(/** @type {any} */ event) => choose(event.currentTarget.value)}>
          ${fits.map(
            ({ name, title }) =>
              html`<option key=${name} value=${name} selected=${name === dataset?.name}>${title}</option>`,
          )}</select></label>`
      }
      <span class="soft" role="status">${
        missing.length
          ? `${missing[0].source} is still to be settled`
          : flat
            ? `It takes ${times(model.network.input)} numbers and no pictures`
            : ""
      }</span>
      <button type="button" class="button" aria-disabled=${!model.network || !dataset}
        onClick=${() => model.network && dataset && open("train")}>Train it</button>
      <button type="button" class="button primary" aria-disabled=${!model.network}
        onClick=${() => model.network && open("explore")}>Open in Explore</button>
    </footer>
  </div>`;
}
