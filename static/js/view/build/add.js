/** What can be added: every operator, found by typing. */

import { useEffect, useRef, useState } from "preact/hooks";

import * as build from "../../state/build.js";
import { html } from "../html.js";
import { rove } from "../roving.js";

/**
 * How well an operator answers to words: 3 by its whole name, 2 by its beginning, 1 by a part, else 0.
 * @param {OpDescription} op @param {string} words
 */
function rankOf({ name, title }, words) {
  const names = [title.toLowerCase(), name.replaceAll("_", " ")];
  if (names.includes(words)) return 3;
  if (names.some(each => each.startsWith(words))) return 2;
  return names.some(each => each.includes(words)) ? 1 : 0;
}

/** @param {{after: string}} props */
export function Add({ after }) {
  const field = useRef(/** @type {HTMLInputElement|null} */ (null));
  const [text, write] = useState("");
  useEffect(() => field.current?.focus(), [after]);
  const words = text.trim().toLowerCase();
  const found = build.ops.value
    .filter(({ loss }) => !loss)
    .map(op => ({ op, rank: rankOf(op, words) }))
    .filter(({ rank }) => rank > 0)
    .sort((a, b) => b.rank - a.rank)
    .map(({ op }) => op);
  const leave = () => {
    build.task.value = { kind: "layer" };
  };
  return html`<div class="add" role="group" aria-label=${`Add a layer behind ${after}`} onKeyDown=${(
    /** @type {KeyboardEvent} */ event,
  ) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    leave();
  }}>
    <p class="head"><b>Add</b> <span class="sentence">a layer behind ${after}</span>
      <button type="button" class="button" onClick=${leave}>Cancel</button></p>
    <label class="find"><span class="spoken">Find a layer</span><input type="text" ref=${field} value=${text}
      placeholder="type to find, Enter takes the first" autocomplete="off" onInput=${(/** @type {any} */ event) =>
        write(event.currentTarget.value)} onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
        if (event.key === "Enter" && found[0]) {
          event.preventDefault();
          build.add(found[0]);
        }
        if (event.key === "ArrowDown") {
          event.preventDefault();
          const first = /** @type {HTMLElement} */ (event.currentTarget).closest(".add")?.querySelector(".ops button");
          if (first instanceof HTMLElement) first.focus();
        }
      }} /></label>
    <ul class="ops" onKeyDown=${(/** @type {KeyboardEvent} */ event) => rove(event, "button")}>${found.map(
      op => html`<li key=${op.name}><button type="button" onClick=${() => build.add(op)}>${op.title}</button></li>`,
    )}</ul>
    ${!found.length && html`<p class="soft">No layer is called that.</p>`}
  </div>`;
}
