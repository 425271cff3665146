/**
 * The stream of a run that trains: one socket, whose frames go into the store as fast as they are drawn. Where none
 * opens, as behind some proxies, an event stream says when there is a newer frame; where that is held back, too, the
 * newest is asked for every second.
 */

import { batch } from "@preact/signals-core";

import { decode } from "../core/codec.js";
import { liveTensorsOf, tensorsIn } from "../core/live_tensors.js";
import { living } from "../core/timeline.js";
import * as store from "../state/store.js";
import { Refused, ask, showError, eventsOf, streamOf, tell } from "./requests.js";

/** @type {WebSocket|null} */
let socket = null;
let streamed = "";
/** Sockets that closed before they opened, one after the other. */
let blocked = 0;
/** Takes back what was said of sockets that do not open. */
let opens = () => {};
/** @type {{id: string, events: EventSource, stop: AbortController}|null} */
let fallback = null;
const TRIES = 2;
/** Milliseconds after which a socket is tried again, where none opened. */
const AGAIN = 30_000;

/** The stream follows the run that is looked at: open while it trains, closed when it stands. */
export function follow() {
  const run = store.run.value;
  if (run?.state !== "running") close();
  else if (blocked >= TRIES) watch(run.id);
  else if (!socket || streamed !== run.id) open(run.id);
}

/** @param {string} id */
function open(id) {
  close();
  streamed = id;
  const opened = (socket = new WebSocket(streamOf(id)));
  opened.binaryType = "arraybuffer";
  let works = false;
  opened.onopen = () => {
    works = true;
    blocked = 0;
    opens();
    subscribe();
  };
  opened.onmessage = ({ data }) => {
    if (opened !== socket) return;
    if (typeof data === "string") refused(JSON.parse(data).problem);
    else show(data, opened, id);
  };
  opened.onclose = async () => {
    if (opened !== socket) return;
    socket = null;
    store.streaming.value = false;
    const wait = works || store.offline.value || (await isBlocked(id)) ? 1000 : 5000;
    if (store.run.value?.state === "running")
      setTimeout(() => store.run.value?.id === id && !store.offline.value && follow(), wait);
  };
}

/**
 * Whether no socket opens here although the server would have it; what the server refuses is said. A page cannot read
 * the answer to a socket's handshake, so it asks the same address once more. @param {string} id
 */
async function isBlocked(id) {
  const reason = await ask(`api/runs/${encodeURIComponent(id)}/stream`).catch(error => error);
  if (reason instanceof Refused && reason.status !== 426) {
    if (reason.status !== 404) opens = showError(reason); // a run that is gone is told of where runs are asked for
    return false;
  }
  if (++blocked === TRIES)
    opens = tell({
      title: "Live frames come by another way",
      detail: "no WebSocket opens here, perhaps because of a proxy: they are fewer",
    });
  return true;
}

/** A frame that the server cannot make: what is on the screen stays, and the reason is said. @param {any} problem */
function refused(problem) {
  store.streaming.value = false;
  showError(new Refused(problem.status, problem));
}

/** @param {ArrayBuffer} data @param {WebSocket|null} opened @param {string} id */
function show(data, opened, id) {
  const { header, blocks } = decode(data);
  batch(() => {
    store.streaming.value = true;
    const run = store.run.value;
    if (run?.id === id) {
      const { step, loss, accuracy, epoch, images_seen, images_per_second } = header;
      const facts = { step, loss, accuracy, epoch, images_seen, images_per_second, state: header.state ?? run.state };
      store.run.value = {
        ...run,
        ...Object.fromEntries(Object.entries(facts).filter(([, fact]) => fact !== undefined)),
      };
      store.step.value = step;
    }
    if (header.label !== undefined) store.label.value = header.label;
    take(header, blocks, false);
  });
  requestAnimationFrame(() => {
    if (opened?.readyState === WebSocket.OPEN) opened.send(JSON.stringify({ seen: header.step }));
  });
}

/** Frames without a socket. @param {string} id */
function watch(id) {
  if (fallback?.id === id) return;
  close();
  const events = new EventSource(eventsOf(id));
  const stop = new AbortController();
  const own = (fallback = { id, events, stop });
  let shown = -1;
  let busy = false;
  const next = async () => {
    const subscription = subscribed();
    if (busy || fallback !== own || !subscription) return;
    busy = true;
    try {
      const names = encodeURIComponent(subscription.subscribe.join(","));
      const path = `api/runs/${encodeURIComponent(id)}/frame?tensors=${names}&sample=${subscription.sample}`;
      const frame = await ask(path, { signal: stop.signal }).then(answer => answer.arrayBuffer());
      const { header } = decode(frame);
      if (fallback === own && header.step !== shown) {
        shown = header.step;
        show(frame, null, id);
      }
    } catch (error) {
      if (fallback === own) showError(error);
    } finally {
      busy = false;
    }
  };
  events.onmessage = next;
  const timer = setInterval(() => events.readyState !== EventSource.OPEN && next(), 1000);
  const tries = setInterval(() => {
    const tried = new WebSocket(streamOf(id));
    tried.onopen = () => {
      tried.close();
      if (fallback !== own) return;
      blocked = 0; // another network, or another setting of the proxy
      follow();
    };
  }, AGAIN);
  stop.signal.addEventListener("abort", () => [timer, tries].forEach(clearInterval));
}

function close() {
  fallback?.events.close();
  fallback?.stop.abort();
  fallback = null;
  const old = socket;
  socket = null;
  streamed = "";
  old?.close();
  store.streaming.value = false;
}

/** What is shown, for the image that is looked at; null before there is anything. */
function subscribed() {
  const training = store.view.value === "train";
  const timeline = store.timeline.value;
  const source = store.source.value;
  if (!timeline) return null;
  return {
    subscribe: training
      ? tensorsIn(liveTensorsOf(timeline))
      : living(timeline, store.position.value && store.phase.value),
    sample: source?.kind === "step" ? source.sample : 0,
    ...(source?.kind === "pass" ? { image: named(source) } : {}),
  };
}

/** Ask for it. */
export function subscribe() {
  const subscription = subscribed();
  if (subscription && socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(subscription));
}

/** Put a frame's tensors into the store. @param {any} header @param {Sent[]} blocks @param {boolean} whole */
export function take(header, blocks, whole) {
  const info = store.timeline.value?.tensors ?? {};
  const tensors = whole ? new Map() : new Map(store.tensors.value);
  for (const { layer, tensor, shape, data } of blocks) {
    const prefix = `${layer}/${tensor}`;
    tensors.set(prefix, { shape, data, kind: info[prefix]?.kind ?? "value" });
  }
  store.tensors.value = tensors;
  store.frame.value = header;
}

/** An image as the server is told of it. @param {Extract<Source, {kind: "pass"}>} source */
export const named = ({ drawn, x, target, dataset, split, index }) =>
  drawn ? { x, target } : { dataset, split, index };
