/** The card: one number explains itself. Its equation, its terms as a waterfall, the way here from the loss. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import { html } from "../html.js";
import { rowsOf } from "../../core/term_rows.js";
import { css, gradient } from "../../core/colour.js";
import { DELTA, GRADIENT, readers, relatives } from "../../core/facts.js";
import { alone, count } from "../../core/format.js";
import { fetchCardTerms } from "../step/fetch_terms.js";
import { Refused } from "../../net/requests.js";
import { at, parse } from "../../core/place.js";
import { phaseOf } from "../../core/timeline.js";
import { cellPlace, lit, symbol } from "../step/step_state.js";
import {
  aspect,
  back,
  base,
  canSee,
  closeCard,
  edits,
  elsewhere,
  explanation,
  infoOf,
  isKnown,
  live,
  makeSeen,
  nameOf,
  open,
  pin,
  pinned,
  place as openPlace,
  position,
  rangeOf,
  scheme,
  timeline,
  setAspect,
  setHover,
  setNumbers,
  source,
  step,
  trail,
  numberAt,
  whereabouts,
} from "../../state/store.js";
import * as compare from "../../state/compare.js";
import { untouched } from "../../net/session.js";
import { Choice } from "../shell/popover.js";
import { Guessed } from "./guessed.js";
import { useFitEquation } from "./fit_equation.js";
import { lazy } from "../shell/lazy.js";
import { Largest, Waterfall } from "./waterfall.js";
import { axisWord, freshSteps, inPlane, valueText } from "../step/labels.js";
import { colourOf } from "../step/symbol.js";

const Nudge = lazy(() => import("./nudge.js"), "Nudge");
const Reach = lazy(() => import("./reach.js"), "Reach");
const History = lazy(() => import("./history.js"), "History");

/** What the card shows: what was opened, else what is pinned, else the cell that is written. */
const shown = () => openPlace.value ?? pinned.value ?? cellPlace.value;

export function Card() {
  const place = shown();
  const own = place && (parse(place).index.length || infoOf(place)) ? ownPlace(place) : null;
  return html`<aside class="card" aria-label="Explanation"><${ByHand} />${
    own && (position.value || openPlace.value || pinned.value)
      ? html`<${Explained} key=${own} place=${own} />`
      : html`<${Empty} />`
  }</aside>`;
}

/** A place under the name by which its tensor is stored. @param {string} place */
function ownPlace(place) {
  const { index, step: of } = parse(place);
  return `${at(nameOf(place), index)}${of === null ? "" : `@${of}`}`;
}

const SHOWN = [
  { value: "before", words: "before" },
  { value: "now", words: "by hand" },
  { value: "difference", words: "difference" },
];

/** A pass in which numbers are set by hand says so as long as it is looked at. */
function ByHand() {
  const made = edits.value;
  const pass = base.value?.pass;
  useEffect(() => {
    if (!pass) {
      compare.shows.value = "now";
      return;
    }
    untouched().then(
      tensors => {
        compare.untouched.value = tensors && { pass, tensors };
      },
      () => {}, // the switch waits
    );
  }, [pass]);
  if (!made.length || live.value) return null;
  const [only] = made;
  const loss = numberAt("loss/y");
  return html`<p class="by-hand" role="status"><span>${
    made.length === 1
      ? html`<button class="link" onClick=${() => open(only.place)}>${only.place}</button> is set
        to <b>${valueText(only.place, only.value)}</b> by hand.`
      : html`<b>${count(made.length)}</b> numbers are set by hand.`
  } ${
    base.value &&
    loss !== undefined &&
    html`The loss goes
    from ${alone(base.value.loss)} to <b>${alone(loss)}</b>.`
  }</span>
    <button class="flat" onClick=${() => setNumbers([])}>Put back</button></p>
    ${
      compare.untouched.value?.pass === pass &&
      html`<div class="shown-pass"><${Choice} legend="The stage shows" value=${compare.shows.value}
        choices=${SHOWN} choose=${(/** @type {"before"|"now"|"difference"} */ to) => {
          compare.shows.value = to;
        }} /></div>`
    }`;
}

/** The key of looks and ramps, before anything is chosen. */
function Empty() {
  const theme = scheme.value;
  return html`<div class="empty"><p class="lead">Choose any number,<br />and it explains itself here.</p>
    <p class="follow">Its equation, every term with its factors, the way back to the loss, and what follows when it is
      changed.</p>
    <ul class="key">
      <li><i class="hatch look"></i>not computed yet</li><li><i class="look"></i>exactly zero</li>
      <li><i class="look" style="background:${css("value", 0.05, 1, theme)}"></i>small, not zero</li><li><i
        class="look pad"></i>padding, zero by rule</li></ul>
    <ul class="key ramps">${[
      ["value", "values"],
      ["weight", "weights"],
      ["gradient", "gradients"],
    ].map(
      ([kind, words]) => html`<li>
      <i class="ramp" style="background:${gradient(/** @type {any} */ (kind), theme)}"></i><span
        class=${colourOf(kind)}>${words}</span></li>`,
    )}
      <li class="scale"><span>−</span><span>0</span><span>+</span></li></ul></div>`;
}

