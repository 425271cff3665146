/**
 * Why a kernel turns, shown by the sum itself: what is read lays stamps, the matrix of the layer has a column, and the
 * written cell gathers. The same letter is lit in all of them. Where a stamp lies is what the server says.
 */

import { html } from "../../html.js";
import { css, ink, largest, roundUp } from "../../../core/colour.js";
import { alone, exponentOf, factor } from "../../../core/format.js";
import { motion, shownParts } from "../../../core/scatter.js";
import { at, ravel } from "../../../core/place.js";
import { indexAt } from "../../../core/timeline.js";
import { nameOf, open, position, rangeOf, scheme, setHover, tensorOf } from "../../../state/store.js";
import { NumberGrid } from "../number_grid.js";
import { rem } from "../heatmap.js";
import { lit, stamps as stampsNow, turn as turnNow, way } from "../step_state.js";
import { Totals } from "../ways.js";
import { TensorSymbol } from "../symbol.js";
import { Map2D, Part, Sign, cellFor, figureSizes, pictureAt, plural } from "./parts.js";
import { sceneOf } from "./slide.js";

/** @typedef {NonNullable<ReturnType<typeof sceneOf>>} Scene */
/** @typedef {Extract<Figure, {kind: "slide"}>} Sliding */

/** A figure so wide has its totals beside it. */
const ROOMY = 860;

/** A letter needs so much of a cell. */
const LEGIBLE = 9;

/** @param {{phase: Phase, figure: Sliding}} props */
export function Turn({ phase, figure }) {
  const scene = sceneOf(phase, figure, position.value?.cell ?? -1);
  const turn = turnNow.value;
  if (!scene || !turn) return null;
  const size = figureSizes();
  const props = { phase, figure, scene, turn, size, ...facts(phase, figure, turn) };
  return html`<div class="turn ${way.value}">${
    way.value === "all"
      ? html`<div class="three"><${Gather} ...${props} /><${Scatter} ...${props} /><${Matrix} ...${props} /></div>`
      : way.value === "matrix"
        ? html`<${MatrixAlone} ...${props} />`
        : html`<${ScatterAlone} ...${props} />`
  }${(way.value === "all" || size.inner < ROOMY) && html`<${Totals} />`}</div>`;
}

/** @typedef {{phase: Phase, figure: Sliding, scene: Scene, turn: Turn, size: ReturnType<typeof figureSizes>} &
 *   ReturnType<typeof facts>} Props */

/**
 * What the words speak of.
 * @param {Phase} phase @param {Sliding} figure @param {Turn} turn
 */
function facts(phase, { plane, turned, spread }, { parts }) {
  const { step, pitch, turned: stampTurned } = motion(/** @type {Scatter} */ (plane.scatter));
  const source = html`<${TensorSymbol} name=${plane.name} kind=${plane.kind} />`;
  const result = html`<${TensorSymbol} name=${phase.tensor} kind=${phase.kind} />`;
  const reaching = parts.filter(({ index }) => index).length;
  return {
    source,
    result,
    gatherTurned: turned,
    stampTurned,
    spread,
    step: Math.max(...step),
    thinned: Math.max(...pitch) > 1,
    reaching,
    missing: parts.length - reaching,
  };
}

/** The places of a part: what is read, and what it is multiplied by. @param {Props} props @param {TurnPart} part */
const placesOf = ({ scene }, part) => [
  ...(part.index ? [at(scene.planeName, part.index)] : []),
  ...(part.kernelIndex ? [at(scene.kernelName, part.kernelIndex)] : []),
];

/** Whether a part is the one that is lit. @param {Props} props @param {TurnPart} part */
const isLit = (props, part) => {
  const places = placesOf(props, part);
  return part.index !== null && places.length > 0 && places.every(place => lit.value.has(place));
};

/** Pointing at a part lights it everywhere; it opens what is read. @param {string|null} place */
const handlers = place =>
  place
    ? {
        onPointerEnter: () => setHover({ place }),
        onPointerLeave: () => setHover(null),
        onClick: () => open(place),
      }
    : {};

/** @param {{title: any, more?: any, lines: any}} props */
const Title = ({ title, more, lines }) => html`<h3>${title}${more}</h3><p class="says">${lines}</p>`;

