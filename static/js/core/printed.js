/**
 * Arithmetic on printed numbers. A printed product is the product of the printed factors, rounded; totals of groups
 * come from exact values; what is then missing to the printed value is its own entry, "rounding". Everything is
 * counted in units of the last printed decimal, so that what stands on the screen adds up exactly.
 */

import { exponentOf, factor as power, number } from "./format.js";

/** @typedef {{text: string, units: bigint, shift: number, over: bigint}} Printed units × 10^shift / over */
/**
 * @typedef {{factors?: {value: number, exponent?: number, constant?: boolean, divisor?: boolean}[],
 *   exact: number}} Addend
 * @typedef {{factors: Printed[], units: number, text: string, zero: boolean}} Line
 */

const DECIMALS = 3;

/**
 * A value in units of its last printed decimal, rounded as it is printed.
 * @param {number} value
 * @param {number} [exponent]
 * @param {number} [decimals]
 */
export function units(value, exponent = 0, decimals = DECIMALS) {
  const scaled = scaledBy(value, exponent);
  if (!Number.isFinite(scaled) || Math.abs(scaled) >= 1e12) return Math.round(scaled * 10 ** decimals);
  return Number(scaled.toFixed(decimals).replace(".", ""));
}

/**
 * value / 10^exponent without the error of a power that is no number.
 * @param {number} value
 * @param {number} exponent
 */
const scaledBy = (value, exponent) => (exponent < 0 ? value * 10 ** -exponent : value / 10 ** exponent);

/**
 * Units as they are printed; "0" only for exactly zero.
 * @param {number} count
 * @param {boolean} [zero]
 * @param {number} [decimals]
 */
export function written(count, zero = false, decimals = DECIMALS) {
  if (zero && count === 0) return "0";
  if (!Number.isFinite(count)) return number(count);
  return (count / 10 ** decimals).toFixed(decimals).replace("-", "\u2212");
}

/**
 * A number that is read, as it is printed in its line; where that would be nothing, with so many digits of it.
 * @param {number} value
 * @param {number} [exponent]
 * @param {number} [digits]
 * @param {number} [decimals]
 * @returns {Printed}
 */
export function printed(value, exponent = 0, digits = 1, decimals = DECIMALS) {
  if (!Number.isFinite(value)) return { text: number(value), units: 0n, shift: 0, over: 1n };
  const count = units(value, exponent, decimals);
  return count === 0 && value !== 0
    ? faint(value, exponent, digits)
    : { text: written(count, value === 0, decimals), units: BigInt(count), shift: exponent - decimals, over: 1n };
}

/**
 * A factor too small for its line, with its first digits: what is multiplied is seen not to be zero.
 * @param {number} value
 * @param {number} exponent
 * @param {number} digits
 * @returns {Printed}
 */
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

/**
 * How many digits of a factor its product shows.
 * @param {number} exact
 * @param {number} exponent
 * @param {number} decimals
 */
const digitsIn = (exact, exponent, decimals) =>
  Math.min(decimals + 1, Math.max(1, String(Math.abs(units(exact, exponent, decimals))).length));

/**
 * A number that the sentence itself puts in: "÷ 4" for a quarter, otherwise its own decimals.
 * @param {number} value
 * @param {boolean} [divide] whether a whole part of one is written as a division
 * @returns {Printed}
 */
export function constant(value, divide = true) {
  const whole = Math.round(1 / value);
  if (divide && Math.abs(value) < 1 && Math.abs(whole) > 1 && Math.abs(value * whole - 1) < 1e-6) {
    return { text: `÷ ${String(whole).replace("-", "\u2212")}`, units: 1n, shift: 0, over: BigInt(whole) };
  }
  const text = String(Number(value.toPrecision(6)));
  const under = String(Number((1 / value).toPrecision(6)));
  if (divide && Number.isFinite(value) && value !== 0 && under.length + 2 < text.length) {
    const shown = constant(Number(under), false);
    return { text: `÷ ${shown.text}`, units: 1n, shift: -shown.shift, over: shown.units };
  }
  const [mantissa, tens] = text.split("e");
  const [integer, decimals = ""] = mantissa.split(".");
  return {
    text: `${mantissa.replace("-", "\u2212")}${tens ? power(Number(tens)) : ""}`,
    units: BigInt(integer + decimals),
    shift: Number(tens ?? 0) - decimals.length,
    over: 1n,
  };
}

/**
 * A number that is divided by, as it is printed.
 * @param {number} value
 * @param {number} [exponent]
 * @param {number} [digits]
 * @param {number} [decimals]
 * @returns {Printed}
 */
export function divided(value, exponent = 0, digits = 1, decimals = DECIMALS) {
  const shown = printed(value, exponent, digits, decimals);
  if (shown.units === 0n) return { ...shown, text: `÷ ${shown.text}` };
  return { text: `÷ ${shown.text}`, units: 1n, shift: -shown.shift, over: shown.units };
}

/** Rounded to the nearest, halves away from zero. @param {bigint} a @param {bigint} b */
function nearest(a, b) {
  const sign = a < 0n === b < 0n ? 1n : -1n;
  const [size, by] = [a < 0n ? -a : a, b < 0n ? -b : b];
  return sign * ((2n * size + by) / (2n * by));
}

/**
 * The product of printed factors in units of the line's last decimal.
 * @param {Printed[]} factors
 * @param {number} exponent
 * @param {number} [decimals]
 */
