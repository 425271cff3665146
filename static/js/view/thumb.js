/** Small pictures of a data set's images, fetched as PNG and shown in the colours of values. */

import { useEffect, useState } from "preact/hooks";

import { address } from "../net.js";
import { html } from "./html.js";
import { Digit } from "./tiles.js";

/** @type {Map<string, Promise<Float32Array>>} */
const kept = new Map();
const KEPT = 1500;

/** The values 0..1 of a picture, one a pixel. @param {string} path */
async function valuesOf(path) {
  const picture = new Image();
  picture.src = address(path);
  await picture.decode();
  const { width, height } = picture;
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  pen.drawImage(picture, 0, 0);
  const { data } = pen.getImageData(0, 0, width, height);
  return Float32Array.from({ length: width * height }, (_, k) => data[4 * k] / 255);
}

/** @param {string} path */
function picture(path) {
  let values = kept.get(path);
  if (!values) {
    values = valuesOf(path);
    values.catch(() => kept.delete(path));
    kept.set(path, values);
    if (kept.size > KEPT) kept.delete(/** @type {string} */ (kept.keys().next().value));
  }
  return values;
}

/** @param {{dataset: string, split: string, index: number, width: number}} props width in design pixels */
export function Thumb({ dataset, split, index, width }) {
  const [image, setImage] = useState(/** @type {Float32Array|null} */ (null));
  useEffect(() => {
    let wanted = true;
    picture(`api/datasets/${dataset}/${split}/${index}`).then((values) => wanted && setImage(values), () => {});
    return () => {
      wanted = false;
    };
  }, [dataset, split, index]);
  const side = `${width / 16}rem`;
  return image ? html`<${Digit} image=${image} width=${width} />`
    : html`<i class="hatch unfetched" style=${{ width: side, height: side }} />`;
}
