import assert from "node:assert/strict";
import { test } from "node:test";
import { alike, mirrored, negated, normalised, presets, sum, turned } from "../../../static/js/core/kernels.js";

const named = (name, size = 3) => presets(size, size).find(kernel => kernel.name === name).rows;
const ROWS = [
  [1, 2, 3],
  [4, 5, 6],
  [7, 8, 9],
];

test("a kernel is turned, mirrored, negated and divided by its sum", () => {
  assert.deepEqual(turned(ROWS), [
    [9, 8, 7],
    [6, 5, 4],
    [3, 2, 1],
  ]);
  assert.deepEqual(mirrored(ROWS)[0], [3, 2, 1]);
  assert.deepEqual(negated([[1, 0, -2]]), [[-1, 0, 2]]);
  assert.ok(Math.abs(sum(normalised(ROWS)) - 1) < 1e-12);
  assert.equal(normalised(named("Sobel x")), null);
});

test("Sobel turned is Sobel with the other sign", () => {
  assert.ok(alike(turned(named("Sobel x")), negated(named("Sobel x"))));
  assert.ok(!alike(named("Sobel x"), named("Sobel y")));
});

test("what keeps brightness adds up to one, what finds edges to nothing", () => {
  for (const name of ["identity", "blur", "sharpen", "emboss"]) assert.ok(Math.abs(sum(named(name)) - 1) < 1e-12, name);
  for (const name of ["edge", "Sobel x", "Sobel y"]) assert.equal(sum(named(name)), 0, name);
});

test("in larger sizes they lie in the middle; in even ones there is only the mean", () => {
  assert.equal(named("identity", 5)[2][2], 1);
  assert.equal(sum(named("Sobel y", 7)), 0);
  assert.deepEqual(
    presets(2, 2).map(({ name }) => name),
    ["blur"],
  );
  assert.equal(presets(3, 3).length, 7);
});
