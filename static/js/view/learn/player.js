/** A lesson as it is played: one sentence at a time beside the stage or a bench, which it moves and lights. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import { html } from "../html.js";
import { Tick } from "../icons.js";
import { Card, Equation } from "../card/card.js";
import { Stage } from "../stage/stage.js";
import { Step } from "../step/step.js";
import { compilingWords } from "../step/labels.js";
import { holdChannel } from "../step/step_state.js";
import { Transport } from "../shell/transport.js";
import { prefixOf } from "../../core/place.js";
import * as net from "../../net/requests.js";
import * as session from "../../net/session.js";
import * as store from "../../state/store.js";
import { Exercise } from "./exercise.js";
import { guess, guessed, read } from "./progress.js";
import { Sentence, ready } from "./sentence.js";

/** @param {{name: string, known: Set<string>}} props  known: the families of exercises that the server has */
export function Player({ name, known }) {
  const [lesson, set] = useState(/** @type {any} */ (null));
  useEffect(() => {
    set(null);
    net.lesson(name).then(set, error => {
      net.showError(error);
      store.learn(null);
    });
  }, [name]);
  if (!lesson) return html`<main class="explore" aria-busy="true" aria-label="Lesson"></main>`;
  return html`<${Playing} key=${name} lesson=${lesson} known=${known} />`;
}

/** How the address names an exercise of a lesson. */
const EXERCISE = "exercise-";

/** The stops of a lesson: its steps, then its exercises. @param {any} lesson @param {Set<string>} known */
function stopsOf(lesson, known) {
  const families = lesson.exercises.filter((/** @type {string} */ each) => known.has(each));
  return [
    ...lesson.steps.map((/** @type {any} */ step) => ({ name: step.name, title: step.title, step, family: "" })),
    ...families.map((/** @type {string} */ family, /** @type {number} */ k) => ({
      name: `${EXERCISE}${family}`,
      title: `exercise ${k + 1}`,
      step: null,
      family,
    })),
  ];
}

/** @param {{lesson: any, known: Set<string>}} props */
function Playing({ lesson, known }) {
  const stops = stopsOf(lesson, known);
  const found = stops.findIndex(({ name }) => name === store.stop.value);
  const at = Math.max(0, found);
  const stop = stops[at];
  const go = (/** @type {number} */ to) => stops[to] && store.learn(lesson.name, stops[to].name);
  useEffect(() => {
    if (stop.step) read(lesson.name, stop.name);
  }, [stop.name]);
  const parts = { lesson, stops, at, go };
  return stop.step
    ? html`<${OneStep} ...${parts} step=${stop.step} />`
    : html`<${Exercise} key=${stop.family} family=${stop.family} lesson=${lesson} head=${html`<${Head}
        ...${parts} note=${`Exercise ${at - lesson.steps.length + 1} of ${stops.length - lesson.steps.length}, your own
          numbers`} />`} pager=${html`<${Pager} ...${parts} />`} bar=${html`<${Bar} ...${parts} />`} />`;
}

/**
 * What a step looks at: what itself says, or the last step before it that says so.
 * @param {any[]} steps @param {number} at
 */
function lookedAt(steps, at) {
  for (let k = at; k >= 0; k--) if (steps[k].stage || steps[k].bench) return steps[k];
  return steps[at];
}

/** Brings the stage or the bench; true as soon as it is there. @param {any} where @returns {boolean} */
function useScene(where) {
  const key = where.bench ? JSON.stringify(where.bench) : "stage";
  const [shown, show] = useState("");
  const begun = store.run.value !== null || store.noMnist.value;
  useEffect(() => {
    if (!begun) return;
    let gone = false;
    (where.bench ? session.showBench(where.bench) : session.showStage()).then(
      () => !gone && show(key),
      error => !gone && net.showError(error),
    );
    return () => {
      gone = true;
    };
  }, [key, begun]);
  const bench = store.source.value?.kind === "bench";
  const there = shown === key && store.walkable.value && bench === Boolean(where.bench);
  useLayoutEffect(() => {
    ready.value = there;
  }, [there]);
  return there;
}

