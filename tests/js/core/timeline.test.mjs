import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CELL,
  LONGEST,
  advance,
  batched,
  cellTime,
  cellsAfter,
  cellsIn,
  clockAt,
  compare,
  duration,
  end,
  known,
  living,
  lettersAt,
  marks,
  nextCell,
  nextPhase,
  ownName,
  phaseOf,
  positionAt,
  positionOf,
  seenShape,
  shareOf,
  source,
  start,
  timeOf,
  valid,
  walked,
} from "../../../static/js/core/timeline.js";
import { classroom } from "../networks.mjs";

const timeline = classroom();
const at = (place, cell) => ({ phase: phaseOf(timeline, place), cell });

test("aliases lead to the tensor itself, and mere re-indexing to where the numbers were written", () => {
  assert.equal(ownName(timeline, "d/x"), "c/y");
  assert.equal(ownName(timeline, "f/dy"), "row/dx");
  assert.equal(source(timeline, "f/dy"), "g/dx");
  assert.equal(source(timeline, "g/x"), "f/y");
  assert.equal(ownName({ ...timeline, aliases: { "a/x": "b/x", "b/x": "a/x" } }, "a/x"), "a/x");
});

test("re-indexing takes no time: it is walked neither on nor back", () => {
  assert.ok(!walked(timeline).includes(phaseOf(timeline, "row/y")));
  const last = at("f/y", 16 * 25 - 1);
  assert.deepEqual(nextCell(timeline, last, 1), at("g/y", 0));
  assert.deepEqual(nextCell(timeline, at("g/y", 0), -1), last);
});

test("one cell on goes through a phase and into the next; both ends of the pass are ends", () => {
  assert.deepEqual(nextCell(timeline, start(timeline), 1), at("a/y", 0));
  assert.deepEqual(nextCell(timeline, at("a/y", 0), -1), start(timeline));
  assert.equal(nextCell(timeline, start(timeline), -1), null);
  assert.equal(nextCell(timeline, end(timeline), 1), null);
  assert.deepEqual(end(timeline), at("g/b_next", 9));
});

test("one phase back goes to the start of this phase first", () => {
  assert.deepEqual(nextPhase(timeline, at("b/y", 40), -1), at("b/y", 0));
  assert.deepEqual(nextPhase(timeline, at("b/y", 0), -1), at("a/y", 0));
  assert.equal(nextPhase(timeline, at("a/y", 0), -1), null);
  assert.deepEqual(nextPhase(timeline, at("f/y", 3), 1), at("g/y", 0));
  assert.deepEqual(nextPhase(timeline, at("g/b_next", 2), 1), end(timeline));
  assert.equal(nextPhase(timeline, end(timeline), 1), null);
});

test("positions off the timeline are not valid", () => {
  assert.ok(valid(timeline, start(timeline)));
  for (const off of [
    null,
    { phase: 99, cell: 0 },
    { phase: 0, cell: -2 },
    { phase: 0, cell: cellsIn(timeline.phases[0]) },
  ])
    assert.ok(!valid(timeline, off));
  assert.ok(compare(at("a/y", 5), at("b/y", 0)) < 0);
});

test("image, label and parameters are known before anything is; nothing else is", () => {
  assert.equal(known(timeline, null, "input/y"), 784);
  assert.equal(known(timeline, null, "a/w"), 72);
  assert.equal(known(timeline, null, "target/y"), 1);
  for (const place of ["a/y", "a/dw", "a/w_next", "loss/p", "f/dy"])
    assert.equal(known(timeline, null, place), 0, place);
});

test("at a position earlier phases are complete, this one up to the cell, later ones empty", () => {
  const here = at("d/dx", 99);
  assert.equal(known(timeline, here, "d/y"), 16 * 121);
  assert.equal(known(timeline, here, "d/dx"), 100);
  assert.equal(known(timeline, here, "c/dy"), 100, "an alias is as known as the tensor itself");
  assert.equal(known(timeline, here, "d/dw"), 0);
});

test("what only re-indexes is filled with what it re-indexes", () => {
  const here = at("g/dx", 41);
  assert.equal(known(timeline, here, "row/dx"), 42);
  assert.equal(known(timeline, at("f/y", 7), "g/x"), 8);
});

