/** A kernel by hand: its numbers typed or stepped, well-known kernels, and the map that follows at once. */

import { useEffect, useState } from "preact/hooks";

import { css, ink, largest, roundUp } from "../../core/colour.js";
import * as format from "../../core/format.js";
import * as kernels from "../../core/kernels.js";
import { alike, whole } from "../../core/network_document.js";
import { makeRun, mapsOf, runFromEdits } from "../../net/build.js";
import { showError } from "../../net/requests.js";
import * as session from "../../net/session.js";
import * as build from "../../state/build.js";
import * as store from "../../state/store.js";
import { Bars } from "../bars.js";
import { html } from "../html.js";
import { Line } from "../icons.js";
import { Tiles } from "../train/tiles.js";

/** @typedef {{layer: string, out: number, channel: number}} Where */

/**
 * Numbers are set by hand in a run: in that which is looked at where it has this network, else in a new one at step 0.
 * @param {string} layer @param {number} out @param {number} channel
 */
export async function openByHand(layer, out, channel) {
  const document = /** @type {NetworkDocument} */ (build.network.peek());
  const run = store.run.peek();
  const schemaOf = (/** @type {string} */ op) => build.opOf(op)?.layer_settings;
  try {
    const same = run?.network && alike(document, whole(run.network), schemaOf);
    if (!same || (!build.trained.peek() && run.step > 0 && run.id !== store.status.peek().welcome))
      await makeRun(false);
    build.setByHand(layer, out, channel);
  } catch (error) {
    showError(error);
  }
}

/** @param {Where} where */
const placeOf = ({ layer, out, channel }) => `${layer}/w/${out},${channel}`;

/** The numbers of the kernel as they are set, at once. @param {Where} where @returns {number[][]|null} */
function rowsOf(where) {
  const w = store.tensorOf(`${where.layer}/w`);
  if (w?.shape.length !== 4) return null;
  const [, channels, height, width] = w.shape;
  const from = (where.out * channels + where.channel) * height * width;
  return Array.from({ length: height }, (_, u) =>
    Array.from({ length: width }, (_, v) => store.setTo(`${placeOf(where)},${u},${v}`) ?? w.data[from + u * width + v]),
  );
}

/** One map of a tensor of the pass, as rows. @param {string} name @param {number} map */
function mapOf(name, map) {
  const tensor = store.tensorOf(name);
  if (tensor?.shape.length !== 4) return null;
  const [, , rows, columns] = tensor.shape;
  const from = map * rows * columns;
  return { rows, columns, data: Array.from(tensor.data.subarray(from, from + rows * columns)) };
}

/** The tensor that a layer reads. @param {string} layer */
const readBy = layer => store.nameOf(`${layer}/x`);

/** @param {Where} where */
const channelRead = where => {
  const x = store.tensorOf(readBy(where.layer));
  const w = store.tensorOf(`${where.layer}/w`);
  if (x?.shape.length !== 4 || w?.shape.length !== 4) return where.channel;
  const groups = x.shape[1] / w.shape[1];
  return Math.floor(where.out / (w.shape[0] / groups)) * w.shape[1] + where.channel;
};

const MINUS = /−/g;
const STEPS = { ArrowUp: 1, ArrowDown: -1 };

