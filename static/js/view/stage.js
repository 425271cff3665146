/** The stage: the whole network as columns, values above, gradients of the same tensors beneath. */

import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { effect, signal } from "@preact/signals";

import { html } from "./html.js";
import { Atlas } from "./atlas.js";
import { Lens, lensed } from "./lens.js";
import { Track } from "./track.js";
import { gradient } from "../colour.js";
import * as format from "../format.js";
import { GRADIENTS, ROWS, TRACK, VALUES, cellBox, clear, hit, layout, neighbour, pair, roomFor } from "../layout.js";
import { at, parse, ravel, spoken, unravel } from "../place.js";
import { rings, tilesBox } from "../rings.js";
import * as store from "../store.js";

/** @typedef {import("../layout.js").Block} Block */
/** @typedef {import("../layout.js").Tile} Tile */
/** @typedef {import("../layout.js").Column} Column */
/** The tile the keyboard is at, and whether it walks the tile's cells. @typedef {{block: Block, tile: Tile, flat: number, inside: boolean}} Cursor */

const rem = (/** @type {number} */ pixels) => `${pixels / 16}rem`;
const place = (/** @type {import("../layout.js").Box} */ { x, y, width, height }) =>
  ({ left: rem(x), top: rem(y), width: rem(width), height: rem(height) });

const margins = { wide: 24, medium: 24, narrow: 16 };
const card = 312;

/** @type {import("@preact/signals").Signal<Cursor|null>} */
const cursor = signal(null);

/** The place of a cell in the stored tensor. @param {string} prefix @param {number} flat */
export function placeAt(prefix, flat) {
  const shape = store.score.value?.tensors[prefix]?.shape ?? [];
  return at(prefix, unravel(flat, shape));
}

/** One range for all that one legend covers. @param {Block} block */
const rangeOf = (block) => Math.max(...block.shares.map((prefix) => store.rangeOf(prefix)));

/** @param {Block} block @returns {import("./atlas.js").Content} */
function contentOf(block) {
  const tensor = store.tensorOf(block.prefix);
  const next = block.next && !store.live.value ? store.tensorOf(block.next) : undefined;
  const replaced = block.next && next ? store.known(block.next) : 0;
  return {
    data: tensor?.data ?? null, known: tensor ? store.known(block.prefix) : 0,
    range: tensor ? rangeOf(block) : 1, next: replaced ? next?.data ?? null : null, replaced,
  };
}

/** @param {Block} block */
const cellsShown = (block) => (store.tensorOf(block.prefix) ? store.known(block.prefix) : 0);

/** What a block is called: "output of conv1, 8 maps of 26 × 26, not computed yet". @param {Block} block */
function describe(block) {
  const info = store.score.value?.tensors[block.prefix];
  const shown = cellsShown(block);
  const state = shown === 0 ? "not computed yet" : shown < block.size ? `${shown} of ${block.size} computed` : "";
  return [block.prefix.replace("/", " "), info?.title ?? "", (info?.shape ?? []).join(" × "), state].filter(Boolean).join(", ");
}

/** Tells who listens where the keyboard is. @param {Cursor} where */
function announce({ block, tile, flat, inside }) {
  const info = store.score.value?.tensors[block.prefix];
  if (!info) return;
  const value = flat < cellsShown(block) ? format.number(store.tensorOf(block.prefix)?.data[flat] ?? NaN) : "not computed yet";
  const name = block.prefix.replace("/", " ");
  store.say(inside || tile.rows * tile.cols === 1
    ? `${name}, ${spoken(unravel(flat, info.shape), info.shape, store.axesOf(block.prefix))}: ${value}` : `${name}, ${tile.name || "all of it"}`);
}

/** Opens a cell's card; a cell that is not computed yet is where the pass goes first. @param {Block} block @param {number} flat */
function choose(block, flat) {
  const text = placeAt(block.prefix, flat);
  if (flat >= cellsShown(block)) {
    if (!store.walkable.value) return;
    store.pause();
    store.goToPlace(text);
  }
  store.open(text);
}

