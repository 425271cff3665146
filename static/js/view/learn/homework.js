/** Homework: gradients of one's own beside the right ones; and what the public tests of six courses do not catch. */

import { useEffect, useState } from "preact/hooks";

import { html } from "../html.js";
import { Tick } from "../icons.js";
import { number } from "../../core/format.js";
import * as net from "../../net/homework.js";
import { Refused, showError } from "../../net/requests.js";
import { leaveBench, showBench } from "../../net/session.js";
import { goToPlace, learn, position, source } from "../../state/store.js";
import { Step } from "../step/step.js";

/** Tensors that are long are not shown as text. */
const SHOWN = 2000;

/** @param {any} value nested lists, or text */
const shapeOf = value => {
  const shape = [];
  for (let level = value; Array.isArray(level); level = level[0]) shape.push(level.length);
  return shape.join(" × ");
};

/** @param {string} text an object in JSON; nothing is the empty one @returns {any} */
const readSettings = text => (text.trim() ? JSON.parse(text) : {});

export function Homework() {
  const [courses, list] = useState(/** @type {any[]} */ ([]));
  const [ops, know] = useState(/** @type {any[]} */ ([]));
  const [call, take] = useState(/** @type {any} */ (null));
  const [from, come] = useState("");
  const [settings, set] = useState("{}");
  const [own, write] = useState(/** @type {Record<string, string>} */ ({}));
  const [report, tell] = useState(/** @type {any} */ (null));
  const [refused, refuse] = useState("");
  const [busy, work] = useState(false);
  useEffect(() => {
    net.operators().then(know, showError);
    net
      .courses()
      .then(all => {
        list(all);
        const [first] = all.filter(({ inputs }) => inputs.length);
        return choose(`${first.name}/${first.inputs[0]}`);
      })
      .catch(showError);
    return leaveBench;
  }, []);
  const begin = (/** @type {any} */ to, /** @type {string} */ name) => {
    take(to);
    come(name);
    set(JSON.stringify(to.settings));
    write({});
    tell(null);
    refuse("");
    leaveBench();
  };
  const choose = async (/** @type {string} */ name) => {
    if (!name) return begin({ ...call, tensors: blankOf(ops.find(each => each.name === call.op)) }, "");
    const [course, inputs] = name.split("/");
    begin(await net.inputsOf(course, inputs), name);
  };
  const ask = async (/** @type {() => Promise<any>} */ question) => {
    work(true);
    refuse("");
    tell(null);
    leaveBench();
    try {
      tell(await question());
    } catch (error) {
      if (error instanceof Refused || error instanceof SyntaxError) refuse(error.message);
      else showError(error);
    }
    work(false);
  };
  if (!call) return html`<main class="learn" aria-label="Your own gradients" aria-busy="true"></main>`;
  const wanted = Object.keys(call.tensors)
    .filter(name => name !== "dy")
    .map(name => `d${name}`);
  const given = Object.fromEntries(Object.entries(own).filter(([, text]) => text.trim()));
  const check = () =>
    ask(() =>
      net.check(call.op, {
        settings: readSettings(settings),
        tensors: Object.fromEntries(Object.entries(call.tensors).filter(([, value]) => value.length)),
        gradients: given,
        layout: call.layout,
      }),
    );
  const title = (/** @type {string} */ op) => ops.find(each => each.name === op)?.title ?? op;
  return html`<main class="learn"><div class="learn-page homework">
    <header class="learn-head"><h1>Your own gradients</h1><button type="button" class="button"
      onClick=${() => learn(null)}>All lessons</button></header>
    <p class="about">Paste what your code computes. Where it is wrong you are told what it looks like, and the first
      cell that differs is made before your eyes.</p>
    <p class="lines"><label>Inputs<br /><select value=${from} onChange=${(/** @type {any} */ event) =>
      choose(event.currentTarget.value).catch(showError)}>
        <option value="">your own</option>
        ${courses.flatMap(course =>
          course.inputs.map(
            (/** @type {string} */ inputs) => html`<option
              value=${`${course.name}/${inputs}`}>${`${course.title}: ${inputs.replaceAll("_", " ")}`}</option>`,
          ),
        )}</select></label>
      <label>Operator<br /><select value=${call.op} disabled=${from !== ""} onChange=${(/** @type {any} */ event) => {
        const op = event.currentTarget.value;
        const described = ops.find(each => each.name === op);
        begin({ op, layout: "NCHW", settings: {}, tensors: blankOf(described) }, "");
      }}>${(ops.length ? ops : [{ name: call.op, title: title(call.op) }])
        .filter(({ name, gradients }) => name === call.op || gradients.length)
        .map(each => html`<option value=${each.name}>${each.title}</option>`)}</select></label>
      <label>Layout<br /><select value=${call.layout} disabled=${from !== ""} onChange=${(/** @type {any} */ event) =>
        take({
          ...call,
          layout: event.currentTarget.value,
        })}><option>NCHW</option><option>NHWC</option></select></label>
      <label>Settings<br /><input type="text" value=${settings} disabled=${from !== ""}
        onInput=${(/** @type {any} */ event) => set(event.currentTarget.value)} /></label></p>
    <div class="boxes">${Object.entries(call.tensors).map(([name, value]) => {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      return text.length > SHOWN || from
        ? html`<p class="soft"><b>${name}</b> ${shapeOf(value)}, as the course draws it</p>`
        : html`<label>${name}<textarea rows="2" spellcheck=${false} value=${text}
            onInput=${(/** @type {any} */ event) =>
              take({ ...call, tensors: { ...call.tensors, [name]: event.currentTarget.value } })}></textarea></label>`;
    })}</div>
    <h2>What your code computes</h2>
    <p class="soft">As NumPy or PyTorch print it, or as lists. What you leave out is not checked.</p>
    <div class="boxes">${wanted.map(
      name => html`<label>${name}<textarea rows="3" spellcheck=${false} value=${own[name] ?? ""}
        onInput=${(/** @type {any} */ event) =>
          write({ ...own, [name]: event.currentTarget.value })}></textarea></label>`,
    )}</div>
    <p class="lines"><button type="button" class="button primary" disabled=${busy || !Object.keys(given).length}
      onClick=${check}>Check</button>
      <label class="button file">or all of it as one .npz<input type="file" accept=".npz" disabled=${busy}
        onChange=${(/** @type {any} */ event) => {
          const [file] = event.currentTarget.files;
          event.currentTarget.value = "";
          if (file) void ask(() => net.checkFile(call.op, file));
        }} /></label></p>
    ${refused && html`<p class="refused" role="alert">${refused}</p>`}
    ${report && html`<${Verdict} report=${report} call=${call} settings=${settings} />`}
    <${Courses} courses=${courses} />
  </div></main>`;
}

