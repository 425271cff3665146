/** The words of the stage: names, shapes, ranges, pages, class numbers, the loss. */

import { html } from "../html.js";
import { gradient } from "../../core/colour.js";
import * as format from "../../core/format.js";
import { ROWS, clear } from "./layout.js";
import * as compare from "../../state/compare.js";
import * as store from "../../state/store.js";
import { colourOf, plain } from "../step/symbol.js";

/** @param {number} pixels of the design */
export const rem = pixels => `${pixels / 16}rem`;

/** A box as CSS. @param {Box} box */
export const place = ({ x, y, width, height }) => ({
  left: rem(x),
  top: rem(y),
  width: rem(width),
  height: rem(height),
});

/** One range for all that one legend covers. @param {Block} block */
export const rangeOf = block =>
  Math.max(...block.shares.map(prefix => compare.shownOf(prefix)?.range ?? store.rangeOf(prefix)));

/** Cells of a block that are there to be seen. @param {Block} block */
export const cellsShown = block => (store.tensorOf(block.prefix) ? store.known(block.prefix) : 0);

const pen = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));

/** The width of a text in the interface's font, in design pixels. @param {string} text */
function wide(text) {
  pen.font = `14px ${getComputedStyle(document.body).fontFamily}`;
  return pen.measureText(text).width;
}

/** What stands beneath a block: its range, or the pages of what is too much for one. @param {Block} block */
const legendText = block => (block.pages && block.row === "values" ? "‹ 0–15 ›" : format.range(rangeOf(block)));

/**
 * Which names, captions and legends have room, and how far each moves for it; the others are told by their tooltips.
 * @param {Layout} stage
 * @returns {{names: Map<Column, number>, captions: Map<Column, number>, legends: Map<Block, number>}}
 */
function roomy(stage) {
  const middle = (/** @type {Box} */ { x, width }) => x + width / 2;
  const bars = stage.columns.filter(({ kind }) => kind === "bars");
  /**
   * @template T
   * @param {{key: T, middle: number, text: string, system: number, first?: boolean}[]} all
   * @param {number} [apart]
   * @returns {[T, number][]}
   */
  const standing = (all, apart) =>
    stage.systems.flatMap((_, system) => {
      const texts = all
        .filter(each => each.system === system)
        .sort((a, b) => Number(b.first ?? 0) - Number(a.first ?? 0));
      const taken = bars.filter(column => column.system === system && !texts.some(({ key }) => key === column));
      const moves = clear(
        [
          ...taken.map(column => ({ middle: middle(column), width: column.width })),
          ...texts.map(({ middle, text }) => ({ middle, width: wide(text) })),
        ],
        apart,
      ).slice(taken.length);
      return moves.flatMap((move, k) => (move === null ? [] : [/** @type {[any, number]} */ ([texts[k].key, move])]));
    });
  const told = (/** @type {(column: Column) => string} */ text) =>
    stage.columns.map(column => ({ key: column, middle: middle(column), text: text(column), system: column.system }));
  const legends = ["values", "gradients"].flatMap(row =>
    standing(
      stage.columns.flatMap(column =>
        column.blocks
          .filter(each => each.look === "tiles" && each.row === row)
          .map(each => ({
            key: each,
            middle: middle(each),
            text: legendText(each),
            system: column.system,
            first: Boolean(each.pages),
          })),
      ),
    ),
  );
  return {
    names: new Map(standing(told(({ name }) => name))),
    captions: new Map(
      standing(
        told(({ caption }) => caption),
        8,
      ),
    ),
    legends: new Map(legends),
  };
}

/** @param {{stage: Layout, narrow: boolean, bare?: boolean}} props  bare: only names and shapes */
export function Captions({ stage, narrow, bare = false }) {
  const { names, captions, legends } = roomy(stage);
  return stage.columns.map(
    column => html`<${Words} key=${`${column.layer} ${column.name} ${column.kind} ${column.x}`}
    column=${column} rows=${stage.rows} narrow=${narrow} named=${names.get(column)} captioned=${captions.get(column)}
      legends=${legends} bare=${bare} />`,
  );
}

/**
 * The words of a column: its name, legends, shape, pages.
 * @param {{column: Column, rows: Rows, narrow: boolean, named?: number, captioned?: number, legends: Map<Block,
 *   number>, bare: boolean}} props
 */
