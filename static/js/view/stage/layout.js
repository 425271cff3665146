/**
 * The geometry of the stage, from the timeline alone: columns of tiles between the two lines of the racetrack.
 * Everything is in design pixels (1/16 rem). A tile shows `rows` × `cols` cells that lie next to each other in the
 * tensor from `start` on; nothing here knows what a layer does, only the shapes of what it reads and writes.
 */

import { sizeOf } from "../../core/place.js";
import { batched, bisect, ownName, source } from "../../core/timeline.js";
import { branches, skipConnections } from "./skip_connections.js";
import { GAP, TALL, biases, boxOf, kernelShape, kernels, maps, strip, vector } from "./tiling.js";

/** Heights of the rows of one system, top to bottom, but for the two rows of tiles. */
export const ROWS = { top: 4, lane: 7, name: 24, legend: 26, shape: 28 };
const FIXED = ROWS.top + ROWS.name + 2 * ROWS.legend + ROWS.shape;
/** The least height of a row of tiles that can still be read. */
const LOW = 78;

/**
 * Where the rows of a system stand when its tiles have a certain height.
 * @param {number} [tall]
 * @param {number} [lanes] of connections
 * @returns {Rows}
 */
export function rowsOf(tall = TALL, lanes = 0) {
  const top = ROWS.top + ROWS.lane * lanes;
  const values = top + ROWS.name;
  const track = values + tall + ROWS.legend;
  const gradients = track + ROWS.shape;
  return { top, tall, values, track, gradients, height: gradients + tall + ROWS.legend };
}

/** How high a stage is that shows only names, the racetrack and shapes; where these stand. */
const FOLD = { top: 6, tall: 0, values: 31, track: 31, gradients: 59, height: 66 };

/** A stage whose tiles are folded away. @param {Layout} stage @returns {Layout} */
export const folded = stage => ({
  ...stage,
  height: FOLD.height,
  rows: FOLD,
  columns: stage.columns.map(column => ({ ...column, y: 0 })),
});

/**
 * The height of tiles with which a system fits into a height.
 * @param {number} height
 * @param {Timeline|null} [timeline] whose connections need room
 */
export const tallFor = (height, timeline = null) =>
  Math.min(
    TALL,
    Math.max(LOW, Math.floor((height - FIXED - ROWS.lane * (timeline ? lanesOf(skipConnections(timeline)) : 0)) / 2)),
  );

/** @param {SkipConnection[]} connections */
const lanesOf = connections => Math.max(0, ...connections.map(({ lane }) => lane + 1));

const BAR = { row: 13.2, digit: 14, strip: 8, width: 46, most: 12 };
const LOSS = 48;
const TIGHT = 6;
const WHOLE = 2.5;
/** How far tiles may shrink before the columns take another system. */
const LEAST = 0.75;
const APART = 12;
/** Room for the name of a column that is narrower itself. */
const NAMED = 104;
/** Where a stage is as long as it takes: the width of a letter, between two names, before a branch. */
const LONG = { letter: 8.2, apart: 10, branch: 18 };

/** The shape of a tensor for one image. @param {Timeline} timeline @param {string} prefix */
function shapeOf(timeline, prefix) {
  const shape = timeline.tensors[prefix]?.shape;
  return shape ? (batched(timeline, prefix) ? shape.slice(1) : shape) : null;
}

/** Moves tiles made at the origin and wraps them as a block. */
function block(
  /** @type {Omit<Block, keyof Box>} */ what,
  /** @type {number} */ x,
  /** @type {number} */ y,
  scale = 1,
) {
  const tiles = what.tiles.map(tile => ({
    ...tile,
    x: x + tile.x * scale,
    y: y + tile.y * scale,
    width: tile.width * scale,
    height: tile.height * scale,
  }));
  return { ...what, tiles, ...around(tiles) };
}