export function product(factors, exponent, decimals = DECIMALS) {
  const shift = factors.reduce((sum, factor) => sum + factor.shift, decimals - exponent);
  const top = factors.reduce((all, factor) => all * factor.units, 1n) * 10n ** BigInt(Math.max(0, shift));
  const under = factors.reduce((all, factor) => all * factor.over, 1n) * 10n ** BigInt(Math.max(0, -shift));
  return Number(nearest(top, under));
}

/** Decimals beside which a row is no longer read. */
const MOST = 10;

/**
 * The decimals with which a line's largest number has three digits.
 * @param {number[]} values
 * @param {number} exponent
 */
export function decimalsFor(values, exponent) {
  const most = scaledBy(Math.max(0, ...values.map(Math.abs).filter(Number.isFinite)), exponent);
  return most > 0 && most < 0.1 ? Math.min(MOST, 2 - Math.floor(Math.log10(most))) : DECIMALS;
}

/**
 * Entries, their total and the rounding between them, all in units of the last decimal: with three digits, and more
 * until the rounding is small beside the total or no more than the last decimals of the terms explain.
 * @param {number} value the exact value @param {Addend[]} entries
 * @param {{exponent?: number, divide?: boolean, least?: number}} [options] least: a size that is still to be seen
 */
export function ledger(value, entries, { exponent = 0, divide = true, least = 0 } = {}) {
  const numbers = [value, ...entries.map(({ exact }) => exact)];
  const base = Math.max(decimalsFor(numbers, exponent), least ? decimalsFor([least], exponent) - 1 : 0);
  const lines = Array.from({ length: Math.max(0, ...entries.map(({ factors = [] }) => factors.length)) }, (_, k) => {
    const read = entries.flatMap(({ factors = [] }) => (factors[k] && !factors[k].constant ? [factors[k]] : []));
    return decimalsFor(
      read.map(factor => factor.value),
      read[0]?.exponent ?? 0,
    );
  });
  let best = added(value, entries, exponent, divide, base, lines, 0);
  for (let more = 1; !checks(best, entries.length) && base + more <= MOST; more++) {
    const next = added(value, entries, exponent, divide, base, lines, more);
    if (share(next) < share(best)) best = next;
  }
  return best;
}

/** The rounding beside what it stands in. @param {{rounding: number, total: number}} made */
const share = ({ rounding, total }) => Math.abs(rounding) / Math.max(1, Math.abs(total));

/** Whether a sum can be checked by hand. @param {{rounding: number, total: number}} made @param {number} count */
const checks = (made, count) =>
  share(made) <= 0.005 || (Math.abs(made.rounding) <= 1 + count / 4 && share(made) <= 0.02);

/**
 * @param {number} value
 * @param {Addend[]} entries
 * @param {number} exponent
 * @param {boolean} divide
 * @param {number} base
 * @param {number[]} places
 * @param {number} more
 */
function added(value, entries, exponent, divide, base, places, more) {
  const decimals = base + more;
  /** @type {Line[]} */
  const lines = entries.map(({ factors = [], exact }) => {
    const shown = factors.map((factor, k) =>
      factor.constant
        ? constant(factor.value, divide)
        : (factor.divisor ? divided : printed)(
            factor.value,
            factor.exponent,
            digitsIn(exact, exponent, decimals),
            places[k] + more,
          ),
    );
    const finite = factors.every(factor => Number.isFinite(factor.value)) && Number.isFinite(exact);
    const count =
      (shown.length > 1 && finite ? product(shown, exponent, decimals) : units(exact, exponent, decimals)) || 0;
    return {
      factors: shown,
      units: count,
      text: Number.isFinite(exact) ? written(count, exact === 0, decimals) : number(exact),
      zero: exact === 0,
    };
  });
  const total = units(value, exponent, decimals) || 0;
  const rounding = total - lines.reduce((sum, line) => sum + line.units, 0);
  return {
    lines,
    total,
    text: Number.isFinite(value) ? written(total, value === 0, decimals) : number(value),
    rounding: Number.isFinite(rounding) ? rounding : 0,
    roundingText: written(rounding, true, decimals),
    exponent,
    decimals,
    caption: power(exponent),
  };
}

/**
 * The power of ten for a row of products, judged by its largest entry and the value.
 * @param {number} value
 * @param {{exact: number}[]} entries
 */
export const scale = (value, entries) => exponentOf([value, ...entries.map(({ exact }) => exact)]);

/** The smallest entry that is not zero: it is to be seen beside a large one. @param {{exact: number}[]} entries */
export const smallest = entries =>
  Math.min(...entries.map(({ exact }) => Math.abs(exact)).filter(size => size > 0 && Number.isFinite(size)));

/**
 * Entries as they are printed: a power of ten for each line of factors, one for the products.
 * @param {number} value @param {Entry[]} entries
 * @param {{divide?: boolean, exponent?: number}} [options]
 */
export function book(value, entries, { divide = true, exponent: given } = {}) {
  const lines = Math.max(0, ...entries.map(({ factors }) => factors.length));
  const exponents = Array.from({ length: lines }, (_, k) =>
    exponentOf(entries.flatMap(({ factors }) => (factors[k] && !factors[k].constant ? [factors[k].value] : []))),
  );
  const exponent = given ?? scale(value, entries);
  const made = ledger(
    value,
    entries.map(({ factors, exact }) => ({
      exact,
      factors: factors.map((each, k) => ({
        value: each.value,
        exponent: exponents[k],
        constant: each.constant,
        divisor: each.divisor,
      })),
    })),
    { exponent, divide, least: divide ? 0 : smallest(entries) },
  );
  return { ...made, exponents };
}
