/** The row: a column for each layer, a plus in each gap, lanes for what skips, and beneath the figures of each. */

import { useEffect, useRef, useState } from "preact/hooks";

import * as format from "../../core/format.js";
import * as edit from "../../core/network_document.js";
import * as build from "../../state/build.js";
import { html } from "../html.js";
import { Line } from "../icons.js";
import { shownBlocks, shownColumns } from "./folding.js";
import { Bars } from "../bars.js";
import { Legend, Maps, tensorOf } from "./tensors.js";

/** Pixels that a pointer moves before it drags. */
const DRAG = 6;
const LANE = 26;

/** @typedef {{name: string, dx: number, gap: number|null}} Drag */

export function Row() {
  const row = useRef(/** @type {HTMLElement|null} */ (null));
  const [drag, setDrag] = useState(/** @type {Drag|null} */ (null));
  const document = /** @type {NetworkDocument} */ (build.network.value);
  const columns = shownColumns();
  const names = columns.map(({ name }) => name);
  const chosen = build.chosen.value;
  const lanes = skipLanes(document, columns);
  const deep = Math.max(0, ...lanes.map(({ lane }) => lane + 1));
  const tasked = build.task.value.kind;
  useEffect(() => {
    const button = row.current?.querySelector(`[data-name="${CSS.escape(chosen)}"]`);
    button?.scrollIntoView({ block: "nearest", inline: "nearest" });
    const active = globalThis.document.activeElement;
    const lost = !active || active === globalThis.document.body || row.current?.contains(active);
    if (lost && button instanceof HTMLElement) button.focus({ preventScroll: true });
  }, [chosen, document, tasked]);
  return html`<section class="row-view" aria-label="The network">
    <div class="labels soft" aria-hidden="true" style=${{ "--lanes": deep }}>
      ${["output", "kernel", "parameters", "sees"].map(label => html`<span key=${label}>${label}</span>`)}</div>
    <div class="scroll" ref=${row} onKeyDown=${(/** @type {KeyboardEvent} */ event) => onKey(event, names)}>
      <ol class="columns" style=${{ "--count": columns.length, "--lanes": deep }}>
        ${columns.map(
          (column, k) => html`<${Column} key=${column.name} ...${column} last=${k === columns.length - 1}
            drag=${drag} setDrag=${setDrag} names=${names} />`,
        )}
        ${
          drag?.gap !== undefined && drag?.gap !== null
            ? html`<i class="drop" style=${{ left: `${(100 * (drag.gap + 1)) / columns.length}%` }} />`
            : null
        }
        ${lanes.map(({ from, to, start, end, lane }) => {
          const side = (/** @type {number} */ at) => `${(100 * (at + 0.5)) / columns.length}%`;
          return html`<div class="lane" key=${`${from} ${to} ${lane}`} style=${{
            left: side(start),
            width: `calc(${side(end)} - ${side(start)})`,
            height: `${(LANE * (lane + 1)) / 16}rem`,
          }}><span>skip</span><button type="button" class="plus" tabindex="-1"
            aria-label=${`Add a layer on the way from ${from} to ${to}`}
            onClick=${() => build.askToAdd(from, to)}><${Line} name="plus" /></button></div>`;
        })}
      </ol>
    </div>
  </section>`;
}

/**
 * Skips between different columns, as they are shown.
 * @param {NetworkDocument} document @param {ReturnType<typeof shownColumns>} columns
 */
function skipLanes(document, columns) {
  const at = new Map(columns.flatMap(({ name, layers }, k) => [name, ...layers].map(each => [each, k])));
  return edit
    .skips(document)
    .map(skip => ({ ...skip, start: at.get(skip.from) ?? 0, end: at.get(skip.to) ?? 0 }))
    .filter(({ start, end }) => end - start > 1);
}