/** @param {Where} where */
export function Hand(where) {
  const rows = rowsOf(where);
  const [cell, pick] = useState(/** @type {[number, number]|null} */ (null));
  const y = mapOf(`${where.layer}/y`, where.out);
  const x = mapOf(readBy(where.layer), channelRead(where));
  const w = store.tensorOf(`${where.layer}/w`);
  if (!rows || !y || !x || !w) return html`<p class="soft">The kernel is on its way.</p>`;
  const at =
    cell && cell[0] < y.rows && cell[1] < y.columns
      ? cell
      : /** @type {[number, number]} */ ([y.rows >> 1, y.columns >> 1]);
  const set = (/** @type {number[][]|null} */ to) => build.setKernel(placeOf(where), to);
  const even = kernels.normalised(rows);
  const go = (/** @type {Partial<Where>} */ to) => {
    build.task.value = { kind: "hand", ...where, ...to };
  };
  const window = build.described.value.get(where.layer)?.window;
  const start = window ? window.start.map((first, k) => first + window.stride[k] * at[k]) : null;
  return html`<div class="hand">
    <p class="head"><b class="wt"><${Line} name="pen" /> By hand</b> <span
      class="sentence">${where.layer}, kernel ${where.out}: change a
      number, and the map follows</span>
      <span class="of">
        <${Stepper} words="kernel" at=${where.out} of=${w.shape[0]} go=${(/** @type {number} */ out) => go({ out })} />
        ${
          w.shape[1] > 1 &&
          html`<${Stepper} words="channel" at=${where.channel} of=${w.shape[1]}
            go=${(/** @type {number} */ channel) => go({ channel })} />`
        }
        <button type="button" class="button" onClick=${() => store.openPanel("picker")}>another image</button>
        <button type="button" class="button" onClick=${() => store.openPanel("draw")}>draw one</button>
        <button type="button" class="button" onClick=${() => {
          build.task.value = { kind: "layer" };
        }}>Done</button>
      </span></p>
    <div class="hand-figures">
      <${Picture} caption=${html`<i class="symbol act">x</i> ${readBy(where.layer).split("/")[0]}`} map=${x}
        range=${store.rangeOf(readBy(where.layer))} box=${start && window ? [...start, ...window.size] : null} />
      <span class="arrow"><${Line} name="cross" /></span>
      <figure><figcaption><i class="symbol wt">w</i> kernel ${where.out}</figcaption>
        <${Numbers} rows=${rows} set=${set} />
        <p class="soft totals"><span>sum <b>${format.number(kernels.sum(rows))}</b></span></p>
        <p class="turns">
          <button type="button" class="button framed" onClick=${() => set(kernels.turned(rows))}>turn 180°</button>
          <button type="button" class="button framed" onClick=${() => set(kernels.mirrored(rows))}>mirror</button>
          <button type="button" class="button framed" aria-disabled=${!even}
            title=${even ? "Divide by the sum" : "The sum is 0: there is nothing to divide by"}
            onClick=${() => even && set(even)}>÷ sum</button>
          <button type="button" class="button framed" title="Change every sign"
            onClick=${() => set(kernels.negated(rows))}>× −1</button></p></figure>
      <span class="arrow" aria-hidden="true">=</span>
      <${Picture} caption=${html`<i class="symbol act">y</i> ${where.layer}, map ${where.out}`} map=${y} legend=${true}
        range=${roundUp(largest(y.data))} box=${[...at, 1, 1]} pick=${pick} at=${at} />
    </div>
    <${Terms} place=${`${where.layer}/y/0,${where.out},${at.join(",")}`} />
    <${Presets} where=${where} rows=${rows} x=${x} set=${set} />
  </div>`;
}

/** @param {{words: string, at: number, of: number, go: (to: number) => void}} props */
const Stepper = ({ words, at, of, go }) =>
  html`<span class="stepping"><button type="button" class="turn" aria-label=${`The ${words} before`}
    onClick=${() => go((at + of - 1) % of)}>‹</button>${words} <b>${at}</b> of ${of}<button type="button" class="turn"
    aria-label=${`The next ${words}`} onClick=${() => go((at + 1) % of)}>›</button></span>`;

/**
 * @param {{caption: any, map: {rows: number, columns: number, data: number[]}, range: number, box: number[]|null,
 *   legend?: boolean, pick?: (cell: [number, number]) => void, at?: [number, number]}} props
 */
function Picture({ caption, map, range, box, legend = false, pick, at = [0, 0] }) {
  const { rows, columns, data } = map;
  const room = store.breakpoint.value === "narrow" ? 160 : 252;
  const scale = Math.max(1, Math.min(24, Math.floor(room / Math.max(rows, columns))));
  const rem = (/** @type {number} */ cells) => `${(cells * scale) / 16}rem`;
  const picture = () => ({ data, count: 1, rows, columns, kind: /** @type {const} */ ("value"), range });
  const within = (/** @type {number} */ to, /** @type {number} */ size) => Math.min(size - 1, Math.max(0, to));
  const onClick = (/** @type {MouseEvent} */ event) => {
    const area = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
    if (!event.detail) return;
    pick?.([
      within(Math.floor((rows * (event.clientY - area.top)) / area.height), rows),
      within(Math.floor((columns * (event.clientX - area.left)) / area.width), columns),
    ]);
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const way = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!way) return;
    event.preventDefault();
    pick?.([within(at[0] + way[0], rows), within(at[1] + way[1], columns)]);
  };
  return html`<figure><figcaption>${caption}</figcaption>
    <div class="plane"><div class="cells"><${Tiles} picture=${picture} across=${1} width=${columns * scale}
      height=${rows * scale} name="map" label=${`${rows} by ${columns} cells`} />
      ${
        box &&
        html`<i class=${pick ? "result" : "read"} style=${{
          top: rem(box[0]),
          left: rem(box[1]),
          height: rem(box[2]),
          width: rem(box[3]),
        }} />`
      }
      ${
        pick &&
        html`<button type="button" class="pick" onClick=${onClick} onKeyDown=${onKeyDown}
          aria-label=${`Cell in row ${at[0]}, column ${at[1]}. Arrow keys choose another`}></button>`
      }</div></div>
    ${legend && html`<span class="soft">${format.range(range)}</span>`}
  </figure>`;
}

