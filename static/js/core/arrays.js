/** Numbers as files that other programs read: NumPy's .npy and .csv. */

/**
 * An array as an .npy file of format 1.0, in rows (C order).
 * @param {number[]} shape @param {Float32Array|Int32Array} data
 */
export function npy(shape, data) {
  const kind = data instanceof Int32Array ? "<i4" : "<f4";
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const header = `{'descr': '${kind}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const length = 64 * Math.ceil((10 + header.length + 1) / 64) - 10; // the numbers begin at a multiple of 64
  const file = new Uint8Array(10 + length + 4 * data.length);
  file.set([0x93, ...Array.from("NUMPY", letter => letter.charCodeAt(0)), 1, 0, length & 255, length >> 8]);
  file.set(
    Array.from(header.padEnd(length - 1), letter => letter.charCodeAt(0)),
    10,
  );
  file[10 + length - 1] = 10;
  const numbers = new DataView(file.buffer, 10 + length);
  data.forEach((value, k) =>
    kind === "<i4" ? numbers.setInt32(4 * k, value, true) : numbers.setFloat32(4 * k, value, true),
  );
  return file;
}

/**
 * An array as text: a line for each row, the planes of more axes one beneath another with an empty line between.
 * @param {number[]} shape @param {ArrayLike<number>} data
 */
export function csv(shape, data) {
  const columns = shape.at(-1) ?? 1;
  const rows = shape.at(-2) ?? 1;
  const lines = [];
  for (let at = 0; at < data.length; at += columns) {
    if (at && at % (rows * columns) === 0) lines.push("");
    lines.push(Array.from({ length: columns }, (_, k) => String(data[at + k])).join(","));
  }
  return `${lines.join("\n")}\n`;
}
