/** The lecturer's panel beside the stage, and the screen by which a class joins. */

import { useEffect, useRef, useState } from "preact/hooks";

import { html } from "../html.js";
import { headcount } from "../../core/room_words.js";
import * as net from "../../net/room.js";
import * as state from "../../state/room.js";
import * as store from "../../state/store.js";
import { Bars, Chips } from "./parts.js";
import { Outcome } from "./outcome.js";

/** @typedef {Awaited<ReturnType<typeof net.find>>} Found */

export function Lecturer() {
  const code = /** @type {string} */ (store.room.value);
  const [found, setFound] = useState(/** @type {Found|null} */ (null));
  const [large, setLarge] = useState(false);
  const [folded, fold] = useState(false);
  const [asking, ask] = useState(false);
  const [ending, end] = useState(false);
  useEffect(() => void net.find(code).then(setFound, () => {}), [code]);
  const who = state.who.value;
  const asked = state.asked.value;
  const count = state.count.value;
  const { following, own, lost } = headcount(who);
  const lead = (/** @type {Record<string, any>} */ message) => void net.say(message);
  const open = asked && asked.state !== "revealed";
  const reveal = () => open && lead({ reveal: asked.question });
  const freeze = () => lead(state.frozen.value ? { thaw: true } : { freeze: true });
  useKeys({ b: () => lead({ bring: true }), r: reveal, f: freeze });
  if (store.place.value && !large)
    return html`<button type="button" class="button room-back"
    onClick=${store.closeCard}>Back to room ${code}</button>`;
  const lag = state.link.value.state === "lost" ? "This page has lost the server. It tries again by itself." : "";
  return html`<aside class="room-panel" aria-label=${`Room ${code}`}>
    <div class="scrolling">
      ${(lag || state.trouble.value) && html`<p class="wrong" role="alert">${lag || state.trouble.value}</p>`}
      <div class="invitation">
        <img src=${net.pictureOf(code)} alt=${`QR code of room ${code}`} width="76" height="76" />
        <div><b class="code">${code}</b><span>${found?.address ?? ""}</span>
          <button type="button" class="dotted" onClick=${() => setLarge(true)}>Show large</button></div>
      </div>
      ${
        found &&
        !found.reachable &&
        html`<p class="wrong">Phones cannot reach this address: start the server with${" "}
        <code>--host 0.0.0.0 --shared</code>.</p>`
      }
      <p class="counts"><b>${who.length} here</b></p>
      <${Chips} who=${who} act=${(/** @type {number} */ number) => lead({ unname: number })} />
      <p class="counts"><span><b>${following}</b> with you</span> <span><b>${own}</b> on their own</span>
        <span><b>${lost}</b> lost</span></p>
      ${
        who.some(({ nickname }) => nickname) &&
        html`<button type="button" class="dotted"
        onClick=${() => lead({ unname: "all" })}>All back to numbers</button>`
      }
      ${
        asked &&
        html`<section class="asked" aria-label=${`Question ${asked.question}`}>
        <p class="question"><span>${asked.item.question}</span>
          <b>${count?.question === asked.question ? `${count.answered} of ${count.of}` : ""}</b></p>
        ${!folded && html`<${Bars} rows=${asked.result?.tally ?? state.bars.value} told=${true} />`}
        <p class="soft">${
          asked.state === "revealed" ? "Everybody sees the bars." : "Only you see the bars until you reveal."
        }
          <button type="button" class="dotted" aria-pressed=${folded} onClick=${() => fold(!folded)}>
            ${folded ? "Show the bars" : "Hide the bars here"}</button></p>
        ${asked.state === "revealed" && html`<${Outcome} asked=${asked} />`}
        ${
          asked.state !== "open" &&
          html`<button type="button" class="button"
          onClick=${() => lead({ ask: { again: asked.question, id: newId() } })}>Vote again</button>`
        }
      </section>`
      }
      ${asking && html`<${Ask} done=${() => ask(false)} />`}
      <details class="more"><summary>Export and projector</summary>
        <p><label><input type="checkbox" checked=${state.exported.value}
          onChange=${() => lead({ export: !state.exported.value })} />${" "}
          Keep a list of answers; students are told</label></p>
        ${state.exported.value && html`<p><a href=${net.tableOf()} download>Answers as CSV</a></p>`}
        ${
          net.projectorOf() &&
          html`<p><a href=${net.projectorOf()} target="_blank" rel="opener">Projector’s page</a></p>`
        }
      </details>
    </div>
    <div class="acts" role="group" aria-label="Lead">
      <button type="button" class="button primary" disabled=${!open} title="Reveal (R)"
        onClick=${reveal}>Reveal</button>
      <button type="button" class="button" aria-expanded=${asking}
        onClick=${() => ask(!asking)}>${asked ? "Ask next" : "Ask"}</button>
      <button type="button" class="button" aria-pressed=${state.frozen.value} title="Freeze (F)"
        onClick=${freeze}>${state.frozen.value ? "Thaw" : "Freeze"}</button>
      <button type="button" class="button" title="Bring here (B)"
        onClick=${() => lead({ bring: true })}>Bring here</button>
      <button type="button" class="button" onClick=${() => lead({ letgo: true })}>Let go</button>
      <button type="button" class="button" onClick=${() => (ending ? lead({ end: true }) : end(true))}
        onBlur=${() => end(false)}>${ending ? "End it?" : "End"}</button>
    </div>
    ${large && html`<${JoinScreen} found=${found} close=${() => setLarge(false)} />`}
  </aside>`;
}

