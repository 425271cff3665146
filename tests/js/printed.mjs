/**
 * Reads one explanation a line, as the server sends it; writes those whose printed products or sums do not evaluate to
 * what is printed, or whose printed value is not the stored one. What is printed is read back as text.
 */

import { createInterface } from "node:readline";

import { largestEntries } from "../../static/js/core/term_rows.js";
import { book } from "../../static/js/core/printed.js";

const DIGITS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** A printed number: its value and the size of its last decimal. */
function read(text) {
  const [mantissa, power = ""] = text.replace(/^÷ /, "").replaceAll("\u2212", "-").split("×10");
  const exponent = Number(power.replace("⁻", "-").replace(/[⁰¹²³⁴⁵⁶⁷⁸⁹]/g, digit => DIGITS.indexOf(digit)));
  const decimals = (mantissa.split(".")[1] ?? "").length;
  return { value: Number(mantissa) * 10 ** exponent, last: 10 ** (exponent - decimals) };
}

/** What is wrong with the printed row of an explanation, "" for nothing. */
function wrong({ value, update }, entries) {
  const made = book(value, entries, { divide: !update });
  const unit = read(`1${made.caption}`).value;
  const step = 10 ** -made.decimals;
  const total = read(made.text).value;
  const close = (a, b, by) => Math.abs(a - b) <= by * (1 + 1e-9) + 1e-13 * Math.abs(a);
  if (!close(total * unit, value, (step * unit) / 2))
    return `the value ${value} is printed ${made.text}${made.caption}`;
  const digits = Math.abs(Math.round(total / step));
  if (value !== 0 && scaleOf(entries) <= Math.abs(value) && digits < 100)
    return `${value} has few digits: ${made.text}`;
  let sum = 0;
  for (const [k, line] of made.lines.entries()) {
    const printed = read(line.text).value;
    sum += printed;
    if (line.factors.length < 2) {
      if (!close(printed * unit, entries[k].exact, (step * unit) / 2))
        return `${entries[k].exact} is printed ${line.text}${made.caption}`;
      continue;
    }
    const product = line.factors.reduce((all, { text }, n) => {
      const factor = read(text).value * 10 ** (entries[k].factors[n].constant ? 0 : made.exponents[n]);
      return text.startsWith("÷")
        ? all / read(text).value / 10 ** (entries[k].factors[n].constant ? 0 : made.exponents[n])
        : all * factor;
    }, 1);
    if (!close(printed * unit, product, (step * unit) / 2))
      return `${line.factors
        .map(({ text }) => text)
        .join(" × ")} (powers ${made.exponents}) = ${line.text}${made.caption}`;
  }
  const rounding = made.rounding ? read(made.roundingText).value : 0;
  if (!close(sum + rounding, total, step / 2)) return `${sum} + ${rounding} is not ${made.text}`;
  if (Math.abs(rounding) > 0.02 * Math.abs(total) && Math.abs(rounding) > 2 * step)
    return `the rounding ${made.roundingText} is large beside ${made.text}`;
  return "";
}

const scaleOf = entries => Math.max(0, ...entries.map(({ exact }) => Math.abs(exact)));

let cells = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const told = JSON.parse(line);
  const words = wrong(told, largestEntries(told, 9));
  cells += 1;
  if (words) console.log(`${told.where}: ${words}`);
}
console.log(`${cells} cells`);