test("intermediates appear with their layer's phase, the optimizer's with the update of their parameter", () => {
  const more = structuredClone(timeline);
  Object.assign(more.tensors, {
    "loss/z": { shape: [1], kind: "value" },
    "a/w.v": { shape: [8, 1, 3, 3], kind: "weight" },
    "a/w.v_next": { shape: [8, 1, 3, 3], kind: "weight" },
  });
  assert.equal(known(more, at("g/y", 3), "loss/z"), 0);
  assert.equal(known(more, at("loss/p", 0), "loss/z"), 1);
  assert.equal(known(more, null, "a/w.v"), 72);
  assert.equal(known(more, at("a/db", 3), "a/w.v_next"), 0);
  assert.equal(known(more, at("a/w_next", 0), "a/w.v_next"), 72);
});

test("only what belongs to an image has a batch axis", () => {
  for (const place of ["a/y", "a/x", "c/dy", "loss/p", "input/y"]) assert.ok(batched(timeline, place), place);
  for (const place of ["a/w", "a/dw", "a/db", "a/w_next", "loss/y"]) assert.ok(!batched(timeline, place), place);
});

test("a place says where on the timeline it is written", () => {
  assert.deepEqual(positionOf(timeline, "a/y", [0, 5, 12, 14]), at("a/y", 5 * 676 + 12 * 26 + 14));
  assert.deepEqual(positionOf(timeline, "row/dx", [0, 1, 0, 3]), at("g/dx", 28));
  assert.deepEqual(positionOf(timeline, "loss/y", []), at("loss/y", 0));
  assert.deepEqual(positionOf(timeline, "a/y", []), at("a/y", -1));
  assert.equal(positionOf(timeline, "input/y", [0, 0, 0, 0]), null);
  assert.deepEqual(lettersAt(timeline.phases[0], 5 * 676 + 12 * 26 + 14), { n: 0, o: 5, i: 12, j: 14 });
});

test("the timeline bar has a mark for each phase; a bias goes with its weights and all updates are one", () => {
  const made = marks(timeline);
  assert.deepEqual(
    made.map(({ label }) => label),
    [
      "a",
      "b",
      "c",
      "d",
      "e",
      "f",
      "g",
      "softmax",
      "loss",
      "first",
      "g δ",
      "w",
      "f",
      "e",
      "d δ",
      "w",
      "c",
      "b",
      "a δ",
      "w",
      "update",
    ],
  );
  assert.equal(made.at(-1).phases.length, 6);
  assert.equal(made[11].cells, 4010);
});

test("shares of a mark and positions are each other's inverse, to the cell", () => {
  for (const mark of marks(timeline)) {
    for (const share of [0, 0.3, 0.77, 1]) {
      const there = positionAt(timeline, mark, share);
      const cell = Math.min(mark.cells - 1, Math.floor(share * mark.cells));
      assert.ok(Math.abs(shareOf(timeline, mark, there) - (cell + 1) / mark.cells) < 1e-12);
    }
  }
});

test("the first cells of a phase take their full time, and no phase lasts longer than the longest", () => {
  assert.equal(timeOf(5408, 1), CELL);
  assert.equal(timeOf(5408, 3), 3 * CELL);
  assert.equal(duration(3), 3 * CELL);
  assert.equal(duration(7), 7 * CELL);
  for (const cells of [1, 5, 12, 13, 400, 5408, 1e6]) assert.ok(duration(cells) <= LONGEST, String(cells));
  assert.equal(duration(1e6), LONGEST);
});

test("cells never run backwards, never jump in pace, and are all written at the end", () => {
  for (const cells of [2, 10, 121, 5408]) {
    let before = 0;
    let step = 0;
    for (let time = 0; time <= duration(cells); time += 10) {
      const now = cellsAfter(cells, time);
      assert.ok(now >= before, `${cells} at ${time}`);
      assert.ok(now - before <= Math.max(1.5 * step, 0.02) + (0.05 * cells) / 10, `${cells} at ${time}`);
      step = now - before;
      before = now;
    }
    assert.equal(cellsAfter(cells, duration(cells)), cells);
    for (const count of [0, 1, Math.floor(cells / 2), cells])
      assert.ok(Math.abs(cellsAfter(cells, timeOf(cells, count)) - count) < 1e-3);
  }
});

