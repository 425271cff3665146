import "../vendor.mjs";

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { CELL, end, phaseOf, start } from "../../../static/js/core/timeline.js";
import { classroom } from "../networks.mjs";

const store = await import("../../../static/js/state/store.js");
const link = await import("../../../static/js/state/permalink.js");
const timeline = classroom();

function fill() {
  const tensors = new Map();
  for (const [name, { shape, kind }] of Object.entries(timeline.tensors)) {
    const size = shape.reduce((a, b) => a * b, 1);
    tensors.set(name, { shape, kind, data: Float32Array.from({ length: size }, (_, k) => ((k % 7) - 3) / 2) });
  }
  return tensors;
}

beforeEach(() => {
  store.run.value = { id: "welcome", state: "paused", step: 120 };
  store.status.value = { ready: true, compiling: null, version: "0", welcome: "welcome" };
  store.timeline.value = timeline;
  store.tensors.value = fill();
  store.source.value = { kind: "pass", dataset: "mnist", split: "test", index: 464, pass: "p" };
  store.step.value = 120;
  store.streaming.value = false;
  store.pause();
  store.goTo(null);
  store.closeCard();
  store.setSpeed(1);
  store.setTheme("auto");
});

test("before the first play only what is given is known", () => {
  assert.ok(store.isKnown("input/y/0,0,3,3"));
  assert.ok(!store.isKnown("a/y/0,0,0,0"));
  assert.equal(store.known("a/w"), 72);
});

test("an alias is the tensor itself", () => {
  assert.equal(store.nameOf("d/x/0,1,2,3"), "c/y");
  assert.equal(store.numberAt("d/x/0,1,2,3"), store.numberAt("c/y/0,1,2,3"));
  assert.equal(store.numberAt("d/x/0,1"), undefined, "an index of another rank is no cell");
});

test("play starts at the first cell, moves with the clock at its speed, and stops at the end", () => {
  store.play();
  store.tick(0);
  assert.deepEqual(store.position.value, { phase: 0, cell: 0 });
  store.setSpeed(2);
  store.tick(CELL);
  assert.deepEqual(store.position.value, { phase: 0, cell: 2 });
  store.tick(1e9);
  assert.deepEqual(store.position.value, end(timeline));
  assert.equal(store.playing.value, false);
  store.play();
  assert.deepEqual(store.position.value, start(timeline), "from the end it starts again");
});

test("a step stops the play; scrubbing back hatches what comes after", () => {
  store.play();
  store.stepCell(1);
  assert.equal(store.playing.value, false);
  store.goTo({ phase: phaseOf(timeline, "d/y"), cell: 4 });
  assert.equal(store.known("b/y"), 8 * 676);
  store.goTo({ phase: 0, cell: 9 });
  assert.equal(store.known("a/y"), 10);
  assert.equal(store.known("b/y"), 0);
});

test("a visit takes the figure to a cell and keeps what was computed; going back in time does not", () => {
  store.goTo({ phase: phaseOf(timeline, "d/y"), cell: 4 });
  store.visit("a/y/0,2,5,5");
  assert.equal(store.phase.value.place, "a/y");
  assert.equal(store.position.value.cell, 2 * 676 + 5 * 26 + 5);
  assert.equal(store.place.value, "a/y/0,2,5,5");
  assert.equal(store.known("b/y"), 8 * 676);
  assert.equal(store.known("d/y"), 5);
  store.visit("a/w/0,0,1,1");
  assert.equal(store.phase.value.place, "a/y", "what no phase writes only opens its card");
  assert.ok(!store.canSee("a/w/0,0,1,1") && store.canSee("d/y/0,0,1,1"));
  store.goTo({ phase: 0, cell: 9 });
  assert.equal(store.known("b/y"), 0);
});

test("while play runs ahead the written position moves a few times a second, and a pause stands exactly there", () => {
  store.goTo({ phase: 0, cell: 0 });
  store.play();
  const stops = new Set();
  store.tick(4 * CELL + 200);
  for (let k = 0; k < 60; k++) {
    store.tick(16);
    stops.add(store.position.value.cell);
  }
  assert.ok(stops.size <= 4, `${stops.size} positions in a second`);
  const drawn = store.knownNow("a/y");
  assert.ok(drawn > store.known("a/y"));
  store.pause();
  assert.equal(store.known("a/y"), drawn);
});

test("a position off the timeline is ignored", () => {
  store.goTo({ phase: 0, cell: 3 });
  store.goTo({ phase: 0, cell: 1e9 });
  assert.deepEqual(store.position.value, { phase: 0, cell: 3 });
});

