/** Bring your own: a model's file as a network, a file of data as a data set. What is read lies in `state.js`. */

import { useEffect, useState } from "preact/hooks";

import { file } from "../../state/dropped.js";
import { openPanel } from "../../state/store.js";
import { html } from "../html.js";
import { Icon } from "../icons.js";
import { Dialog } from "../shell/popover.js";
import { DataSet, DataSets } from "./data.js";
import { Model } from "./model.js";
import * as state from "./state.js";

const ACCEPTED = ".onnx,.safetensors,.npz,.pt,.pth,.pt2,.keras,.h5,.json,.zip,.csv,.tsv,.gz,.bin,image/*";

/** @param {number} bytes */
const size = bytes => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1000))} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

function DropZone() {
  const [over, setOver] = useState(false);
  const now = state.now.value;
  const given = now.name;
  return html`<label class="drop-zone ${over ? "over" : ""}"
    onDragOver=${() => setOver(true)} onDragLeave=${() => setOver(false)} onDrop=${() => setOver(false)}>
    <${Icon} name="bring" />
    <span class="words">
      <span>${
        given
          ? html`<b>${given}</b> <span class="soft">${[now.format, now.bytes ? size(now.bytes) : ""]
              .filter(Boolean)
              .join(", ")}</span>`
          : html`<b>Drop a file here</b>`
      }</span>
      <span class="soft">${given ? "Drop another here. " : ""}Models: ONNX, safetensors, .npz, PyTorch, Keras,
        TensorFlow.js. Data: a .zip with a folder of pictures for each class, .csv, .npz, idx, CIFAR.</span>
    </span>
    <span class="button chooser">Choose a file</span>
    <input type="file" class="spoken" accept=${ACCEPTED} onChange=${(/** @type {any} */ event) => {
      const [chosen] = event.currentTarget.files;
      event.currentTarget.value = "";
      if (chosen) state.take(chosen);
    }} />
  </label>`;
}

function Reading() {
  const { phase, name, bytes } = state.now.value;
  if (phase === "reading")
    return html`<p role="status">Sending and reading ${name}, ${size(bytes)}. Large files take a while.</p>`;
  return null;
}

/** What is wrong with the file, in the server's words. */
function Failed() {
  const { error, name, other } = state.now.value;
  if (!error) return null;
  return html`<div class="refused" role="alert"><p><b>${name} was not read.</b> ${error}</p>
    ${
      other &&
      html`<button class="button" onClick=${state.takeOtherwise}>Read it as
      ${other === "data" ? "data" : "a model"}</button>`
    }</div>`;
}

export function Import() {
  const dropped = file.value;
  useEffect(() => {
    if (!dropped) return;
    file.value = null;
    state.take(dropped);
  }, [dropped]);
  const { model, dataset, phase } = state.now.value;
  return html`<${Dialog} name="import">
    <div class="import-page">
      <header><h2 id="import-title">Bring your own</h2>
        <button class="button" onClick=${() => openPanel(null)} aria-label="close" title="Esc">✕</button></header>
      <${DropZone} />
      <${Reading} /><${Failed} />
      ${model && html`<${Model} model=${model} />`}
      ${dataset && html`<${DataSet} dataset=${dataset} />`}
      ${!model && !dataset && phase !== "reading" && html`<${DataSets} />`}
    </div>
  <//>`;
}
