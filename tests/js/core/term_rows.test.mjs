import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
  candidatesOf,
  entriesOf,
  exactSum,
  factorsOf,
  largestEntries,
  placeOfRead,
  rowsOf,
  shorten,
  windowEntries,
} from "../../../static/js/core/term_rows.js";

const part = (role, value, reads = [], text = "") => ({ role, value, reads, text });
const cell = (tensor, index, value, inside = true) => ({ tensor, index, value, inside });

/** A sum of x[c,u] * w[c,u] + bias over `maps` maps of three cells. */
function explanation(maps, { bias = 0.5, listed = Infinity } = {}) {
  const reads = [];
  const terms = [];
  const groups = [];
  for (let c = 0; c < maps; c++) {
    let sum = 0;
    for (let u = 0; u < 3; u++) {
      const [x, w] = [c + 1, 0.1 * (u - 1)];
      terms.push({
        reads: [reads.length, reads.length + 1],
        factors: [x, w],
        value: x * w,
        at: { c, u },
        family: 0,
        label: "",
        parts: [part("read", x, [reads.length]), part("read", w, [reads.length + 1])],
      });
      reads.push(cell("a/y", [0, c, 0, u], x), cell("b/w", [0, c, 0, u], w));
      sum += x * w;
    }
    groups.push({ letter: "c", at: c, value: sum, count: 3, first: 3 * c });
  }
  const value = exactSum(terms.map(term => term.value)) + bias;
  terms.push({
    reads: [reads.length],
    factors: [bias],
    value: bias,
    at: {},
    family: 1,
    label: "bias",
    parts: [part("read", bias, [reads.length])],
  });
  reads.push(cell("b/b", [0], bias));
  const page = terms.slice(0, listed);
  return {
    place: "b/y/0,0,0,0",
    value,
    equation: { text: "", mathml: "" },
    reads,
    terms: page,
    terms_total: terms.length,
    page: 0,
    pages: Math.ceil(terms.length / Math.min(listed, terms.length)),
    page_sum: 0,
    remainder: 0,
    groups,
    largest: false,
  };
}
const total = entries => exactSum(entries.map(({ exact }) => exact));
const close = (a, b) => assert.ok(Math.abs(a - b) < 1e-12, `${a} is not ${b}`);

describe("factors", () => {
  it("know the cell they were read from", () => {
    const [x, w] = entriesOf(explanation(1))[2].factors;
    assert.deepEqual([x.place, w.place, w.tensor], ["a/y/0,0,0,2", "b/w/0,0,0,2", "b/w"]);
  });
  it("are what the engine says, whatever their numbers: a rate of 0.5 beside a gradient of 2 divides nothing", () => {
    const told = { reads: [0], factors: [-1, 0.5, 2], value: -1 };
    const parts = [part("constant", -1), part("constant", 0.5), part("read", 2, [0])];
    assert.deepEqual(
      factorsOf({ ...told, parts }, [cell("c/dw", [3], 2)]).map(({ value, constant, divisor, place }) => [
        value,
        constant,
        divisor,
        place,
      ]),
      [
        [2, false, false, "c/dw/3"],
        [-0.5, true, false, null],
      ],
    );
  });
  it("that divide are divisors, a divisor of 1 too", () => {
    const parts = [part("read", 1, [0]), part("divisor", 1, [1], "z")];
    const made = factorsOf({ reads: [0, 1], factors: [1, 1], value: 1, parts }, [
      cell("e/e", [3], 1),
      cell("z/z", [], 1),
    ]);
    assert.deepEqual([made[0].divisor, made[1].divisor, made[1].place], [false, true, "z/z"]);
  });
  it("under a fraction keep what stands there with them", () => {
    const parts = [part("read", 0.03, [0]), part("made_divisor", 0.02, [1], "sqrt(v) + 1e-08"), part("constant", -0.1)];
    const [, under, put] = factorsOf({ reads: [0, 1], factors: [0.03, 50, -0.1], value: -0.15, parts }, [
      cell("c/w.m", [0], 0.03),
      cell("c/w.v", [0], 0.0004),
    ]);
    assert.deepEqual([under.value, under.over, under.place, put.value], [0.02, "sqrt(v) + 1e-08", "c/w.v/0", -0.1]);
  });
  it("that were made of several reads say what of, and each can be opened", () => {
    const parts = [part("made", -0.9, [0, 1], "p - t"), part("constant_divisor", 64)];
    const [difference, batch] = factorsOf({ reads: [0, 1], factors: [-0.9, 1 / 64], value: -0.9 / 64, parts }, [
      cell("loss/p", [0, 0], 0.1),
      cell("loss/t", [0, 0], 1),
    ]);
    assert.deepEqual(difference.made, { text: "p - t", places: ["loss/p/0,0", "loss/t/0,0"], values: [0.1, 1] });
    assert.deepEqual([batch.value, batch.constant], [1 / 64, true]);
  });
  it("outside the map are zero and have no place", () => {
    const [pad] = factorsOf(
      { reads: [0, 1], factors: [0, 3], value: 0, parts: [part("read", 0, [0]), part("read", 3, [1])] },
      [cell("a/y", [0, 0, -1, 0], 0, false), cell("b/w", [0], 3)],
    );
    assert.deepEqual([pad.value, pad.place, pad.inside], [0, null, false]);
  });
  it("between two cells are told from those outside", () => {
    const [gap] = factorsOf(
      { reads: [0, 1], factors: [0, 3], value: 0, parts: [part("read", 0, [0]), part("read", 3, [1])] },
      [{ ...cell("a/dy", [0, 0, 0, 0], 0, false), gap: true }, cell("b/w", [0], 3)],
    );
    assert.deepEqual([gap.value, gap.place, gap.gap], [0, null, true]);
  });
  it("of another step keep it in their place", () =>
    assert.equal(placeOfRead(cell("c/w_next@119", [5, 0], 1)), "c/w_next/5,0@119"));
});