/** @param {{rows: number[][], set: (to: number[][]) => void}} props */
function Numbers({ rows, set }) {
  const [text, write] = useState(/** @type {{at: string, words: string}|null} */ (null));
  const range = roundUp(largest(rows.flat()));
  const small = rows[0].length > 3 || store.breakpoint.value === "narrow";
  const replaced = (/** @type {number} */ u, /** @type {number} */ v, /** @type {number} */ to) =>
    set(rows.map((row, r) => (r === u ? row.with(v, to) : row)));
  return html`<div class="numbers ${small ? "small" : ""}" style=${{ "--across": rows[0].length }}>${rows.map(
    (row, u) =>
      row.map((value, v) => {
        const at = `${u},${v}`;
        const finish = () => {
          if (text?.at !== at) return;
          const to = Number(text.words.replace(MINUS, "-").replace(",", "."));
          write(null);
          if (text.words.trim() !== "" && Number.isFinite(to) && to !== value) replaced(u, v, to);
        };
        return html`<input type="text" inputmode="decimal" autocomplete="off" key=${at}
        aria-label=${`row ${u}, column ${v}`} value=${text?.at === at ? text.words : shortNumber(value)}
        data-changed=${text?.at === at ? "" : undefined}
        style=${{
          background: css("weight", value, range, store.scheme.value),
          color: ink("weight", value, range, store.scheme.value),
        }}
        onFocus=${(/** @type {any} */ event) => event.currentTarget.select()} onBlur=${finish}
        onInput=${(/** @type {any} */ event) => write({ at, words: event.currentTarget.value })}
        onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
          const way = STEPS[/** @type {keyof typeof STEPS} */ (event.key)];
          if (event.key === "Enter") finish();
          else if (event.key === "Escape") write(null);
          else if (way) replaced(u, v, Math.round(1e6 * (value + way * (event.shiftKey ? 1 : 0.1))) / 1e6);
          else return;
          event.preventDefault();
          event.stopPropagation();
        }} />`;
      }),
  )}</div>`;
}

/** At most three decimals, no zeros behind. @param {number} value */
const shortNumber = value => String(Math.round(1000 * value) / 1000).replace("-", "−");

/** Terms of one sum that are written out. */
const MOST_TERMS = 10;

/** The sum of one cell, as the server explains it. @param {{place: string}} props */
function Terms({ place }) {
  const [told, tell] = useState(/** @type {any} */ (null));
  const source = store.source.value;
  const pass = source?.kind === "pass" ? source.pass : null;
  useEffect(() => {
    let wanted = true;
    if (pass)
      session.explanationOf(place, { per_page: MOST_TERMS + 1 }).then(
        found => wanted && tell(found),
        () => {},
      );
    return () => {
      wanted = false;
    };
  }, [place, pass]);
  if (!told) return html`<p class="terms soft"> </p>`;
  const few = told.terms_total <= MOST_TERMS;
  return html`<p class="terms" aria-label=${`The sum of ${place}`}>
    ${
      few
        ? told.terms.map((/** @type {Term} */ { factors, value }, /** @type {number} */ k) =>
            factors.length === 2
              ? html`<span key=${k} class="term"><span class="act">${format.number(factors[0])}</span><span
                class="wt">× ${format.number(
                  factors[1],
                )}</span><span class="product">${format.number(value)}</span></span>`
              : html`<span key=${k} class="term"><span> </span><span class="soft">bias</span><span
                class="product">${format.number(value)}</span></span>`,
          )
        : html`<span class="soft">${told.terms_total} products of ${place.split("/")[0]} add up to</span>`
    }
    <span class="term total"><b>= ${format.number(told.value)}</b></span></p>`;
}

/**
 * @param {{where: Where, rows: number[][], x: {rows: number, columns: number, data: number[]},
 *   set: (to: number[][]|null) => void}} props
 */