/** @param {{lesson: any, stops: any[], at: number, go: (to: number) => void, step: any}} props */
function OneStep({ lesson, stops, at, go, step }) {
  const where = lookedAt(lesson.steps, at);
  const key = `${lesson.name}/${step.name}`;
  const choice = guessed(key);
  const asking = step.ask !== null && choice === undefined;
  const hidden = asking && step.ask.hide;
  const there = useScene(where);
  useLayoutEffect(() => {
    if (!there) return;
    holdChannel(step.channel);
    store.closeCard();
    store.pause();
    const to = asking ? (step.ask.at ?? (hidden && step.at ? prefixOf(step.at) : step.at)) : step.at;
    if (to) store.goToPlace(to);
  }, [there, step, asking]);
  useEffect(() => () => holdChannel(null), []);
  useTask(step.do, `${key}/do`);
  const bench = Boolean(where.bench);
  const narrow = store.breakpoint.value === "narrow";
  return html`
    <main class="explore ${bench ? "bench" : ""}">
      <h1 class="spoken">Lesson ${lesson.number}: ${lesson.title}</h1>
      ${!bench && !narrow && html`<${Stage} />`}
      ${
        hidden ? html`<${Hidden} />` : there && store.position.value !== null ? html`<${Step} />` : html`<${Awaited} />`
      }
    </main>
    ${
      store.place.value
        ? html`<div class="lesson-card"><${Card} /><p><button type="button" class="button"
          onClick=${() => {
            store.closeCard();
            if (step.at) store.goToPlace(step.at);
          }}>‹ Back to step ${at + 1}</button></p></div>`
        : html`<${Column} lesson=${lesson} stops=${stops} at=${at} go=${go} step=${step} name=${key} />`
    }
    ${!narrow && (bench ? html`<${Bar} stops=${stops} at=${at} go=${go} />` : html`<${Transport} />`)}`;
}

/** Until the numbers are there: on a first start their kernels are compiled. */
function Awaited() {
  const { ready: able, compiling } = store.status.value;
  return html`<section class="step" aria-busy="true" aria-label="Step view">
    ${!able && html`<p class="aside">${compiling?.total ? compilingWords(compiling) : "The server is starting."}</p>`}
  </section>`;
}

/** What would give the answer away is not there, not even in the document. */
const Hidden = () => html`<section class="step unanswered" aria-label="Step view, not shown before your answer">
  <div class="hatch"><span class="disc" aria-hidden="true">?</span></div>
  <p class="aside">The figure appears with your answer.</p></section>`;

/** @param {{lesson: any, stops: any[], at: number, go: (to: number) => void, note?: string}} props */
function Head({ lesson, stops, at, go, note = "" }) {
  return html`<p class="lesson-line"><span class="soft">${lesson.number}</span> <b>${lesson.title}</b>
      <button type="button" class="close" aria-label="All lessons" title="All lessons"
        onClick=${() => store.learn(null)}>×</button></p>
    <ol class="stops">${stops.map(
      ({ title }, k) => html`<li key=${k}><button type="button"
        class="${k <= at ? "done" : ""} ${k === at ? "now" : ""}"
        aria-label=${`${k + 1} of ${stops.length}: ${title}`} aria-current=${k === at ? "step" : undefined}
        title=${title}
        onClick=${() => go(k)}></button></li>`,
    )}</ol>
    ${note && html`<p class="soft">${note}</p>`}`;
}

/** @param {{stops: any[], at: number, go: (to: number) => void, ready?: boolean}} props */
function Pager({ stops, at, go, ready = true }) {
  /** @param {KeyboardEvent} event */
  const onKeyDown = event => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || !stops[at + by]) return;
    event.preventDefault();
    go(at + by);
  };
  const last = at === stops.length - 1;
  return html`<nav class="pager" aria-label="Steps" onKeyDown=${onKeyDown}>
    <button type="button" class="button" disabled=${at === 0} onClick=${() => go(at - 1)}>‹ Back</button>
    <span class="soft">${at + 1} of ${stops.length}</span>
    <button type="button" class="button ${ready ? "primary" : ""}"
      onClick=${() => (last ? store.learn(null) : go(at + 1))}>${last ? "All lessons" : "Next ›"}</button></nav>`;
}

/**
 * The lesson's own timeline, where there is no pass to play.
 * @param {{stops: any[], at: number, go: (to: number) => void}} props
 */
function Bar({ stops, at, go }) {
  return html`<footer class="transport lesson-bar" aria-label="The lesson in time"><ol>${stops.map(
    ({ title }, k) => html`<li key=${k} style="flex:${title.length + 6}"><button type="button"
      class="${k < at ? "done" : ""} ${k === at ? "now" : ""}" tabIndex=${-1} aria-hidden="true"
      onClick=${() => go(k)}><span>${title}</span><i></i></button></li>`,
  )}</ol></footer>`;
}

/** @param {{lesson: any, stops: any[], at: number, go: (to: number) => void, step: any, name: string}} props */
function Column({ lesson, stops, at, go, step, name }) {
  const choice = guessed(name);
  const asking = step.ask !== null && choice === undefined;
  const box = useRef(/** @type {HTMLElement|null} */ (null));
  useEffect(() => {
    const words = box.current?.querySelector(".sentence")?.textContent ?? "";
    const timer = setTimeout(() => store.say(words), 400);
    return () => clearTimeout(timer);
  }, [name, asking]);
  const spoken = `Lesson ${lesson.number}, step ${at + 1} of ${stops.length}`;
  return html`<section class="card lesson" aria-label=${spoken} ref=${box}>
    <div class="lesson-body">
    <${Head} lesson=${lesson} stops=${stops} at=${at} go=${go} />
    ${step.ask && !asking && html`<${Verdict} choices=${step.ask.choices} choice=${choice} />`}
    ${
      asking
        ? html`<${Question} key=${name} ask=${step.ask} answer=${(/** @type {number} */ k) => guess(name, k)} />`
        : html`<p class="sentence"><${Sentence} text=${step.text} /></p>
          ${step.aside && html`<p class="soft remark"><${Sentence} text=${step.aside} /></p>`}
          <${Formula} code=${step.code} />
          ${step.do && html`<${Task} task=${step.do} done=${guessed(`${name}/do`) === 1} />`}`
    }</div>
    <${Pager} stops=${stops} at=${at} go=${go} ready=${!asking} />
  </section>`;
}