export function Stage() {
  const score = store.score.value;
  const shape = store.shape.value;
  const { width } = store.room.value;
  const pages = store.pages.value;
  const margin = margins[shape];
  const phase = store.position.value?.phase ?? 0;
  const stage = useMemo(() => {
    if (!score) return null;
    if (shape === "narrow") return pair(score, Math.min(phase, score.phases.length - 1), width - 2 * margin, margin, pages);
    const room = width - 2 * margin - (shape === "wide" ? card : 0);
    return layout(score, room, margin, pages, shape === "wide" || roomFor(score, pages) <= room ? 1 : 2);
  }, [score, shape, width, pages, shape === "narrow" ? phase : -1]);
  return html`
    <section class="stage" aria-label="The network">
      ${stage && score ? html`<${Drawn} stage=${stage} margin=${margin} narrow=${shape === "narrow"} />` : html`<p class="stage-wait soft">${store.problem.value ? "" : "Connecting …"}</p>`}
    </section>`;
}

/** @param {{stage: import("../layout.js").Layout, margin: number, narrow: boolean}} props */
function Drawn({ stage, margin, narrow }) {
  return html`
    <div class="stage-box" style=${{ width: rem(stage.width), height: rem(stage.height) }}>
      <${Canvas} stage=${stage} />
      ${narrow ? "" : html`<${Track} stage=${stage} margin=${margin} />`}
      <${AllWords} stage=${stage} narrow=${narrow} />
      ${narrow ? "" : html`<${NotYet} stage=${stage} margin=${margin} />`}
      <${Rings} stage=${stage} />
      <${Slots} stage=${stage} />
      <${Lens} stage=${stage} placeAt=${placeAt} choose=${choose} />
    </div>`;
}

