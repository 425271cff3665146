import assert from "node:assert/strict";
import { test } from "node:test";
import { TALL, fold, kernelShape, kernels, maps } from "../../../../static/js/view/stage/tiling.js";

test("a map's side is a whole number of times its cells, at most 28", () => {
  const side = (n, count) => maps([count, n, n]).tiles[0].width;
  assert.deepEqual([side(28, 6), side(26, 8), side(13, 8), side(11, 16), side(5, 16)], [28, 26, 26, 22, 20]);
  assert.equal(maps([1, 28, 28], 0, true).tiles[0].width, 84);
});

test("up to eight maps stand two across, up to sixteen four across, and more have pages of sixteen", () => {
  const across = count => new Set(maps([count, 5, 5]).tiles.map(({ x }) => x)).size;
  assert.deepEqual([across(2), across(8), across(9), across(16)], [2, 2, 4, 4]);
  const { tiles, pages } = maps([40, 5, 5], 32);
  assert.equal(tiles.length, 8);
  assert.deepEqual(pages, { first: 32, step: 16, of: 40 });
  assert.equal(tiles[0].start, 32 * 25);
});

test("maps never grow out of their row", () => {
  for (const n of [1, 3, 7, 14, 28, 30, 64, 200]) {
    for (const count of [1, 2, 6, 8, 9, 16, 40]) {
      for (const { y, height } of maps([count, n, n]).tiles) assert.ok(y + height <= TALL + 0.01, `${count} of ${n}`);
    }
  }
});

test("a vector is folded into a picture that holds all of it", () => {
  for (const count of [1, 2, 10, 84, 97, 120, 400, 997, 1024]) {
    const { rows, cols, side } = fold(count);
    assert.ok(rows * cols >= count, String(count));
    assert.ok(rows * side <= TALL + 0.01 && cols * side <= 56.01, String(count));
  }
  assert.deepEqual(fold(120), { rows: 15, cols: 8, side: 7 });
});

test("weights of a matrix take the shape of what they are multiplied with", () => {
  assert.deepEqual(kernelShape([10, 400], [16, 5, 5]), [10, 16, 5, 5]);
  assert.deepEqual(kernelShape([84, 120], [120]), [84, 1, 15, 8]);
  assert.deepEqual(kernelShape([16, 8, 3, 3], null), [16, 8, 3, 3]);
});

test("few kernels stand level with the maps they make; many are a mosaic, turned where that is narrower", () => {
  const made = maps([8, 26, 26]).tiles;
  assert.deepEqual(
    kernels([8, 1, 3, 3], 0, made).tiles.map(({ y }) => y),
    made.map(({ y }) => y),
  );
  const mosaic = kernels([16, 8, 3, 3]).tiles;
  assert.deepEqual([mosaic[1].x, mosaic[1].y, mosaic[8].x, mosaic[8].y], [7, 0, 0, 7]);
  const turned = kernels([10, 16, 5, 5]).tiles;
  assert.deepEqual([turned[1].x, turned[1].y, turned[16].x, turned[16].y], [0, 6, 6, 0]);
});

test("kernels too many for a mosaic are shown one by one, each of their cells wide enough to be seen", () => {
  const made = kernels(kernelShape([128, 6400], [256, 5, 5]), 3);
  assert.deepEqual(made.pages, { first: 3, step: 1, of: 128 });
  assert.equal(made.tiles.length, 256);
  assert.equal(made.tiles[0].start, 3 * 6400);
  const cell = made.tiles[0].width / 5;
  assert.ok(cell > 1, `a cell is ${cell} wide`);
  assert.ok(Math.max(...made.tiles.map(tile => tile.y + tile.height)) <= TALL + 1e-6);
});
