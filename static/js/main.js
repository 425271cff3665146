/** Boot: the state from the address, the connection, the page; then the browser's own facts and the clock. */

import { effect } from "@preact/signals";
import { h, render } from "preact";

import * as link from "./link.js";
import * as session from "./net/session.js";
import * as store from "./store.js";
import { App } from "./view/app.js";
import { handle } from "./keys.js";

const root = document.documentElement;

/** Themes and motion as the system has them. */
const dark = matchMedia("(prefers-color-scheme: dark)");
const contrast = matchMedia("(prefers-contrast: more)");
const motion = matchMedia("(prefers-reduced-motion: reduce)");

function measure() {
  const scale = parseFloat(getComputedStyle(root).fontSize) / 16;
  const { width, height } = store.room.peek();
  const now = { width: innerWidth / scale, height: innerHeight / scale, scale };
  if (now.width !== width || now.height !== height || scale !== store.room.peek().scale) store.room.value = now;
}

function resolve() {
  const asked = store.theme.value;
  const system = contrast.matches ? "contrast" : dark.matches ? "dark" : "light";
  store.scheme.value = asked === "auto" ? system : asked;
  store.still.value = motion.matches;
}

for (const query of [dark, contrast, motion]) query.addEventListener("change", resolve);
addEventListener("resize", measure);

const first = link.read(location.hash);
link.apply(first);

effect(() => {
  resolve();
  const scheme = store.scheme.value;
  if (scheme === "light") delete root.dataset.theme;
  else root.dataset.theme = scheme;
  const paper = getComputedStyle(root).getPropertyValue("--paper");
  for (const bar of document.querySelectorAll("meta[name=theme-color]")) bar.setAttribute("content", paper);
});
effect(() => {
  if (store.size.value === "auto") delete root.dataset.size;
  else root.dataset.size = store.size.value;
  measure();
});
effect(() => {
  root.dataset.shape = store.shape.value;
});

/** Written at most a few times a second, however often it changes: browsers refuse a history that changes every frame. */
let writing = 0;
effect(() => {
  link.write();
  writing ||= setTimeout(() => {
    writing = 0;
    const hash = link.write();
    if (location.hash === hash) return;
    const source = (/** @type {string} */ text) => new URLSearchParams(text.slice(1)).get("source");
    history[source(hash) === source(location.hash) ? "replaceState" : "pushState"](null, "", hash);
  }, 250);
});
addEventListener("hashchange", () => {
  const given = link.read(location.hash);
  link.apply(given);
  void session.visit(given);
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

render(h(App, null), /** @type {HTMLElement} */ (document.getElementById("app")));
void session.connect({ run: first.run, step: first.step, source: first.source });
