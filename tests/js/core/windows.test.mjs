import assert from "node:assert/strict";
import { test } from "node:test";
import { boxOf, cellsOf, every, extents, padding, pitchOf, slides } from "../../../static/js/core/windows.js";

const axis = (letters, offset = 0, pitch = 1) => ({ pitch, offset, letters });
const read = (...axes) => ({ name: "x", tensor: "a/y", kind: "value", role: "factor", axes });
const indices = cells => cells.map(({ index }) => index);

// y[i] = sum[u](x[2*i + u - 1] * w[u]), three taps, stride 2, padding 1, over 5 cells.
const forward = read(axis({ i: 2, u: 1 }, -1));
// The same seen from x: dx[h] = sum[u](dy[(h + 1 - u) / 2] * w[u]).
const back = read(axis({ h: 1, u: -1 }, 1, 2));

test("a window lies at stride times the place plus the tap, less the padding", () => {
  assert.deepEqual(indices(cellsOf(forward, { i: 0 }, { u: 3 })), [[-1], [0], [1]]);
  assert.deepEqual(indices(cellsOf(forward, { i: 2 }, { u: 3 })), [[3], [4], [5]]);
});

test("where the pitch does not divide, there is a gap and nothing is read", () => {
  assert.deepEqual(indices(cellsOf(back, { h: 0 }, { u: 3 })), [[null], [0], [null]]);
  assert.deepEqual(indices(cellsOf(back, { h: 1 }, { u: 3 })), [[1], [null], [0]]);
});

test("cells come in the order of the sum and say which letters chose them", () => {
  const plane = read(axis({ i: 1, u: 1 }), axis({ j: 1, v: 1 }));
  const cells = cellsOf(plane, { i: 4, j: 2 }, { c: 8, u: 2, v: 2 });
  assert.deepEqual(indices(cells), [
    [4, 2],
    [4, 3],
    [5, 2],
    [5, 3],
  ]);
  assert.deepEqual(cells[1].at, { u: 0, v: 1 });
});

test("a bound letter that a read does not use does not repeat its cells, and no letters give one cell", () => {
  assert.equal(cellsOf(read(axis({ i: 1 })), { i: 3 }, { u: 9 }).length, 1);
  assert.deepEqual([...every({})], [{}]);
  assert.deepEqual([...every({ u: 0 })], []);
});

test("an axis through an index tensor has no position", () => {
  assert.deepEqual(indices(cellsOf(read(axis({ c: 1 }), null), { c: 2 }, {})), [[2, null]]);
  assert.deepEqual(boxOf(read(axis({ c: 1 }), null), { c: 2 }, {}), [{ low: 2, high: 2 }, null]);
});

test("padding is as far as any place reaches beyond the tensor, also when spread out", () => {
  assert.deepEqual(extents(forward, { i: 3 }, { u: 3 }), [{ low: -1, high: 5 }]);
  assert.deepEqual(padding(forward, [5], { i: 3 }, { u: 3 }), [{ before: 1, after: 1 }]);
  // Seen from x, dy is spread over 5 cells with one zero between, and one ring remains on either side.
  assert.deepEqual(padding(back, [3], { h: 5 }, { u: 3 }), [{ before: 1, after: 1 }]);
  assert.deepEqual(padding(read(axis({ i: 1 })), [5], { i: 5 }, {}), [{ before: 0, after: 0 }]);
});

test("a divisor spreads the window's cells apart", () => {
  assert.equal(pitchOf(back, 0), 2);
  assert.equal(pitchOf(read(null), 0), 1);
});

test("axes slide along bound letters that count more than one", () => {
  const x = read(axis({ n: 1 }), axis({ c: 1 }), axis({ i: 1, u: 1 }));
  assert.deepEqual(slides(x, { n: 1, u: 3 }), [{ axis: 2, letter: "u", coefficient: 1 }]);
});
