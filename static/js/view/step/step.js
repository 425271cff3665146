/** The step view: one phase, cell by cell. Head, the figure its sentence asks for, and the terms written out. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import { html } from "../html.js";
import { fetchTerms } from "./fetch_terms.js";
import { candidatesOf, counted, exactSum, largestEntries, subtotal, windowEntries } from "../../core/term_rows.js";
import { planeLetters, strongest, strongestAt, termsOf, windowOf } from "../../core/figure.js";
import { alone } from "../../core/format.js";
import { at, parse, sizeOf } from "../../core/place.js";
import { indexAt, lettersAt, nextCell } from "../../core/timeline.js";
import { positionOn } from "../../core/windows.js";
import { book } from "../../core/printed.js";
import {
  cellPlace,
  figure as figureNow,
  heldChannel,
  lit,
  rotationStrip,
  tell,
  told,
  waiting,
  walkTo,
  way,
  ways,
} from "./step_state.js";
import {
  atStep,
  cellTime,
  focusChannel,
  focusOn,
  goTo,
  hover,
  infoOf,
  isKnown,
  live,
  lossAfter,
  nameOf,
  phase as phaseNow,
  playing,
  position,
  viewport,
  run,
  say,
  timeline,
  setHover,
  breakpoint,
  source,
  step,
  tensorOf,
  numberAt,
  whereabouts,
} from "../../state/store.js";
import { Candidates, Products } from "./products.js";
import { Cells } from "./figures/cells.js";
import { Pool, Route, routeOf } from "./figures/pool.js";
import { Product } from "./figures/product.js";
import { Slide } from "./figures/slide.js";
import { Ladder, Terms } from "./figures/terms.js";
import { figureSizes } from "./figures/parts.js";
import { lazy } from "../shell/lazy.js";
import { WaySwitch, agree, totalsNow } from "./ways.js";
import { TensorSymbol } from "./symbol.js";
import { axisWord, factorName, termName, termText, valueText } from "./labels.js";

const FIGURES = {
  slide: Slide,
  product: Product,
  pool: Pool,
  route: Route,
  cells: Cells,
  ladder: Ladder,
  terms: Terms,
};
/** What takes the place of a figure whose sum is looked at in another way. */
const OTHERWISE = {
  slide: lazy(() => import("./figures/turn.js"), "Turn"),
  product: lazy(() => import("./figures/turn.js"), "Stamps"),
};
const PARTS = {
  forward: { arrow: "→", words: "Forward", colour: "act" },
  loss: { arrow: "→", words: "Loss", colour: "" },
  backward: { arrow: "←", words: "Backward", colour: "grad" },
  update: { arrow: "→", words: "Update", colour: "wt" },
};

export function Step() {
  const phase = phaseNow.value;
  const figure = figureNow.value;
  if (!phase || !figure) return html`<section class="step" aria-label="Step view"></section>`;
  return html`<${Stepping} phase=${phase} figure=${figure} />`;
}

