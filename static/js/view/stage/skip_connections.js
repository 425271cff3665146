/**
 * Which layers feed which, where it is not simply the one before: shortcuts, branches, what is joined again.
 * The order of the layers alone decides which lane a connection takes, lanes being counted from the names upwards.
 */

import { source } from "../../core/timeline.js";

/** The layers that have a picture of their own, in the order of time. @param {Timeline} timeline */
const nodes = timeline =>
  timeline.layers.filter(({ name, view }) => !view && name !== "target" && name !== "loss").map(({ name }) => name);

/**
 * Layer and input, views being the layer that they show.
 * @param {Timeline} timeline
 * @returns {[from: string, to: string][]}
 */
function edges(timeline) {
  const drawn = new Set(nodes(timeline));
  return timeline.layers
    .filter(({ name }) => drawn.has(name))
    .flatMap(({ name, inputs }) =>
      inputs.map(input => /** @type {[string, string]} */ ([source(timeline, `${input}/y`).split("/")[0], name])),
    );
}

/** Layers that do not read the one before: there a branch begins. @param {Timeline} timeline @returns {Set<string>} */
export function branches(timeline) {
  const order = nodes(timeline);
  const all = edges(timeline);
  return new Set(order.filter((name, k) => k > 0 && !all.some(([from, to]) => to === name && from === order[k - 1])));
}

/**
 * One connection for each layer that others read than the next one. Short connections run low.
 * @param {Timeline} timeline
 * @returns {SkipConnection[]}
 */
export function skipConnections(timeline) {
  const order = nodes(timeline);
  const at = new Map(order.map((name, k) => [name, k]));
  const place = (/** @type {string} */ name) => at.get(name) ?? 0;
  /** @type {Map<string, string[]>} */
  const far = new Map();
  for (const [from, to] of edges(timeline)) {
    if (place(to) - place(from) > 1 && !far.get(from)?.includes(to)) far.set(from, [...(far.get(from) ?? []), to]);
  }
  const end = (/** @type {{to: string[]}} */ { to }) => Math.max(...to.map(place));
  const found = [...far].map(([from, to]) => ({ from, to, lane: 0 }));
  found.sort((a, b) => end(a) - place(a.from) - (end(b) - place(b.from)));
  found.forEach((connection, k) => {
    const beside = found
      .slice(0, k)
      .filter(other => place(other.from) < end(connection) && place(connection.from) < end(other));
    while (beside.some(({ lane }) => lane === connection.lane)) connection.lane++;
  });
  return found;
}

/**
 * Which way a phase sends something along a connection.
 * @param {Timeline} timeline
 * @param {SkipConnection} connection
 * @param {Phase} phase
 * @returns {"forward"|"backward"|""}
 */
export function carries(timeline, { from, to }, { part, layer, tensor, place }) {
  if (place === `${from}/dy`) return "backward";
  if (!to.includes(layer)) return "";
  if (part === "forward") return "forward";
  return part === "backward" && source(timeline, `${layer}/${tensor.slice(1)}`) === `${from}/y` ? "backward" : "";
}
