/** The network on a phone: a row for each layer, its settings beneath the chosen one. */

import { useState } from "preact/hooks";

import * as edit from "../../core/network_document.js";
import * as build from "../../state/build.js";
import { viewport } from "../../state/store.js";
import { html } from "../html.js";
import { Line as Mark } from "../icons.js";
import { Actions, Arithmetic, InputCard, LossCard, Settings } from "./card.js";
import { shownColumns } from "./folding.js";
import { factsOf } from "./row.js";
import { Maps } from "./tensors.js";

/** @param {{lower: any}} props what stands beneath the chosen layer */
export function List({ lower }) {
  const document = /** @type {NetworkDocument} */ (build.network.value);
  const columns = shownColumns();
  const from = new Map();
  for (const skip of edit.skips(document)) from.set(skip.to, [...(from.get(skip.to) ?? []), skip.from]);
  return html`<ol class="list">${columns.map(
    ({ name, layers, folded }, k) => html`<${Line} key=${name} name=${name} layers=${layers} folded=${folded}
      skips=${from.get(name) ?? []} last=${k === columns.length - 1} lower=${lower} />`,
  )}</ol>`;
}

/** @param {{name: string, layers: string[], folded: boolean, skips: string[], last: boolean, lower: any}} props */
function Line({ name, layers, folded, skips, last, lower }) {
  const chosen = build.chosen.value === name;
  const [all, showAll] = useState(false);
  const known = build.described.value.get(name);
  const facts = factsOf(name, layers);
  const misfit = known?.misfit || (name === "loss" && build.draft.value?.loss);
  const task = build.task.value;
  const tiles = viewport.value.width < 376 ? 2 : 3;
  const asked = chosen && task.kind !== "layer";
  const look = misfit ? "misfit" : known?.state === "waits" ? "waits" : "";
  return html`<li class="${chosen ? "chosen" : ""} ${look}">
    <button type="button" class="layer" aria-expanded=${chosen} aria-current=${chosen ? "true" : undefined}
      onClick=${() => (folded ? (build.folds.value = { ...build.folds.peek(), [name]: false }) : build.choose(name))}>
      <span class="what"><b>${folded ? `${layers.length} layers` : name}</b><span class="soft">${
        skips.length ? `with ${skips.join(", ")}` : facts.kernel === "–" ? "" : facts.kernel
      }</span></span>
      <span class="seen">${
        name !== "loss" &&
        html`<${Maps} name=${`${name}/y`} across=${tiles} most=${tiles}
        side=${33} />`
      }</span>
      <span class="much"><b>${facts.output}</b><span
        class="soft">${facts.parameters === "–" ? "" : facts.parameters}</span></span>
    </button>
    ${
      chosen &&
      html`<div class="open">
        ${
          name === "input"
            ? html`<${InputCard} />`
            : name === "loss"
              ? html`<${LossCard} />`
              : html`<${Settings} name=${name} few=${!all} /><${Arithmetic} name=${name} />
              <button type="button" class="link" aria-expanded=${all} onClick=${() => showAll(!all)}>${
                all ? "fewer settings" : "all settings"
              }</button><${Actions} name=${name} />`
        }
        ${(misfit || known?.state === "waits" || asked) && lower}
        ${!misfit && !asked && name !== "input" && html`<details><summary>Preview</summary>${lower}</details>`}
      </div>`
    }
    ${
      !last &&
      html`<button type="button" class="plus" aria-label=${`Add a layer behind ${name}`} onClick=${() => {
        build.choose(name);
        build.askToAdd(name);
      }}><${Mark} name="plus" /></button>`
    }
  </li>`;
}
