/** The stream of a run that trains: one socket, whose frames go into the store as fast as they are drawn. */

import { batch } from "@preact/signals-core";

import { decode } from "../codec.js";
import { excerptOf, tensorsIn } from "../excerpt.js";
import { living } from "../score.js";
import * as store from "../store.js";
import { Refused, complain, streamOf } from "./requests.js";

/** @type {WebSocket|null} */
let socket = null;
let streamed = "";

/** The stream follows the run that is looked at: open while it trains, closed when it stands. */
export function follow() {
  const run = store.run.value;
  if (run?.state !== "running") close();
  else if (!socket || streamed !== run.id) open(run.id);
}

/** @param {string} id */
function open(id) {
  close();
  streamed = id;
  const opened = (socket = new WebSocket(streamOf(id)));
  opened.binaryType = "arraybuffer";
  opened.onopen = subscribe;
  opened.onmessage = ({ data }) => {
    if (opened !== socket) return;
    if (typeof data === "string") refused(JSON.parse(data).problem);
    else show(data, opened, id);
  };
  opened.onclose = () => {
    if (opened !== socket) return;
    socket = null;
    store.streaming.value = false;
    if (store.run.value?.state === "running")
      setTimeout(() => store.run.value?.id === id && !store.away.value && follow(), 1000);
  };
}

/** A frame that the server cannot make: what is on the screen stays, and the reason is said. @param {any} problem */
function refused(problem) {
  store.streaming.value = false;
  complain(new Refused(problem.status, problem));
}

/** @param {ArrayBuffer} data @param {WebSocket} opened @param {string} id */
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
    if (opened.readyState === WebSocket.OPEN) opened.send(JSON.stringify({ seen: header.step }));
  });
}

function close() {
  const old = socket;
  socket = null;
  streamed = "";
  old?.close();
  store.streaming.value = false;
}

/** Ask for what is shown, for the image that is looked at. */
export function subscribe() {
  const training = store.view.value === "train";
  const score = store.score.value;
  const source = store.source.value;
  if (!score || socket?.readyState !== WebSocket.OPEN) return;
  socket.send(
    JSON.stringify({
      subscribe: training ? tensorsIn(excerptOf(score)) : living(score, store.position.value && store.phase.value),
      sample: source?.kind === "step" ? source.sample : 0,
      ...(source?.kind === "pass" ? { image: named(source) } : {}),
    }),
  );
}

/** Put a frame's tensors into the store. @param {any} header @param {Sent[]} blocks @param {boolean} whole */
export function take(header, blocks, whole) {
  const info = store.score.value?.tensors ?? {};
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
