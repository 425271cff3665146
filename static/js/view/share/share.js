/** Take along what is looked at: its link, a frame for a page of one's own, its numbers, a picture, its code, paper. */

import { useEffect, useState } from "preact/hooks";

import { html } from "../html.js";
import { csv, npy } from "../../core/arrays.js";
import { Refused, showError } from "../../net/requests.js";
import { allNumbers, codeOf, embedders, sourceOf } from "../../net/share.js";
import { write } from "../../state/permalink.js";
import { nameOf, openPanel, place, run, say, step, tensorOf, timeline } from "../../state/store.js";
import { cellPlace } from "../step/step_state.js";
import { Dialog } from "../shell/popover.js";

/** @param {Blob} blob @param {string} name */
function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  say(`${name} is saved.`);
}

/** The stage as it is drawn, on paper's colour, with where it comes from beneath it. @param {string} address */
async function picture(address) {
  const stage = document.querySelector("canvas.atlas");
  if (!(stage instanceof HTMLCanvasElement)) return;
  const { font, color } = getComputedStyle(document.body);
  const unit = stage.width / stage.getBoundingClientRect().width;
  const made = new OffscreenCanvas(stage.width + 32 * unit, stage.height + 60 * unit);
  const pen = /** @type {OffscreenCanvasRenderingContext2D} */ (made.getContext("2d"));
  pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--paper");
  pen.fillRect(0, 0, made.width, made.height);
  pen.drawImage(stage, 16 * unit, 16 * unit);
  pen.fillStyle = color;
  pen.font = `${14 * unit}px ${font.slice(font.indexOf("px") + 2).replace(/^\s*\/\s*\S+/, "")}`;
  pen.fillText(`${run.value?.title}, step ${step.value}`, 16 * unit, stage.height + 36 * unit);
  pen.fillText(address, 16 * unit, stage.height + 54 * unit, made.width - 32 * unit);
  save(await made.convertToBlob({ type: "image/png" }), "stage.png");
}

/** A text to copy. @param {{label: string, text: string}} props */
function Copied({ label, text }) {
  const [done, tell] = useState(false);
  useEffect(() => tell(false), [text]);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    tell(true);
    say("Copied.");
  };
  return html`<div class="copied"><input type="text" readonly value=${text} aria-label=${label}
      onFocus=${(/** @type {FocusEvent} */ event) => /** @type {HTMLInputElement} */ (event.target).select()} />
    ${
      navigator.clipboard &&
      html`<button type="button" class="button" onClick=${copy}>${done ? "Copied" : "Copy"}</button>`
    }</div>`;
}

export function Share() {
  const hash = write();
  const address = new URL(hash, location.href.split("#")[0]).href;
  const [allowed, allow] = useState(/** @type {string[]|null} */ (null));
  useEffect(() => {
    embedders().then(allow, error => error instanceof Refused || showError(error));
  }, []);
  const framed = new URL(`?frame=1${hash}`, document.baseURI).href;
  const frame = `<iframe src="${framed.replaceAll("&", "&amp;")}" width="960" height="400" title="Convscope"></iframe>`;
  const code = codeOf(hash.slice(1));
  const at = place.value ?? cellPlace.value;
  const name = at ? nameOf(at) : null;
  const tensor = name ? tensorOf(name) : undefined;
  const file = (name ?? "").replaceAll("/", "-");
  const numbers = async () => save(await allNumbers(), `${run.value?.model ?? "pass"}-step-${step.value}.npz`);
  const print = () => {
    openPanel(null);
    setTimeout(() => window.print(), 50); // once the dialog is gone
  };
  return html`<${Dialog} name="sharing"><div>
    <header><h2 id="sharing-title" class="serif">Share and take along</h2>
      <form method="dialog"><button class="button">Close</button></form></header>
    <section class="linked"><div><h3 class="serif">The link</h3>
      <p class="soft">Whoever opens it sees what you see: the image, the step, the cell, what was set by hand.</p>
      <${Copied} label="The link" text=${address} /></div>
      ${code && html`<img src=${code} alt="The link as a QR code" width="120" height="120" />`}</section>
    ${
      timeline.value &&
      html`<section><h3 class="serif">Numbers</h3><p class="rows">
        <button type="button" class="button" onClick=${() => numbers().catch(showError)}>The whole pass, .npz</button>
        ${
          tensor &&
          html`<button type="button" class="button" onClick=${() =>
            save(
              new Blob([
                npy(tensor.shape, tensor.data instanceof Int32Array ? tensor.data : Float32Array.from(tensor.data)),
              ]),
              `${file}.npy`,
            )}>${name}, .npy</button>
          <button type="button" class="button" onClick=${() =>
            save(
              new Blob([csv(tensor.shape, tensor.data)], { type: "text/csv" }),
              `${file}.csv`,
            )}>${name}, .csv</button>`
        }</p></section>
      <section><h3 class="serif">Picture, paper, code</h3><p class="rows">
        <button type="button" class="button" onClick=${() => picture(address).catch(showError)}>The stage, .png</button>
        <button type="button" class="button" onClick=${print}>Print a handout</button>
        ${
          run.value && html`<a class="button" href=${sourceOf(run.value.id)} download="network.py">PyTorch code</a>`
        }</p>
      </section>`
    }
    <section><h3 class="serif">In a page of your own</h3>
      <p class="soft">${
        allowed?.length
          ? html`A frame with this step alone. These pages may have one: ${allowed.join(", ")}.`
          : html`A frame with this step alone. No page may have one yet: whoever runs the server starts it
            with <code>--allow-embed ORIGIN</code>.`
      }</p>
      <${Copied} label="The frame" text=${frame} /></section>
  </div><//>`;
}