describe("the largest", () => {
  it("is taken from values, one of which won", () => {
    const told = {
      reads: [cell("a/y", [0], 0), cell("a/y", [1], 2)],
      terms: [
        { reads: [0], factors: [0, 0], value: 0, parts: [part("read", 0, [0]), part("winner", 0)] },
        { reads: [1], factors: [2, 1], value: 2, parts: [part("read", 2, [1]), part("winner", 1)] },
      ],
    };

    assert.deepEqual(
      candidatesOf(told, 9).map(({ value, wins }) => [value, wins]),
      [
        [0, false],
        [2, true],
      ],
    );
  });
});

describe("entries", () => {
  const options = { focus: "c", channel: 1, most: 9, word: "map" };
  it("of a window are its own terms, one for the other maps, and the bias; nothing is lost", () => {
    const whole = explanation(4);
    const entries = windowEntries(whole, null, options);
    assert.deepEqual(
      entries.map(({ label }) => label),
      ["", "", "", "3 other maps", "bias"],
    );
    close(total(entries), whole.value);
  });
  it("come from a page of their own where the whole has too many terms", () => {
    const all = explanation(4);
    const whole = { ...explanation(4, { listed: 2 }), added: entriesOf(all).filter(({ label }) => label) };
    const part = { ...all, terms: all.terms.slice(3, 6) };
    close(total(windowEntries(whole, part, options)), whole.value);
  });
  it("lie in the order of the window", () => {
    const entries = windowEntries(explanation(1), null, { ...options, focus: null, order: ({ u }) => -u });
    assert.deepEqual(
      entries.slice(0, 3).map(({ at }) => at.u),
      [2, 1, 0],
    );
  });
  it("that are too many leave the smallest as one", () => {
    const entries = shorten(
      entriesOf(explanation(4)).filter(({ label }) => !label),
      4,
    );
    assert.deepEqual([entries.length, entries[4].label], [5, "8 smaller"]);
  });
  it("never put a single term behind a word", () => assert.equal(shorten(entriesOf(explanation(1)), 3).length, 4));
  it("by size end with the exact rest", () => {
    const whole = explanation(4);
    const page = {
      ...whole,
      terms: [whole.terms[9], whole.terms[11], whole.terms[6]],
      pages: 5,
      added: entriesOf(whole).slice(-1),
    };
    const entries = largestEntries(page, 3);
    assert.deepEqual(
      entries.map(({ label }) => label),
      ["", "", "", "9 smaller", "bias"],
    );
    close(total(entries), whole.value);
  });
  it("that are all zero are called zeros", () => {
    const whole = explanation(2);
    const zero = { ...whole.terms[1], value: 0, factors: [0, 0] };
    const page = {
      ...whole,
      terms: [whole.terms[5], zero],
      pages: 4,
      value: whole.terms[5].value,
      terms_total: 6,
      added: [],
    };
    assert.deepEqual(
      largestEntries(page, 2).map(({ label }) => label),
      ["", "5 zeros"],
    );
  });
});

describe("a card's rows", () => {
  const name = ({ at }) => `map ${at}`;
  it("are the terms where they are few", () => assert.equal(rowsOf(explanation(2), name).length, 7));
  it("are groups, largest first, where they are many", () => {
    const whole = explanation(12);
    const rows = rowsOf(whole, name, 4);
    assert.equal(rows.length, 6);
    assert.deepEqual(
      rows.slice(-2).map(({ label }) => label),
      ["8 others", "bias"],
    );
    close(total(rows), whole.value);
  });
  it("add up to the value whatever is left out", () => {
    for (const maps of [1, 3, 7, 20]) close(total(rowsOf(explanation(maps), name)), explanation(maps).value);
  });
});