function Words({ column, rows, narrow, named, captioned, legends, bare }) {
  const { x, y, width, symbol, kind, caption, blocks } = column;
  const main = blocks.filter(({ look }) => look === "tiles");
  return html`
    ${
      (named !== undefined || narrow) &&
      html`<${Name} column=${column} rows=${rows} narrow=${narrow}
      move=${kind === "bars" ? 0 : (named ?? 0)} />`
    }
    ${
      captioned !== undefined &&
      !narrow &&
      html`<span class="shape"
      style=${{ left: rem(x + width / 2 + captioned), top: rem(y + rows.track) }}>${caption}</span>`
    }
    ${(bare ? [] : main).map(
      block => html`<${Legend} block=${block} column=${column} worded=${legends.get(block)}
      top=${y + rows.tall + (narrow ? ROWS.name : rows[block.row])} />`,
    )}
    ${kind === "bars" && !bare && html`<${Digits} column=${column} rows=${rows} narrow=${narrow} />`}
    ${kind === "loss" && !bare && html`<${Loss} column=${column} symbol=${symbol} />`}`;
}

/** @param {{column: Column, rows: Rows, narrow: boolean, move: number}} props */
function Name({ column, rows, narrow, move }) {
  const { x, y, width, name, symbol, kind, layer, blocks } = column;
  const timeline = store.timeline.value;
  if (kind === "loss") return null;
  const symbols = symbol?.split(" ").map(plain).join(" ");
  const writes =
    timeline?.phases.findIndex(
      phase =>
        !phase.view && (kind === "weights" ? phase.place === `${layer}/d${name}` : blocksWrite(column, phase.place)),
    ) ?? -1;
  const inside =
    kind === "weights" && !narrow
      ? html`<span class="symbol wt">${symbols}</span>`
      : html`${
          symbol
            ? html`<span
        class=${`symbol ${colourOf(column.blocks[0].kind)}`}>${narrow ? plain(symbol) : symbol}</span>${" "}`
            : ""
        }${name}`;
  const style = {
    left: rem(kind === "bars" && !narrow ? (blocks.find(({ look }) => look === "bars")?.x ?? x) : x + width / 2 + move),
    top: rem(y + (narrow ? 0 : rows.top)),
  };
  const title =
    kind === "weights" ? `weights of ${layer}` : (timeline?.layers.find(each => each.name === layer)?.title ?? "");
  return html`<span class=${`name of-${kind}`} style=${style} title=${title}>
    ${
      writes >= 0 && !narrow
        ? html`<button type="button" tabindex="-1" aria-label=${
            kind === "weights"
              ? `${symbols}, weights of ${layer}: go to their gradient`
              : `${symbol ? `${symbol} ` : ""}${name}: go to this phase`
          } onClick=${() => store.goToPhase(writes)}>${inside}</button>`
        : inside
    }
  </span>`;
}

/** @param {Column} column @param {string} prefix */
const blocksWrite = (column, prefix) =>
  column.blocks.some(block => block.row === "values" && block.look !== "strip" && block.prefix === prefix);

/**
 * Range and pages under what they cover.
 * @param {{block: Block, column: Column, top: number, worded?: number}} props
 */
function Legend({ block, column, top, worded }) {
  const shown = cellsShown(block) > 0;
  const { kind } = block;
  const paged = block.row === "values" ? block.pages : null;
  if (!shown && !paged) return null;
  const range = format.range(rangeOf(block));
  const style = { left: rem(block.x + block.width / 2), top: rem(top), width: rem(block.width) };
  return html`<div class="legend" style=${style}
    title=${shown ? `${block.prefix.replace("/", " ")}: ${range}` : undefined}>
    ${shown && html`<i style=${{ background: gradient(/** @type {any} */ (kind), store.scheme.value) }}></i>`}
    ${
      paged
        ? html`<${Pages} pages=${paged} owner=${kind === "weight" ? block.prefix : `${column.layer}/y`}
          roomy=${block.width >= 96} />`
        : shown && worded !== undefined && html`<span style=${{ marginLeft: rem(2 * worded) }}>${range}</span>`
    }
  </div>`;
}

