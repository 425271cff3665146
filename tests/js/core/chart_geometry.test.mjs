import assert from "node:assert/strict";
import { test } from "node:test";
import {
  epochEnds,
  indexAt,
  lineOf,
  smoothed,
  spanOf,
  spread,
  stepAt,
  stepTicks,
  valueTicks,
  xOf,
  yOf,
} from "../../../static/js/core/chart_geometry.js";

const frame = { first: 1, last: 101, top: 2, left: 50, right: 250, above: 10, below: 110 };

test("the axes run from the first step to the last and from 0 to the top", () => {
  assert.equal(xOf(frame, 1), 50);
  assert.equal(xOf(frame, 101), 250);
  assert.equal(yOf(frame, 0), 110);
  assert.equal(yOf(frame, 2), 10);
});

test("a pointer finds the nearest step and never leaves the curve", () => {
  assert.equal(stepAt(frame, xOf(frame, 37) + 0.4), 37);
  assert.equal(stepAt(frame, -100), 1);
  assert.equal(stepAt(frame, 9999), 101);
});

test("a curve of one step has a place too", () => {
  assert.equal(xOf({ ...frame, last: 1 }, 1), 50);
});

test("smoothing keeps a constant and counts the first value fully", () => {
  assert.deepEqual([...smoothed([3, 3, 3], 20)], [3, 3, 3]);
  const [first, second] = smoothed([2, 0], 20);
  assert.equal(first, 2);
  assert.ok(second > 0.9 && second < 1);
});

test("the smoothed line looks back over a share of a short run, 20 steps, and 2 % of a long one", () => {
  assert.deepEqual([4, 10, 348, 5000].map(spanOf), [1, 3, 20, 100]);
});

test("value ticks are round, start at 0 and stay within the curve", () => {
  assert.deepEqual(valueTicks(2.43), [0, 1, 2]);
  assert.deepEqual(valueTicks(1), [0, 0.5, 1]);
  assert.deepEqual(valueTicks(0.043), [0, 0.02, 0.04]);
  assert.deepEqual(valueTicks(0), [0]);
});

test("step ticks name step 1 and round steps that leave it room", () => {
  assert.deepEqual(stepTicks(348), [1, 100, 200, 300]);
  assert.deepEqual(stepTicks(1), [1]);
  assert.deepEqual(stepTicks(3), [1, 2, 3]);
  assert.deepEqual(stepTicks(1875), [1, 500, 1000, 1500]);
});

test("epochs are marked at their last step and thinned when there are many", () => {
  assert.deepEqual(epochEnds(157, 348), [
    { epoch: 1, step: 157 },
    { epoch: 2, step: 314 },
  ]);
  assert.deepEqual(
    epochEnds(10, 100, 5).map(({ epoch }) => epoch),
    [2, 4, 6, 8, 10],
  );
  assert.deepEqual(epochEnds(1875, 348), []);
});

test("a line of many points keeps every column's lowest and highest value", () => {
  const steps = Array.from({ length: 10000 }, (_, k) => k + 1);
  const values = steps.map(step => (step === 5001 ? 2 : step === 7003 ? 0 : 1));
  const wide = { ...frame, last: 10000 };
  const points = lineOf(wide, steps, values);
  assert.ok(points.length <= 4 * 201);
  assert.equal(Math.min(...points.map(([, y]) => y)), yOf(wide, 2));
  assert.equal(Math.max(...points.map(([, y]) => y)), yOf(wide, 0));
  assert.ok(points.every(([x], k) => k === 0 || x >= points[k - 1][0]));
});

test("labels at line ends keep their order and a gap, and stay above the lowest height", () => {
  assert.deepEqual(spread([100, 98], 16, 200), [114, 98]);
  assert.deepEqual(spread([100, 98], 16, 104), [104, 88]);
  assert.deepEqual(spread([20, 80], 16, 104), [20, 80]);
});

test("a step between two recorded ones reads the earlier", () => {
  assert.equal(indexAt([1, 5, 9], 5), 1);
  assert.equal(indexAt([1, 5, 9], 8), 1);
  assert.equal(indexAt([1, 5, 9], 0), -1);
  assert.equal(indexAt([1, 5, 9], 99), 2);
});
