import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { constant, divided, ledger, printed, product, units, written } from "../../../static/js/core/printed.js";

const plain = value => Number(value.replace("\u2212", "-"));
const pair = (a, b, options = {}) => ({ factors: [{ value: a }, { value: b, ...options }], exact: a * b });

describe("printed terms add up", () => {
  it("to the printed value, digit for digit, with the rounding as a term of its own", () => {
    let seed = 7;
    const random = () => ((seed = (seed * 16807) % 2147483647) / 2147483647) * 4 - 2;
    let rounded = 0;
    for (let trial = 0; trial < 500; trial++) {
      const entries = Array.from({ length: 1 + (trial % 12) }, () => pair(random(), random()));
      const value = entries.reduce((sum, { exact }) => sum + exact, 0);
      const made = ledger(value, entries);
      const shown = made.lines.reduce((sum, { text }) => sum + Math.round(10 ** made.decimals * plain(text)), 0);
      assert.equal(shown + made.rounding, made.total);
      assert.equal(plain(made.text), Number(value.toFixed(made.decimals)));
      rounded += Number(made.rounding !== 0);
    }
    assert.ok(rounded > 100, "without any rounding this test would show nothing");
  });
  it("and each printed product is the product of its printed factors, rounded", () => {
    const [line] = ledger(-0.5 + 0.0824 * -0.5016, [pair(0.0824, -0.5016), { exact: -0.5 }]).lines;
    assert.deepEqual(
      line.factors.map(({ text }) => text),
      ["0.0824", "\u22120.502"],
    );
    assert.equal(line.text, "\u22120.041");
  });
  it("hides the rounding where there is none", () => assert.equal(ledger(0.25, [{ exact: 0.25 }]).rounding, 0));
  it("uses exact totals for what is not shown one by one", () => {
    const made = ledger(0.0019, [{ exact: 0.0004 }, { exact: 0.0015 }]);
    assert.deepEqual(
      made.lines.map(({ units: count }) => count),
      [40, 150],
    );
    assert.equal(made.rounding, 0);
  });
  it("rounds halves away from zero on both sides", () => {
    assert.equal(product([printed(0.5), printed(0.001)], 0), 1);
    assert.equal(product([printed(-0.5), printed(0.001)], 0), -1);
  });
});

describe("a printed number", () => {
  it('is "0" only when it is exactly zero', () => {
    assert.equal(written(0, true), "0");
    assert.equal(ledger(1.0001, [{ exact: 0.0001 }, { exact: 1 }]).lines[0].text, "0.000");
    assert.equal(ledger(0, [{ exact: 0 }]).lines[0].text, "0");
  });
  it("shows its first digit where it is a factor, however small", () => {
    const texts = [0.0004, -0.00003, 4.2e-9, 0, 9.7e-5].map(value => printed(value).text);
    assert.deepEqual(texts, ["0.0004", "\u22120.00003", "4×10⁻⁹", "0", "0.0001"]);
    assert.equal(product([printed(0.0004), printed(900)], 0), 360);
    assert.equal(product([printed(0.0004, -3), printed(2)], -3), 800);
    assert.deepEqual(
      [printed(0.000367, 0, 3), printed(0.0000012345, 0, 2)].map(({ text }) => text),
      ["0.000367", "1.2×10⁻⁶"],
    );
    const tiny = ledger(0.0028, [pair(0.0003669, 7.644)], { exponent: -3 });
    assert.deepEqual([tiny.lines[0].factors[0].text, tiny.lines[0].text, tiny.rounding], ["0.000367", "2.805", -5]);
    assert.deepEqual(
      [NaN, Infinity, -Infinity].map(value => printed(value).text),
      ["NaN", "∞", "\u2212∞"],
    );
  });
  it("is rounded as it is printed", () => {
    for (const value of [1.0005, -0.0005, 2.6745, 0.1235, -7.0015])
      assert.equal(units(value), Number(value.toFixed(3).replace(".", "")));
  });
  it("has its own power of ten in each line, and the product another", () => {
    const entries = [{ factors: [{ value: 0.5 }, { value: 0.00042, exponent: -3 }], exact: 0.00021 }];
    const made = ledger(0.00021, entries, { exponent: -3 });
    assert.deepEqual(
      [made.lines[0].factors[1].text, made.lines[0].text, made.caption, made.rounding],
      ["0.420", "0.210", "×10⁻³", 0],
    );
  });
  it("has more digits where terms cancel, until the sum can be checked by hand", () => {
    const entries = [pair(12.3456789, 1.0004321), pair(-12.3356789, 1.0003321)];
    const made = ledger(entries[0].exact + entries[1].exact, entries);
    assert.ok(Math.abs(made.rounding) <= 0.005 * Math.abs(made.total), `${made.roundingText} in ${made.text}`);
  });
  it("has three digits at any size", () => {
    const texts = [0.00104, 0.0404, 0.38, 12].map(exact => ledger(exact, [{ exact }]).text);
    assert.deepEqual(texts, ["0.00104", "0.0404", "0.380", "12.000"]);
  });
});

describe("numbers of the sentence itself", () => {
  it("a whole part of one is a division", () => {
    assert.equal(constant(0.25).text, "÷ 4");
    assert.equal(constant(-1 / 3).text, "÷ \u22123");
    assert.equal(product([printed(0.27), constant(0.25)], 0), 68);
  });
  it("except where a rate is meant", () => assert.equal(constant(0.05, false).text, "0.05"));
  it("keep their own decimals", () => {
    assert.deepEqual(
      [constant(0.999).text, constant(-0.03).text, constant(1).text, constant(2e-7, false).text],
      ["0.999", "\u22120.03", "1", "2×10⁻⁷"],
    );
    assert.equal(product([printed(-1.658), constant(-0.03)], 0), 50);
  });
  it("what is read and divided by stands as a divisor", () => {
    assert.equal(divided(1.4872).text, "÷ 1.487");
    assert.equal(product([printed(1), divided(1.4872)], 0), 672);
    assert.equal(product([printed(1), divided(-4)], 0), -250);
  });
});
