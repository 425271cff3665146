/** One setting as its schema describes it: a number with steppers, a choice, yes or no. */

import { useEffect, useState } from "preact/hooks";

import { typed, written } from "../../core/network_document.js";
import { html } from "../html.js";
import { Line } from "../icons.js";

/** @typedef {{type?: any, enum?: any[], anyOf?: any[], minimum?: number, maximum?: number, default?: any,
 *   description?: string, title?: string, exclusiveMinimum?: number}} Schema */

/** @param {string} name @param {Schema} schema */
export const labelOf = (name, schema) => schema.title ?? name.replaceAll("_", " ");

/** @param {Schema} schema every kind of value that it takes */
const kindsOf = schema => schema.anyOf ?? [schema];

/** @param {Schema} schema */
const isWhole = schema => kindsOf(schema).some(({ type }) => [type].flat().includes("integer"));

/** @param {Schema} schema */
const wordsOf = schema => kindsOf(schema).flatMap(kind => kind.enum ?? []);

/** @param {Schema} schema */
const takesNull = schema => kindsOf(schema).some(({ type }) => [type].flat().includes("null"));

/** @param {Schema} schema @returns {{minimum: number, maximum: number}} */
function bounds(schema) {
  const one = kindsOf(schema).find(kind => kind.minimum !== undefined) ?? schema;
  return { minimum: one.minimum ?? -Infinity, maximum: one.maximum ?? Infinity };
}

/**
 * @param {{name: string, schema: Schema, value: any, change: (value: any) => void, marked?: boolean, id: string}} props
 * `value` undefined: as it goes without saying
 */
export function Setting({ name, schema, value, change, marked = false, id }) {
  const label = labelOf(name, schema);
  const now = value === undefined ? schema.default : value;
  const words = wordsOf(schema);
  const numbers = isWhole(schema) || kindsOf(schema).some(({ type }) => ["number", "array"].includes(type));
  const put = (/** @type {any} */ to) => change(same(to, schema.default) ? undefined : to);
  const yesNo = schema.type === "boolean";
  const chooses = yesNo || words.length > 0;
  const options = yesNo ? [true, false] : words;
  const isWord = chooses && options.includes(now);
  return html`<div class="setting ${marked ? "marked" : ""}">
    <label for=${id} title=${schema.description}>${label}</label>
    ${
      (numbers && !isWord) || !chooses
        ? html`<${Typed} id=${id} value=${now} schema=${schema} label=${label} put=${put} />`
        : null
    }
    ${
      chooses &&
      html`<select id=${isWord || !numbers ? id : `${id}-word`}
        aria-label=${isWord || !numbers ? undefined : `${label}, a number or a word`}
        onChange=${(/** @type {any} */ event) => {
          const to = event.currentTarget.value;
          put(to === "#" ? 0 : options[Number(to)]);
        }}>
        ${numbers && html`<option value="#" selected=${!isWord}>number</option>`}
        ${options.map(
          (option, k) => html`<option key=${k} value=${k}
          selected=${option === now}>${written(option)}</option>`,
        )}
      </select>`
    }
  </div>`;
}

const same = (/** @type {any} */ a, /** @type {any} */ b) => JSON.stringify(a) === JSON.stringify(b);

/**
 * A number, or several; what cannot be read is put back. Whole numbers have steppers.
 * @param {{id: string, value: any, schema: Schema, label: string, put: (to: any) => void}} props
 */
function Typed({ id, value, schema, label, put }) {
  const [text, write] = useState(/** @type {string|null} */ (null));
  useEffect(() => write(null), [JSON.stringify(value)]);
  const { minimum, maximum } = bounds(schema);
  const numbers = value === null || value === undefined ? [] : [value].flat();
  const stepped = isWhole(schema);
  const within = (/** @type {number} */ to) => Math.min(maximum, Math.max(minimum, to));
  const step = (/** @type {number} */ by) => {
    if (!numbers.length) return put(within(by > 0 ? Math.max(1, minimum) : minimum));
    const to = numbers.map(number => within(number + by));
    put(to.length === 1 || new Set(to).size === 1 ? to[0] : to);
  };
  const finish = () => {
    if (text === null) return;
    const read = typed(text);
    if (read !== null) put(read);
    else if (takesNull(schema)) put(null);
    write(null);
  };
  return html`<input type="text" id=${id} inputmode=${stepped && minimum >= 0 ? "numeric" : "text"} autocomplete="off"
      value=${text ?? written(value)} data-changed=${text === null ? undefined : ""}
      onInput=${(/** @type {any} */ event) => write(event.currentTarget.value)} onBlur=${finish}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
        if (event.key === "Enter") finish();
        else if (stepped && event.key === "ArrowUp") step(1);
        else if (stepped && event.key === "ArrowDown") step(-1);
        else return;
        event.preventDefault();
      }} />
    ${
      stepped &&
      [
        { by: -1, sign: "minus", words: `${label} less`, off: numbers.length > 0 && Math.min(...numbers) <= minimum },
        { by: 1, sign: "plus", words: `${label} more`, off: numbers.length > 0 && Math.max(...numbers) >= maximum },
      ].map(
        ({ by, sign, words, off }) => html`<button type="button" class="stepper" key=${by} aria-label=${words}
          aria-disabled=${off} tabindex="-1" onClick=${() => !off && step(by)}><${Line} name=${sign} /></button>`,
      )
    }`;
}