/** @param {Props} props */
function GatherLines({ source, gatherTurned, spread }) {
  const how = gatherTurned ? html`<em>turned</em>` : html`<em>as it is</em>`;
  return spread
    ? html`Zeros go between the ${source}. Over them slides the kernel, ${how}.`
    : html`The cell reads the ${source} around it, with the kernel ${how}.`;
}

/** @param {Props} props */
function ScatterLines({ source, stampTurned, step, thinned, reaching, missing }) {
  const how = stampTurned ? html`<em>turned</em>` : html`<em>not turned</em>`;
  if (step > 1 && missing > 0)
    return html`The stamps, ${how}, lie ${words(step)} cells apart. ${capital(words(reaching))} ${
      reaching === 1 ? "reaches" : "reach"
    } this cell.`;
  if (thinned) return html`Each ${source} stamps the weights that meet a cell, ${how}. One of each lands here.`;
  return html`Each ${source} stamps the kernel, ${how}. One letter of each lands on this cell.`;
}

/** @param {Props} props */
function MatrixLines({ phase, source, step, missing, figure }) {
  if (step > 1 && missing > 0)
    return html`Stride ${step} leaves out the rows between. What they would meet are the inserted zeros.`;
  return figure.back
    ? html`The layer as a matrix: a kernel in every row. This cell’s gradient is a column times ${source}.`
    : html`The layer as a matrix, a row for each ${source}. This cell of ${phase.layer} is a column times ${source}.`;
}

const NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const words = (/** @type {number} */ count) => NUMBERS[count] ?? String(count);
const capital = (/** @type {string} */ text) => text[0].toUpperCase() + text.slice(1);

/** Kernel over window, as they meet. @param {Props} props */
function Gather(props) {
  const { figure, scene, source } = props;
  const { plane, kernel } = figure;
  const rows = scene.windowCells.length;
  const columns = scene.windowCells[0].length;
  const small = Math.max(rows, columns) <= 3;
  const cell = small
    ? { width: Math.min(62, 186 / columns), height: Math.min(50, 126 / rows), numbers: true, letters: true }
    : { width: 126 / Math.max(rows, columns), height: 126 / Math.max(rows, columns), numbers: false, letters: true };
  const [wx, ww] = [scene.windowCells, scene.kernelCells].map(cells =>
    exponentOf(cells.flat().map(({ value }) => value)),
  );
  const shown = { ...cell, letters: cell.width >= 16 };
  return html`<section class="way" aria-label="Gather"><${Title} title="Gather"
      lines=${html`<${GatherLines} ...${props} />`} />
    <div class="pair">
    <${Part} caption=${html`<${TensorSymbol} name=${kernel.name} kind="weight" /> ${
      figure.turned ? "turned" : "as it is"
    } ${factor(ww)}`}><${NumberGrid} prefix=${scene.kernelName} kind=${kernel.kind}
      range=${rangeOf(kernel.tensor)} cells=${scene.kernelCells} ...${shown} exponent=${ww} name=${kernel.name}
      label="kernel" ear=${figure.turned ? "last" : "first"} /><//>
    <div class="times" aria-hidden="true">×</div>
    <${Part} caption=${html`window of ${source}${figure.spread ? ", spread" : ""} ${factor(wx)}`}><${NumberGrid}
      prefix=${scene.planeName} kind=${scene.kind} range=${rangeOf(plane.tensor)}
      cells=${scene.windowCells} ...${shown} exponent=${wx} name=${plane.name} label="window" /><//></div></section>`;
}

/**
 * The cells around the written one, with what one cell that is read lays there.
 * @param {{props: Props, part: TurnPart, side: number, captioned?: boolean}} props
 */
