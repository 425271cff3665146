/** A picture of one's own: chosen, photographed, dropped or pasted; each stage of what is done to it can be undone. */

import { batch, computed, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { percent, shape as times } from "../../core/format.js";
import { greyOf, isOnPaper, inverted, otsu, planesOf, rowsOf, stagesOf } from "../../core/photo.js";
import * as net from "../../net/requests.js";
import { picture as dropped } from "../../state/dropped.js";
import {
  className,
  classes,
  digital,
  infoOf,
  look,
  run,
  say,
  show,
  showError,
  status,
  takesDigits,
} from "../../state/store.js";
import { html } from "../html.js";
import { Digit } from "../train/tiles.js";
import { centred } from "./mnist_centering.js";

/** Pixels of the longer side with which a picture is worked on. */
const LARGEST = 320;
/** Milliseconds between two questions while a slider moves. */
const PATIENCE = 150;

/** @type {Signal<import("../../core/photo.js").Planes|null>} */
export const picture = signal(null);
/** @type {Signal<import("../../core/photo.js").Choices>} */
const choices = signal({ invert: false, threshold: null, crop: true });
/** @type {Signal<number[]|null>} */
const answer = signal(null);
/** The label the loss shall use; null for the network's own answer. @type {Signal<number|null>} */
const chosen = signal(null);

const shape = computed(() => infoOf("input/y")?.shape.slice(1) ?? []);
/** Digits are centred by their ink, as MNIST's are. */
const asDigit = computed(() => takesDigits.value && digital.value);

const stages = computed(() => {
  const from = picture.value;
  if (!from || shape.value.length !== 3 || ![1, 3].includes(shape.value[0])) return [];
  return stagesOf(from, shape.value, choices.value, asDigit.value ? centred : null);
});
/** What the network takes, null where there is no ink. */
const image = computed(() => {
  const last = stages.value.at(-1)?.planes;
  const [channels, height, width] = shape.value;
  const fits = last && last.channels === channels && last.height === height && last.width === width;
  return fits ? last : null;
});

/** @param {Blob} file */
async function open(file) {
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
    pen.imageSmoothingQuality = "high";
    pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    const planes = planesOf(pen.getImageData(0, 0, canvas.width, canvas.height).data, canvas.width, canvas.height);
    const grey = greyOf(planes);
    const invert = asDigit.peek() && isOnPaper(grey);
    batch(() => {
      picture.value = planes;
      choices.value = { invert, threshold: asDigit.peek() ? otsu(invert ? inverted(grey) : grey) : null, crop: true };
      chosen.value = null;
    });
    say("The picture is here.");
  } catch {
    showError({ title: "That picture cannot be read", detail: "This browser does not know its format." });
  }
}

