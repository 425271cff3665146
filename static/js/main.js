/** Boot: the state from the address, the connection, the page; then the browser's own facts and the clock. */

import { effect } from "@preact/signals";
import { h, render } from "preact";

import * as languages from "./net/language.js";
import * as link from "./state/permalink.js";
import * as session from "./net/session.js";
import * as store from "./state/store.js";
import { direction, language, translate } from "./state/language.js";
import { App } from "./view/shell/app.js";
import { handle } from "./view/shell/keys.js";
import { VIEWS } from "./view/views.js";

const root = document.documentElement;

/** Themes and motion as the system has them. */
const dark = matchMedia("(prefers-color-scheme: dark)");
const contrast = matchMedia("(prefers-contrast: more)");
const motion = matchMedia("(prefers-reduced-motion: reduce)");

function measure() {
  const scale = parseFloat(getComputedStyle(root).fontSize) / 16;
  const { width, height } = store.viewport.peek();
  const now = { width: innerWidth / scale, height: innerHeight / scale, scale };
  if (now.width !== width || now.height !== height || scale !== store.viewport.peek().scale) store.viewport.value = now;
}

function resolve() {
  const asked = store.theme.value;
  const system = contrast.matches ? "contrast" : dark.matches ? "dark" : "light";
  store.scheme.value = asked === "auto" ? system : asked;
  store.reducedMotion.value = motion.matches;
}

for (const query of [dark, contrast, motion]) query.addEventListener("change", resolve);
addEventListener("resize", measure);

const views = VIEWS.map(({ name }) => name);
const first = link.read(location.hash);
link.look(first, views);

effect(() => {
  resolve();
  const scheme = store.scheme.value;
  if (scheme === "light") delete root.dataset.theme;
  else root.dataset.theme = scheme;
  const paper = getComputedStyle(root).getPropertyValue("--paper");
  for (const bar of document.querySelectorAll("meta[name=theme-color]")) bar.setAttribute("content", paper);
});
effect(() => {
  if (store.textSize.value === "auto") delete root.dataset.size;
  else root.dataset.size = store.textSize.value;
  measure();
});
effect(() => {
  root.dataset.shape = store.breakpoint.value;
  if (store.short.value) root.dataset.short = "";
  else delete root.dataset.short;
});

/** What makes an entry of the browser's history of its own: views, runs, images and cards. @param {string} hash */
function entryOf(hash) {
  const given = new URLSearchParams(hash.slice(1));
  return ["view", "part", "run", "source", "place"].map(name => given.get(name) ?? "").join(" ");
}

/**
 * Written at most a few times a second, however often it changes: browsers refuse a history that changes every frame.
 */
let writing = 0;
/** True until what the address asks for is there: until then it is not written over. */
let arriving = true;
let arrivals = 0;
/** The first address after an arrival is the same place in other words. */
let arrived = false;
/** The address as it was written or read last: another one is a visit whose event is still to come. */
let known = location.hash;
effect(() => {
  link.write();
  if (!writing)
    writing = setTimeout(() => {
      writing = 0;
      const hash = link.write();
      if (arriving || location.hash !== known) return;
      const same = arrived || entryOf(hash) === entryOf(location.hash);
      arrived = false;
      if ((location.hash || "#") === hash) return;
      history[same ? "replaceState" : "pushState"](null, "", hash);
      known = location.hash;
    }, 250);
});

/** @param {ReturnType<typeof link.read>} given @param {Promise<any>} there when its run and its timeline are */
async function arrive(given, there) {
  const own = ++arrivals;
  arriving = true;
  link.look(given, views);
  await there;
  if (own !== arrivals) return; // another address has been asked for since
  link.place(given);
  arriving = false;
  arrived = true;
}
addEventListener("hashchange", () => {
  known = location.hash;
  const given = link.read(location.hash);
  void arrive(given, session.visit(given));
});

let last = 0;
/** @param {number} now */
function beat(now) {
  const elapsed = Math.min(100, now - last);
  last = now;
  store.tick(elapsed);
  if (store.playing.peek()) requestAnimationFrame(beat);
}
effect(() => {
  if (!store.playing.value) return;
  last = performance.now();
  requestAnimationFrame(beat);
});

addEventListener("keydown", handle);

await languages.begin();
root.lang = language();
root.dir = direction();
document.title = translate(document.title);

render(h(App, null), /** @type {HTMLElement} */ (document.getElementById("app")));
void arrive(first, session.connect({ run: first.run, step: first.step, source: first.source }));
