/**
 * The room of a class as this page knows it: the fold of what the server tells, message by message. A page that was
 * away is told what it missed and comes to the same state as all others.
 */

import { batch, computed, signal } from "@preact/signals-core";

/**
 * @typedef {{number: number, nickname: string, state: "following"|"own"|"lost", answered: boolean, at?: string}} Who
 * @typedef {{name: string, text: string, right: boolean, mistake: string|null, count: number}} Bar
 * @typedef {{question: string, kind: string, title?: string, choices?: {name: string, text: string}[],
 *   exercise?: string, seed?: number, same?: boolean, again?: number}} Item
 * @typedef {{tally: Bar[], answered: number, right?: any, solution?: string|null,
 *   mistake?: {name: string, feedback: string, value: any}}} Result
 * @typedef {{question: number, item: Item, state: "open"|"closed"|"revealed", result: Result|null,
 *   answer?: {value: any, answer_id: string, seq: number}|null, late?: boolean,
 *   verdict?: {right: boolean, mistake: string|null}}} Asked
 * @typedef {{hash: string, playing: boolean, at?: string}} View
 */

/** @type {Signal<"lecturer"|"student"|"projector"|null>} null before the room has told it */
export const role = signal(null);
/** @type {Signal<{number: number, nickname: string}|null>} */
export const you = signal(null);
/** @type {Signal<View|null>} what the lecturer shows */
export const shown = signal(null);
/** Whether this page goes its own way. */
export const own = signal(false);
/** Until when the lecturer holds all, by this page's clock in milliseconds. */
export const frozenUntil = signal(0);
/** Whether the lecturer keeps a list of answers. */
export const exported = signal(false);
/** @type {Signal<Asked|null>} the newest question */
export const asked = signal(null);
export const lecturerHere = signal(true);
/** @type {Signal<Who[]>} */
export const who = signal([]);
/** @type {Signal<{question: number, answered: number, of: number}|null>} */
export const count = signal(null);
/** @type {Signal<Bar[]>} */
export const bars = signal([]);
/** What the server cannot do now, for the lecturer. */
export const trouble = signal("");
/** Whether the server can keep answers now. */
export const stored = signal(true);
export const ended = signal(false);
/** The number of the newest event that was taken. */
export const seen = signal(0);
/** Changes whenever all are called to the lecturer's view. */
export const called = signal(0);

/** @typedef {"phone"|"way"|"server"|"starting"} Fault whose fault it is, as far as it is known */

/**
 * @type {Signal<{state: "none"|"connecting"|"open"|"lost", fault?: Fault, since?: number, tries?: number,
 *   next?: number}>}
 */
export const link = signal({ state: "none" });
/**
 * Answers that the server has not confirmed, by question.
 * @type {Signal<Record<string, {question: number, value: any, answer_id: string, seq: number}>>}
 */
export const kept = signal({});
/** Why an answer was refused for good. */
export const refused = signal("");

export const frozen = computed(() => frozenUntil.value > 0);
/** Whether this page shows what the lecturer shows. */
export const following = computed(() => role.value !== null && role.value !== "lecturer" && !own.value);

/** One message of the server's. @param {Record<string, any>} message @param {number} [now] milliseconds */
export function take(message, now = Date.now()) {
  batch(() => {
    if ("n" in message && message.n > seen.value) seen.value = message.n;
    if (message.state) takeState(message.state, message.now, now);
    if (message.view) shown.value = message.view;
    for (const kind of ["ask", "close", "reveal"]) {
      const told = message[kind];
      if (told && typeof told === "object" && told.question >= (asked.value?.question ?? 0)) asked.value = told;
    }
    if (message.bring) call();
    if (message.freeze && message.now) {
      call();
      frozenUntil.value = now + 1000 * (message.freeze - message.now);
    }
    if (message.letgo) own.value = true;
    if (message.letgo || message.thaw) frozenUntil.value = 0;
    if (typeof message.export === "boolean") exported.value = message.export;
    if (message.you) you.value = message.you;
    if (typeof message.lecturer === "boolean") lecturerHere.value = message.lecturer;
    if (message.who) who.value = message.who;
    if (message.count) count.value = message.count;
    if (message.bars) bars.value = message.bars;
    if (typeof message.trouble === "string") trouble.value = message.trouble;
    if (typeof message.stored === "boolean") stored.value = message.stored;
    if (message.ack !== undefined) acknowledged(message);
    if (message.ended) ended.value = true;
  });
}

function call() {
  own.value = false;
  called.value++;
}

/** @param {any} state @param {number} server its clock, in seconds @param {number} now */
function takeState(state, server, now) {
  const first = role.value === null;
  role.value = state.role;
  shown.value = state.view;
  asked.value = state.question;
  exported.value = state.export;
  you.value = state.you ?? null;
  const left = state.frozen_until - server;
  frozenUntil.value = left > 0 ? now + 1000 * left : 0;
  if (first) own.value = state.lead === "letgo";
  if (left > 0) call();
}

/** @param {Record<string, any>} message */
function acknowledged({ ack, question, counted }) {
  const answer = kept.value[question];
  if (answer?.answer_id !== ack) return;
  const { [question]: _, ...rest } = kept.value;
  kept.value = rest;
  const now = asked.value;
  if (!now || now.question !== question) return;
  asked.value = counted ? { ...now, answer } : { ...now, late: true };
}

/** Out of the room: nothing of it stays. */
export function clear() {
  batch(() => {
    role.value = you.value = shown.value = asked.value = count.value = null;
    own.value = exported.value = ended.value = false;
    frozenUntil.value = seen.value = 0;
    lecturerHere.value = true;
    who.value = [];
    bars.value = [];
    kept.value = {};
    trouble.value = refused.value = "";
    stored.value = true;
    link.value = { state: "none" };
  });
}
