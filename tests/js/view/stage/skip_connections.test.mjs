import assert from "node:assert/strict";
import { test } from "node:test";
import { layout, rowsOf, systemsFor, tallFor } from "../../../../static/js/view/stage/layout.js";
import { branches, carries, skipConnections } from "../../../../static/js/view/stage/skip_connections.js";
import { chain, classroom, deep } from "../../networks.mjs";

/** A chain whose layers then read others. @param {Record<string, string[]>} inputs @param {string[]} names */
function graph(inputs, names) {
  const timeline = chain(
    names.map(name => [name, [2, 8, 8], "cell"]),
    { input: [2, 8, 8], shares: false },
  );
  timeline.layers.forEach((layer, k) => {
    layer.inputs = inputs[layer.name] ?? (k > 0 ? [timeline.layers[k - 1].name] : []);
    layer.inputs.forEach((input, at) => {
      timeline.aliases[`${layer.name}/${"ab"[at]}`] = `${input}/y`;
    });
  });
  return timeline;
}

const residual = graph({ sum: ["two", "one"] }, ["one", "gate", "two", "sum", "last"]);
const inception = graph({ b: ["stem"], c: ["stem"], join: ["a", "b", "c2"] }, ["stem", "a", "b", "c", "c2", "join"]);

test("a chain has no wires", () => {
  for (const timeline of [classroom(), deep()])
    assert.deepEqual([skipConnections(timeline), branches(timeline).size], [[], 0]);
});

test("a shortcut is one wire past the layers that it leaves out", () => {
  assert.deepEqual(skipConnections(residual), [{ from: "one", to: ["sum"], lane: 0 }]);
  assert.deepEqual([...branches(residual)], []);
});

test("branches begin where a layer does not read the one before; connections side by side have own lanes", () => {
  assert.deepEqual([...branches(inception)], ["b", "c"]);
  const wires = skipConnections(inception);
  assert.deepEqual(wires.map(({ from, to }) => [from, to]).sort(), [
    ["a", ["join"]],
    ["b", ["join"]],
    ["stem", ["b", "c"]],
  ]);
  const order = inception.layers.map(({ name }) => name);
  const ends = ({ from, to }) => [order.indexOf(from), Math.max(...to.map(name => order.indexOf(name)))];
  for (const one of wires)
    for (const other of wires) {
      const [[a, b], [c, d]] = [ends(one), ends(other)];
      assert.ok(one === other || b <= c || d <= a || one.lane !== other.lane, JSON.stringify([one, other]));
    }
});

test("a wire carries what its readers take from it and what they send back", () => {
  const [wire] = skipConnections(residual);
  const phase = (part, layer, tensor) => carries(residual, wire, { part, layer, tensor, place: `${layer}/${tensor}` });
  assert.deepEqual([phase("forward", "sum", "y"), phase("forward", "two", "y")], ["forward", ""]);
  assert.deepEqual(
    [phase("backward", "sum", "db"), phase("backward", "sum", "da"), phase("backward", "one", "dy")],
    ["backward", "", "backward"],
  );
});

test("wires have room above the names, and the tiles fit a window all the same", () => {
  const stage = layout(inception, 920);
  const lanes = 1 + Math.max(...stage.connections.map(({ lane }) => lane));
  assert.equal(stage.rows.top - rowsOf().top, 7 * lanes);
  assert.ok(rowsOf(tallFor(334, inception), lanes).height <= 334);
});

test("a network too long for its systems gets one as long as it takes, every name clear of the next", () => {
  const names = Array.from({ length: 80 }, (_, k) => `layer_number_${k}`);
  const long = graph({}, names);
  assert.equal(systemsFor(long, 920), 0);
  const { columns, width } = layout(long, 920, 24, {}, 0);
  assert.ok(width > 920);
  columns.slice(1).forEach((column, k) => {
    const before = columns[k];
    const middle = ({ x, width: wide }) => x + wide / 2;
    assert.ok(
      middle(column) - middle(before) >= (8 * (column.name.length + before.name.length)) / 2,
      `${before.name} ${column.name}`,
    );
    assert.ok(column.x >= before.x + before.width);
  });
});