function Presets({ where, rows, x, set }) {
  const [maps, setMaps] = useState(/** @type {number[][][]} */ ([]));
  const choices = kernels.presets(rows.length, rows[0].length);
  const layer = build.network.value?.layers.find(({ name }) => name === where.layer);
  const op = layer && build.opOf(layer.op);
  const key = `${where.layer} ${rows.length} ${rows[0].length}`;
  useEffect(() => {
    if (!layer || !op || !choices.length) return;
    let wanted = true;
    const settings = Object.fromEntries(
      Object.entries(layer.settings).filter(([name]) => name in op.settings.properties && name !== "groups"),
    );
    const plane = Array.from({ length: x.rows }, (_, r) => x.data.slice(r * x.columns, (r + 1) * x.columns));
    mapsOf(
      { op: layer.op, settings },
      plane,
      choices.map(choice => choice.rows),
    ).then(
      found => wanted && setMaps(found),
      () => {},
    );
    return () => {
      wanted = false;
    };
  }, [key, op, x.data.join()]);
  const changed = store.edits.value.some(({ place }) => place.startsWith(`${placeOf(where)},`));
  return html`<div class="presets-by-hand" role="group" aria-label="Kernels to begin with">
    <button type="button" class="preset" aria-pressed=${!changed} onClick=${() => set(null)}><b>as it was</b></button>
    ${choices.map((choice, k) => {
      const map = maps[k];
      const picture = () =>
        map && {
          data: map.flat(),
          count: 1,
          rows: map.length,
          columns: map[0].length,
          kind: /** @type {const} */ ("value"),
          range: roundUp(largest(map.flat())),
        };
      return html`<button type="button" class="preset" key=${choice.name}
        aria-pressed=${changed && kernels.alike(rows, choice.rows)} onClick=${() => set(choice.rows)}>
        ${
          map
            ? html`<${Tiles} picture=${picture} across=${1} width=${52} height=${(52 * map.length) / map[0].length}
          framed=${true} name="map" />`
            : html`<i class="hatch" style=${{ width: "3.25rem", height: "3.25rem" }} />`
        }
        <span>${choice.name}</span></button>`;
    })}</div>`;
}

/** @param {Where} where */
export function HandCard(where) {
  const rows = rowsOf(where);
  const [before, setBefore] = useState(/** @type {number[]|null} */ (null));
  const base = store.base.value;
  useEffect(() => {
    let wanted = true;
    session.untouched().then(
      found =>
        wanted && setBefore(found?.get("loss/p") ? Array.from(/** @type {any} */ (found.get("loss/p")).data) : null),
      () => {},
    );
    return () => {
      wanted = false;
    };
  }, [base?.pass]);
  if (!rows) return null;
  const told = store.timeline.value?.phases.find(({ place }) => place === `${where.layer}/y`)?.note;
  const preset = kernels.presets(rows.length, rows[0].length).find(choice => kernels.alike(choice.rows, rows));
  const now = store.tensorOf("loss/p");
  const label = store.label.value;
  const share = (/** @type {ArrayLike<number>|null|undefined} */ p) =>
    p && label !== null ? format.percent(p[label], 0) : "";
  const keep = async () => {
    try {
      await runFromEdits(false);
      store.say("Kept: a run of its own that starts with this kernel.");
    } catch (error) {
      showError(error);
    }
  };
  const any = store.edits.value.length > 0;
  return html`<section class="build-card" aria-label="The kernel">
    <p class="soft">${placeOf(where)}</p>
    <h2>${preset?.name ?? (any ? "your kernel" : "as it was")}</h2>
    <p class="words">${preset?.words ?? "Each cell of the window times its weight, added up."}</p>
    ${told && html`<p class="words soft">${told}</p>`}
    ${
      now &&
      now.data.length <= 12 &&
      html`<p class="soft">${label === null ? "what it says" : `certainty that this is ${store.withArticle(label)}`}</p>
      <div class="both">
        ${
          before &&
          html`<div><p>as it was <b>${share(before)}</b></p><${Bars} values=${before}
          label=${label} /></div>`
        }
        <div><p>${before ? "this kernel" : "as it is"} <b>${share(now.data)}</b></p><${Bars}
          values=${Array.from(now.data)}
          label=${label} /></div></div>`
    }
    <p class="keys soft"><span><kbd><${Line} name="up" /></kbd> <kbd><${Line}
      name="down" /></kbd> by 0.1, with <kbd>Shift</kbd> by 1</span><span><kbd>Tab</kbd> next
      number</span></p>
    <p class="actions">
      <button type="button" class="button" aria-disabled=${!any}
        onClick=${() => any && build.setKernel(placeOf(where), null)}>As it
        was</button>
      <button type="button" class="button" aria-disabled=${!any} onClick=${() => any && void keep()}>Keep it</button>
      <button type="button" class="button" onClick=${() => store.show("explore")}>Explore</button></p>
  </section>`;
}
