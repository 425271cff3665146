// What the live strip shows of a network: chosen from the timeline by shape and kind alone.

const nameOf = (/** @type {Phase} */ phase) => `${phase.layer}/${phase.tensor}`;
const sizeOf = (/** @type {Phase} */ phase) => phase.shape.slice(1).join("x");

/**
 * The image, the first kernels, the first and the last stack of maps, the answers. Layers that follow one another and
 * keep their shape are one stack, shown as its last layer leaves it; kernels (weights of two axes or more) begin a
 * stack,
 * and only such stacks count.
 * @param {Timeline} timeline @returns {LiveTensors}
 */
export function liveTensorsOf(timeline) {
  const kernels = (/** @type {Phase} */ phase) =>
    phase.reads.find(read => read.kind === "weight" && timeline.tensors[read.tensor].shape.length > 1)?.tensor;
  const forward = timeline.phases.filter(phase => phase.part === "forward" && !phase.view);
  /** @type {{size: string, learnt: boolean, last: Phase}[]} */
  const stacks = [];
  for (const phase of forward) {
    const open = stacks.at(-1);
    if (open && open.size === sizeOf(phase) && !kernels(phase)) open.last = phase;
    else stacks.push({ size: sizeOf(phase), learnt: Boolean(kernels(phase)), last: phase });
  }
  const maps = stacks.filter(stack => stack.learnt && stack.last.shape.length === 4).map(stack => nameOf(stack.last));
  const weights = forward.map(kernels).find(tensor => tensor !== undefined) ?? null;
  const answers =
    timeline.phases.find(phase => phase.part === "loss" && phase.shape.length === 2) ?? forward[forward.length - 1];
  return {
    input: "input/y",
    weights,
    maps: [...new Set([...maps.slice(0, 1), ...maps.slice(-1)])],
    answers: nameOf(answers),
  };
}

/** The tensors that the live strip shows, the loss among them. @param {LiveTensors} tensors @returns {string[]} */
export const tensorsIn = ({ input, weights, maps, answers }) => [
  input,
  ...(weights ? [weights] : []),
  ...maps,
  answers,
  "loss/y",
];