/** @typedef {Omit<Block, keyof Box>} Loose */
/** @typedef {Omit<Column, "x"|"y"|"height"|"system"|"blocks"> & {blocks: Loose[]}} LooseColumn */

/**
 * The columns before they stand anywhere.
 * @param {Timeline} timeline
 * @param {Record<string, number>} pages
 * @param {number} [tall]
 */
function columnsOf(timeline, pages, tall = TALL) {
  /** @type {LooseColumn[]} */
  const columns = [];
  const last = timeline.layers.filter(({ name, view }) => name !== "loss" && !view).at(-1);
  const shares = timeline.phases.find(({ part, shape }) => part === "loss" && sizeOf(shape) > 1);
  const barred = shares && last && sizeOf(shares.shape) === sizeOf(last.shape) && sizeOf(last.shape) <= BAR.most;

  /**
   * @param {string} prefix
   * @param {Block["row"]} row
   * @param {{tiles: Tile[], pages: Block["pages"]}} made
   * @param {Block["look"]} [look]
   * @returns {Loose}
   */
  const loose = (prefix, row, made, look = "tiles") => {
    const stored = source(timeline, prefix);
    const info = timeline.tensors[stored];
    return {
      prefix: stored,
      row,
      kind: info?.kind ?? "value",
      look,
      tiles: made.tiles,
      pages: made.pages,
      size: info ? sizeOf(info.shape) : 0,
      next: timeline.tensors[`${stored}_next`] ? `${stored}_next` : null,
      shares: [stored],
    };
  };

  /** @param {string} layer @param {number[]} shape @param {string} caption */
  const picture = (layer, shape, caption) => {
    const first = pages[`${layer}/y`] ?? 0;
    const make = () => (shape.length === 3 ? maps(shape, first, layer === "input") : vector(sizeOf(shape)));
    const blocks = [loose(`${layer}/y`, "values", make())];
    const back = ownName(timeline, `${layer}/dy`);
    if (timeline.tensors[back]) blocks.push(loose(back, "gradients", make()));
    columns.push({
      layer,
      shows: layer,
      name: layer,
      symbol: null,
      kind: "maps",
      caption,
      width: boxOf(blocks[0].tiles).width,
      blocks,
    });
    return blocks[0];
  };

  const input = shapeOf(timeline, "input/y");
  if (input) picture("input", input, (input.length === 3 && input[0] === 1 ? input.slice(1) : input).join("×"));
  let before = input?.join("×") ?? "";

  for (const { name, shape, parameters, view } of timeline.layers) {
    if (view || name === "input" || name === "target" || name === "loss") continue;
    const own = name === last?.name && barred;
    const entries = Object.entries(parameters);
    const made = shape.length === 3 ? maps(shape, pages[`${name}/y`] ?? 0).tiles : [];
    for (const [parameter, size] of entries.filter(([, size]) => size.length >= 2)) {
      const read = source(timeline, `${name}/x`);
      const kernel = kernelShape(size, shapeOf(timeline, read));
      const first = pages[`${name}/${parameter}`] ?? 0;
      const bias = entries.some(([, extent]) => extent.length === 1 && extent[0] === kernel[0]);
      const mosaic = kernels(kernel, first, made, bias ? 7 : 0);
      const blocks = [loose(`${name}/${parameter}`, "values", mosaic)];
      const gradient = `${name}/d${parameter}`;
      if (timeline.tensors[gradient]) blocks.push(loose(gradient, "gradients", mosaic));
      for (const [added, extent] of entries) {
        if (extent.length !== 1 || extent[0] !== kernel[0]) continue;
        const beside = { tiles: biases(mosaic.tiles, kernel[0], kernel[1]), pages: null };
        blocks.push(loose(`${name}/${added}`, "values", beside, "strip"));
        if (timeline.tensors[`${name}/d${added}`])
          blocks.push(loose(`${name}/d${added}`, "gradients", beside, "strip"));
      }
      for (const row of ["values", "gradients"]) {
        const together = blocks.filter(each => each.row === row);
        for (const each of together) each.shares = together.map(({ prefix }) => prefix);
      }
      const wide = Math.max(...blocks.map(({ tiles }) => boxOf(tiles).width));
      const caption = size.length === 4 && size[1] === 1 ? `${size[0]}` : size.slice(0, 2).join("×");
      columns.push({
        layer: name,
        shows: name,
        name: parameter,
        symbol: parameter,
        kind: "weights",
        caption,
        width: wide,
        blocks,
      });
    }
    if (entries.length && entries.every(([, size]) => size.length === 1)) {
      const blocks = entries.flatMap(([parameter], k) => {
        const beside = strip(entries[k][1][0], k);
        const back = `${name}/d${parameter}`;
        return [
          loose(`${name}/${parameter}`, "values", beside, "strip"),
          ...(timeline.tensors[back] ? [loose(back, "gradients", beside, "strip")] : []),
        ];
      });
      const learned = entries
        .map(([parameter]) => parameter)
        .filter(parameter => timeline.tensors[`${name}/d${parameter}`]);
      columns.push({
        layer: name,
        shows: name,
        name: learned[0] ?? entries[0][0],
        symbol: learned.join(" "),
        kind: "weights",
        caption: "",
        width: Math.max(...blocks.map(({ tiles }) => boxOf(tiles).width)),
        blocks,
      });
    }
    if (own) continue;
    const caption = shape.join("×");
    picture(name, shape, caption === before ? "" : caption);
    before = caption;
  }

  if (barred && shares && last) {
    const count = sizeOf(shares.shape);
    const pitch = Math.min(2 * BAR.row, Math.min(10 * BAR.row, tall + ROWS.legend) / count);
    const lines = (/** @type {number} */ x, /** @type {number} */ width, /** @type {number} */ height) => ({
      pages: null,
      tiles: Array.from({ length: count }, (_, k) => ({
        x,
        y: k * pitch + (pitch - height) / 2,
        width,
        height,
        rows: 1,
        cols: 1,
        start: k,
        name: `number ${k}`,
      })),
    });
    const from = BAR.digit + BAR.strip + 3;
    const blocks = [
      loose(`${last.name}/y`, "values", lines(BAR.digit, BAR.strip, BAR.strip), "strip"),
      loose(shares.place, "values", lines(from, BAR.width, 8), "bars"),
    ];
    const back = ownName(timeline, `${last.name}/dy`);
    if (timeline.tensors[back]) blocks.push(loose(back, "gradients", lines(from, BAR.width, 8), "bars"));
    columns.push({
      layer: "loss",
      shows: last.name,
      name: shares.label,
      symbol: shares.tensor,
      kind: "bars",
      caption: "",
      width: from + BAR.width,
      blocks,
    });
  }
  const total = timeline.phases.find(({ part, shape }) => part === "loss" && sizeOf(shape) === 1);
  if (total) {
    const tile = { x: 0, y: tall - 16, width: LOSS, height: 17, rows: 1, cols: 1, start: 0, name: "" };
    columns.push({
      layer: "loss",
      shows: "loss",
      name: total.label,
      symbol: null,
      kind: "loss",
      caption: "",
      width: LOSS,
      blocks: [loose(total.place, "values", { tiles: [tile], pages: null }, "number")],
    });
  }
  return columns;
}

