/** Maps, kernels and digits as coloured cells on one canvas; the images of a data set, fetched as PNG. */

import { effect } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

import { largest, paint, roundUp, table } from "../../core/colour.js";
import { pictureOf } from "../../net/requests.js";
import { viewport, scheme } from "../../state/store.js";
import { html } from "../html.js";

/**
 * @typedef {{data: ArrayLike<number>, count: number, rows: number, columns: number, kind: Kind, range: number,
 *   coloured?: boolean}} Picture coloured: three planes of 0..1 for each tile, red, green and blue
 */

const atlas = document.createElement("canvas");

/**
 * Draws `count` tiles in a grid, each cell as sharp as the screen allows.
 * @param {HTMLCanvasElement} canvas its size in device pixels is set @param {Picture} picture
 * @param {{across: number, width: number, height: number, gap: number, frame: number}} grid in pixels of the screen
 */
function draw(canvas, { data, count, rows, columns, kind, range, coloured }, { across, width, height, gap, frame }) {
  const down = Math.ceil(count / across);
  canvas.width = Math.round(across * width + (across - 1) * gap);
  canvas.height = Math.round(down * height + (down - 1) * gap);
  atlas.width = columns;
  atlas.height = rows * count;
  const image = new ImageData(columns, rows * count);
  if (coloured) mix(image.data, data, rows * columns);
  else paint(new Uint32Array(image.data.buffer), data, 0, rows * columns * count, range, table(kind, scheme.value));
  const source = /** @type {CanvasRenderingContext2D} */ (atlas.getContext("2d", { willReadFrequently: true }));
  source.putImageData(image, 0, 0);
  const target = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  target.imageSmoothingEnabled = false;
  target.fillStyle = getComputedStyle(canvas).getPropertyValue("--rule");
  for (let k = 0; k < count; k++) {
    const left = Math.round((k % across) * (width + gap));
    const top = Math.round(Math.floor(k / across) * (height + gap));
    const wide = Math.round(width);
    const high = Math.round(height);
    if (frame) target.fillRect(left, top, wide, high);
    target.drawImage(atlas, 0, k * rows, columns, rows, left + frame, top + frame, wide - 2 * frame, high - 2 * frame);
  }
}

/**
 * Planes of red, green and blue as the colours of pixels.
 * @param {Uint8ClampedArray} pixels @param {ArrayLike<number>} data @param {number} cells of a plane
 */
function mix(pixels, data, cells) {
  for (let at = 0; at < pixels.length / 4; at++) {
    const tile = Math.floor(at / cells);
    const first = 3 * cells * tile + (at % cells);
    for (let plane = 0; plane < 3; plane++) pixels[4 * at + plane] = 255 * data[first + plane * cells];
    pixels[4 * at + 3] = 255;
  }
}

/**
 * Tiles that follow the store without rendering anything anew: `picture` is asked again when a signal it read changes.
 * @param {{picture: () => Picture|null, across: number, width: number, height?: number, gap?: number, framed?: boolean,
 *   label?: string, name?: string}} props sizes of one tile, its frame included, in design pixels
 */
export function Tiles({ picture, across, width, height = width, gap = 0, framed = false, label, name = "" }) {
  const canvas = useRef(/** @type {HTMLCanvasElement|null} */ (null));
  useLayoutEffect(
    () =>
      effect(() => {
        const element = canvas.current;
        const now = picture();
        const unit = viewport.value.scale * devicePixelRatio;
        if (!element || !now) return;
        const frame = framed ? Math.max(1, Math.round(unit)) : 0;
        draw(element, now, { across, width: width * unit, height: height * unit, gap: gap * unit, frame });
        const down = Math.ceil(now.count / across);
        element.dataset.drawn = "";
        element.style.width = `${(across * width + (across - 1) * gap) / 16}rem`;
        element.style.height = `${(down * height + (down - 1) * gap) / 16}rem`;
      }),
    [picture, across, width, height, gap, framed],
  );
  return label
    ? html`<canvas ref=${canvas} class=${name} role="img" aria-label=${label} width="1" height="1" />`
    : html`<canvas ref=${canvas} class=${name} aria-hidden="true" width="1" height="1" />`;
}

/**
 * Values as one picture: of three planes in colour, of another number of them side by side the first.
 * @param {ArrayLike<number>} data @param {number[]} shape [channels, rows, columns]
 * @returns {Picture}
 */
export function pictureOfValues(data, [channels, rows, columns]) {
  const coloured = channels === 3 && Array.from(data).every(value => value >= 0 && value <= 1);
  const range = roundUp(Math.max(1, largest(data)));
  return { data, count: 1, rows, columns, kind: "value", range, coloured };
}

/**
 * One image, its longer side `width` wide.
 * @param {{image: ArrayLike<number>, shape?: number[], width: number, label?: string}} props without a shape it is
 *   square and has one channel
 */
export function Digit({ image, shape, width, label }) {
  const side = Math.sqrt(image.length);
  const [channels, rows, columns] = shape ?? [1, side, side];
  const picture = useMemo(() => {
    const made = pictureOfValues(image, [channels, rows, columns]);
    return () => made;
  }, [image, channels, rows, columns]);
  const most = Math.max(rows, columns);
  return html`<${Tiles} picture=${picture} across=${1} width=${(width * columns) / most}
    height=${(width * rows) / most} label=${label} name="digit" />`;
}

/** @typedef {{values: Float32Array, shape: number[]}} Values */

/** @type {Map<string, Promise<Values>>} */
const kept = new Map();
const KEPT = 1500;

/**
 * The values 0..1 of a picture: one plane where it is grey, else three.
 * @param {string} address @returns {Promise<Values>}
 */
async function valuesOf(address) {
  const picture = new Image();
  picture.src = address;
  await picture.decode();
  const { width, height } = picture;
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  pen.drawImage(picture, 0, 0);
  const { data } = pen.getImageData(0, 0, width, height);
  const cells = width * height;
  const grey = data.every((value, at) => at % 4 === 3 || value === data[at - (at % 4)]);
  const channels = grey ? 1 : 3;
  const values = Float32Array.from(
    { length: channels * cells },
    (_, k) => data[4 * (k % cells) + Math.floor(k / cells)] / 255,
  );
  return { values, shape: [channels, height, width] };
}

/** @param {string} address */
function pictureAt(address) {
  let values = kept.get(address);
  if (!values) {
    values = valuesOf(address);
    values.catch(() => kept.delete(address));
    kept.set(address, values);
    if (kept.size > KEPT) kept.delete(/** @type {string} */ (kept.keys().next().value));
  }
  return values;
}

/**
 * An image of a data set, hatched until it is here.
 * @param {{dataset: string, split: string, index: number, width: number}} props width in design pixels
 */
export function Thumb({ dataset, split, index, width }) {
  const [image, setImage] = useState(/** @type {Values|null} */ (null));
  useEffect(() => {
    let wanted = true;
    pictureAt(pictureOf(dataset, split, index)).then(
      found => wanted && setImage(found),
      () => {},
    );
    return () => {
      wanted = false;
    };
  }, [dataset, split, index]);
  const side = `${width / 16}rem`;
  return image
    ? html`<${Digit} image=${image.values} shape=${image.shape} width=${width} />`
    : html`<i class="hatch unfetched" style=${{ width: side, height: side }} />`;
}
