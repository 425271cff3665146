/** What a learner has done, kept in this browser alone. */

import { signal } from "@preact/signals";

const KEY = "convscope.learn";

/**
 * steps: those that were read, by lesson; guesses: the choice at each question, -1 where it was passed over; families:
 * how an exercise went: right answers in a row, whether it is solved, the next seed.
 * @typedef {{streak: number, solved: boolean, tries: number, seed: number, hinted: boolean}} Family
 * @typedef {{steps: Record<string, string[]>, guesses: Record<string, number>, families: Record<string, Family>,
 *   last: string|null, inventory: Record<string, Record<string, number>>, device: number}} Progress
 */

/** @returns {Progress} */
const fresh = () => ({
  steps: {},
  guesses: {},
  families: {},
  last: null,
  inventory: {},
  device: 1 + Math.floor(Math.random() * 999),
});

/** @returns {Progress} */
function stored() {
  try {
    return { ...fresh(), ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return fresh();
  }
}

export const progress = signal(stored());

/** @param {Partial<Progress>} change */
function keep(change) {
  progress.value = { ...progress.value, ...change };
  try {
    localStorage.setItem(KEY, JSON.stringify(progress.value));
  } catch {
    // Without storage it is known until the page is left.
  }
}

/** @param {string} lesson @param {string} step */
export function read(lesson, step) {
  const { steps } = progress.peek();
  const done = steps[lesson] ?? [];
  if (progress.peek().last === lesson && done.includes(step)) return;
  keep({ last: lesson, steps: done.includes(step) ? steps : { ...steps, [lesson]: [...done, step] } });
}

/** @param {string} key lesson/step @param {number} choice */
export const guess = (key, choice) => keep({ guesses: { ...progress.peek().guesses, [key]: choice } });

/** @param {string} key */
export const guessed = key => progress.value.guesses[key];

/** A number of one's own, so that others get other numbers. @param {string} name @returns {Family} */
export const family = name =>
  progress.value.families[name] ?? {
    streak: 0,
    solved: false,
    tries: 0,
    seed: progress.value.device * 1000 + 1,
    hinted: false,
  };

/** @param {string} name @param {Partial<Family>} change */
export const note = (name, change) =>
  keep({ families: { ...progress.peek().families, [name]: { ...family(name), ...change } } });

/** Right answers in a row, with other numbers each time, that make a family solved. */
const ENOUGH = 2;

/**
 * A first answer to an item. @param {string} name @param {boolean} right @param {boolean} told whether hint 3 was had
 */
export function answered(name, right, told) {
  const before = family(name);
  const streak = right && !told ? before.streak + 1 : right ? before.streak : 0;
  note(name, { streak, tries: before.tries + 1, solved: before.solved || streak >= ENOUGH });
}

/** @param {string} which "before" or "after" @param {Record<string, number>} answers */
export const keepInventory = (which, answers) =>
  keep({ inventory: { ...progress.peek().inventory, [which]: answers } });

/** Forget everything. */
export function forgetAll() {
  progress.value = fresh();
  try {
    localStorage.removeItem(KEY);
  } catch {
    // It was not kept.
  }
}

/** As a file to take along. @param {string} name @param {any} content */
export function save(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(content, null, 2)], { type: "application/json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/**
 * Where a lesson stands: how many of its steps and families are done.
 * @param {{name: string, steps: string[], exercises: string[]}} lesson
 */
export function standOf({ name, steps, exercises }) {
  const seen = steps.filter(step => progress.value.steps[name]?.includes(step)).length;
  const solved = exercises.filter(each => progress.value.families[each]?.solved).length;
  const whole = seen === steps.length;
  const done = whole && solved === exercises.length;
  const words = done
    ? exercises.length
      ? "mastered"
      : "done"
    : whole
      ? `${solved} of ${exercises.length} solved`
      : seen
        ? `step ${seen} of ${steps.length}`
        : "not begun";
  return { seen, solved, done, begun: seen > 0, words };
}
