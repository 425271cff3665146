import assert from "node:assert/strict";
import { test } from "node:test";
import * as net from "../../../static/js/core/network_document.js";

const layer = (name, ...inputs) => ({ name, op: name.replace(/\d/, ""), ...(inputs.length ? { inputs } : {}) });
const of = (...layers) => net.whole({ input: [1, 28, 28], layers, loss: "cross_entropy" });
const drawn = document => document.layers.map(({ name, inputs }) => `${inputs.join("+")}>${name}`).join(" ");

const chain = of(layer("a"), layer("b"), layer("c"));
/** c and what skips b meet in add. */
const skip = of(layer("a"), layer("b"), layer("c"), layer("add", "c", "a"), layer("d"));

test("a document is written out and made compact again", () => {
  assert.equal(drawn(skip), "input>a a>b b>c c+a>add add>d");
  assert.deepEqual(net.compact(skip).layers[3], { name: "add", op: "add", inputs: ["c", "a"] });
  assert.deepEqual(net.compact(skip).layers[1], { name: "b", op: "b" });
  assert.equal(net.compact(chain).loss, "cross_entropy");
});

test("a layer is added in front of the next that reads; skips stay", () => {
  const made = net.insert(skip, { op: "relu", settings: {}, after: "a" });
  assert.equal(drawn(made.network), "input>a a>relu1 relu1>b b>c c+a>add add>d");
  assert.equal(drawn(net.insert(chain, { op: "relu", settings: {}, after: "c" }).network), "input>a a>b b>c c>relu1");
  assert.equal(
    drawn(net.insert(chain, { op: "relu", settings: {}, after: "input" }).network),
    "input>relu1 relu1>a a>b b>c",
  );
  const onSkip = net.insert(skip, { op: "conv2d", settings: {}, after: "a", before: "add" });
  assert.equal(drawn(onSkip.network), "input>a a>b b>c a>conv1 c+conv1>add add>d");
  const join = net.insert(chain, { op: "add", settings: {}, after: "b", reads: 2 });
  assert.equal(drawn(join.network), "input>a a>b b+a>add1 add1>c");
});

test("what read a removed layer reads what it read; a branch that nobody reads goes too", () => {
  assert.equal(drawn(net.remove(chain, "b")), "input>a a>c");
  assert.equal(drawn(net.remove(chain, "c")), "input>a a>b");
  assert.equal(drawn(net.remove(skip, "add")), "input>a a>b b>c c>d");
  const side = of(layer("a"), layer("b"), layer("s", "a"), layer("t"), layer("add", "b", "t"), layer("d"));
  assert.equal(drawn(net.remove(side, "add")), "input>a a>b b>d");
});

test("a layer moves past its neighbour, and takes no skip along", () => {
  assert.equal(drawn(net.move(chain, "a", 1)), "input>b b>a a>c");
  assert.equal(drawn(net.move(chain, "c", -1)), "input>a a>c c>b");
  assert.equal(drawn(net.move(skip, "b", 1)), "input>a a>c c>b b+a>add add>d");
  assert.equal(drawn(net.move(skip, "a", 1)), "input>b b>a a>c c+a>add add>d");
  assert.equal(drawn(net.move(skip, "add", 1)), "input>a a>b b>c c>d d+a>add");
  assert.equal(net.move(chain, "a", -1), null);
  assert.equal(net.move(chain, "c", 1), null);
});

test("a layer that reads another is not moved in front of it", () => {
  assert.equal(net.moveAfter(skip, "add", "input"), null);
  assert.equal(drawn(net.moveAfter(skip, "add", "a")), "input>a a+a>add add>b b>c c>d");
});

test("a branch joins behind the layer that it leads to", () => {
  const made = net.branch(chain, "a", "b", { op: "add", settings: {} });
  assert.equal(drawn(made.network), "input>a a>b b+a>add1 add1>c");
  assert.equal(net.branch(chain, "b", "a", { op: "add", settings: {} }), null);
  assert.equal(
    drawn(net.branch(chain, "input", "c", { op: "add", settings: {} }).network),
    "input>a a>b b>c c+input>add1",
  );
});

const schema = { properties: { out: { examples: [8] }, stride: { default: 1 } }, required: ["out"] };

test("settings are set and taken back; another op keeps those that it knows", () => {
  const one = net.set(chain, "b", "stride", 2);
  assert.deepEqual(one.layers[1].settings, { stride: 2 });
  assert.deepEqual(net.set(one, "b", "stride", undefined).layers[1].settings, {});
  assert.deepEqual(net.set(chain, "loss", "reduction", "sum").loss.settings, { reduction: "sum" });
  const other = net.become(one, "b", { name: "x", layer_settings: schema, inputs: { least: 1, most: 1 } });
  assert.deepEqual(other.layers[1], { name: "b", op: "x", settings: { out: 8, stride: 2 }, inputs: ["a"] });
  const single = net.become(skip, "add", { name: "x", layer_settings: schema, inputs: { least: 1, most: 1 } });
  assert.equal(drawn(single), "input>a a>b b>c c>add add>d");
});

test("a new name goes everywhere", () => {
  assert.equal(drawn(net.rename(skip, "a", "first")), "input>first first>b b>c c+first>add add>d");
});

test("skips run in lanes of their own where they meet", () => {
  assert.deepEqual(net.skips(chain), []);
  assert.deepEqual(net.skips(skip), [{ from: "a", to: "add", lane: 0 }]);
  const two = of(layer("a"), layer("b"), layer("c"), layer("add", "c", "a"), layer("sum", "add", "input"));
  assert.deepEqual(
    net.skips(two).map(({ lane }) => lane),
    [0, 1],
  );
});

test("a block reaches from behind its fork to its join; a plain chain falls into stretches of one size", () => {
  assert.deepEqual(
    net.blocks(skip, () => ""),
    [{ name: "add", layers: ["b", "c", "add"] }],
  );
  const sizes = { a: "28", b: "28", c: "28", d: "14", e: "14" };
  const plain = of(...Object.keys(sizes).map(name => layer(name)));
  assert.deepEqual(
    net.blocks(plain, name => sizes[name]),
    [{ name: "c", layers: ["a", "b", "c"] }],
  );
});

test("what is typed is read as people write it", () => {
  assert.equal(net.typed("3"), 3);
  assert.deepEqual(net.typed("2 × 3"), [2, 3]);
  assert.deepEqual(net.typed("2x3"), [2, 3]);
  assert.equal(net.typed("−0.5"), -0.5);
  assert.equal(net.typed(""), null);
  assert.equal(net.typed("three"), null);
  assert.equal(net.written([2, 3]), "2 × 3");
  assert.equal(net.written([2, 2]), "2");
  assert.equal(net.written(false), "no");
});

test("a document that writes out the defaults makes the same network", () => {
  const schemaOf = () => schema;
  const written = net.set(net.set(chain, "a", "stride", [1, 1]), "loss", "stride", 1);
  assert.ok(net.alike(chain, written, schemaOf));
  assert.ok(!net.alike(chain, net.set(chain, "a", "stride", 2), schemaOf));
  assert.ok(!net.alike(chain, skip, schemaOf));
});