/** @param {{choices: any[], choice: number}} props */
function Verdict({ choices, choice }) {
  const right = choices.find(each => each.right);
  const said = choices[choice];
  if (!said) return html`<p class="guess soft">You passed over the question.</p>`;
  return html`<p class="guess"><${Tick} right=${said.right} /> You said <b><${Sentence}
    text=${said.text} /></b>.${!said.right && html` It is <b><${Sentence} text=${right.text} /></b>.`}</p>`;
}

/** A question before anything moves. @param {{ask: any, answer: (choice: number) => void}} props */
export function Question({ ask, answer }) {
  const [chosen, choose] = useState(-1);
  const pictures = ask.choices.some((/** @type {any} */ each) => each.letters);
  return html`<form class="ask" onSubmit=${(/** @type {Event} */ event) => {
    event.preventDefault();
    if (chosen >= 0) answer(chosen);
  }}>
    <p class="sentence" id="question"><${Sentence} text=${ask.text} /></p>
    <div class="picks ${pictures ? "pictures" : ""}" role="radiogroup" aria-labelledby="question">${ask.choices.map(
      (/** @type {any} */ each, /** @type {number} */ k) => html`<label key=${k} class=${k === chosen ? "chosen" : ""}>
        ${each.letters && html`<${Letters} rows=${each.letters} />`}
        <span><input type="radio" name="pick" value=${k} checked=${k === chosen} onChange=${() => choose(k)}
          onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === "Enter" && chosen >= 0 && answer(chosen)} />
        <${Sentence} text=${each.text} /></span></label>`,
    )}</div>
    <p class="asked"><button type="submit" class="button primary" disabled=${chosen < 0}>Show what happens</button>
      <button type="button" class="button" onClick=${() => answer(-1)}>Skip</button></p>
  </form>`;
}

/** The letters of a kernel as they lie, a in the marked corner. @param {{rows: string[]}} props */
function Letters({ rows }) {
  const first = [...rows.join("")].sort()[0];
  return html`<span class="letter-grid" aria-hidden="true" style="--columns:${rows[0].length}">${rows.flatMap(
    (line, r) =>
      [...line].map((letter, c) => {
        const corner = letter === first ? `ear ${r ? "low" : "high"} ${c ? "right" : "left"}` : "";
        return html`<i class="tone-${(letter.charCodeAt(0) - 97) % 9} ${corner}">${letter}</i>`;
      }),
  )}</span>`;
}

/** The sentence of the phase that is looked at. @param {{code: string|null}} props */
function Formula({ code }) {
  const phase = store.phase.value;
  return html`<div class="formula">
    ${
      phase &&
      store.position.value &&
      html`<${Equation} key=${phase.place} mathml=${phase.equation.mathml} text=${phase.equation.text}
        place=${phase.place} />`
    }
    ${code && html`<pre tabIndex=${0} aria-label="the same in NumPy">${code}</pre>`}</div>`;
}

/**
 * Whether the learner did what a step asks for: noticed as it happens, and kept.
 * @param {any} task @param {string} key
 */
function useTask(task, key) {
  const within = (/** @type {string|null} */ wanted, /** @type {string|null|undefined} */ place) =>
    wanted !== null && place !== null && place !== undefined && (place === wanted || place.startsWith(`${wanted}/`));
  const place = store.place.value;
  const phase = store.phase.value;
  const begun = (store.position.value?.cell ?? -1) >= 0;
  const now =
    task !== null &&
    (within(task.opened, place) ||
      (task.reached !== null && phase?.place === task.reached && begun) ||
      store.edits.value.some(edit => within(task.edited, edit.place)));
  useEffect(() => {
    if (!now || guessed(key) === 1) return;
    guess(key, 1);
    store.say("Done.");
  }, [now, key]);
}

/** Something to do, and whether it was done. @param {{task: any, done: boolean}} props */
const Task = ({ task, done }) => html`<p class="task ${done ? "done" : ""}">
  ${done ? html`<${Tick} right=${true} />` : html`<i class="open-ring"></i>`}
  <span><${Sentence} text=${task.text} />${done && html`<span class="spoken"> Done.</span>`}</span></p>`;