/** The phase that writes a tensor. @param {string} place */
function phaseOfPlace(place) {
  const whole = timeline.value;
  return whole ? (whole.phases[phaseOf(whole, nameOf(place))] ?? null) : null;
}

const MOST = 8;

/**
 * Whether groups are worth more than single terms: not when they are only the rows of a map.
 * @param {Explanation} data
 * @param {string} place
 */
function grouped(data, place) {
  const groups = data.groups ?? [];
  if (data.terms_total <= 12 || groups.length < 2) return false;
  const phase = phaseOfPlace(place);
  if (!phase) return true;
  return !inPlane(phase, groups[0].letter);
}

/** @param {{place: string}} props */
function Explained({ place }) {
  const [failed, fail] = useState("");
  const off = live.value;
  useEffect(() => {
    if (off) return;
    let gone = false;
    fetchCardTerms(place, phaseOfPlace(place), data => grouped(data, place)).then(
      data => {
        if (gone) return;
        explanation.value = { place, data };
        fail("");
      },
      error => !gone && error instanceof Refused && fail(error.message),
    );
    return () => {
      gone = true;
    };
  }, [place, off, source.value, step.value]);
  const said = explanation.value;
  const data = said && said.place === place && !off ? /** @type {Explanation} */ (said.data) : null;
  const info = infoOf(place);
  const { index, step: of } = parse(place);
  const local = numberAt(place);
  const value = data?.value ?? local;
  const there = isKnown(place);
  const phase = phaseOfPlace(place);
  const kind = info?.kind ?? "value";
  const where = whereabouts(place);
  const rows = data && data.terms.length > 0 ? cardRows(data, place) : [];
  const title = info?.title
    ? /^\p{L}\P{L}/u.test(info.title)
      ? info.title
      : info.title[0].toUpperCase() + info.title.slice(1)
    : place;
  const [general, generalise] = useState(false);
  const equation = general && phase ? phase.general : (data?.equation ?? phase?.equation);
  return html`<div class="explained">
    <div class="place-line"><span class="place" title="the place of this number">${place}</span><${Copy}
      text=${source.value?.kind === "step" && !place.includes("@") ? `${place}@${step.value}` : place} /></div>
    <h2 class="card-title">${title}${of === null ? "" : ` of step ${count(of)}`}${where && `: ${where}`}</h2>
    ${
      there || openPlace.value || (off && pinned.value === place)
        ? html`<p class="big-value">${value === undefined ? "…" : valueText(place, value)}
      ${
        value !== undefined &&
        html`<i class="swatch"
        style="background:${css(/** @type {any} */ (kind), value, rangeOf(place), scheme.value)}"></i>`
      }</p>`
        : html`<p class="big-value soft">not yet</p>`
    }
    <${Guessed} place=${place} value=${there ? value : undefined} />
    <hr />
    ${aspect.value === "nudge" && nudges(place, phase) && html`<${Nudge} place=${place} made=${phase !== null} />`}
    ${aspect.value === "reach" && reaches(place) && html`<${Reach} place=${place} />`}
    ${aspect.value === "history" && changes(place) && html`<${History} place=${place} />`}
    ${
      !asks(place, phase) &&
      html`${
        equation?.mathml &&
        html`<${Equation} mathml=${equation.mathml} text=${equation.text} place=${place} />
`
      }
    <p class="note">${phase?.note ?? ""} ${
      phase &&
      phase.general.text !== phase.equation.text &&
      html`<button class="toggle" aria-pressed=${general} onClick=${() => generalise(!general)}>${
        general ? "With the settings put in." : "In general."
      }</button>`
    }</p>
    ${
      phase &&
      freshSteps(phase).length > 0 &&
      html`<${Steps} steps=${freshSteps(phase)} bare=${phase.part === "update"}
      />`
    }
    ${!phase && timeline.value && index.length > 0 && html`<${Given} place=${place} value=${value} />`}
    ${
      phase &&
      phase === timeline.value?.phases.find(({ part }) => part === "backward") &&
      html`<p
      class="note">${GRADIENT} ${DELTA}</p>`
    }
    ${off && html`<p class="note soft">While it trains the value is alive. Pause the training to see its terms.</p>`}
    ${failed && html`<p class="note soft">${failed}</p>`}
    ${
      data?.largest
        ? html`<${Largest} data=${data} place=${place}
      />`
        : data &&
          rows.length > 0 &&
          html`<${Waterfall} key=${place} place=${place} data=${data} rows=${rows}
        phase=${phase} />`
    }
    `
    }
    <${Way} place=${place} phase=${phase} />
  </div>`;
}

