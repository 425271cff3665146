/** What a file of somebody's own is, by its name and by what an archive lists: a model, or data. */

/** Names of arrays that are data, not weights. */
const ARRAYS = /(^|\/)(x|y|x_?train|x_?test|images?|labels?|targets?|data|(train|test|val)_(images|labels|x|y))\.npy$/i;
const MODELS = /\.(onnx|pt|pth|pt2|safetensors|keras|h5|hdf5)$/i;
const DATA = /\.(csv|tsv|gz|tgz|bin)$/i;
/** Members by which an archive is a model's. */
const PARTS = /(^|\/)(data\.pkl|model\.json|config\.json|model\.weights\.h5|archive_format|models\/.*\.json)$/;

/** The last bytes of a zip archive in which its end record is looked for, and of its directory that are read. */
export const TAIL = 1 << 16;

/**
 * The names that the end of a zip archive lists; as many as are in it.
 * @param {Uint8Array} tail the file's last bytes @returns {string[]}
 */
export function namesOf(tail) {
  const names = [];
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
  for (let at = 0; at + 46 <= tail.length; at++) {
    if (view.getUint32(at, true) !== 0x02014b50) continue;
    const length = view.getUint16(at + 28, true);
    names.push(new TextDecoder().decode(tail.subarray(at + 46, at + 46 + length)));
    at += 45 + length;
  }
  return names;
}

/**
 * @param {string} name @param {string[]} members of an archive, [] for another file @param {string} head its first
 *   characters
 * @returns {"model"|"data"}
 */
export function kindOf(name, members, head = "") {
  if (MODELS.test(name)) return "model";
  if (DATA.test(name)) return "data";
  if (/\.json$/i.test(name)) return /"layers"/.test(head) ? "model" : "data";
  if (members.some(each => PARTS.test(each))) return "model";
  if (members.length && members.every(each => /\.npy$/.test(each)))
    return members.some(each => ARRAYS.test(each)) ? "data" : "model";
  return members.length ? "data" : "model";
}

/** What a data set is called after its file. @param {string} name */
export const nameFor = name =>
  name
    .replace(/(\.(tar|zip|csv|tsv|npz|json|gz|tgz|bin))+$/i, "")
    .replace(/[^A-Za-z0-9 _.+-]+/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .slice(0, 60) || "data";
