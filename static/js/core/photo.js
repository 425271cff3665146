/**
 * From a picture to what a network takes, stage by stage: grey or colour, inverted, cut at a threshold, cropped,
 * scaled. Digits are then centred as MNIST's are, by whoever calls.
 */

/**
 * @typedef {{channels: number, width: number, height: number, data: Float32Array}} Planes values 0..1, plane by plane
 * @typedef {{invert: boolean, threshold: number|null, crop: boolean}} Choices
 */

/** @param {ArrayLike<number>} rgba @param {number} width @param {number} height @returns {Planes} on white */
export function planesOf(rgba, width, height) {
  const cells = width * height;
  const data = new Float32Array(3 * cells);
  for (let k = 0; k < cells; k++) {
    const cover = rgba[4 * k + 3] / 255;
    for (let plane = 0; plane < 3; plane++) data[plane * cells + k] = (rgba[4 * k + plane] / 255) * cover + 1 - cover;
  }
  return { channels: 3, width, height, data };
}

/** How bright each pixel is to the eye (ITU-R BT.601, as Pillow has it). @param {Planes} from @returns {Planes} */
export function greyOf({ channels, width, height, data }) {
  if (channels === 1) return { channels, width, height, data };
  const cells = width * height;
  const grey = new Float32Array(cells);
  for (let k = 0; k < cells; k++) grey[k] = 0.299 * data[k] + 0.587 * data[cells + k] + 0.114 * data[2 * cells + k];
  return { channels: 1, width, height, data: grey };
}

/** @param {Planes} from @returns {Planes} */
export const inverted = from => ({ ...from, data: from.data.map(value => 1 - value) });

/** Whether the rim of a grey picture is light, as paper is. @param {Planes} grey */
export function isOnPaper({ width, height, data }) {
  const rim = [];
  for (let x = 0; x < width; x++) rim.push(data[x], data[(height - 1) * width + x]);
  for (let y = 0; y < height; y++) rim.push(data[y * width], data[y * width + width - 1]);
  rim.sort((a, b) => a - b);
  return rim[rim.length >> 1] > 0.5;
}

/**
 * The value that best parts ink from ground: the variance between the two is largest (Otsu, 1979).
 * @param {Planes} grey
 */
export function otsu({ data }) {
  const counts = new Array(256).fill(0);
  for (const value of data) counts[Math.round(255 * Math.min(1, Math.max(0, value)))] += 1;
  const total = data.length;
  const sum = counts.reduce((all, count, value) => all + count * value, 0);
  let below = 0;
  let sumBelow = 0;
  let best = 0;
  let found = 127;
  for (let value = 0; value < 255; value++) {
    below += counts[value];
    sumBelow += counts[value] * value;
    if (!below || below === total) continue;
    const apart = sumBelow / below - (sum - sumBelow) / (total - below);
    const between = below * (total - below) * apart * apart;
    if (between > best) [best, found] = [between, value];
  }
  return (found + 0.5) / 255;
}

/**
 * Nothing below the threshold, and what is above stretched so that its middle is full ink: edges stay soft.
 * @param {Planes} grey ink is light @param {number} threshold @returns {Planes}
 */
export function cutAt(grey, threshold) {
  const ink = Array.from(grey.data)
    .filter(value => value > threshold)
    .sort((a, b) => a - b);
  const full = ink.length ? ink[ink.length >> 1] : 1;
  const low = threshold / 2;
  const stretch = (/** @type {number} */ value) => Math.min(1, (value - low) / Math.max(1e-6, full - low));
  return { ...grey, data: grey.data.map(value => (value > threshold ? stretch(value) : 0)) };
}

/** The largest part in the middle with these proportions. @param {Planes} from @param {number} aspect width / height */
export function middleOf(from, aspect) {
  const width = Math.min(from.width, Math.max(1, Math.round(from.height * aspect)));
  const height = Math.min(from.height, Math.max(1, Math.round(from.width / aspect)));
  const left = (from.width - width) >> 1;
  const top = (from.height - height) >> 1;
  const data = new Float32Array(from.channels * width * height);
  for (let c = 0; c < from.channels; c++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        data[(c * height + y) * width + x] = from.data[(c * from.height + y + top) * from.width + x + left];
  return { channels: from.channels, width, height, data };
}

/** How much each of `from` cells covers of each of `to`. @param {number} from @param {number} to */
function shares(from, to) {
  return Array.from({ length: to }, (_, k) => {
    const [start, end] = [(k * from) / to, ((k + 1) * from) / to];
    const found = [];
    for (let at = Math.floor(start); at < end && at < from; at++) {
      const share = (Math.min(end, at + 1) - Math.max(start, at)) / (end - start);
      if (share > 1e-9) found.push({ at, share });
    }
    return found;
  });
}

/** Scaled by the area that each new pixel covers. @param {Planes} from @param {number} width @param {number} height */
export function scaled(from, width, height) {
  const [rows, columns] = [shares(from.height, height), shares(from.width, width)];
  const data = new Float32Array(from.channels * width * height);
  for (let c = 0; c < from.channels; c++) {
    const plane = from.data.subarray(c * from.width * from.height, (c + 1) * from.width * from.height);
    rows.forEach((row, y) =>
      columns.forEach((column, x) => {
        let mean = 0;
        for (const { at, share } of row)
          for (const part of column) mean += share * part.share * plane[at * from.width + part.at];
        data[(c * height + y) * width + x] = Math.round(255 * Math.min(1, Math.max(0, mean))) / 255;
      }),
    );
  }
  return { channels: from.channels, width, height, data };
}

/**
 * The stages, each with what it is called, to the last: what the network takes.
 * @param {Planes} picture @param {number[]} shape [channels, height, width] of the network's input
 * @param {Choices} choices
 * @param {((ink: Planes) => Float32Array|null)|null} centre for digits: how ink is cropped, scaled and centred
 * @returns {{words: string, planes: Planes}[]} fewer where there is no ink
 */
export function stagesOf(picture, [channels, height, width], { invert, threshold, crop }, centre) {
  const stages = [{ words: "as it came", planes: picture }];
  let now = picture;
  const next = (/** @type {string} */ words, /** @type {Planes} */ planes) => {
    now = planes;
    stages.push({ words, planes });
  };
  if (channels === 1) next("in grey", greyOf(now));
  if (invert) next("inverted", inverted(now));
  if (threshold !== null && channels === 1) next("cut at the threshold", cutAt(now, threshold));
  const centred = centre && crop ? centre(now) : null;
  if (centre && crop) {
    if (centred) next("cropped, scaled, centred", { channels: 1, width, height, data: centred });
    return centred ? stages : stages.slice(0, -1);
  }
  if (crop) next("cropped", middleOf(now, width / height));
  next(`scaled to ${height}×${width}`, scaled(now, width, height));
  return stages;
}

/** Rows of one plane, or of each of several, as the server takes them. @param {Planes} planes */
export function rowsOf({ channels, width, height, data }) {
  const plane = (/** @type {number} */ c) =>
    Array.from({ length: height }, (_, y) =>
      Array.from(data.subarray((c * height + y) * width, (c * height + y + 1) * width)),
    );
  return channels === 1 ? plane(0) : Array.from({ length: channels }, (_, c) => plane(c));
}
