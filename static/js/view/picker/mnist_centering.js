// From a pen's strokes to an MNIST image: ink with soft edges, its longer side scaled to 20 pixels, placed by its
// centre of mass in 28 x 28 (LeCun, Cortes and Burges, "The MNIST database of handwritten digits").

export const SIDE = 28;
const BOX = 20;

/** @param {number} size @returns {Pad} an empty square pad */
export const emptyPad = size => ({ width: size, height: size, data: new Float32Array(size * size) });

/**
 * Draws one straight piece of a stroke with a round pen: each pixel takes the ink of its distance to the piece,
 * falling from 1 to 0 across one pixel at the edge.
 * @param {Pad} pad @param {Point} from @param {Point} to @param {number} radius in pixels
 */
export function drawPiece(pad, from, to, radius) {
  const reach = radius + 1;
  const left = Math.max(0, Math.floor(Math.min(from[0], to[0]) - reach));
  const right = Math.min(pad.width - 1, Math.ceil(Math.max(from[0], to[0]) + reach));
  const top = Math.max(0, Math.floor(Math.min(from[1], to[1]) - reach));
  const bottom = Math.min(pad.height - 1, Math.ceil(Math.max(from[1], to[1]) + reach));
  const dx = to[0] - from[0];
  const dy = to[1] - from[1];
  const squared = dx * dx + dy * dy;
  for (let row = top; row <= bottom; row++) {
    for (let column = left; column <= right; column++) {
      const x = column + 0.5 - from[0];
      const y = row + 0.5 - from[1];
      const along = squared === 0 ? 0 : Math.min(1, Math.max(0, (x * dx + y * dy) / squared));
      const ink = radius + 0.5 - Math.hypot(x - along * dx, y - along * dy);
      const at = row * pad.width + column;
      if (ink > pad.data[at]) pad.data[at] = Math.min(1, ink);
    }
  }
}

/** @param {Pad} pad @param {Point[]} stroke one point or more @param {number} radius in pixels */
export function drawStroke(pad, stroke, radius) {
  stroke.forEach((point, k) => drawPiece(pad, stroke[Math.max(0, k - 1)], point, radius));
}

/**
 * The smallest box that holds all ink, or null when there is none.
 * @param {Ink} ink @returns {{left: number, top: number, width: number, height: number} | null}
 */
export function boxOf(ink) {
  let left = ink.width;
  let right = -1;
  let top = ink.height;
  let bottom = -1;
  for (let row = 0; row < ink.height; row++) {
    for (let column = 0; column < ink.width; column++) {
      if (!(ink.data[row * ink.width + column] > 0)) continue;
      left = Math.min(left, column);
      right = Math.max(right, column);
      top = Math.min(top, row);
      bottom = row;
    }
  }
  return right < 0 ? null : { left, top, width: right - left + 1, height: bottom - top + 1 };
}

/**
 * How much of each source pixel falls into each of `count` cells of width `scale`, the cells centred on the source.
 * @param {number} start first source pixel
 * @param {number} length source pixels
 * @param {number} scale source pixels a cell
 * @returns {{pixel: number, share: number}[][]} per cell; the shares of a fully covered cell add up to 1
 */
function coverage(start, length, scale) {
  const count = Math.max(1, Math.ceil(length / scale - 1e-9));
  const origin = start + (length - count * scale) / 2;
  return Array.from({ length: count }, (_, cell) => {
    const from = Math.max(start, origin + cell * scale);
    const to = Math.min(start + length, origin + (cell + 1) * scale);
    const shares = [];
    for (let pixel = Math.floor(from); pixel < to; pixel++) {
      shares.push({ pixel, share: (Math.min(to, pixel + 1) - Math.max(from, pixel)) / scale });
    }
    return shares;
  });
}

/** @param {number[]} values */
const sum = values => values.reduce((total, value) => total + value, 0);

/** The centre of mass of a row of weights, rounded to a position. @param {number[]} weights */
const middle = weights => Math.floor(sum(weights.map((weight, k) => weight * k)) / sum(weights) + 0.5);

/**
 * The image MNIST would have made of this ink: 28 x 28 values 0..1 in steps of 1/255, as the files have them, or null
 * when there is no ink. Placing moves by whole pixels, so that the centre of mass rounds to row 14, column 14, which
 * holds for every image of the set: a real digit passes through unchanged.
 * @param {Ink} ink @returns {Float32Array | null}
 */
export function centred(ink) {
  const box = boxOf(ink);
  if (!box) return null;
  const scale = Math.max(box.width, box.height) / BOX;
  const columns = coverage(box.left, box.width, scale);
  const rows = coverage(box.top, box.height, scale);
  const small = rows.map(row =>
    columns.map(column => {
      let mean = 0;
      for (const y of row) for (const x of column) mean += y.share * x.share * ink.data[y.pixel * ink.width + x.pixel];
      return mean;
    }),
  );
  const down = SIDE / 2 - middle(small.map(sum));
  const across = SIDE / 2 - middle(columns.map((_, k) => sum(small.map(row => row[k]))));
  const image = new Float32Array(SIDE * SIDE);
  small.forEach((row, i) =>
    row.forEach((value, j) => {
      const y = i + down;
      const x = j + across;
      if (y < 0 || x < 0 || y >= SIDE || x >= SIDE) return;
      image[y * SIDE + x] = Math.round(Math.min(1, value) * 255) / 255;
    }),
  );
  return image;
}
