/** An exercise: numbers of one's own, an answer in the form that it asks for, and a verdict that knows the mistake. */

import { useEffect, useRef, useState } from "preact/hooks";

import { html } from "../html.js";
import { Tick } from "../icons.js";
import { written } from "../../core/sentence.js";
import { entriesOf } from "../../core/term_rows.js";
import * as net from "../../net/requests.js";
import { breakpoint, say } from "../../state/store.js";
import { plain } from "../step/symbol.js";
import { Plane, planesOf, Scalars } from "./grids.js";
import { answered, family as familyOf, note } from "./progress.js";

/** Terms that are given, from none to all: whoever takes them has had help. */
const GIVEN = /** @type {const} */ (["none", "middle", "last", "all"]);

/** @typedef {{right: boolean|null, mistake: any, said: any, cells?: number[][]}} Told */

/**
 * @param {{family: string, head: any, pager: any, bar: any}} props
 */
export function Exercise({ family, head, pager, bar }) {
  const [seed, draw] = useState(() => familyOf(family).seed);
  const [given, give] = useState(0);
  const [item, set] = useState(/** @type {any} */ (null));
  const [failed, fail] = useState("");
  useEffect(() => {
    let gone = false;
    net.exercise(family, seed, GIVEN[given]).then(
      found => !gone && set(found),
      error => !gone && fail(error.message),
    );
    return () => {
      gone = true;
    };
  }, [family, seed, given]);
  const other = () => {
    note(family, { seed: seed + 1 });
    give(0);
    draw(seed + 1);
  };
  if (!item)
    return html`<main class="explore bench" aria-busy=${!failed} aria-label="Exercise"><p
      class="aside">${failed}</p></main>
      <section class="card lesson" aria-label="Exercise"><div class="lesson-body">${head}</div>${pager}</section>`;
  return html`<${Posed} key=${`${family} ${item.seed}`} family=${family} item=${item} other=${other} given=${given}
    more=${() => give((given + 1) % GIVEN.length)} head=${head} pager=${pager} bar=${bar} />`;
}

/** An answer before anything is written. @param {any} item @returns {any} */
function blank(item) {
  if (item.kind === "grid")
    return Array.from({ length: item.shape.at(-2) }, () => Array.from({ length: item.shape.at(-1) }, () => ""));
  if (item.kind === "order") return item.choices.map((/** @type {any} */ each) => each.name);
  return item.kind === "cell" ? null : "";
}

/** @param {any} item @param {any} value */
const whole = (item, value) =>
  item.kind === "grid"
    ? value.flat().every((/** @type {string} */ text) => text.trim() !== "")
    : value !== null && String(value).trim() !== "";

/**
 * @param {{family: string, item: any, other: () => void, given: number, more: () => void, head: any, pager: any,
 *   bar: any}} props
 */
