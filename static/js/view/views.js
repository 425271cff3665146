/**
 * The views: a tab each. A new view is one entry here and a folder of its own, whose module exports the view (its root
 * a `main`) and, where it listens to keys of its own, has them in `keys`.
 */

import { Explore } from "./explore.js";
import { html } from "./html.js";
import { lesson } from "../state/store.js";
import { BUILD_KEYS, TRAIN_KEYS } from "./shell/keys.js";
import { lazy, sheet } from "./shell/lazy.js";

/**
 * @typedef {object} View
 * @property {string} name in the address (`view=`) and in `data-view`
 * @property {string} words of the tab
 * @property {any} view what is drawn
 * @property {boolean|(() => boolean)} [walks] whether a pass is walked in it: stage, card and transport stand around it
 * @property {boolean} [needsRun] whether there is nothing to see without a run, and so without data
 * @property {{shown: string[], words: string}[]} [keys] what the help says of its keys
 */

/** @param {string} words what stands in a view's place until it is here */
const busy = words => html`<main class="${words.toLowerCase()}" aria-label=${words} aria-busy="true"></main>`;

/** @type {View[]} the first is shown where the address names none of them */
export const VIEWS = [
  { name: "explore", words: "Explore", view: Explore, walks: true, needsRun: true },
  {
    name: "train",
    words: "Train",
    view: lazy(() => import("./train/train.js"), "Train", busy("Train")),
    needsRun: true,
    keys: TRAIN_KEYS,
  },
  {
    name: "build",
    words: "Build",
    view: lazy(
      async () => (await Promise.all([import("./build/build.js"), sheet("build")]))[0],
      "Build",
      busy("Build"),
    ),
    keys: BUILD_KEYS,
  },
  {
    name: "learn",
    words: "Learn",
    view: lazy(
      async () => (await Promise.all([import("./learn/learn.js"), sheet("learn")]))[0],
      "Learn",
      busy("Learn"),
    ),
    walks: () => lesson.value !== null,
  },
];

/** @param {string} name */
export const viewNamed = name => VIEWS.find(each => each.name === name) ?? VIEWS[0];

/** @param {View} view */
export const addressOf = ({ name }) => (name === VIEWS[0].name ? "#" : `#view=${name}`);
