/** A map of numbers: a canvas at data resolution, rings and hatches above it, one button that walks its cells. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import { html } from "../html.js";
import { paint, table } from "../../core/colour.js";
import { number } from "../../core/format.js";
import { at, parse } from "../../core/place.js";
import { cellPlace, lit, symbol as litSymbol } from "./step_state.js";
import { cellWords, pinned, place as opened, scheme, setHover, visit } from "../../state/store.js";

/** @param {number} px design pixels @returns {string} */
export const rem = px => `${px / 16}rem`;

/**
 * @typedef {{row: number, column: number, rows: number, columns: number, look: "ring"|"read"|"pin"}} Ring
 * @typedef {{pitch: number, before: number, after: number, size: number}} Side
 */

/** @param {Picture} picture @returns {Side[]} a plane as it is stored */
const bare = ({ rows, columns }) => [rows, columns].map(size => ({ pitch: 1, before: 0, after: 0, size }));

/**
 * @param {{picture: Picture, range: number, cell: number, sides?: Side[], rings?: Ring[], name?: string, label: string,
 *   fading?: boolean, glide?: boolean, still?: boolean}} props
 */
export function Heat({
  picture,
  range,
  cell,
  sides = bare(picture),
  rings = [],
  name = "",
  label,
  fading = false,
  glide = false,
}) {
  const { prefix, kind, rows, columns, data, offset, holes, tile } = picture;
  const canvas = useRef(/** @type {HTMLCanvasElement|null} */ (null));
  const [walked, walk] = useState(/** @type {number[]|null} */ (null));
  const [down, across] = sides;
  const [row, column] = walked ?? current(picture);
  const theme = scheme.value;
  useLayoutEffect(
    () => draw(/** @type {HTMLCanvasElement} */ (canvas.current), picture, sides, range, theme),
    [data, offset, rows, columns, kind, range, theme, down.pitch, down.before, down.size, across.size],
  );

  const padded = down.before + down.after + across.before + across.after > 0 || down.pitch > 1 || across.pitch > 1;
  const [r0, c0] = [Math.min(row, rows - 1), Math.min(column, columns - 1)];
  /** Where there is no prefix the picture is worked out here and has no places. */
  const placeAt = (/** @type {number} */ r, /** @type {number} */ c) => at(prefix, picture.indexAt(r, c));
  const valueAt = (/** @type {number} */ r, /** @type {number} */ c) => data[offset + r * columns + c];
  const isThere = (/** @type {number} */ r, /** @type {number} */ c) =>
    !Number.isNaN(valueAt(r, c)) &&
    !holes.some(
      hole => r >= hole.row && r < hole.row + hole.rows && c >= hole.column && c < hole.column + hole.columns,
    );

  /** @param {{clientX: number, clientY: number, currentTarget: any}} event */
  const cellUnder = ({ clientX, clientY, currentTarget }) => {
    const box = currentTarget.getBoundingClientRect();
    const r = (Math.floor(((clientY - box.top) / box.height) * down.size) - down.before) / down.pitch;
    const c = (Math.floor(((clientX - box.left) / box.width) * across.size) - across.before) / across.pitch;
    const there = Number.isInteger(r) && Number.isInteger(c) && r >= 0 && c >= 0 && r < rows && c < columns;
    return there ? /** @type {[number, number]} */ ([r, c]) : null;
  };
  /** What is pointed at is told again when the picture changes beneath. */
  const under = useRef(/** @type {[number, number]|null} */ (null));
  const point = (/** @type {[number, number]|null} */ on) => {
    under.current = on;
    setHover(on && isThere(on[0], on[1]) ? { place: placeAt(on[0], on[1]) } : null);
  };
  useEffect(() => {
    if (under.current) point(under.current);
  }, [data, offset, prefix, holes.map(({ row: top, column: left }) => `${top},${left}`).join(" ")]);
  const onClick = (/** @type {any} */ event) => {
    const on = cellUnder(event);
    if (!on) return;
    walk(on);
    if (isThere(on[0], on[1])) visit(placeAt(on[0], on[1]));
  };
  /** A drag takes the figure along. @param {any} event */
  const onPointerMove = event => {
    const on = cellUnder(event);
    const before = under.current;
    point(on);
    const dragged = event.buttons === 1 && event.pointerType !== "touch";
    if (dragged && on && (on[0] !== before?.[0] || on[1] !== before?.[1])) onClick(event);
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const to = moved(event.key, r0, c0, rows, columns);
    if (!to) return;
    event.preventDefault();
    walk(to);
    point(to);
  };

  const held = pinned.value ? lights(new Set([pinned.value]), picture, sides, "pin") : [];
  const boxes = [...rings, ...lights(lit.value, picture, sides), ...held];
  const placed = (/** @type {number} */ r, /** @type {number} */ c, height = 1, width = 1) =>
    `left:${rem(cell * c)};top:${rem(cell * r)};width:${rem(cell * width)};height:${rem(cell * height)}`;
  const hidden = !isThere(r0, c0);
  const words =
    prefix === ""
      ? ""
      : cellWords(at(prefix, picture.indexAt(r0, c0)), hidden ? "not computed yet" : number(valueAt(r0, c0)));
  const mute = prefix === "";
  const tiled = tile.rows < rows || tile.columns < columns;
  return html`<div class="heat ${padded ? "padded" : ""} ${fading ? "fading" : ""} ${glide ? "glide" : ""} ${
    name && litSymbol.value === name ? "linked" : ""
  }" role=${mute ? "img" : "group"} aria-label=${label}
    style="width:${rem(cell * across.size)};height:${rem(cell * down.size)}"
    onPointerMove=${mute ? undefined : onPointerMove} onPointerLeave=${mute ? undefined : () => point(null)}
      onClick=${mute ? undefined : onClick}>
    <canvas ref=${canvas} style="width:100%;height:100%"></canvas>
    <div class="plane ${tiled ? "tiled" : ""} ${cell >= 4 && down.pitch === 1 ? "lined" : ""}" style="${placed(
      down.before,
      across.before,
      (rows - 1) * down.pitch + 1,
      (columns - 1) * across.pitch + 1,
    )};--cell:${rem(cell)};--tile-w:${rem(cell * tile.columns)};--tile-h:${rem(cell * tile.rows)}">
      ${holes.map(
        hole => html`<div class="notyet hatch" title="not computed yet"
        style=${placed(
          hole.row * down.pitch,
          hole.column * across.pitch,
          hole.rows * down.pitch,
          hole.columns * across.pitch,
        )}></div>`,
      )}
    </div>
    ${boxes.map(
      (box, k) => html`<div key=${k} class="box ${box.look}"
      style=${placed(box.row, box.column, box.rows, box.columns)}></div>`,
    )}
    ${
      !mute &&
      html`<button class="cursor" data-place=${placeAt(r0, c0)} aria-label=${words} aria-disabled=${hidden}
      onKeyDown=${onKeyDown} onClick=${(/** @type {Event} */ event) => {
        event.stopPropagation();
        if (!hidden) visit(placeAt(r0, c0));
      }} onFocus=${() => point([r0, c0])} onBlur=${() => point(null)}
      style=${placed(r0 * down.pitch + down.before, c0 * across.pitch + across.before)}></button>`
    }
  </div>`;
}