/**
 * Columns spread over one or more systems, one under the other like lines of music.
 * @param {Timeline} timeline @param {number} width of the stage without margins @param {number} [margin]
 * @param {Record<string, number>} [pages] first map shown, by tensor
 * @param {number} [systems] 0: one, as long as it takes
 * @param {number} [tall] height of a row of tiles
 * @returns {Layout}
 */
export function layout(timeline, width, margin = 24, pages = {}, systems = 1, tall = TALL) {
  const loose = columnsOf(timeline, pages, tall);
  const connections = skipConnections(timeline);
  const rows = rowsOf(tall, lanesOf(connections));
  if (systems === 0) return long(timeline, loose, margin, rows, connections);
  const lines = breakInto(loose, systems);
  /** @type {Column[]} */
  const columns = [];
  lines.forEach((line, system) => {
    const turn = system === lines.length - 1 ? 0 : 16;
    const scales = shrink(line, width - turn - TIGHT * (line.length - 1), tall / TALL);
    const widths = line.map((column, k) => column.width * scales[k]);
    const used = widths.reduce((sum, each) => sum + each, 0);
    const gap = line.length > 1 ? (width - turn - used) / (line.length - 1) : 0;
    const down = system * (rows.height + APART);
    let x = margin;
    line.forEach((column, k) => {
      const blocks = column.blocks.map(each => block(each, x, down + rows[each.row], scales[k]));
      columns.push({ ...column, x, y: down, width: widths[k], height: rows.height, system, blocks });
      x += widths[k] + gap;
    });
  });
  return {
    width: width + 2 * margin,
    height: lines.length * (rows.height + APART) - APART,
    columns,
    rows,
    blocks: columns.flatMap(({ blocks }) => blocks),
    systems: lines.map((_, k) => k * (rows.height + APART)),
    connections: connections,
  };
}

