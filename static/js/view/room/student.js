/** A student's part: whether the page follows, the question, and what is wrong where the connection is lost. */

import { useEffect, useState } from "preact/hooks";

import { html } from "../html.js";
import { blame } from "../../core/room_words.js";
import * as net from "../../net/room.js";
import * as state from "../../state/room.js";
import * as store from "../../state/store.js";
import { Tick } from "./parts.js";
import { Question } from "./question.js";

/** What a touch of makes a student go their own way: the transport, the tabs and what is chosen at the top. */
const OWN = ".transport, .header nav, .header .looking, .header .views, .step .paging";
const KEYS = new Set([" ", ",", ".", "[", "]", "<", ">"]);

export function Student() {
  const you = state.you.value;
  const asked = state.asked.value;
  const [put, setPut] = useState(0);
  useOwn();
  useFrozen(state.frozen.value && state.following.value);
  const lost = useLost();
  const waiting = asked !== null && asked.question !== put && (asked.state === "open" || asked.state === "revealed");
  return html`
    ${
      waiting &&
      state.following.value &&
      html`<${Question} key=${asked.question} asked=${asked} close=${() => setPut(asked.question)} />`
    }
    ${lost && html`<${Lost} />`}
    <section class="room-strip" aria-label=${`Room ${store.room.value}, you are ${you?.nickname || you?.number}`}>
      <i class=${state.following.value ? "dot full" : "dot"}></i>
      <p role="status"><span>${
        state.frozen.value && state.following.value
          ? "The lecturer leads for a moment"
          : state.following.value
            ? "Following the lecturer"
            : "On your own"
      }</span> <span class="soft">${told(lost, waiting)}</span></p>
      <span class="soft who">${store.room.value} · ${you?.nickname || you?.number}</span>
      ${
        asked &&
        !waiting &&
        state.following.value &&
        html`<button type="button" class="button" onClick=${() => setPut(0)}>Question ${asked.question}</button>`
      }
      ${
        state.following.value
          ? html`<button type="button" class="button" disabled=${state.frozen.value}
            onClick=${net.goOwn}>On my own</button>`
          : html`<button type="button" class="button primary" onClick=${net.goBack}>Back there</button>`
      }
    </section>`;
}

/** The small line of the strip. @param {boolean} lost @param {boolean} waiting */
function told(lost, waiting) {
  if (lost) return "no connection";
  if (!state.stored.value) return "The server cannot keep answers now. Yours waits on this phone.";
  if (!state.lecturerHere.value) return "The lecturer is away; go on alone or wait.";
  if (waiting && !state.following.value) return "a question waits";
  if (state.exported.value) return "Your lecturer keeps a list of answers.";
  return "";
}

/** A touch of the controls is a way of one's own. */
function useOwn() {
  useEffect(() => {
    const touch = (/** @type {Event} */ event) => {
      const target = /** @type {HTMLElement|null} */ (event.target);
      if (target?.closest?.(OWN)) net.goOwn();
    };
    const press = (/** @type {KeyboardEvent} */ event) => {
      const target = /** @type {HTMLElement|null} */ (event.target);
      if (target?.closest?.("input, textarea, select, button, a, [role=radio]")) return;
      if (!KEYS.has(event.key)) return;
      if (state.frozen.peek()) event.preventDefault();
      else net.goOwn();
    };
    document.addEventListener("pointerdown", touch, true);
    document.addEventListener("keydown", press, true);
    return () => {
      document.removeEventListener("pointerdown", touch, true);
      document.removeEventListener("keydown", press, true);
    };
  }, []);
}

/** While all are held, the controls are off; cards still open. @param {boolean} on */
function useFrozen(on) {
  useEffect(() => {
    if (!on) return;
    const held = document.querySelectorAll(".transport, .header nav, .header .looking");
    for (const each of held) each.toggleAttribute("inert", true);
    return () => {
      for (const each of held) each.toggleAttribute("inert", false);
    };
  }, [on]);
}

/** Whether the connection has been lost for longer than a moment. */
function useLost() {
  const [lost, set] = useState(false);
  const { state: now } = state.link.value;
  useEffect(() => {
    if (now === "open") return set(false);
    const timer = setTimeout(() => set(true), 1500);
    return () => clearTimeout(timer);
  }, [now]);
  return lost && now !== "open";
}

function Lost() {
  const { fault, since, tries, next } = state.link.value;
  const { title, stations } = blame(fault, location.host);
  const [, beat] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => beat(count => count + 1), 500);
    return () => clearInterval(timer);
  }, []);
  const kept = Object.values(state.kept.value);
  const wait = Math.max(0, Math.ceil(((next ?? 0) - Date.now()) / 1000));
  return html`<section class="room-sheet lost" aria-labelledby="room-lost-title">
    <div role="alert"><h2 id="room-lost-title">${title}</h2></div>
    <ol>${stations.map(
      ({
        name,
        words,
        works,
      }) => html`<li><b aria-label=${works === null ? "not known" : works ? "works" : "does not work"}
        role="img">${works === null ? "?" : html`<${Tick} right=${works} />`}</b>
        <div><b>${name}</b><span class="soft">${words}</span></div></li>`,
    )}</ol>
    ${kept.map(
      each => html`<p>Your answer to question${" "}
        ${each.question}${typeof each.value === "string" && html`, <b>${each.value}</b>,`} is kept on
        this phone and will be counted once.</p>`,
    )}
    <p class="foot"><span><b>${wait ? `Trying again in ${wait} s` : "Trying again"}</b>
      <span class="soft">attempt ${tries ?? 1}${
        since ? `, since ${new Date(since).toLocaleTimeString()}` : ""
      }</span></span>
      <button type="button" class="button" onClick=${net.again}>Now</button>
      <button type="button" class="button" onClick=${net.leave}>Go on alone</button></p>
  </section>`;
}
