/** What the network shall look at: a digit of the data, an image of a step's minibatch, or one of the visitor's own. */

import { batch, signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";

import * as format from "../format.js";
import * as net from "../net.js";
import { infoOf, look, openPanel, panel, run, say, source } from "../store.js";
import { datasets } from "../training.js";
import { Draw } from "./draw.js";
import { html } from "./html.js";
import { Minibatch } from "./minibatch.js";
import { Thumb } from "./thumb.js";

/** The input that a drawing fits. */
const DRAWN = "1,1,28,28";
/** Digits of a class shown at a time. */
const ROW = 12;

/** @type {Signal<"train"|"test">} */
const split = signal("test");
/** First digit shown of each class. @type {Signal<Record<number, number>>} */
const offsets = signal({});

/** @param {string} dataset @param {number} index */
function choose(dataset, index) {
  look({ kind: "pass", dataset, split: split.peek(), index });
  say(`Looking at ${split.peek()} image ${index}.`);
}

/** @param {{dataset: string, label: number}} props */
function ClassRow({ dataset, label }) {
  const [page, setPage] = useState(/** @type {{total: number, indices: number[]}} */ ({ total: 0, indices: [] }));
  const offset = offsets.value[label] ?? 0;
  const part = split.value;
  useEffect(() => {
    let wanted = true;
    net.digits(dataset, part, { label, offset, limit: ROW }).then((found) => wanted && setPage(found), net.complain);
    return () => {
      wanted = false;
    };
  }, [dataset, part, label, offset]);
  const turn = (/** @type {number} */ by) => {
    offsets.value = { ...offsets.peek(), [label]: offset + by };
  };
  const what = source.value;
  return html`<li class="class-row">
    <b>${label}</b>
    <button class="turn" aria-label="earlier digits ${label}" aria-disabled=${offset === 0} onClick=${() => offset > 0 && turn(-ROW)}>‹</button>
    <div role="group" aria-label="digits ${label}">${page.indices.map((index) => {
      const chosen = what?.kind === "pass" && what.dataset === dataset && what.split === part && what.index === index;
      return html`<button key=${index} class="digit-button" aria-pressed=${chosen} title="${part} ${index}"
        aria-label="${label}, ${part} image ${index}" onClick=${() => choose(dataset, index)}>
        <${Thumb} dataset=${dataset} split=${part} index=${index} width=${34} /></button>`;
    })}</div>
    <button class="turn" aria-label="further digits ${label}" aria-disabled=${offset + ROW >= page.total}
      onClick=${() => offset + ROW < page.total && turn(ROW)}>›</button>
  </li>`;
}

/** @param {{dataset: any}} props */
function ByNumber({ dataset }) {
  const part = split.value;
  const total = dataset.splits[part];
  const what = source.value;
  const [text, setText] = useState(what?.kind === "pass" && what.index !== undefined ? String(what.index) : "0");
  const asked = Number(text);
  const fits = text.trim() !== "" && Number.isInteger(asked) && asked >= 0 && asked < total;
  return html`<form class="by-number" onSubmit=${(/** @type {Event} */ event) => {
    event.preventDefault();
    if (fits) choose(dataset.name, asked);
  }}>
    <fieldset class="splits"><legend class="spoken">Part of the data</legend>
      ${["test", "train"].filter((name) => dataset.splits[name]).map((name) => html`<label key=${name}>
        <input type="radio" name="split" checked=${part === name} onChange=${() => batch(() => {
          split.value = /** @type {"train"|"test"} */ (name);
          offsets.value = {};
        })} /><span>${name} ${format.count(dataset.splits[name])}</span></label>`)}
    </fieldset>
    <label>number <input type="text" inputmode="numeric" autocomplete="off" value=${text} aria-invalid=${!fits}
      onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} /></label>
    <button class="button" aria-disabled=${!fits} title=${fits ? "" : `a number from 0 to ${format.count(total - 1)}`}>Show</button>
    <button class="button" type="button" onClick=${() => choose(dataset.name, Math.floor(total * Math.random()))}>Random</button>
  </form>`;
}

function ByClass() {
  const [all, setAll] = useState(/** @type {any[]} */ ([]));
  useEffect(() => void datasets().then(setAll, net.complain), []);
  const [, ...input] = infoOf("input/y")?.shape ?? [];
  const fitting = all.filter(({ shape }) => shape.join() === input.join());
  const dataset = fitting.find(({ name }) => name === run.value?.dataset) ?? fitting[0];
  if (!dataset) {
    return html`<section class="by-class"><p class="soft">${all.length
      ? `This network takes images of ${format.shape(input)}. Its own are below.` : "Fetching the lists of digits."}</p></section>`;
  }
  return html`<section class="by-class" aria-label="${dataset.title} by class and by number">
    <${ByNumber} dataset=${dataset} />
    <ol start="0">${Array.from({ length: dataset.classes }, (_, label) => html`
      <${ClassRow} key=${`${dataset.name} ${label}`} dataset=${dataset.name} label=${label} />`)}</ol>
  </section>`;
}

function Content() {
  const dialog = useRef(/** @type {HTMLDialogElement|null} */ (null));
  useEffect(() => {
    const element = /** @type {HTMLDialogElement} */ (dialog.current);
    const before = /** @type {HTMLElement|null} */ (document.activeElement);
    element.showModal();
    return () => before?.focus?.();
  }, []);
  const close = () => openPanel(null);
  return html`<dialog ref=${dialog} class="picker" aria-labelledby="picker-title" onClose=${close}
    onClick=${(/** @type {MouseEvent} */ event) => event.target === dialog.current && close()}>
    <div class="picker-page">
      <header><h2 id="picker-title">What shall the network look at?</h2>
        <button class="button" onClick=${close} aria-label="close" title="Esc">✕</button></header>
      <${ByClass} />${infoOf("input/y")?.shape.join() === DRAWN && html`<${Draw} />`}<${Minibatch} />
    </div>
  </dialog>`;
}

export function Picker() {
  return panel.value === "picker" || panel.value === "draw" ? html`<${Content} />` : null;
}
