import assert from "node:assert/strict";
import { test } from "node:test";
import { extend, noMetrics } from "../../../static/js/core/metrics.js";

const answer = (...steps) => ({
  step: steps,
  loss: steps.map(step => 1 / step),
  accuracy: steps.map(step => step / 100),
  probe: { step: steps.filter(step => step % 2 === 0), loss: [], accuracy: [0.5] },
  test: { epoch: [], step: [], loss: [], accuracy: [] },
});

test("answers that overlap are joined without a step twice", () => {
  const known = extend(extend(noMetrics(), answer(1, 2, 3)), answer(2, 3, 4, 5));
  assert.deepEqual(known.step, [1, 2, 3, 4, 5]);
  assert.deepEqual(known.loss, [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]);
  assert.deepEqual(known.probe.step, [2, 4]);
});

test("an entry without a value is no number rather than a wrong one", () => {
  assert.deepEqual(extend(noMetrics(), answer(2)).probe, { step: [2], loss: [NaN], accuracy: [0.5] });
});

test("an epoch's result over the whole test set is kept apart from the probe", () => {
  const known = extend(noMetrics(), { test: { epoch: [1], step: [1875], loss: [0.1], accuracy: [0.97] } });
  assert.deepEqual(known.test, { epoch: [1], step: [1875], loss: [0.1], accuracy: [0.97] });
  assert.deepEqual(known.probe.step, []);
});
