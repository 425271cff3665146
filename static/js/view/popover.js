/** A button and what it opens beneath itself; Esc, a click elsewhere or leaving with Tab closes it. */

import { useEffect, useRef } from "preact/hooks";

import { html } from "./html.js";
import { openPanel, panel } from "../store.js";

/**
 * @param {{name: NonNullable<typeof panel.value>, label: any, title?: string, describedBy?: string, spoken: string, align?: "left"|"right", className?: string, children: any}} props
 */
export function Popover({ name, label, title, spoken, align = "left", className = "", children }) {
  const root = useRef(/** @type {HTMLElement|null} */ (null));
  const open = panel.value === name;
  useEffect(() => {
    if (!open) return;
    const element = /** @type {HTMLElement} */ (root.current);
    const first = /** @type {HTMLElement|null} */ (element.querySelector(".popover [aria-checked=true], .popover [aria-current=true], .popover input, .popover button"));
    first?.focus();
    const outside = (/** @type {Event} */ event) => {
      if (!element.contains(/** @type {Node} */ (event.target))) openPanel(null);
    };
    document.addEventListener("pointerdown", outside);
    return () => {
      document.removeEventListener("pointerdown", outside);
      if (element.contains(document.activeElement)) element.querySelector("button")?.focus();
    };
  }, [open]);
  return html`<div class=${`popped ${className}`} ref=${root}
      onFocusOut=${(/** @type {FocusEvent} */ event) => {
        const to = /** @type {Node|null} */ (event.relatedTarget);
        if (open && to && !root.current?.contains(to)) openPanel(null);
      }}>
    <button type="button" class="trigger" aria-expanded=${open} aria-label=${spoken} title=${title} onClick=${() => openPanel(open ? null : name)}>${label}</button>
    ${open && html`<div class=${`popover ${align}`} role="group" aria-label=${spoken}>${children}</div>`}
  </div>`;
}

/**
 * A row of choices of which one holds.
 * @param {{legend: string, choices: readonly {value: string, words: string}[], value: string, choose: (value: any) => void}} props
 */
export function Choice({ legend, choices, value, choose }) {
  const move = (/** @type {KeyboardEvent} */ event) => {
    const by = event.key === "ArrowRight" || event.key === "ArrowDown" ? 1 : event.key === "ArrowLeft" || event.key === "ArrowUp" ? -1 : 0;
    if (!by) return;
    event.preventDefault();
    const at = choices.findIndex((choice) => choice.value === value);
    const next = (at + by + choices.length) % choices.length;
    choose(choices[next].value);
    /** @type {HTMLElement} */ (/** @type {HTMLElement} */ (event.currentTarget).querySelectorAll("[role=radio]")[next]).focus();
  };
  return html`<div class="choice"><span class="soft">${legend}</span>
    <div role="radiogroup" aria-label=${legend} onKeyDown=${move}>
      ${choices.map((choice) => html`<button type="button" role="radio" aria-checked=${choice.value === value}
        tabindex=${choice.value === value ? 0 : -1} onClick=${() => choose(choice.value)}>${choice.words}</button>`)}
    </div></div>`;
}
