/** Which blocks of a long network are folded into one column each. */

import { computed } from "@preact/signals-core";

import { blocks } from "../../core/network_document.js";
import * as build from "../../state/build.js";

/** @typedef {{name: string, layers: string[], folded: boolean}} Shown */

/** Columns that stand side by side without folding. */
const FEW = 12;

const found = computed(() => {
  const document = build.network.value;
  if (!document || document.layers.length <= FEW) return [];
  return blocks(document, name => {
    const shape = build.described.value.get(name)?.figures?.shape;
    return shape?.length === 3 ? shape.slice(1).join() : name;
  });
});

/** Blocks that can be folded. */
export const shownBlocks = () => found.value;

/**
 * The columns from left to right; a folded block is one, called by its last layer. What is chosen, or does not fit, is
 * never hidden.
 * @returns {Shown[]}
 */
export function shownColumns() {
  const names = build.order.value;
  /** @type {Map<string, {name: string, layers: string[]}>} */
  const folded = new Map();
  for (const block of found.value) {
    const inside = block.layers.slice(0, -1);
    const seen = inside.includes(build.chosen.value) || block.layers.includes(build.misfit.value?.name ?? "");
    if ((build.folds.value[block.name] ?? true) && !seen) for (const layer of block.layers) folded.set(layer, block);
  }
  /** @type {(name: string) => Shown[]} */
  const columnsOf = name => {
    const block = folded.get(name);
    if (!block) return [{ name, layers: [], folded: false }];
    return block.name === name ? [{ name, layers: block.layers, folded: true }] : [];
  };
  return names.flatMap(columnsOf);
}
