/** What did not matter: the numbers on which the loss does not depend in this pass, each with its reason. */

import { useEffect, useState } from "preact/hooks";

import { html } from "../html.js";
import { count } from "../../core/format.js";
import { inertOf } from "../../net/session.js";
import { Refused } from "../../net/requests.js";
import * as compare from "../../state/compare.js";
import { infoOf, nameOf, source, step, timeline } from "../../state/store.js";

/** What a reason is called; the server says how many numbers have it. */
const REASONS = /** @type {Record<string, string>} */ ({
  unread: "nothing reads them",
  relu: "a gate is closed",
  not_maximum: "another one is the maximum",
  zero_weight: "they are multiplied by 0",
});

/** The tensors that the stage shows above the line: the image, what layers put out, and what is learned. */
function tensors() {
  const known = timeline.value?.tensors ?? {};
  return Object.entries(known).flatMap(([name, { kind }]) => {
    const [layer, tensor] = name.split("/");
    const put = kind === "value" && tensor === "y" && layer !== "target" && layer !== "loss";
    return put || (kind === "weight" && `${layer}/d${tensor}` in known) ? [name] : [];
  });
}

/** @param {{place: string}} props */
export function Inert({ place }) {
  const name = nameOf(place);
  const shape = infoOf(name)?.shape ?? [];
  const [found, find] = useState(/** @type {Awaited<ReturnType<typeof inertOf>>|null} */ (null));
  const [asking, ask] = useState(false);
  const pass = source.value?.kind === "pass" ? source.value.pass : undefined;
  useEffect(() => {
    let gone = false;
    find(null);
    if (tensors().includes(name))
      inertOf(name).then(
        answer => gone || find(answer),
        error => {
          if (!(error instanceof Refused)) throw error;
        },
      );
    return () => {
      gone = true;
    };
  }, [name, pass, step.value]);
  useEffect(() => () => compare.showMattered(null), [pass, step.value]);
  if (!found || !pass) return null;
  const reasons = Object.entries(found.reasons).filter(([, many]) => many);
  const many = reasons.reduce((sum, [, each]) => sum + each, 0);
  const all = shape.reduce((product, extent) => product * extent, 1);
  const owner = name.replace(/\/y$/, "");
  const on = compare.shows.value === "mattered";
  const toggle = async () => {
    if (on) return compare.showMattered(null);
    ask(true);
    try {
      const masks = new Map();
      for (const each of tensors()) {
        const answer = await inertOf(each).catch(error => {
          if (!(error instanceof Refused)) throw error;
          return null; // it is on no way to the loss
        });
        if (answer)
          masks.set(
            each,
            Float32Array.from([answer.mask].flat(4), dead => 1 - dead),
          );
      }
      compare.showMattered(masks);
    } finally {
      ask(false);
    }
  };
  return html`<section class="inert"><h3 class="card-title">What did not matter</h3>
    <p class="note">${
      many
        ? html`Of ${count(all)} numbers of ${owner} the loss does not depend on <b>${count(many)}</b> in this pass.`
        : html`The loss depends on each of the ${count(all)} numbers of ${owner}.`
    }</p>
    ${
      many > 0 &&
      html`<table><tbody>${reasons.map(
        ([reason, each]) => html`<tr><th scope="row">${REASONS[reason] ?? reason}</th><td>${count(each)}</td></tr>`,
      )}</tbody></table>`
    }
    <button class="flat" aria-pressed=${on} disabled=${asking} onClick=${toggle}>${
      on ? "Show the numbers again" : asking ? "Asking for every layer..." : "Show it on the stage"
    }</button>
    ${
      on &&
      html`<p class="note soft">What is blank did not matter: moving it a little leaves the loss as it is, to the last
        bit.</p>`
    }</section>`;
}
