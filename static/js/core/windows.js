/**
 * How a read moves with the cell that is written. Along each axis a read sits at
 * (offset + sum of coefficient * letter) / pitch; where that is no whole number there is nothing to read (a gap),
 * and where it lies outside the tensor there is padding. A negative coefficient of a bound letter turns the
 * window, a pitch spreads it; an axis that is null goes through an index tensor and is known only to the values.
 */

/** Position along an axis before the pitch divides it. @param {Axis} axis @param {Letters} letters */
export function raw(axis, letters) {
  let position = axis.offset;
  for (const letter in axis.letters) position += axis.letters[letter] * (letters[letter] ?? 0);
  return position;
}

/** Position along an axis, null in a gap. @param {Axis} axis @param {Letters} letters */
export function positionOn(axis, letters) {
  const position = raw(axis, letters);
  return position % axis.pitch === 0 ? position / axis.pitch : null;
}

/** Every assignment of the letters in scan order. @param {Letters} counts @returns {Generator<Letters>} */
export function* every(counts) {
  const names = Object.keys(counts);
  const letters = Object.fromEntries(names.map(name => [name, 0]));
  if (names.some(name => counts[name] < 1)) return;
  for (;;) {
    yield { ...letters };
    let axis = names.length - 1;
    while (axis >= 0 && ++letters[names[axis]] === counts[names[axis]]) letters[names[axis--]] = 0;
    if (axis < 0) return;
  }
}

/** The bound letters that a read uses. @param {Read} read @param {Letters} bound */
export function lettersUsed(read, bound) {
  return Object.fromEntries(
    Object.entries(bound).filter(([letter]) => read.axes.some(axis => axis && letter in axis.letters)),
  );
}

/**
 * Every cell the read touches for one written cell, in the order of the sum.
 * @param {Read} read
 * @param {Letters} free values of the free letters
 * @param {Letters} bound counts of the bound letters
 * @returns {{at: Letters, index: (number|null)[]}[]} index: null on an axis in a gap or through an index tensor
 */
export function cellsOf(read, free, bound) {
  return Array.from(every(lettersUsed(read, bound)), at => {
    const letters = { ...free, ...at };
    return { at, index: read.axes.map(axis => axis && positionOn(axis, letters)) };
  });
}

/**
 * Lowest and highest of a linear form over ranges of its letters.
 * @param {Axis} axis
 * @param {Letters} fixed
 * @param {Letters} counts
 */
function reach(axis, fixed, counts) {
  let low = axis.offset;
  let high = axis.offset;
  for (const letter in axis.letters) {
    const coefficient = axis.letters[letter];
    if (letter in fixed) {
      low += coefficient * fixed[letter];
      high += coefficient * fixed[letter];
    } else {
      const far = coefficient * ((counts[letter] ?? 1) - 1);
      low += Math.min(0, far);
      high += Math.max(0, far);
    }
  }
  return { low: low / axis.pitch, high: high / axis.pitch };
}

/**
 * The box a read covers for one written cell: lowest and highest position per axis, null through an index tensor.
 * With a pitch the ends may be fractions: the box then lies between cells of the tensor as it is stored.
 * @param {Read} read @param {Letters} free @param {Letters} bound
 * @returns {({low: number, high: number}|null)[]}
 */
export const boxOf = (read, free, bound) => read.axes.map(axis => axis && reach(axis, free, bound));

/**
 * The lowest and highest position that any written cell reaches: what lies outside the tensor is padding.
 * @param {Read} read @param {Letters} freeCounts @param {Letters} boundCounts
 */
export const extents = (read, freeCounts, boundCounts) =>
  read.axes.map(axis => axis && reach(axis, {}, { ...freeCounts, ...boundCounts }));

/** Cells of padding before and after an axis of `extent` cells, counted in the spread-out picture. */
export function padding(
  /** @type {Read} */ read,
  /** @type {number[]} */ shape,
  /** @type {Letters} */ freeCounts,
  /** @type {Letters} */ boundCounts,
) {
  return extents(read, freeCounts, boundCounts).map((end, axis) => {
    if (!end) return { before: 0, after: 0 };
    const pitch = pitchOf(read, axis);
    return {
      before: Math.max(0, Math.round(-end.low * pitch)),
      after: Math.max(0, Math.round((end.high - (shape[axis] - 1)) * pitch)),
    };
  });
}

/**
 * The divisor of an axis: how far apart its cells stand in the spread-out picture.
 * @param {Read} read
 * @param {number} axis
 */
export const pitchOf = (read, axis) => read.axes[axis]?.pitch ?? 1;

/**
 * The flat window a read takes from one written cell: positions of one read moved by two bound letters.
 * @param {Read} read @param {Letters} bound
 * @returns {{axis: number, letter: string, coefficient: number}[]} the axes that slide, in order
 */
export function slides(read, bound) {
  return read.axes.flatMap((axis, at) =>
    Object.entries(axis?.letters ?? {})
      .filter(([letter]) => letter in bound && bound[letter] > 1)
      .map(([letter, coefficient]) => ({ axis: at, letter, coefficient })),
  );
}