/**
 * One system as long as it takes, every name with room of its own.
 * @param {Timeline} timeline
 * @param {LooseColumn[]} loose
 * @param {number} margin
 * @param {Rows} rows
 * @param {SkipConnection[]} connections
 * @returns {Layout}
 */
function long(timeline, loose, margin, rows, connections) {
  const begins = branches(timeline);
  const scales = shrink(loose, Infinity, rows.tall / TALL);
  let x = margin;
  const columns = loose.map((column, k) => {
    const width = column.width * scales[k];
    const named = column.kind === "weights" || column.kind === "loss" ? 0 : LONG.letter * column.name.length;
    const slot = Math.max(width, named);
    if (k > 0) x += LONG.apart + (begins.has(column.layer) && loose[k - 1].layer !== column.layer ? LONG.branch : 0);
    const left = x + (slot - width) / 2;
    x += slot;
    const blocks = column.blocks.map(each => block(each, left, rows[each.row], scales[k]));
    return { ...column, x: left, y: 0, width, height: rows.height, system: 0, blocks };
  });
  return {
    width: x + ROWS.shape / 2 + margin,
    height: rows.height,
    columns,
    rows,
    connections: connections,
    blocks: columns.flatMap(({ blocks }) => blocks),
    systems: [0],
  };
}

/**
 * Scales that make columns fit: all by the same, but cells that stay large stay whole pixels. Bars and the loss keep
 * their size.
 * @param {{kind: string, width: number, blocks: Loose[]}[]} line
 * @param {number} room
 * @param {number} most the largest scale
 */
function shrink(line, room, most) {
  const cells = line.map(({ blocks }) => blocks[0].tiles[0].width / blocks[0].tiles[0].cols);
  const at = (/** @type {number} */ scale) =>
    line.map(({ kind }, k) => {
      if (scale === 1 || (kind !== "maps" && kind !== "weights")) return 1;
      const cell = cells[k] * scale;
      return (cell >= WHOLE && kind === "maps" ? Math.floor(cell) : cell) / cells[k];
    });
  const fits = (/** @type {number} */ scale) =>
    at(scale).reduce((sum, each, k) => sum + each * line[k].width, 0) <= room;
  return at(fits(most) ? most : Math.min(most, bisect(fits) - 1e-9));
}

/**
 * Of texts in a row, how far each has to move to stand clear of the ones before; null where no small move helps.
 * @param {{middle: number, width: number}[]} texts
 * @param {number} [apart]
 * @param {number} [most]
 * @returns {(number|null)[]}
 */
