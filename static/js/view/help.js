/** The keys, from the same list the handler reads. */

import { useEffect, useRef } from "preact/hooks";

import { html } from "./html.js";
import { KEYS, WITHIN } from "../keys.js";
import { openPanel, panel } from "../store.js";

export function Help() {
  const dialog = useRef(/** @type {HTMLDialogElement|null} */ (null));
  const open = panel.value === "help";
  useEffect(() => {
    const element = /** @type {HTMLDialogElement} */ (dialog.current);
    if (open && !element.open) element.showModal();
    if (!open && element.open) element.close();
  }, [open]);
  const row = (/** @type {{shown: string[], words: string}} */ { shown, words }) => html`<div>
    <dt>${shown.map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${words}</dd></div>`;
  return html`<dialog ref=${dialog} class="help" aria-labelledby="help-title" onClose=${() => panel.peek() === "help" && openPanel(null)}
      onClick=${(/** @type {Event} */ event) => event.target === dialog.current && openPanel(null)}>
    ${open && html`<div>
      <h2 id="help-title" class="serif">Keys</h2>
      <dl>${KEYS.map(row)}</dl>
      <h3 class="serif">On the stage, in a map, in a number grid</h3>
      <dl>${WITHIN.map(row)}</dl>
      <p class="soft">Enter on a tile walks its cells; Enter on a cell explains it; Esc goes one level out. The address always holds what you see: copy it to come back or to show somebody.</p>
      <form method="dialog"><button class="button primary">Close</button></form>
    </div>`}
  </dialog>`;
}
