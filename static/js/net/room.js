/**
 * The connection to a class's room: a socket, where none opens an event stream, where that is held back long polls. It
 * comes back by itself behind the last event that was seen; answers are kept on this device until they are confirmed.
 */

import { effect, untracked } from "@preact/signals-core";

import * as link from "../state/permalink.js";
import * as state from "../state/room.js";
import * as store from "../state/store.js";
import { ask, get, post } from "./requests.js";
import { visit } from "./session.js";

const BASE = new URL(".", document.baseURI);
/** Milliseconds: between two pings, of silence that counts as lost, until a connection counts as failed. */
const PING = 10_000;
const SILENCE = 25_000;
const PATIENCE = 3500;
/** After so long with polls a socket is tried again. */
const POLLED = 60_000;
/** Milliseconds between attempts, each ± 30 %. */
const WAITS = [300, 600, 1200, 2000];
/** Below this an attempt that failed was refused by a computer that answers. */
const AT_ONCE = 500;
/** Milliseconds between two views of a lecturer. */
const VIEW = 100;

/**
 * What this device knows of a room.
 * @typedef {{token?: string, lecturer?: boolean, projector?: string, kept?: Record<string, any>, seq?: number}} Known
 */

let code = "";
/** @type {Known} */
let known = {};
/** @type {AbortController|null} */
let leaving = null;
/** @type {WebSocket|null} */
let socket = null;
/** Ends the pause before the next attempt. */
let hurry = () => {};

// What this device knows of a room.

/** @param {string} of @returns {Known} */
function remembered(of) {
  try {
    return JSON.parse(localStorage.getItem(`convscope room ${of}`) ?? "{}");
  } catch {
    return {};
  }
}

function remember() {
  try {
    localStorage.setItem(`convscope room ${code}`, JSON.stringify(known));
  } catch {
    // Without storage a reload makes a new student of this one.
  }
}

function forget() {
  try {
    localStorage.removeItem(`convscope room ${code}`);
    sessionStorage.removeItem("convscope projector");
  } catch {
    // Nothing was kept.
  }
}

/** The projector's token: in the address at first, then in this tab alone. @param {string} of */
function projectorToken(of) {
  const given = new URLSearchParams(location.hash.slice(1)).get("projector");
  try {
    if (given) sessionStorage.setItem("convscope projector", `${of} ${given}`);
    const [whose, token] = (sessionStorage.getItem("convscope projector") ?? "").split(" ");
    return whose === of ? token : "";
  } catch {
    return given ?? "";
  }
}

// Opening and joining.

/** Open a room and lead it. @param {string} [admin] the lecturer's token, where the server asks for one */
export async function open(admin) {
  /** @type {Record<string, string>} */
  const headers = admin ? { Authorization: `Bearer ${admin}` } : {};
  const opened = await post("api/rooms", {}, { headers });
  leave();
  code = opened.code;
  known = { lecturer: true, projector: opened.projector };
  remember();
  store.enterRoom(code);
  return opened;
}

/**
 * What is known of a room without joining it.
 * @param {string} of
 * @returns {Promise<{code: string, address: string, link: string, reachable: boolean,
 *   students: number}>}
 */
export const find = of => get(`api/rooms/${encodeURIComponent(of)}`);

/** The address of a room's QR code. @param {string} of */
export const pictureOf = of => new URL(`api/rooms/${encodeURIComponent(of)}/qr`, BASE).href;
/** The address of the table of answers. */
export const tableOf = () => new URL(`api/rooms/${code}/answers`, BASE).href;
/** The address of the projector's page; only for who opened the room. */
export const projectorOf = () =>
  known.projector ? new URL(`#room=${code}&projector=${known.projector}`, BASE).href : null;

/** Whether this device has been in a room before. @param {string} of */
export const isKnown = of => Boolean(projectorToken(of) || remembered(of).token || remembered(of).lecturer);

/** Join as a student. @param {string} of @param {string} nickname */
export async function join(of, nickname) {
  const before = remembered(of);
  const made = before.token ?? newToken();
  const joined = await post(`api/rooms/${encodeURIComponent(of)}/join`, { nickname, token: made });
  code = of;
  known = { token: joined.token };
  remember();
  enter(of);
}

/** 128 random bits as text. */
const newToken = () =>
  btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(18))))
    .replaceAll("+", "-")
    .replaceAll("/", "_");

/** Connect to a room that this device is known in. @param {string} of */
export function enter(of) {
  if (leaving && code === of) return;
  leaving?.abort();
  code = of;
  known = remembered(of);
  const projector = projectorToken(of);
  if (projector) known = { projector, token: projector };
  state.clear();
  state.kept.value = known.kept ?? {};
  leaving = new AbortController();
  void stay(leaving.signal);
  followView(leaving.signal);
  leadView(leaving.signal);
}

/** Out of the room, on this device alone. */
export function leave() {
  leaving?.abort();
  leaving = null;
  socket?.close();
  socket = null;
  state.clear();
  store.enterRoom(null);
}

/** Try again now. */
export const again = () => hurry();

// Staying connected.

