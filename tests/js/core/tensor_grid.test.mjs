import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { foldOf, planePicture, vectorPicture } from "../../../static/js/core/tensor_grid.js";

const counting = (shape, kind = "value") => ({
  shape,
  kind,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, k) => k),
});

describe("a plane", () => {
  const picture = planePicture("a/y", counting([1, 2, 3, 4]), [0, 1], 12 + 6);
  it("knows which index stands where, and back", () => {
    assert.deepEqual(picture.indexAt(2, 3), [0, 1, 2, 3]);
    assert.deepEqual(picture.spotOf([0, 1, 2, 3]), [2, 3]);
    assert.equal(picture.spotOf([0, 0, 2, 3]), null);
    assert.equal(picture.data[picture.offset], 12);
  });
  it("hatches what is not written: the rest of a row, then the rows below", () => {
    assert.deepEqual(picture.holes, [
      { row: 1, column: 2, rows: 1, columns: 2 },
      { row: 2, column: 0, rows: 1, columns: 4 },
    ]);
    assert.deepEqual(planePicture("a/y", counting([1, 2, 3, 4]), [0, 0], 99).holes, []);
    assert.deepEqual(planePicture("a/y", counting([1, 2, 3, 4]), [0, 1], 3).holes, [
      { row: 0, column: 0, rows: 3, columns: 4 },
    ]);
  });
});

describe("a vector", () => {
  const maps = foldOf(8, [1, 2, 2, 2]);
  it("is folded into the maps it was written from", () => {
    const picture = vectorPicture("f/y", counting([1, 8]), [0, 0], 1, maps);
    assert.deepEqual([picture.rows, picture.columns], [2, 4]);
    assert.deepEqual([...picture.data], [0, 1, 4, 5, 2, 3, 6, 7]);
    for (let k = 0; k < 8; k++) assert.deepEqual(picture.indexAt(...picture.spotOf([0, k])), [0, k]);
  });
  it("down a column of a matrix takes every row's number", () => {
    const picture = vectorPicture("l/w", counting([4, 3], "weight"), [0, 2], 0, foldOf(4, null));
    assert.deepEqual([...picture.data], [2, 5, 8, 11]);
    assert.deepEqual(picture.spotOf([3, 2]), [0, 3]);
    assert.equal(picture.spotOf([3, 1]), null);
  });
  it("hatches map by map", () => {
    assert.deepEqual(vectorPicture("f/y", counting([1, 8]), [0, 0], 1, maps, 5).holes, [
      { row: 0, column: 3, rows: 1, columns: 1 },
      { row: 1, column: 2, rows: 1, columns: 2 },
    ]);
  });
  it("is as near a square as its length allows, and short ones are a row", () => {
    assert.deepEqual([foldOf(120, null).rows, foldOf(120, null).columns], [10, 12]);
    assert.deepEqual([foldOf(10, null).rows, foldOf(10, null).columns], [1, 10]);
    const prime = foldOf(97, null);
    assert.ok(prime.rows * prime.columns >= 97 && prime.columns < 40);
  });
});