/**
 * Whether a number can be set by hand: one that is given and learned from, or that a layer puts out.
 * @param {string} place
 * @param {Phase|null} phase
 */
const nudges = (place, phase) =>
  reaches(place) &&
  (phase ? phase.part === "forward" && parse(place).tensor === "y" : infoOf(place)?.kind !== "gradient");

/**
 * Whether it can be asked what a number changes: one cell of the way forward, in what is looked at.
 * @param {string} place
 */
const reaches = place =>
  !live.value &&
  source.value?.kind !== "bench" &&
  !elsewhere(place) &&
  parse(place).index.length > 0 &&
  ["forward", undefined].includes(phaseOfPlace(place)?.part) &&
  infoOf(place)?.kind !== "gradient";

/** Whether it can be asked what a number was at other steps. @param {string} place */
const changes = place =>
  !live.value &&
  source.value?.kind !== "bench" &&
  !elsewhere(place) &&
  parse(place).index.length > 0 &&
  infoOf(place) !== undefined;

/** Whether something else than how the number is made is asked. @param {string} place @param {Phase|null} phase */
const asks = (place, phase) =>
  (aspect.value === "nudge" && nudges(place, phase)) ||
  (aspect.value === "reach" && reaches(place)) ||
  (aspect.value === "history" && changes(place));

/**
 * What is said of a number that no phase writes, a weight or a pixel: who reads it, its gradient, its update.
 * @param {{place: string, value: number|undefined}} props
 */
function Given({ place, value }) {
  const whole = /** @type {Timeline} */ (timeline.value);
  const used = readers(whole, place);
  const { gradient: grows, after } = relatives(whole, place);
  const link = (/** @type {string} */ to, /** @type {any} */ words) =>
    html`<button class="link" onClick=${() => open(to, { from: "card" })}>${words}</button>`;
  const slope = grows && isKnown(grows) ? numberAt(grows) : undefined;
  const next = after && isKnown(after) ? numberAt(after) : undefined;
  const trial = source.value?.kind === "pass";
  return html`<ul class="note given">
    ${used.map(
      ({ layer, count: many }) =>
        html`<li>Read by <b>${count(many)}</b> ${many === 1 ? "number" : "numbers"} of <b>${layer}</b>.</li>`,
    )}
    ${
      grows &&
      (slope === undefined
        ? html`<li>Its ${link(grows, "gradient")} is not computed yet.</li>`
        : html`<li>${link(grows, "Gradient")} <b>${alone(slope)}</b>: ${
            slope === 0
              ? "a little more or less of it leaves the loss as it is."
              : `a little more of it makes the loss ${slope > 0 ? "larger" : "smaller"},
                by ${alone(Math.abs(slope))} for each 1.`
          }</li>`)
    }
    ${
      after &&
      value !== undefined &&
      (next === undefined
        ? html`<li>The ${link(after, "update")} comes at the end of the pass.</li>`
        : html`<li>The ${link(after, "update")} ${trial ? "would take" : "takes"} it to <b>${alone(next)}</b>, a change
          of ${alone(next - value)}.</li>`)
    }</ul>`;
}

/** @param {Explanation} data @param {string} place */
function cardRows(data, place) {
  const phase = phaseOfPlace(place);
  const sample =
    source.value?.kind === "step" && phase && axisWord(phase, data.groups?.[0]?.letter ?? "") === "image"
      ? source.value.sample
      : null;
  return rowsOf(
    grouped(data, place) ? data : { ...data, groups: [] },
    ({ letter, at: k }) => {
      const word = phase ? axisWord(phase, letter) : letter;
      return word === "image" && k === sample ? "this image" : `${word} ${k}`;
    },
    MOST,
    sample,
  );
}

/**
 * The equation, its symbols tied to the cells they stand for.
 * @param {{mathml: string, text: string, place: string}} props
 */