function Field({ props, part, side, captioned = true }) {
  const { turn, scene, figure, phase } = props;
  const { field } = turn;
  const unit = side / Math.max(field.rows, field.columns);
  const on = isLit(props, part);
  const place = part.index ? at(scene.planeName, part.index) : null;
  const letter = part.here?.letter ?? part.letter;
  const said = part.index
    ? `${figure.plane.name === "dy" ? "delta" : figure.plane.name} ${alone(part.value)} lays ${letter}, ${alone(
        part.here?.weight ?? 0,
      )}, on this cell`
    : "nothing is read here";
  return html`<div class="field ${on ? "current" : ""} ${place ? "there" : ""}" ...${handlers(place)}>
    <svg viewBox="0 0 ${unit * field.columns} ${unit * field.rows}" width=${rem(unit * field.columns)}
      height=${rem(unit * field.rows)} role="img" aria-label=${said}>
      <${Ground} field=${field} unit=${unit} shape=${phase.shape} />
      ${
        part.index && part.value !== 0
          ? html`<${Stamped} stamp=${part.stamp} field=${field} unit=${unit} range=${rangeOf(figure.kernel.tensor)} />`
          : part.index &&
            part.stamp.length > 0 &&
            html`<rect class="outline" ...${around(part.stamp, field, unit)} /><text class="letter faint"
              x=${unit * (spot(turn, 1) + 0.5)} y=${unit * (spot(turn, 0) + 0.5)}>${
                unit >= LEGIBLE ? letter : ""
              }</text>`
      }
      <rect class="here" x=${unit * spot(turn, 1)} y=${unit * spot(turn, 0)} width=${unit} height=${unit} />
    </svg>
    ${
      captioned &&
      html`<span class="amount ${part.index ? "" : "none"}">${
        part.index
          ? alone(part.value)
          : html`no <${TensorSymbol} name=${figure.plane.name} kind=${figure.plane.kind} /> here`
      }</span>`
    }</div>`;
}

/** Where the written cell lies in its field. @param {Turn} turn @param {0|1} axis */
const spot = ({ field }, axis) => (axis ? (field.columns - 1) / 2 : (field.rows - 1) / 2);

/** The box of a stamp. @param {Stamp} stamp @param {Rect} field @param {number} unit @param {number} [inset] */
function around(stamp, field, unit, inset = 0) {
  const rows = stamp.map(({ row }) => row - field.row);
  const columns = stamp.map(({ column }) => column - field.column);
  const [top, left] = [Math.min(...rows), Math.min(...columns)];
  return {
    x: unit * left + inset,
    y: unit * top + inset,
    width: Math.max(1, unit * (Math.max(...columns) - left + 1) - 2 * inset),
    height: Math.max(1, unit * (Math.max(...rows) - top + 1) - 2 * inset),
  };
}

/** The mark of a corner, `side` long. @param {number} x @param {number} y @param {number} side */
const corner = (x, y, side) => `M${x} ${y}h${side}l${-side} ${side}z`;

/**
 * The plane beneath a stamp, and what lies outside of it.
 * @param {{field: Rect, unit: number, shape: number[]}} props
 */
function Ground({ field, unit, shape }) {
  const [rows, columns] = shape.slice(-2);
  const top = Math.max(0, -field.row);
  const left = Math.max(0, -field.column);
  const bottom = Math.min(field.rows, rows - field.row);
  const right = Math.min(field.columns, columns - field.column);
  const lines = [];
  for (let r = top; r <= bottom; r++) lines.push(`M${left * unit} ${r * unit}H${right * unit}`);
  for (let c = left; c <= right; c++) lines.push(`M${c * unit} ${top * unit}V${bottom * unit}`);
  return html`<rect class="outside" x="0" y="0" width=${unit * field.columns} height=${unit * field.rows} /><rect
    class="ground" x=${left * unit} y=${top * unit} width=${(right - left) * unit}
    height=${(bottom - top) * unit} /><path class="lines" d=${lines.join("")} />`;
}

/**
 * A stamp's cells in the colours of the factor; the corner of its first letter is marked.
 * @param {{stamp: Stamp, field: Rect, unit: number, range: number, kind?: Kind}} props
 */
function Stamped({ stamp, field, unit, range, kind = "weight" }) {
  const theme = scheme.value;
  return stamp.map(cell => {
    const x = unit * (cell.column - field.column);
    const y = unit * (cell.row - field.row);
    const first = cell.letter === "a" && kind === "weight";
    return html`<g class=${cell.index ? "" : "lost"}><rect x=${x} y=${y} width=${unit} height=${unit}
        fill=${css(kind, cell.weight, range, theme)} />
      ${first && html`<path class="ear" d=${corner(x, y, Math.min(7, unit / 2))} />`}
      ${
        unit >= LEGIBLE &&
        html`<text class="letter" x=${x + unit / 2} y=${y + unit / 2} style="font-size:${unit >= 14 ? 13 : unit - 1}px"
        fill=${ink(kind, cell.weight, range, theme)}>${cell.letter}</text>`
      }</g>`;
  });
}