/** @param {AbortSignal} left */
async function stay(left) {
  let tries = 0;
  while (!left.aborted && !state.ended.value) {
    if (!tries) state.link.value = { state: "connecting" };
    const begun = performance.now();
    const way = [bySocket, bySocket, byEvents, byPolls][tries % 4];
    const was = await way(left).catch(() => ({ opened: false, gone: false }));
    if (left.aborted) return;
    if (was.gone) return gone();
    const took = performance.now() - begun;
    tries = was.opened ? 1 : tries + 1;
    const since = state.link.value.since ?? Date.now();
    const wait = WAITS[Math.min(WAITS.length - 1, tries - 1)] * (0.7 + 0.6 * Math.random());
    const fault = !navigator.onLine ? "phone" : was.opened ? "starting" : took < AT_ONCE ? "server" : "way";
    state.link.value = { state: "lost", fault, since, tries, next: Date.now() + wait };
    await new Promise(resolve => {
      hurry = () => resolve(undefined);
      setTimeout(resolve, wait);
    });
  }
}

/** The room does not know this device: it has ended. */
function gone() {
  forget();
  state.take({ ended: true });
}

function arrived() {
  if (state.link.value.state !== "open") state.link.value = { state: "open" };
}

/** @param {Record<string, any>} message */
function take(message) {
  arrived();
  if (message.problem) return complained(message);
  state.take(message);
  if (message.ack !== undefined) keepAnswers();
  if (message.ended) forget();
}

/** @typedef {{opened: boolean, gone: boolean}} Was how a connection ended */

/** @param {AbortSignal} left @returns {Promise<Was>} */
function bySocket(left) {
  return new Promise(resolve => {
    const url = new URL(`api/rooms/${code}`, BASE);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const own = (socket = new WebSocket(url));
    let opened = false;
    let heard = performance.now();
    const stop = (/** @type {boolean} */ gone) => {
      clearInterval(pinging);
      clearTimeout(late);
      own.onopen = own.onmessage = own.onclose = null;
      own.close();
      if (socket === own) socket = null;
      resolve({ opened, gone });
    };
    const late = setTimeout(() => opened || stop(false), PATIENCE);
    const pinging = setInterval(() => {
      if (performance.now() - heard > SILENCE) return stop(false);
      if (own.readyState === WebSocket.OPEN) own.send(JSON.stringify({ ping: 1 }));
    }, PING);
    left.addEventListener("abort", () => stop(false));
    own.onopen = () => {
      own.send(JSON.stringify({ hello: known.token ?? "", seen: state.seen.value, own: state.own.value }));
      sendKept(own);
    };
    own.onmessage = ({ data }) => {
      opened = true;
      heard = performance.now();
      take(JSON.parse(data));
      if (state.ended.value) stop(true);
    };
    own.onclose = ({ code: why }) => stop(why === 4404);
  });
}

/** @returns {Record<string, string>} */
const credentials = () => (known.token ? { Authorization: `Bearer ${known.token}` } : {});
const eventsOf = () => new URL(`api/rooms/${code}/events?seen=${state.seen.value}`, BASE);

/** @param {AbortSignal} left @returns {Promise<Was>} */
async function byEvents(left) {
  const stop = new AbortController();
  left.addEventListener("abort", () => stop.abort());
  let late = setTimeout(() => stop.abort(), PATIENCE);
  let opened = false;
  try {
    const answer = await fetch(eventsOf(), {
      headers: { Accept: "text/event-stream", ...credentials() },
      signal: stop.signal,
    });
    if (answer.status === 401 || answer.status === 404) return { opened: false, gone: true };
    if (!answer.ok || !answer.body) return { opened: false, gone: false };
    arrived();
    sendKept(null);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      clearTimeout(late);
      late = setTimeout(() => stop.abort(), SILENCE);
      opened = true;
      const events = (rest + value).split("\n\n");
      rest = /** @type {string} */ (events.pop());
      for (const event of events) if (event.startsWith("data: ")) take(JSON.parse(event.slice(6)));
      arrived();
    }
  } catch {
    // It broke off, or took too long.
  }
  clearTimeout(late);
  return { opened, gone: state.ended.value };
}

/** @param {AbortSignal} left @returns {Promise<Was>} */
async function byPolls(left) {
  // A long poll is silent until something happens: whether the way is free is asked first.
  const wait = AbortSignal.any([left, AbortSignal.timeout(PATIENCE)]);
  const free = await fetch(new URL(`api/rooms/${code}`, BASE), { signal: wait }).catch(() => null);
  if (free?.status === 404) return { opened: false, gone: true };
  if (!free?.ok) return { opened: false, gone: false };
  arrived();
  sendKept(null);
  let opened = false;
  const until = performance.now() + POLLED;
  while (!left.aborted && performance.now() < until) {
    const wait = AbortSignal.any([left, AbortSignal.timeout(SILENCE)]);
    const answer = await fetch(eventsOf(), { headers: credentials(), signal: wait }).catch(() => null);
    if (answer?.status === 401 || answer?.status === 404) return { opened, gone: true };
    if (!answer?.ok) break;
    opened = true;
    for (const message of await answer.json()) take(message);
    if (state.ended.value) return { opened, gone: true };
  }
  return { opened, gone: false };
}

