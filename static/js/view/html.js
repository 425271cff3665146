/** htm bound to preact: what every view writes its markup with. Here English becomes the language of the page. */

import { h } from "preact";
import htm from "htm";
import "@preact/signals";

import { inLanguage, translate } from "../state/language.js";

/** Attributes that are read or heard. */
const WORDED = [
  "title",
  "aria-label",
  "aria-valuetext",
  "aria-roledescription",
  "aria-description",
  "placeholder",
  "alt",
];
/** Elements whose content is in no language. */
const CODE = new Set(["code", "pre", "style", "math"]);

/**
 * An empty text is no child: Preact would set it again at every drawing, which counts as a change of the document.
 * What stands in an element with `translate="no"`, HTML's word for names and data, is left as it is.
 */
const element = (/** @type {any} */ type, /** @type {any} */ props, /** @type {any[]} */ ...children) => {
  const given = children.map(child => (child === "" ? null : child));
  if (typeof type !== "string") return h(type, props, ...given);
  if (props) for (const name of WORDED) if (typeof props[name] === "string") props[name] = translate(props[name]);
  const markup = props?.dangerouslySetInnerHTML;
  if (markup) markup.__html = markup.__html.replace(/[^<>]+(?=<)/g, translate);
  const worded = props?.translate !== "no" && !CODE.has(type);
  if (!worded && props?.translate) props.translate = false; // the element's property, which Preact sets, is a boolean
  return h(type, props, ...(worded ? inLanguage(given.map(listed)) : given));
};

/** Lists that are in the page's language already. @type {WeakSet<any[]>} */
const done = new WeakSet();

/** A list of texts and elements is a message of its own. @param {any} child */
function listed(child) {
  if (!Array.isArray(child) || done.has(child)) return child;
  const made = inLanguage(child);
  done.add(made);
  return made;
}

const markup = htm.bind(element);

/** @type {typeof markup} */
export const html = (strings, ...values) => /** @type {any} */ (listed(markup(strings, ...values)));
