import assert from "node:assert/strict";
import { test } from "node:test";
import { skipped, telling } from "../../../static/js/core/telling.js";

const axis = (letters, offset = 0, pitch = 1) => ({ pitch, offset, letters });
const plain = (...letters) => letters.map(letter => axis({ [letter]: 1 }));
const tensor = (shape, data) => ({ shape, kind: "value", data: Float32Array.from(data) });

/** A 3 x 3 window over 8 x 8, whose image is dark but for its lower right part. */
function window(form) {
  const x = new Array(64).fill(0).map((_, k) => (Math.floor(k / 8) >= 4 && k % 8 >= 4 ? 1 + (k % 3) : 0));
  const y = new Array(36).fill(0);
  for (let i = 0; i < 6; i++)
    for (let j = 0; j < 6; j++)
      for (let u = 0; u < 3; u++) for (let v = 0; v < 3; v++) y[6 * i + j] += x[8 * (i + u) + j + v];
  const phase = {
    place: "q/y",
    part: "forward",
    form,
    shape: [1, 1, 6, 6],
    free: { n: 1, o: 1, i: 6, j: 6 },
    bound: { u: 3, v: 3 },
    reads: [
      {
        name: "x",
        tensor: "input/y",
        role: "factor",
        axes: [axis({ n: 1 }), axis({ o: 1 }), axis({ i: 1, u: 1 }), axis({ j: 1, v: 1 })],
      },
    ],
  };
  const tensors = { "q/y": tensor([1, 1, 6, 6], y), "input/y": tensor([1, 1, 8, 8], x) };
  return { timeline: { phases: [phase], aliases: {}, tensors: {}, layers: [] }, tensors };
}

test("a phase begins at a cell of many terms, not at a sum of zeros; what is skipped is counted", () => {
  const { timeline, tensors } = window("sum");
  const told = telling(timeline, 0, name => tensors[name], null);
  const [row, column] = [Math.floor(told.cell / 6), told.cell % 6];
  assert.ok(row >= 4 && column >= 4, `row ${row}, column ${column}: nine terms that are not zero`);
  const zeros = tensors["q/y"].data.slice(0, told.cell).filter(value => value === 0).length;
  assert.equal(told.zeros, zeros);
  assert.equal(skipped(told, String), `${told.cell} alike before it are skipped, ${zeros} of them zero`);
  assert.equal(skipped({ cell: 0, zeros: 0 }, String), "");
});

test("a largest one begins where there is a clear winner, not at a tie", () => {
  const x = new Array(16).fill(0);
  x[0] = x[1] = x[4] = x[5] = 3; // a tie
  [x[10], x[11], x[14], x[15]] = [1, 2, 3, 0.5]; // 3 wins
  const y = [3, 0, 0, 3];
  const phase = {
    place: "q/y",
    part: "forward",
    form: "max",
    shape: [1, 1, 2, 2],
    free: { n: 1, o: 1, i: 2, j: 2 },
    bound: { u: 2, v: 2 },
    reads: [
      {
        name: "x",
        tensor: "input/y",
        role: "factor",
        axes: [axis({ n: 1 }), axis({ o: 1 }), axis({ i: 2, u: 1 }), axis({ j: 2, v: 1 })],
      },
    ],
  };
  const tensors = { "q/y": tensor([1, 1, 2, 2], y), "input/y": tensor([1, 1, 4, 4], x) };
  const told = telling({ phases: [phase], aliases: {} }, 0, name => tensors[name], null);
  assert.equal(told.cell, 3);
});

test("a number for each class begins at the label's", () => {
  const phase = {
    place: "loss/p",
    part: "loss",
    form: "sum",
    shape: [1, 10],
    free: { n: 1, k: 10 },
    bound: {},
    reads: [{ name: "x", tensor: "g/y", role: "factor", axes: plain("n", "k") }],
  };
  const tensors = { "loss/p": tensor([1, 10], new Array(10).fill(0.1)) };
  const timeline = { phases: [phase], aliases: {} };
  assert.equal(telling(timeline, 0, name => tensors[name], 7).cell, 7);
  assert.equal(telling(timeline, 0, () => undefined, 7).cell, 0);
});
