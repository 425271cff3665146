/**
 * Equations in the place they stand in: a long one is written smaller, or broken before a sign, and fades out where it
 * still goes on.
 */

import { useLayoutEffect } from "preact/hooks";

/** Height of an equation's letters in rem, the least they may have, and by how much they become smaller at least. */
const SIZE = 1.0625;
const LEAST = 0.875;
const STEP = 1 / 64;
const MATH = "http://www.w3.org/1998/Math/MathML";

/**
 * Once for each equation, as soon as its letters are there.
 * @param {{current: HTMLElement|null}} box
 * @param {string} mathml
 */
export function useFitEquation(box, mathml) {
  useLayoutEffect(() => {
    const host = box.current;
    const math = /** @type {HTMLElement|null} */ (host?.querySelector("math"));
    if (!host || !math) return;
    const { fontSize, fontFamily } = getComputedStyle(math);
    const font = `${fontSize} ${fontFamily}`;
    if (document.fonts?.check(font) ?? true) return fit(host, math);
    const late = () => math.isConnected && fit(host, math);
    document.fonts.load(font).then(late, late);
  }, [mathml]);
}

/** @param {HTMLElement} host @param {HTMLElement} math */
function fit(host, math) {
  math.style.fontSize = "";
  host.classList.remove("goes-on");
  const over = () => host.scrollWidth / (host.clientWidth || 1);
  if (over() > SIZE / LEAST) breakLine(math, host.clientWidth);
  for (let size = SIZE; over() > 1 && size > LEAST; ) {
    // letters have widths of whole pixels in some browsers
    size = Math.max(LEAST, Math.min(size - STEP, size / over()));
    math.style.fontSize = `${size}rem`;
  }
  host.classList.toggle("goes-on", host.scrollWidth > host.clientWidth + 1);
}

/** What a line may begin with: a sign, or a condition in brackets. @param {Element} each */
const mayBegin = each =>
  /^[+−]$/.test(each.localName === "mo" ? (each.textContent ?? "") : "") || each.firstElementChild?.textContent === "[";

/** Moves what goes beyond the room to lines of their own. @param {Element} math @param {number} room in pixels */
function breakLine(math, room) {
  const equals = [...math.querySelectorAll("mo")].find(mo => mo.textContent === "=");
  const line = equals?.parentElement;
  if (!equals || !line) return;
  const right = [...line.children].slice([...line.children].indexOf(equals) + 1);
  const parts = right.length === 1 && right[0].localName === "mrow" ? [...right[0].children] : right;
  const starts = parts.filter((each, k) => k > 0 && mayBegin(each));
  const indent = 1.5 * parseFloat(getComputedStyle(math).fontSize);
  let edge = line.getBoundingClientRect().left;
  const cuts = starts.filter((start, k) => {
    const end = starts[k + 1]?.getBoundingClientRect().left ?? line.getBoundingClientRect().right;
    if (end - edge <= room) return false;
    edge = start.getBoundingClientRect().left - indent;
    return true;
  });
  if (!cuts.length) return;
  const rows = cuts.map((cut, k) =>
    row(parts.slice(parts.indexOf(cut), k + 1 < cuts.length ? parts.indexOf(cuts[k + 1]) : undefined), `${indent}px`),
  );
  const own = line.closest("mtr");
  if (own) return own.after(...rows);
  const table = made("mtable", row([...line.children]), ...rows);
  table.setAttribute("class", "where");
  table.setAttribute("displaystyle", "true");
  line.append(table);
}

/** @param {string} name @param {Element[]} children */
function made(name, ...children) {
  const element = document.createElementNS(MATH, name);
  element.append(...children);
  return element;
}

/** @param {Element[]} children @param {string} [indent] */
function row(children, indent = "0") {
  const cell = made("mtd", made("mrow", ...children));
  cell.setAttribute("style", `padding-left: ${indent}`);
  return made("mtr", cell);
}