/** @param {{props: Props, side: number, pitch: [number, number]}} props */
function Fields({ props, side, pitch }) {
  const { turn } = props;
  const { shown, rest } = shownParts(turn.parts);
  const columns = turn.parts.length === shown.length ? turn.columns : 3;
  const grid = `grid-template-columns:repeat(${columns}, ${rem(pitch[0])});grid-auto-rows:${rem(pitch[1])}`;
  return html`<div class="fields" style=${grid}>${shown.map(
    (part, k) => html`<${Field} key=${k} props=${props} part=${part} side=${side} />`,
  )}</div>${rest.length > 0 && html`<p class="soft">and ${plural(rest.length, "smaller one")}</p>`}`;
}

/** @param {Props} props */
function Scatter(props) {
  return html`<section class="way" aria-label="Scatter"><${Title} title="Scatter"
      lines=${html`<${ScatterLines} ...${props} />`} />
    <p class="caption">${props.result} around this cell, once for each ${props.source}</p>
    <${Fields} props=${props} side=${80} pitch=${[98, 100]} /></section>`;
}

/** Stamps on one field: where they overlap they add up. @param {{props: Props, unit: number}} props */
function Pile({ props, unit }) {
  const { turn, phase } = props;
  const { field, parts } = turn;
  const sums = new Float64Array(field.rows * field.columns);
  for (const { stamp, value } of parts)
    for (const { row, column, weight, index } of stamp)
      if (index) sums[(row - field.row) * field.columns + column - field.column] += value * weight;
  const range = roundUp(largest(sums) || 1);
  const theme = scheme.value;
  const laid = parts.filter(({ index, value, stamp }) => index && value !== 0 && stamp.length);
  return html`<svg class="pile" viewBox="0 0 ${unit * field.columns} ${unit * field.rows}"
    width=${rem(unit * field.columns)} height=${rem(unit * field.rows)} role="img"
    aria-label="the stamps of ${plural(laid.length, "cell")} on one another">
    <${Ground} field=${field} unit=${unit} shape=${phase.shape} />
    ${Array.from(sums, (sum, k) =>
      sum === 0
        ? null
        : html`<rect x=${unit * (k % field.columns)} y=${unit * Math.floor(k / field.columns)} width=${unit}
      height=${unit} fill=${css("gradient", sum, range, theme)} />`,
    )}
    ${laid.map(
      (part, k) => html`<rect class="edge ${isLit(props, part) ? "current" : ""}"
      ...${around(part.stamp, field, unit, 1 + 2 * (k % 4))} />`,
    )}
    <rect class="here" x=${unit * spot(turn, 1)} y=${unit * spot(turn, 0)} width=${unit} height=${unit} /></svg>`;
}

/**
 * Beside the stage there is room for what is read, the kernel, the pile, and the largest stamps.
 * @param {Props} props
 */
function ScatterAlone(props) {
  const { figure, scene, turn, size, source, result } = props;
  const { plane, kernel } = figure;
  if (size.inner < ROOMY) {
    const columns = turn.parts.length <= 9 ? turn.columns : 3;
    const side = Math.min(size.narrow ? 100 : 76, (size.inner - 12) / columns - 6);
    return html`<p class="caption">${result} around this cell, once for each ${source}</p>
      <div class="beside-words"><${Fields}
      props=${props} side=${side} pitch=${[(size.narrow ? size.inner : 3 * (side + 10)) / columns, side + 20]} /><p
      class="says"><${ScatterLines} ...${props} /></p></div>`;
  }
  const sides = scene.sides;
  const cell = cellFor(Math.max(scene.x.shape[2], scene.x.shape[3]), 134);
  const kernelSide = 114 / Math.max(...scene.asItIs.map(line => line.length), scene.asItIs.length);
  const unit = 150 / Math.max(turn.field.rows, turn.field.columns);
  const laid = turn.parts.filter(({ index, value }) => index && value !== 0);
  const most = [...laid].sort((a, b) => Math.abs(b.product) - Math.abs(a.product)).slice(0, 4);
  const whole = sides.map(({ size: n, before, after, pitch }) => ({
    size: (n - before - after - 1) / pitch + 1,
    before: 0,
    after: 0,
    pitch: 1,
  }));
  const asStamped = stampGrid(props);
  return html`<div class="figure">
    <${Part} caption=${html`<${TensorSymbol} name=${plane.name} kind=${plane.kind} /> map ${scene.lead.at(-1)}`}>
      <${Map2D} picture=${scene.picture} target=${134} cell=${cell} sides=${whole} name=${plane.name}
        rings=${rangeRings(props)} label="map whose cells stamp" />
      <span class="soft under">${`${words(props.reaching)} reach this cell, ${words(laid.length)} not 0`}</span><//>
    <${Sign} height=${150} label="times">×<//>
    <${Part} caption=${html`<${TensorSymbol} name=${kernel.name} kind="weight" /> ${
      props.stampTurned ? "turned" : "as it is"
    }`}>
      <${NumberGrid} prefix=${scene.kernelName} kind=${kernel.kind}
        range=${rangeOf(kernel.tensor)} cells=${asStamped} width=${kernelSide} height=${kernelSide}
        numbers=${false} letters=${kernelSide >= 16} label="kernel as it is stamped"
        ear=${props.stampTurned ? "last" : "first"} /><//>
    <${Sign} height=${150} label="lays">→<//>
    <${Part} caption="the stamps, piled up"><${Pile} props=${props} unit=${unit} /><//>
    <${Part} kind="singles" caption="one letter of each lands on this cell"><div class="fields"
      style="grid-template-columns:repeat(${Math.max(1, most.length)}, ${rem(84)})">${turn.parts
        .filter(part => most.includes(part))
        .map((part, k) => html`<${Field} key=${k} props=${props} part=${part} side=${74} />`)}</div>
      <p class="says"><${ScatterLines} ...${props} /></p><${Totals} /><//></div>`;
}

