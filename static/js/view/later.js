/** Views that the first page does without: fetched when they are first shown, or before, when nothing else is to be done. */

import { signal } from "@preact/signals";

import { html } from "./html.js";
import { complain } from "../store.js";

/**
 * @param {() => Promise<Record<string, any>>} load @param {string} name of the view in its module
 * @param {any} [meanwhile] what stands in its place until it is here
 */
export function later(load, name, meanwhile = null) {
  const view = signal(/** @type {any} */ (null));
  let asked = false;
  const bring = async () => {
    if (asked) return;
    asked = true;
    try {
      view.value = (await load())[name];
    } catch {
      asked = false;
      complain({ title: "A part of the page is missing", detail: "The server did not answer. Try once more." });
    }
  };
  const Later = () => {
    if (!view.value) void bring();
    return view.value ? html`<${view.value} />` : meanwhile;
  };
  return Object.assign(Later, { bring });
}
