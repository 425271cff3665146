/** The stage: the whole network as columns, values above, gradients of the same tensors beneath. */

import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { effect, signal } from "@preact/signals";

import { html } from "../html.js";
import { Atlas } from "./atlas.js";
import { Captions, NotYet, cellsShown, place, rangeOf, rem } from "./captions.js";
import { Loupe, loupeTarget } from "./loupe.js";
import { Track } from "./track.js";
import { SkipLines } from "./skip_lines.js";
import * as format from "../../core/format.js";
import { around, cellBox, folded, hit, layout, neighbour, pair, sightOf, systemsFor, tallFor } from "./layout.js";
import { at, parse, ravel, unravel } from "../../core/place.js";
import { highlights, tilesBox } from "./highlights.js";
import { cellPlace, way } from "../step/step_state.js";
import * as compare from "../../state/compare.js";
import * as store from "../../state/store.js";

/**
 * The tile the keyboard is at, and whether it walks the tile's cells.
 * @typedef {{block: Block, tile: Tile, flat: number, inside: boolean}} Cursor
 */

const margins = { wide: 24, medium: 24, narrow: 16 };
const card = 312;
/** What stands above and beneath the stage: header, step view, transport; the closed drawer. */
const others = 42 + 292 + 52;
const shortOthers = 36 + 286 + 44;
const drawer = 44;

/** @type {Signal<Cursor|null>} */
const cursor = signal(null);

/** The place of a cell in the stored tensor. @param {string} prefix @param {number} flat */
export function placeAt(prefix, flat) {
  const shape = store.timeline.value?.tensors[prefix]?.shape ?? [];
  return at(prefix, unravel(flat, shape));
}

/** @param {Block} block @returns {import("./atlas.js").Content} */
function contentOf(block) {
  const tensor = store.tensorOf(block.prefix);
  const shown = compare.shownOf(block.prefix);
  const next = block.next && !shown && !store.live.value ? store.tensorOf(block.next) : undefined;
  const replaced = block.next && next ? store.knownNow(block.next) : 0;
  return {
    data: shown?.data ?? tensor?.data ?? null,
    known: tensor ? store.knownNow(block.prefix) : 0,
    range: tensor ? rangeOf(block) : 1,
    next: replaced ? (next?.data ?? null) : null,
    replaced,
  };
}

/** What a block is called: "output of conv1, 8 maps of 26 × 26, not computed yet". @param {Block} block */
function describe(block) {
  const info = store.timeline.value?.tensors[block.prefix];
  const shown = cellsShown(block);
  const state = shown === 0 ? "not computed yet" : shown < block.size ? `${shown} of ${block.size} computed` : "";
  return [block.prefix.replace("/", " "), info?.title ?? "", (info?.shape ?? []).join(" × "), state]
    .filter(Boolean)
    .join(", ");
}

/** Tells who listens where the keyboard is. @param {Cursor} where */
function announce({ block, tile, flat, inside }) {
  const info = store.timeline.value?.tensors[block.prefix];
  if (!info) return;
  const value =
    flat < cellsShown(block) ? format.number(store.tensorOf(block.prefix)?.data[flat] ?? NaN) : "not computed yet";
  const name = block.prefix.replace("/", " ");
  store.say(
    inside || tile.rows * tile.cols === 1
      ? store.cellWords(at(block.prefix, unravel(flat, info.shape)), value)
      : `${name}, ${tile.name || "all of it"}`,
  );
}

/** Takes the figure to a cell and opens its card. @param {Block} block @param {number} flat */
function choose(block, flat) {
  if (flat >= cellsShown(block) && !store.walkable.value) return;
  store.visit(placeAt(block.prefix, flat));
}

