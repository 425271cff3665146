import assert from "node:assert/strict";
import { test } from "node:test";
import {
  alone,
  count,
  exponentOf,
  factor,
  number,
  percent,
  range,
  tail,
  timeLeft,
} from "../../../static/js/core/format.js";

test("a number has three decimals and a true minus", () => {
  assert.equal(number(1.6914), "1.691");
  assert.equal(number(-0.0414), "−0.041");
  assert.equal(number(12), "12.000");
});

test("only exactly zero prints 0; what rounds to zero prints 0.000 without a sign", () => {
  assert.equal(number(0), "0");
  assert.equal(number(-0), "0");
  assert.equal(number(0.0004), "0.000");
  assert.equal(number(-0.0004), "0.000");
  assert.equal(tail("0"), ".000");
  assert.equal(tail("0.000"), "");
});

test("what is no finite number is named", () => {
  assert.equal(number(NaN), "NaN");
  assert.equal(number(-Infinity), "−∞");
});

test("numbers take one power of ten together where a person would write one", () => {
  assert.deepEqual(
    [[0.38], [0.0011, 1e-9], [99999], [0, 0], [0.00038, -0.0001], [3e-5], [1e5, 2], [NaN, Infinity]].map(exponentOf),
    [0, 0, 0, 0, -4, -5, 5, 0],
  );
  assert.equal(number(0.00012, -3), "0.120");
  assert.equal(number(123456), "1.235×10⁵");
  assert.deepEqual([factor(-3), factor(-12), factor(0)], ["×10⁻³", "×10⁻¹²", ""]);
});

test("a number that stands alone has three digits and a power of its own", () => {
  assert.deepEqual([3.3e-10, 0.00104, -0.0404, 0.38, 0, 123456, -Infinity].map(alone), [
    "3.300×10⁻¹⁰",
    "0.00104",
    "−0.0404",
    "0.380",
    "0",
    "1.235×10⁵",
    "−∞",
  ]);
});

test("a legend's range has two digits at any size", () => {
  assert.deepEqual([1, 0.66, 0.2, 6, 0.062, 12, 130].map(range), [
    "±1.0",
    "±0.66",
    "±0.20",
    "±6.0",
    "±0.062",
    "±12",
    "±130",
  ]);
  assert.equal(range(0.00012), "±1.2×10⁻⁴");
});

test("shares are percentages and counts have their thousands apart", () => {
  assert.equal(percent(0.9523), "95.2%");
  assert.equal(count(60000), "60,000");
});

test("an estimate of time is said in minutes", () => {
  assert.deepEqual([5, 44, 45, 80, 95, 130, 600].map(timeLeft), [
    "less than a minute is left",
    "less than a minute is left",
    "about a minute is left",
    "about a minute is left",
    "about 2 minutes are left",
    "about 2 minutes are left",
    "about 10 minutes are left",
  ]);
});