/** The kernel as a stamp lays it. @param {Props} props */
const stampGrid = ({ stampTurned, gatherTurned, scene }) =>
  stampTurned === gatherTurned ? scene.kernelCells : scene.asItIs;

/** A ring around what of the map reaches the written cell. @param {Props} props @returns {any[]} */
function rangeRings({ turn, scene }) {
  const spots = turn.parts.flatMap(({ index }) => (index ? [scene.picture?.spotOf(index)] : [])).filter(Boolean);
  if (!spots.length || !scene.began) return [];
  const [rows, columns] = [0, 1].map(axis => spots.map(each => /** @type {number[]} */ (each)[axis]));
  const [row, column] = [Math.min(...rows), Math.min(...columns)];
  return [{ row, column, rows: Math.max(...rows) - row + 1, columns: Math.max(...columns) - column + 1, look: "read" }];
}

/**
 * The matrix around the written cell: a row for each cell that is read, a column for each of the field.
 * @param {{props: Props, width: number, row: number, own: number}} props  own: the width of the written cell's column
 */
function Drawing({ props, width, row, own }) {
  const { turn, phase, figure, scene } = props;
  const { field } = turn;
  const { shown } = shownParts(turn.parts);
  const theme = scheme.value;
  const [rows, columns] = phase.shape.slice(-2);
  const cells = /** @type {number[][]} */ ([]);
  for (let r = 0; r < field.rows; r++)
    for (let c = 0; c < field.columns; c++)
      if (field.row + r >= 0 && field.row + r < rows && field.column + c >= 0 && field.column + c < columns)
        cells.push([field.row + r, field.column + c]);
  const [h, k] = scene.index.slice(-2);
  const mine = cells.findIndex(([r, c]) => r === h && c === k);
  const beside = 72;
  const unit = (width - beside - own) / Math.max(1, cells.length - 1);
  const x = (/** @type {number} */ n) => beside + n * unit + (n > mine ? own - unit : 0);
  const seats = new Map(cells.map(([r, c], n) => [`${r},${c}`, n]));
  const high = row * shown.length;
  const total = turn.totals.matrix;
  const range = rangeOf(figure.kernel.tensor);
  return html`<svg class="matrix" style="--letter:${Math.min(13, row - 1)}px;--number:${Math.min(14, row)}px"
    viewBox="0 0 ${width} ${high + 34}" width=${rem(width)} height=${rem(high + 34)}
    role="img" aria-label="a column of the matrix times ${plain(figure)} is ${alone(total)}">
    <rect class="frame" x=${beside} y="0" width=${width - beside} height=${high} />
    ${cells.map(([r], n) => n > 0 && cells[n - 1][0] !== r && html`<path class="lines" d="M${x(n)} 0V${high}" />`)}
    ${shown.map((part, m) => {
      const y = m * row;
      const on = isLit(props, part);
      const place = part.index ? at(scene.planeName, part.index) : null;
      if (!place)
        return html`<g class="left-out"><text x="28" y=${y + row / 2}>left out</text><path
          d="M${beside} ${y + row / 2}H${width}" /></g>`;
      const value = scene.x.data[ravel(/** @type {number[]} */ (part.index), scene.x.shape)];
      return html`<g class=${on ? "current" : ""} ...${handlers(place)}>
        <rect class="cell" x="0" y=${y} width="56" height=${row} fill=${css(
          /** @type {Kind} */ (figure.plane.kind),
          value,
          rangeOf(figure.plane.tensor),
          theme,
        )} /><text class="amount" x="50" y=${y + row / 2} fill=${ink(
          /** @type {Kind} */ (figure.plane.kind),
          value,
          rangeOf(figure.plane.tensor),
          theme,
        )}>${alone(value)}</text>
        ${part.stamp.map(cell => {
          const n = seats.get(`${cell.row},${cell.column}`);
          if (n === undefined) return null;
          const wide = n === mine ? own : unit;
          const lettered = cell.letter && (n === mine || (on && unit >= LEGIBLE));
          return html`<rect x=${x(n)} y=${y} width=${wide} height=${row}
            fill=${css("weight", cell.weight, range, theme)} />
          ${
            lettered &&
            html`<text class="letter" x=${x(n) + wide / 2} y=${y + row / 2}
              fill=${ink("weight", cell.weight, range, theme)}>${cell.letter}</text>`
          }`;
        })}</g>`;
    })}
    <rect class="here" x=${x(mine)} y="0" width=${own} height=${high} />
    ${shown.map(
      (part, m) =>
        isLit(props, part) &&
        html`<g class="current"><rect class="here" x="0" y=${m * row} width="56" height=${row} /><rect class="here"
        x=${x(mine)} y=${m * row} width=${own} height=${row} /></g>`,
    )}
    <text class="times" x=${beside - 8} y=${high / 2}>×</text>
    <rect class="answers" x=${beside} y=${high + 9} width=${width - beside} height="24" /><rect class="here answer"
      x=${Math.min(width - 62, Math.max(beside, x(mine) + own / 2 - 31))} y=${high + 9} width="62" height="24"
      fill=${css(
        /** @type {Kind} */ (phase.kind),
        total,
        rangeOf(phase.place),
        theme,
      )} /><text class="amount answer" x=${Math.min(width - 62, Math.max(beside, x(mine) + own / 2 - 31)) + 31}
      y=${high + 21} fill=${ink(/** @type {Kind} */ (phase.kind), total, rangeOf(phase.place), theme)}>${alone(
        total,
      )}</text>
  </svg>`;
}

