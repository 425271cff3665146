import assert from "node:assert/strict";
import { test } from "node:test";

import { figureOf } from "../../../static/js/core/figure.js";
import { fieldOf, lettersOf, motion, shownParts, stampsOf, turnOf, waysOf } from "../../../static/js/core/scatter.js";
import { ravel, sizeOf, unravel } from "../../../static/js/core/place.js";

/** Numbers of a seed, the same each time. */
function random(seed) {
  let state = seed;
  return () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
}

const axis = (letters, offset = 0, pitch = 1) => ({ pitch, offset, letters });
const plain = (...letters) => letters.map(letter => axis({ [letter]: 1 }));

/** The sentence of a convolution's forward pass and those of its gradients, as the server tells them. */
function convolution({ stride: s = 1, pad: p = 0, dilation: d = 1, kernel: K = 3, size = 7, maps: [C, O] = [2, 3] }) {
  const out = Math.floor((size + 2 * p - d * (K - 1) - 1) / s) + 1;
  const next = random(K * 100 + s * 10 + p);
  const filled = shape => ({ shape, data: Float64Array.from({ length: sizeOf(shape) }, () => next() - 0.5) });
  const x = filled([1, C, size, size]);
  const w = filled([O, C, K, K]);
  const delta = filled([1, O, out, out]);
  delta.data.forEach((_, k) => {
    if (next() < 0.4) delta.data[k] = 0;
  });
  const free = { n: 1, o: O, i: out, j: out };
  const bound = { c: C, u: K, v: K };
  const slides = [axis({ n: 1 }), axis({ c: 1 }), axis({ i: s, u: d }, -p), axis({ j: s, v: d }, -p)];
  const back = [axis({ n: 1 }), axis({ o: 1 }), axis({ h: 1, u: -d }, p, s), axis({ k: 1, v: -d }, p, s)];
  const ofKernel = plain("o", "c", "u", "v");
  const scatter = (target, factor, stamp) => ({ free, bound, axes: plain("n", "o", "i", "j"), target, factor, stamp });
  const read = (name, axes, kind, given) => ({
    name,
    tensor: `a/${name}`,
    kind,
    role: "factor",
    joint: "",
    axes,
    scatter: given,
  });
  const common = { layer: "a", part: "backward", form: "sum", kind: "gradient", divisor: null, steps: [] };
  const dx = {
    ...common,
    place: "a/dx",
    tensor: "dx",
    shape: x.shape,
    free: { n: 1, c: C, h: size, k: size },
    bound: { o: O, u: K, v: K },
    reads: [read("dy", back, "gradient", scatter(slides, "w", ofKernel)), read("w", ofKernel, "weight", null)],
  };
  const dw = {
    ...common,
    place: "a/dw",
    tensor: "dw",
    shape: w.shape,
    free: { o: O, c: C, u: K, v: K },
    bound: { n: 1, i: out, j: out },
    reads: [
      read("dy", plain("n", "o", "i", "j"), "gradient", scatter(ofKernel, "x", slides)),
      read("x", slides, "value", null),
    ],
  };
  // By definition: each output takes its share back to what it read.
  const wanted = { dx: new Float64Array(sizeOf(x.shape)), dw: new Float64Array(sizeOf(w.shape)) };
  const shared = new Map();
  for (let o = 0; o < O; o++)
    for (let i = 0; i < out; i++)
      for (let j = 0; j < out; j++)
        for (let c = 0; c < C; c++)
          for (let u = 0; u < K; u++)
            for (let v = 0; v < K; v++) {
              const [h, k] = [s * i + d * u - p, s * j + d * v - p];
              if (h < 0 || k < 0 || h >= size || k >= size) continue;
              const from = delta.data[ravel([0, o, i, j], delta.shape)];
              const at = ravel([0, c, h, k], x.shape);
              const share = from * w.data[ravel([o, c, u, v], w.shape)];
              wanted.dx[at] += share;
              shared.set(`${o} ${at}`, (shared.get(`${o} ${at}`) ?? 0) + share);
              wanted.dw[ravel([o, c, u, v], w.shape)] += from * x.data[at];
            }
  return { x, w, delta, dx, dw, wanted, shared, out, O };
}

const CASES = [
  {},
  { pad: 1 },
  { stride: 2 },
  { stride: 2, pad: 1 },
  { dilation: 2, pad: 2 },
  { stride: 3, kernel: 2 },
  { kernel: 5, pad: 2, size: 9 },
  { kernel: 7, pad: 3, size: 10, stride: 2 },
];
const close = (a, b, message) =>
  assert.ok(Math.abs(a - b) <= 1e-12 * Math.max(1, Math.abs(b)), `${message}: ${a}, ${b}`);

