/**
 * Arithmetic on printed numbers. A printed product is the product of the printed factors, rounded; totals of groups
 * come from exact values; what is then missing to the printed value is its own entry, "rounding". Everything is
 * counted in units of the last printed decimal, so that what stands on the screen adds up exactly.
 */

import { factor as power, number } from "./format.js";

/** @typedef {{text: string, units: bigint, shift: number, over: bigint}} Printed units × 10^shift / over */
/**
 * @typedef {{factors?: {value: number, exponent?: number, constant?: boolean, divisor?: boolean}[], exact: number}} Entry
 * @typedef {{factors: Printed[], units: number, text: string, zero: boolean}} Line
 */

const DECIMALS = 3;

/** A value in units of its last printed decimal, rounded as it is printed. @param {number} value @param {number} [exponent] */
export function units(value, exponent = 0) {
  const scaled = value / 10 ** exponent;
  if (!Number.isFinite(scaled) || Math.abs(scaled) >= 1e12) return Math.round(scaled * 10 ** DECIMALS);
  return Number(scaled.toFixed(DECIMALS).replace(".", ""));
}

/** Units as they are printed; "0" only for exactly zero. @param {number} count @param {boolean} [zero] */
export function written(count, zero = false) {
  if (zero && count === 0) return "0";
  return count === 0 ? "0.000" : number(count / 10 ** DECIMALS);
}

/**
 * A number that is read, as it is printed in its line; where that would be nothing, with so many digits of it.
 * @param {number} value @param {number} [exponent] @param {number} [digits] @returns {Printed}
 */
export function printed(value, exponent = 0, digits = 1) {
  const finite = Number.isFinite(value);
  const count = BigInt(finite ? units(value, exponent) : 0);
  return finite && count === 0n && value !== 0
    ? faint(value, exponent, digits)
    : { text: number(value, exponent), units: count, shift: exponent - DECIMALS, over: 1n };
}

/** A factor too small for its line, with its first digits: what is multiplied is seen not to be zero. @param {number} value @param {number} exponent @param {number} digits @returns {Printed} */
function faint(value, exponent, digits) {
  const [mantissa, tens] = value.toExponential(digits - 1).split("e");
  const below = exponent - Number(tens);
  const text = below <= 5 ? (value / 10 ** exponent).toFixed(below + digits - 1) : `${mantissa}${power(-below)}`;
  return {
    text: text.replace("-", "\u2212"),
    units: BigInt(mantissa.replace(".", "")),
    shift: Number(tens) - digits + 1,
    over: 1n,
  };
}

/** How many digits of a factor its product shows. @param {number} exact @param {number} exponent */
const digitsIn = (exact, exponent) => Math.min(4, Math.max(1, String(Math.abs(units(exact, exponent))).length));

/**
 * A number that the sentence itself puts in: "÷ 4" for a quarter, otherwise its own decimals.
 * @param {number} value @param {boolean} [divide] whether a whole part of one is written as a division @returns {Printed}
 */
export function constant(value, divide = true) {
  const whole = Math.round(1 / value);
  if (divide && Math.abs(value) < 1 && Math.abs(whole) > 1 && Math.abs(value * whole - 1) < 1e-6) {
    return { text: `÷ ${String(whole).replace("-", "\u2212")}`, units: 1n, shift: 0, over: BigInt(whole) };
  }
  const text = String(Number(value.toPrecision(6)));
  const [mantissa, tens] = text.split("e");
  const [integer, decimals = ""] = mantissa.split(".");
  return {
    text: `${mantissa.replace("-", "\u2212")}${tens ? power(Number(tens)) : ""}`,
    units: BigInt(integer + decimals),
    shift: Number(tens ?? 0) - decimals.length,
    over: 1n,
  };
}

/** A number that is divided by, as it is printed. @param {number} value @param {number} [exponent] @param {number} [digits] @returns {Printed} */
export function divided(value, exponent = 0, digits = 1) {
  const shown = printed(value, exponent, digits);
  if (shown.units === 0n) return { ...shown, text: `÷ ${shown.text}` };
  return { text: `÷ ${shown.text}`, units: 1n, shift: -shown.shift, over: shown.units };
}

/** Rounded to the nearest, halves away from zero. @param {bigint} a @param {bigint} b */
function nearest(a, b) {
  const sign = a < 0n === b < 0n ? 1n : -1n;
  const [size, by] = [a < 0n ? -a : a, b < 0n ? -b : b];
  return sign * ((2n * size + by) / (2n * by));
}

/** The product of printed factors in units of the line's last decimal. @param {Printed[]} factors @param {number} exponent */
export function product(factors, exponent) {
  const shift = factors.reduce((sum, factor) => sum + factor.shift, DECIMALS - exponent);
  const top = factors.reduce((all, factor) => all * factor.units, 1n) * 10n ** BigInt(Math.max(0, shift));
  const under = factors.reduce((all, factor) => all * factor.over, 1n) * 10n ** BigInt(Math.max(0, -shift));
  return Number(nearest(top, under));
}

/**
 * Entries, their total and the rounding between them, all in units of the last decimal.
 * @param {number} value the exact value @param {Entry[]} entries @param {{exponent?: number, divide?: boolean}} [options]
 */
export function ledger(value, entries, { exponent = 0, divide = true } = {}) {
  /** @type {Line[]} */
  const lines = entries.map(({ factors = [], exact }) => {
    const shown = factors.map(factor =>
      factor.constant
        ? constant(factor.value, divide)
        : (factor.divisor ? divided : printed)(factor.value, factor.exponent, digitsIn(exact, exponent)),
    );
    const count = (shown.length > 1 ? product(shown, exponent) : units(exact, exponent)) || 0;
    return { factors: shown, units: count, text: written(count, exact === 0), zero: exact === 0 };
  });
  const total = units(value, exponent) || 0;
  const rounding = total - lines.reduce((sum, line) => sum + line.units, 0);
  return {
    lines,
    total,
    text: written(total, value === 0),
    rounding,
    roundingText: written(rounding, true),
    exponent,
    caption: power(exponent),
  };
}

/** Where nothing reaches this, a line of numbers is printed in thousandths: sums need more digits than a look at a cell. */
const SMALL = 0.01;

/** The power of ten for a line of numbers that are multiplied or added. @param {number[]} values @param {number} [small] */
export function exponentFor(values, small = SMALL) {
  const most = Math.max(0, ...values.map(Math.abs).filter(Number.isFinite));
  if (most === 0 || most >= small) return 0;
  return Math.max(-30, 3 * Math.floor(Math.log10(most / small) / 3));
}

/** The power of ten for a row of products, judged by its largest entry and the value. @param {number} value @param {{exact: number}[]} entries */
export const scale = (value, entries) => exponentFor([value, ...entries.map(({ exact }) => exact)]);

/** The power of ten in which the smallest entry still says something beside a large one. @param {number} value @param {{exact: number}[]} entries */
export function fine(value, entries) {
  const sizes = entries.map(({ exact }) => Math.abs(exact)).filter(size => size > 0 && Number.isFinite(size));
  const largest = Math.max(Math.abs(value), ...sizes);
  let exponent = exponentFor([Math.min(largest, ...sizes)]);
  while (exponent < 0 && largest / 10 ** exponent >= 1e4) exponent += 3;
  return exponent;
}