test("while training is shown everything is known, and play asks the run to stand still first", () => {
  store.run.value = { ...store.run.value, state: "running" };
  store.streaming.value = true;
  assert.ok(store.isKnown("a/dw/0,0,0,0"));
  store.play();
  assert.equal(store.halted.value, "welcome");
  store.tick(CELL);
  assert.deepEqual(store.position.value, start(timeline), "the clock waits");
});

test("from a card that follows the pass the trail begins at the place it shows", () => {
  store.closeCard();
  store.explanation.value = { place: "loss/y", data: {} };
  store.open("loss/p/0,3", { from: "card" });
  assert.deepEqual(store.trail.value, ["loss/y", "loss/p/0,3"]);
  store.explanation.value = null;
  store.closeCard();
});

test("the trail grows within the card, goes back on it, and starts anew from anywhere else", () => {
  store.open("loss/y");
  store.open("loss/p/0,3", { from: "card" });
  store.open("g/y/0,3", { from: "card" });
  assert.deepEqual(store.trail.value, ["loss/y", "loss/p/0,3", "g/y/0,3"]);
  store.open("loss/p/0,3", { from: "card" });
  assert.deepEqual(store.trail.value, ["loss/y", "loss/p/0,3"]);
  store.back();
  assert.equal(store.place.value, "loss/y");
  store.open("a/y/0,0,0,0");
  assert.deepEqual(store.trail.value, ["a/y/0,0,0,0"]);
});

test("a place of the training step that is looked at needs no step", () => {
  store.source.value = { kind: "step", step: 120, sample: 0 };
  store.open("a/y/0,0,0,0@120");
  assert.equal(store.place.value, "a/y/0,0,0,0");
  store.open("a/y/0,0,0,0@119");
  assert.equal(store.place.value, "a/y/0,0,0,0@119");
});

test("numbers of another step keep their step and are not read from this one", () => {
  store.open("a/w_next/0,0,1,1@119");
  assert.equal(store.place.value, "a/w_next/0,0,1,1@119");
  assert.equal(store.numberAt("a/w_next/0,0,1,1@119"), undefined);
  assert.ok(store.isKnown("a/w_next/0,0,1,1@119"));
});

test("one level out: the panel first, then the card, then nothing", () => {
  store.open("loss/y");
  store.openPanel("help");
  assert.ok(store.leave());
  assert.equal(store.panel.value, null);
  assert.ok(store.leave());
  assert.equal(store.place.value, null);
  assert.ok(!store.leave());
});

test("one range per tensor, rounded up; what is a share of one keeps one", () => {
  assert.equal(store.rangeOf("a/y"), 1.5);
  store.tensors.value = new Map([["loss/p", { shape: [1, 10], kind: "value", data: new Float32Array(10).fill(0.1) }]]);
  assert.equal(store.rangeOf("loss/p"), 1);
});

test("in a minibatch the image that is looked at is number 0 here and has its own number outside", () => {
  store.source.value = { kind: "step", step: 120, sample: 5 };
  assert.equal(store.trueName("a/y/0,1,2,3"), "a/y/5,1,2,3");
  assert.equal(store.trueName("a/y/5,1,2,3"), "a/y/0,1,2,3");
  assert.equal(store.trueName("a/dw/0,0,2,2"), "a/dw/0,0,2,2");
  assert.equal(store.trueName("loss/y"), "loss/y");
});

test("the address holds what is seen, and is read as it was written", () => {
  store.goTo({ phase: phaseOf(timeline, "d/dx"), cell: 5 * 169 + 11 * 13 + 2 });
  store.open("d/dx/0,5,11,2");
  store.setTheme("dark");
  store.setSpeed(0.5);
  store.step.value = 100;
  store.usual.value = { kind: "pass", dataset: "mnist", split: "test", index: 464 };
  const hash = link.write();
  assert.equal(hash, "#step=100&at=d/dx/0,5,11,2&place=d/dx/0,5,11,2&speed=0.5&theme=dark");
  store.goTo(null);
  store.closeCard();
  store.setTheme("auto");
  const given = link.read(hash);
  assert.equal(given.step, 100);
  link.look(given, ["explore", "train"]);
  link.place(given);
  assert.equal(link.write(), hash);
});