/** @param {{stage: import("../layout.js").Layout}} props */
function Canvas({ stage }) {
  const canvas = useRef(/** @type {HTMLCanvasElement|null} */ (null));
  useLayoutEffect(() => {
    const atlas = new Atlas(/** @type {HTMLCanvasElement} */ (canvas.current));
    let fitted = "";
    let frame = 0;
    const draw = () => {
      frame = 0;
      const scale = store.room.peek().scale * devicePixelRatio;
      const how = `${scale} ${store.scheme.peek()} ${store.size.peek()}`;
      if (how !== fitted) {
        atlas.fit(stage, scale, store.scheme.peek());
        fitted = how;
      }
      atlas.draw(contentOf);
    };
    const stop = effect(() => {
      for (const signal of [store.tensors, store.reached, store.scheme, store.room, store.size, store.live]) void signal.value;
      frame ||= requestAnimationFrame(draw);
    });
    draw();
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [stage]);
  return html`<canvas ref=${canvas} class="atlas" aria-hidden="true" style=${{ width: rem(stage.width), height: rem(stage.height) }}></canvas>`;
}

/** About the width of a text in the interface's font. @param {string} text */
const wide = (text) => 8.2 * text.length;

/** What stands beneath a block: its range, or the pages of what is too much for one. @param {Block} block */
const legendText = (block) => (block.pages && block.row === "values" ? "‹ 0–15 ›" : format.range(rangeOf(block)));

/** Which captions and legends have room; the others are told by their tooltips. @param {import("../layout.js").Layout} stage */
function roomy(stage) {
  const clearOf = (/** @type {{key: any, middle: number, text: string, system: number, first?: boolean}[]} */ all) => {
    const seen = new Set();
    for (const system of stage.systems.keys()) {
      const texts = all.filter((each) => each.system === system).sort((a, b) => Number(b.first ?? 0) - Number(a.first ?? 0));
      clear(texts.map(({ middle, text }) => ({ middle, width: wide(text) }))).forEach((free, k) => free && seen.add(texts[k].key));
    }
    return seen;
  };
  const middle = (/** @type {import("../layout.js").Box} */ { x, width }) => x + width / 2;
  const captions = clearOf(stage.columns.map((column) => ({ key: column, middle: middle(column), text: column.caption, system: column.system })));
  const legends = new Set(["values", "gradients"].flatMap((row) => [...clearOf(stage.columns.flatMap((column) => column.blocks
    .filter((each) => each.look === "tiles" && each.row === row)
    .map((each) => ({ key: each, middle: middle(each), text: legendText(each), system: column.system, first: Boolean(each.pages) }))))]));
  return { captions, legends };
}

/** @param {{stage: import("../layout.js").Layout, narrow: boolean}} props */
function AllWords({ stage, narrow }) {
  const { captions, legends } = roomy(stage);
  return stage.columns.map((column) => html`<${Words} key=${`${column.layer} ${column.name} ${column.kind} ${column.x}`}
    column=${column} narrow=${narrow} captioned=${captions.has(column)} legends=${legends} />`);
}

/** The words of a column: its name, legends, shape, pages. @param {{column: Column, narrow: boolean, captioned: boolean, legends: Set<Block>}} props */
function Words({ column, narrow, captioned, legends }) {
  const { x, y, width, symbol, kind, caption, blocks } = column;
  const main = blocks.filter(({ look }) => look === "tiles");
  return html`
    <${Name} column=${column} narrow=${narrow} />
    ${captioned && !narrow && html`<span class="shape" style=${{ left: rem(x + width / 2), top: rem(y + TRACK) }}>${caption}</span>`}
    ${main.map((block) => html`<${Legend} block=${block} column=${column} worded=${legends.has(block)}
      top=${narrow ? 24 + 113 + y : y + (block.row === "values" ? VALUES : GRADIENTS) + ROWS.values} />`)}
    ${kind === "bars" && html`<${Digits} column=${column} />`}
    ${kind === "loss" && html`<${Loss} column=${column} symbol=${symbol} />`}`;
}

/** A tensor's name as the equations write it. @param {string} tensor */
const written = (tensor) => (tensor === "dy" ? "δ" : /^d./.test(tensor) ? `∂L/∂${tensor.slice(1)}` : tensor);

/** @param {{column: Column, narrow: boolean}} props */
function Name({ column, narrow }) {
  const { x, y, width, name, symbol, kind, layer } = column;
  const score = store.score.value;
  if (kind === "loss" && !narrow) return null;
  const writes = score?.phases.findIndex((phase) => !phase.view && (kind === "weights"
    ? phase.place === `${layer}/d${name}` : blocksWrite(column, phase.place))) ?? -1;
  const tint = { weight: "wt", gradient: "grad" }[column.blocks[0].kind] ?? "act";
  const inside = kind === "weights" && !narrow ? html`<span class="symbol wt">${symbol}</span>`
    : html`${symbol ? html`<span class=${`symbol ${tint}`}>${narrow ? written(symbol) : symbol}</span>${" "}` : ""}${name}`;
  const style = { left: rem(kind === "bars" ? x - 4 : x + width / 2), top: rem(y + (narrow ? 0 : ROWS.top)) };
  const title = kind === "weights" ? `weights of ${layer}` : score?.layers.find((each) => each.name === layer)?.title ?? "";
  return html`<span class=${`name of-${kind}`} style=${style} title=${title}>
    ${writes >= 0 && !narrow ? html`<button type="button" tabindex="-1" aria-label=${kind === "weights" ? `${name}, weights of ${layer}: go to their gradient`
      : `${symbol ? `${symbol} ` : ""}${name}: go to this phase`} onClick=${() => store.goTo({ phase: writes, cell: 0 })}>${inside}</button>` : inside}
  </span>`;
}

/** @param {Column} column @param {string} prefix */
const blocksWrite = (column, prefix) => column.blocks.some((block) => block.row === "values" && block.look !== "strip" && block.prefix === prefix);

/** Range and pages under what they cover. @param {{block: Block, column: Column, top: number, worded: boolean}} props */
function Legend({ block, column, top, worded }) {
  const shown = cellsShown(block) > 0;
  const { kind } = block;
  const paged = block.row === "values" ? block.pages : null;
  if (!shown && !paged) return null;
  const range = format.range(rangeOf(block));
  const style = { left: rem(block.x + block.width / 2), top: rem(top), width: rem(block.width) };
  return html`<div class="legend" style=${style} title=${shown ? `${block.prefix.replace("/", " ")}: ${range}` : undefined}>
    ${shown && html`<i style=${{ background: gradient(/** @type {any} */ (kind), store.scheme.value) }}></i>`}
    ${paged ? html`<${Pages} pages=${paged} owner=${kind === "weight" ? block.prefix : `${column.layer}/y`} roomy=${block.width >= 96} />`
    : shown && worded && html`<span>${range}</span>`}
  </div>`;
}

/** @param {{pages: {first: number, step: number, of: number}, owner: string, roomy: boolean}} props */
function Pages({ pages: { first, step, of }, owner, roomy }) {
  const last = Math.min(of, first + step) - 1;
  const turn = (/** @type {string} */ words, /** @type {string} */ arrow, /** @type {number} */ to, /** @type {boolean} */ off) =>
    html`<button type="button" aria-label=${`${words} of ${owner.replace("/", " ")}`} disabled=${off} onClick=${() => store.turnPage(owner, to)}>${arrow}</button>`;
  return html`<span class="pages" title=${`${first}–${last} of ${of}`}>
    ${turn("Earlier maps", "‹", first - step, first === 0)}<span>${first}–${last}${roomy ? ` of ${of}` : ""}</span>${turn("Later maps", "›", first + step, last === of - 1)}</span>`;
}

/** The numbers of the classes beside their bars, and what stands beneath. @param {{column: Column}} props */
function Digits({ column }) {
  const bars = column.blocks.filter(({ look }) => look === "bars");
  const label = store.label.value;
  const { x, y } = column;
  const first = bars[0].tiles[0];
  return html`
    ${bars.map((block) => block.tiles.map((tile) => html`
      <span class=${`digit ${tile.start === label ? "label" : ""}`} style=${{ left: rem(x), top: rem(tile.y + tile.height / 2) }}>${tile.start}</span>`))}
    <span class="shape grad symbol" style=${{ left: rem(first.x), top: rem(y + TRACK) }}>${column.symbol}${" − "}t</span>`;
}

/** @param {{column: Column}} props */
function Loss({ column }) {
  const [block] = column.blocks;
  const tensor = store.tensorOf(block.prefix);
  const shown = tensor && store.known(block.prefix) > 0;
  const { x, y, width, height } = block.tiles[0];
  return html`
    <span class="loss-name soft" style=${{ left: rem(x), width: rem(width), top: rem(y - 20) }}>${column.name}</span>
    ${shown ? html`<button type="button" class="loss" data-place=${block.prefix} style=${{ left: rem(x + width), top: rem(y + height / 2) }}
        tabindex="-1" aria-label=${`${block.prefix.replace("/", " ")}, ${format.number(tensor.data[0])}`}
        onClick=${() => store.open(block.prefix)}>${format.number(tensor.data[0])}</button>`
    : html`<span class="hatch loss-not" style=${place(block.tiles[0])}></span>`}`;
}

/** The key of the hatch, while anything is hatched. @param {{stage: import("../layout.js").Layout, margin: number}} props */
function NotYet({ stage, margin }) {
  if (stage.blocks.every((block) => cellsShown(block) >= block.size)) return null;
  const input = stage.columns[0].blocks.find(({ row }) => row === "gradients");
  const y = input ? input.y + input.height + 8 : GRADIENTS + 92;
  return html`<span class="not-yet soft" title="Nothing is computed here yet; a hatch is never a zero" style=${{ left: rem(margin), top: rem(y) }}><i class="hatch"></i>not yet</span>`;
}

/** @param {{stage: import("../layout.js").Layout}} props */
function Rings({ stage }) {
  const score = store.score.value;
  const position = store.position.value;
  const at_ = position && score && !store.live.value ? rings(stage, score, position, store.focusChannel.value) : { result: null, reads: [] };
  const hover = store.hover.value;
  const pointed = hover && "place" in hover && score ? boxOfPlace(stage, score, hover.place) : null;
  const pinned = store.pinned.value && score ? boxOfPlace(stage, score, store.pinned.value) : null;
  const focus = cursor.value;
  const focused = focus && stage.blocks.includes(focus.block) ? focus.tile : null;
  return html`<svg class="rings" viewBox=${`0 0 ${stage.width} ${stage.height}`} aria-hidden="true">
    ${at_.reads.map((box) => html`<${Ring} box=${box} />`)}
    ${at_.result && html`<${Ring} box=${at_.result} marked />`}
    ${pointed && html`<g class="pointed"><${Ring} box=${pointed} /></g>`}
    ${pinned && html`<g class="pin"><${Ring} box=${pinned} /><circle cx=${pinned.x + pinned.width} cy=${pinned.y} r="4" /></g>`}
    ${focused && html`<g class="focused"><${Ring} box=${focused} marked out=${3} />
      ${focus?.inside && html`<${Ring} box=${cellBox(focused, focus.flat)} />`}</g>`}
  </svg>`;
}

/** @param {{box: import("../layout.js").Box, marked?: boolean, out?: number}} props */
function Ring({ box, marked = false, out = 1 }) {
  const rect = (/** @type {number} */ by, /** @type {string} */ name) => html`<rect class=${name}
    x=${box.x - by} y=${box.y - by} width=${box.width + 2 * by} height=${box.height + 2 * by} />`;
  return html`${marked && rect(out + 2, "mark")}${rect(out, "ink")}`;
}

/** @param {import("../layout.js").Layout} stage @param {import("../score.js").Score} score @param {string} text */
function boxOfPlace(stage, score, text) {
  const { layer, tensor, index } = parse(text);
  const shape = store.infoOf(`${layer}/${tensor}`)?.shape;
  if (!shape || index.length !== shape.length) return null;
  return tilesBox(stage, score, `${layer}/${tensor}`, [ravel(index, shape)]);
}

/** One target for the pointer and the keyboard over each row of a column. @param {{stage: import("../layout.js").Layout}} props */
function Slots({ stage }) {
  const slots = useMemo(() => stage.columns.flatMap((column) => ["values", "gradients"].map((row) =>
    column.blocks.filter((block) => block.row === row && block.look !== "number")).filter((blocks) => blocks.length)), [stage]);
  const now = cursor.value;
  const current = now ? slots.findIndex((blocks) => blocks.includes(now.block)) : -1;
  const elements = useRef(/** @type {(HTMLElement|null)[]} */ ([]));
  useLayoutEffect(() => {
    if (now && current >= 0 && elements.current.some((element) => element === document.activeElement)) elements.current[current]?.focus();
  }, [current]);

  /** @param {Cursor} to */
  const move = (to) => {
    cursor.value = to;
    lensed.value = { ...to, by: "keyboard" };
    store.setHover(to.inside ? { place: placeAt(to.block.prefix, to.flat) } : null);
    announce(to);
  };
  const clicked = useRef(/** @type {Cursor|null} */ (null));
  /** @param {KeyboardEvent} event @param {Block} main */
  const key = (event, main) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const from = cursor.peek() ?? clicked.current ?? { block: main, tile: main.tiles[0], flat: main.tiles[0].start, inside: false };
    const to = from.inside ? walkCells(from, event.key) : walkTiles(stage, from, event.key);
    if (to === undefined) return;
    event.preventDefault();
    if (to) move(to);
  };
  /** @param {PointerEvent} event */
  const under = (event) => {
    const box = /** @type {HTMLElement} */ (event.currentTarget).closest(".stage-box")?.getBoundingClientRect();
    if (!box) return null;
    const unit = store.room.peek().scale;
    return hit(stage, (event.clientX - box.left) / unit, (event.clientY - box.top) / unit, 4);
  };
  return slots.map((blocks, k) => {
    const boxes = blocks.flatMap(({ tiles }) => tiles);
    const box = { x: Math.min(...boxes.map(({ x }) => x)), y: Math.min(...boxes.map(({ y }) => y)), width: 0, height: 0 };
    box.width = Math.max(24, Math.max(...boxes.map(({ x, width }) => x + width)) - box.x);
    box.height = Math.max(24, Math.max(...boxes.map(({ y, height }) => y + height)) - box.y);
    const main = blocks.find(({ look }) => look !== "strip") ?? blocks[0];
    return html`<button type="button" key=${`${main.prefix} ${main.row}`} class="slot" style=${place(box)}
      ref=${(/** @type {HTMLElement|null} */ element) => { elements.current[k] = element; }}
      tabindex=${k === Math.max(0, current) ? 0 : -1} aria-label=${describe(main)} data-tensor=${main.prefix}
      title=${cellsShown(main) === 0 ? "not computed yet" : undefined}
      onFocus=${(/** @type {FocusEvent} */ event) => {
        if (!(/** @type {HTMLElement} */ (event.currentTarget)).matches(":focus-visible")) return;
        const here = cursor.peek();
        if (!here || !blocks.includes(here.block)) move({ block: main, tile: main.tiles[0], flat: main.tiles[0].start, inside: false });
        else lensed.value = { ...here, by: "keyboard" };
      }}
      onBlur=${(/** @type {FocusEvent} */ event) => {
        clicked.current = null;
        if (elements.current.includes(/** @type {any} */ (event.relatedTarget))) return;
        cursor.value = null;
        lensed.value = null;
        store.setHover(null);
      }}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => key(event, main)}
      onPointerMove=${(/** @type {PointerEvent} */ event) => {
        if (event.pointerType === "touch") return;
        const found = under(event);
        lensed.value = found && { ...found, inside: true, by: "pointer" };
        store.setHover(found && { place: placeAt(found.block.prefix, found.flat) });
      }}
      onPointerLeave=${() => {
        if (lensed.peek()?.by === "pointer") lensed.value = { ...(/** @type {any} */ (lensed.peek())), leaving: true };
        store.setHover(null);
      }}
      onClick=${(/** @type {PointerEvent} */ event) => {
        if (event.detail === 0) return;
        const found = under(event);
        if (!found) return;
        clicked.current = { ...found, inside: true };
        choose(found.block, found.flat);
      }}></button>`;
  });
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** From tile to tile. @param {import("../layout.js").Layout} stage @param {Cursor} from @param {string} key @returns {Cursor|null|undefined} undefined: not ours */
function walkTiles(stage, from, key) {
  const arrow = ARROWS[/** @type {keyof typeof ARROWS} */ (key)];
  const enter = (/** @type {{block: Block, tile: Tile}|null} */ to) => to && { ...to, flat: to.tile.start, inside: false };
  if (arrow) return enter(neighbour(stage, from, arrow[0], arrow[1]));
  const { block, tile } = from;
  const at_ = block.tiles.indexOf(tile);
  if (key === "Home") return enter({ block, tile: block.tiles[0] });
  if (key === "End") return enter({ block, tile: block.tiles[block.tiles.length - 1] });
  if (key === "PageUp" || key === "PageDown") {
    return enter({ block, tile: block.tiles[Math.min(block.tiles.length - 1, Math.max(0, at_ + (key === "PageUp" ? -1 : 1)))] });
  }
  if (key === "Enter" || key === " ") {
    if (tile.rows * tile.cols > 1) return { ...from, inside: true };
    choose(block, tile.start);
    return null;
  }
  return undefined;
}

/** From cell to cell within a tile. @param {Cursor} from @param {string} key @returns {Cursor|null|undefined} */
function walkCells(from, key) {
  const { block, tile, flat } = from;
  const { rows, cols, start } = tile;
  const row = Math.floor((flat - start) / cols);
  const col = (flat - start) % cols;
  const to = (/** @type {number} */ r, /** @type {number} */ c) => ({ ...from,
    flat: start + Math.min(rows - 1, Math.max(0, r)) * cols + Math.min(cols - 1, Math.max(0, c)) });
  const arrow = ARROWS[/** @type {keyof typeof ARROWS} */ (key)];
  if (arrow) return to(row + arrow[1], col + arrow[0]);
  if (key === "Home") return to(row, 0);
  if (key === "End") return to(row, cols - 1);
  if (key === "PageUp" || key === "PageDown") {
    const next = block.tiles[block.tiles.indexOf(tile) + (key === "PageUp" ? -1 : 1)];
    return next ? { ...from, tile: next, flat: next.start + flat - start } : null;
  }
  if (key === "Enter" || key === " ") {
    choose(block, flat);
    return null;
  }
  if (key === "Escape") return { ...from, inside: false };
  return undefined;
}

