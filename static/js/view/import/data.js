/** A data set that was brought: what is in it, what was done to it, its first pictures; and those that there are. */

import { useEffect, useState } from "preact/hooks";

import { count, shape as times } from "../../core/format.js";
import * as net from "../../net/requests.js";
import { html } from "../html.js";
import { Thumb } from "../train/tiles.js";
import * as state from "./state.js";

/** Classes, and pictures of each, that are shown. */
const CLASSES = 12;
const EACH = 6;

/** @param {{dataset: any, label: number|undefined, name: string}} props */
function Row({ dataset, label, name }) {
  const [indices, setIndices] = useState(/** @type {number[]} */ ([]));
  useEffect(() => {
    let wanted = true;
    net
      .digits(dataset.name, "train", { label, limit: EACH })
      .then(found => wanted && setIndices(found.indices), net.showError);
    return () => {
      wanted = false;
    };
  }, [dataset.name, label]);
  return html`<li><b title=${name}>${name}</b><span>${indices.map(
    index => html`<${Thumb} key=${index} dataset=${dataset.name} split="train" index=${index} width=${40} />`,
  )}</span></li>`;
}

/** What a data set holds, in words. @param {any} dataset */
const held = ({ splits, shape, classes }) =>
  `${count(splits.train)} images to learn from and ${count(splits.test ?? 0)} to test on, each ${times(shape)}${
    classes.length ? `; ${count(classes.length)} classes` : "; numbers to be predicted"
  }.`;

/** @param {{dataset: any}} props */
export function DataSet({ dataset }) {
  const names = dataset.classes.slice(0, CLASSES);
  const more = dataset.classes.length - names.length;
  const open = (/** @type {"explore"|"train"} */ view) =>
    void state.open({ network: dataset.network, dataset: dataset.name }, view);
  return html`<div class="brought">
    <section>
      <p class="lead">${dataset.title}: ${held(dataset)}</p>
      ${
        dataset.notes.length > 0 &&
        html`<ul class="notes">${dataset.notes.map(
          (/** @type {string} */ note) => html`<li key=${note}>${note}</li>`,
        )}</ul>`
      }
      <ul class="first-pictures" aria-label="The first pictures">${
        names.length
          ? names.map(
              (/** @type {string} */ name, /** @type {number} */ label) => html`<${Row} key=${label}
                dataset=${dataset} label=${label} name=${name} />`,
            )
          : html`<${Row} dataset=${dataset} label=${undefined} name="the first" />`
      }</ul>
      ${more > 0 && html`<p class="soft">and ${count(more)} more classes</p>`}
    </section>
    <footer>
      <button type="button" class="button" onClick=${() => state.remove(dataset.name)}>Delete it</button>
      <span class="soft">A small network is made for it: its layers can be changed in Build.</span>
      <button type="button" class="button" onClick=${() => open("explore")}>Look at it in Explore</button>
      <button type="button" class="button primary" onClick=${() => open("train")}>Train a network on it</button>
    </footer>
  </div>`;
}

/** All the data sets that there are, to look at, and those that were added to delete. */
export function DataSets() {
  const [all, setAll] = useState(/** @type {any[]} */ ([]));
  const list = () => void net.datasets().then(setAll, net.showError);
  useEffect(list, []);
  return html`<section class="there" aria-label="Data sets here">
    <h3>Data sets here</h3>
    <ul>${all.map(
      each => html`<li key=${each.name}><button type="button" class="name" aria-disabled=${Boolean(each.problem)}
        onClick=${() =>
          !each.problem &&
          ((state.now.value = { phase: "read", name: each.name, bytes: 0, format: "data", dataset: each }))}>
        <b>${each.title}</b> <span class="soft">${
          each.problem ? `cannot be read: ${each.problem}` : held(each)
        }</span></button></li>`,
    )}</ul>
    <p class="soft">Well-known ones are added where the server runs: <code>python3 -m app data add cifar10</code>,${" "}
      <code>fashion-mnist</code> or <code>digits8x8</code>.</p>
  </section>`;
}