export function Equation({ mathml, text, place }) {
  const box = useRef(/** @type {HTMLElement|null} */ (null));
  const phase = phaseOfPlace(place);
  const on = symbol.value;
  const lights = lit.value;
  useFitEquation(box, mathml);
  useLayoutEffect(() => {
    const names = new Set(on ? [on] : []);
    for (const read of phase?.reads ?? []) {
      for (const lightPlace of lights) if (lightPlace.startsWith(`${nameOf(read.tensor)}/`)) names.add(read.name);
    }
    for (const element of box.current?.querySelectorAll("[data-tensor]") ?? []) {
      const name = element.getAttribute("data-tensor") ?? "";
      const kind = phase?.reads.find(read => read.name === name)?.kind ?? (name === phase?.tensor ? phase.kind : "");
      // An unchanged class that is set again counts as a change.
      if (element.classList.contains("marked") !== names.has(name)) element.classList.toggle("marked");
      if (kind && !element.classList.contains(colourOf(kind))) element.classList.add(colourOf(kind));
    }
  });
  const point = (/** @type {Event} */ event) => {
    const name = /** @type {Element} */ (event.target).closest?.("[data-tensor]")?.getAttribute("data-tensor");
    setHover(name ? { symbol: name } : null);
  };
  return html`<div class="equation" ref=${box} role="math" aria-label=${text} tabIndex=${0} onPointerOver=${point}
    onPointerLeave=${() => setHover(null)}
    dangerouslySetInnerHTML=${{ __html: mathml }}></div>`;
}

/**
 * The named intermediates that a sentence leans on; bare: all at the same place, so without its letters.
 * @param {{steps: {name: string, equation: {mathml: string, text: string}}[], bare: boolean}} props
 */
const Steps = ({ steps, bare }) =>
  html`<ul class="named-steps ${bare ? "bare" : ""}" aria-label="named steps">${steps.map(
    step => html`<${NamedStep}
    key=${step.name} ...${step} />`,
  )}</ul>`;

/** @param {{name: string, equation: {mathml: string}}} props */
function NamedStep({ name, equation: { mathml } }) {
  const line = useRef(/** @type {HTMLElement|null} */ (null));
  useFitEquation(line, mathml);
  return html`<li ref=${line} onPointerEnter=${() => setHover({ symbol: name })} onPointerLeave=${() => setHover(null)}
    dangerouslySetInnerHTML=${{ __html: mathml }}></li>`;
}

/** @param {{text: string}} props */
function Copy({ text }) {
  const [done, finish] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => finish(false), 1500);
    return () => clearTimeout(timer);
  }, [done]);
  return html`<button class="copy" title=${done ? "copied" : "copy this place"} aria-label="copy this place"
    onClick=${() => {
      navigator.clipboard?.writeText(text).then(
        () => finish(true),
        () => {},
      );
    }}>${
      done
        ? "✓"
        : html`<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3"
    /></svg>`
    }</button>`;
}

/**
 * The way from the loss to here, the pin, and what else can be asked.
 * @param {{place: string, phase: Phase|null}} props
 */
function Way({ place, phase }) {
  const way = trail.value.filter(step => step !== place && step !== "loss/y");
  const near = way.slice(-3);
  const isPinned = pinned.value === place;
  return html`<footer class="way">
    <hr /><div class="way-buttons">      <button class="flat" aria-pressed=${isPinned}
      onClick=${() => pin(isPinned ? null : place)}><svg viewBox="0 0 16 16" aria-hidden="true"><path
        d="M5 2h6M6 2v5L4 9.5h8L10 7V2M8 9.5V14" /></svg>${isPinned ? "Unpin" : "Pin"}</button>
      ${changes(place) && html`<${Ask} what="sum" words="Terms" place=${place} />`}
      ${nudges(place, phase) && html`<${Ask} what="nudge" words="Nudge" place=${place} />`}
      ${reaches(place) && html`<${Ask} what="reach" words="Reach" place=${place} />`}
      ${changes(place) && html`<${Ask} what="history" words="History" place=${place} />`}
      ${
        canSee(place) &&
        place !== cellPlace.value &&
        html`<button class="flat"
        onClick=${() => makeSeen(place)}>See it made</button>`
      }
      ${
        openPlace.value &&
        html`${
          trail.value.length > 1 &&
          html`<button class="flat"
        onClick=${back}>Back</button>`
        }<button class="flat" onClick=${closeCard}>Close</button>`
      }</div>
    <nav aria-label=${trail.value.length > 1 ? "your way here" : "from the loss"}><button class="link"
      onClick=${() => open("loss/y", { from: "card" })}>loss</button>
      ${way.length > near.length || !trail.value.length ? html` › …` : ""}${near.map(
        step => html` › <button
        class="link"
          onClick=${() => open(step, { from: "card" })}>${step}</button>`,
      )} › <b>${place}</b></nav></footer>`;
}

/** Ask something else of the number; it stays open. @param {{what: Aspect, words: string, place: string}} props */
function Ask({ what, words, place }) {
  return html`<button class="flat" aria-pressed=${aspect.value === what} onClick=${() => {
    if (!openPlace.value && !pinned.value) open(place);
    setAspect(what);
  }}>${words}</button>`;
}