/**
 * Where the Tab key enters: the pinned cell, else the opened one, else the one that is written.
 * @param {Picture} picture
 */
function current({ prefix, spotOf }) {
  for (const place of [pinned.value, opened.value, cellPlace.value]) {
    const { layer, tensor, index } = place ? parse(place) : { layer: "", tensor: "", index: [] };
    const spot = place && `${layer}/${tensor}` === prefix ? spotOf(index) : null;
    if (spot) return spot;
  }
  return [0, 0];
}

/**
 * The rings of what is lit in this picture.
 * @param {Set<string>} places
 * @param {Picture} picture
 * @param {Side[]} sides
 * @param {Ring["look"]} [look]
 * @returns {Ring[]}
 */
function lights(places, picture, [down, across], look = "ring") {
  /** @type {Ring[]} */
  const found = [];
  for (const place of places) {
    const { layer, tensor, index } = parse(place);
    const spot = `${layer}/${tensor}` === picture.prefix ? picture.spotOf(index) : null;
    if (spot) {
      found.push({
        row: spot[0] * down.pitch + down.before,
        column: spot[1] * across.pitch + across.before,
        rows: 1,
        columns: 1,
        look,
      });
    }
  }
  return found;
}

/**
 * Where a key leads in a grid, null for other keys.
 * @param {string} key @param {number} row @param {number} column @param {number} rows @param {number} columns
 * @returns {[number, number]|null}
 */
export function moved(key, row, column, rows, columns) {
  const [r, c] = {
    ArrowLeft: [row, column - 1],
    ArrowRight: [row, column + 1],
    ArrowUp: [row - 1, column],
    ArrowDown: [row + 1, column],
    Home: [0, 0],
    End: [rows - 1, columns - 1],
  }[key] ?? [NaN, NaN];
  if (Number.isNaN(r)) return null;
  return [Math.min(rows - 1, Math.max(0, r)), Math.min(columns - 1, Math.max(0, c))];
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Picture} picture
 * @param {Side[]} sides
 * @param {number} range
 * @param {any} theme
 */
function draw(canvas, { data, offset, rows, columns, kind }, [down, across], range, theme) {
  canvas.width = across.size;
  canvas.height = down.size;
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = pen.createImageData(across.size, down.size);
  const pixels = new Uint32Array(image.data.buffer);
  const colours = table(kind, theme);
  const line = new Uint32Array(columns);
  for (let row = 0; row < rows; row++) {
    paint(line, data, offset + row * columns, columns, range, colours);
    const start = (row * down.pitch + down.before) * across.size + across.before;
    for (let column = 0; column < columns; column++) {
      if (!Number.isNaN(data[offset + row * columns + column])) pixels[start + column * across.pitch] = line[column];
    }
  }
  pen.putImageData(image, 0, 0);
}
