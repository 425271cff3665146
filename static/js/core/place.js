/**
 * A Place is `layer/tensor/index`, with a step `...@120`: one string for the URL, the store, the tests and the voice.
 */

const PLACE = /^([^/@]+)\/([^/@]+)(?:\/(\d+(?:,\d+)*))?(?:@(\d+))?$/;

/** @param {string} text @returns {Place} */
export function parse(text) {
  const match = PLACE.exec(text);
  if (!match) throw new TypeError(`a place is layer/tensor/index, as conv/y/0,1,2,3; got "${text}"`);
  const [, layer, tensor, index, step] = match;
  return {
    layer,
    tensor,
    index: index ? index.split(",").map(Number) : [],
    step: step === undefined ? null : Number(step),
  };
}

/** @param {{layer: string, tensor: string, index?: ArrayLike<number>, step?: number|null}} place */
export function format({ layer, tensor, index = [], step = null }) {
  const cell = index.length ? `/${Array.from(index).join(",")}` : "";
  return `${layer}/${tensor}${cell}${step === null ? "" : `@${step}`}`;
}

/** The tensor a place lies in: "conv1/y" of "conv1/y/0,5,12,14@120". @param {string} text */
export const prefixOf = text => {
  const { layer, tensor } = parse(text);
  return `${layer}/${tensor}`;
};

/**
 * The place of one cell of a tensor; a tensor of another step, "conv/w@119", keeps its step.
 * @param {string} prefix
 * @param {ArrayLike<number>} index
 */
export function at(prefix, index) {
  const [tensor, step] = prefix.split("@");
  const cell = index.length ? `/${Array.from(index).join(",")}` : "";
  return `${tensor}${cell}${step === undefined ? "" : `@${step}`}`;
}

/** Flat position of an index in scan order. @param {ArrayLike<number>} index @param {number[]} shape */
export function ravel(index, shape) {
  let flat = 0;
  for (let axis = 0; axis < shape.length; axis++) flat = flat * shape[axis] + index[axis];
  return flat;
}

/** Index of a flat position in scan order. @param {number} flat @param {number[]} shape @returns {number[]} */
export function unravel(flat, shape) {
  const index = new Array(shape.length);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = flat % shape[axis];
    flat = Math.floor(flat / shape[axis]);
  }
  return index;
}

/** Number of cells of a shape; a 0-d tensor has one. @param {number[]} shape */
export const sizeOf = shape => shape.reduce((product, extent) => product * extent, 1);

/** Whether an index names a cell of the shape. @param {ArrayLike<number>} index @param {number[]} shape */
export const holds = (shape, index) =>
  index.length === shape.length && shape.every((extent, axis) => index[axis] >= 0 && index[axis] < extent);

/**
 * The names of a tensor's axes, as they are spoken.
 * @param {number[]} shape @param {string} kind "weight" has no batch axis
 */
export function axisWords(shape, kind) {
  const maps = kind === "weight" ? ["kernel", "map"] : ["image", "map"];
  if (shape.length === 4) return [...maps, "row", "column"];
  if (shape.length === 2) return kind === "weight" ? ["output", "input"] : ["image", "number"];
  if (shape.length === 1) return ["number"];
  return shape.map((_, axis) => `axis ${axis}`);
}

/**
 * Where a cell is, in words: "map 5, row 12, column 14". Axes of one place are not worth saying.
 * @param {ArrayLike<number>} index @param {number[]} shape @param {string} kind
 */
export function spoken(index, shape, kind) {
  const words = axisWords(shape, kind);
  return words
    .map((word, axis) => (shape[axis] > 1 ? `${word} ${index[axis]}` : ""))
    .filter(Boolean)
    .join(", ");
}
