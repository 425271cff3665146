/** The chosen layer: which it is, its settings from its schema, how its figures come about, and what can be done. */

import { useState } from "preact/hooks";

import * as build from "../../state/build.js";
import { breakpoint, say } from "../../state/store.js";
import { html } from "../html.js";
import { Line } from "../icons.js";
import { Setting } from "./setting.js";
import { typeset } from "./tensors.js";

export function Card() {
  const chosen = build.chosen.value;
  if (chosen === "input") return html`<${InputCard} />`;
  if (chosen === "loss") return html`<${LossCard} />`;
  return html`<${LayerCard} name=${chosen} />`;
}

/** @param {{name: string}} props */
function LayerCard({ name }) {
  const document = /** @type {NetworkDocument} */ (build.network.value);
  const at = document.layers.findIndex(layer => layer.name === name);
  const layer = document.layers[at];
  if (!layer) return null;
  return html`<p class="soft">layer ${at + 1} of ${document.layers.length}</p>
    <h2 class="spoken">${name}</h2>
    <${Name} name=${name} />
    <${Settings} name=${name} />
    <${Arithmetic} name=${name} />
    ${
      breakpoint.value !== "narrow" &&
      html`<p class="keys soft"><span><kbd><${Line} name="left" /></kbd> <kbd><${Line}
        name="right" /></kbd> choose</span><span><kbd>Alt</kbd> <kbd><${Line} name="left" /></kbd> <kbd><${Line}
          name="right" /></kbd> move</span><span><kbd>Insert</kbd> add
        after</span><span><kbd>Delete</kbd> remove</span></p>`
    }
    <${Actions} name=${name} />`;
}

/** @param {{name: string}} props */
export function Actions({ name }) {
  return html`<p class="actions">
    <button type="button" class="button" onClick=${() => build.move(name, -1)}>‹ Move</button>
    <button type="button" class="button" onClick=${() => build.move(name, 1)}>Move ›</button>
    <button type="button" class="button" onClick=${() => build.startBranch(name)}>Branch</button>
    <button type="button" class="button" onClick=${() => build.remove(name)}>Remove</button></p>`;
}

/** All that can be set in a layer. @param {{name: string, few?: boolean}} props few: the first settings alone */
export function Settings({ name, few = false }) {
  const document = /** @type {NetworkDocument} */ (build.network.value);
  const layer = document.layers.find(each => each.name === name);
  const op = layer && build.opOf(layer.op);
  if (!layer) return null;
  const misfit = build.described.value.get(name)?.misfit;
  const marked = misfit?.fixes[0]?.setting ?? misfit?.loc[1];
  const schema = op?.layer_settings;
  const all = orderOf(op);
  const shown = few ? all.slice(0, FEW) : all;
  return html`<div class="settings">
    <div class="setting"><label for="set-op">layer</label><select id="set-op" onChange=${(/** @type {any} */ event) => {
      const to = build.opOf(event.currentTarget.value);
      if (to) build.become(name, to);
    }}>${!op && html`<option selected=${true}>${layer.op}</option>`}${build.ops.value
      .filter(({ loss }) => !loss)
      .map(each => html`<option key=${each.name} value=${each.name} selected=${each === op}>${each.title}</option>`)}
    </select></div>
    ${shown.map(
      key => html`<${Setting} key=${key} id=${`set-${key}`} name=${key} schema=${schema.properties[key]}
        value=${layer.settings[key]} marked=${marked === key}
        change=${(/** @type {any} */ to) => build.set(name, key, to)} />`,
    )}
    ${!few && html`<${Reads} name=${name} inputs=${layer.inputs} counts=${op?.inputs ?? null} />`}
  </div>`;
}
const FEW = 3;

/**
 * What is needed first, then what the operator itself takes, then what only a layer has.
 * @param {OpDescription|undefined} op
 */
function orderOf(op) {
  if (!op) return [];
  const { required = [], properties } = op.layer_settings;
  const keys = [...required, ...Object.keys(op.settings.properties), ...Object.keys(properties)];
  return [...new Set(keys)];
}

/**
 * The layers that it reads: each can be another one before it.
 * @param {{name: string, inputs: string[], counts: {least: number, most: number}|null}} props
 */
