/** One digit as the network sees it while it learns: image, kernels then and now, maps, answer. */

import { computed, effect, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { gradient, largest, roundUp } from "../../core/colour.js";
import { liveTensorsOf } from "../../core/live_tensors.js";
import { count, number, range as legendOf } from "../../core/format.js";
import * as net from "../../net/requests.js";
import {
  frame,
  infoOf,
  label,
  live,
  rangeOf,
  run,
  scheme,
  timeline,
  source,
  status,
  tensorOf,
  thing,
  numberAt,
  yours,
} from "../../state/store.js";
import { firstWeights, readFirstWeights } from "./state.js";
import { Bars } from "../bars.js";
import { html } from "../html.js";
import { pictureOfValues, Tiles } from "./tiles.js";

const shown = computed(() => (timeline.value ? liveTensorsOf(timeline.value) : null));
const layerOf = (/** @type {string} */ place) => place.slice(0, place.indexOf("/"));

/** Frames drawn in the last full second. */
const rate = signal(0);

function countFrames() {
  let drawn = 0;
  const end = effect(() => {
    if (frame.value) drawn += 1;
  });
  const timer = setInterval(() => {
    rate.value = drawn;
    drawn = 0;
  }, 1000);
  return () => {
    end();
    clearInterval(timer);
  };
}

/** @param {{kind: "value"|"weight", range: number}} props */
const Legend = ({ kind, range }) => html`<div class="ramp">
  <i style=${{ background: gradient(kind, scheme.value) }} /><span>${legendOf(range)}</span></div>`;

/** @param {{place: string, kind: "value"|"weight"}} props */
const RangeOf = ({ place, kind }) => html`<${Legend} kind=${kind} range=${rangeOf(place)} />`;

/** Sides of a stack's tiles: maps, rows and columns of one image. @param {number[]} shape */
const sides = shape => (shape.length === 4 ? shape.slice(1) : [1, 1, shape[shape.length - 1]]);

/** @param {{place: string, most: number, across: number, width: number, symbol?: string}} props */
function Maps({ place, most, across, width, symbol }) {
  const [maps, rows, columns] = sides(infoOf(place)?.shape ?? [1, 1, 1]);
  const coloured = maps === 3 && place === "input/y";
  const shown = coloured ? 1 : Math.min(maps, most);
  const picture = useMemo(
    () => () => {
      const tensor = tensorOf(place);
      if (tensor && coloured)
        return pictureOfValues(tensor.data.slice(0, maps * rows * columns), [maps, rows, columns]);
      return tensor
        ? {
            data: tensor.data,
            count: shown,
            rows,
            columns,
            kind: /** @type {const} */ ("value"),
            range: rangeOf(place),
          }
        : null;
    },
    [place, shown, coloured, maps, rows, columns],
  );
  const layer = layerOf(place);
  const words = coloured
    ? layer
    : shown < maps
      ? `${layer}, ${shown} of ${maps} maps`
      : maps > 1
        ? `${layer}, ${maps} maps`
        : layer;
  return html`<figure class="live-maps">
    <figcaption>${symbol && html`<i class="symbol act">${symbol}</i>`} ${words}</figcaption>
    <${Tiles} picture=${picture} across=${Math.min(across, shown)} width=${width} height=${(width * rows) / columns}
      gap=${4} framed label=${words} />
    <${RangeOf} place=${place} kind="value" />
  </figure>`;
}

/**
 * The first slices of kernels, one after the other; weights of two axes are one tile.
 * @param {number[]} shape @param {ArrayLike<number>} data @param {number} most
 */
function slices(shape, data, most) {
  if (shape.length < 4) return { data, count: 1, rows: shape[0], columns: shape[1] ?? 1 };
  const [kernels, maps, rows, columns] = shape;
  const shown = Math.min(kernels, most);
  const cells = rows * columns;
  const out = new Float32Array(shown * cells);
  for (let k = 0; k < out.length; k++) out[k] = data[Math.floor(k / cells) * maps * cells + (k % cells)];
  return { data: out, count: shown, rows, columns };
}
const MOST = 8;
/** Width of a row of kernels in design pixels. */
const KERNELS = 244;

/** @param {string} place one range for both rows, so that they can be compared */
function weightRange(place) {
  const first = firstWeights.value;
  return Math.max(rangeOf(place), first?.place === place ? roundUp(largest(first.data)) : 0);
}

/** @param {{place: string}} props */
function Kernels({ place }) {
  const id = run.value?.id;
  const shape = infoOf(place)?.shape ?? [1, 1];
  useEffect(() => void readFirstWeights(place).catch(net.showError), [place, id, Boolean(run.value?.history)]);
  const [then, now] = useMemo(
    () => [
      () => {
        const first = firstWeights.value;
        if (first?.place !== place || first.run !== run.value?.id) return null;
        return {
          ...slices(first.shape, first.data, MOST),
          kind: /** @type {const} */ ("weight"),
          range: weightRange(place),
        };
      },
      () => {
        const tensor = tensorOf(place);
        return tensor
          ? {
              ...slices(tensor.shape, tensor.data, MOST),
              kind: /** @type {const} */ ("weight"),
              range: weightRange(place),
            }
          : null;
      },
    ],
    [place],
  );
  const { count: shown, rows, columns } = slices(shape, [], MOST);
  const first = firstWeights.value?.run === id ? firstWeights.value : null;
  const width = shape.length < 4 ? KERNELS : Math.min(40, Math.floor((KERNELS + 4) / shown) - 4);
  const height = shape.length < 4 ? 27 : (width * rows) / columns;
  const layer = layerOf(place);
  return html`<figure class="live-kernels">
    <figcaption><i
      class="symbol wt">w</i> ${layer}${shape[0] > shown && shown > 1 ? `, ${shown} of ${shape[0]}` : ""}</figcaption>
    <div class="soft">at step ${count(first?.step ?? 0)}</div>
    <${Tiles} picture=${then} across=${shown} width=${width} height=${height} gap=${4}
      label="kernels of ${layer} at step ${count(first?.step ?? 0)}" />
    <div>now</div>
    <${Tiles} picture=${now} across=${shown} width=${width} height=${height} gap=${4} label="kernels of ${layer} now" />
    <${Legend} kind="weight" range=${weightRange(place)} />
  </figure>`;
}

/** @param {{place: string}} props */
function Probabilities({ place }) {
  const values = Array.from(tensorOf(place)?.data ?? []).slice(0, 10);
  const loss = numberAt("loss/y");
  const [layer, name] = place.split("/");
  const title = timeline.value?.phases.find(phase => phase.place === place)?.label ?? layer;
  return html`<figure class="live-answers">
    <figcaption><i class="symbol act">${name}</i> ${title}</figcaption>
    <${Bars} values=${values} label=${label.value} />
    <div class="soft">${loss === undefined ? "" : `loss ${number(loss)}`}</div>
  </figure>`;
}

function subject() {
  const what = source.value;
  if (what?.kind === "bench") return "";
  if (what?.kind === "step") return `image ${what.sample} of each minibatch as the network learns`;
  const noun = thing.value;
  return what?.drawn
    ? `${yours.value} seen by the network as it learns`
    : `one ${what?.split === "train" ? "training" : "test"} ${noun} seen by the network as it learns`;
}

function pace() {
  const { state, step, images_per_second: images, batch_size: size } = run.value;
  if (!live.value)
    return state === "running"
      ? "waiting for the first frame"
      : `${state === "paused" ? "paused " : ""}at step ${count(step)}`;
  return images / size <= 60
    ? "a new frame after every step"
    : `${rate.value} frames a second, the newest step each time`;
}

export function LiveStrip() {
  useEffect(countFrames, []);
  const parts = shown.value;
  if (!parts || !run.value) return html`<section class="live-strip" aria-label="Live" />`;
  const [first, second] = parts.maps;
  return html`<section class="live-strip" aria-labelledby="live-title">
    <header>
      <h2 id="live-title"><i class="dot ${live.value ? "on" : ""}" /><b>${live.value ? "Live" : "Still"}</b> <span
        class="serif">${subject()}</span></h2>
      <p class="soft">${status.value.ready ? pace() : ""}</p>
    </header>
    <div class="live-row">
      <${Maps} key=${parts.input} place=${parts.input} most=${1} across=${1} width=${142} symbol="x" />
      ${parts.weights && html`<${Kernels} key=${parts.weights} place=${parts.weights} />`}
      ${first && html`<${Maps} key=${first} place=${first} most=${8} across=${4} width=${67} />`}
      ${second && html`<${Maps} key=${second} place=${second} most=${16} across=${4} width=${33} />`}
      <${Probabilities} place=${parts.answers} />
    </div>
  </section>`;
}