/** Ask for the answer whenever the image or the network has changed. */
function useAnswer() {
  const now = image.value;
  const { id, step } = run.value ?? {};
  const { ready } = status.value;
  useEffect(() => {
    answer.value = null;
    if (!now || !id || !ready) return undefined;
    let wanted = true;
    const x = rowsOf(now);
    const timer = setTimeout(
      () =>
        net.predict(id, { x: now.channels === 1 ? [[x]] : [x], layers: false }).then(({ probabilities, outputs }) => {
          if (wanted) answer.value = (probabilities ?? outputs)?.[0] ?? null;
        }, net.showError),
      PATIENCE,
    );
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [now, id, step, ready]);
}

/** The picture becomes what is looked at, in Explore. */
function use() {
  const now = image.peek();
  if (!now) return;
  const said = answer.peek();
  const target = chosen.peek() ?? (said ? said.indexOf(Math.max(...said)) : 0);
  batch(() => {
    look({ kind: "pass", drawn: true, x: rowsOf(now), target });
    show("explore");
  });
  say("Looking at your picture.");
}

const change = (/** @type {Partial<typeof choices.value>} */ to) => {
  choices.value = { ...choices.peek(), ...to };
};

/** Pictures that this network can take. */
const taken = () => shape.value.length === 3 && [1, 3].includes(shape.value[0]);

/** The ways in which a picture comes. */
export function Chooser() {
  const given = dropped.value;
  useEffect(() => {
    if (!given) return;
    dropped.value = null;
    void open(given);
  }, [given]);
  if (!taken()) return null;
  const take = (/** @type {any} */ event) => {
    const [file] = event.currentTarget.files;
    event.currentTarget.value = "";
    if (file) void open(file);
  };
  return html`<p class="photo-ways"><span class="soft wide-only">Paste or drop a picture, or</span>
    <label class="button">Choose a picture<input type="file" accept="image/*" onChange=${take} /></label>
    ${
      matchMedia("(pointer: coarse)").matches &&
      html`<label class="button">Photograph<input type="file" accept="image/*" capture="environment"
      onChange=${take} /></label>`
    }</p>`;
}

function Stages() {
  const { invert, threshold, crop } = choices.value;
  const [channels] = shape.value;
  const cuts = threshold !== null;
  const cut = () => {
    const grey = greyOf(/** @type {any} */ (picture.peek()));
    return otsu(invert ? inverted(grey) : grey);
  };
  return html`<ol class="stages">${stages.value.map(
    ({ words, planes }) => html`<li key=${words}><${Digit} image=${planes.data}
      shape=${[planes.channels, planes.height, planes.width]} width=${64} label=${words} /><span
      class="soft">${words}</span></li>`,
  )}</ol>
  <fieldset class="photo-choices"><legend class="spoken">What is done to the picture</legend>
    <label><input type="checkbox" checked=${invert} onChange=${() => change({ invert: !invert })} /> invert</label>
    <label><input type="checkbox" checked=${crop} onChange=${() => change({ crop: !crop })} /> ${
      asDigit.value ? "crop to the ink and centre it, as MNIST" : "crop to the middle"
    }</label>
    ${
      channels === 1 &&
      html`<label><input type="checkbox" checked=${cuts}
        onChange=${() => change({ threshold: cuts ? null : cut() })} /> threshold</label>
      ${
        cuts &&
        html`<input type="range" min="0" max="1" step="0.01" value=${threshold} aria-label="threshold"
        onInput=${(/** @type {any} */ event) => change({ threshold: Number(event.currentTarget.value) })} />`
      }`
    }
  </fieldset>`;
}

function Verdict() {
  const said = answer.value;
  if (!image.value)
    return html`<p class="soft" role="status">There is no ink in it. Try to invert it, or another threshold.</p>`;
  if (!said)
    return html`<p class="soft">${status.value.ready ? "Asking." : "The network answers once it is compiled."}</p>`;
  const best = said.indexOf(Math.max(...said));
  const shares = said.every(value => value >= 0 && value <= 1);
  return html`<p>The network says <b class="said">${className(best)}</b>${
    shares ? html` <span class="soft">${percent(said[best])} sure</span>` : ""
  }</p>`;
}

export function Photo() {
  useAnswer();
  if (!taken()) return null;
  const outputs = answer.value?.length ?? classes.value?.length ?? 0;
  return html`<section class="photo" aria-labelledby="photo-title">
    <h3 id="photo-title">Your picture, brought to ${times(shape.value)}</h3>
    <${Stages} /><${Verdict} />
    <div class="use">
      ${
        outputs > 1 &&
        html`<label><span class="soft">label for the loss</span>
        <select value=${chosen.value ?? ""} onChange=${(/** @type {any} */ event) => {
          const { value } = event.currentTarget;
          chosen.value = value === "" ? null : Number(value);
        }}>
          <option value="">its own answer</option>
          ${Array.from({ length: outputs }, (_, k) => html`<option key=${k} value=${k}>${className(k)}</option>`)}
        </select></label>`
      }
      <button class="button primary" aria-disabled=${!image.value || !answer.value}
        onClick=${() => image.value && answer.value && use()}>Use this picture</button>
    </div>
    <div class="draw-tools"><button class="button" onClick=${() => {
      picture.value = null;
    }}>Take the picture away</button></div>
  </section>`;
}
