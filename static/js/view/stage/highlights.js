/** Which tiles are ringed at a position: the one that is written, and those it reads. Pure, from the reads alone. */

import { around, cellBox, tileOf } from "./layout.js";
import { holds, ravel, sizeOf } from "../../core/place.js";
import { lettersAt, source } from "../../core/timeline.js";
import { cellsOf, lettersUsed } from "../../core/windows.js";

const MOST = 5000;

/**
 * The bound letter that only chooses (a map, a slice of the kernel) while others slide: it stands alone wherever it
 * is read. Null where nothing slides, or nothing is chosen.
 * @param {Phase} phase
 */
export function channelLetter(phase) {
  const many = Object.keys(phase.bound).filter(letter => phase.bound[letter] > 1);
  const alone = many.filter(letter =>
    phase.reads.every(({ axes }) =>
      axes.every(axis => !axis || !(letter in axis.letters) || Object.keys(axis.letters).length === 1),
    ),
  );
  return many.length > alone.length ? (alone[0] ?? null) : null;
}

/**
 * Flat cells of the stored tensor that a read touches for one written cell, with the channel held; null for all.
 * @param {Timeline} timeline @param {Phase} phase @param {number} cell @param {number} channel
 * @param {Read} read
 * @returns {number[]|null}
 */
export function touched(timeline, phase, cell, channel, read) {
  const info = timeline.tensors[read.tensor];
  if (!info || read.axes.length !== info.shape.length) return null;
  const letter = channelLetter(phase);
  const free = lettersAt(phase, cell);
  const bound = { ...phase.bound };
  if (letter) {
    free[letter] = Math.min(channel, phase.bound[letter] - 1);
    delete bound[letter];
  }
  if (sizeOf(Object.values(lettersUsed(read, bound))) > MOST) return null;
  return cellsOf(read, free, bound).flatMap(({ index }) => {
    const ends = [0, 1].map(far =>
      index.map((position, axis) => position ?? (read.axes[axis] ? -1 : far * (info.shape[axis] - 1))),
    );
    return ends.filter(end => holds(info.shape, end)).map(end => ravel(end, info.shape));
  });
}

/**
 * Boxes to ring at a position.
 * @param {Layout} stage @param {Timeline} timeline @param {Position} position @param {number} channel
 * @returns {{result: Box|null, reads: Box[]}}
 */
export function highlights(stage, timeline, position, channel) {
  const phase = timeline.phases[position.phase];
  const cell = Math.max(0, position.cell);
  const written = tilesBox(stage, timeline, phase.place, [cell]);
  const reads = phase.reads.flatMap(read => {
    const box = tilesBox(stage, timeline, read.tensor, touched(timeline, phase, cell, channel, read));
    return box ? [box] : [];
  });
  return { result: written, reads };
}

const LARGE = 3.5;

/**
 * The box around the tiles that hold some cells of a tensor, or around the cells themselves where they are large.
 * @param {Layout} stage
 * @param {Timeline} timeline
 * @param {string} prefix
 * @param {number[]|null} flats
 */
export function tilesBox(stage, timeline, prefix, flats) {
  const stored = source(timeline, prefix);
  const block = stage.blocks.find(each => each.prefix === stored || each.next === stored);
  if (!block) return null;
  if (flats === null) return around(block.tiles);
  const boxes = flats.flatMap(flat => {
    const tile = tileOf(block, flat);
    if (!tile) return [];
    return [tile.width / tile.cols >= LARGE ? cellBox(tile, flat) : tile];
  });
  return boxes.length ? around(boxes) : null;
}