export function clear(texts, apart = 4, most = 10) {
  /** @type {{middle: number, width: number}[]} */
  const kept = [];
  const moves = Array.from({ length: 2 * most + 1 }, (_, k) => (k % 2 ? (k + 1) / 2 : 0 - k / 2));
  return texts.map(({ middle, width }) => {
    const free = (/** @type {number} */ by) =>
      width > 0 && kept.every(other => Math.abs(other.middle - middle - by) >= (other.width + width) / 2 + apart);
    const move = moves.find(free) ?? null;
    if (move !== null) kept.push({ middle: middle + move, width });
    return move;
  });
}

/**
 * Systems that keep tiles from shrinking too far; 0 where even the most do not.
 * @param {Timeline} timeline @param {number} width @param {Record<string, number>} [pages] @param {number} [most]
 */
export function systemsFor(timeline, width, pages = {}, most = 2) {
  const loose = columnsOf(timeline, pages);
  const widest = (/** @type {number} */ systems) =>
    Math.max(
      ...breakInto(loose, systems).map(line => line.reduce((sum, { width: wide }) => sum + wide + TIGHT, -TIGHT)),
    );
  for (let systems = 1; systems <= most; systems++) if (widest(systems) * LEAST <= width) return systems;
  return 0;
}

/**
 * Cuts the columns where the widest line is narrowest, before a column of weights.
 * @template {{kind: string, width: number}} T
 * @param {T[]} columns
 * @param {number} systems
 * @returns {T[][]}
 */
function breakInto(columns, systems) {
  if (systems < 2 || columns.length < 4) return [columns];
  const widthOf = (/** @type {T[]} */ line) => line.reduce((sum, { width }) => sum + width + TIGHT, 0);
  const cuts = columns.flatMap(({ kind }, k) => (k > 1 && (kind === "weights" || k > columns.length - 3) ? [k] : []));
  const cost = (/** @type {number} */ k) => Math.max(widthOf(columns.slice(0, k)), widthOf(columns.slice(k)));
  const cut = cuts.sort((a, b) => cost(a) - cost(b))[0] ?? Math.ceil(columns.length / 2);
  return [columns.slice(0, cut), columns.slice(cut)];
}

/**
 * On a small screen: only what a phase reads and what it writes, side by side.
 * @param {Timeline} timeline
 * @param {number} phase
 * @param {number} width
 * @param {number} [margin]
 * @param {Record<string, number>} [pages]
 * @returns {Layout}
 */
export function pair(timeline, phase, width, margin = 16, pages = {}) {
  const whole = layout(timeline, 920, 0, pages);
  const { place, reads, part } = timeline.phases[phase];
  const find = (/** @type {string} */ prefix) =>
    whole.columns.flatMap(column =>
      column.blocks
        .filter(each => each.prefix === source(timeline, prefix) || each.next === prefix)
        .map(each => ({ column, each })),
    )[0];
  const named = (/** @type {ReturnType<typeof find>} */ found, /** @type {string} */ symbol) =>
    found && { ...found, symbol };
  const written = named(find(place), place.slice(place.indexOf("/") + 1));
  const read = reads
    .map(({ tensor, name }) => named(find(tensor), name))
    .find(found => found && found.each !== written?.each);
  const chosen = (part === "backward" ? [written, read] : [read, written]).filter(found => found !== undefined);
  const gap = 22;
  const share = (width - gap) / chosen.length;
  const wish = chosen.map(({ column, each }) =>
    spread(column, each, { width: width - gap - TALL, height: TALL, share }),
  );
  const least = wish.map(each => Math.max(NAMED, each.width));
  const scale = Math.min(1, (width - gap * (chosen.length - 1)) / least.reduce((sum, each) => sum + each, 0));
  const spare = width - scale * least.reduce((sum, each) => sum + each, 0);
  const height = chosen.length ? ROWS.name + TALL + ROWS.legend : 0;
  let x = margin + (chosen.length > 1 ? 0 : spare / 2);
  const columns = chosen.map(({ column, each, symbol }, k) => {
    const { tiles, look, name } = wish[k];
    const wide = least[k] * scale;
    const left = x;
    x += wide + spare / Math.max(1, chosen.length - 1);
    const made = block({ ...each, look, tiles }, left + (wide - wish[k].width * scale) / 2, ROWS.name, scale);
    return {
      ...column,
      name,
      symbol,
      kind: look === "tiles" ? /** @type {const} */ ("maps") : column.kind,
      x: left,
      y: 0,
      width: wide,
      height,
      system: 0,
      blocks: [made],
    };
  });
  return {
    width: width + 2 * margin,
    height,
    columns,
    blocks: columns.flatMap(({ blocks }) => blocks),
    systems: [0],
    rows: rowsOf(),
    connections: [],
  };
}