/** @param {Sliding} figure */
const plain = ({ plane }) => (plane.name === "dy" ? "delta" : plane.name);

/** Across a row the letters as they lie, down the column as they are met. @param {Props} props */
function Reading({ turn, result }) {
  if (turn.parts.length > 9)
    return html`Across a row lies the kernel; down this cell’s column it is met from its other end.`;
  const longest = turn.parts.reduce(
    (most, part) => (part.stamp.length > most.stamp.length ? part : most),
    turn.parts[0],
  );
  const across = [...longest.stamp]
    .sort((a, b) => a.row - b.row || a.column - b.column)
    .map(({ letter }) => letter)
    .filter(Boolean);
  const down = turn.parts.flatMap(({ here }) => (here?.letter ? [here.letter] : []));
  const [first, last] = [across[0], across.at(-1)];
  const reversed = down.length > 1 && down.join() === [...across].reverse().join();
  const same = down.length > 1 && down.join() === across.join();
  return html`Across a row: <i>${across.length > 9 ? `${first} to ${last}` : across.join(" ")}</i>. Down the column of
    this cell of ${result}: <i>${down.join(" ") || "nothing"}</i>.${
      reversed ? " That is the turn." : same ? " Nothing turns." : ""
    }`;
}

/** @param {Props} props */
function Matrix(props) {
  const { shown } = shownParts(props.turn.parts);
  const row = Math.min(30, 198 / shown.length);
  return html`<section class="way" aria-label="Matrix"><${Title} title="Matrix" more=${html`<${Product} ...${props} />`}
      lines=${html`<${MatrixLines} ...${props} />`} />
    <p class="caption"><i>W</i>: a row for each ${props.source}, a column for each ${props.result}</p>
    <${Drawing} props=${props} width=${340} row=${row} own=${30} />
    <p class="says"><${Reading} ...${props} /></p></section>`;
}

