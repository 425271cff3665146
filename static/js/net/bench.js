/**
 * A bench: a call of an operator, or a pass through a small network, in place of a run. It has a timeline, tensors and
 * explanations of its own, so that the step view draws it as it draws a pass.
 */

import { at, parse, sizeOf } from "../core/place.js";
import { ownName } from "../core/timeline.js";
import { post, search } from "./requests.js";

/**
 * @typedef {{op?: string|null, settings?: Record<string, any>, tensors?: Record<string, any>, model?: string|null,
 *   parameters?: Record<string, any>|null, optimizer?: Record<string, any>|null}} Bench as a lesson has it
 */

/** Benches that were looked at. @type {Map<string, Promise<Source & {kind: "bench"}>>} */
const known = new Map();
const MOST = 60;

/** @param {Bench} bench @returns {Promise<Source & {kind: "bench"}>} */
export function benchOf(bench) {
  const key = JSON.stringify(bench);
  let made = known.get(key);
  if (!made) {
    made = bench.op ? call(bench.op, bench) : network(bench);
    made.catch(() => known.delete(key));
    known.set(key, made);
    if (known.size > MOST) known.delete(/** @type {string} */ (known.keys().next().value));
  }
  return made;
}

/**
 * @param {any} nested lists of numbers, or one @param {Kind} kind @returns {Tensor}
 */
function tensorFrom(nested, kind) {
  const shape = [];
  for (let level = nested; Array.isArray(level); level = level[0]) shape.push(level.length);
  const flat = Array.isArray(nested) ? nested.flat(Infinity) : [nested];
  return { shape, kind, data: kind === "index" ? Int32Array.from(flat) : Float32Array.from(flat.map(Number)) };
}

/** @param {Timeline} timeline @param {Record<string, any>} values by layer/tensor @returns {Map<string, Tensor>} */
function tensorsOf(timeline, values) {
  /** @type {Map<string, Tensor>} */
  const made = new Map();
  for (const [name, nested] of Object.entries(values)) {
    const own = ownName(timeline, name);
    const info = timeline.tensors[own];
    if (!info || nested === null || nested === undefined) continue;
    const tensor = tensorFrom(nested, info.kind);
    if (sizeOf(tensor.shape) === sizeOf(info.shape)) made.set(own, { ...tensor, shape: info.shape });
  }
  return made;
}

/** @param {string} op @param {Bench} bench @returns {Promise<Source & {kind: "bench"}>} */
async function call(op, { settings = {}, tensors = {} }) {
  const body = { settings, tensors };
  const path = `api/ops/${encodeURIComponent(op)}`;
  const timeline = /** @type {Timeline} */ (await post(`${path}/score`, body));
  const backward = timeline.phases.some(({ part }) => part === "backward");
  const answer = await post(`${path}/${backward ? "backward" : "forward"}`, body);
  const named = Object.fromEntries(
    Object.entries({ ...tensors, ...answer.tensors }).map(([name, value]) => [`${op}/${name}`, value]),
  );
  return {
    kind: "bench",
    timeline,
    tensors: tensorsOf(timeline, named),
    explain: async (place, options) => {
      const { layer, tensor, index } = parse(place);
      const told = await post(`${path}/explain${search(options)}`, { ...body, place: at(tensor, index) });
      return renamed(told, place, timeline, layer);
    },
  };
}

/** An explanation whose reads are named without their layer. @param {any} told @param {string} place
 * @param {Timeline} timeline @param {string} layer */
const renamed = (told, place, timeline, layer) => ({
  ...told,
  place,
  reads: told.reads.map((/** @type {ReadCell} */ read) => ({
    ...read,
    tensor: ownName(timeline, `${layer}/${read.tensor}`),
  })),
});

/** @param {Bench} bench @returns {Promise<Source & {kind: "bench"}>} */
async function network({ model, parameters, optimizer }) {
  const body = parameters ? { model, parameters } : { model };
  const timeline = /** @type {Timeline} */ (
    await post("api/networks/score", { model, ...(optimizer ? { optimizer: optimizer.name } : {}) })
  );
  const answer = await post("api/networks/gradients", body);
  /** @type {Record<string, any>} */
  const values = { ...answer.parameters };
  for (const [layer, tensors] of Object.entries(answer.layers))
    for (const [name, value] of Object.entries(/** @type {any} */ (tensors))) values[`${layer}/${name}`] = value;
  for (const [name, value] of Object.entries(answer.gradients)) values[gradientOf(name)] = value;
  const { name = "", ...settings } = optimizer ?? {};
  /** @param {string} parameter layer/w */
  const update = parameter => ({
    settings,
    tensors: { w: answer.parameters[parameter], dw: answer.gradients[parameter] },
  });
  if (optimizer)
    for (const parameter of Object.keys(answer.gradients)) {
      const { tensors } = await post(`api/optimizers/${encodeURIComponent(name)}/step`, update(parameter));
      values[`${parameter}_next`] = tensors.w;
    }
  return {
    kind: "bench",
    timeline,
    tensors: tensorsOf(timeline, values),
    explain: async (place, options) => {
      const { layer, tensor, index } = parse(place);
      if (!tensor.endsWith("_next"))
        return post(`api/networks/explain${search(options)}`, { ...body, place: at(`${layer}/${tensor}`, index) });
      const parameter = `${layer}/${tensor.slice(0, -5)}`;
      const path = `api/optimizers/${encodeURIComponent(name)}/explain${search(options)}`;
      const told = await post(path, { ...update(parameter), place: at("w_next", index) });
      return {
        ...told,
        place,
        reads: told.reads.map((/** @type {ReadCell} */ read) => ({
          ...read,
          tensor: read.tensor === "dw" ? gradientOf(parameter) : parameter,
        })),
      };
    },
  };
}

/** @param {string} parameter conv/w */
const gradientOf = parameter => parameter.replace("/", "/d");
