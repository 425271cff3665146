import assert from "node:assert/strict";
import { test } from "node:test";
import {
  at,
  axisWords,
  format,
  holds,
  parse,
  prefixOf,
  ravel,
  sizeOf,
  spoken,
  unravel,
} from "../../../static/js/core/place.js";

test("a place is layer, tensor, index and step, and is written as it was read", () => {
  for (const text of [
    "conv1/dx/0,3,5,5@120",
    "conv1/y/0,5,12,14",
    "loss/y",
    "loss/y@3",
    "conv1/w.v_next/7,0,2,2",
    "layer1.0.conv2/w/0,0,1,1",
    "0/y/0,1@3",
  ]) {
    assert.equal(format(parse(text)), text);
  }
  assert.deepEqual(parse("conv1/dx/0,3,5,5@120"), { layer: "conv1", tensor: "dx", index: [0, 3, 5, 5], step: 120 });
  assert.deepEqual(parse("loss/y"), { layer: "loss", tensor: "y", index: [], step: null });
});

test("what is no place is refused with what was expected", () => {
  for (const text of ["", "conv1", "conv1/y/", "conv1/y/1,", "conv1/y/-1", "conv1/y/0,1/2", "conv1/y@x", "/y/0"]) {
    assert.throws(() => parse(text), /layer\/tensor\/index/, text);
  }
});

test("the prefix of a place is its tensor, and a cell of a tensor of another step keeps the step at its end", () => {
  assert.equal(prefixOf("conv1/dx/0,3,5,5@120"), "conv1/dx");
  assert.equal(at("conv1/w_next@119", [0, 0, 1, 1]), "conv1/w_next/0,0,1,1@119");
  assert.equal(at("loss/y", []), "loss/y");
});

test("flat positions count in scan order, the last axis fastest", () => {
  const shape = [2, 3, 4];
  assert.equal(ravel([1, 2, 3], shape), 23);
  assert.equal(ravel([0, 1, 0], shape), 4);
  for (let flat = 0; flat < sizeOf(shape); flat++) assert.equal(ravel(unravel(flat, shape), shape), flat);
  assert.equal(sizeOf([]), 1);
});

test("an index outside the shape, or of another rank, names no cell", () => {
  assert.ok(holds([2, 3], [1, 2]));
  for (const index of [[2, 0], [0, 3], [-1, 0], [0], [0, 0, 0]]) assert.ok(!holds([2, 3], index), String(index));
});

test("axes are spoken by what they count, and an axis of one place is not spoken", () => {
  assert.equal(spoken([0, 5, 12, 14], [1, 8, 26, 26], "value"), "map 5, row 12, column 14");
  assert.equal(spoken([3, 5, 12, 14], [32, 8, 26, 26], "value"), "image 3, map 5, row 12, column 14");
  assert.equal(spoken([9, 5, 2, 1], [16, 8, 3, 3], "weight"), "kernel 9, map 5, row 2, column 1");
  assert.equal(spoken([0, 7], [1, 10], "value"), "number 7");
  assert.deepEqual(axisWords([4, 4, 4], "value"), ["axis 0", "axis 1", "axis 2"]);
});
