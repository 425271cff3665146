/** The line at the top: what is looked at, by which network, after which step; where to go; how it looks. */

import { useEffect, useRef, useState } from "preact/hooks";

import { html } from "../html.js";
import { Chevron } from "../icons.js";
import { Choice, Popover } from "./popover.js";
import { lazy } from "./lazy.js";
import { pictureOfValues, Tiles } from "../train/tiles.js";
import { VIEWS, addressOf, viewNamed } from "../views.js";
import * as format from "../../core/format.js";
import * as languages from "../../net/language.js";
import * as net from "../../net/requests.js";
import * as session from "../../net/session.js";
import { LANGUAGES, language } from "../../state/language.js";
import * as store from "../../state/store.js";

const Runs = lazy(() => import("./run_list.js"), "Runs");

export function Header() {
  const narrow = store.breakpoint.value === "narrow";
  return html`<header class="header">
    <a class="brand" href="#" onClick=${(/** @type {Event} */ event) => {
      event.preventDefault();
      store.show("explore");
    }}>Convscope</a>
    <div class="looking">
      ${
        store.source.value?.kind === "bench" || (store.lesson.value && store.stop.value?.startsWith("exercise-"))
          ? html`<span class="soft">Practice</span>`
          : html`<${SourceChip} /><${ModelMenu} /><${StepMenu} />`
      }
    </div>
    ${
      narrow
        ? html`<${ViewMenu} />`
        : html`<nav aria-label="Views">${VIEWS.map(view => html`<${Tab} view=${view} />`)}</nav>`
    }
    <div class="tools">
      <${RoomChip} />
      <button type="button" class="api take" onClick=${() => store.openPanel("share")}>Share</button>
      <a class="api" href="docs" title="The API, for programmers">API</a>
      <${LookMenu} />
      <button type="button" class="tool help-button" aria-label="Keys and help" title="Keys and help (?)"
        onClick=${() => store.openPanel("help")}>?</button>
    </div>
    <${Problem} />
  </header>`;
}

/** The class's room: which one this page is in, or the way into one. */
function RoomChip() {
  const code = store.room.value;
  if (code)
    return html`<button type="button" class="room-chip" aria-label=${`Room ${code}`} onClick=${store.closeCard}>
      <span>Room${" "}</span><b>${code}</b></button>`;
  return html`<button type="button" class="room-chip none" title="Open or join a class’s room"
    aria-expanded=${code === ""} onClick=${() => store.enterRoom(code === "" ? null : "")}>Room</button>`;
}

/** @param {{view: import("../views.js").View}} props */
function Tab({ view }) {
  const current = viewNamed(store.view.value) === view;
  return html`<a href=${addressOf(view)} aria-current=${current ? "page" : undefined}
    onClick=${(/** @type {MouseEvent} */ event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      store.show(view.name);
    }}>${view.words}</a>`;
}

function ViewMenu() {
  const now = viewNamed(store.view.value);
  return html`<${Popover} name="view" className="views" align="right" spoken=${`View: ${now.words}`}
    label=${html`${now.words} <${Chevron} />`}>
    <${Choice} legend="View" choices=${VIEWS.map(({ name, words }) => ({ value: name, words }))} value=${now.name}
      choose=${(/** @type {string} */ to) => {
        store.show(to);
        store.openPanel(null);
      }} />
  <//>`;
}

/** The image that is looked at, and its name. */
function SourceChip() {
  const source = store.source.value;
  const label = store.label.value;
  if (!source || source.kind === "bench") return null;
  const from =
    source.kind === "step"
      ? `image ${source.sample} of step ${format.count(source.step)}`
      : source.drawn
        ? "your own"
        : `${source.split} ${source.index}`;
  const what =
    source.kind === "pass" && source.drawn ? store.yours.value : label === null ? "" : store.withArticle(label);
  return html`<button type="button" class="trigger source" aria-haspopup="dialog"
    aria-label=${`Looking at ${what || "an image"}, ${from}. Choose another`}
      onClick=${() => store.openPanel("picker")}>
    <${Tiles} picture=${input} across=${1} width=${28} name="thumbnail" />
    <span>${
      source.kind === "pass" && source.drawn
        ? store.yours.value
        : label === null
          ? ""
          : html`${store.withArticle(label).split(" ")[0]} <b>${store.className(label)}</b>`
    }
      ${source.kind === "pass" && source.drawn ? "" : html` <span class="soft from">${from}</span>`}</span><${Chevron}
        />
  </button>`;
}

/** @returns {import("../train/tiles.js").Picture|null} */
function input() {
  const image = store.tensors.value.get("input/y");
  if (image?.shape.length !== 4) return null;
  const [, channels, rows, columns] = image.shape;
  const range = store.rangeOf("input/y");
  return { ...pictureOfValues(image.data.slice(0, channels * rows * columns), [channels, rows, columns]), range };
}

