import assert from "node:assert/strict";
import { test } from "node:test";

import * as photo from "../../../static/js/core/photo.js";

/** @param {number} width @param {number} height @param {(x: number, y: number) => number} value */
const grey = (width, height, value) => ({
  channels: 1,
  width,
  height,
  data: Float32Array.from({ length: width * height }, (_, k) => value(k % width, Math.floor(k / width))),
});

test("what is see-through lies on white", () => {
  const { data } = photo.planesOf([255, 0, 0, 255, 0, 0, 0, 0], 2, 1);
  assert.deepEqual([...data], [1, 1, 0, 1, 0, 1]);
});

test("green is brighter than blue", () => {
  const { data } = photo.greyOf(photo.planesOf([0, 255, 0, 255, 0, 0, 255, 255], 2, 1));
  assert.ok(Math.abs(data[0] - 0.587) < 1e-6 && Math.abs(data[1] - 0.114) < 1e-6);
});

test("paper is known by its rim, and ink is parted from it", () => {
  const paper = grey(9, 9, (x, y) => (x > 2 && x < 6 && y > 2 && y < 6 ? 0.2 : 0.9));
  assert.equal(photo.isOnPaper(paper), true);
  assert.equal(photo.isOnPaper(photo.inverted(paper)), false);
  const threshold = photo.otsu(photo.inverted(paper));
  assert.ok(threshold > 0.1 && threshold < 0.8);
  const ink = photo.cutAt(photo.inverted(paper), threshold).data;
  assert.equal(ink[0], 0);
  assert.equal(ink[4 * 9 + 4], 1);
});

test("scaling keeps the mean, down and up", () => {
  const from = grey(6, 4, (x, y) => (x + y) / 8);
  const small = photo.scaled(from, 3, 2);
  assert.ok(Math.abs(small.data[0] - 0.125) < 1 / 255);
  const mean = (/** @type {Float32Array} */ data) => data.reduce((all, value) => all + value, 0) / data.length;
  assert.ok(Math.abs(mean(small.data) - mean(from.data)) < 1 / 255);
  assert.ok(Math.abs(mean(photo.scaled(from, 13, 9).data) - mean(from.data)) < 1 / 100);
});

test("the middle has the proportions that are asked for", () => {
  const { width, height, data } = photo.middleOf(
    grey(10, 4, x => x / 10),
    1,
  );
  assert.deepEqual([width, height], [4, 4]);
  assert.ok(Math.abs(data[0] - 0.3) < 1e-6);
});

test("every stage is shown, and one that is undone is left out", () => {
  const picture = photo.planesOf(
    Array.from({ length: 4 * 8 * 6 }, (_, k) => (k * 37) % 256),
    8,
    6,
  );
  const all = { invert: true, threshold: 0.5, crop: true };
  const words = (/** @type {any} */ shape, /** @type {any} */ choices) =>
    photo.stagesOf(picture, shape, choices, null).map(each => each.words);
  assert.deepEqual(words([1, 4, 4], all), [
    "as it came",
    "in grey",
    "inverted",
    "cut at the threshold",
    "cropped",
    "scaled to 4×4",
  ]);
  assert.deepEqual(words([3, 4, 4], { invert: false, threshold: null, crop: false }), ["as it came", "scaled to 4×4"]);
  const last = photo.stagesOf(picture, [3, 4, 5], { invert: false, threshold: null, crop: true }, null).at(-1);
  const rows = photo.rowsOf(/** @type {any} */ (last).planes);
  assert.deepEqual([rows.length, rows[0].length, /** @type {any} */ (rows)[0][0].length], [3, 4, 5]);
});
