/** Files that were dropped, pasted or chosen, until somebody takes them. */

import { batch, signal } from "@preact/signals-core";

import { panel } from "./store.js";

/** A model's or a data set's file, for the page that reads them. @type {Signal<File|null>} */
export const file = signal(null);
/** A picture to look at, for the picker. @type {Signal<Blob|null>} */
export const picture = signal(null);

/** Open where a file belongs: a picture is looked at, anything else is read. @param {File} given */
export const bring = given =>
  batch(() => {
    if (given.type.startsWith("image/")) {
      picture.value = given;
      panel.value = "picker";
    } else {
      file.value = given;
      panel.value = "import";
    }
  });
