import assert from "node:assert/strict";
import { test } from "node:test";
import { decode } from "../../../static/js/core/codec.js";

/** A frame as the server builds it. */
function frame(header, ...blocks) {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const parts = [
    new Uint8Array(Uint32Array.of(json.length).buffer),
    json,
    ...blocks.map(block => new Uint8Array(block.buffer)),
  ];
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes.buffer;
}
const entry = (tensor, shape, dtype, offset, more = {}) => ({ layer: "conv1", tensor, shape, dtype, offset, ...more });

test("blocks are read at their offsets after a header of any length, in their own types", () => {
  for (const pad of ["", "x", "xy", "xyz"]) {
    const { header, blocks } = decode(
      frame(
        { step: 3, pad, tensors: [entry("y", [1, 2], "float32", 0), entry("t", [1], "int32", 8)] },
        Float32Array.of(1.5, -2),
        Int32Array.of(7),
      ),
    );
    assert.equal(header.step, 3);
    assert.deepEqual([...blocks[0].data], [1.5, -2]);
    assert.deepEqual([...blocks[1].data], [7]);
    assert.deepEqual(blocks[0].shape, [1, 2]);
  }
});

test("a byte q stands for (q - 128) * scale", () => {
  const { blocks } = decode(
    frame({ tensors: [entry("y", [3], "uint8", 0, { scale: 0.5 })] }, Uint8Array.of(0, 128, 255)),
  );
  assert.deepEqual([...blocks[0].data], [-64, 0, 63.5]);
});

test("a frame cut short, or of an unknown type, is refused with the place", () => {
  assert.throws(() => decode(new ArrayBuffer(2)), /four bytes/);
  assert.throws(() => decode(Uint32Array.of(99).buffer), /header has 99 bytes/);
  assert.throws(
    () => decode(frame({ tensors: [entry("y", [4], "float32", 0)] }, Float32Array.of(1))),
    /conv1\/y: the block ends 12 bytes past/,
  );
  assert.throws(
    () => decode(frame({ tensors: [entry("y", [1], "bool", 0)] }, Float32Array.of(1))),
    /conv1\/y: no such dtype in a frame: bool/,
  );
});
