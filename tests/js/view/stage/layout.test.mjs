import assert from "node:assert/strict";
import { test } from "node:test";
import {
  cellBox,
  clear,
  headOf,
  hit,
  layout,
  neighbour,
  pair,
  rowsOf,
  sightOf,
  systemsFor,
  tallFor,
  tileOf,
} from "../../../../static/js/view/stage/layout.js";
import { phaseOf } from "../../../../static/js/core/timeline.js";
import { classroom, deep, tiny, wide } from "../../networks.mjs";

const all = { classroom: classroom(), deep: deep(), tiny: tiny(), wide: wide() };
const within = (part, whole) =>
  part.x >= whole.x - 0.01 &&
  part.y >= whole.y - 0.01 &&
  part.x + part.width <= whole.x + whole.width + 0.01 &&
  part.y + part.height <= whole.y + whole.height + 0.01;
const apart = (a, b) =>
  a.x + a.width <= b.x + 0.01 ||
  b.x + b.width <= a.x + 0.01 ||
  a.y + a.height <= b.y + 0.01 ||
  b.y + b.height <= a.y + 0.01;

test("the rows add up to the stage of the design", () => {
  assert.deepEqual(rowsOf(), { top: 4, tall: 113, values: 28, track: 167, gradients: 195, height: 334 });
});

test("a low window lowers the rows of tiles, and a system then fits into it", () => {
  for (const height of [400, 334, 300, 276]) assert.ok(rowsOf(tallFor(height)).height <= height, `${height}`);
  assert.equal(tallFor(100), tallFor(264), "what cannot be read any more is not made");
  assert.equal(tallFor(400), 113);
});

test("columns take a second system where one would shrink them too far", () => {
  assert.deepEqual(
    [920, 720, 500].map(width => systemsFor(all.classroom, width)),
    [1, 1, 2],
  );
});

test("the classroom's columns have the design's widths", () => {
  const { columns } = layout(all.classroom, 920);
  assert.deepEqual(
    columns.map(({ kind, width }) => `${kind} ${width}`),
    [
      "maps 84",
      "weights 33",
      "maps 55",
      "maps 55",
      "maps 55",
      "weights 62",
      "maps 97",
      "maps 97",
      "maps 89",
      "weights 59",
      "bars 71",
      "loss 48",
    ],
  );
});

for (const [name, timeline] of Object.entries(all)) {
  test(`${name}: everything lies within the stage, and no tile on another`, () => {
    for (const [width, systems, tall] of [
      [920, 1, 113],
      [920, 1, 84],
      [592, 2, 113],
      [852, 2, 90],
    ]) {
      const stage = layout(timeline, width, 24, {}, systems, tall);
      const tiles = stage.blocks.flatMap(block => block.tiles);
      for (const tile of tiles)
        assert.ok(within(tile, { x: 24, y: 0, width, height: stage.height }), `${width} ${JSON.stringify(tile)}`);
      for (let a = 0; a < tiles.length; a++)
        for (let b = a + 1; b < tiles.length; b++) {
          assert.ok(apart(tiles[a], tiles[b]), `${width} ${JSON.stringify([tiles[a], tiles[b]])}`);
        }
    }
  });

  test(`${name}: every cell on the page is found where it is drawn`, () => {
    const stage = layout(timeline, 920);
    for (const block of stage.blocks) {
      for (const tile of block.tiles) {
        for (const flat of new Set([
          tile.start,
          tile.start + tile.rows * tile.cols - 1,
          tile.start + Math.floor((tile.rows * tile.cols) / 2),
        ])) {
          const box = cellBox(tile, flat);
          const found = hit(stage, box.x + box.width / 2, box.y + box.height / 2, 0);
          assert.equal(found?.flat, flat);
          assert.equal(found?.block.prefix, block.prefix);
          assert.equal(tileOf(block, flat), tile);
        }
      }
    }
  });

  test(`${name}: every phase has a place for the head, forward never to the left of where it was`, () => {
    const stage = layout(timeline, 920);
    let before = 0;
    timeline.phases.forEach(({ part, view, place }, phase) => {
      const head = headOf(stage, timeline, phase);
      assert.ok(head.x >= 24 && head.x <= 944.01, place);
      assert.equal(head.way, part === "forward" || part === "loss" ? "forward" : "backward");
      if (head.way === "forward" && !view) {
        assert.ok(head.x >= before, place);
        before = head.x;
      }
    });
  });

  test(`${name}: on a small screen a phase shows what it reads beside what it writes`, () => {
    timeline.phases.forEach((phase, k) => {
      const stage = pair(timeline, k, 328);
      assert.ok(stage.columns.length >= 1 && stage.columns.length <= 2, phase.place);
      for (const tile of stage.blocks.flatMap(block => block.tiles)) {
        assert.ok(
          within(tile, { x: 16, y: 0, width: 328, height: stage.height }),
          `${phase.place} ${JSON.stringify(tile)}`,
        );
      }
      for (const { x, width } of stage.columns)
        assert.ok(x >= 16 && x + width <= 344.01 && width >= 70, `${phase.place} ${x} ${width}`);
    });
  });
}

