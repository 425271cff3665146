/**
 * A network document as it is edited: layers in an order in which each comes after those that it reads. Every function
 * answers a new document. Here `inputs` are always written out; `compact` leaves out those that go without saying.
 */

/** @param {any} given a document as presets, runs and files have it @returns {NetworkDocument} */
export function whole({ input, layers, loss }) {
  return {
    input: [...input],
    layers: layers.map((/** @type {any} */ layer, /** @type {number} */ k) => ({
      name: layer.name,
      op: layer.op,
      settings: { ...layer.settings },
      inputs: [...(layer.inputs ?? [k ? layers[k - 1].name : "input"])],
    })),
    loss: typeof loss === "string" ? { op: loss, settings: {} } : { settings: {}, ...loss },
  };
}

/** The document as the server and files have it, without what goes without saying. @param {NetworkDocument} network */
export const compact = ({ input, layers, loss }) => ({
  input,
  layers: layers.map(({ name, op, settings, inputs }, k) => ({
    name,
    op,
    ...(Object.keys(settings).length ? { settings } : {}),
    ...(inputs.length === 1 && inputs[0] === (k ? layers[k - 1].name : "input") ? {} : { inputs }),
  })),
  loss: Object.keys(loss.settings).length ? loss : loss.op,
});

/** @param {NetworkDocument} network @param {string} name */
export const indexOf = ({ layers }, name) => layers.findIndex(layer => layer.name === name);

/** @param {NetworkDocument} network @param {string} name */
export const layerOf = ({ layers }, name) => layers.find(layer => layer.name === name);

/** A name that no layer has yet: the op's without its dimensions, and a number. @param {NetworkDocument} network */
export function freshName({ layers }, /** @type {string} */ op) {
  const stem = op.replace(/2d$/, "");
  const taken = new Set(layers.map(({ name }) => name));
  for (let k = 1; ; k++) if (!taken.has(`${stem}${k}`)) return `${stem}${k}`;
}

/** The settings that a new layer begins with: examples of those it needs. @param {any} schema JSON Schema */
export const startingSettings = schema =>
  Object.fromEntries((schema.required ?? []).map((/** @type {string} */ key) => [key, usual(schema.properties[key])]));

/** @param {any} property */
const usual = property => property.examples?.[0] ?? property.default ?? property.minimum ?? 1;

/** @param {string[]} inputs @param {string} from @param {string} to the first that is `from` becomes `to` */
const rewired = (inputs, from, to) => {
  const at = inputs.indexOf(from);
  return at < 0 ? inputs : inputs.with(at, to);
};

/** The first layer that reads one, in the order of the list. @param {NetworkDocument} network */
export const mainReader = ({ layers }, /** @type {string} */ name) => layers.find(layer => layer.inputs.includes(name));

/**
 * A layer in front of the next one that reads `after`; skips from there stay. Behind the last layer it is the new last.
 * Where `before` is named, it comes onto the edge that leads there.
 * @param {NetworkDocument} network
 * @param {{op: string, settings: any, after: string, before?: string, reads?: number, others?: string[]}} layer
 * `others`: what it reads besides, if it reads several and they come before it
 * @returns {{network: NetworkDocument, name: string}}
 */
export function insert(network, { op, settings, after, before, reads = 1, others = [] }) {
  const name = freshName(network, op);
  const reader = before ? layerOf(network, before) : mainReader(network, after);
  const at = before ? indexOf(network, before) : indexOf(network, after) + 1;
  const inputs = [after];
  const earlier = [
    ...network.layers
      .slice(0, at)
      .map(layer => layer.name)
      .reverse(),
    "input",
  ];
  const wished = [...others.filter(each => earlier.includes(each)), ...earlier];
  for (const other of wished) if (inputs.length < reads && !inputs.includes(other)) inputs.push(other);
  while (inputs.length < reads) inputs.push(after);
  const layers = network.layers.map(layer =>
    layer === reader ? { ...layer, inputs: rewired(layer.inputs, after, name) } : layer,
  );
  layers.splice(at, 0, { name, op, settings, inputs });
  return { network: { ...network, layers }, name };
}

/**
 * What nobody reads goes too, back to where it branched off; never the last layer.
 * @param {NetworkDocument["layers"]} layers
 */
function pruned(layers) {
  for (;;) {
    const read = new Set(layers.flatMap(({ inputs }) => inputs));
    const kept = layers.filter(({ name }, k) => k === layers.length - 1 || read.has(name));
    if (kept.length === layers.length) return layers;
    layers = kept;
  }
}

/** What reads the layer reads what it read. @param {NetworkDocument} network @param {string} name */
function lifted(network, name) {
  const layer = layerOf(network, name);
  if (!layer) return network.layers;
  return network.layers
    .filter(each => each !== layer)
    .map(each => ({ ...each, inputs: each.inputs.map(input => (input === name ? layer.inputs[0] : input)) }));
}