export function Stage() {
  const timeline = store.timeline.value;
  const shape = store.breakpoint.value;
  const { width, height } = store.viewport.value;
  const pages = store.pages.value;
  const margin = margins[shape];
  const phase = store.position.value?.phase ?? 0;
  const stage = useMemo(() => {
    if (!timeline) return null;
    if (shape === "narrow")
      return pair(timeline, Math.min(phase, timeline.phases.length - 1), width - 2 * margin, margin, pages);
    const wide = shape === "wide";
    const room = width - 2 * margin - (wide ? card : 0);
    return layout(
      timeline,
      room,
      margin,
      pages,
      systemsFor(timeline, room, pages, wide ? 1 : 2),
      tallFor(height - (store.short.value ? shortOthers : others) - (wide ? 0 : drawer), timeline),
    );
  }, [timeline, shape, width, height, store.short.value, pages, shape === "narrow" ? phase : -1]);
  const section = useRef(/** @type {HTMLElement|null} */ (null));
  useFollowing(section, stage, phase);
  const low = way.value === "all";
  return html`
    <section class="stage ${low ? "folded" : ""}" aria-label="The network" ref=${section}>
      ${
        stage && timeline
          ? stage.columns.length > 0 &&
            (
              low
                ? html`<${Folded} stage=${folded(stage)} margin=${margin} />`
                : html`<${Drawn} stage=${stage} margin=${margin}
        narrow=${shape === "narrow"} />`
            )
          : html`<p
          class="stage-wait soft">${store.problem.value ? "" : "Connecting …"}</p>`
      }
    </section>`;
}

/**
 * Where the stage is higher or longer than its place, it scrolls to the row and the column that a phase writes.
 * @param {{current: HTMLElement|null}} section @param {Layout|null} stage @param {number} phase
 */
function useFollowing(section, stage, phase) {
  useEffect(() => {
    const box = section.current;
    const timeline = store.timeline.peek();
    if (!box || !stage?.columns.length || !timeline?.phases[phase]) return;
    const { system, way, x } = sightOf(stage, timeline, phase);
    const { scale } = store.viewport.peek();
    const from = stage.systems[system] * scale;
    const over = Math.max(0, stage.rows.height * scale - box.clientHeight);
    box.scrollTo({
      top: from + (way === "forward" ? 0 : over),
      left: x * scale - box.clientWidth / 2,
      behavior: store.reducedMotion.peek() ? "auto" : "smooth",
    });
  }, [stage, phase]);
}

/**
 * Names, shapes and the racetrack alone, where the figure takes the room.
 * @param {{stage: Layout, margin: number}} props
 */
const Folded = ({ stage, margin }) => html`
    <div class="stage-box" style=${{ width: rem(stage.width), height: rem(stage.height) }}>
      <${Track} stage=${stage} margin=${margin} />
      <${Captions} stage=${stage} narrow=${false} bare=${true} />
      <button class="unfold" title="Unfold the network" aria-label="unfold the network" aria-keyshortcuts="m"
        onClick=${() => store.setWay("gather")}><svg viewBox="0 0 16 16" aria-hidden="true"><path
        d="M3 6l5 5l5-5" /></svg></button>
    </div>`;

/** @param {{stage: Layout, margin: number, narrow: boolean}} props */
function Drawn({ stage, margin, narrow }) {
  return html`
    <div class="stage-box" style=${{ width: rem(stage.width), height: rem(stage.height) }}>
      <${Canvas} stage=${stage} />
      ${
        narrow
          ? ""
          : html`<${SkipLines} stage=${stage} margin=${margin} /><${Track} stage=${stage} margin=${margin}
        />`
      }
      <${Captions} stage=${stage} narrow=${narrow} />
      ${narrow ? "" : html`<${NotYet} stage=${stage} margin=${margin} />`}
      <${Rings} stage=${stage} />
      <${Slots} stage=${stage} />
      <${Loupe} stage=${stage} placeAt=${placeAt} choose=${choose} />
    </div>`;
}