/** @param {{phase: Phase, figure: Figure}} props */
function Stepping({ phase, figure }) {
  useFocus(phase, figure);
  useTelling(phase, figure);
  const Drawn =
    way.value !== "gather" && (figure.kind === "slide" || figure.kind === "product")
      ? OTHERWISE[figure.kind]
      : FIGURES[figure.kind];
  const there = tensorOf(phase.place) !== undefined;
  const section = useRef(/** @type {HTMLElement|null} */ (null));
  const high = useTall(section);
  const tall = high && way.value !== "all";
  /** @param {KeyboardEvent} event */
  const onKeyDown = event => {
    const by = { PageUp: -1, PageDown: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const focus = "focus" in figure ? figure.focus : null;
    if (focus) {
      chosen = phase.place;
      focusOn((focusChannel.value + by + phase.bound[focus]) % phase.bound[focus]);
    } else if (phase.shape.length >= 3) {
      const cells = sizeOf(phase.shape.slice(-2));
      const to = (position.value?.cell ?? 0) + by * cells;
      if (position.value && to >= 0 && to < sizeOf(phase.shape)) goTo({ phase: position.value.phase, cell: to });
    }
  };
  return html`<section class="step ${phase.part} ${tall ? "tall" : ""} ${
    ways.value.length > 1 ? `looked-at ${way.value}` : ""
  }" aria-label="Step view" ref=${section}
    onKeyDown=${onKeyDown}>
    <${Head} phase=${phase} figure=${figure} />
    <div class="figures">${
      there
        ? html`<${Drawn} key=${phase.place} phase=${phase} figure=${figure} />`
        : html`<p class="aside">The numbers are on their way.</p>`
    }</div>
    ${
      !rotationStrip.value &&
      html`<${Foot} phase=${phase} figure=${figure}
      listed=${tall || breakpoint.value === "narrow"} />`
    }
  </section>`;
}

/** Terms that are shown one by one in a list; the height in design pixels with which a step view has room for it. */
const LISTED = 9;
const TALL = 526;

/**
 * Whether a window is so tall that it would be empty below the figure: there the terms are a list.
 * @param {{current: HTMLElement|null}} section
 */
function useTall(section) {
  const [tall, setTall] = useState(false);
  useLayoutEffect(() => {
    const watch = new ResizeObserver(([{ target }]) => setTall(target.clientHeight >= TALL * viewport.peek().scale));
    watch.observe(/** @type {HTMLElement} */ (section.current));
    return () => watch.disconnect();
  }, []);
  return breakpoint.value !== "narrow" && tall;
}

/** @param {{phase: Phase, figure: Figure}} props */
function Head({ phase, figure }) {
  const part = PARTS[phase.part];
  const back = part.arrow === "←";
  const cell = position.value?.cell ?? -1;
  const focused = "focus" in figure && figure.focus !== null;
  const index = indexAt(phase, cell);
  const spot = cell < 0 ? "" : whereabouts(at(phase.place, index));
  const where =
    cell < 0
      ? `${counted(sizeOf(phase.shape), "number")} to write`
      : focused
        ? figureSizes().inner < 880
          ? ""
          : `row ${index.at(-2)}, column ${index.at(-1)}`
        : spot;
  const whole = told.value?.place === cellPlace.value ? told.value?.whole : undefined;
  const images =
    whole?.groups?.length && axisWord(phase, whole.groups[0].letter) === "image"
      ? Math.round(whole.terms_total / termsOf(phase))
      : 1;
  const sample = source.value?.kind === "step" ? source.value.sample : -1;
  const share = whole?.groups?.find(group => axisWord(phase, group.letter) === "image" && group.at === sample)?.value;
  const batch =
    phase.part === "backward" && images > 2
      ? share === undefined
        ? `sum over ${images} images`
        : `${images} images, this one ${alone(share)}`
      : "";
  const narrow = breakpoint.value === "narrow";
  const on = hover.value && "place" in hover.value ? hover.value.place : null;
  const pointed = on ? numberAt(on) : undefined;
  const trial = phase.part === "update" && source.value?.kind === "pass";
  return html`<header class="step-head">
    <span class="part-name ${part.colour}"><svg viewBox="0 0 28 12" aria-hidden="true" class=${back ? "back" : ""}><path
      d="M1 6h25M20 1l6 5-6 5" /></svg>${trial ? "What if" : part.words}</span>
    <h2 class="sentence">${phase.layer}${
      narrow ? html`, ${spot || phase.label}` : html`: ${trial ? "it learned from this image alone" : headOf(phase)}`
    }</h2>
    <span class="where">${
      on && pointed !== undefined && isKnown(on)
        ? html`<span class="pointed">${shortPlace(on)} <b>${valueText(on, pointed)}</b></span>`
        : waiting.value
          ? html`<span class="pointed">Turned. <b>Play</b>, and it slides.</span>`
          : html`${phase.part === "update" && !narrow && html`<${Loop} />`}<span
            class="spot">${batch || (narrow || trial || ways.value.length > 1 ? "" : where)}</span>
            <${Channel} phase=${phase} figure=${figure} back=${back} />`
    }</span>
    <${WaySwitch} />
  </header>`;
}

/** What happens in a phase; where its sum is looked at in several ways, what is looked at. @param {Phase} phase */
function headOf({ head }) {
  if (ways.value.length < 2) return head;
  const short = head.split(". ")[0].replace(/\.$/, "");
  return way.value === "all" ? `${short}, three ways` : short;
}

/** The loop closes: the loss before the update, the loss after it, and the step that follows. */
function Loop() {
  const before = numberAt("loss/y");
  const after = lossAfter.value;
  const what = source.value;
  const last = run.value?.history?.last ?? 0;
  if (what?.kind === "step")
    return what.step < last
      ? html`<span class="loop"><button class="link"
        onClick=${() => atStep(what.step + 1)}>next step</button> · </span>`
      : null;
  if (before === undefined || after === null || what?.kind === "bench") return null;
  return html`<span class="loop"
    title="Nothing is learned from a test image: this is what one update would do to its loss"
    >loss <b>${alone(before)}</b>, after the update <b>${alone(after)}</b></span>`;
}

/** A place without the batch axis where there is only one image. @param {string} place */
const shortPlace = place => {
  const { layer, tensor, index } = parse(place);
  const info = infoOf(place);
  return `${layer}/${tensor}${
    index.length
      ? `/${(info && index.length > 1 && info.shape[0] === 1 && info.kind !== "weight" ? index.slice(1) : index).join(
          ",",
        )}`
      : ""
  }`;
};

/** Which of the summed maps is shown: a small stepper. @param {{phase: Phase, figure: Figure, back: boolean}} props */
function Channel({ phase, figure, back }) {
  const focus = "focus" in figure ? figure.focus : null;
  if (!focus) return null;
  const count = phase.bound[focus];
  const channel = Math.min(focusChannel.value, count - 1);
  const turn = (/** @type {number} */ by) => {
    chosen = phase.place;
    focusOn((channel + by + count) % count);
  };
  return html`<span
    class="channel">${figureSizes().inner < 880 || ways.value.length > 1 ? "" : " · "}${
      back ? "from" : "input"
    } ${axisWord(phase, focus)} <button aria-label="the map before"
        onClick=${() => turn(-1)}>‹</button><b>${channel}</b><button
    aria-label="the next map" onClick=${() => turn(1)}>›</button></span>`;
}

/** The phase in which the learner chose a map: there it stays. */
let chosen = "";

/**
 * On entering a phase the map that says most is shown; after a jump the one that gives this cell most.
 * @param {Phase} phase @param {Figure} figure
 */
function useFocus(phase, figure) {
  const focus = "focus" in figure ? figure.focus : null;
  const tensor = focus && "plane" in figure ? tensorOf(figure.plane.tensor) : undefined;
  const ready = tensor !== undefined;
  const before = useRef({ place: "", cell: -9 });
  const held = heldChannel.value;
  useLayoutEffect(() => {
    chosen = "";
    if (!focus || !tensor || !("plane" in figure)) return;
    if (held !== null) return focusOn(held);
    const cell = position.peek()?.cell ?? -1;
    const kernel = figure.kind === "slide" ? tensorOf(figure.kernel.tensor) : undefined;
    // Chosen before anything is drawn, so that the kernel does not change its numbers while it turns.
    focusOn(
      figure.kind === "slide" && kernel && cell >= 0
        ? strongestAt(figure, phase, lettersAt(phase, cell), tensor, kernel)
        : strongest(figure.plane, phase, focus, tensor),
    );
  }, [phase.place, ready, source.value, held]);
  const answer = told.value;
  useEffect(() => {
    const cell = position.peek()?.cell ?? -1;
    const last = before.current;
    if (!answer || answer.place !== cellPlace.peek()) return;
    const jumped = last.place !== phase.place || Math.abs(cell - last.cell) > 1;
    before.current = { place: phase.place, cell };
    if (!focus || held !== null || playing.peek() || chosen === phase.place || !jumped) return;
    const groups = answer.whole.groups ?? [];
    const best = groups.reduce(
      (most, group) => (Math.abs(group.value) > Math.abs(most?.value ?? 0) ? group : most),
      groups[0],
    );
    if (best && best.letter === focus && best.value !== 0) focusOn(best.at);
  }, [answer?.place]);
}

/**
 * The server's account of the written cell; the next cell is asked for in advance.
 * @param {Phase} phase
 * @param {Figure} figure
 */
function useTelling(phase, figure) {
  const place = cellPlace.value;
  const channel = focusChannel.value;
  const off = live.value;
  useEffect(() => {
    if (!place || off) return tell(null);
    let gone = false;
    const sample = source.peek()?.kind === "step" ? /** @type {{sample: number}} */ (source.peek()).sample : 0;
    const find = async () => {
      try {
        const answer = await fetchTerms(place, phase, figure, channel, sample);
        if (gone) return;
        tell({ place, channel, ...answer });
        const next = timeline.value && position.value && nextCell(timeline.value, position.value, 1);
        if (next && next.phase === position.value?.phase)
          fetchTerms(at(phase.place, indexAt(phase, next.cell)), phase, figure, channel, sample).catch(() => {});
      } catch {
        if (!gone) tell(null);
      }
    };
    const timer = setTimeout(find, playing.peek() && cellTime.peek() < 150 ? 100 : 0);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [place, channel, off, source.value, step.value]);
}

/**
 * The terms of the written cell in the order of the figure.
 * @param {Phase} phase
 * @param {Figure} figure
 * @param {number} limit how many terms stand one by one
 */
function accountOf(phase, figure, limit) {
  const place = cellPlace.value;
  const now = told.value;
  if (!place || !now || now.place !== place) return null;
  const { whole, part, batch, channel } = now;
  const cell = position.value?.cell ?? 0;
  if (figure.kind === "slide") {
    const letters = lettersAt(phase, cell);
    const [x, w] = [tensorOf(figure.plane.tensor), tensorOf(figure.kernel.tensor)];
    const [u, v] = planeLetters(figure.plane, phase);
    /** @type {Map<string, {at: number, letter: string}>} */
    const seats = new Map();
    if (x && w) {
      windowOf(figure.plane, figure.kernel, phase, letters, x.shape, w.shape)
        .flat()
        .forEach(({ at: where, letter }, k) => seats.set(`${where[u]},${where[v]}`, { at: k, letter }));
    }
    const seat = (/** @type {Record<string, number>} */ where) => seats.get(`${where[u] ?? 0},${where[v] ?? 0}`);
    const shown = figure.focus ? Math.min(channel, phase.bound[figure.focus] - 1) : 0;
    const entries = windowEntries(whole, part, {
      focus: figure.focus,
      channel: shown,
      most: limit,
      word: figure.focus ? axisWord(phase, figure.focus) : "",
      order: where => seat(where)?.at ?? 0,
    });
    return dressed(
      phase,
      whole,
      entries,
      figure.back ? [figure.kernel, figure.plane] : [figure.plane, figure.kernel],
      entry =>
        Object.keys(entry.at).length
          ? seats.size > 1
            ? (seat(entry.at)?.letter ?? "")
            : termName(phase, entry.at, whole.terms_total)
          : "",
    );
  }
  if (figure.kind === "product" && batch && part) {
    const sample = source.value?.kind === "step" ? source.value.sample : 0;
    const mine = (whole.groups ?? []).find(group => group.at === sample);
    const others = (whole.groups ?? []).filter(group => group.at !== sample);
    const listed = largestEntries(
      { ...part, value: (mine?.value ?? 0) + whole.remainder, terms_total: mine?.count ?? part.terms_total },
      limit - 2,
    ).map(entry => (entry.id === "rest" ? { ...entry, label: `${entry.label} of this image` } : entry));
    const [i, j] = planeLetters(figure.over, phase);
    return dressed(
      phase,
      whole,
      [
        ...listed,
        subtotal(
          "others",
          counted(others.length, "other image"),
          exactSum(others.map(({ value }) => value)),
          others.length,
        ),
      ],
      [figure.plane, figure.over],
      entry => (i in entry.at ? `row ${entry.at[i]}, col ${entry.at[j]}` : ""),
    );
  }
  const most = limit - (figure.kind === "product" ? 1 : 0);
  const first =
    figure.kind === "product"
      ? [figure.plane, figure.over]
      : figure.kind === "terms" && figure.back
        ? [...phase.reads].sort((a, b) => Number(b.kind === "weight") - Number(a.kind === "weight"))
        : [];
  return dressed(phase, whole, largestEntries(whole, most), first, entry =>
    termName(phase, entry.at, whole.terms_total),
  );
}

/**
 * Factors in the order in which the figure shows them, and the symbols of their lines.
 * @param {Phase} phase @param {Explanation} whole @param {Entry[]} entries
 * @param {Read[]} order @param {(entry: Entry) => string} lettersOf
 */
function dressed(phase, whole, entries, order, lettersOf) {
  const rank = new Map(order.map((read, k) => [nameOf(read.tensor), k]));
  const sorted = entries.map(entry => ({
    ...entry,
    factors: [...entry.factors].sort(
      (a, b) =>
        Number(a.constant) - Number(b.constant) || (rank.get(a.tensor ?? "") ?? 0) - (rank.get(b.tensor ?? "") ?? 0),
    ),
  }));
  const longest = sorted.reduce(
    (most, { factors }) => (factors.length > most.length ? factors : most),
    /** @type {Factor[]} */ ([]),
  );
  const lines = longest.map((each, k) => {
    const { tensor } = each;
    if (sorted.some(({ factors }) => factors.length > 1 && factors[k] && factors[k].tensor !== tensor)) return null;
    if (each.made) return { name: "", kind: "value", text: factorName(each, phase) };
    const read = tensor && phase.reads.find(each => nameOf(each.tensor) === tensor);
    return read ? { name: read.name, kind: read.kind, text: each.over ? factorName(each, phase) : "" } : null;
  });
  const named = (/** @type {Entry} */ entry) => lettersOf(entry) || termText(entry, phase);
  return { whole, entries: sorted, lines: /** @type {any[]} */ (lines), lettersOf: named };
}

/** @param {{phase: Phase, figure: Figure, listed: boolean}} props  listed: the terms one beneath the other */
function Foot({ phase, figure, listed }) {
  const widest = listed ? LISTED : figureSizes().terms;
  const [made, makeRoom] = useState({ place: "", terms: widest });
  const limit = made.place === phase.place ? Math.min(made.terms, widest) : widest;
  const account = accountOf(phase, figure, limit);
  useWalk(account?.entries ?? []);
  useSpeech(phase, account);
  if (live.value)
    return html`<p class="products aside">While it trains the maps are alive. Pause the training and every term is
      here.</p>`;
  if (cellPlace.value === null)
    return html`<p class="products aside">Nothing of this is computed yet. Play, or step one cell on.</p>`;
  if (!account) return html`<div class="products" aria-busy="true"></div>`;
  if (figure.kind === "cells" && account.entries.length === 1 && account.entries[0].factors.length < 2) {
    return html`<${Plain} phase=${phase} figure=${figure} value=${account.whole.value} />`;
  }
  if (account.whole.largest)
    return html`<${Candidates} whole=${account.whole} name=${phase.tensor} text=${alone(account.whole.value)} />`;
  if (figure.kind === "route" && breakpoint.value !== "narrow") {
    const blocks = Blocks({ phase, figure });
    if (blocks) return blocks;
  }
  return html`<${Products} place=${cellPlace.value} value=${account.whole.value} entries=${account.entries}
    lines=${account.lines} lettersOf=${account.lettersOf}
    result=${{ name: phase.tensor, kind: phase.kind }} kind=${phase.kind} divide=${phase.part !== "update"}
      listed=${listed}
    onCramped=${() => limit > 1 && makeRoom({ place: phase.place, terms: limit - 1 })} />`;
}

/**
 * One number in, one number out.
 * @param {{phase: Phase, figure: Extract<Figure, {kind: "cells"}>, value: number}} props
 */
function Plain({ phase, figure, value }) {
  const letters = lettersAt(phase, position.value?.cell ?? 0);
  const reads = figure.reads.filter(
    (read, k, all) => all.findIndex(({ tensor }) => nameOf(tensor) === nameOf(read.tensor)) === k,
  );
  return html`<p class="products plain">${reads.map(read => {
    const place = at(
      nameOf(read.tensor),
      read.axes.map(axis => (axis && positionOn(axis, letters)) ?? 0),
    );
    return html`<span><${TensorSymbol} name=${read.name} kind=${read.kind} /> = ${alone(numberAt(place) ?? 0)}</span>`;
  })}<span>→</span><span><${TensorSymbol} name=${phase.tensor} kind=${phase.kind}
    /> = <b>${alone(value)}</b></span></p>`;
}

/**
 * The cells of a small window on the way back, each with what it gets.
 * @param {{phase: Phase, figure: Extract<Figure, {kind: "route"}>}} props
 */
function Blocks({ phase, figure }) {
  const route = routeOf(phase, figure, position.value?.cell ?? -1);
  const cells = route?.window.flat() ?? [];
  if (route?.senders.length !== 1 || cells.length > 4 || cells.some(({ wins }) => wins === null)) return null;
  const delta = numberAt(at(nameOf(figure.plane.tensor), /** @type {number[]} */ (route.sender))) ?? 0;
  return html`<div class="products blocks" role="group" aria-label="what each cell of the window gets">${cells.map(
    ({ index, wins }) => {
      const place = at(nameOf(phase.place), index);
      const there = isKnown(place);
      return html`<div class="block ${lit.value.has(place) || place === cellPlace.value ? "marked" : ""}"
        onPointerEnter=${() => there && setHover({ place })}
      onPointerLeave=${() => setHover(null)}><span>row ${index[2]}, column ${index[3]}</span>
      <span><b class=${wins ? "" : "act"}>${wins ? "won" : "lost"}</b>: ${
        there
          ? html`${wins ? 1 : 0} × <span class="grad">${alone(delta)}</span> = <b>${alone(numberAt(place) ?? 0)}</b>`
          : html`<span class="soft">not yet</span>`
      }</span></div>`;
    },
  )}</div>`;
}

/** The terms light one after the other while there is time, else the largest is lit. @param {Entry[]} entries */
function useWalk(entries) {
  const slow = playing.value && cellTime.value >= 300;
  const key = `${cellPlace.value} ${entries.map(({ id }) => id).join(";")}`;
  useEffect(() => {
    const readable = entries.filter(({ places }) => places.length);
    const pairs = readable.filter(({ factors }) => factors.length > 1);
    const largest = (pairs.length ? pairs : readable).reduce(
      (most, entry) => (Math.abs(entry.exact) > Math.abs(most?.exact ?? 0) ? entry : most),
      /** @type {Entry|null} */ (null),
    );
    if (!slow || readable.length < 2) return walkTo(largest?.places ?? []);
    const time = cellTime.peek();
    const timers = readable.map((entry, k) =>
      setTimeout(() => walkTo(entry.places), time * (1 / 3 + k / (2 * readable.length))),
    );
    return () => timers.forEach(clearTimeout);
  }, [key, slow]);
}

let spokenAt = 0;

/** One sentence a step, at most one a second. @param {Phase} phase @param {ReturnType<typeof accountOf>} account */
function useSpeech(phase, account) {
  const place = cellPlace.value;
  useEffect(() => {
    if (!place || !account) return;
    const wait = Math.max(250, spokenAt + 1000 - Date.now());
    const timer = setTimeout(() => {
      spokenAt = Date.now();
      say(sentenceOf(phase, place, account));
    }, wait);
    return () => clearTimeout(timer);
  }, [place, account?.whole]);
}

/** @param {string} text */
const aloud = text => text.replace(/^\u2212/, "minus ").replace(/^÷ /, "one over ");

/**
 * "conv1, map 5, row 12, column 14 is 1.691: 0.082 times minus 0.502 plus …"
 * @param {Phase} phase
 * @param {string} place
 * @param {NonNullable<ReturnType<typeof accountOf>>} account
 */
function sentenceOf(phase, place, { whole, entries }) {
  const spot = [phase.layer, phase.tensor === "y" ? "" : phase.tensor, whereabouts(place)].filter(Boolean).join(", ");
  if (whole.largest)
    return `${spot} is ${aloud(alone(whole.value))}, the largest of ${candidatesOf(whole, 9)
      .map(each => aloud(alone(each.value)))
      .join(", ")}.`;
  const made = book(whole.value, entries, { divide: phase.part !== "update" });
  const terms = made.lines
    .slice(0, 3)
    .map(line =>
      line.factors.length > 1 ? line.factors.map(({ text }) => aloud(text)).join(" times ") : aloud(line.text),
    );
  const more = made.lines.length - terms.length;
  return `${spot} is ${aloud(made.text)}${made.caption && ` ${made.caption}`}: ${terms.join(" plus ")}${
    more > 0 ? ` plus ${counted(more, "more term")}` : ""
  }.${allWays()}`;
}

/** That the ways come to the same, where more than one is looked at. */
function allWays() {
  const totals = totalsNow();
  if (!totals.length) return "";
  return agree(totals)
    ? ` ${totals.length === 3 ? "All three ways" : "Both ways"}: ${aloud(totals[0].text)}.`
    : ` The ways differ: ${totals.map(({ name, text }) => `${name} ${aloud(text)}`).join(", ")}.`;
}