/** The product as it is written. @param {Props} props */
const Product = ({ source }) =>
  html`<span class="formula"><math><msup><mi>W</mi><mi>T</mi></msup></math>${source}</span>`;

/** @param {Props} props */
function MatrixAlone(props) {
  const { size, turn } = props;
  const { shown } = shownParts(turn.parts);
  const wide = size.inner >= ROOMY;
  const width = wide ? 520 : Math.min(560, size.inner);
  const row = Math.min(24, (wide ? 130 : 198) / shown.length);
  return html`<div class="matrix-alone"><div><p class="caption"><i>W</i>: a row for each ${props.source}, a column for
    each ${props.result}</p><${Drawing} props=${props} width=${width} row=${row} own=${wide ? 40 : 32} /></div>
    <div class="beside"><h3>Matrix<${Product} ...${props} /></h3><p class="says"><${MatrixLines} ...${props} /></p>
    <p class="says"><${Reading} ...${props} /></p>${wide && html`<${Totals} />`}</div></div>`;
}

/**
 * A kernel's gradient, pair by pair: every delta stamps its window of the map onto it.
 * @param {{phase: Phase, figure: Extract<Figure, {kind: "product"}>}} props
 */
export function Stamps({ phase, figure }) {
  const made = stampsNow.value;
  const size = figureSizes();
  const x = tensorOf(figure.plane.tensor);
  const own = tensorOf(phase.place);
  if (!made || !x || !own) return null;
  const cell = position.value?.cell ?? -1;
  const [rows, columns] = phase.shape.slice(-2);
  const index = indexAt(phase, cell);
  const picture = pictureAt(phase.place, index);
  const field = { row: 0, column: 0, rows, columns };
  const side = size.narrow ? (size.inner - 24) / 3 : Math.min(88, (size.inner - 180) / made.parts.length - 8);
  const source = html`<${TensorSymbol} name=${figure.over.name} kind=${figure.over.kind} />`;
  const map = html`<${TensorSymbol} name=${figure.plane.name} kind=${figure.plane.kind} />`;
  const unit = side / Math.max(rows, columns);
  return html`<div class="turn stamps"><div class="figure">
    ${
      picture &&
      html`<${Part} caption=${html`<${TensorSymbol} name=${phase.tensor} kind="gradient" />`}><${Map2D}
      picture=${picture} target=${110} rings=${[{ row: index[2], column: index[3], rows: 1, columns: 1, look: "ring" }]}
      name=${phase.tensor} label="gradient that is written" /><//>`
    }
    <${Sign} height=${110} label="adds up the stamps of">←<//>
    <div class="stamped"><p class="caption">each ${source} stamps its window of ${map}, the ${words(
      made.parts.length,
    )} largest</p>
    <div class="fields" style="grid-template-columns:repeat(${size.narrow ? 3 : made.parts.length}, ${rem(side + 8)})">
      ${made.parts.map((part, k) => {
        const place = at(nameOf(figure.over.tensor), part.index);
        const from = part.here?.factor ? at(nameOf(figure.plane.tensor), part.here.factor) : null;
        const on = from !== null && lit.value.has(place) && lit.value.has(from);
        return html`<div key=${k} class="field there ${on ? "current" : ""}" ...${handlers(place)}><svg
          viewBox="0 0 ${unit * columns} ${unit * rows}" width=${rem(unit * columns)} height=${rem(unit * rows)}
          role="img"
          aria-label="delta ${alone(part.value)} times ${alone(part.here?.weight ?? 0)} lands on this weight">
          <${Ground} field=${field} unit=${unit} shape=${phase.shape} /><${Stamped} stamp=${part.stamp} field=${field}
          unit=${unit} range=${rangeOf(figure.plane.tensor)} kind=${/** @type {Kind} */ (figure.plane.kind)} /><rect
          class="here" x=${unit * index[3]} y=${unit * index[2]} width=${unit} height=${unit} /></svg><span
          class="amount">${alone(part.value)}</span></div>`;
      })}</div>
    <p class="says">One letter of each lands on this weight: the pixel it met, times ${source}. Added up over the map
      that is its gradient.</p></div></div><${Totals} /></div>`;
}
