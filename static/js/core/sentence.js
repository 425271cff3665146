/**
 * The sentences of lessons: `[words](what they light)`, `*letters*`, and numbers by places, `{conv1/y/0,5,12,14}`;
 * `{sum place}` are the products of a sum, `{size layer/tensor}` and `{shape layer/tensor}` how many numbers.
 *
 * @typedef {{kind: "text", text: string} | {kind: "italic", text: string}
 *   | {kind: "number", how: "value"|"sum"|"size"|"shape", place: string}
 *   | {kind: "light", lights: string[], inside: Token[]}} Token
 */

const TOKEN = /\[([^\]]+)\]\(([^)]+)\)|\{(?:(sum|size|shape) )?([^}]*)\}|\*([^*]+)\*/g;

/** @param {string} text @returns {Token[]} */
export function tokens(text) {
  /** @type {Token[]} */
  const found = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match.index > end) found.push({ kind: "text", text: text.slice(end, match.index) });
    end = match.index + match[0].length;
    const [, words, lights, how, place, italic] = match;
    if (words !== undefined) found.push({ kind: "light", lights: lights.split(/\s+/), inside: tokens(words) });
    else if (italic !== undefined) found.push({ kind: "italic", text: italic });
    else found.push({ kind: "number", how: /** @type {any} */ (how ?? "value"), place });
  }
  if (end < text.length) found.push({ kind: "text", text: text.slice(end) });
  return found;
}

/**
 * A number as people write it in a sentence: without zeros at its end; three decimals, or four where that is all of it.
 * @param {number} value
 */
export function written(value) {
  if (!Number.isFinite(value)) return "…";
  const four = Number(value.toFixed(4));
  const text = String(Math.abs(four - value) <= 1e-6 * Math.abs(value) ? four : Number(value.toFixed(3)));
  return text.replace("-", "\u2212");
}
