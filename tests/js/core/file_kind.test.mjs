import assert from "node:assert/strict";
import { test } from "node:test";

import { kindOf, nameFor, namesOf } from "../../../static/js/core/file_kind.js";

test("a file is a model or data by its name, or by what an archive lists", () => {
  assert.equal(kindOf("a.onnx", []), "model");
  assert.equal(kindOf("a.PTH", ["archive/data.pkl"]), "model");
  assert.equal(kindOf("a.csv", []), "data");
  assert.equal(kindOf("a.zip", ["cats/1.png"]), "data");
  assert.equal(kindOf("a.zip", ["tfjs/model.json", "tfjs/group1.bin"]), "model");
  assert.equal(kindOf("a.npz", ["x_train.npy", "y_train.npy"]), "data");
  assert.equal(kindOf("a.npz", ["conv1/w.npy", "conv1/b.npy"]), "model");
  assert.equal(kindOf("a.json", [], '{"input": [1], "layers": ['), "model");
  assert.equal(kindOf("a.json", [], '{"x": [['), "data");
});

test("the names in an archive's directory are read from its end", () => {
  const entry = (/** @type {string} */ name) => {
    const bytes = new Uint8Array(46 + name.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 0x02014b50, true);
    view.setUint16(28, name.length, true);
    bytes.set(new TextEncoder().encode(name), 46);
    return bytes;
  };
  const tail = new Uint8Array([1, 2, 3, ...entry("x.npy"), ...entry("dir/y.npy"), 9]);
  assert.deepEqual(namesOf(tail), ["x.npy", "dir/y.npy"]);
});

test("a data set is called after its file, within what the server takes", () => {
  assert.equal(nameFor("My letters (2).tar.gz"), "My letters -2-");
  assert.equal(nameFor(".csv"), "data");
  assert.equal(nameFor("x".repeat(99)).length, 60);
});