test("on a small screen a name counts maps only where there are maps", () => {
  const names = new Set(
    all.classroom.phases.flatMap((_, k) => pair(all.classroom, k, 328).columns.map(({ name }) => name)),
  );
  assert.ok(names.has("a, 8 maps"), [...names].join("; "));
  assert.ok(![...names].some(name => /^(loss|softmax|h).*maps/.test(name)), [...names].join("; "));
});

test("gradients stand beneath the tensors they belong to, also through re-indexing", () => {
  const { columns } = layout(all.classroom, 920);
  const f = columns.find(({ layer, kind }) => layer === "f" && kind === "maps");
  assert.deepEqual(
    f.blocks.map(({ prefix, row }) => `${prefix} ${row}`),
    ["f/y values", "g/dx gradients"],
  );
  assert.ok(!columns.some(({ layer }) => layer === "row"));
});

test("without shares the last layer keeps its column, with the first delta beneath", () => {
  const { columns } = layout(all.tiny, 920);
  assert.deepEqual(
    columns.at(-2).blocks.map(({ prefix }) => prefix),
    ["c/y", "loss/dx"],
  );
  assert.equal(columns.at(-1).kind, "loss");
});

test("two systems break before a column of weights", () => {
  const { columns, systems } = layout(all.classroom, 852, 24, {}, 2);
  assert.deepEqual(systems, [0, rowsOf().height + 12]);
  assert.equal(columns.find(({ system }) => system === 1).kind, "weights");
});

test("the arrow keys go to the neighbouring tile and over the edge to the next column", () => {
  const stage = layout(all.classroom, 920);
  const block = stage.blocks.find(({ prefix }) => prefix === "b/y");
  const right = neighbour(stage, { block, tile: block.tiles[0] }, 1, 0);
  assert.equal(right.tile, block.tiles[1]);
  assert.equal(neighbour(stage, right, 1, 0).block.prefix, "c/y");
  assert.equal(neighbour(stage, { block, tile: block.tiles[0] }, 0, 1).tile, block.tiles[2]);
  assert.equal(neighbour(stage, { block, tile: block.tiles[6] }, 0, 1).block.row, "gradients");
  assert.equal(neighbour(stage, { block: stage.blocks[0], tile: stage.blocks[0].tiles[0] }, -1, 0), null);
});

test("what replaces a parameter in the update is drawn in the parameter's own tiles", () => {
  const stage = layout(all.classroom, 920);
  assert.equal(stage.blocks.find(({ prefix }) => prefix === "a/w").next, "a/w_next");
  assert.equal(headOf(stage, all.classroom, phaseOf(all.classroom, "a/w_next")).x, 24);
});

test("columns that do not fit shrink together, and large cells stay whole", () => {
  const cells = (timeline, width) =>
    layout(timeline, width)
      .columns.filter(({ kind }) => kind === "maps")
      .map(({ blocks }) => blocks[0].tiles[0].width / blocks[0].tiles[0].cols);
  const roomy = cells(all.deep, 1200);
  const close = cells(all.deep, 920);
  close.forEach((cell, k) => {
    assert.ok(cell < roomy[k], `${cell} of ${roomy[k]}`);
    assert.ok(cell < 2.5 || Math.abs(cell - Math.round(cell)) < 1e-9, `${cell}`);
  });
});

test("of texts in a row each moves a little to stand clear of the ones before, or goes", () => {
  const at = (...middles) => middles.map(middle => ({ middle, width: 20 }));
  assert.deepEqual(clear(at(10, 25, 90)).map(Math.abs), [0, 9, 0]);
  assert.deepEqual(clear(at(10, 12, 40)), [0, null, 0]);
  assert.deepEqual(clear([{ middle: 90, width: 0 }]), [null]);
});

test("a gradient without a column leaves the head where it was; an update brings its own weights into sight", () => {
  const timeline = classroom();
  const stage = layout(timeline, 920);
  const before = phaseOf(timeline, "d/dx");
  const lone = { ...timeline.phases[before], place: "side/dx", layer: "side", tensor: "dx" };
  const branched = { ...timeline, phases: timeline.phases.toSpliced(before + 1, 0, lone) };
  assert.deepEqual(headOf(stage, branched, before + 1), headOf(stage, timeline, before));
  assert.notEqual(headOf(stage, branched, before + 1).x, stage.columns[0].x);
  for (const layer of ["a", "d", "g"]) {
    const column = stage.columns.find(each => each.kind === "weights" && each.layer === layer);
    const { x, system } = sightOf(stage, timeline, phaseOf(timeline, `${layer}/w_next`));
    assert.ok(column.x <= x && x <= column.x + column.width && system === column.system, layer);
  }
});