/** The networks: the welcome run, the runs there are, and the presets to start from. */
function ModelMenu() {
  const run = store.run.value;
  const open = store.panel.value === "model";
  const [runs, setRuns] = useState(/** @type {any[]} */ ([]));
  const [models, setModels] = useState(/** @type {any[]} */ ([]));
  const list = () => void net.runs().then(setRuns).catch(net.showError);
  useEffect(() => {
    if (!open) return;
    list();
    net.models().then(setModels).catch(net.showError);
  }, [open]);
  if (!run) return null;
  const choose = (/** @type {() => Promise<any>} */ act) => {
    store.openPanel(null);
    act().catch(net.showError);
  };
  const name = store.nameOfRun(run);
  return html`<${Popover} name="model" className="model" spoken=${`Network: ${name}. Choose another`}
    label=${html`<span translate="no">${name}</span><${Chevron} />`}>
    <p class="soft">Networks here</p>
    <${Runs} runs=${runs} choose=${(/** @type {string} */ id) => choose(() => session.adopt(id))} changed=${list} />
    <p><button type="button" class="button bring" onClick=${() => store.openPanel("import")}>Bring your own model or
      data</button></p>
    <p class="soft">A new one, untrained</p>
    <ul class="new">${models.map(
      each => html`<li><button type="button"
        onClick=${() => choose(() => session.createRun({ model: each.name, start: false }))}>
      <b translate="no">${each.name}</b><span class="soft">${each.summary ?? ""}</span></button></li>`,
    )}</ul>
  <//>`;
}

/** The step whose parameters are used, over the run's history. */
function StepMenu() {
  const run = store.run.value;
  const step = store.step.value;
  if (!run || step === null) return null;
  const running = run.state === "running";
  const source = store.source.value;
  const words = source?.kind === "step" ? "in step" : "after step";
  if (running && store.streaming.value)
    return html`<span class="soft step-now">after step <b>${format.count(step)}</b></span>`;
  const short = store.breakpoint.value === "narrow" ? "step" : words;
  const first = Math.max(run.history?.first ?? step, source?.kind === "step" ? 1 : 0);
  const last = run.history?.last ?? run.step ?? step;
  return html`<${Popover} name="step" className="steps" spoken=${`${words} ${format.count(step)}. Choose another step`}
      label=${html`<span class="soft">${short}</span> <b>${format.count(step)}</b>`}>
    <${StepScrubber} first=${first} last=${last} step=${step} />
  <//>`;
}

/** @param {{first: number, last: number, step: number}} props */
function StepScrubber({ first, last, step }) {
  const [asked, ask] = useState(step);
  const shown = useRef(step);
  useEffect(() => {
    if (shown.current !== step) ask(step); // not at first: by then the hand may have moved it
    shown.current = step;
  }, [step]);
  useEffect(() => {
    if (asked === step) return;
    const timer = setTimeout(() => store.atStep(asked), 120);
    return () => clearTimeout(timer);
  }, [asked]);
  const within = (/** @type {number} */ to) => Math.min(last, Math.max(first, to));
  return html`
    <label>Parameters after step <b>${format.count(asked)}</b>
      <input type="range" min=${first} max=${last} value=${asked} disabled=${first === last}
        onInput=${(/** @type {any} */ event) => ask(Number(event.currentTarget.value))} />
    </label>
    <p class="ends soft"><span>${format.count(first)}</span><span>${format.count(last)}</span></p>
    <p class="around"><button type="button" class="button" disabled=${asked <= first}
      onClick=${() => ask(within(asked - 1))}>one back</button>
      <button type="button" class="button" disabled=${asked >= last}
        onClick=${() => ask(within(asked + 1))}>one on</button>
      <button type="button" class="button" disabled=${asked >= last} onClick=${() => ask(last)}>newest</button></p>
    <p class="soft">The same image through the network as it was then. Every step in this range can be had again,
      exactly.</p>`;
}

const THEMES = /** @type {const} */ ([
  { value: "auto", words: "auto" },
  { value: "light", words: "light" },
  { value: "dark", words: "dark" },
  { value: "contrast", words: "contrast" },
]);
const SIZES = /** @type {const} */ ([
  { value: "auto", words: "auto" },
  { value: "laptop", words: "laptop" },
  { value: "projector", words: "projector" },
]);

function LookMenu() {
  const disc = html`<svg viewBox="0 0 16 16" class="disc" aria-hidden="true" focusable="false">
    <circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.5" /><path
      d="M8 1.8a6.2 6.2 0 0 0 0 12.4z" fill="currentColor" /></svg>`;
  return html`<${Popover} name="look" className="tool" align="right" spoken="Theme, size and language"
    title="Theme, size and language" label=${disc}>
    <${Choice} legend="Theme" choices=${THEMES} value=${store.theme.value} choose=${store.setTheme} />
    <${Choice} legend="Size" choices=${SIZES} value=${store.textSize.value} choose=${store.setTextSize} />
    <${Choice} legend="Language" choices=${LANGUAGES} value=${language()} choose=${languages.choose} />
  <//>`;
}

/** @type {{title: string, detail: string, retry?: {words: string, act: () => void}}} */
const AWAY = { title: "The server is away", detail: "This page waits, and goes on when it is back." };

/** What could not be had, until it is dismissed or the view is left. */
function Problem() {
  const away = store.offline.value;
  const problem = away ? AWAY : store.problem.value;
  if (!problem) return null;
  return html`<div class="problem" role="alert"><p><b>${problem.title}.</b> ${problem.detail}</p>
    ${
      !away &&
      problem.retry &&
      html`<button type="button" class="button primary" onClick=${() => {
        store.showError(null);
        problem.retry?.act();
      }}>${problem.retry.words}</button>`
    }
    ${!away && html`<button type="button" class="button" onClick=${() => store.showError(null)}>Close</button>`}</div>`;
}
