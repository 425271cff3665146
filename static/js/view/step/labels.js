/** How letters of a sentence are called on the screen. */

import { termsOf } from "../../core/figure.js";
import { alone, count, timeLeft } from "../../core/format.js";
import { axisWords } from "../../core/place.js";
import { constant } from "../../core/printed.js";
import { infoOf, nameOf, timeline, tensorOf } from "../../state/store.js";
import { plain } from "./symbol.js";

/**
 * What a summed letter counts: the axis of the values it runs along.
 * @param {Phase} phase @param {string} letter
 */
export function axisWord(phase, letter) {
  const reads = [...phase.reads].sort((a, b) => Number(a.kind === "weight") - Number(b.kind === "weight"));
  for (const read of reads) {
    const axis = read.axes.findIndex(form => form && letter in form.letters);
    const info = infoOf(read.tensor);
    if (axis >= 0 && info) return axisWords(info.shape, read.kind)[axis] ?? letter;
  }
  return letter;
}

/**
 * The named intermediates that no earlier phase of the layer has already shown.
 * @param {Phase} phase
 */
export function freshSteps(phase) {
  const earlier = (timeline.value?.phases ?? []).filter(other => other.layer === phase.layer);
  const before = new Set(
    earlier
      .slice(
        0,
        earlier.findIndex(({ place }) => place === phase.place),
      )
      .flatMap(({ steps }) => steps.map(({ name }) => name)),
  );
  return phase.steps.filter(({ name }) => !before.has(name));
}

/** Whether a summed letter runs along the rows or columns of a map. @param {Phase} phase @param {string} letter */
export const inPlane = (phase, letter) =>
  phase.reads.some(({ axes }) => axes.length === 4 && axes.slice(2).some(axis => axis && letter in axis.letters));

/**
 * A term by the numbers of its letters; one of many images by its number.
 * @param {Phase} phase @param {Record<string, number>} at @param {number} total how many terms there are
 */
export function termName(phase, at, total) {
  const batch = total > termsOf(phase) + 2;
  const letters = Object.keys(phase.bound).filter(
    letter => letter in at && (phase.bound[letter] > 1 || (batch && axisWord(phase, letter) === "image")),
  );
  return letters
    .map(letter => `${axisWord(phase, letter)} ${at[letter]}`)
    .join(", ")
    .replace("column", "col");
}

/**
 * The name of what a factor was read from, as its equation writes it.
 * @param {Factor} factor
 * @param {Phase|null} phase
 */
export function factorName({ tensor, over, made }, phase) {
  if (over || made) return byHand(over ?? made?.text ?? "");
  const read = tensor && phase?.reads.find(each => nameOf(each.tensor) === tensor);
  return plain(read ? read.name : (tensor ?? "").slice((tensor ?? "").indexOf("/") + 1));
}

/** Why a factor that was read is zero without a cell. @param {Factor} factor @param {Phase|null} phase */
export const emptyWords = (factor, phase) =>
  `${factorName(factor, phase)} ${factor.gap ? "between two cells" : "outside the map"}: zero`;

/**
 * A value as it is printed where it stands alone: what counts something has no decimals.
 * @param {string} place
 * @param {number} value
 */
export const valueText = (place, value) => (tensorOf(place)?.data instanceof Int32Array ? count(value) : alone(value));

/** "sqrt(vhat) + 1e-08", "(x - t)**2" as they are written by hand. @param {string} text */
export const byHand = text =>
  text
    .replace(/\*\*(\d)/g, (_, power) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[power])
    .replaceAll("*", "·")
    .replaceAll("/", " ÷ ")
    .replaceAll(" - ", " − ")
    .replace(/sqrt\((\w+)\)/g, "√$1")
    .replace(/[a-z_]\w*/g, plain)
    .replace(/\d+(\.\d+)?e-\d+/g, number => constant(Number(number), false).text.replace(/^1×/, ""));

/** A term as it is written: "e ÷ z", "−0.03·v′". @param {Entry} entry @param {Phase|null} phase */
export function termText({ factors }, phase) {
  const read = factors.filter(each => !each.constant);
  const text = read
    .map((each, k) => {
      const name = each.over ? `(${factorName(each, phase)})` : factorName(each, phase);
      return `${each.divisor ? (k ? " ÷ " : "1 ÷ ") : k ? "·" : ""}${name}`;
    })
    .join("");
  const number = factors.find(each => each.constant);
  if (!number || !text) return text;
  const put = constant(number.value, phase?.part !== "update").text;
  return put.startsWith("÷") ? `${text} ${put}` : put === "1" ? text : put === "−1" ? `−${text}` : `${put}·${text}`;
}

/** How compiling stands, for whoever waits. @param {Compiling} compiling */
export const compilingWords = ({ done, total, seconds_left }) =>
  `Preparing the arithmetic for this machine, on a first start only${
    seconds_left ? `: ${timeLeft(seconds_left)}` : ""
  }.${total ? ` ${done} of ${total} parts are ready.` : ""}`;