function Posed({ family, item, other, given, more, head, pager, bar }) {
  const [value, write] = useState(() => blank(item));
  const [told, tell] = useState(/** @type {Told|null} */ (null));
  const [problem, object] = useState("");
  const [hints, hint] = useState(/** @type {{text: string, places: string[]}[]} */ ([]));
  const [solution, solve] = useState(/** @type {any} */ (null));
  const [names, name] = useState(/** @type {Map<string, string>} */ (new Map()));
  const first = useRef(true);
  useEffect(() => {
    net.mistakes().then(name, () => {});
    say(item.question);
  }, []);
  const helped = hints.length >= item.hints || given > 0 || solution !== null;
  const check = async () => {
    if (!whole(item, value))
      return object(item.kind === "grid" ? "Some cells are empty still." : "Nothing is answered yet.");
    try {
      const verdict = await net.answer(family, { seed: item.seed, answer: value });
      object("");
      tell({ ...verdict, said: value });
      if (first.current) answered(family, verdict.right, helped);
      first.current = false;
    } catch (error) {
      object(error instanceof net.Refused ? error.message : String(error));
    }
  };
  const next = async () => {
    const { hint: told } = await net.answer(family, { seed: item.seed, hint: hints.length + 1 });
    hint([...hints, told]);
    say(told.text);
  };
  const reveal = async () => {
    solve(await net.answer(family, { seed: item.seed, reveal: true }));
    if (first.current) answered(family, false, true);
    first.current = false;
  };
  const words = `${hints.length ? "Next hint" : "A hint"}, ${hints.length + 1} of ${item.hints}`;
  const lit = new Set(hints.flatMap(({ places }) => places));
  const retraced = told?.mistake?.explanation ?? solution?.explanation ?? null;
  const narrow = breakpoint.value === "narrow";
  /** @param {KeyboardEvent} event */
  const onKeyDown = event => {
    if (/** @type {HTMLElement} */ (event.target).closest("input")) return;
    if (event.key === "h" && hints.length < item.hints) void next();
    if (event.key === "n") other();
  };
  return html`<main class="explore bench"><h1 class="spoken">Exercise: ${item.title}</h1>
      <section class="exercise" aria-label="What is given">
        <header class="step-head"><h2 class="sentence">${item.title}</h2><span
          class="where">${settingsOf(item)}</span></header>
        <${Given} item=${item} value=${value} write=${write} check=${check} lit=${lit} cells=${told?.cells} />
        ${item.terms && html`<${Worked} terms=${item.terms} />`}
        ${
          retraced &&
          html`<${Retrace} told=${retraced} title=${
            told?.mistake ? html`How your <b>${shown(told.said)}</b> comes about` : "How it comes about"
          } />`
        }
      </section></main>
    <section class="card lesson" aria-label="Exercise" onKeyDown=${onKeyDown}>
      <div class="lesson-body">${head}
        <p class="sentence">${item.question}</p>
        <form class="answer" onSubmit=${(/** @type {Event} */ event) => {
          event.preventDefault();
          void check();
        }}>
          <${Field} item=${item} value=${value} write=${write} />
          <p class="asked"><button type="submit" class="button primary">${
            told && !told.right ? "Check again" : "Check"
          }</button>
          ${
            item.kind === "grid" &&
            html`<button type="button" class="button" onClick=${() =>
              write(value.map((/** @type {string[]} */ row) => row.map(text => text.trim() || "0")))}>Fill the rest
              with 0</button>`
          }</p>
        </form>
        <div role="status">${problem && html`<p class="objection">${problem}</p>`}
          ${
            told &&
            !problem &&
            html`<${Verdict} told=${told} family=${family} names=${names}
            kind=${item.kind} />`
          }</div>
        <ol class="hints">${hints.map(({ text }, k) => html`<li key=${k}><b>${k + 1}</b> <span>${text}</span></li>`)}
          ${
            hints.length < item.hints &&
            !told?.right &&
            html`<li><b>${hints.length + 1}</b> <button type="button" class="link"
              onClick=${next}>${words}</button></li>`
          }</ol>
        ${
          solution &&
          html`<p class="solution"><b>The answer is ${shown(solution.value)}.</b> ${solution.solution ?? ""}</p>`
        }
        <p class="more"><button type="button" class="link" onClick=${other}>Other numbers</button>
          ${
            item.given.place &&
            !told?.right &&
            html` · <button type="button" class="link" onClick=${more}>${
              ["With the terms", "Another one missing", "All terms", "Without terms"][given]
            }</button>`
          }
          ${
            hints.length >= item.hints &&
            !solution &&
            !told?.right &&
            html` · <button type="button" class="link" onClick=${reveal}>Show the answer</button>`
          }</p>
      </div>${pager}</section>
    ${!narrow && bar}`;
}

/** @param {any} value @returns {string} */
function shown(value) {
  if (Array.isArray(value))
    return value.map(row => (Array.isArray(row) ? row.map(each => shown(each)).join(" ") : shown(row))).join(" / ");
  return typeof value === "number" ? written(value) : String(value).replace(/^-/, "\u2212");
}

