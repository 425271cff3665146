/** Build: the network as a row that is edited, what each layer does with the image, and what is to be done with it. */

import { useEffect } from "preact/hooks";

import * as net from "../../net/requests.js";
import { follow } from "../../net/build.js";
import * as build from "../../state/build.js";
import * as store from "../../state/store.js";
import { html } from "../html.js";
import { Add } from "./add.js";
import { Bar, Presets } from "./bar.js";
import { Card } from "./card.js";
import { Hand, HandCard } from "./hand.js";
import { List } from "./list.js";
import { WhyNot } from "./misfit.js";
import { Preview } from "./preview.js";
import { Row } from "./row.js";

/** Undo and redo, wherever the focus is, but in a text that is being written. @param {KeyboardEvent} event */
function onKey(event) {
  const control = event.ctrlKey || event.metaKey;
  const target = /** @type {HTMLElement} */ (event.target);
  const writing = target.closest?.("input[type=text], textarea");
  if (!control || event.altKey || (writing && /** @type {HTMLInputElement} */ (writing).dataset.changed)) return;
  const key = event.key.toLowerCase();
  if (key === "z" && !event.shiftKey) build.undo();
  else if (key === "y" || (key === "z" && event.shiftKey)) build.redo();
  else return;
  event.preventDefault();
}

/** A network to begin with: the one kept from before, else that of the run that is looked at. */
function begin() {
  if (build.network.peek() || build.restore(build.saved())) return;
  const run = store.run.peek();
  if (run) return build.open(run.network, run.name || run.model || run.title || "");
}

export function Build() {
  const ready = store.run.value !== null || store.noMnist.value;
  useEffect(() => {
    if (ready) begin();
    if (ready && !build.network.peek())
      net.models().then(([first]) => build.network.peek() ?? build.open(first, first.name), net.showError);
  }, [ready]);
  useEffect(() => follow(), []);
  useEffect(() => {
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  const task = build.task.value;
  if (!build.network.value) return html`<main class="build" aria-label="Build" aria-busy="true"></main>`;
  const narrow = store.breakpoint.value === "narrow";
  if (task.kind === "hand")
    return html`<main class="build by-kernel">
      <div class="work"><h1 class="spoken">A kernel by hand</h1><${Hand} ...${task} /></div>
      <${HandCard} ...${task} />
      <${Bar} />
    </main>`;
  return html`<main class="build">
    <div class="work">
      <h1 class="spoken">Build a network</h1>
      ${
        narrow
          ? html`<${Presets} /><${List} lower=${html`<${Lower} />`} />`
          : html`<${Row} /><section class="lower" aria-label="The chosen layer"><${Lower} /></section>`
      }
    </div>
    ${!narrow && html`<section class="build-card" aria-label="Settings" onKeyDown=${backToRow}><${Card} /></section>`}
    <${Bar} />
  </main>`;
}

/** Esc in the settings leads back to the row. @param {KeyboardEvent} event */
function backToRow(event) {
  const chosen = document.querySelector(".column.chosen .name");
  if (event.key !== "Escape" || !(chosen instanceof HTMLElement)) return;
  event.preventDefault();
  event.stopPropagation();
  chosen.focus();
}

/** What stands beneath the row: what to add, why a layer does not fit, or what it does. */
function Lower() {
  const task = build.task.value;
  if (task.kind === "add") return html`<${Add} after=${task.after} />`;
  if (task.kind === "branch")
    return html`<p class="head"><b>Branch</b> <span class="sentence">from ${task.from}: choose the layer behind which it
      joins, ${build.chosen.value} now</span>
      <button type="button" class="button primary"
        onClick=${() => build.endBranch(build.chosen.value)}>Join here</button>
      <button type="button" class="button" onClick=${() => build.choose(task.from)}
        onClickCapture=${() => (build.task.value = { kind: "layer" })}>Cancel</button></p>`;
  const misfit = build.misfit.value;
  const chosen = build.described.value.get(build.chosen.value);
  const shown = chosen?.state === "waits" || chosen?.misfit || build.chosen.value === misfit?.name;
  return misfit && shown ? html`<${WhyNot} ...${misfit} />` : html`<${Preview} name=${build.chosen.value} />`;
}