/**
 * A block's tiles set anew, as large as a box allows; bars are as long as their share of the width, beside their
 * digits.
 * @param {Column} column @param {Block} what @param {{width: number, height: number, share: number}} room
 */
function spread({ kind, layer, name }, what, { width, height, share }) {
  const { look, prefix, size } = what;
  if (look === "number") {
    return {
      tiles: what.tiles.map(tile => ({ ...tile, x: 0, y: (height - tile.height) / 2 })),
      look,
      name,
      width: LOSS,
    };
  }
  if (look === "bars") {
    const tiles = what.tiles.map(tile => ({ ...tile, x: BAR.digit, y: tile.y - what.y, width: share - BAR.digit }));
    return { tiles, look, name, width: share };
  }
  const set = look === "strip" ? vector(size).tiles : what.tiles;
  const [{ rows, cols }] = set;
  const count = set.length;
  let best = { side: 0, across: 1 };
  for (let across = 1; across <= count; across++) {
    const down = Math.ceil(count / across);
    const side = Math.min((width + GAP) / across - GAP, (((height + GAP) / down - GAP) * cols) / rows);
    if (side > best.side) best = { side, across };
  }
  const wide = best.side;
  const tall = (wide * rows) / cols;
  const tiles = set.map((tile, k) => ({
    ...tile,
    x: (k % best.across) * (wide + GAP),
    y: Math.floor(k / best.across) * (tall + GAP),
    width: wide,
    height: tall,
  }));
  const owner = kind === "bars" ? prefix.slice(0, prefix.indexOf("/")) : layer;
  return {
    tiles,
    look: /** @type {const} */ ("tiles"),
    width: boxOf(tiles).width,
    name: kind === "maps" && count > 1 ? `${owner}, ${count} maps` : owner,
  };
}

/**
 * What lies under a point: the block, its tile and the cell's flat position in the stored tensor.
 * @param {Layout} stage @param {number} x @param {number} y @param {number} [reach] how far beside a tile still counts
 * @returns {{block: Block, tile: Tile, flat: number}|null}
 */
export function hit(stage, x, y, reach = GAP / 2) {
  for (const block of stage.blocks) {
    if (
      x < block.x - reach ||
      x > block.x + block.width + reach ||
      y < block.y - reach ||
      y > block.y + block.height + reach
    )
      continue;
    for (const tile of block.tiles) {
      if (
        x < tile.x - reach ||
        x > tile.x + tile.width + reach ||
        y < tile.y - reach ||
        y > tile.y + tile.height + reach
      )
        continue;
      return { block, tile, flat: flatAt(tile, x, y) };
    }
  }
  return null;
}

/** The cell of a tile under a point. @param {Tile} tile @param {number} x @param {number} y */
function flatAt(tile, x, y) {
  const within = (/** @type {number} */ part, /** @type {number} */ count) =>
    Math.min(count - 1, Math.max(0, Math.floor(part * count)));
  return (
    tile.start +
    within((y - tile.y) / tile.height, tile.rows) * tile.cols +
    within((x - tile.x) / tile.width, tile.cols)
  );
}