const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(8)), byte => byte.toString(16)).join("");

/** Keys of the lecturer's, off while something is typed. @param {Record<string, () => any>} acts */
function useKeys(acts) {
  const latest = useRef(acts);
  latest.current = acts;
  useEffect(() => {
    const press = (/** @type {KeyboardEvent} */ event) => {
      const target = /** @type {HTMLElement|null} */ (event.target);
      if (event.ctrlKey || event.metaKey || event.altKey || store.panel.peek()) return;
      if (target?.closest?.("input, textarea, select, [contenteditable]")) return;
      latest.current[event.key]?.();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

/** What to ask: an exercise, or words and choices of the lecturer's own. @param {{done: () => void}} props */
function Ask({ done }) {
  const [exercises, setExercises] = useState(/** @type {Awaited<ReturnType<typeof net.exercises>>} */ ([]));
  const [chosen, choose] = useState("");
  const [same, setSame] = useState(true);
  const [question, setQuestion] = useState("");
  const [choices, setChoices] = useState("");
  const first = useRef(/** @type {HTMLSelectElement|null} */ (null));
  useEffect(() => {
    net.exercises().then(setExercises, () => {});
    first.current?.focus();
  }, []);
  const lines = choices
    .split("\n")
    .map(line => line.trim())
    .filter(Boolean);
  const right = lines.find(line => line.startsWith("*"));
  const names = lines.map(line => line.replace(/^\*\s*/, ""));
  const send = (/** @type {Event} */ event) => {
    event.preventDefault();
    const what = chosen
      ? { exercise: chosen, seed: Math.floor(2 ** 31 * Math.random()), same }
      : { question: question.trim(), choices: names, right: right ? right.replace(/^\*\s*/, "") : undefined };
    void net.say({ ask: { ...what, id: newId() } });
    done();
  };
  const input = (/** @type {(to: string) => void} */ to) => (/** @type {any} */ event) => to(event.currentTarget.value);
  return html`<form class="asking" aria-label="Ask" onSubmit=${send}>
    <label>Ask <select ref=${first} value=${chosen} onChange=${input(choose)}>
      <option value="">a question of my own</option>
      ${exercises.map(each => html`<option value=${each.name}>${each.title}</option>`)}
    </select></label>
    ${
      chosen
        ? html`<label><input type="checkbox" checked=${same} onChange=${() => setSame(!same)} />${" "}
            the same numbers for all</label>`
        : html`<label>Question <input value=${question} required maxlength="600"
            onInput=${input(setQuestion)} /></label>
          <label>Choices, one a line, <b>*</b> before the right one
            <textarea rows="4" required value=${choices} onInput=${input(setChoices)}></textarea></label>`
    }
    <p><button type="submit" class="button primary"
      disabled=${!chosen && (names.length < 2 || names.length > 8)}>Ask all</button>
      <button type="button" class="button" onClick=${done}>Cancel</button></p>
  </form>`;
}

/** How a class comes in, as large as the screen. @param {{found: Found|null, close?: () => void}} props */
export function JoinScreen({ found, close }) {
  const code = /** @type {string} */ (store.room.value);
  const who = state.who.value;
  const here = useRef(/** @type {HTMLElement|null} */ (null));
  const [newest, setNewest] = useState(0);
  useEffect(() => {
    if (!who.length) return;
    setNewest(who.length);
    const timer = setTimeout(() => setNewest(0), 2000);
    return () => clearTimeout(timer);
  }, [who.length]);
  useEffect(() => here.current?.focus(), []);
  const last = newest ? who[newest - 1] : null;
  return html`<section class="room-join" ref=${here} tabindex="-1" aria-label=${`Join room ${code}`}
    onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === "Escape" && close?.()}>
    <img src=${net.pictureOf(code)} alt=${`QR code of room ${code}`} />
    <div>
      <h2>Scan, or type the address and the code</h2>
      <p class="address">${found?.address ?? ""}</p>
      <p class="code" aria-label=${code.split("").join(" ")}>${code.split("").map(letter => html`<b>${letter}</b>`)}</p>
      <p class="note">No account. Take a nickname or stay a number. When the room ends, everything about you is
        forgotten.</p>
      <p class="counts"><b>${who.length} here</b>
        ${last && html`<span class="soft"> ${last.nickname || `Number ${last.number}`} has just come in</span>`}</p>
      <${Chips} who=${who} newest=${newest} />
      ${close && html`<button type="button" class="button" onClick=${close}>Back to the stage</button>`}
    </div>
  </section>`;
}