/** @param {KeyboardEvent} event @param {string[]} names */
function onKey(event, names) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (!target.dataset.name || event.ctrlKey || event.metaKey) return;
  const name = build.chosen.peek();
  const task = build.task.peek();
  const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
  if (by && event.altKey) build.move(name, by);
  else if (event.altKey) return;
  else if (by) build.chooseNext(by, names);
  else if (event.key === "Home" || event.key === "End")
    build.choose(names[event.key === "Home" ? 0 : names.length - 1]);
  else if (event.key === "Insert" || event.key === "+") build.askToAdd(name);
  else if (event.key === "Delete" || event.key === "Backspace") build.remove(name);
  else if (event.key === "b") build.startBranch(name);
  else if (event.key === "Enter" && task.kind === "branch") build.endBranch(name);
  else if (event.key === "Escape" && task.kind !== "layer") build.task.value = { kind: "layer" };
  else if (event.key === "Enter") {
    const first =
      document.querySelector(".build .fix") ?? document.querySelector(".build-card .settings :is(select, input)");
    if (first instanceof HTMLElement) first.focus();
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

/**
 * @param {ReturnType<typeof shownColumns>[0] & {last: boolean, drag: Drag|null, setDrag: (to: Drag|null) => void,
 *   names: string[]}} props
 */
function Column({ name, layers, folded, last, drag, setDrag, names }) {
  const chosen = build.chosen.value === name;
  const known = build.described.value.get(name);
  const state = name === "input" || name === "loss" ? "fits" : (known?.state ?? "waits");
  const wrong = build.misfit.value;
  const misfit = state === "misfit" || (name === "loss" && wrong?.name === "loss");
  const waiting = known?.state === "waits" && known.waits_for;
  const firstWaiting = waiting && names.find(each => build.described.value.get(each)?.state === "waits") === name;
  const dragged = drag?.name === name;
  const start = (/** @type {PointerEvent} */ event) => {
    if (event.button || name === "input" || name === "loss" || folded) return;
    const button = /** @type {HTMLElement} */ (event.currentTarget);
    if (event.pointerType === "touch" && !chosen) return;
    const row = /** @type {HTMLElement} */ (button.closest(".columns"));
    const from = event.clientX;
    const boxes = [...row.querySelectorAll(":scope > li")].map(each => each.getBoundingClientRect());
    let gap = /** @type {number|null} */ (null);
    let moving = false;
    button.setPointerCapture(event.pointerId);
    const move = (/** @type {PointerEvent} */ now) => {
      const dx = now.clientX - from;
      if (!moving && Math.abs(dx) < DRAG) return;
      moving = true;
      const over = boxes.findIndex(({ right }) => now.clientX < right);
      const half = over < 0 ? null : boxes[over].left + boxes[over].width / 2;
      const at = over < 0 ? names.length - 2 : now.clientX < (half ?? 0) ? over - 1 : over;
      gap = Math.min(names.length - 2, Math.max(0, at));
      setDrag({ name, dx, gap });
    };
    const end = (/** @type {Event} */ now) => {
      button.removeEventListener("pointermove", move);
      button.removeEventListener("pointerup", end);
      button.removeEventListener("pointercancel", end);
      setDrag(null);
      if (moving && gap !== null && now.type === "pointerup") build.moveAfter(name, names[gap]);
    };
    button.addEventListener("pointermove", move);
    button.addEventListener("pointerup", end);
    button.addEventListener("pointercancel", end);
  };
  const figures = known?.figures;
  const facts = factsOf(name, layers);
  const label = [
    folded ? `${name}, ${layers.length} layers folded` : name,
    misfit ? "does not fit" : waiting ? `waits for ${waiting}` : facts.output === "–" ? "" : `output ${facts.output}`,
  ]
    .filter(Boolean)
    .join(", ");
  return html`<li class="column ${chosen ? "chosen" : ""} ${misfit ? "misfit" : ""} ${waiting ? "waits" : ""} ${
    dragged ? "dragged" : ""
  }" style=${dragged ? { transform: `translateX(${drag.dx}px)` } : {}}>
    <button type="button" class="name" data-name=${name} aria-current=${chosen ? "true" : undefined}
      aria-label=${label} tabindex=${chosen ? 0 : -1} title=${name} onPointerDown=${start}
      onClick=${() => build.choose(name)}>${chosen && html`<span class="grip"><${Line} name="grip" /></span>`}${
        folded ? html`${layers.length} layers` : name
      }</button>
    <div class="tall" onClick=${() => build.choose(name)}>${
      name === "loss" && tensorOf("loss/p")
        ? html`<${Outputs} name="loss/p" />`
        : figures || name === "input"
          ? html`<${Values} name=${name} />`
          : html`<${Maps} name="" across=${2} most=${8} side=${26} />`
    }</div>
    <span class="under">${
      firstWaiting
        ? html`<span class="soft wait">waits for ${waiting}</span>`
        : html`<${Legend} name=${`${name}/y`} width=${54} />`
    }</span>
    <span class="line" aria-hidden="true"></span>
    ${
      !last &&
      html`<button type="button" class="plus" tabindex="-1" aria-label=${`Add a layer behind ${name}`}
        onClick=${() => build.askToAdd(name)}><${Line} name="plus" /></button>`
    }
    <span class="facts">${["output", "kernel", "parameters", "sees"].map(
      fact => html`<span key=${fact} title=${fact}>${/** @type {any} */ (facts)[fact]}</span>`,
    )}</span>
    ${
      shownBlocks().some(block => block.name === name) &&
      html`<button type="button" class="fold" tabindex=${chosen ? 0 : -1}
        aria-label=${folded ? `Unfold ${layers.length} layers` : "Fold this block"}
        onClick=${() => (build.folds.value = { ...build.folds.peek(), [name]: !folded })}>
        ${folded ? "‹ ›" : "› ‹"}</button>`
    }
  </li>`;
}

/** The output of a layer: maps, or bars where it is a few numbers. @param {{name: string}} props */
export function Values({ name }) {
  const tensor = tensorOf(`${name}/y`);
  if (tensor && tensor.shape.length === 2 && tensor.shape[1] <= 12) return html`<${Outputs} name=${`${name}/y`} />`;
  const wide = tensor?.shape.length === 4 && tensor.shape[1] > 1;
  return html`<${Maps} name=${`${name}/y`} across=${wide ? 2 : 1} most=${8} side=${wide ? 26 : 56} />`;
}

/** @param {{name: string}} props */
export function Outputs({ name }) {
  const tensor = tensorOf(name);
  return tensor && tensor.data.length <= 12
    ? html`<${Bars} values=${Array.from(tensor.data)} />`
    : html`<${Maps} name=${name} across=${1} most=${1} side=${56} />`;
}

/** What stands beneath a column. @param {string} name @param {string[]} layers that it folds */
export function factsOf(name, layers) {
  const none = "–";
  const document = /** @type {NetworkDocument} */ (build.network.value);
  if (name === "input") return { output: format.shape(document.input), kernel: none, parameters: none, sees: "1" };
  if (name === "loss") return { output: none, kernel: none, parameters: none, sees: none };
  const known = build.described.value.get(name);
  const figures = known?.figures;
  if (!known || !figures) {
    const misfit = known?.misfit;
    const places = misfit?.span ? fraction(misfit.span) : "?";
    return { output: places, kernel: known?.kernel || none, parameters: "?", sees: "?" };
  }
  const all = layers.length ? layers.map(each => build.described.value.get(each)?.figures?.parameters ?? 0) : null;
  const count = all ? all.reduce((a, b) => a + b, 0) : figures.parameters;
  const { size } = figures.receptive_field;
  return {
    output: format.shape(figures.shape),
    kernel: all ? none : known.kernel || none,
    parameters: count ? format.count(count) : none,
    sees: size[0] === size[1] ? `${size[0]}×${size[1]}` : size.join("×"),
  };
}

/** How many places a window has that hangs over. @param {WindowSpan} span */
export function fraction({ size, before, after, kernel, dilation, stride }) {
  const places = (size + before + after - dilation * (kernel - 1) - 1) / stride + 1;
  return places
    .toFixed(2)
    .replace(/\.?0+$/, "")
    .replace("-", "−");
}
