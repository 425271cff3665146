/** htm bound to preact: what every view writes its markup with. */

import { h } from "preact";
import htm from "htm";
import "@preact/signals";

/** An empty text is no child: Preact would set it again at every drawing, which counts as a change of the document. */
const element = (/** @type {any} */ type, /** @type {any} */ props, /** @type {any[]} */ ...children) =>
  h(type, props, ...children.map(child => (child === "" ? null : child)));

export const html = htm.bind(element);
