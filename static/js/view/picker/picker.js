/** What the network shall look at: a digit of the data, an image of a step's minibatch, or one of the visitor's own. */

import { batch, signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";

import * as format from "../../core/format.js";
import * as net from "../../net/requests.js";
import {
  className,
  digital,
  infoOf,
  look,
  openPanel,
  run,
  say,
  source,
  status,
  takesDigits,
  thing,
  withArticle,
} from "../../state/store.js";
import { Draw } from "./draw.js";
import { Chooser, Photo, picture } from "./photo.js";
import { html } from "../html.js";
import { Dialog } from "../shell/popover.js";
import { rove } from "../roving.js";
import { Digit, Thumb } from "../train/tiles.js";

/** Digits of a class shown at a time. */
const ROW = 12;

/** @type {Signal<"train"|"test">} */
const split = signal("test");
/** First digit shown of each class. @type {Signal<Record<number, number>>} */
const offsets = signal({});

/** The digit at which the Tab key stops: class and place in its row. */
const stop = signal("0 0");

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
    net.digits(dataset, part, { label, offset, limit: ROW }).then(found => wanted && setPage(found), net.showError);
    return () => {
      wanted = false;
    };
  }, [dataset, part, label, offset]);
  const turn = (/** @type {number} */ by) => {
    offsets.value = { ...offsets.peek(), [label]: offset + by };
  };
  const what = source.value;
  /** The Tab key stops at the turns of the row in which it stops, too. */
  const mine = stop.value.startsWith(`${label} `);
  /** Over the edge of a row its next page comes. @param {KeyboardEvent} event */
  const overEdge = event => {
    const row = /** @type {HTMLElement} */ (event.currentTarget);
    const [from, to, by] =
      event.key === "ArrowRight"
        ? [row.lastElementChild, row.firstElementChild, ROW]
        : event.key === "ArrowLeft"
          ? [row.firstElementChild, row.lastElementChild, -ROW]
          : [null, null, 0];
    if (!by || event.target !== from || offset + by < 0 || offset + by >= page.total) return;
    event.preventDefault();
    event.stopPropagation();
    turn(by);
    /** @type {HTMLElement} */ (to).focus();
  };
  return html`<li class="class-row">
    <b title=${className(label)}>${className(label)}</b>
    <button class="turn" tabindex=${mine && offset > 0 ? 0 : -1}
      aria-label="earlier ${thing.value}s ${className(label)}" aria-disabled=${offset === 0}
        onClick=${() => offset > 0 && turn(-ROW)}>‹</button>
    <div role="group" aria-label="${thing.value}s ${className(label)}" onKeyDown=${overEdge}>${page.indices.map(
      (index, k) => {
        const chosen = what?.kind === "pass" && what.dataset === dataset && what.split === part && what.index === index;
        const spot = `${label} ${k}`;
        return html`<button key=${k} class="digit-button" aria-pressed=${chosen} title="${part} ${index}"
        tabindex=${stop.value === spot ? 0 : -1} onFocus=${() => {
          stop.value = spot;
        }}
        aria-label="${className(label)}, ${part} image ${index}" onClick=${() => choose(dataset, index)}>
        <${Thumb} dataset=${dataset} split=${part} index=${index} width=${34} /></button>`;
      },
    )}</div>
    <button class="turn" tabindex=${mine && offset + ROW < page.total ? 0 : -1}
      aria-label="further ${thing.value}s ${className(label)}" aria-disabled=${offset + ROW >= page.total}
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
      ${["test", "train"]
        .filter(name => dataset.splits[name])
        .map(
          name => html`<label key=${name}>
        <input type="radio" name="split" checked=${part === name} onChange=${() =>
          batch(() => {
            split.value = /** @type {"train"|"test"} */ (name);
            offsets.value = {};
          })} /><span>${name} ${format.count(dataset.splits[name])}</span></label>`,
        )}
    </fieldset>
    <label>number <input type="text" inputmode="numeric" autocomplete="off" value=${text} aria-invalid=${!fits}
      onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} /></label>
    <button class="button" aria-disabled=${!fits}
      title=${fits ? "" : `a number from 0 to ${format.count(total - 1)}`}>Show</button>
    <button class="button" type="button"
      onClick=${() => choose(dataset.name, Math.floor(total * Math.random()))}>Random</button>
  </form>`;
}

function ByClass() {
  const [all, setAll] = useState(/** @type {any[]} */ ([]));
  useEffect(() => void net.datasets().then(setAll, net.showError), []);
  const [, ...input] = infoOf("input/y")?.shape ?? [];
  const fitting = all.filter(({ shape, problem }) => !problem && shape?.join() === input.join());
  const dataset = fitting.find(({ name }) => name === run.value?.dataset) ?? fitting[0];
  if (!dataset) {
    return html`<section class="by-class"><p class="soft">${
      all.length
        ? `This network takes images of ${format.shape(input)}. Its own are below.`
        : "Fetching the lists of images."
    }</p></section>`;
  }
  return html`<section class="by-class" aria-label="${dataset.title} by class and by number">
    <${ByNumber} dataset=${dataset} />
    <ol start="0" class=${digital.value ? "" : "named"}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => rove(event, ".digit-button")}>${Array.from(
        { length: net.classesOf(dataset).length },
        (_, label) => html`
      <${ClassRow} key=${`${dataset.name} ${label}`} dataset=${dataset.name} label=${label} />`,
      )}</ol>
  </section>`;
}

