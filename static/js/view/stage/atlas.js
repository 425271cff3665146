/**
 * One canvas for all tiles of the stage. It knows blocks, tiles and colours; a block is redrawn when it has changed.
 */

import { paint, rgb, table } from "../../core/colour.js";

/**
 * What a block shows: its numbers, how many are written, and the numbers of the update that have replaced them.
 * @typedef {{data: ArrayLike<number>|null, known: number, range: number, next: ArrayLike<number>|null,
 *   replaced: number}} Content
 */

const EVEN = 1e-6;

/** Rows of a sheet. Browsers draw nothing, without an error, on a canvas of more than 65,535 rows (Safari: 16,384). */
const ROWS = 8192;

export class Atlas {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    /** @type {Map<string, {sheet: OffscreenCanvas, pixels: Uint32Array<ArrayBuffer>}>} */
    this.sheets = new Map();
    /** @type {Map<Block, any[]>} */
    this.drawn = new Map();
    this.scale = 1;
    this.unit = 1;
    this.scheme = /** @type {Scheme} */ ("light");
    this.inks = { paper: "", rule: "", rule2: "", wash: "" };
    /** @type {CanvasPattern|null} */
    this.hatch = null;
  }

  /**
   * Lay the canvas out anew. Where a design pixel is no whole number of device pixels, it is drawn larger and
   * the browser shrinks it, so that all cells of a map stay equal.
   * @param {Layout} stage @param {number} scale device pixels in a design pixel @param {Scheme} scheme
   */
  fit(stage, scale, scheme) {
    const whole = Math.abs(scale - Math.round(scale)) < EVEN;
    this.unit = whole ? Math.round(scale) : Math.max(2, Math.ceil(scale));
    this.stage = stage;
    this.scheme = scheme;
    this.canvas.width = Math.round(stage.width * this.unit);
    this.canvas.height = Math.round(stage.height * this.unit);
    this.canvas.style.imageRendering = whole ? "pixelated" : "auto";
    const style = getComputedStyle(this.canvas);
    for (const name of /** @type {(keyof typeof this.inks)[]} */ (Object.keys(this.inks))) {
      this.inks[name] = style.getPropertyValue(`--${name}`).trim();
    }
    this.hatch = this.#pattern(style.getPropertyValue("--hatch").trim());
    this.sheets.clear();
    this.drawn.clear();
  }

  /** Lines of 1 on 5 at 135 degrees, seamless. @param {string} colour */
  #pattern(colour) {
    const side = 7 * this.unit;
    const cell = new OffscreenCanvas(side, side);
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (cell.getContext("2d"));
    context.strokeStyle = colour;
    context.lineWidth = this.unit;
    context.beginPath();
    for (const shift of [-side, 0, side]) {
      context.moveTo(shift - 1, side + 1);
      context.lineTo(shift + side + 1, -1);
    }
    context.stroke();
    return this.context.createPattern(cell, "repeat");
  }

  /** @param {(block: Block) => Content} contentOf */
  draw(contentOf) {
    for (const block of this.stage?.blocks ?? []) {
      const content = contentOf(block);
      const { data, known, range, next, replaced } = content;
      const before = this.drawn.get(block);
      const state = [data, known, range, next, replaced];
      if (before && state.every((part, k) => part === before[k])) continue;
      this.drawn.set(block, state);
      this.#block(block, content);
    }
  }

  /** @param {Box} box @param {number} [out] */
  #clear(box, out = 0) {
    const u = this.unit;
    this.context.clearRect(
      Math.floor((box.x - out) * u),
      Math.floor((box.y - out) * u),
      Math.ceil((box.width + 2 * out) * u) + 1,
      Math.ceil((box.height + 2 * out) * u) + 1,
    );
  }

  /** @param {Block} block @param {Content} content */
  #block(block, content) {
    if (block.look === "number") return;
    if (block.look === "tiles" && block.tiles.length > 1) this.#clear(block, 1);
    if (block.look === "bars") {
      for (const [k, tile] of block.tiles.entries()) this.#bar(block, tile, content, k);
      return;
    }
    const sheet = this.#sheet(block, content);
    const framed = block.tiles[0].width >= 10 && block.look === "tiles";
    const mosaic = !framed && block.look === "tiles";
    const whole = content.data !== null && content.known >= block.size;
    if (mosaic && !whole) this.#hatching(this.#pixels(block));
    for (const [k, tile] of block.tiles.entries()) this.#tile(block, tile, content, sheet, k, framed, mosaic);
    if (mosaic) this.#frame(block);
  }

  /**
   * The block's shown cells at data resolution, one tile beneath another, in as many columns as it takes.
   * @param {Block} block @param {Content} content
   */
  #sheet(block, { data, known, range, next, replaced }) {
    const { rows, cols } = block.tiles[0];
    const key = `${block.prefix} ${block.row} ${block.x}`;
    let made = this.sheets.get(key);
    const size = rows * cols;
    const { width, height, down } = sheetSize(block);
    if (!made || made.sheet.width !== width || made.sheet.height !== height) {
      made = { sheet: new OffscreenCanvas(width, height), pixels: new Uint32Array(width * height) };
      this.sheets.set(key, made);
    }
    made.pixels.fill(0);
    if (data) {
      const colours = table(/** @type {any} */ (block.kind), this.scheme);
      block.tiles.forEach((tile, k) => {
        const part = /** @type {typeof made} */ (made).pixels.subarray(k * size, (k + 1) * size);
        const shown = Math.max(0, Math.min(size, known - tile.start, data.length - tile.start));
        paint(part, data, tile.start, shown, range, colours);
        if (next) paint(part, next, tile.start, Math.max(0, Math.min(size, replaced - tile.start)), range, colours);
      });
    }
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (made.sheet.getContext("2d"));
    for (let left = 0; left < width; left += cols) {
      const from = left * height;
      const column = new Uint8ClampedArray(made.pixels.buffer, 4 * from, 4 * cols * height);
      context.putImageData(new ImageData(column, cols, height), left, 0);
    }
    return { sheet: made.sheet, down };
  }

  /** A box in whole pixels of the canvas. @param {Box} box */
  #pixels(box) {
    const u = this.unit;
    const x = Math.round(box.x * u);
    const y = Math.round(box.y * u);
    return { x, y, width: Math.round((box.x + box.width) * u) - x, height: Math.round((box.y + box.height) * u) - y };
  }

  /**
   * @param {Block} block
   * @param {Tile} tile
   * @param {Content} content
   * @param {{sheet: OffscreenCanvas, down: number}} sheet
   * @param {number} k
   * @param {boolean} framed
   * @param {boolean} mosaic
   */
  #tile(block, tile, { data, known }, { sheet, down }, k, framed, mosaic) {
    const u = this.unit;
    const size = tile.rows * tile.cols;
    const box = this.#pixels(tile);
    const { x, y, width, height } = box;
    if (block.tiles.length === 1 || block.look === "strip")
      this.context.clearRect(x - u, y - u, width + 2 * u, height + 2 * u);
    const all = data !== null && known >= tile.start + size;
    if (!all && !mosaic) this.#hatching(box);
    if (data !== null && known > tile.start) {
      if (!all || mosaic) this.#paper(tile, Math.min(size, known - tile.start), mosaic ? 1 : 0);
      const cell = width / tile.cols;
      this.context.imageSmoothingEnabled = cell < 3 && Math.abs(cell - Math.round(cell)) > EVEN;
      this.context.imageSmoothingQuality = "high";
      const [left, top] = [Math.floor(k / down) * tile.cols, (k % down) * tile.rows];
      this.context.drawImage(sheet, left, top, tile.cols, tile.rows, x, y, width, height);
    }
    if (framed) this.#frame(tile);
  }

  /**
   * Known cells cover the hatch, whatever their colour.
   * @param {Tile} tile
   * @param {number} count
   * @param {number} out covers the gap of a mosaic too
   */
  #paper(tile, count, out) {
    const u = this.unit;
    const row = tile.height / tile.rows;
    const full = Math.floor(count / tile.cols);
    const rest = count % tile.cols;
    this.context.fillStyle = this.inks.paper;
    if (full) this.context.fillRect(tile.x * u, tile.y * u, (tile.width + out) * u, (full * row + out) * u);
    if (rest)
      this.context.fillRect(tile.x * u, (tile.y + full * row) * u, ((rest * tile.width) / tile.cols) * u, row * u);
  }

  /** @param {Box} box in pixels of the canvas */
  #hatching({ x, y, width, height }) {
    if (!this.hatch) return;
    this.context.save();
    this.context.translate(x, y);
    this.context.fillStyle = this.hatch;
    this.context.fillRect(0, 0, width, height);
    this.context.restore();
  }

  /** A hairline outside the box. @param {Box} box */
  #frame(box) {
    const u = this.unit;
    const line = Math.max(1, Math.round(u));
    const x = Math.round(box.x * u) - line;
    const y = Math.round(box.y * u) - line;
    const width = Math.round((box.x + box.width) * u) + line - x;
    const height = Math.round((box.y + box.height) * u) + line - y;
    this.context.fillStyle = this.inks.rule;
    this.context.fillRect(x, y, width, line);
    this.context.fillRect(x, y + height - line, width, line);
    this.context.fillRect(x, y, line, height);
    this.context.fillRect(x + width - line, y, line, height);
  }

  /**
   * A share as a bar; what can be negative starts from the centre.
   * @param {Block} block
   * @param {Tile} tile
   * @param {Content} content
   * @param {number} k
   */
  #bar(block, tile, { data, known, range }, k) {
    const u = this.unit;
    const { context } = this;
    this.#clear({ ...tile, y: tile.y - 3, height: tile.height + 6 });
    if (!data || known <= tile.start) {
      this.#hatching(this.#pixels(tile));
      return;
    }
    const { x, y, width, height } = this.#pixels(tile);
    context.fillStyle = this.inks.wash;
    context.fillRect(x, y, width, height);
    const value = data[tile.start];
    const centred = block.kind === "gradient" || Array.prototype.some.call(data, each => each < 0);
    const most = centred ? tile.width / 2 : tile.width;
    const from = centred ? tile.x + most : tile.x;
    const length = value === 0 ? 0 : Math.max(1, Math.min(1, Math.abs(value) / range) * most);
    context.fillStyle = `rgb(${rgb(/** @type {any} */ (block.kind), value < 0 ? -0.8 : 0.8, this.scheme).join(" ")})`;
    context.fillRect(
      Math.round((value < 0 ? from - length : from) * u),
      Math.round(tile.y * u),
      Math.max(1, Math.round(length * u)) * (value === 0 ? 0 : 1),
      Math.round(tile.height * u),
    );
    if (!centred) return;
    context.fillStyle = this.inks.rule2;
    const gap = k + 1 < block.tiles.length ? block.tiles[k + 1].y - tile.y - tile.height : 0;
    context.fillRect(
      Math.round(from * u),
      Math.round((tile.y - (k ? 2.6 : 0)) * u),
      Math.max(1, Math.round(u)),
      Math.round((tile.height + (k ? 2.6 : 0) + gap / 2) * u),
    );
  }
}

/** How a block's tiles are laid on its sheet; `down` stand beneath one another. @param {Block} block */
function sheetSize({ tiles }) {
  const { rows, cols } = tiles[0];
  const down = Math.min(tiles.length, Math.max(1, Math.floor(ROWS / rows)));
  return { width: cols * Math.ceil(tiles.length / down), height: rows * down, down };
}