function Reads({ name, inputs, counts }) {
  const names = build.order.value;
  const before = names.slice(0, names.indexOf(name));
  const { least, most } = counts ?? { least: 1, most: 1 };
  if (before.length < 2) return null;
  return html`${inputs.map(
    (input, k) => html`<div class="setting" key=${k}><label for=${`reads-${k}`}>${k ? "and" : "reads"}</label>
      <select id=${`reads-${k}`} onChange=${(/** @type {any} */ event) =>
        build.read(name, inputs.with(k, event.currentTarget.value))}>${before.map(
        each => html`<option key=${each} selected=${each === input}>${each}</option>`,
      )}</select>
      ${
        k >= least &&
        html`<button type="button" class="stepper" aria-label=${`Do not read ${input}`}
          onClick=${() => build.read(name, inputs.toSpliced(k, 1))}>−</button>`
      }</div>`,
  )}
  ${
    inputs.length < most &&
    html`<div class="setting"><span>another</span><button type="button" class="stepper" aria-label="Read one more layer"
      onClick=${() => build.read(name, [...inputs, before[0]])}>+</button></div>`
  }`;
}

/** @param {{name: string}} props */
function Name({ name }) {
  const [text, write] = useState(/** @type {string|null} */ (null));
  const finish = () => {
    const to = (text ?? "").trim();
    write(null);
    if (!to || to === name) return;
    if (build.order.peek().includes(to)) return say(`There is a layer ${to} already.`);
    build.rename(name, to);
  };
  return html`<input type="text" class="title" aria-label="Name of the layer" autocomplete="off" value=${text ?? name}
    data-changed=${text === null ? undefined : ""}
    onInput=${(/** @type {any} */ event) => write(event.currentTarget.value)}
    onBlur=${finish} onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === "Enter" && finish()} />`;
}

/** @param {{name: string}} props */
export function Arithmetic({ name }) {
  const known = build.described.value.get(name);
  if (!known) return null;
  const { output, parameters, sees, products } = known.arithmetic;
  const misfit = known.misfit?.detail.match(/\(.*= [-\d.]+/)?.[0] ?? "";
  const rows = { output: output || misfit, parameters, sees, products };
  const shown = Object.entries(rows).filter(([, text]) => text);
  return html`<dl class="arithmetic">${shown.map(([key, text]) => {
    const [left, ...right] = typeset(text).split(" = ");
    const shown = right.length ? html`${left} = <b>${right.join(" = ")}</b>` : html`<b>${left}</b>`;
    return html`<div key=${key}><dt>${key}</dt><dd>${shown}</dd></div>`;
  })}</dl>`;
}

export function InputCard() {
  const { input } = /** @type {NetworkDocument} */ (build.network.value);
  const names = input.length === 3 ? ["channels", "height", "width"] : ["values"];
  const schema = { type: "integer", minimum: 1, maximum: 2 ** 16 };
  return html`<p class="soft">what the network reads</p><h2>input</h2>
    <div class="settings">${names.map(
      (name, k) => html`<${Setting} key=${name} id=${`input-${name}`} name=${name} schema=${schema} value=${input[k]}
        change=${(/** @type {any} */ to) => build.setInput(input.with(k, to ?? 1))} />`,
    )}</div>
    ${build.refusal.value && html`<p class="detail">${build.refusal.value}</p>`}
    ${build.previewProblem.value && html`<p class="detail">${build.previewProblem.value}</p>`}`;
}

export function LossCard() {
  const { loss } = /** @type {NetworkDocument} */ (build.network.value);
  const op = build.opOf(loss.op);
  const last = build.draft.value?.layers.at(-1)?.figures?.shape;
  return html`<p class="soft">what the network learns by</p><h2>loss</h2>
    <div class="settings"><div class="setting"><label for="set-loss">loss</label><select id="set-loss"
      onChange=${(/** @type {any} */ event) => {
        const to = build.opOf(event.currentTarget.value);
        if (to) build.become("loss", to);
      }}>${build.ops.value
        .filter(each => each.loss)
        .map(each => html`<option key=${each.name} value=${each.name} selected=${each === op}>${each.title}</option>`)}
      </select></div>
      ${Object.entries(op?.layer_settings.properties ?? {}).map(
        ([key, schema]) => html`<${Setting} key=${key} id=${`loss-${key}`} name=${key} schema=${schema}
          value=${loss.settings[key]} change=${(/** @type {any} */ to) => build.set("loss", key, to)} />`,
      )}
      <${OutputCount} /></div>
    ${last && html`<p class="soft">It reads ${last.join(" × ")} numbers of the last layer.</p>`}`;
}

/** How many outputs the network has: a setting of its last layer that has one. */
function OutputCount() {
  const document = /** @type {NetworkDocument} */ (build.network.value);
  const last = document.layers.findLast(layer => build.opOf(layer.op)?.layer_settings.required?.includes("out"));
  if (!last) return null;
  const schema = { ...build.opOf(last.op)?.layer_settings.properties.out, title: "outputs" };
  return html`<${Setting} id="outputs" name="outputs" schema=${schema} value=${last.settings.out}
    change=${(/** @type {any} */ to) => build.set(last.name, "out", to)} />`;
}
