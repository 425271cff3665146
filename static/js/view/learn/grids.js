/** Small tensors as they are given in an exercise: coloured cells with whole numbers, one grid for each map. */

import { html } from "../html.js";
import { Tick } from "../icons.js";
import { css, ink, roundUp } from "../../core/colour.js";
import { letterOf } from "../../core/figure.js";
import { written } from "../../core/sentence.js";
import { scheme } from "../../state/store.js";
import { rem } from "../step/heatmap.js";
import { plain } from "../step/symbol.js";

/** What a tensor of an exercise is, from its name. @param {string} name */
const kindOf = name => (/^d[a-z]/.test(name) ? "gradient" : /^(w|b|gamma|beta|v|m)$/.test(name) ? "weight" : "value");

/** @param {any} nested @returns {number[]} */
const shapeOf = nested => (Array.isArray(nested) ? [nested.length, ...shapeOf(nested[0])] : []);

/**
 * The planes of tensors that have axes, in the order in which they are given.
 * @param {Record<string, any>} tensors
 */
export function planesOf(tensors) {
  return Object.entries(tensors).flatMap(([name, nested]) => {
    const shape = shapeOf(nested);
    if (shape.length === 0) return [];
    const kind = kindOf(name);
    /**
     * @type {{key: string, name: string, caption: string, more: string, rows: number[][], kind: string,
     *   lead: number[]}[]}
     */
    const found = [];
    const walk = (/** @type {any} */ part, /** @type {number[]} */ lead) => {
      if (shape.length - lead.length > 2)
        for (const [k, each] of /** @type {any[]} */ (part).entries()) walk(each, [...lead, k]);
      else {
        const which = lead.filter((_, axis) => shape[axis] > 1);
        const rows = shape.length === 1 ? [part] : part;
        const more = which.length ? `${kind === "weight" ? "kernel" : "map"} ${which.join(",")}` : "";
        found.push({ key: `${name} ${lead}`, name, caption: plain(name), more, rows, kind, lead });
      }
    };
    walk(nested, []);
    return found;
  });
}

/** Numbers that stand alone. @param {{tensors: Record<string, any>, lit: Set<string>}} props */
export function Scalars({ tensors, lit }) {
  const alone = Object.entries(tensors).filter(([, value]) => !Array.isArray(value));
  if (!alone.length) return null;
  return html`<dl class="scalars">${alone.map(
    ([name, value]) =>
      html`<div class=${lit.has(name) ? "marked" : ""}><dt><i>${plain(name)}</i></dt><dd>${
        typeof value === "number" ? written(value) : String(value)
      }</dd></div>`,
  )}</dl>`;
}

/**
 * @param {{name?: string, caption: string, more?: string, rows: (number|null)[][], kind: string, lead?: number[],
 *   lit?: Set<string>, asked?: number[]|null, cells?: number[][], small?: boolean, chosen?: number[]|null,
 *   choose?: ((cell: number[]) => void)|null, field?: ((row: number, column: number) => any)|null}} props
 *   asked: the cell that the question is about; cells: which of them are right; field: what stands in each
 */
export function Plane({
  name = "",
  caption,
  more = "",
  rows,
  kind,
  lead = [],
  lit,
  asked = null,
  cells,
  small = false,
  chosen = null,
  choose = null,
  field = null,
}) {
  const theme = scheme.value;
  const columns = rows[0]?.length ?? 0;
  const range = roundUp(Math.max(...rows.flat().map(value => Math.abs(value ?? 0)), 1e-9));
  const many = Math.max(rows.length, columns);
  const width = small ? 28 : many > 5 ? 52 : 72;
  const height = small ? 24 : many > 5 ? 40 : 60;
  const letters = kind === "weight" && !field && !small && rows.length > 1 && rows.length * columns <= 25;
  /** @param {KeyboardEvent} event @param {number} r @param {number} c */
  const onKeyDown = (event, r, c) => {
    const to = { ArrowUp: [r - 1, c], ArrowDown: [r + 1, c], ArrowLeft: [r, c - 1], ArrowRight: [r, c + 1] }[event.key];
    const grid = /** @type {HTMLElement} */ (event.currentTarget).closest(".grid-cells");
    if (!to || to[0] < 0 || to[1] < 0 || to[0] >= rows.length || to[1] >= columns) return;
    event.preventDefault();
    /** @type {HTMLElement|undefined} */ (grid?.querySelectorAll("button")[to[0] * columns + to[1]])?.focus();
  };
  const said = rows.map(line => line.map(value => (value === null ? "?" : written(value))).join(" ")).join("; ");
  const spoken = `${caption}${more ? `, ${more}` : ""}${field || choose ? "" : `: ${said}`}`;
  return html`<figure class="given-plane">
    ${caption && html`<figcaption><i class=${colour(kind)}>${caption}</i> ${more}</figcaption>`}
    <div class="grid-cells" role=${field || choose ? "group" : "img"} aria-label=${spoken}
      style="grid-template-columns:repeat(${columns},${rem(width)})">${rows.flatMap((line, r) =>
        line.map((value, c) => {
          const place = [name, [...lead, r, c].join(",")].join("/");
          const is = asked && asked[0] === r && asked[1] === c;
          const on = lit?.has(place) || is || (chosen && chosen[0] === r && chosen[1] === c);
          const colours =
            value === null || is
              ? ""
              : `background:${css(/** @type {any} */ (kind), value, range, theme)};color:${ink(
                  /** @type {any} */ (kind),
                  value,
                  range,
                  theme,
                )};`;
          const look = `${colours}height:${rem(height)}`;
          const state = `${on ? "ring" : ""} ${value === null && !is && !field ? "hatch" : ""}`;
          const judged = cells && html`<span class="judged"><${Tick} right=${Boolean(cells[r]?.[c])} /></span>`;
          const inside = html`${letters && html`<i class="letter">${letterOf(r * columns + c)}</i>`}${
            field ? field(r, c) : is ? "?" : value === null ? "" : written(value)
          }${judged}`;
          return choose
            ? html`<button type="button" class="given-cell ${state}" style=${look}
                aria-pressed=${Boolean(chosen && chosen[0] === r && chosen[1] === c)}
                aria-label=${`row ${r}, column ${c}, ${value === null ? "" : written(value)}`}
                tabIndex=${(chosen ? chosen[0] === r && chosen[1] === c : r + c === 0) ? 0 : -1}
                onKeyDown=${(/** @type {KeyboardEvent} */ event) => onKeyDown(event, r, c)}
                onClick=${() => choose([r, c])}>${inside}</button>`
            : html`<span class="given-cell ${state}" style=${look}>${inside}</span>`;
        }),
      )}</div></figure>`;
}

/** @param {string} kind */
const colour = kind => ({ gradient: "grad", weight: "wt" })[kind] ?? "act";
