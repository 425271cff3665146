import assert from "node:assert/strict";
import { test } from "node:test";
import {
  css,
  follow,
  gradient,
  ink,
  largest,
  luminance,
  paint,
  rgb,
  roundUp,
  table,
  tone,
} from "../../../static/js/core/colour.js";

const KINDS = ["value", "weight", "gradient"];
const LOOKS = ["light", "dark", "contrast"];

test("zero is paper, and the smallest number is visibly not", () => {
  assert.equal(css("value", 0, 1, "light"), "rgb(252 251 248)");
  assert.equal(css("value", 0, 1, "dark"), "rgb(20 22 26)");
  assert.equal(css("value", 0, 1, "contrast"), "rgb(255 255 255)");
  assert.equal(tone(1e-9, 1) >= 0.05, true);
  assert.notEqual(css("value", 1e-9, 1, "light"), css("value", 0, 1, "light"));
});

test("the ends of every arm are the colours of the design", () => {
  assert.equal(css("value", 2, 1, "light"), "rgb(13 59 114)");
  assert.equal(css("value", -1, 1, "dark"), "rgb(255 211 189)");
  assert.equal(css("weight", -1, 1, "light"), "rgb(92 59 6)");
  assert.equal(css("gradient", 1, 1, "contrast"), "rgb(76 26 125)");
});

test("lightness is monotone along all arms, away from the paper", () => {
  for (const look of LOOKS) {
    for (const kind of KINDS) {
      for (const sign of [1, -1]) {
        const lights = Array.from({ length: 51 }, (_, k) => luminance(rgb(kind, (sign * k) / 50, look)));
        const way = look === "dark" ? 1 : -1;
        for (let k = 1; k < lights.length; k++)
          assert.ok(way * (lights[k] - lights[k - 1]) >= 0, `${look} ${kind} ${sign} ${k}`);
      }
    }
  }
});

test("digits on any cell have a contrast of at least 4.5", () => {
  for (const look of LOOKS) {
    for (const kind of KINDS) {
      for (let k = -50; k <= 50; k++) {
        const light = luminance(rgb(kind, tone(k / 50, 1), look));
        const contrast = ink(kind, k / 50, 1, look) === "#000" ? (light + 0.05) / 0.05 : 1.05 / (light + 0.05);
        assert.ok(contrast >= 4.5, `${look} ${kind} ${k}: ${contrast}`);
      }
    }
  }
});

test("painted pixels are the colours of the values, opaque, from where they start", () => {
  const pixels = new Uint32Array(4);
  paint(pixels, Float32Array.of(9, 0, -1, 0.5), 1, 3, 1, table("weight", "light"));
  const hex = pixel => [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255, pixel >>> 24];
  assert.deepEqual(hex(pixels[0]), [252, 251, 248, 255]);
  assert.deepEqual(hex(pixels[1]), [92, 59, 6, 255]);
  const near = rgb("weight", tone(0.5, 1), "light");
  hex(pixels[2])
    .slice(0, 3)
    .forEach((channel, c) => assert.ok(Math.abs(channel - near[c]) <= 1));
  assert.equal(pixels[3], 0);
});

test("a range is rounded up to two digits, never below what it covers", () => {
  assert.deepEqual([3.91, 4, 0.6503, 0.2, 1, 123].map(roundUp), [4, 4, 0.66, 0.2, 1, 130]);
  for (const most of [0.1999999, 2.5000001, 9.99, 7e-5, 1e-12])
    assert.ok(roundUp(most) >= most * (1 - 1e-6), String(most));
  assert.equal(roundUp(0), 1);
});

test("the largest size ignores signs, infinity and what is no number", () => {
  assert.equal(largest([1, -3, NaN, -Infinity, 2]), 3);
  assert.equal(largest([]), 0);
});

test("in training a range grows at once and shrinks five percent a second", () => {
  assert.equal(follow(1, 2, 0.01), 2);
  assert.ok(Math.abs(follow(2, 1, 1) - 1.9) < 1e-12);
  assert.equal(follow(2, 1.95, 60), 1.95);
});

test("a legend runs from minus to plus through the paper", () => {
  const stops = gradient("value", "light");
  assert.ok(stops.startsWith("linear-gradient(90deg,rgb(138 36 8) 0%"));
  assert.ok(stops.includes("rgb(252 251 248) 50%"));
  assert.ok(stops.endsWith("rgb(13 59 114) 100%)"));
});
