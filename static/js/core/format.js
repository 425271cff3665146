/** Numbers as they are printed: three decimals, a true minus, "0" only for exactly zero. */

const MINUS = "\u2212";
/** From here on a number is written with a power of ten, and below SMALL. */
const LARGE = 1e5;
const SMALL = 0.001;
const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** @param {string} text */
const typographic = text => text.replace("-", MINUS);

/**
 * A value with three decimals. Exactly zero prints "0"; what merely rounds to zero prints "0.000".
 * @param {number} value @param {number} [exponent] the caption's factor: prints value / 10**exponent
 */
export function number(value, exponent = 0) {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : typographic(value > 0 ? "∞" : "-∞");
  const scaled = value / 10 ** exponent;
  if (Math.abs(scaled) >= LARGE) return scientific(scaled);
  const text = scaled.toFixed(3);
  return Number(text) === 0 ? "0.000" : typographic(text);
}

/** @param {number} value */
function scientific(value) {
  const [mantissa, exponent] = value.toExponential(3).split("e");
  return `${typographic(mantissa)}${factor(Number(exponent))}`;
}

/** The hidden tail that keeps the decimals of a column aligned after "0". @param {string} text */
export const tail = text => (text === "0" ? ".000" : "");

/**
 * The power of ten that numbers are printed in together: none where the largest is at least a thousandth and below a
 * hundred thousand, else that of its first digit.
 * @param {ArrayLike<number>} values
 */
export function exponentOf(values) {
  let largest = 0;
  for (let k = 0; k < values.length; k++) {
    const size = Math.abs(values[k]);
    if (size > largest && size < Infinity) largest = size;
  }
  return largest === 0 || (largest >= SMALL && largest < LARGE) ? 0 : Math.floor(Math.log10(largest));
}

/** A number that stands alone, with a power of ten of its own and at least three digits. @param {number} value */
export function alone(value) {
  const exponent = exponentOf([value]);
  const size = Math.abs(value);
  if (exponent || !(size >= SMALL && size < 0.1)) return `${number(value, exponent)}${factor(exponent)}`;
  return typographic(value.toFixed(2 - Math.floor(Math.log10(size))));
}

/** A time that is an estimate. @param {number} seconds */
export function timeLeft(seconds) {
  const minutes = Math.round(seconds / 60);
  if (seconds < 45) return "less than a minute is left";
  return minutes <= 1 ? "about a minute is left" : `about ${minutes} minutes are left`;
}

/** "×10⁻³", or "" for no factor. @param {number} exponent */
export function factor(exponent) {
  if (exponent === 0) return "";
  const digits = String(Math.abs(exponent)).replace(/\d/g, digit => SUPERSCRIPTS[Number(digit)]);
  return `×10${exponent < 0 ? "⁻" : ""}${digits}`;
}

/** A legend's range, two digits: "±4.0", "±0.66". @param {number} range */
export function range(range) {
  if (!(range > 0) || !Number.isFinite(range)) return "±0";
  if (range >= 0.001 && range < 1e5) return `±${range >= 100 ? range.toFixed(0) : decimal(range)}`;
  const exponent = Math.floor(Math.log10(range));
  return `±${(range / 10 ** exponent).toFixed(1)}${factor(exponent)}`;
}

/** Two significant digits without an exponent. @param {number} value */
const decimal = value => value.toFixed(Math.max(0, 1 - Math.floor(Math.log10(value) + 1e-9)));

/** A shape as it is written on the stage: "8×26×26". @param {number[]} shape */
export const shape = shape => shape.join("×");

/** "95.2%". @param {number} share 0..1 @param {number} [decimals] */
export const percent = (share, decimals = 1) => `${(100 * share).toFixed(decimals)}%`;

/** Counts with thousands separated: "60,000". @param {number} value */
export const count = value => Math.round(value).toLocaleString("en-US");