// What is said.

/** Say something: over the socket, else by a request, whose answer is taken. @param {Record<string, any>} message */
export async function say(message) {
  if (socket?.readyState === WebSocket.OPEN) return socket.send(JSON.stringify(message));
  const headers = credentials();
  const told = await ask(`api/rooms/${code}/messages`, { method: "POST", body: message, headers }).then(
    answer => answer.json(),
    error => ({ problem: { status: error.status, detail: error.message }, answer_id: message.answer?.answer_id }),
  );
  take(told);
}

/** Answer a question. It is kept here until the server has confirmed it. @param {number} question @param {any} value */
export function answer(question, value) {
  known.seq = (known.seq ?? 0) + 1;
  const given = { question, value, answer_id: newToken().slice(0, 16), seq: known.seq };
  state.refused.value = "";
  state.kept.value = { ...state.kept.value, [question]: given };
  keepAnswers();
  if (state.link.value.state === "open") void say({ answer: given });
}

function keepAnswers() {
  known.kept = state.kept.value;
  remember();
}

/** @param {WebSocket|null} over */
function sendKept(over) {
  for (const each of Object.values(state.kept.value)) {
    if (over) over.send(JSON.stringify({ answer: each }));
    else void say({ answer: each });
  }
}

/** The server did not take a message: an answer is sent again where that may help. @param {any} message */
function complained({ problem, answer_id: id }) {
  const given = Object.values(state.kept.value).find(each => each.answer_id === id);
  const may = problem.status === undefined || problem.status === 429 || problem.status >= 500;
  if (given && may) {
    setTimeout(() => {
      if (state.kept.value[given.question]?.answer_id === id && state.link.value.state === "open")
        void say({ answer: given });
    }, 1000);
  } else if (given) {
    const { [given.question]: _, ...rest } = state.kept.value;
    state.kept.value = rest;
    keepAnswers();
    state.refused.value = problem.detail;
  } else if (state.role.value === "lecturer" && problem.status !== 429) {
    store.showError({ title: "That did not work in the room", detail: problem.detail });
  }
}

// Following and leading.

/** Own ways of a student's. */
export function goOwn() {
  if (state.own.value || state.frozen.value || state.role.value !== "student") return;
  state.own.value = true;
  void say({ own: true });
}

/** Back to what the lecturer shows now. */
export function goBack() {
  state.own.value = false;
  state.called.value++;
  void say({ back: true });
}

/** Show what the lecturer shows, in this page's own size and theme. @param {AbortSignal} left */
function followView(left) {
  let last = "";
  const stop = effect(() => {
    const view = state.shown.value;
    const call = state.called.value;
    if (!view || !state.following.value) {
      last = "";
      return;
    }
    const now = `${call} ${JSON.stringify(view)}`;
    if (now === last) return;
    last = now;
    untracked(() => void show(view, () => now === last && !left.aborted));
  });
  left.addEventListener("abort", stop);
  const thaw = setInterval(() => {
    if (state.frozenUntil.value && Date.now() > state.frozenUntil.value) state.frozenUntil.value = 0;
  }, 500);
  left.addEventListener("abort", () => clearInterval(thaw));
}

/** @param {{hash: string, playing: boolean, at?: string}} view @param {() => boolean} current */
async function show(view, current) {
  const given = { ...link.read(view.hash), theme: store.theme.peek(), size: store.textSize.peek(), room: null };
  link.look(given, ["explore", given.view ?? "explore"]);
  await visit(given);
  if (!current()) return;
  if (!view.playing) store.pause();
  link.place(given);
  if (view.playing && !store.playing.peek()) {
    if (view.at) store.goToPlace(view.at);
    store.play();
  }
}

/**
 * A lecturer's page tells what it shows, ten times a second at most; while it plays, where it is now and then.
 * @param {AbortSignal} left
 */
function leadView(left) {
  let told = "";
  let timer = 0;
  const tell = () => {
    timer = 0;
    const hash = link.write({ without: ["room", "theme", "size"] });
    const playing = store.playing.peek();
    const view = { hash, playing, ...(playing ? { at: link.position() ?? undefined } : {}) };
    const now = JSON.stringify(view);
    if (now === told || state.role.peek() !== "lecturer" || state.link.peek().state !== "open") return;
    told = now;
    void say({ view });
  };
  const stop = effect(() => {
    if (state.role.value !== "lecturer" || state.link.value.state !== "open") return;
    link.write({ without: ["room", "theme", "size"] });
    if (store.playing.value) void store.phase.value;
    timer ||= window.setTimeout(tell, VIEW);
  });
  left.addEventListener("abort", () => {
    stop();
    clearTimeout(timer);
  });
}

/**
 * The exercises that can be asked.
 * @returns {Promise<{name: string, title: string, kind: string, lesson: number}[]>}
 */
export const exercises = () => get("api/exercises");
/** An exercise with its numbers. @param {string} name @param {number} seed */
export const exercise = (name, seed) => get(`api/exercises/${encodeURIComponent(name)}?seed=${seed}`);
