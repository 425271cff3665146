/** Kernels that everybody knows, and what can be done with one: pure functions of rows of numbers. */

/** @typedef {number[][]} Kernel */

/** Three by three, as they are laid over a picture (nothing is turned). */
const PRESETS = [
  {
    name: "identity",
    rows: [
      [0, 0, 0],
      [0, 1, 0],
      [0, 0, 0],
    ],
    words: "Each cell as it is. Everything else is left out.",
  },
  { name: "blur", rows: null, words: "The mean of the window: edges get soft." },
  {
    name: "sharpen",
    rows: [
      [0, -1, 0],
      [-1, 5, -1],
      [0, -1, 0],
    ],
    words: "The cell five times, less its four neighbours: what differs from its neighbours stands out.",
  },
  {
    name: "edge",
    rows: [
      [-1, -1, -1],
      [-1, 8, -1],
      [-1, -1, -1],
    ],
    words: "The cell eight times, less all neighbours: nothing is left where all are alike.",
  },
  {
    name: "Sobel x",
    rows: [
      [-1, 0, 1],
      [-2, 0, 2],
      [-1, 0, 1],
    ],
    words: "Right minus left. Blue where it gets darker to the right, red where lighter, white where nothing changes.",
  },
  {
    name: "Sobel y",
    rows: [
      [-1, -2, -1],
      [0, 0, 0],
      [1, 2, 1],
    ],
    words: "Below minus above. Blue where it gets darker downwards, red where it gets lighter.",
  },
  {
    name: "emboss",
    rows: [
      [-2, -1, 0],
      [-1, 1, 1],
      [0, 1, 2],
    ],
    words: "Lower right minus upper left, and the cell itself: as if light came from one side.",
  },
];

/** A three by three kernel in the middle of a larger one. @param {Kernel} rows @param {number} height */
function centred(rows, height, width = height) {
  const [top, left] = [(height - 3) / 2, (width - 3) / 2];
  return Array.from({ length: height }, (_, u) =>
    Array.from({ length: width }, (_, v) => rows[u - top]?.[v - left] ?? 0),
  );
}

/**
 * The kernels that there are in a size: all in odd sizes from three, the mean in any.
 * @param {number} height @param {number} width @returns {{name: string, rows: Kernel, words: string}[]}
 */
export function presets(height, width) {
  const odd = height % 2 === 1 && width % 2 === 1 && height >= 3 && width >= 3;
  const mean = Array.from({ length: height }, () => Array.from({ length: width }, () => 1 / (height * width)));
  return PRESETS.flatMap(({ name, rows, words }) =>
    rows === null ? [{ name, rows: mean, words }] : odd ? [{ name, rows: centred(rows, height, width), words }] : [],
  );
}

/** By 180 degrees. @param {Kernel} rows */
export const turned = rows => rows.map(row => row.toReversed()).toReversed();
/** Left and right change places. @param {Kernel} rows */
export const mirrored = rows => rows.map(row => row.toReversed());
/** A zero stays 0, never -0. @param {Kernel} rows */
export const negated = rows => rows.map(row => row.map(value => (value === 0 ? 0 : -value)));
/** @param {Kernel} rows */
export const sum = rows => rows.flat().reduce((a, b) => a + b, 0);
/** Divided by its sum, so that it keeps brightness; null where the sum is nothing to divide by. @param {Kernel} rows */
export function normalised(rows) {
  const whole = sum(rows);
  return Math.abs(whole) < 1e-6 ? null : rows.map(row => row.map(value => value / whole));
}

/** Whether two kernels are the same, as far as 32 bits tell. @param {Kernel} a @param {Kernel} b */
export const alike = (a, b) =>
  a.length === b.length && a.every((row, u) => row.every((value, v) => Math.abs(value - b[u][v]) < 1e-6));
