/**
 * What opens above the page: popovers, their choices, dialogs. Esc, a click elsewhere or leaving with Tab closes them.
 */

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import { html } from "../html.js";
import { openPanel, panel } from "../../state/store.js";

/**
 * A dialog over the page, called by the heading `${name}-title` in it; the focus goes back to where it was.
 * @param {{name: string, children?: any}} props
 */
export function Dialog({ name, children }) {
  const dialog = useRef(/** @type {HTMLDialogElement|null} */ (null));
  useLayoutEffect(() => {
    const element = /** @type {HTMLDialogElement} */ (dialog.current);
    const before = /** @type {HTMLElement|null} */ (document.activeElement);
    element.showModal();
    return () => {
      element.close();
      before?.focus?.();
    };
  }, []);
  const close = () => dialog.current && openPanel(null);
  return html`<dialog ref=${dialog} class=${name} aria-labelledby="${name}-title" onClose=${close}
    onClick=${(/** @type {Event} */ event) => event.target === dialog.current && close()}>${children}</dialog>`;
}

/**
 * A button and what it opens beneath itself.
 * @param {{name: NonNullable<typeof panel.value>, label: any, title?: string, spoken: string, align?: "left"|"right",
 *   className?: string, children: any}} props
 */
export function Popover({ name, label, title, spoken, align = "left", className = "", children }) {
  const root = useRef(/** @type {HTMLElement|null} */ (null));
  const open = panel.value === name;
  useEffect(() => {
    if (!open) return;
    const element = /** @type {HTMLElement} */ (root.current);
    const first = /** @type {HTMLElement|null} */ (
      element.querySelector(
        ".popover [aria-checked=true], .popover [aria-current=true], .popover input, .popover button",
      )
    );
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
    <button type="button" class="trigger" aria-expanded=${open} aria-label=${spoken} title=${title}
      onClick=${() => openPanel(open ? null : name)}>${label}</button>
    ${open && html`<div class=${`popover ${align}`} role="group" aria-label=${spoken}>${children}</div>`}
  </div>`;
}

/**
 * A row of choices of which one holds.
 * @param {{legend: string, choices: readonly {value: string, words: string}[], value: string, choose: (value: any) =>
 *   void, silent?: boolean}} props  silent: the legend is only spoken
 */
export function Choice({ legend, choices, value, choose, silent = false }) {
  const move = (/** @type {KeyboardEvent} */ event) => {
    const by =
      event.key === "ArrowRight" || event.key === "ArrowDown"
        ? 1
        : event.key === "ArrowLeft" || event.key === "ArrowUp"
          ? -1
          : 0;
    if (!by) return;
    event.preventDefault();
    const at = choices.findIndex(choice => choice.value === value);
    const next = (at + by + choices.length) % choices.length;
    choose(choices[next].value);
    /** @type {HTMLElement} */ (
      /** @type {HTMLElement} */ (event.currentTarget).querySelectorAll("[role=radio]")[next]
    ).focus();
  };
  return html`<div class="choice">${!silent && html`<span class="soft">${legend}</span>`}
    <div role="radiogroup" aria-label=${legend} onKeyDown=${move}>
      ${choices.map(
        choice => html`<button type="button" role="radio" aria-checked=${choice.value === value}
        tabindex=${choice.value === value ? 0 : -1} onClick=${() => choose(choice.value)}>${choice.words}</button>`,
      )}
    </div></div>`;
}
