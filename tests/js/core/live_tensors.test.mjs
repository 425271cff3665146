import assert from "node:assert/strict";
import { test } from "node:test";
import { liveTensorsOf, tensorsIn } from "../../../static/js/core/live_tensors.js";

const value = tensor => ({ tensor, kind: "value" });
const tensors = {
  "one/w": { shape: [8, 1, 3, 3] },
  "one/b": { shape: [8] },
  "norm/gamma": { shape: [8] },
  "two/w": { shape: [16, 8, 3, 3] },
  "last/w": { shape: [10, 1936] },
};
const weight = tensor => ({ tensor, kind: "weight" });
const phase = (place, shape, reads, part = "forward", view = false) => {
  const [layer, tensor] = place.split("/");
  return { layer, tensor, part, shape, view, reads };
};
const timeline = (...phases) => ({ phases, tensors });

const twoStacks = timeline(
  phase("one/y", [1, 8, 26, 26], [value("input/y"), weight("one/w"), weight("one/b")]),
  phase("norm/y", [1, 8, 26, 26], [value("one/y"), weight("norm/gamma")]),
  phase("gate/y", [1, 8, 26, 26], [value("norm/y")]),
  phase("half/y", [1, 8, 13, 13], [value("gate/y")]),
  phase("two/y", [1, 16, 11, 11], [value("half/y"), weight("two/w")]),
  phase("gate2/y", [1, 16, 11, 11], [value("two/y")]),
  phase("row/y", [1, 1936], [value("gate2/y")], "forward", true),
  phase("last/y", [1, 10], [value("row/y"), weight("last/w")]),
  phase("loss/p", [1, 10], [value("last/y")], "loss"),
  phase("loss/y", [], [value("loss/p")], "loss"),
  phase("loss/dx", [1, 10], [value("loss/p")], "backward"),
);

test("the strip shows the first kernels and both stacks of maps as their last layer leaves them", () => {
  assert.deepEqual(liveTensorsOf(twoStacks), {
    input: "input/y",
    weights: "one/w",
    maps: ["gate/y", "gate2/y"],
    answers: "loss/p",
  });
  assert.deepEqual(tensorsIn(liveTensorsOf(twoStacks)), ["input/y", "one/w", "gate/y", "gate2/y", "loss/p", "loss/y"]);
});

test("a network with one stack shows it once", () => {
  const one = timeline(...twoStacks.phases.filter(({ layer }) => !["two", "gate2", "half"].includes(layer)));
  assert.deepEqual(liveTensorsOf(one).maps, ["gate/y"]);
});

test("a network without maps shows its answers, and a loss without probabilities the network's own output", () => {
  const plain = timeline(
    phase("last/y", [1, 1], [value("input/y"), weight("last/w")]),
    phase("loss/y", [], [value("last/y")], "loss"),
  );
  assert.deepEqual(liveTensorsOf(plain), { input: "input/y", weights: "last/w", maps: [], answers: "last/y" });
});
