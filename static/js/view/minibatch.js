/** An image of a step's own minibatch. */

import { useEffect, useState } from "preact/hooks";

import { count } from "../format.js";
import * as net from "../net.js";
import { look, run, say, source, status } from "../store.js";
import { html } from "./html.js";
import { Digit } from "./tiles.js";

/** Images shown at a time. */
const PAGE = 32;

/** @param {number} step @returns {Promise<{labels: number[], images: Float32Array[]}>} */
async function minibatch(step) {
  const path = `api/runs/${run.peek().id}/steps/${step}/tensors`;
  const [input, target] = await Promise.all([net.get(`${path}/input/y`), net.get(`${path}/target/y`)]);
  return { labels: target.values, images: input.values.map((/** @type {any} */ image) => Float32Array.from(image.flat(Infinity))) };
}

export function Minibatch() {
  const { history, step: now, state } = run.value ?? {};
  const what = source.value;
  const [text, setText] = useState(String(what?.kind === "step" ? what.step : now ?? 0));
  const [shown, setShown] = useState(/** @type {{step: number, labels: number[], images: Float32Array[]}|null} */ (null));
  const [first, setFirst] = useState(0);
  const asked = Number(text);
  const fits = Boolean(history) && text.trim() !== "" && Number.isInteger(asked) && asked >= history.first && asked <= history.last;
  const ready = status.value.ready;
  useEffect(() => {
    if (!fits || !ready) return undefined;
    let wanted = true;
    const timer = setTimeout(() => minibatch(asked).then((found) => {
      if (!wanted) return;
      setShown({ step: asked, ...found });
      setFirst(0);
    }, net.complain), 200);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [asked, fits, ready]);
  const choose = (/** @type {number} */ sample) => {
    look({ kind: "step", step: asked, sample });
    say(`Looking at image ${sample} of step ${asked}'s minibatch.`);
  };
  const mine = shown?.step === asked ? shown : null;
  const total = mine?.images.length ?? 0;
  return html`<section class="minibatch" aria-label="An image of a step's minibatch">
    <header>
      <label><span class="serif">An image of the minibatch of step</span>
        <input type="text" inputmode="numeric" autocomplete="off" value=${text} aria-invalid=${!fits}
          onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} /></label>
      <span class="soft">${history ? `kept: ${count(history.first)} to ${count(history.last)}` : ""}${state === "running" ? ", training goes on" : ""}</span>
      ${total > PAGE && html`<span class="pages">
        <button class="turn" aria-label="earlier images" aria-disabled=${first === 0} onClick=${() => setFirst(Math.max(0, first - PAGE))}>‹</button>
        ${first}–${Math.min(total, first + PAGE) - 1} of ${total}
        <button class="turn" aria-label="further images" aria-disabled=${first + PAGE >= total} onClick=${() => first + PAGE < total && setFirst(first + PAGE)}>›</button></span>`}
    </header>
    <div class="samples" role="group" aria-label="images of the minibatch">
      ${mine ? mine.images.slice(first, first + PAGE).map((image, k) => {
        const sample = first + k;
        const chosen = what?.kind === "step" && what.step === asked && what.sample === sample;
        return html`<button key=${sample} class="digit-button" aria-pressed=${chosen} title="image ${sample}, a ${mine.labels[sample]}"
          aria-label="image ${sample}, a ${mine.labels[sample]}" onClick=${() => choose(sample)}><${Digit} image=${image} width=${26} /></button>`;
      }) : html`<p class="soft">${!ready ? "There as soon as the arithmetic is compiled." : fits ? "Fetching the minibatch." : `Choose a step that is kept.`}</p>`}
    </div>
    <p class="soft">A weight's gradient is then the whole batch's, and this image's share of it is named.</p>
  </section>`;
}
