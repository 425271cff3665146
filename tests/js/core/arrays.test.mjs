import assert from "node:assert/strict";
import { test } from "node:test";

import { csv, npy } from "../../../static/js/core/arrays.js";

test("an array becomes an .npy file: magic, a header of whole 64 bytes, the numbers in rows", () => {
  const file = npy([2, 3], Float32Array.from([1, 2, 3, 4, 5, -6.5]));
  const header = Buffer.from(file.slice(10, 128)).toString();
  assert.deepEqual([...file.slice(0, 8)], [0x93, 78, 85, 77, 80, 89, 1, 0]);
  assert.equal(header.trimEnd(), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
  assert.equal((10 + file[8] + 256 * file[9]) % 64, 0);
  assert.equal(header.at(-1), "\n");
  assert.deepEqual([...new Float32Array(file.slice(128).buffer)], [1, 2, 3, 4, 5, -6.5]);
  assert.match(Buffer.from(npy([4], new Int32Array(4))).toString("latin1"), /'<i4'.*'shape': \(4,\)/);
});

test("planes stand beneath one another as text", () => {
  assert.equal(csv([2, 2, 2], Float32Array.from([1, 2, 3, 4, 5, 6, 7, 8.5])), "1,2\n3,4\n\n5,6\n7,8.5\n");
  assert.equal(csv([3], [1, 2, 3]), "1,2,3\n");
});
