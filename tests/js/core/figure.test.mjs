import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
  boxIn,
  dividedBy,
  figureOf,
  fixed,
  letterOf,
  lit,
  pictureOf,
  strongest,
  windowOf,
} from "../../../static/js/core/figure.js";

/** "i+u-1" or "(h-u+1)/2" as an axis; coefficients are written before a star: "2*i+u". */
function axis(text) {
  const [, inner, pitch] = /^\((.*)\)\/(\d+)$/.exec(text) ?? [null, text, "1"];
  const made = { pitch: Number(pitch), offset: 0, letters: {} };
  for (const part of inner.replaceAll("-", "+-").split("+").filter(Boolean)) {
    const [, sign, times, letter] = /^(-?)(?:(\d+)\*?)?([a-z])?$/.exec(part);
    const size = (sign ? -1 : 1) * Number(times ?? 1);
    if (letter) made.letters[letter] = size;
    else made.offset += size;
  }
  return made;
}
const read = (name, subscript, { kind = "value", role = "factor", tensor = `before/${name}` } = {}) => ({
  name,
  tensor,
  kind,
  role,
  axes: subscript.split(",").map(axis),
});
const phase = more => ({
  place: "a/y",
  layer: "a",
  tensor: "y",
  part: "forward",
  kind: "value",
  form: "sum",
  free: {},
  bound: {},
  divisor: null,
  steps: [],
  ...more,
});

const forward = phase({
  shape: [1, 2, 3, 3],
  free: { n: 1, o: 2, i: 3, j: 3 },
  bound: { c: 4, u: 3, v: 3 },
  reads: [read("x", "n,c,i+u-1,j+v-1"), read("w", "o,c,u,v", { kind: "weight" }), read("b", "o", { kind: "weight" })],
});
const backward = phase({
  tensor: "dx",
  part: "backward",
  kind: "gradient",
  shape: [1, 4, 3, 3],
  free: { n: 1, c: 4, h: 3, k: 3 },
  bound: { o: 2, u: 3, v: 3 },
  reads: [read("dy", "n,o,h-u,k-v", { kind: "gradient" }), read("w", "o,c,u,v", { kind: "weight" })],
});
const strided = {
  ...backward,
  free: { n: 1, c: 4, h: 7, k: 7 },
  shape: [1, 4, 7, 7],
  reads: [read("dy", "n,o,(h-u+1)/2,(k-v+1)/2", { kind: "gradient" }), backward.reads[1]],
};
const weights = phase({
  tensor: "dw",
  part: "backward",
  kind: "gradient",
  shape: [2, 4, 3, 3],
  free: { o: 2, c: 4, u: 3, v: 3 },
  bound: { n: 1, i: 3, j: 3 },
  reads: [read("dy", "n,o,i,j", { kind: "gradient" }), read("x", "n,c,i+u,j+v")],
});
const largest = phase({
  form: "max",
  shape: [1, 4, 2, 2],
  free: { n: 1, c: 4, i: 2, j: 2 },
  bound: { u: 2, v: 2 },
  reads: [read("x", "n,c,2i+u,2j+v")],
});
const route = phase({
  tensor: "dx",
  part: "backward",
  kind: "gradient",
  shape: [1, 4, 4, 4],
  free: { n: 1, c: 4, h: 4, k: 4 },
  bound: { u: 2, v: 2 },
  reads: [
    read("dy", "n,c,(h-u)/2,(k-v)/2", { kind: "gradient" }),
    read("at", "n,c,(h-u)/2,(k-v)/2", { kind: "index", role: "test" }),
  ],
});

describe("what a sum is divided by", () => {
  const mean = { ...largest, form: "sum" };
  it("is the number that the timeline says", () => {
    assert.equal(dividedBy({ ...mean, divisor: 4 }), "4");
    assert.equal(dividedBy({ ...mean, divisor: -3 }), "\u22123");
  });
  it("is the tensor that the sentence divides by", () => {
    assert.equal(dividedBy({ ...mean, reads: [...mean.reads, read("cells", "i,j", { role: "divisor" })] }), "cells");
  });
  it("is nothing where a sum stays a sum", () => assert.equal(dividedBy(mean), ""));
});

