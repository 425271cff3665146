import assert from "node:assert/strict";
import { test } from "node:test";
import { readers, relatives } from "../../../static/js/core/facts.js";

const axis = (letters, offset = 0, pitch = 1) => ({ pitch, offset, letters });

/** A 3 x 3 convolution with padding 1 of a 5 x 5 image, 2 maps. */
const timeline = {
  layers: [],
  aliases: { "c/x": "input/y", "input/dy": "c/dx" },
  tensors: {
    "input/y": { shape: [1, 1, 5, 5] },
    "c/w": { shape: [2, 1, 3, 3] },
    "c/dw": { shape: [2, 1, 3, 3] },
    "c/w_next": { shape: [2, 1, 3, 3] },
    "c/dx": { shape: [1, 1, 5, 5] },
    "c/y": { shape: [1, 2, 5, 5] },
  },
  phases: [
    {
      place: "c/y",
      layer: "c",
      part: "forward",
      free: { n: 1, o: 2, i: 5, j: 5 },
      bound: { c: 1, u: 3, v: 3 },
      reads: [
        {
          tensor: "input/y",
          axes: [axis({ n: 1 }), axis({ c: 1 }), axis({ i: 1, u: 1 }, -1), axis({ j: 1, v: 1 }, -1)],
        },
        { tensor: "c/w", axes: [axis({ o: 1 }), axis({ c: 1 }), axis({ u: 1 }), axis({ v: 1 })] },
      ],
    },
  ],
};

test("a pixel is read by as many numbers as windows hold it, on every map; a weight by every place of its map", () => {
  assert.deepEqual(readers(timeline, "input/y/0,0,2,2"), [{ layer: "c", count: 18 }]);
  assert.deepEqual(readers(timeline, "input/y/0,0,0,0"), [{ layer: "c", count: 8 }]);
  assert.deepEqual(readers(timeline, "c/w/1,0,0,0"), [{ layer: "c", count: 25 }]);
  assert.deepEqual(readers(timeline, "c/y/0,0,0,0"), []);
});

test("a number's gradient and what the update makes of it are found by the timeline's own names", () => {
  assert.deepEqual(relatives(timeline, "c/w/1,0,2,2"), { gradient: "c/dw/1,0,2,2", after: "c/w_next/1,0,2,2" });
  assert.deepEqual(relatives(timeline, "input/y/0,0,2,2"), { gradient: "c/dx/0,0,2,2", after: null });
  assert.deepEqual(relatives(timeline, "c/y/0,1,2,2"), { gradient: null, after: null });
});
