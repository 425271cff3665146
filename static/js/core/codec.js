/** Binary frames: uint32 little-endian header length, JSON header, then the tensors' blocks. */

const READERS = {
  float32: (/** @type {ArrayBuffer} */ bytes) => new Float32Array(bytes),
  int32: (/** @type {ArrayBuffer} */ bytes) => new Int32Array(bytes),
};
const WIDTH = { float32: 4, int32: 4, uint8: 1 };

/**
 * @param {ArrayBuffer} frame
 * @returns {{header: any, blocks: Sent[]}}
 */
export function decode(frame) {
  if (frame.byteLength < 4) throw new RangeError(`a frame starts with four bytes of length; got ${frame.byteLength}`);
  const length = new DataView(frame).getUint32(0, true);
  if (4 + length > frame.byteLength) {
    throw new RangeError(`the frame's header has ${length} bytes, the frame only ${frame.byteLength - 4}`);
  }
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(frame, 4, length)));
  const blocks = (header.tensors ?? []).map((/** @type {any} */ entry) => {
    const { layer, tensor, shape } = entry;
    return { layer, tensor, shape, data: values(frame, 4 + length + entry.offset, entry) };
  });
  return { header, blocks };
}

/**
 * @param {ArrayBuffer} frame @param {number} start
 * @param {{layer: string, tensor: string, shape: number[], dtype: string, scale?: number}} entry
 */
function values(frame, start, { layer, tensor, shape, dtype, scale }) {
  const width = WIDTH[/** @type {keyof typeof WIDTH} */ (dtype)];
  if (!width) throw new TypeError(`${layer}/${tensor}: no such dtype in a frame: ${dtype}`);
  const end = start + width * shape.reduce((a, b) => a * b, 1);
  if (end > frame.byteLength)
    throw new RangeError(`${layer}/${tensor}: the block ends ${end - frame.byteLength} bytes past the frame`);
  const bytes = frame.slice(start, end);
  if (dtype === "uint8") return Float32Array.from(new Uint8Array(bytes), q => (q - 128) * (scale ?? 1));
  return READERS[/** @type {keyof typeof READERS} */ (dtype)](bytes);
}
