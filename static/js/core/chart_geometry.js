// The geometry of the training curves: numbers in, numbers out.

/** @param {Frame} frame @param {number} step @returns {number} pixels from the left */
export const xOf = (frame, step) =>
  frame.left + ((step - frame.first) / Math.max(1, frame.last - frame.first)) * (frame.right - frame.left);

/** @param {Frame} frame @param {number} value @returns {number} pixels from above */
export const yOf = (frame, value) => frame.below - (value / frame.top) * (frame.below - frame.above);

/** @param {Frame} frame @param {number} x @returns {number} the step nearest to x, within the frame */
export function stepAt(frame, x) {
  const share = Math.min(1, Math.max(0, (x - frame.left) / (frame.right - frame.left)));
  return Math.round(frame.first + share * (frame.last - frame.first));
}

/** @param {number} count recorded steps @returns {number} steps that the smoothed line averages over */
export const spanOf = count => Math.max(Math.min(20, Math.ceil(count / 4)), Math.round(count / 50));

/**
 * An exponential mean that looks back over about `span` values and counts the first ones fully.
 * @param {ArrayLike<number>} values @param {number} span @returns {Float64Array}
 */
export function smoothed(values, span) {
  const fade = 1 - 2 / (span + 1);
  const out = new Float64Array(values.length);
  let mean = 0;
  let weight = 0;
  for (let k = 0; k < values.length; k++) {
    weight = weight * fade + 1;
    mean += (values[k] - mean) / weight;
    out[k] = mean;
  }
  return out;
}

/**
 * The largest of 1, 2, 5 x 10^k that leaves at least `count` intervals.
 * @param {number} extent
 * @param {number} count
 */
function interval(extent, count) {
  const rough = extent / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([5, 2, 1].find(factor => factor * power <= rough * (1 + 1e-9)) ?? 1);
}

/** @param {number} top @param {number} [count] @returns {number[]} round values from 0 to at most `top` */
export function valueTicks(top, count = 2) {
  if (!(top > 0)) return [0];
  const size = interval(top, count);
  return Array.from({ length: Math.floor(top / size + 1e-9) + 1 }, (_, k) => k * size);
}

/** @param {number} last @param {number} [count] @returns {number[]} step 1 and round steps up to `last` */
export function stepTicks(last, count = 3) {
  if (last <= 1) return [1];
  const size = Math.max(1, interval(last, count));
  const round = Array.from({ length: Math.floor(last / size + 1e-9) }, (_, k) => (k + 1) * size);
  return [1, ...round.filter(step => step > 1 && (step - 1) / last > 0.08)];
}

/**
 * Ends of epochs, thinned so that no more than `most` are drawn.
 * @param {number} perEpoch steps an epoch @param {number} last @param {number} [most]
 * @returns {{epoch: number, step: number}[]}
 */
export function epochEnds(perEpoch, last, most = 5) {
  const finished = perEpoch > 0 ? Math.floor(last / perEpoch) : 0;
  const every = Math.ceil(finished / most) || 1;
  return Array.from({ length: Math.floor(finished / every) }, (_, k) => (k + 1) * every).map(epoch => ({
    epoch,
    step: epoch * perEpoch,
  }));
}

/**
 * A line of many points reduced to what can be seen: within each pixel column its first, lowest, highest and last
 * value.
 * @param {Frame} frame @param {ArrayLike<number>} steps rising @param {ArrayLike<number>} values
 * @returns {[number, number][]} points in pixels
 */
export function lineOf(frame, steps, values) {
  /** @type {[number, number][]} */
  const points = [];
  let from = 0;
  while (from < steps.length) {
    const column = Math.round(xOf(frame, steps[from]));
    let low = from;
    let high = from;
    let end = from;
    while (end + 1 < steps.length && Math.round(xOf(frame, steps[end + 1])) === column) {
      end += 1;
      if (values[end] < values[low]) low = end;
      if (values[end] > values[high]) high = end;
    }
    for (const k of new Set([from, Math.min(low, high), Math.max(low, high), end])) {
      points.push([xOf(frame, steps[k]), yOf(frame, values[k])]);
    }
    from = end + 1;
  }
  return points;
}

/**
 * Heights for labels beside line ends: as near to their lines as a gap between them and the frame allow, order kept.
 * @param {number[]} heights wanted, in pixels @param {number} gap @param {number} lowest largest height allowed
 * @returns {number[]} in the order given
 */
export function spread(heights, gap, lowest) {
  const order = heights.map((_, k) => k).sort((a, b) => heights[a] - heights[b]);
  const out = [...heights];
  order.forEach((k, rank) => {
    if (rank > 0) out[k] = Math.max(out[k], out[order[rank - 1]] + gap);
  });
  let limit = lowest;
  for (const k of order.reverse()) {
    out[k] = Math.min(out[k], limit);
    limit = out[k] - gap;
  }
  return out;
}

/**
 * Where a step is, or would be, among rising steps.
 * @param {ArrayLike<number>} steps
 * @param {number} step
 * @returns {number} index of the last entry that is at most `step`, or -1
 */
export function indexAt(steps, step) {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] <= step) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
