/** Why a layer does not fit: its windows over one row of cells, the arithmetic, and ways out. */

import { useEffect, useRef } from "preact/hooks";

import { fraction } from "./row.js";
import * as format from "../../core/format.js";
import * as build from "../../state/build.js";
import { viewport } from "../../state/store.js";
import { html } from "../html.js";
import { Line } from "../icons.js";
import { typeset } from "./tensors.js";

/** @param {Misfit & {name: string}} props */
export function WhyNot({ name, detail, sentence, span, fixes }) {
  const first = useRef(/** @type {HTMLElement|null} */ (null));
  const waits = build.chosen.value !== name && build.described.value.get(build.chosen.value)?.waits_for;
  useEffect(() => {
    const element = first.current?.querySelector(".fix");
    if (element instanceof HTMLElement && document.activeElement === document.body) element.focus();
  }, [name, detail]);
  return html`<div class="why-not" ref=${first}>
    <p class="head"><b><${Line} name="cross" /> Does not fit</b> <span class="sentence">${name}: ${sentence}</span></p>
    ${waits && html`<p class="soft">${build.chosen.value} waits for ${name}.</p>`}
    <div class="reasons">
      ${span && html`<${Ruler} span=${span} />`}
      <div class="ways"><p class="soft">${waysOut(fixes.length)}</p>
        ${fixes.map(
          (fix, k) => html`<button type="button" class="fix" key=${fix.words} onClick=${() => build.take(fix)}
            data-first=${k === 0 ? "" : undefined}><b>${fix.words}</b><span>${resultOf(fix)}</span></button>`,
        )}
        ${
          fixes.length > 0 &&
          html`<p class="soft keys"><kbd>Enter</kbd> takes it, <kbd>Ctrl</kbd> <kbd>Z</kbd> undoes it</p>`
        }</div>
    </div>
  </div>`;
}

const NUMBERS = ["no", "one", "two", "three", "four"];
const waysOut = (/** @type {number} */ count) =>
  count ? `${NUMBERS[count] ?? count} ${count === 1 ? "way" : "ways"} to make it fit` : "change its settings";

/** The arithmetic that a change leads to, its result last. @param {Misfit["fixes"][0]} fix */
function resultOf({ arithmetic, shape }) {
  if (!arithmetic) return shape.length ? html`gives <b>${format.shape(shape)}</b>` : "";
  const [left, right] = typeset(arithmetic).split(" = ");
  return html`${left} = <b>${right}</b>`;
}

/** One row of cells, and the windows that are laid over it. @param {{span: WindowSpan}} props */
function Ruler({ span }) {
  const { size, before, after, kernel, dilation, stride } = span;
  const extent = dilation * (kernel - 1) + 1;
  const cells = before + size + after;
  const places = Math.max(1, Math.ceil((cells - extent) / stride) + 1);
  const needed = (places - 1) * stride + extent;
  const width = Math.max(cells, needed);
  const room = Math.min(306, viewport.value.width - 72);
  const cell = Math.min(34, room / width);
  const wide = cell >= 16;
  const left = (/** @type {number} */ at) => `${(at * cell) / 16}rem`;
  const padding = before === after ? (before ? ` + 2·${before}` : "") : ` + ${before} + ${after}`;
  return html`<div class="ruler" role="img"
    aria-label=${`${cells} cells, windows of ${extent} that move by ${stride}, the last ${needed - cells} short`}>
    <p class="soft">one row of it</p>
    <div class="cells" style=${{ width: left(width) }}>${Array.from({ length: width }, (_, k) => {
      const state = k >= cells ? "missing" : k < before || k >= before + size ? "pad" : "";
      const text = state === "missing" ? "?" : state === "pad" ? "0" : k - before + 1;
      return html`<i key=${k} class=${state} style=${{ width: left(1) }}>${wide ? text : ""}</i>`;
    })}</div>
    <div class="windows">${Array.from({ length: Math.min(places, 24) }, (_, k) => {
      const short = Math.max(0, k * stride + extent - cells);
      return html`<span key=${k} class=${short ? "short" : ""} style=${{
        left: left(k * stride),
        width: `calc(${left(extent)} - 0.25rem)`,
        top: stride < extent ? `${(k % 3) * 0.5}rem` : 0,
      }}>${wide && stride >= extent ? (short ? `${short} short` : "fits") : ""}</span>`;
    })}</div>
    <p class="fraction"><span class="over"><span>${size} − ${extent}${padding}</span>
      <span>${stride}</span></span> + 1 =
      <b>${fraction(span)}</b><small class="soft">size − window + padding, over the stride, plus 1</small></p>
    <p class="detail">PyTorch would round down, and never read the last cells. Here you decide.</p>
  </div>`;
}