/** @param {any} item */
const settingsOf = ({ given: { settings } }) =>
  Object.entries(settings)
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${Array.isArray(value) ? value.join(" × ") : String(value)}`)
    .join(", ");

/**
 * @param {{item: any, value: any, write: (to: any) => void, check: () => void, lit: Set<string>, cells?: number[][]}}
 *   props
 */
function Given({ item, value, write, check, lit, cells }) {
  const planes = planesOf(item.given.tensors);
  const place = item.given.place ?? "";
  const asked = item.kind === "number" && item.shape?.length === 2 && place;
  const [row, column] = place
    .slice(place.lastIndexOf("/") + 1)
    .split(",")
    .map(Number)
    .slice(-2);
  return html`<div class="given">
    ${
      item.kind === "grid" &&
      html`<${Answer} item=${item} value=${value} write=${write} check=${check} cells=${cells} />`
    }
    ${item.kind === "order" && html`<${Order} item=${item} value=${value} write=${write} />`}
    ${
      asked &&
      html`<${Plane} caption=${plain(place.split("/")[0])} more=${`row ${row}, column ${column}`} rows=${Array.from(
        { length: item.shape[0] },
        () => Array.from({ length: item.shape[1] }, () => null),
      )} kind="gradient" asked=${[row, column]} />`
    }
    ${planes.map(plane => {
      const chosen = item.kind === "cell" && plane.name === "x";
      return html`<${Plane} key=${plane.key} ...${plane} lit=${lit} choose=${chosen ? write : null}
        chosen=${chosen ? value : null} />`;
    })}
    <${Scalars} tensors=${item.given.tensors} lit=${lit} /></div>`;
}

/**
 * A grid to fill: arrows move, what is written takes its colour at once.
 * @param {{item: any, value: string[][], write: (to: any) => void, check: () => void, cells?: number[][]}} props
 */
function Answer({ item, value, write, check, cells }) {
  const box = useRef(/** @type {HTMLElement|null} */ (null));
  const [rows, columns] = [value.length, value[0].length];
  const set = (/** @type {number} */ r, /** @type {number} */ c, /** @type {string} */ text) =>
    write(value.map((line, k) => (k === r ? line.map((old, j) => (j === c ? text : old)) : line)));
  /** @param {KeyboardEvent} event @param {number} r @param {number} c */
  const onKeyDown = (event, r, c) => {
    const field = /** @type {HTMLInputElement} */ (event.target);
    const [atStart, atEnd] = [field.selectionStart === 0, field.selectionEnd === field.value.length];
    const to = {
      ArrowUp: [r - 1, c],
      ArrowDown: [r + 1, c],
      ...(atStart ? { ArrowLeft: [r, c - 1] } : {}),
      ...(atEnd ? { ArrowRight: [r, c + 1] } : {}),
    }[event.key];
    if (event.key === "Enter") {
      event.preventDefault();
      check();
    }
    if (!to || to[0] < 0 || to[1] < 0 || to[0] >= rows || to[1] >= columns) return;
    event.preventDefault();
    const next = box.current?.querySelectorAll("input")[to[0] * columns + to[1]];
    next?.focus();
    next?.select();
  };
  const name = item.given.place?.split("/")[0] ?? (item.given.op ? "dx" : "w");
  return html`<div ref=${box}><${Plane} caption=${plain(name)} more="yours to fill"
    rows=${value.map(line => line.map(numberOf))} kind=${name[0] === "d" ? "gradient" : "weight"} cells=${cells}
    field=${(/** @type {number} */ r, /** @type {number} */ c) => html`<input inputmode="decimal" autocomplete="off"
      value=${value[r][c]} size="4" aria-label=${`row ${r}, column ${c}, of your answer`}
      onInput=${(/** @type {any} */ event) => set(r, c, event.currentTarget.value)}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => onKeyDown(event, r, c)} />`} /></div>`;
}

/** What is written so far, as a number to colour it by. @param {string} text */
function numberOf(text) {
  const plainText = text
    .trim()
    .replace(/[\u2212–]/, "-")
    .replace(",", ".");
  const [above, below] = plainText.split("/").map(Number);
  const value = below === undefined ? above : above / below;
  return plainText && Number.isFinite(value) ? value : null;
}

/** The answer's own form. @param {{item: any, value: any, write: (to: any) => void}} props */
function Field({ item, value, write }) {
  if (item.kind === "number")
    return html`<label class="number-field"><span class="spoken">Your answer</span><input inputmode="text"
      autocomplete="off" value=${value} onInput=${(/** @type {any} */ event) => write(event.currentTarget.value)} />
      ${item.given.decimals !== null && html`<span class="soft">${item.given.decimals} decimals</span>`}</label>`;
  if (item.kind === "choice")
    return html`<div class="picks" role="radiogroup" aria-label="Your answer">${item.choices.map(
      (/** @type {any} */ each) => html`<label key=${each.name} class=${each.name === value ? "chosen" : ""}><span>
        <input type="radio" name="pick" checked=${each.name === value} onChange=${() => write(each.name)} />
        ${each.text}</span>${
          each.tensor && planesOf({ "": each.tensor }).map(plane => html`<${Plane} ...${plane} small=${true} />`)
        }</label>`,
    )}</div>`;
  return html`<p class="soft">${
    item.kind === "grid"
      ? "Arrows move, digits write, Enter checks."
      : item.kind === "cell" && value
        ? `Row ${value[0]}, column ${value[1]}.`
        : item.kind === "order"
          ? "Move the rows until their order is right."
          : "Choose a cell."
  }</p>`;
}

/** What is to be put in order: a row is moved with its buttons or, on it, with the arrows.
 * @param {{item: any, value: string[], write: (to: string[]) => void}} props */
function Order({ item, value, write }) {
  const box = useRef(/** @type {HTMLElement|null} */ (null));
  const text = new Map(item.choices.map((/** @type {any} */ each) => [each.name, each.text]));
  const move = (/** @type {number} */ from, /** @type {number} */ by) => {
    const to = from + by;
    if (to < 0 || to >= value.length) return;
    const then = [...value];
    [then[from], then[to]] = [then[to], then[from]];
    write(then);
    say(`${text.get(value[from])} Now number ${to + 1}.`);
    requestAnimationFrame(() =>
      /** @type {HTMLElement|undefined} */ (
        box.current?.querySelectorAll("li")[to]?.querySelector("button.handle")
      )?.focus(),
    );
  };
  return html`<ol class="order" ref=${box}>${value.map(
    (name, k) => html`<li key=${name}><button type="button" class="handle"
      aria-label=${`${k + 1}: ${text.get(name)} Arrows move it.`}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
        const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
        if (!by) return;
        event.preventDefault();
        move(k, by);
      }}><b>${k + 1}</b> ${text.get(name)}</button>
      <span><button type="button" tabIndex=${-1} aria-label="earlier" disabled=${k === 0}
        onClick=${() => move(k, -1)}>↑</button><button type="button" tabIndex=${-1} aria-label="later"
        disabled=${k === value.length - 1} onClick=${() => move(k, 1)}>↓</button></span></li>`,
  )}</ol>`;
}

/** @param {{told: any, family: string, names: Map<string, string>, kind: string}} props */
function Verdict({ told, family, names, kind }) {
  if (told.right) {
    const { solved } = familyOf(family);
    return html`<div class="verdict-of"><${Tick} right=${true} /><div><b>Right.</b>
      <p>${solved ? "This exercise is solved." : "Once more with other numbers, and it is solved."}</p></div></div>`;
  }
  const { mistake } = told;
  const what = mistake && names.get(mistake.name);
  const said = ["number", "cell"].includes(kind) ? shown(told.said) : "this";
  const right = told.cells?.flat().filter(Boolean).length;
  const of = told.cells?.flat().length;
  return html`<div class="verdict-of"><${Tick} right=${false} /><div>
    <b>Not ${said}${what ? `: ${what[0].toLowerCase()}${what.slice(1).replace(/\.$/, "")}` : "."}</b>
    ${of !== undefined && html`<p class="soft">${right} of ${of} cells are right.</p>`}
    <p>${mistake ? mistake.feedback : "Not recognised. A hint shows the first step."}</p></div></div>`;
}

/** The arithmetic that leads to a number, in columns. @param {{told: any, title: any}} props */
function Retrace({ told, title }) {
  const entries = entriesOf(told);
  const most = entries.slice(0, 12);
  return html`<div class="retrace"><h3>${title}</h3>
    <div class="products few" role="group" aria-label="products">${most.map(
      ({ factors, exact, label }, k) =>
        html`${k > 0 && html`<span class="joint">+</span>`}<span class="column">${
          factors.length
            ? factors.map(
                (factor, j) =>
                  html`<span class="line">${j > 0 && html`<i class="times">${factor.divisor ? "÷" : "×"}</i>`}${
                    factor.tensor && html`<small>${plain(factor.tensor)}</small> `
                  }${written(factor.value)}</span>`,
              )
            : html`<span class="line name">${label}</span>`
        }<span class="line sum">${written(exact)}</span></span>`,
    )}${
      entries.length > most.length &&
      html`<span class="joint">+</span><span class="column"><span
      class="line">…</span></span>`
    }<span class="joint">=</span><span class="column"><span
      class="line value">${written(told.value)}</span></span></div></div>`;
}

/** Terms that are given; what is missing is the learner's. @param {{terms: any[]}} props */
const Worked = ({ terms }) => html`<div class="retrace"><h3>The terms</h3>
  <ol class="worked">${terms.map(
    ({ reads, factors, value }, k) =>
      html`<li key=${k}>${
        factors === null
          ? html`<span class="soft">${reads.join(" × ")} = ?</span>`
          : html`${factors
              .map((/** @type {number} */ each) => (each < 0 ? `(${written(each)})` : written(each)))
              .join(" × ")} = <b>${written(value)}</b>`
      }</li>`,
  )}</ol></div>`;
