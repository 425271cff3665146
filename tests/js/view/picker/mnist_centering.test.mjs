import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { boxOf, centred, drawPiece, drawStroke, emptyPad } from "../../../../static/js/view/picker/mnist_centering.js";

/** Seven digits of MNIST's test set, as bytes. */
const digits = JSON.parse(readFileSync(new URL("../../digits.json", import.meta.url), "utf8")).map(
  ({ index, label, image }) => ({ index, label, bytes: [...Buffer.from(image, "base64")] }),
);

const inkOf = bytes => ({ width: 28, height: 28, data: bytes.map(byte => byte / 255) });

/** The same ink at `factor` times the size, `right` and `down` pixels off, on a larger paper. */
function enlarged({ width, height, data }, factor, right, down) {
  const pad = emptyPad(28 * factor + Math.max(right, down));
  for (let i = 0; i < height * factor; i++) {
    for (let j = 0; j < width * factor; j++) {
      pad.data[(i + down) * pad.width + j + right] = data[Math.floor(i / factor) * width + Math.floor(j / factor)];
    }
  }
  return pad;
}

function centreOfMass(image) {
  let total = 0;
  let row = 0;
  let column = 0;
  image.forEach((value, k) => {
    total += value;
    row += value * Math.floor(k / 28);
    column += value * (k % 28);
  });
  return [row / total, column / total];
}

const asBytes = image => [...image].map(value => Math.round(value * 255));

/** A three of two arcs on a pad of 280 pixels. */
function three() {
  const arc = (cx, cy, r, from, to) =>
    Array.from({ length: 40 }, (_, k) => {
      const angle = from + ((to - from) * k) / 39;
      return [cx + r * Math.cos(angle), cy + r * Math.sin(angle)];
    });
  const pad = emptyPad(280);
  drawStroke(pad, arc(100, 90, 45, -2.6, 1.5), 11);
  drawStroke(pad, arc(100, 180, 50, -1.5, 2.6), 11);
  return pad;
}

test("a real MNIST digit passes through unchanged", () => {
  for (const { index, bytes } of digits) {
    assert.deepEqual(asBytes(centred(inkOf(bytes))), bytes, `test digit ${index}`);
  }
});

test("the same digit ten times as large, off centre, gives the same image", () => {
  for (const { index, bytes } of digits) {
    assert.deepEqual(asBytes(centred(enlarged(inkOf(bytes), 10, 13, 57))), bytes, `test digit ${index}`);
  }
});

test("a drawn digit's longer side becomes 20 pixels", () => {
  const image = centred(three());
  const box = boxOf({ width: 28, height: 28, data: image });
  assert.equal(Math.max(box.width, box.height), 20);
  assert.ok(box.width < 20 && box.width >= 10);
});

test("a drawn digit's centre of mass rounds to row 14, column 14", () => {
  for (const value of centreOfMass(centred(three())))
    assert.ok(value >= 13.5 - 0.01 && value < 14.5 + 0.01, String(value));
});

test("ink has soft edges and a solid middle", () => {
  const image = centred(three());
  const between = image.filter(value => value > 0.05 && value < 0.95);
  assert.ok(between.length > 20);
  assert.equal(Math.max(...image), 1);
});

test("where a digit is drawn on the pad does not matter", () => {
  const draw = (x, y) => {
    const pad = emptyPad(280);
    drawStroke(
      pad,
      [
        [60 + x, 60 + y],
        [120 + x, 50 + y],
        [70 + x, 170 + y],
      ],
      11,
    );
    return [...centred(pad)];
  };
  assert.deepEqual(draw(0, 0), draw(70, 40));
});

test("a pen's piece covers its round ends and nothing beyond its radius", () => {
  const pad = emptyPad(40);
  drawPiece(pad, [10, 20], [30, 20], 4);
  const at = (x, y) => pad.data[y * 40 + x];
  assert.equal(at(20, 20), 1);
  assert.equal(at(7, 20), 1);
  assert.equal(at(4, 20), 0);
  assert.equal(at(20, 26), 0);
});

test("an empty pad has no image", () => {
  assert.equal(centred(emptyPad(280)), null);
});

test("a single dot is an image too", () => {
  const pad = emptyPad(280);
  drawStroke(pad, [[5, 5]], 11);
  const box = boxOf({ width: 28, height: 28, data: centred(pad) });
  assert.deepEqual([box.width, box.height], [20, 20]);
});
