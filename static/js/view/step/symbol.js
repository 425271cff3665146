import { html } from "../html.js";

const COLOURS = { value: "act", weight: "wt", gradient: "grad", index: "act" };

/** The class of a kind's colour. @param {string} kind */
export const colourOf = kind => COLOURS[/** @type {keyof typeof COLOURS} */ (kind)] ?? "act";

const GREEK = { gamma: "γ", beta: "β", mu: "μ", nu: "ν", lr: "η" };

/** @param {string} name as letters spell it */
const greek = name => GREEK[/** @type {keyof typeof GREEK} */ (name)] ?? name;

/** @param {string} name a tensor's name in a sentence @returns {{before: string, base: string, after: string}} */
export function parts(name) {
  const bare = name.slice(name.lastIndexOf(".") + 1);
  if (bare.endsWith("_next")) return { before: "", base: greek(bare.slice(0, -5)), after: "′" };
  if (/^[a-z]hat$/.test(bare)) return { before: "", base: `${bare[0]}\u0302`, after: "" };
  if (/^log[a-z]$/.test(bare)) return { before: "", base: `log ${bare[3]}`, after: "" };
  if (bare === "dy") return { before: "", base: "δ", after: "" };
  if (/^d[a-z]/.test(bare)) return { before: "∂L/∂", base: parts(bare.slice(1)).base, after: "" };
  return { before: "", base: greek(bare), after: "" };
}

/** A tensor's name as it is spoken and written without mathematics. @param {string} name */
export function plain(name) {
  const { before, base, after } = parts(name);
  return before + base + after;
}

/** A tensor's symbol as it stands in the equations. @param {{name: string, kind: string}} props */
export function TensorSymbol({ name, kind }) {
  const { before, base, after } = kind === "index" ? { before: "", base: "winner", after: "" } : parts(name);
  return html`<span class="sym ${colourOf(kind)}"><math>
    ${before && html`<mi>∂</mi><mi>L</mi><mo lspace="0" rspace="0" stretchy="false">/</mo><mi>∂</mi>`}
    <mi mathvariant=${base.length > 1 && !base.endsWith("\u0302") ? "italic" : undefined}>${base}</mi>
    ${after && html`<mo lspace="0" rspace="0">′</mo>`}</math></span>`;
}