/** Images shown at a time. */
const PAGE = 32;

/** @param {number} step @returns {Promise<{labels: number[], images: Float32Array[]}>} */
async function minibatch(step) {
  const { id } = run.peek();
  const [input, target] = await Promise.all(["input/y", "target/y"].map(name => net.tensor(id, step, name)));
  return {
    labels: target.values,
    images: input.values.map((/** @type {any} */ image) => Float32Array.from(image.flat(Infinity))),
  };
}

/** An image of a step's own minibatch. */
function Minibatch() {
  const { history, step: now, state } = run.value ?? {};
  const what = source.value;
  const [text, setText] = useState(String(what?.kind === "step" ? what.step : (now ?? 0)));
  const [shown, setShown] = useState(
    /** @type {{step: number, labels: number[], images: Float32Array[]}|null} */ (null),
  );
  const [first, setFirst] = useState(0);
  const [tabbed, setTabbed] = useState(0);
  const asked = Number(text);
  const fits =
    Boolean(history) &&
    text.trim() !== "" &&
    Number.isInteger(asked) &&
    asked >= history.first &&
    asked <= history.last;
  const ready = status.value.ready;
  useEffect(() => {
    if (!fits || !ready) return undefined;
    let wanted = true;
    const timer = setTimeout(
      () =>
        minibatch(asked).then(found => {
          if (!wanted) return;
          setShown({ step: asked, ...found });
          setFirst(0);
        }, net.showError),
      200,
    );
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [asked, fits, ready]);
  const choose = (/** @type {number} */ sample) => {
    look({ kind: "step", step: asked, sample });
    say(`Looking at image ${sample} of step ${format.count(asked)}'s minibatch.`);
  };
  const mine = shown?.step === asked ? shown : null;
  const total = mine?.images.length ?? 0;
  return html`<section class="minibatch" aria-label="An image of a step's minibatch">
    <header>
      <label><span class="serif">An image of the minibatch of step</span>
        <input type="text" inputmode="numeric" autocomplete="off" value=${text} aria-invalid=${!fits}
          onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} /></label>
      <span
        class="soft">${
          history ? `kept: ${format.count(history.first)} to ${format.count(history.last)}` : ""
        }${state === "running" ? ", training goes on" : ""}</span>
      ${
        total > PAGE &&
        html`<span class="pages">
        <button class="turn" aria-label="earlier images" aria-disabled=${first === 0}
          onClick=${() => setFirst(Math.max(0, first - PAGE))}>‹</button>
        ${first}–${Math.min(total, first + PAGE) - 1} of ${total}
        <button class="turn" aria-label="further images" aria-disabled=${first + PAGE >= total}
          onClick=${() => first + PAGE < total && setFirst(first + PAGE)}>›</button></span>`
      }
    </header>
    <div class="samples" role="group" aria-label="images of the minibatch"
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => rove(event, ".digit-button")}>
      ${
        mine
          ? mine.images.slice(first, first + PAGE).map((image, k) => {
              const sample = first + k;
              const chosen = what?.kind === "step" && what.step === asked && what.sample === sample;
              return html`<button key=${sample} class="digit-button" aria-pressed=${chosen}
                tabindex=${k === tabbed ? 0 : -1} onFocus=${() => setTabbed(k)}
                  title="image ${sample}, ${withArticle(mine.labels[sample])}"
          aria-label="image ${sample}, ${withArticle(mine.labels[sample])}" onClick=${() => choose(sample)}><${Digit}
            image=${image} shape=${infoOf("input/y")?.shape.slice(1)} width=${26} /></button>`;
            })
          : html`<p
            class="soft">${
              !ready
                ? "There as soon as the arithmetic is compiled."
                : fits
                  ? "Fetching the minibatch."
                  : `Choose a step that is kept.`
            }</p>`
      }
    </div>
    <p class="soft">A weight's gradient is then the whole batch's, and this image's share of it is named.</p>
  </section>`;
}

/** What the visitor brings: a picture, or else a drawing. */
function Own() {
  if (picture.value) return html`<div class="own"><${Photo} /></div>`;
  return takesDigits.value && html`<div class="own"><${Draw} /></div>`;
}

export const Picker = () => html`<${Dialog} name="picker">
  <div class="picker-page">
    <header><h2 id="picker-title">What shall the network look at?</h2><${Chooser} />
      <button class="button" onClick=${() => openPanel(null)} aria-label="close" title="Esc">✕</button></header>
    <${ByClass} /><${Own} /><${Minibatch} />
  </div>
<//>`;
