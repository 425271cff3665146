/** All lessons, laid along the way of the numbers: to the loss, and back. */

import { html } from "../html.js";
import { Tick } from "../icons.js";
import { css, ink } from "../../core/colour.js";
import { written } from "../../core/sentence.js";
import { learn, scheme } from "../../state/store.js";
import { forgetAll, progress, save, standOf } from "./progress.js";

/** @param {{listing: {lessons: any[], problems: {file: string, detail: string}[]}, known: Set<string>}} props */
export function Index({ listing, known }) {
  const lessons = listing.lessons.map(each => ({
    ...each,
    exercises: each.exercises.filter((/** @type {string} */ family) => known.has(family)),
  }));
  const stands = new Map(lessons.map(each => [each.name, standOf(each)]));
  const stand = (/** @type {any} */ each) => /** @type {ReturnType<typeof standOf>} */ (stands.get(each.name));
  const done = lessons.filter(each => stand(each).done).length;
  const open = lessons.filter(each => !stand(each).done);
  const next =
    open.find(({ name }) => name === progress.value.last) ??
    open.find(each => stand(each).begun) ??
    open[0] ??
    lessons[0];
  const minutes = lessons.reduce((sum, each) => sum + each.minutes, 0);
  const of = (/** @type {string} */ part) => lessons.filter(each => each.part === part);
  const card = (/** @type {any} */ each) =>
    html`<${LessonCard} key=${each.name} lesson=${each} stand=${stand(each)} now=${each === next} />`;
  return html`<main class="learn">
    <header class="learn-head"><h1>Learn it as the numbers go: to the loss, and back</h1>
      <p class="soft">${done} of ${lessons.length} done</p>
      ${
        next &&
        html`<button type="button" class="button primary" onClick=${() => resume(next)}>${
          stand(next).begun ? `Go on with ${next.number}` : `Begin with ${next.number}`
        } ›</button>`
      }</header>
    <div class="racetrack">
      <ol class="way out" aria-label="Forward">${of("forward").map(card)}</ol>
      <ol class="way turn" aria-label="At the loss">${of("loss").map(card)}</ol>
      <p class="direction act" aria-hidden="true">forward <span>→</span></p>
      <p class="direction grad" aria-hidden="true"><span>←</span> backward</p>
      <ol class="way back" start=${of("forward").length + of("loss").length + 1} aria-label="Backward">${of(
        "backward",
      ).map(card)}</ol>
    </div>
    ${listing.problems.map(
      ({ file, detail }) => html`<p class="problem-line" role="note"><b>${file}</b> cannot be played: ${detail}</p>`,
    )}
    <nav class="learn-pages" aria-label="More to learn">
      <${Page} to="bug-lab" title="Bug lab" words="Train with a slip in the backward pass. Does the loss tell?" />
      <${Page} to="homework" title="Your own gradients" words="Paste what your code computes; wrong is named." />
      <${Page} to="inventory" title="Concept inventory" words="Fourteen questions, before and after." />
    </nav>
    <footer class="learn-foot"><p class="soft">About ${Math.round(minutes / 30) / 2} hours in all, in any order. Your
      progress stays in this browser.</p>
      <p><button type="button" class="link" onClick=${() => save("convscope-progress.json", progress.value)}>Take it
        along</button> · <button type="button" class="link" onClick=${() =>
          confirm("Forget all steps, guesses and exercises?") && forgetAll()}>Forget it</button></p></footer>
  </main>`;
}

/** @param {{to: string, title: string, words: string}} props */
const Page = ({ to, title, words }) =>
  html`<a href=${`#view=learn&part=${to}`} onClick=${(/** @type {MouseEvent} */ event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    learn(to);
  }}><b>${title}</b> <span class="soft">${words}</span></a>`;

/** At the first step that was not read. @param {any} lesson */
function resume(lesson) {
  const read = progress.value.steps[lesson.name] ?? [];
  const step = lesson.steps.find((/** @type {string} */ name) => !read.includes(name));
  const exercise = lesson.exercises.find(open);
  learn(lesson.name, step ?? (exercise ? `exercise-${exercise}` : null));
}

/** @param {string} family */
const open = family => !progress.value.families[family]?.solved;

/** @param {{lesson: any, stand: ReturnType<typeof standOf>, now: boolean}} props */
function LessonCard({ lesson, stand, now }) {
  return html`<li class="lesson-of ${lesson.part} ${stand.done ? "done" : ""} ${now ? "now" : ""}">
    <a href=${`#view=learn&part=${lesson.name}`} onClick=${(/** @type {MouseEvent} */ event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      resume(lesson);
    }}>
      <${Picture} parts=${lesson.picture} />
      <h2><b>${lesson.number}</b> <span>${lesson.title}</span></h2>
      <p class="soft">${lesson.question}</p>
      <p class="status"><span class="soft">${lesson.minutes} min</span><span
        class=${stand.begun ? "begun" : "soft"}>${
          stand.done && html`<${Tick} right=${true} />`
        } ${stand.words}</span></p></a>
    <i class="station" aria-hidden="true"></i></li>`;
}

/** @param {{parts: any[]}} props */
function Picture({ parts }) {
  const theme = scheme.value;
  const across = parts.reduce((sum, { grid }) => sum + (grid ? grid[0].length : 0), 0);
  const room = parts.reduce((sum, { sign }) => sum + 8 + (sign ? 10 * sign.length : 0), 0);
  return html`<div class="picture" aria-hidden="true">${parts.map(part => {
    if (!part.grid) return html`<span class="sign-of">${part.sign}</span>`;
    const rows = part.grid.length;
    const columns = part.grid[0].length;
    const side = Math.min(36, Math.floor(76 / rows), Math.floor((150 - room) / across));
    const most = Math.max(...part.grid.flat().map(Math.abs), 1e-9);
    return html`<span class="mini" style="grid-template-columns:repeat(${columns},${side / 16}rem);--side:${
      side / 16
    }rem">${part.grid
      .flat()
      .map(
        (/** @type {number} */ value) =>
          html`<i style="background:${css(part.kind, value, most, theme)};color:${ink(
            part.kind,
            value,
            most,
            theme,
          )}">${side >= 22 && written(value).length * 8 < side ? written(value) : ""}</i>`,
      )}</span>`;
  })}</div>`;
}
