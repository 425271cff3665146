/** What a number can change on the way to the loss, and what it depends on: counts and a picture for each tensor. */

import { useEffect, useMemo, useState } from "preact/hooks";

import { html } from "../html.js";
import { relatives } from "../../core/facts.js";
import { alone, count } from "../../core/format.js";
import { reachOf } from "../../net/session.js";
import { Refused } from "../../net/requests.js";
import { axesOf, infoOf, isKnown, timeline, source, step, numberAt } from "../../state/store.js";
import { Inert } from "./inert.js";
import { Tiles } from "../train/tiles.js";

/** A mask of more cells is counted and not drawn, and so is one after so many. */
const DRAWN = { cells: 40000, rows: 16 };

const WAYS = /** @type {const} */ ([
  ["backward", "sees"],
  ["forward", "reaches"],
]);

/** @param {{place: string}} props */
export function Reach({ place }) {
  const [way, turn] = useState(/** @type {"forward"|"backward"} */ ("forward"));
  const [answered, find] = useState(
    /** @type {{to: string, way: string, answer: Awaited<ReturnType<typeof reachOf>>}|null} */ (null),
  );
  // An answer to what was asked before is none to what is asked now.
  const found = answered?.to === place && answered.way === way ? answered.answer : null;
  const [refused, refuse] = useState("");
  useEffect(() => {
    let gone = false;
    find(null);
    reachOf(place, way).then(
      answer => {
        if (gone) return;
        find({ to: place, way, answer });
        refuse("");
      },
      error => !gone && error instanceof Refused && refuse(error.message),
    );
    return () => {
      gone = true;
    };
  }, [place, way, source.value, step.value]);
  const rows = Object.entries(found?.tensors ?? {}).filter(([name]) => infoOf(name));
  return html`<div class="reach">
    <div class="directions" role="group" aria-label="direction">${WAYS.map(
      ([value, words]) =>
        html`<button class="flat" aria-pressed=${way === value} onClick=${() => turn(value)}>${words}</button>`,
    )}</div>
    ${refused && html`<p class="note soft">${refused}</p>`}
    ${
      found &&
      (rows.length
        ? html`<table><thead><tr><th>layer</th><th>in
          reach</th><th>${way === "forward" ? "moves" : "matters"} now</th></tr></thead>
      <tbody>${rows.map(
        ([name, each], k) => html`<${Row} key=${`${way} ${name}`} place=${place} way=${way} name=${name} each=${each}
        drawn=${k < DRAWN.rows && each.of <= DRAWN.cells} />`,
      )}</tbody></table>
      <p class="note soft key-line"><i class="look dim"></i>in reach, but blocked in this pass: a ReLU at 0, not the
        maximum, times 0</p>
      <p class="note soft key-line"><i class="look full"></i>${way === "forward" ? "moves with it" : "moves it"}</p>
      <p class="note">${said(place, way, found)}</p>`
        : html`<p class="note">${way === "forward" ? "Nothing reads it." : "It depends on nothing: it is given."}</p>`)
    }<${Inert} place=${place} /></div>`;
}

/**
 * The whole in a sentence.
 * @param {string} place
 * @param {string} way
 * @param {Awaited<ReturnType<typeof reachOf>>} found
 */
function said(place, way, { tensors }) {
  if (way === "backward") return "Everything on the way here that its value is made of.";
  const loss = tensors["loss/y"];
  if (!loss) return "The loss does not depend on it.";
  if (!loss.active) return "In this pass nothing of it arrives at the loss: every way there is blocked.";
  const { gradient } = relatives(/** @type {Timeline} */ (timeline.value), place);
  const slope = gradient && isKnown(gradient) ? numberAt(gradient) : undefined;
  return `It moves the loss${slope === undefined ? "." : `, at the rate ${alone(slope)}: its gradient.`}`;
}

/**
 * @param {{place: string, way: "forward"|"backward", name: string, drawn: boolean, each: {reachable: number,
 *   active: number, of: number}}} props
 */
function Row({ place, way, name, drawn, each }) {
  const shape = /** @type {TensorInfo} */ (infoOf(name)).shape;
  const [mask, fill] = useState(/** @type {number[][][][]|null} */ (null));
  const flat = shape.length < 4;
  useEffect(() => {
    if (!drawn || flat) return;
    let gone = false;
    reachOf(place, way, name).then(
      answer => gone || fill(answer.mask),
      () => {},
    );
    return () => {
      gone = true;
    };
  }, [place, way, name, source.value, step.value]);
  const best = useMemo(() => (mask ? fullest(mask, axesOf(name) === "weight" ? "kernel" : "image") : null), [mask]);
  const share = (/** @type {number} */ part) => `${(100 * part) / each.of}%`;
  return html`<tr><th scope="row">${name.replace(/\/y$/, "")}</th>
    <td>${count(each.reachable)} of ${count(each.of)}</td><td>${count(each.active)}</td></tr>
    <tr class="picture"><td colspan="3">${
      best &&
      html`<div class="pictured"><${Tiles} picture=${() => best.picture} across=${1} width=${64}
        height=${(64 * best.picture.rows) / best.picture.columns} framed=${true}
      label=${`where in ${name}, ${best.words}`} /><span class="soft">${best.words}</span></div>`
    }<div class="share" aria-hidden="true"><i class="dim" style=${{ width: share(each.reachable) }}></i><i class="full"
      style=${{ width: share(each.active) }}></i></div></td></tr>`;
}

/**
 * The plane of a mask with most in it, as a picture.
 * @param {number[][][][]} mask
 * @param {string} outer what the first axis counts
 */
function fullest(mask, outer) {
  const sizes = mask.flatMap((planes, n) =>
    planes.map((plane, c) => ({ n, c, size: plane.flat().reduce((sum, cell) => sum + cell, 0) })),
  );
  const { n, c } = sizes.reduce((most, each) => (each.size > most.size ? each : most));
  const plane = mask[n][c];
  const data = plane.flat().map(cell => [0, 0.3, 1][cell]);
  const picture = {
    data,
    count: 1,
    rows: plane.length,
    columns: plane[0].length,
    kind: /** @type {Kind} */ ("gradient"),
    range: 1,
  };
  return { picture, words: mask.length > 1 ? `${outer} ${n}, map ${c}` : `map ${c}` };
}