/** What an operator is given, nothing typed yet. @param {any} description */
const blankOf = ({ tensors, loss }) =>
  Object.fromEntries([...Object.keys(tensors), ...(loss ? [] : ["dy"])].map(name => [name, ""]));

/** @param {number|null} value null: NaN or infinite */
const told = value => number(value ?? Number.NaN);

/** @param {{report: any, call: any, settings: string}} props */
function Verdict({ report, call, settings }) {
  const [made, make] = useState("");
  useEffect(() => make(""), [report]);
  const judged = Object.entries(report.gradients ?? {});
  const see = async (/** @type {string} */ place) => {
    try {
      await showBench({ op: call.op, settings: readSettings(settings), tensors: report.given });
      goToPlace(`${call.op}/${place}`);
      make(place);
    } catch (error) {
      showError(error);
    }
  };
  if (!judged.length) return html`<p role="status">There is no gradient in the file to compare.</p>`;
  return html`<section class="verdicts" role="status">${judged.map(
    ([name, each]) => html`<div class="verdict-of"><p><${Tick} right=${each.agrees} /> <b>${name}</b> ${
      each.agrees ? (each.guess ?? "is right.") : (each.guess ?? "is wrong, and like no mistake that is known here.")
    }</p>
      ${
        each.first &&
        html`<p class="soft">First at ${each.first.place}: ${told(each.first.given)} in place of ${told(
          each.first.expected,
        )}.
          ${
            report.given?.x &&
            html` <button type="button" class="link" onClick=${() => see(each.first.place)}>See it made</button>`
          }</p>`
      }</div>`,
  )}
    ${made && source.value?.kind === "bench" && position.value && html`<div class="made"><${Step} /></div>`}
  </section>`;
}

/** @param {{courses: any[]}} props */
const Courses = ({ courses }) =>
  courses.length > 0 &&
  html`<section><h2>What the public tests of six courses do not catch</h2>
    <p class="about">A test that passes is not a gradient that is right. ${courses[0].tried ?? 24} wrong convolution
      gradients were tried on each.</p>
    <dl class="courses">${courses.map(
      each =>
        html`<dt>${each.title}</dt><dd><p>${each.asks}. Checked by: ${each.checks}.${
          each.accepted === null ? "" : html` It took <b>${each.accepted} of ${each.tried}</b> wrong ones for right.`
        }</p><p class="soft">${each.lets_through}</p></dd>`,
    )}</dl></section>`;