for (const settings of CASES) {
  test(`gathered, scattered and by the matrix every cell is as defined ${JSON.stringify(settings)}`, () => {
    const { w, delta, dx, shared, wanted, O } = convolution(settings);
    const figure = figureOf(dx);
    assert.equal(figure.kind, "slide");
    assert.deepEqual(waysOf(figure), ["gather", "scatter", "matrix", "all"]);
    for (let flat = 0; flat < wanted.dx.length; flat += (settings.kernel ?? 3) > 3 ? 11 : 1) {
      const written = unravel(flat, dx.shape);
      const [n, c, h, k] = written;
      let whole = 0;
      for (let o = 0; o < O; o++) {
        const turn = turnOf(figure, dx, { n, c, h, k, o }, written, { x: delta, w });
        const { gather, scatter, matrix } = turn.totals;
        const right = shared.get(`${o} ${flat}`) ?? 0;
        close(gather, right, "gather");
        close(scatter, right, "scatter");
        close(matrix, right, "matrix");
        for (const part of turn.parts) {
          if (!part.index) continue;
          assert.equal(part.here.letter, part.letter, "the letter that lands is the letter that is met");
          for (const { row, column } of part.stamp) {
            const { field } = turn;
            assert.ok(row >= field.row && row < field.row + field.rows, "a stamp lies in the field");
            assert.ok(column >= field.column && column < field.column + field.columns);
          }
        }
        whole += gather;
      }
      close(whole, wanted.dx[flat], "all maps");
    }
  });

  test(`stamped pair by pair a weight's gradient is the same ${JSON.stringify(settings)}`, () => {
    const { x, delta, dw, wanted } = convolution(settings);
    const figure = figureOf(dw);
    assert.equal(figure.kind, "product");
    assert.deepEqual(waysOf(figure), ["gather", "scatter"]);
    for (let flat = 0; flat < wanted.dw.length; flat += (settings.kernel ?? 3) > 3 ? 29 : 5) {
      const written = unravel(flat, dw.shape);
      const [o, c, u, v] = written;
      const { parts, totals } = stampsOf(figure, dw, { n: 0, o, c, u, v }, written, { x, d: delta });
      close(totals.gather, wanted.dw[flat], "gather");
      close(totals.scatter, wanted.dw[flat], "scatter");
      assert.ok(parts.length <= 9);
      for (const { value, here, product } of parts) close(value * (here?.weight ?? 0), product, "a pair");
    }
  });
}

test("in the middle of a map the stamps' letters spell the kernel from its end", () => {
  const { w, delta, dx } = convolution({});
  const turn = turnOf(figureOf(dx), dx, { n: 0, c: 0, h: 3, k: 3, o: 0 }, [0, 0, 3, 3], { x: delta, w });
  assert.equal(turn.parts.map(({ here }) => here.letter).join(""), "ihgfedcba");
  assert.equal(turn.parts[0].stamp.map(({ letter }) => letter).join(""), "abcdefghi");
  assert.deepEqual(turn.field, { row: 1, column: 1, rows: 5, columns: 5 });
});

test("with a stride there is no delta at most cells, and the stamps lie apart", () => {
  const { w, delta, dx } = convolution({ stride: 2 });
  const figure = figureOf(dx);
  const turn = turnOf(figure, dx, { n: 0, c: 0, h: 2, k: 2, o: 0 }, [0, 0, 2, 2], { x: delta, w });
  assert.equal(turn.parts.map(({ index, letter }) => (index ? letter : "-")).join(""), "i-g---c-a");
  assert.deepEqual(motion(figure.plane.scatter), { step: [2, 2], pitch: [1, 1], turned: false });
});

test("a dilated stamp reaches further, and of a large kernel the nine largest stand alone", () => {
  const { dx } = convolution({ dilation: 2, pad: 2 });
  assert.deepEqual(fieldOf(figureOf(dx).plane.scatter, [0, 0, 3, 3]), { row: -1, column: -1, rows: 9, columns: 9 });
  const large = convolution({ kernel: 5, pad: 2, size: 9 });
  const turn = turnOf(figureOf(large.dx), large.dx, { n: 0, c: 0, h: 4, k: 4, o: 0 }, [0, 0, 4, 4], {
    x: large.delta,
    w: large.w,
  });
  const { shown, rest } = shownParts(turn.parts);
  assert.deepEqual([shown.length, rest.length], [9, 16]);
  const least = Math.min(...shown.map(({ product }) => Math.abs(product)));
  assert.ok(rest.every(({ product }) => Math.abs(product) <= least));
});

test("an axis of groups is taken apart into its letters", () => {
  assert.deepEqual(lettersOf([axis({ g: 3, o: 1 }), axis({ i: 1 })], [7, 4]), { g: 2, o: 1, i: 4 });
});

test("a sum that only slides forwards is looked at in one way", () => {
  const { dx } = convolution({});
  assert.deepEqual(waysOf(null), ["gather"]);
  const forward = { ...figureOf(dx), back: false, turned: false, spread: false };
  assert.deepEqual(waysOf(forward), ["gather"]);
});
