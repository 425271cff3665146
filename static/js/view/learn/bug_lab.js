/** The bug lab: the same network trained right and with a slip in its backward pass, side by side. */

import { useEffect, useRef, useState } from "preact/hooks";

import { html } from "../html.js";
import { count, number, percent } from "../../core/format.js";
import * as net from "../../net/requests.js";
import { firstDifference, trainBeside } from "../../net/lab.js";
import { deleteRun } from "../../net/session.js";
import { learn, say } from "../../state/store.js";
import { Question } from "./player.js";

const STEPS = 150;
const EVERY = 1500;
/** Of the highest loss that is drawn; what lies above is cut off. */
const TOP = 3;

/** What may come of it, as shares of right answers say it. */
const OUTCOMES = /** @type {const} */ (["as well as without it", "clearly worse", "it learns nothing"]);

/** @param {number} wrong @param {number} right shares of right answers @returns {number} which of the outcomes */
const outcome = (wrong, right) => (wrong < 0.2 ? 2 : right - wrong > 0.05 ? 1 : 0);

/** The sentences that a slip edits, of what the run has alone. @param {any} slip @param {any} run @returns {any[]} */
function spokenFor({ sentences }, run) {
  const { layers = [], loss } = run?.network ?? {};
  const there = [...layers.map((/** @type {any} */ { op }) => op), loss?.op, run?.optimizer?.name];
  const own = sentences.filter((/** @type {any} */ { op }) => there.includes(op));
  return (own.length ? own : sentences).slice(0, 2);
}

export function BugLab() {
  const [slips, list] = useState(/** @type {any[]} */ ([]));
  const [mistakes, name] = useState(/** @type {Map<string, string>} */ (new Map()));
  const [chosen, choose] = useState("");
  const [guess, say_] = useState(/** @type {number|null} */ (null));
  const [runs, run] = useState(/** @type {import("../../net/lab.js").Pair|null} */ (null));
  useEffect(() => {
    net.slips().then(all => {
      list(all);
      choose(all[0]?.name ?? "");
    }, net.showError);
    net.mistakes().then(name, () => {});
  }, []);
  // Nobody comes back to these runs: they go with the page, or with the next slip.
  useEffect(
    () => () => void [runs?.right, runs?.wrong].forEach(each => each && deleteRun(each.id).catch(() => {})),
    [runs],
  );
  const slip = slips.find(each => each.name === chosen);
  const begin = async () => {
    try {
      run(await trainBeside(/** @type {any} */ (slip), STEPS));
    } catch (error) {
      net.showError(error);
    }
  };
  if (!slip) return html`<main class="learn" aria-label="Bug lab" aria-busy="true"></main>`;
  return html`<main class="learn"><div class="learn-page bug-lab">
    <header class="learn-head"><h1>Bug lab</h1><button type="button" class="button"
      onClick=${() => learn(null)}>All lessons</button></header>
    <p class="about">A falling loss does not mean that a gradient is right. Choose a slip of the backward pass, say what
      comes of it, and train the same network from the same seed with it and without.</p>
    <p class="chosen-slip"><label>The slip<br /><select value=${chosen} onChange=${(/** @type {any} */ event) => {
      choose(event.currentTarget.value);
      say_(null);
      run(null);
    }}>${slips.map(each => html`<option value=${each.name}>${each.title}</option>`)}</select></label></p>
    <p class="soft">${mistakes.get(slip.mistake) ?? ""}</p>
    ${
      guess === null
        ? html`<${Question} key=${chosen} ask=${{
            text: "How well will the network tell digits after training with it?",
            choices: OUTCOMES.map(text => ({ text })),
          }} answer=${(/** @type {number} */ k) => {
            say_(k);
            void begin();
          }} />`
        : html`<p>You said: <b>${guess < 0 ? "nothing" : OUTCOMES[guess]}</b>.</p>
          ${spokenFor(slip, runs?.right).map(
            (/** @type {any} */ { before, after }) => html`<p class="soft">right: <code>${before}</code><br />
              with the slip: <code>${after}</code></p>`,
          )}
          ${runs && html`<${Beside} key=${runs.wrong.id} runs=${runs} slip=${slip} />`}
          ${
            slip.measured &&
            html`<p>Measured once, after ${count(slip.measured.steps)} steps of ${slip.measured.network}: ${percent(
              slip.measured.accuracy,
            )} right with it, ${percent(slip.measured.right)} without: <b>${
              OUTCOMES[outcome(slip.measured.accuracy, slip.measured.right)]
            }</b>.</p>`
          }`
    }
  </div></main>`;
}

/**
 * Both losses as they fall, and where the gradients part first.
 * @param {{runs: import("../../net/lab.js").Pair, slip: any}} props
 */
function Beside({ runs, slip }) {
  const [curves, draw] = useState(/** @type {{right: any, wrong: any}|null} */ (null));
  const [parting, part] = useState(/** @type {string|null} */ (null));
  const found = useRef(false);
  useEffect(() => {
    let gone = false;
    const look = async () => {
      const [right, wrong] = await Promise.all([runs.right, runs.wrong].map(({ id }) => net.metrics(id, 0, 300)));
      if (gone) return;
      draw({ right, wrong });
      const [least] = [right, wrong].map(({ step }) => step.at(-1) ?? 0).sort((a, b) => a - b);
      if (least >= 1 && !found.current) {
        found.current = true;
        const there = await firstDifference(runs, slip.tensors);
        const [a, b] = there ? [number(there.right), number(there.wrong)] : [];
        if (!gone && there) part(`In step 1 they part at ${there.place}: ${a} without the slip, ${b} with it.`);
      }
      if (least >= STEPS) clearInterval(timer);
    };
    const timer = setInterval(() => void look().catch(() => {}), EVERY);
    void look().catch(() => {});
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, []);
  useEffect(() => {
    if (parting) say(parting);
  }, [parting]);
  const last = (/** @type {any} */ run) => run?.loss?.at(-1);
  const [a, b] = [last(curves?.right), last(curves?.wrong)];
  return html`<figure aria-label=${`Loss without the slip ${a === undefined ? "not yet" : number(a)}, with it ${
    b === undefined ? "not yet" : number(b)
  }`}><svg class="two-runs" viewBox="0 0 720 260" role="img" aria-hidden="true">
      <line class="axis" x1="30" y1="240" x2="600" y2="240" /><line class="axis" x1="30" y1="10" x2="30" y2="240" />
      <text x="0" y="16">${TOP}</text><text x="8" y="244">0</text><text x="560" y="257">step ${STEPS}</text>
      <polyline class="right-line" points=${points(curves?.right)} />
      <polyline class="wrong-line" points=${points(curves?.wrong)} />
      ${a !== undefined && html`<text x="606" y=${yOf(a) + 4 - (a < (b ?? 0) ? -8 : 8)}>right ${number(a)}</text>`}
      ${b !== undefined && html`<text x="606" y=${yOf(b) + 4 + (a < b ? -8 : 8)}>slip ${number(b)}</text>`}
    </svg><figcaption class="soft">The loss of each minibatch without the slip, and dashed with it.</figcaption>
    </figure>
    ${
      parting &&
      html`<p role="status">${parting} The numeric check of the first step finds it at once; the loss may
      not.</p>`
    }`;
}

/** @param {number} loss */
const yOf = loss => 240 - (230 * Math.min(TOP, loss)) / TOP;

/** @param {{step: number[], loss: number[]}|undefined} run */
const points = run =>
  (run?.step ?? []).map((step, k) => `${30 + (570 * step) / STEPS},${yOf(run?.loss[k] ?? 0)}`).join(" ");
