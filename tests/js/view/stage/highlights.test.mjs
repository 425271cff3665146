import assert from "node:assert/strict";
import { test } from "node:test";
import { layout } from "../../../../static/js/view/stage/layout.js";
import { channelLetter, highlights, tilesBox, touched } from "../../../../static/js/view/stage/highlights.js";
import { phaseOf } from "../../../../static/js/core/timeline.js";
import { classroom, tiny as tinyNetwork } from "../../networks.mjs";

const timeline = classroom();
const stage = layout(timeline, 920);
const phase = place => timeline.phases[phaseOf(timeline, place)];
const tileAt = (prefix, k) => {
  const { x, y, width, height } = stage.blocks.find(block => block.prefix === prefix).tiles[k];
  return { x, y, width, height };
};

test("the letter that chooses is the one that stands alone while others slide", () => {
  assert.equal(channelLetter(phase("d/y")), "c");
  assert.equal(channelLetter(phase("a/y")), null, "with one map there is nothing to choose");
  assert.equal(channelLetter(phase("g/y")), null, "where nothing slides all is read at once");
});

test("the written tile is ringed, and of what it reads the chosen map and the chosen slice of the kernel", () => {
  const at = { phase: phaseOf(timeline, "d/y"), cell: 9 * 121 + 6 * 11 + 5 };
  const { result, reads } = highlights(stage, timeline, at, 5);
  assert.deepEqual(result, tileAt("d/y", 9));
  assert.deepEqual(reads, [tileAt("c/y", 5), tileAt("d/w", 9 * 8 + 5)]);
});

test("a window's cells are those under the kernel", () => {
  const d = phase("d/y");
  assert.deepEqual(
    touched(timeline, d, 6 * 11 + 5, 2, d.reads[0])
      .filter((_, k) => k % 2 === 0)
      .slice(0, 4),
    [2 * 169 + 6 * 13 + 5, 2 * 169 + 6 * 13 + 6, 2 * 169 + 6 * 13 + 7, 2 * 169 + 7 * 13 + 5],
  );
});

test("where everything is read, one ring goes around it all, through mere re-indexing too", () => {
  const { reads } = highlights(stage, timeline, { phase: phaseOf(timeline, "g/y"), cell: 3 }, 0);
  const { x, y, width, height } = stage.blocks.find(({ prefix }) => prefix === "f/y");
  assert.deepEqual(reads[0], { x, y, width, height });
  assert.equal(reads[1].width, 5, "and around one output's kernels");
});

test("a tensor that is not on the stage has no ring", () => {
  assert.equal(tilesBox(stage, timeline, "nowhere/y", [0]), null);
});

test("where cells are large enough to be seen, the cells themselves are ringed", () => {
  const small = tinyNetwork();
  const there = layout(small, 920);
  const { result, reads } = highlights(there, small, { phase: phaseOf(small, "a/y"), cell: 3 }, 0);
  assert.equal(result.width, 28);
  assert.deepEqual([reads[0].width, reads[0].height], [42, 42], "a window of two by two, 21 each");
});
