// Scores as the server writes them, for chains of layers: only what the browser's geometry and clock look at.

const axis = (letters, offset = 0, pitch = 1) => ({ pitch, offset, letters });
const plain = (...letters) => letters.map(letter => axis({ [letter]: 1 }));

/**
 * @param {[name: string, shape: number[], what: "slide"|"cell"|"view"|"dense", parameters?: Record<string,
 *   number[]>][]} layers
 * @param {{input: number[], shares?: boolean}} options
 */
export function chain(layers, { input, shares = true }) {
  const timeline = {
    layers: [{ name: "input", op: "", title: "input", inputs: [], shape: input, parameters: {}, view: false }],
    tensors: {
      "input/y": { shape: [1, ...input], kind: "value", title: "input" },
      "target/y": { shape: [1], kind: "value", title: "label" },
    },
    aliases: {},
    phases: [],
  };
  const kindOf = place => (/_next$/.test(place) ? "weight" : /\/d/.test(place) ? "gradient" : "value");
  const write = (place, part, label, shape, reads = [], bound = {}, view = false) => {
    const [layer, tensor] = place.split("/");
    const letters = { 1: ["o"], 2: ["n", "k"], 4: ["n", "o", "i", "j"] }[shape.length] ?? [];
    const parameters = layers.find(([name]) => name === layer)?.[3] ?? {};
    timeline.tensors[place] = {
      shape,
      kind: kindOf(place),
      title: place,
      whole: tensor.replace(/^d|_next$/g, "") in parameters,
    };
    timeline.phases.push({
      place,
      layer,
      tensor,
      part,
      label,
      kind: kindOf(place),
      shape,
      view,
      reads,
      bound,
      free: Object.fromEntries(letters.map((letter, k) => [letter, shape[k]])),
    });
  };
  const read = (name, tensor, axes) => ({ name, tensor, kind: "value", role: "factor", axes });
  const names = ["input", ...layers.map(([name]) => name), "loss"];
  names.slice(1).forEach((name, k) => {
    timeline.aliases[`${name}/x`] = `${names[k]}/y`;
    timeline.aliases[`${names[k]}/dy`] = `${name}/dx`;
  });
  for (const [name, shape, what, parameters = {}] of layers) {
    timeline.layers.push({
      name,
      op: what,
      title: name,
      inputs: [names[names.indexOf(name) - 1]],
      shape,
      parameters,
      view: what === "view",
    });
    for (const [parameter, size] of Object.entries(parameters))
      timeline.tensors[`${name}/${parameter}`] = { shape: size, kind: "weight", title: name, whole: true };
    const x = timeline.aliases[`${name}/x`];
    const taps = parameters.w?.slice(2) ?? [];
    if (what === "slide") {
      write(
        `${name}/y`,
        "forward",
        name,
        [1, ...shape],
        [
          read("x", x, [...plain("n", "c"), axis({ i: 1, u: 1 }), axis({ j: 1, v: 1 })]),
          read("w", `${name}/w`, plain("o", "c", "u", "v")),
        ],
        { c: parameters.w[1], u: taps[0], v: taps[1] },
      );
    } else if (what === "dense") {
      write(
        `${name}/y`,
        "forward",
        name,
        [1, ...shape],
        [read("x", x, plain("n", "c")), read("w", `${name}/w`, plain("k", "c"))],
        { c: parameters.w[1] },
      );
    } else {
      const axes =
        what === "view"
          ? timeline.tensors[x].shape.map(() => null)
          : plain("n", "o", "i", "j").slice(0, shape.length + 1);
      write(`${name}/y`, "forward", name, [1, ...shape], [read("x", x, axes)], {}, what === "view");
    }
  }
  const last = layers.at(-1);
  if (shares) write("loss/p", "loss", "softmax", [1, ...last[1]], [read("x", `${last[0]}/y`, plain("n", "k"))]);
  write("loss/y", "loss", "loss", []);
  write("loss/dx", "backward", "first", [1, ...last[1]]);
  for (const [name, , what, parameters = {}] of [...layers].reverse()) {
    const x = timeline.tensors[timeline.aliases[`${name}/x`]].shape;
    const dy = timeline.aliases[`${name}/dy`];
    const rank = timeline.tensors[dy].shape.length;
    write(
      `${name}/dx`,
      "backward",
      parameters.w ? `${name} δ` : name,
      x,
      [read("dy", dy, Array(rank).fill(null))],
      {},
      what === "view",
    );
    for (const [parameter, size] of Object.entries(parameters))
      write(`${name}/d${parameter}`, "backward", parameter, size);
  }
  for (const [name, , , parameters = {}] of layers) {
    for (const [parameter, size] of Object.entries(parameters))
      write(`${name}/${parameter}_next`, "update", "update", size);
  }
  return timeline;
}

const slide = (name, out, input, size, side) => [
  name,
  [out, side, side],
  "slide",
  { w: [out, input, size, size], b: [out] },
];
const cell = (name, ...shape) => [name, shape, "cell"];
const dense = (name, out, input) => [name, [out], "dense", { w: [out, input], b: [out] }];

export const classroom = () =>
  chain(
    [
      slide("a", 8, 1, 3, 26),
      cell("b", 8, 26, 26),
      cell("c", 8, 13, 13),
      slide("d", 16, 8, 3, 11),
      cell("e", 16, 11, 11),
      cell("f", 16, 5, 5),
      ["row", [400], "view"],
      dense("g", 10, 400),
    ],
    { input: [1, 28, 28] },
  );

export const deep = () =>
  chain(
    [
      slide("a", 6, 1, 5, 28),
      cell("b", 6, 28, 28),
      cell("c", 6, 14, 14),
      slide("d", 16, 6, 5, 10),
      cell("e", 16, 10, 10),
      cell("f", 16, 5, 5),
      ["row", [400], "view"],
      dense("g", 120, 400),
      cell("h", 120),
      dense("i", 84, 120),
      cell("j", 84),
      dense("k", 10, 84),
    ],
    { input: [1, 28, 28] },
  );

export const tiny = () =>
  chain(
    [
      ["a", [1, 2, 2], "slide", { w: [1, 1, 2, 2] }],
      cell("b", 1, 1, 1),
      ["row", [1], "view"],
      ["c", [1], "dense", { w: [1, 1] }],
    ],
    { input: [1, 4, 4], shares: false },
  );

export const wide = () =>
  chain([slide("a", 40, 3, 3, 30), ["row", [36000], "view"], dense("b", 10, 36000)], { input: [3, 32, 32] });