describe("the figure of a phase follows from how its reads move", () => {
  it("a window that meets a kernel slides", () => {
    const figure = figureOf(forward);
    assert.deepEqual([figure.kind, figure.turned, figure.back, figure.focus], ["slide", false, false, "c"]);
    assert.equal(figure.kernel.name, "w");
  });
  it("a window that runs against its kernel has the kernel turned", () => {
    const figure = figureOf(backward);
    assert.deepEqual([figure.kind, figure.turned, figure.spread, figure.focus], ["slide", true, false, "o"]);
  });
  it("where kernel and window both run backwards nothing is turned", () => {
    const figure = figureOf({ ...backward, reads: [backward.reads[0], read("w", "o,c,2-u,2-v", { kind: "weight" })] });
    assert.equal(figure.turned, false);
  });
  it("a kernel that is read backwards is turned on the way forward", () => {
    const figure = figureOf({ ...forward, reads: [forward.reads[0], read("w", "o,c,2-u,2-v", { kind: "weight" })] });
    assert.deepEqual([figure.turned, figure.back], [true, false]);
  });
  it("a pitch above one spreads the map apart", () => assert.equal(figureOf(strided).spread, true));
  it("two maps that run over each other are multiplied cell by cell", () => {
    const figure = figureOf(weights);
    assert.deepEqual([figure.kind, figure.plane.name, figure.over.name], ["product", "x", "dy"]);
  });
  it("a window without a kernel is pooled", () => assert.equal(figureOf(largest).kind, "pool"));
  it("a window without a kernel that runs backwards is a route, its tests are the gates", () => {
    const figure = figureOf(route);
    assert.deepEqual([figure.kind, figure.gates.map(({ name }) => name)], ["route", ["at"]]);
  });
  it("one number in and one out at the same place are cells", () => {
    const each = phase({
      form: "each",
      shape: [1, 4, 3, 3],
      free: { n: 1, c: 4, i: 3, j: 3 },
      reads: [read("x", "n,c,i,j")],
    });
    assert.equal(figureOf(each).kind, "cells");
    const update = { ...each, part: "update", kind: "weight" };
    assert.equal(
      figureOf({
        ...update,
        reads: [read("w", "n,c,i,j", { kind: "weight" }), read("dw", "n,c,i,j", { kind: "gradient" })],
      }).update,
      true,
    );
    const rate = { ...read("lr", "n,c,i,j", { kind: "weight" }), axes: [] };
    const scheduled = figureOf({
      ...update,
      reads: [read("w", "n,c,i,j", { kind: "weight" }), rate, read("dw", "n,c,i,j", { kind: "gradient" })],
    });
    assert.deepEqual(
      [scheduled.kind, scheduled.update, scheduled.reads.map(({ name }) => name)],
      ["cells", true, ["w", "dw"]],
      "a rate that all weights share is no map",
    );
    assert.equal(figureOf(update).update, false, "what follows the values of a batch is no step of an optimizer");
  });
  it("short vectors are rows of numbers, long ones are not", () => {
    const short = phase({
      form: "each",
      shape: [1, 10],
      free: { n: 1, k: 10 },
      reads: [read("e", "n,k"), read("z", "n", { role: "divisor" })],
    });
    assert.equal(figureOf(short).kind, "ladder");
    assert.equal(figureOf({ ...short, shape: [1, 100], free: { n: 1, k: 100 } }).kind, "terms");
  });
  it("any other sum shows its terms", () => {
    const sum = phase({
      shape: [1, 10],
      free: { n: 1, o: 10 },
      bound: { c: 400 },
      reads: [read("x", "n,c"), read("w", "o,c", { kind: "weight" })],
    });
    assert.equal(figureOf(sum).kind, "terms");
    assert.equal(
      figureOf(phase({ shape: [2], free: { o: 2 }, bound: { n: 1, i: 3, j: 3 }, reads: [read("dy", "n,o,i,j")] })).kind,
      "terms",
    );
  });
  it("a figure does not depend on what anything is called", () => {
    const renamed = JSON.parse(
      JSON.stringify(backward).replaceAll('"dy"', '"q"').replaceAll('"w"', '"m"').replaceAll('"a/y"', '"zz/q"'),
    );
    assert.equal(figureOf(renamed).kind, "slide");
    assert.equal(figureOf(renamed).turned, true);
  });
});