/** @param {NetworkDocument} network @param {string} name @returns {NetworkDocument} */
export const remove = (network, name) => ({ ...network, layers: pruned(lifted(network, name)) });

/**
 * A layer taken out and put behind another; null where what it reads would come after it.
 * @param {NetworkDocument} network @param {string} name @param {string} after
 * @returns {NetworkDocument|null}
 */
export function moveAfter(network, name, after) {
  const layer = layerOf(network, name);
  if (!layer || after === name || layer.inputs[0] === after) return null;
  const rest = { ...network, layers: lifted(network, name) };
  const at = indexOf(rest, after) + 1;
  const earlier = new Set(["input", ...rest.layers.slice(0, at).map(each => each.name)]);
  if (!earlier.has(after) || layer.inputs.slice(1).some(input => !earlier.has(input))) return null;
  const reader = mainReader(rest, after);
  const skipped = network.layers.filter(each => each.inputs.includes(name) && each !== mainReader(network, name));
  const layers = rest.layers.map((each, k) => {
    if (each === reader) return { ...each, inputs: rewired(each.inputs, after, name) };
    const skip = skipped.find(old => old.name === each.name);
    return skip && k >= at ? { ...each, inputs: skip.inputs } : each;
  });
  layers.splice(at, 0, { ...layer, inputs: [after, ...layer.inputs.slice(1)] });
  return { ...network, layers };
}

/**
 * A layer one place to the left or right; null where there is none to go to.
 * @param {NetworkDocument} network @param {string} name @param {1|-1} by
 */
export function move(network, name, by) {
  const layer = layerOf(network, name);
  if (!layer) return null;
  if (by > 0) {
    const next = mainReader(network, name);
    return next ? moveAfter(network, name, next.name) : null;
  }
  const before = layerOf(network, layer.inputs[0]);
  return before ? moveAfter(network, name, before.inputs[0]) : null;
}

/**
 * A skip: what `from` puts out joins what `to` puts out, in a new layer behind `to`.
 * @param {NetworkDocument} network @param {string} from @param {string} to @param {{op: string, settings: any}} join
 * @returns {{network: NetworkDocument, name: string}|null} null where `to` does not come after `from`
 */
export function branch(network, from, to, join) {
  if (indexOf(network, to) <= indexOf(network, from)) return null;
  const made = insert(network, { ...join, after: to });
  const layers = made.network.layers.map(layer =>
    layer.name === made.name ? { ...layer, inputs: [to, from] } : layer,
  );
  return { network: { ...made.network, layers }, name: made.name };
}

/** @param {NetworkDocument} network @param {string} name @param {Partial<NetworkDocument["layers"][0]>} change */
const changed = (network, name, change) => ({
  ...network,
  layers: network.layers.map(layer => (layer.name === name ? { ...layer, ...change } : layer)),
});

/**
 * A setting of a layer or of the loss; undefined takes it back to what goes without saying.
 * @param {NetworkDocument} network @param {string} name @param {string} key @param {any} value
 * @returns {NetworkDocument}
 */
export function set(network, name, key, value) {
  const owner = name === "loss" ? network.loss : layerOf(network, name);
  const { [key]: _, ...others } = owner?.settings ?? {};
  const settings = value === undefined ? others : { ...others, [key]: value };
  return name === "loss" ? { ...network, loss: { ...network.loss, settings } } : changed(network, name, { settings });
}

/**
 * Another op in a layer's place: settings that both know stay.
 * @param {NetworkDocument} network @param {string} name
 * @param {{name: string, layer_settings: any, inputs: {least: number, most: number}|null}} op
 * @returns {NetworkDocument}
 */
export function become(network, name, op) {
  const known = op.layer_settings.properties;
  const kept = (/** @type {any} */ settings) =>
    Object.fromEntries(Object.entries(settings).filter(([key]) => key in known));
  if (name === "loss") return { ...network, loss: { op: op.name, settings: kept(network.loss.settings) } };
  const layer = layerOf(network, name);
  if (!layer) return network;
  const { least, most } = op.inputs ?? { least: 1, most: 1 };
  const inputs = layer.inputs.slice(0, most);
  while (inputs.length < least) inputs.push(inputs[0]);
  const settings = { ...startingSettings(op.layer_settings), ...kept(layer.settings) };
  const next = changed(network, name, { op: op.name, settings, inputs });
  return { ...next, layers: pruned(next.layers) };
}

/** @param {NetworkDocument} network @param {string} name @param {string[]} inputs @returns {NetworkDocument} */
export function read(network, name, inputs) {
  const next = changed(network, name, { inputs });
  return { ...next, layers: pruned(next.layers) };
}

