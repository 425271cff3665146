/** A first visit: one sentence, one button, two other ways in. While kernels compile, it says so and counts. */

import { useEffect, useRef } from "preact/hooks";

import { html } from "../html.js";
import { Icon } from "../icons.js";
import * as format from "../../core/format.js";
import * as net from "../../net/requests.js";
import * as session from "../../net/session.js";
import { mayChange } from "../../net/tokens.js";
import * as store from "../../state/store.js";
import { compilingWords } from "../step/labels.js";

export function Welcome() {
  const button = useRef(/** @type {HTMLButtonElement|null} */ (null));
  const { ready, compiling } = store.status.value;
  const able = store.walkable.value;
  const label = store.label.value;
  const source = store.source.value;
  const what =
    source?.kind === "pass" && source.drawn
      ? store.yours.value
      : label === null
        ? "this image"
        : html`this <i>${store.className(label)}</i>`;
  useEffect(() => {
    if (able && (document.activeElement === document.body || document.activeElement === null))
      button.current?.focus({ focusVisible: true });
  }, [able, store.live.value]);
  useEffect(
    () => () => {
      const { activeElement } = document;
      if (activeElement === document.body || activeElement?.closest(".first")) {
        /** @type {HTMLElement|null} */ (document.querySelector(".transport .disc"))?.focus();
      }
    },
    [],
  );
  if (store.live.value) return html`<${Learning} />`;
  return html`<section class="first" aria-label="Welcome">
    <p class="sentence">Press play, and ${what} goes through the network, one number at a time, to the loss and
      back.</p>
    <div class="ways">
      <button type="button" class="button primary" ref=${button} aria-disabled=${able ? undefined : "true"}
        onClick=${store.play}>
        <${Icon} name="play" /> Play the pass</button>
      ${
        store.takesDigits.value &&
        store.digital.value &&
        html`<button type="button" class="button"
        onClick=${() => store.openPanel("draw")}>Draw your own digit</button>`
      }
      <button type="button" class="button" onClick=${() => store.show("train")}>Train the network first</button>
    </div>
    <p class="soft" role="status">${
      compiling && !ready
        ? `${compilingWords(compiling)} Meanwhile the image, the network and the pages behind API and ? work; drawing a
          digit too.`
        : able
          ? html`or press <b>space</b>`
          : "The network is being trained for a moment …"
    }</p>
    ${
      compiling &&
      !ready &&
      html`<progress max=${compiling.total} value=${compiling.done}
      aria-label="Kernels compiled"></progress>`
    }
  </section>`;
}

/** While it trains, and no pass is walked through. */
function Learning() {
  const { id, step, loss } = store.run.value;
  const foreign = !mayChange(store.run.value);
  return html`<section class="first" aria-label="Training">
    <p class="sentence">${
      foreign
        ? "Somebody else's network is learning. Watch it, or make a copy of your own."
        : "The network is learning. Stop it anywhere, and every number of that step can be opened."
    }</p>
    <div class="ways">
      ${
        foreign
          ? html`<button type="button" class="button primary"
            onClick=${() => session.copyRun(store.run.value).catch(net.showError)}>Make my own copy</button>`
          : html`<button type="button" class="button primary"
            onClick=${() => session.stopAndLook(id).catch(net.showError)}>
        <${Icon} name="pause" /> Stop and look</button>
      <button type="button" class="button" onClick=${store.play}>Stop and play the pass</button>`
      }
      <button type="button" class="button" onClick=${() => store.show("train")}>See the curves</button>
    </div>
    <p class="soft">step <b>${format.count(step)}</b>${
      typeof loss === "number" &&
      html`,
      loss <b>${format.number(loss)}</b>`
    }</p>
  </section>`;
}