describe("the cells of a window", () => {
  const letters = cells => cells.map(line => line.map(({ letter }) => letter).join("")).join(" ");
  it("are named by the kernel's cells", () => {
    const cells = windowOf(
      forward.reads[0],
      forward.reads[1],
      forward,
      { n: 0, o: 0, c: 0, i: 1, j: 1 },
      [1, 4, 3, 3],
      [2, 4, 3, 3],
    );
    assert.equal(letters(cells), "abc def ghi");
    assert.deepEqual(cells[0][0].index, [0, 0, 0, 0]);
  });
  it("of a turned kernel read i h g, f e d, c b a", () => {
    const cells = windowOf(
      backward.reads[0],
      backward.reads[1],
      backward,
      { n: 0, c: 1, o: 0, h: 2, k: 2 },
      [1, 2, 3, 3],
      [2, 4, 3, 3],
    );
    assert.equal(letters(cells), "ihg fed cba");
    assert.deepEqual(cells[0][0].index, [0, 0, 0, 0]);
    assert.deepEqual(cells[0][0].kernelIndex, [0, 1, 2, 2]);
  });
  it("outside the map are padding", () => {
    const cells = windowOf(
      forward.reads[0],
      forward.reads[1],
      forward,
      { n: 0, o: 0, c: 0, i: 0, j: 0 },
      [1, 4, 3, 3],
      [2, 4, 3, 3],
    );
    assert.deepEqual(
      cells.flat().map(({ pad }) => Number(pad)),
      [1, 1, 1, 1, 0, 0, 1, 0, 0],
    );
    assert.equal(cells[0][0].index, null);
  });
  it("between the cells of a map that is spread apart are gaps", () => {
    const cells = windowOf(
      strided.reads[0],
      strided.reads[1],
      strided,
      { n: 0, c: 0, o: 0, h: 3, k: 3 },
      [1, 2, 4, 4],
      [2, 4, 3, 3],
    );
    assert.deepEqual(
      cells.flat().map(({ pad }) => Number(pad)),
      [0, 1, 0, 1, 1, 1, 0, 1, 0],
    );
    assert.deepEqual(cells[0][0].index, [0, 0, 1, 1]);
  });
  it("end where the alphabet ends", () => {
    assert.equal(letterOf(24), "y");
    assert.equal(letterOf(60), "");
  });
});

describe("the picture of a map", () => {
  it("has as much padding as any place reaches", () => {
    const [rows] = pictureOf(backward.reads[0], backward, [1, 2, 1, 1]);
    assert.deepEqual(rows, { pitch: 1, before: 2, after: 2, size: 5 });
  });
  it("is spread apart by its pitch", () => {
    const [rows] = pictureOf(strided.reads[0], strided, [1, 2, 4, 4]);
    assert.deepEqual([rows.pitch, rows.before, rows.after, rows.size], [2, 1, 1, 9]);
  });
  it("has the window's box in its own cells", () => {
    const box = boxIn(strided.reads[0], strided, { n: 0, c: 0, o: 0, h: 0, k: 6 }, [1, 2, 4, 4]);
    assert.deepEqual(box, { row: 0, column: 6, rows: 3, columns: 3 });
  });
  it("keeps the box of a plain window where it reads", () => {
    const box = boxIn(forward.reads[0], forward, { n: 0, o: 0, c: 0, i: 2, j: 0 }, [1, 4, 3, 3]);
    assert.deepEqual(box, { row: 2, column: 0, rows: 3, columns: 3 });
  });
});

describe("what is read", () => {
  it("leaves out what lies outside and in gaps", () => {
    const cells = lit(route.reads[0], route, { n: 0, c: 1, h: 3, k: 2 }, [1, 4, 2, 2]);
    assert.deepEqual(
      cells.map(({ index }) => index),
      [[0, 1, 1, 1]],
    );
  });
  it("holds the focus within its count", () => {
    assert.deepEqual(fixed(forward, "c", 9), { c: 3 });
    assert.deepEqual(fixed(forward, null, 9), {});
  });
  it("begins with the map that weighs most, not with the first", () => {
    const data = [0, 0, 0, 0, 1, -5, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];
    assert.equal(strongest(forward.reads[0], forward, "c", { shape: [1, 4, 2, 2], data }), 1);
  });
});
