import assert from "node:assert/strict";
import { test } from "node:test";
import { count, exponentOf, factor, number, percent, range, tail } from "../../static/js/format.js";

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

test("a grid of tiny values takes a factor of a thousand at a time, other grids none", () => {
  assert.equal(exponentOf([0.0001, -0.0004, 0]), -3);
  assert.equal(exponentOf([3e-5]), -6);
  assert.equal(exponentOf([0.0005, 1e-9]), 0);
  assert.equal(exponentOf([0, 0]), 0);
  assert.equal(number(0.00012, -3), "0.120");
  assert.equal(factor(-3), "×10⁻³");
  assert.equal(factor(-12), "×10⁻¹²");
  assert.equal(factor(0), "");
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