/** @param {NetworkDocument} network @param {string} name @param {string} to @returns {NetworkDocument} */
export const rename = (network, name, to) => ({
  ...network,
  layers: network.layers.map(layer => ({
    ...layer,
    name: layer.name === name ? to : layer.name,
    inputs: layer.inputs.map(input => (input === name ? to : input)),
  })),
});

/**
 * What is read from further back than the layer before: from, to, and a lane in which it runs beneath the others.
 * @param {NetworkDocument} network @returns {{from: string, to: string, lane: number}[]}
 */
export function skips(network) {
  const at = (/** @type {string} */ name) => indexOf(network, name);
  const found = network.layers
    .flatMap((layer, k) => layer.inputs.filter(input => at(input) !== k - 1).map(from => ({ from, to: layer.name })))
    .sort((a, b) => at(a.to) - at(a.from) - (at(b.to) - at(b.from)));
  /** @type {{from: string, to: string, lane: number}[]} */
  const placed = [];
  for (const { from, to } of found) {
    const meets = placed.filter(other => at(other.from) < at(to) && at(from) < at(other.to)).map(({ lane }) => lane);
    let lane = 0;
    while (meets.includes(lane)) lane += 1;
    placed.push({ from, to, lane });
  }
  return placed;
}

/**
 * Blocks that can be folded into one column: layers from behind a fork to the join at which all its ways meet again,
 * and else stretches over which `sizeOf` a layer stays the same. Blocks do not overlap.
 * @param {NetworkDocument} network @param {(name: string) => string} sizeOf
 * @returns {{name: string, layers: string[]}[]} called by their last layer
 */
export function blocks(network, sizeOf) {
  const { layers } = network;
  /** Index of the layer that all ways to a layer go through last. @type {number[]} */
  const gate = [];
  for (const [k, layer] of layers.entries()) {
    const ways = layer.inputs.map(input => indexOf(network, input));
    let common = ways[0];
    for (const way of ways.slice(1)) {
      let other = way;
      while (common !== other) {
        if (common > other) common = gate[common] ?? -1;
        else other = gate[other] ?? -1;
      }
    }
    gate[k] = common;
  }
  /** @type {[number, number][]} */
  let found = layers.flatMap(({ inputs }, k) =>
    inputs.length > 1 && k - gate[k] > 2 ? [/** @type {[number, number]} */ ([gate[k] + 1, k])] : [],
  );
  found = found.filter(([a, b], n) => !found.some(([c, d], m) => m !== n && c <= a && b <= d));
  found = found.filter(([a], n) => !found.some(([, d], m) => m < n && a <= d));
  if (!found.length) {
    let start = 0;
    for (let k = 1; k <= layers.length; k++) {
      if (k < layers.length && sizeOf(layers[k].name) === sizeOf(layers[start].name)) continue;
      if (k - start > 2) found.push([start, k - 1]);
      start = k;
    }
  }
  return found.map(([a, b]) => ({ name: layers[b].name, layers: layers.slice(a, b + 1).map(({ name }) => name) }));
}

/** @param {unknown} value @returns {string} as people write it: 3, 2 × 3, yes */
export function written(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return new Set(value).size === 1 ? String(value[0]) : value.join(" × ");
  return String(value);
}

/**
 * What somebody typed into a setting: a number, several, or a word; null where it is nothing of the kind.
 * @param {string} text
 */
export function typed(text) {
  const parts = text.trim().split(/\s*[×x,;]\s*|\s+/i);
  const numbers = parts.map(part => Number(part.replace("−", "-")));
  if (text.trim() === "" || numbers.some(number => !Number.isFinite(number))) return null;
  return numbers.length === 1 ? numbers[0] : numbers;
}

/** A list of equal numbers is that number. @param {any} value */
const short = value => (Array.isArray(value) && new Set(value).size === 1 ? value[0] : value);

/**
 * Whether two documents make the same network, though one writes out what goes without saying in the other.
 * @param {NetworkDocument} a @param {NetworkDocument} b @param {(op: string) => any} schemaOf settings of an op
 */
export function alike(a, b, schemaOf) {
  const plain = (/** @type {NetworkDocument} */ { input, layers, loss }) => {
    const settled = (/** @type {{op: string, settings: any}} */ { op, settings }) =>
      Object.entries(schemaOf(op)?.properties ?? {}).map(([key, property]) => [
        key,
        short(settings[key] ?? /** @type {any} */ (property).default ?? null),
      ]);
    const each = layers.map(layer => [layer.name, layer.op, layer.inputs, settled(layer)]);
    return JSON.stringify([input, each, loss.op, settled(loss)]);
  };
  return plain(a) === plain(b);
}