test("an image, a minibatch's image and a drawing are told in the address", () => {
  assert.deepEqual(link.readSource("mnist/train/17", null), {
    kind: "pass",
    dataset: "mnist",
    split: "train",
    index: 17,
  });
  assert.deepEqual(link.readSource("step/5", 33), { kind: "step", step: 33, sample: 5 });
  const x = Array.from({ length: 28 }, (_, r) =>
    Array.from({ length: 28 }, (_, c) => (r === c ? 1 : r === 3 ? 51 / 255 : 0)),
  );
  const text = link.pack(x);
  assert.match(text, /^[\w.-]+$/);
  assert.deepEqual(link.unpack(text), x);
  assert.deepEqual(link.readSource(`drawn/${text}`, null), { kind: "pass", drawn: true, x });
  const colour = [x, x, x].map(plane => plane.slice(0, 4).map(row => row.slice(0, 5)));
  store.source.value = { kind: "pass", drawn: true, x: colour, target: 2 };
  const named = /source=([^&]*)/.exec(link.write())?.[1] ?? "";
  assert.deepEqual(link.readSource(decodeURIComponent(named), null), {
    kind: "pass",
    drawn: true,
    x: colour,
    target: 2,
  });
  const labelled = { kind: "pass", drawn: true, x, target: 0 };
  store.source.value = labelled;
  assert.deepEqual(link.read(link.write()).source, labelled);
});

test("an address that asks for a cell that is not there says so and goes nowhere", () => {
  store.goTo(null);
  link.place(link.read("#at=d/dx/0,5,99,2"));
  assert.equal(store.position.value, null);
  assert.deepEqual(store.problem.value, {
    title: "The address asks for at=d/dx/0,5,99,2",
    detail: `d/dx has the places 0,0,0,0 to ${timeline.tensors["d/dx"].shape.map(extent => extent - 1).join(",")}.`,
  });
  store.showError(null);
});

test("an address that makes no sense leads to a first visit", () => {
  const given = link.read("#view=cat&step=-3&source=../../etc&at=%00&place=x&theme=pink&speed=soon");
  assert.equal(given.step, null);
  assert.equal(given.source, null);
  link.look(given, ["explore", "train"]);
  link.place(given);
  assert.match(store.problem.value?.detail ?? "", /^A place is layer\/tensor\/index/);
  store.showError(null);
  assert.equal(store.view.value, "explore");
  assert.equal(store.theme.value, "auto");
  assert.equal(store.position.value, null);
});

test("numbers set by hand go with the pass and the address; of another image those of the network stay", () => {
  store.setNumber("a/w/0,0,1,1", 0.5);
  store.setNumber("input/y/0,0,3,3", 1e-10);
  store.setNumber("a/w/0,0,1,1", -0.25);
  assert.deepEqual(store.edits.value, [
    { place: "input/y/0,0,3,3", value: 1e-10 },
    { place: "a/w/0,0,1,1", value: -0.25 },
  ]);
  assert.equal(store.source.value.pass, undefined, "the pass is another one");
  assert.deepEqual(store.wanted.value.source.edits, store.edits.value);
  assert.deepEqual(link.read(link.write()).edits, store.edits.value);
  store.look({ kind: "pass", dataset: "mnist", split: "test", index: 3 });
  assert.deepEqual(store.edits.value, [{ place: "a/w/0,0,1,1", value: -0.25 }]);
  store.setNumber("a/w/0,0,1,1", null);
  assert.equal(store.source.value.edits, undefined);
  assert.ok(!link.write().includes("edits"));
});

test("edits of an address that are no numbers are left out", () => {
  assert.deepEqual(link.readEdits("a/w/0,0,1,1=2;b/w/0=x;c;=3;d/w/0=Infinity"), [{ place: "a/w/0,0,1,1", value: 2 }]);
});

test("with predict on, each phase waits for a guess of its first number, and keeps it", () => {
  store.setPredicting(true);
  store.guesses.value = new Map();
  store.play();
  assert.equal(store.playing.value, false, "nothing moves before an answer");
  const first = store.asked.value;
  assert.ok(first?.startsWith(`${timeline.phases[0].place}/`));
  assert.ok(!store.isKnown(first));
  store.predict("negative");
  assert.equal(store.guesses.value.get(first), "negative");
  assert.ok(store.isKnown(first));
  assert.equal(store.asked.value, null);
  store.play();
  store.tick(1e9);
  assert.equal(store.playing.value, false);
  assert.equal(store.position.value.cell, -1, "the next phase is not begun");
  assert.ok(store.asked.value && store.asked.value !== first);
  store.predict(null);
  assert.equal(store.guesses.value.size, 1, "what is passed over is no guess");
  store.setPredicting(false);
});