/** @param {{pages: {first: number, step: number, of: number}, owner: string, roomy: boolean}} props */
function Pages({ pages: { first, step, of }, owner, roomy }) {
  const last = Math.min(of, first + step) - 1;
  const range = first === last ? String(first) : `${first}–${last}`;
  const turn = (
    /** @type {string} */ words,
    /** @type {string} */ arrow,
    /** @type {number} */ to,
    /** @type {boolean} */ off,
  ) =>
    html`<button type="button" aria-label=${`${words} of ${owner.replace("/", " ")}`} disabled=${off}
      onClick=${() => store.turnPage(owner, to)}>${arrow}</button>`;
  return html`<span class="pages" title=${`${range} of ${of}`}>
    ${turn("Earlier maps", "‹", first - step, first === 0)}<span>${range}${
      roomy ? ` of ${of}` : ""
    }</span>${turn("Later maps", "›", first + step, last === of - 1)}</span>`;
}

/** What the loss calls what it reads: the numbers before they become shares. @param {Block} strip */
const logitName = ({ prefix }) =>
  Object.entries(store.timeline.value?.aliases ?? {})
    .find(([alias, of]) => alias.startsWith("loss/") && of === prefix)?.[0]
    .slice(5) ?? "";

/** @param {string} prefix */
const describe = prefix => store.infoOf(prefix)?.title ?? prefix;

/**
 * The numbers of the classes beside their bars, and what stands beneath.
 * @param {{column: Column, rows: Rows, narrow: boolean}} props
 */
function Digits({ column, rows, narrow }) {
  const bars = column.blocks.filter(({ look }) => look === "bars");
  const logits = column.blocks.find(({ look }) => look === "strip");
  const label = store.label.value;
  const { x, y } = column;
  const first = bars[0].tiles[0];
  return html`
    ${bars.map(block =>
      block.tiles.map(
        tile => html`
      <span class=${`digit ${tile.start === label ? "label" : ""}`}
        style=${{ left: rem(x), top: rem(tile.y + tile.height / 2) }}
          title=${store.className(tile.start)}>${tile.start}</span>`,
      ),
    )}
    ${
      logits &&
      html`<span class="name" style=${{ left: rem(logits.x + logits.width / 2), top: rem(y + rows.top) }}
      title=${`${logitName(logits)}: ${describe(logits.prefix)}`}><span
        class="symbol act">${logitName(logits)}</span></span>`
    }
    ${
      !narrow &&
      html`<span class="shape grad symbol"
      style=${{ left: rem(first.x), top: rem(y + rows.track) }}>${column.symbol}${" − "}t</span>`
    }`;
}

/** @param {{column: Column}} props */
function Loss({ column }) {
  const [block] = column.blocks;
  const tensor = store.tensorOf(block.prefix);
  const shown = tensor && store.known(block.prefix) > 0;
  const { x, y, width, height } = block.tiles[0];
  return html`
    <span class="loss-name soft" style=${{ left: rem(x), width: rem(width), top: rem(y - 20) }}>${column.name}</span>
    ${
      shown
        ? html`<button type="button" class="loss" data-place=${block.prefix}
          style=${{ left: rem(x + width), top: rem(y + height / 2) }}
        tabindex="-1" aria-label=${`${block.prefix.replace("/", " ")}, ${format.number(tensor.data[0])}`}
        onClick=${() => store.open(block.prefix)}>${format.number(tensor.data[0])}</button>`
        : html`<span class="hatch loss-not" style=${place(block.tiles[0])}></span>`
    }`;
}

/** Pixels that the key of the hatch takes; without them beneath the input, it stands in the card's place alone. */
const KEY = 76;

/** The key of the hatch, while anything is hatched. @param {{stage: Layout, margin: number}} props */
export function NotYet({ stage, margin }) {
  if (stage.blocks.every(block => cellsShown(block) >= block.size)) return null;
  if ((stage.columns[1]?.blocks[0]?.x ?? Infinity) - margin < KEY) return null;
  const input = stage.columns[0].blocks.find(({ row }) => row === "gradients");
  const y = input ? input.y + input.height + 8 : stage.rows.gradients + stage.rows.tall - 21;
  return html`<span class="not-yet soft" title="Nothing is computed here yet; a hatch is never a zero"
    style=${{ left: rem(margin), top: rem(y) }}><i class="hatch"></i>not yet</span>`;
}
