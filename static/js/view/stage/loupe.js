/** The loupe: a tile of the stage, large enough to point at one cell. It never lies over its own tile. */

import { useEffect, useRef } from "preact/hooks";
import { signal } from "@preact/signals";

import { html } from "../html.js";
import { paint, table } from "../../core/colour.js";
import * as format from "../../core/format.js";
import * as store from "../../state/store.js";

/**
 * What the loupe shows: a tile, the cell in it, and who holds it.
 * @type {Signal<{block: Block, tile: Tile, flat: number, inside: boolean, by: "pointer"|"keyboard",
 *   leaving?: boolean}|null>}
 */
export const loupeTarget = signal(null);

const SIDE = 176;
const WIDE = 192;
const HIGH = SIDE + 16 + 28;
const GAP = 6;
const GRACE = 140;
const rem = (/** @type {number} */ pixels) => `${pixels / 16}rem`;

/** Beneath the tile, or above it, or beside it: wherever there is room within the stage. */
function placed(/** @type {Tile} */ tile, /** @type {Layout} */ stage) {
  const middle = Math.min(stage.width - WIDE - 4, Math.max(4, tile.x + tile.width / 2 - WIDE / 2));
  const level = Math.min(stage.height - HIGH, Math.max(4, tile.y + tile.height / 2 - HIGH / 2));
  if (tile.y + tile.height + GAP + HIGH <= stage.height) return { x: middle, y: tile.y + tile.height + GAP };
  if (tile.y - GAP - HIGH >= 0) return { x: middle, y: tile.y - GAP - HIGH };
  if (tile.x + tile.width + GAP + WIDE <= stage.width) return { x: tile.x + tile.width + GAP, y: level };
  return { x: tile.x - GAP - WIDE, y: level };
}

/**
 * @param {{stage: Layout, placeAt: (prefix: string, flat: number) => string, choose: (block: Block, flat: number) =>
 *   void}} props
 */
export function Loupe({ stage, placeAt, choose }) {
  const now = loupeTarget.value;
  const leaving = Boolean(now?.leaving);
  useEffect(() => {
    if (!leaving) return;
    const timer = setTimeout(() => {
      if (loupeTarget.peek()?.leaving) loupeTarget.value = null;
    }, GRACE);
    return () => clearTimeout(timer);
  }, [leaving]);
  useEffect(() => {
    if (!now) return;
    const close = (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape" || loupeTarget.peek()?.by !== "pointer") return;
      // An open card hides no less: one press closes both.
      if (store.place.peek() === null) event.preventDefault();
      loupeTarget.value = null;
    };
    addEventListener("keydown", close, true);
    return () => removeEventListener("keydown", close, true);
  }, [now === null]);
  if (!now || !stage.blocks.includes(now.block) || now.tile.rows * now.tile.cols < 2) return null;
  const { block, tile } = now;
  const flat = now.inside ? now.flat : tile.start;
  const tensor = store.tensorOf(block.prefix);
  const known = tensor ? store.known(block.prefix) : 0;
  const side = SIDE / Math.max(tile.rows, tile.cols);
  const width = side * tile.cols;
  const height = side * tile.rows;
  const { x, y } = placed(tile, stage);
  const at = flat - tile.start;
  const value = tensor && flat < known ? tensor.data[flat] : null;
  const pick = (/** @type {PointerEvent} */ event) => {
    const box = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
    const col = Math.min(tile.cols - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * tile.cols)));
    const row = Math.min(tile.rows - 1, Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * tile.rows)));
    return tile.start + row * tile.cols + col;
  };
  const text = store.trueName(placeAt(block.prefix, flat));
  return html`<div class="loupe" style=${{ left: rem(x), top: rem(y), width: rem(WIDE), height: rem(HIGH) }}
    aria-hidden="true"
      onPointerLeave=${() => {
        loupeTarget.value = null;
        store.setHover(null);
      }}>
    <div class="loupe-map"
      style=${{
        width: rem(width),
        height: rem(height),
        marginLeft: rem((SIDE - width) / 2),
        marginTop: rem((SIDE - height) / 2),
        marginBottom: rem((SIDE - height) / 2),
      }}
      onPointerMove=${(/** @type {PointerEvent} */ event) => {
        const next = pick(event);
        loupeTarget.value = { ...now, flat: next, inside: true, leaving: false };
        store.setHover({ place: placeAt(block.prefix, next) });
      }}
      onClick=${(/** @type {PointerEvent} */ event) => choose(block, pick(event))}>
      <${Picture} block=${block} tile=${tile} tensor=${tensor} known=${known} />
      ${
        now.inside &&
        html`<svg viewBox=${`0 0 ${width} ${height}`} class="rings">
        <rect class="mark" x=${(at % tile.cols) * side - 3} y=${Math.floor(at / tile.cols) * side - 3} width=${side + 6}
          height=${side + 6} />
        <rect class="ink" x=${(at % tile.cols) * side - 1} y=${Math.floor(at / tile.cols) * side - 1} width=${side + 2}
          height=${side + 2} /></svg>`
      }
    </div>
    <p><span class="soft">${now.inside ? text : `${block.prefix} ${tile.name}`}</span>
      ${now.inside && html`<b>${value === null ? "not yet" : format.number(value)}</b>`}</p>
  </div>`;
}

/** @param {{block: Block, tile: Tile, tensor: Tensor|undefined, known: number}} props */
function Picture({ block, tile, tensor, known }) {
  const canvas = useRef(/** @type {HTMLCanvasElement|null} */ (null));
  const scheme = store.scheme.value;
  const range = tensor ? store.rangeOf(block.prefix) : 1;
  useEffect(() => {
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.current?.getContext("2d"));
    const image = new ImageData(tile.cols, tile.rows);
    if (tensor) {
      const shown = Math.max(0, Math.min(tile.rows * tile.cols, known - tile.start));
      paint(
        new Uint32Array(image.data.buffer),
        tensor.data,
        tile.start,
        shown,
        range,
        table(/** @type {any} */ (block.kind), scheme),
      );
    }
    context.putImageData(image, 0, 0);
  }, [block, tile, tensor, known, range, scheme]);
  return html`<canvas ref=${canvas} class=${known < tile.start + tile.rows * tile.cols ? "hatch" : ""}
    width=${tile.cols} height=${tile.rows}></canvas>`;
}