/** @param {{stage: Layout}} props */
function Canvas({ stage }) {
  const canvas = useRef(/** @type {HTMLCanvasElement|null} */ (null));
  useLayoutEffect(() => {
    const atlas = new Atlas(/** @type {HTMLCanvasElement} */ (canvas.current));
    let fitted = "";
    let frame = 0;
    const draw = () => {
      frame = 0;
      const scale = store.viewport.peek().scale * devicePixelRatio;
      const how = `${scale} ${store.scheme.peek()} ${store.textSize.peek()}`;
      if (how !== fitted) {
        atlas.fit(stage, scale, store.scheme.peek());
        fitted = how;
      }
      atlas.draw(contentOf);
    };
    const stop = effect(() => {
      const { tensors, running, scheme, viewport, textSize, live } = store;
      for (const signal of [tensors, running, scheme, viewport, textSize, live, compare.shows, compare.untouched])
        void signal.value;
      frame ||= requestAnimationFrame(draw);
    });
    draw();
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [stage]);
  return html`<canvas ref=${canvas} class="atlas" aria-hidden="true"
    style=${{ width: rem(stage.width), height: rem(stage.height) }}></canvas>`;
}

/** @param {{stage: Layout}} props */
function Rings({ stage }) {
  const timeline = store.timeline.value;
  const position = store.position.value;
  const at_ =
    position && timeline && !store.live.value
      ? highlights(stage, timeline, position, store.focusChannel.value)
      : { result: null, reads: [] };
  const hover = store.hover.value;
  const pointed = hover && "place" in hover && timeline ? boxOfPlace(stage, timeline, hover.place) : null;
  const pinned = store.pinned.value && timeline ? boxOfPlace(stage, timeline, store.pinned.value) : null;
  const focus = cursor.value;
  const focused = focus && stage.blocks.includes(focus.block) ? focus.tile : null;
  return html`<svg class="rings" viewBox=${`0 0 ${stage.width} ${stage.height}`} aria-hidden="true">
    ${at_.reads.map(box => html`<${Ring} box=${box} />`)}
    ${at_.result && html`<${Ring} box=${at_.result} marked />`}
    ${pointed && html`<g class="pointed"><${Ring} box=${pointed} /></g>`}
    ${
      pinned &&
      html`<g class="pin"><${Ring} box=${pinned} /><circle cx=${pinned.x + pinned.width} cy=${pinned.y} r="4"
      /></g>`
    }
    ${
      focused &&
      html`<g class="focused"><${Ring} box=${focused} marked out=${3} />
      ${focus?.inside && html`<${Ring} box=${cellBox(focused, focus.flat)} />`}</g>`
    }
  </svg>`;
}

/** @param {{box: Box, marked?: boolean, out?: number}} props */
function Ring({ box, marked = false, out = 1 }) {
  const rect = (/** @type {number} */ by, /** @type {string} */ name) => html`<rect class=${name}
    x=${box.x - by} y=${box.y - by} width=${box.width + 2 * by} height=${box.height + 2 * by} />`;
  return html`${marked && rect(out + 2, "mark")}${rect(out, "ink")}`;
}

/** @param {Layout} stage @param {Timeline} timeline @param {string} text */
function boxOfPlace(stage, timeline, text) {
  const { layer, tensor, index } = parse(text);
  const shape = store.infoOf(`${layer}/${tensor}`)?.shape;
  if (!shape || index.length !== shape.length) return null;
  return tilesBox(stage, timeline, `${layer}/${tensor}`, [ravel(index, shape)]);
}

/** One target for the pointer and the keyboard over each row of a column. @param {{stage: Layout}} props */
function Slots({ stage }) {
  const slots = useMemo(
    () =>
      stage.columns.flatMap(column =>
        ["values", "gradients"]
          .map(row => column.blocks.filter(block => block.row === row && block.look !== "number"))
          .filter(blocks => blocks.length),
      ),
    [stage],
  );
  const now = cursor.value;
  const current = now ? slots.findIndex(blocks => blocks.includes(now.block)) : -1;
  const elements = useRef(/** @type {(HTMLElement|null)[]} */ ([]));
  useLayoutEffect(() => {
    if (now && current >= 0 && elements.current.some(element => element === document.activeElement))
      elements.current[current]?.focus();
  }, [current]);

  /** @param {Cursor} to */
  const move = to => {
    cursor.value = to;
    loupeTarget.value = { ...to, by: "keyboard" };
    store.setHover(to.inside ? { place: placeAt(to.block.prefix, to.flat) } : null);
    announce(to);
  };
  const clicked = useRef(/** @type {Cursor|null} */ (null));
  /** @param {KeyboardEvent} event @param {Block} main */
  const key = (event, main) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const from = cursor.peek() ?? clicked.current ?? entry(main);
    const to = from.inside ? walkCells(from, event.key) : walkTiles(stage, from, event.key);
    if (to === undefined) return;
    event.preventDefault();
    if (to) move(to);
  };
  /** @param {PointerEvent} event */
  const under = event => {
    const box = /** @type {HTMLElement} */ (event.currentTarget).closest(".stage-box")?.getBoundingClientRect();
    if (!box) return null;
    const unit = store.viewport.peek().scale;
    return hit(stage, (event.clientX - box.left) / unit, (event.clientY - box.top) / unit, 4);
  };
  return slots.map((blocks, k) => {
    const { x, y, width, height } = around(blocks);
    const main = blocks.find(({ look }) => look !== "strip") ?? blocks[0];
    return html`<button type="button" key=${`${main.prefix} ${main.row}`} class="slot"
      style=${place({ x, y, width: Math.max(24, width), height: Math.max(24, height) })}
      ref=${(/** @type {HTMLElement|null} */ element) => {
        elements.current[k] = element;
      }}
      tabindex=${k === Math.max(0, current) ? 0 : -1} aria-label=${describe(main)} data-tensor=${main.prefix}
      title=${cellsShown(main) === 0 ? "not computed yet" : undefined}
      onFocus=${(/** @type {FocusEvent} */ event) => {
        if (!(/** @type {HTMLElement} */ (event.currentTarget).matches(":focus-visible"))) return;
        const here = cursor.peek();
        if (!here || !blocks.includes(here.block)) move(entry(main));
        else loupeTarget.value = { ...here, by: "keyboard" };
      }}
      onBlur=${(/** @type {FocusEvent} */ event) => {
        clicked.current = null;
        if (elements.current.includes(/** @type {any} */ (event.relatedTarget))) return;
        cursor.value = null;
        loupeTarget.value = null;
        store.setHover(null);
      }}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => key(event, main)}
      onPointerMove=${(/** @type {PointerEvent} */ event) => {
        if (event.pointerType === "touch") return;
        const found = under(event);
        loupeTarget.value = found && { ...found, inside: true, by: "pointer" };
        store.setHover(found && { place: placeAt(found.block.prefix, found.flat) });
        const last = clicked.current;
        if (event.buttons !== 1 || !found || (last?.block === found.block && last.flat === found.flat)) return;
        clicked.current = { ...found, inside: true };
        choose(found.block, found.flat);
      }}
      onPointerLeave=${() => {
        if (loupeTarget.peek()?.by === "pointer")
          loupeTarget.value = { .../** @type {any} */ (loupeTarget.peek()), leaving: true };
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

/**
 * Where the keyboard enters a block: at the pinned number, else the opened one, else the one that is written.
 * @param {Block} block
 * @returns {Cursor}
 */
function entry(block) {
  for (const text of [store.pinned.peek(), store.place.peek(), cellPlace.peek()]) {
    const info = text && store.infoOf(text);
    const { index } = text ? parse(text) : { index: [] };
    if (!text || !info || store.nameOf(text) !== store.nameOf(block.prefix) || index.length !== info.shape.length)
      continue;
    const flat = ravel(index, info.shape);
    const tile = block.tiles.find(({ start, rows, cols }) => flat >= start && flat < start + rows * cols);
    if (tile) return { block, tile, flat, inside: false };
  }
  return { block, tile: block.tiles[0], flat: block.tiles[0].start, inside: false };
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * From tile to tile.
 * @param {Layout} stage
 * @param {Cursor} from
 * @param {string} key
 * @returns {Cursor|null|undefined} undefined: not ours
 */
function walkTiles(stage, from, key) {
  const arrow = ARROWS[/** @type {keyof typeof ARROWS} */ (key)];
  const enter = (/** @type {{block: Block, tile: Tile}|null} */ to) =>
    to && { ...to, flat: to.tile.start, inside: false };
  if (arrow) return enter(neighbour(stage, from, arrow[0], arrow[1]));
  const { block, tile } = from;
  const at_ = block.tiles.indexOf(tile);
  if (key === "Home") return enter({ block, tile: block.tiles[0] });
  if (key === "End") return enter({ block, tile: block.tiles[block.tiles.length - 1] });
  if (key === "PageUp" || key === "PageDown") {
    return enter({
      block,
      tile: block.tiles[Math.min(block.tiles.length - 1, Math.max(0, at_ + (key === "PageUp" ? -1 : 1)))],
    });
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
  const to = (/** @type {number} */ r, /** @type {number} */ c) => ({
    ...from,
    flat: start + Math.min(rows - 1, Math.max(0, r)) * cols + Math.min(cols - 1, Math.max(0, c)),
  });
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
