/**
 * Views that the first page does without: fetched when they are first shown, or before, when nothing else is to be
 * done.
 */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { html } from "../html.js";
import { showError, openPanel } from "../../state/store.js";

/** The modules that were asked for and did not arrive. */
function missing() {
  const asked = /** @type {PerformanceResourceTiming[]} */ (performance.getEntriesByType("resource"));
  const gone = asked.filter(
    ({ name, responseStatus, decodedBodySize }) =>
      /\.js($|\?)/.test(name) && (responseStatus >= 400 || !decodedBodySize),
  );
  const base = new URL(".", document.baseURI).href;
  return [...new Set(gone.map(({ name }) => name.replace(base, "").split("?")[0]))].join(", ");
}

/** @type {Map<string, Promise<void>>} */
const sheets = new Map();

/**
 * A stylesheet of static/css that only one view needs.
 * @param {string} name @returns {Promise<void>} when it is here
 */
export function sheet(name) {
  let there = sheets.get(name);
  if (!there) {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = new URL(`../../../css/${name}.css`, import.meta.url).href;
    there = new Promise((resolve, reject) => {
      link.onload = () => resolve();
      link.onerror = () => reject(new Error(link.href));
    });
    there.catch(() => {
      sheets.delete(name);
      link.remove();
    });
    sheets.set(name, there);
    document.head.append(link);
  }
  return there;
}

/**
 * @param {() => Promise<Record<string, any>>} load @param {string} name of the view in its module
 * @param {any} [meanwhile] what stands in its place until it is here
 */
export function lazy(load, name, meanwhile = null) {
  const view = signal(/** @type {any} */ (null));
  /** @type {Promise<void>|null} */
  let asked = null;
  const bring = () =>
    (asked ??= load().then(
      module => {
        view.value = module[name];
      },
      error => {
        asked = null;
        throw error;
      },
    ));
  /** Nobody has asked for it yet: a failure is said when somebody does. */
  const fetchAhead = () => void bring().catch(() => {});
  const Later = (/** @type {any} */ props) => {
    useEffect(() => {
      if (view.value) return;
      bring().catch(error => {
        openPanel(null);
        showError({
          title: "A part of the page did not load",
          detail: `${missing() || error.message}. The address holds what you are looking at.`,
          retry: { words: "Try again", act: () => location.reload() },
        });
      });
    }, []);
    return view.value ? html`<${view.value} ...${props} />` : meanwhile;
  };
  return Object.assign(Later, { fetchAhead });
}