/** The tile that shows a cell; null when its page is turned away. @param {Block} block @param {number} flat */
export const tileOf = (block, flat) =>
  block.tiles.find(({ start, rows, cols }) => flat >= start && flat < start + rows * cols) ?? null;

/** Where a cell is drawn. @param {Tile} tile @param {number} flat @returns {Box} */
export function cellBox(tile, flat) {
  const at = flat - tile.start;
  const width = tile.width / tile.cols;
  const height = tile.height / tile.rows;
  return { x: tile.x + (at % tile.cols) * width, y: tile.y + Math.floor(at / tile.cols) * height, width, height };
}

/** @param {Box[]} boxes @returns {Box} */
export function around(boxes) {
  const x = Math.min(...boxes.map(box => box.x));
  const y = Math.min(...boxes.map(box => box.y));
  return {
    x,
    y,
    width: Math.max(...boxes.map(box => box.x + box.width)) - x,
    height: Math.max(...boxes.map(box => box.y + box.height)) - y,
  };
}

/**
 * The nearest tile in a direction, for the arrow keys: first within the block, then over its edge.
 * @param {Layout} stage @param {{block: Block, tile: Tile}} from @param {number} dx @param {number} dy
 */
export function neighbour(stage, from, dx, dy) {
  const centre = (/** @type {Box} */ box) => [box.x + box.width / 2, box.y + box.height / 2];
  const [fx, fy] = centre(from.tile);
  let best = null;
  let least = Infinity;
  for (const block of stage.blocks) {
    for (const tile of block.tiles) {
      const [x, y] = centre(tile);
      const along = (x - fx) * dx + (y - fy) * dy;
      const beside = Math.abs((x - fx) * dy) + Math.abs((y - fy) * dx);
      if (along < 1 || tile === from.tile) continue;
      const distance = along + 3 * beside + (block === from.block ? 0 : 40);
      if (distance < least) {
        least = distance;
        best = { block, tile };
      }
    }
  }
  return best;
}

/**
 * Where the head of the racetrack stands for a phase: the system and the x of the far edge of its column.
 * @param {Layout} stage @param {Timeline} timeline @param {number} phase
 * @returns {{system: number, x: number, way: "forward"|"backward", turn: boolean}}
 */
export function headOf(stage, timeline, phase) {
  const { place, part } = timeline.phases[phase];
  const way = part === "backward" || part === "update" ? "backward" : "forward";
  const stored = source(timeline, place);
  const first = stage.columns[0];
  if (part === "update") return { system: 0, x: first.x, way, turn: false };
  const row = way === "forward" ? "values" : "gradients";
  const column = stage.columns.find(({ blocks }) => blocks.some(each => each.prefix === stored && each.row === row));
  if (!column) {
    // A tensor without a column: the head stays where the phase before left it.
    return phase > 0 ? headOf(stage, timeline, phase - 1) : { system: 0, x: first.x, way: "forward", turn: false };
  }
  if (column.kind === "loss") return { system: column.system, x: column.x + column.width, way, turn: true };
  const edge = way === "forward" ? column.x + column.width + 4 : column.x - 4;
  return { system: column.system, x: Math.max(edge, first.x), way, turn: false };
}

/**
 * Where the eye is to be during a phase: at the column that it writes, which for an update is that of its parameter;
 * else where the racetrack's head is.
 * @param {Layout} stage @param {Timeline} timeline @param {number} phase
 * @returns {{system: number, x: number, way: "forward"|"backward"}}
 */
export function sightOf(stage, timeline, phase) {
  const { place, part, layer } = timeline.phases[phase];
  if (part !== "update") return headOf(stage, timeline, phase);
  const own = stage.columns.find(({ blocks }) => blocks.some(({ next }) => next === place));
  const column = own ?? stage.columns.find(each => each.layer === layer);
  return column
    ? { system: column.system, x: column.x + column.width / 2, way: "forward" }
    : headOf(stage, timeline, phase);
}
