import assert from "node:assert/strict";
import { test } from "node:test";

import { tokens, written } from "../../../static/js/core/sentence.js";

test("a sentence falls into words that light, letters and numbers", () => {
  assert.deepEqual(tokens("Each [pixel](a/x/0,1 b/x) meets *g*: {sum a/y/0} = {a/y/0}."), [
    { kind: "text", text: "Each " },
    { kind: "light", lights: ["a/x/0,1", "b/x"], inside: [{ kind: "text", text: "pixel" }] },
    { kind: "text", text: " meets " },
    { kind: "italic", text: "g" },
    { kind: "text", text: ": " },
    { kind: "number", how: "sum", place: "a/y/0" },
    { kind: "text", text: " = " },
    { kind: "number", how: "value", place: "a/y/0" },
    { kind: "text", text: "." },
  ]);
});

test("letters within words that light stay letters", () => {
  assert.deepEqual(tokens("[*g*](c/w)"), [{ kind: "light", lights: ["c/w"], inside: [{ kind: "italic", text: "g" }] }]);
});

test("numbers are written as in school", () => {
  const numbers = [-13, 2.0999999, 0, -0.28749999, 0.28125, 1 / 3, 0.00004, Number.NaN];
  assert.deepEqual(numbers.map(Math.fround).map(written), ["−13", "2.1", "0", "−0.2875", "0.281", "0.333", "0", "…"]);
});