test("a phase begins slowly at the cell it is entered at, and those before it are there at once", () => {
  const begins = phase => (phase === 1 ? 700 : 0);
  const into = advance(timeline, { phase: 0, time: 0, from: 0 }, LONGEST + 1, { begins });
  assert.deepEqual([into.phase, into.cell, into.from], [1, 700, 700]);
  assert.equal(advance(timeline, into, 1.5 * CELL, { begins }).cell, 701);
  for (const cell of [700, 701, 703]) assert.ok(Math.abs(cellTime(timeline, { phase: 1, cell }, 1, 700) - CELL) < 1e-6);
  assert.ok(cellTime(timeline, { phase: 1, cell: 900 }, 1, 700) < CELL / 2);
});

test("play that begins anywhere is slow there, and below speed 1 it stays slow", () => {
  const clock = clockAt(timeline, { phase: 0, cell: 2000 });
  assert.equal(advance(timeline, clock, 2.5 * CELL).cell, 2003);
  assert.ok(advance(timeline, clock, 6 * CELL).cell > 2010);
  assert.equal(advance(timeline, clock, 50.5 * CELL, { speed: 0.25 }).cell, 2051);
  assert.ok(Math.abs(cellTime(timeline, { phase: 0, cell: 2050 }, 0.25, 0) - 4 * CELL) < 1e-6);
  assert.ok(cellTime(timeline, { phase: 0, cell: 2050 }, 1, 0) < 10);
});

test("a whole pass of the classroom's network is over in less than two minutes", () => {
  const all = walked(timeline).reduce((sum, k) => sum + duration(cellsIn(timeline.phases[k])), 0);
  assert.ok(all < 120_000, String(all));
});

test("forward and backward have the same clock", () => {
  const there = cellTime(timeline, at("b/y", 700), 1);
  assert.equal(cellTime(timeline, at("b/dx", 700), 1), there);
  assert.equal(cellTime(timeline, at("b/y", 700), 2), there / 2);
});

test("play goes from cell to cell and from phase to phase, and is over at the end", () => {
  const begun = advance(timeline, clockAt(timeline, start(timeline)), 0);
  assert.deepEqual([begun.phase, begun.cell], [0, 0]);
  assert.equal(advance(timeline, { phase: 0, time: 0 }, 1.5 * CELL).cell, 1);
  const into = advance(timeline, { phase: 0, time: 0 }, LONGEST + 10);
  assert.deepEqual([into.phase, into.cell], [1, 0]);
  const f = phaseOf(timeline, "f/y");
  assert.equal(
    advance(timeline, { phase: f, time: 0 }, LONGEST + 10).phase,
    phaseOf(timeline, "g/y"),
    "re-indexing is not played",
  );
  const over = advance(timeline, clockAt(timeline, end(timeline)), 10);
  assert.ok(over.over);
  assert.deepEqual({ phase: over.phase, cell: over.cell }, end(timeline));
});

test("play resumed at a cell goes on with the next one", () => {
  for (const cell of [0, 3, 100, 5000]) {
    const now = advance(timeline, clockAt(timeline, { phase: 0, cell }), 0.01);
    assert.deepEqual([now.phase, now.cell], [0, cell + 1]);
  }
});

test("while it trains an optimizer's tensors are shown only in its own phase", () => {
  const all = Object.keys(timeline.tensors);
  const usual = living(timeline, timeline.phases[0]);
  assert.deepEqual(
    all.filter(prefix => !usual.includes(prefix)),
    all.filter(prefix => prefix.endsWith("_next")),
  );
  const update = living(timeline, timeline.phases[phaseOf(timeline, "d/w_next")]);
  assert.ok(update.includes("d/b_next") && !update.includes("a/w_next"));
});

test("numbers of a row that was maps, or becomes maps again, are seen as those of the maps", () => {
  const maps = timeline.tensors[source(timeline, "g/x")].shape;
  assert.equal(maps.length, 2 + 2);
  assert.deepEqual(seenShape(timeline, "g/x"), maps);
  assert.deepEqual(seenShape(timeline, "g/dx"), maps);
  assert.deepEqual(seenShape(timeline, "c/y"), timeline.tensors["c/y"].shape);
  assert.deepEqual(seenShape(timeline, "loss/p"), timeline.tensors["loss/p"].shape);
});
