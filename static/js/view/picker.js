import { html } from "./html.js";

export function Picker() {
  return html`<dialog class="picker" aria-label="Choose a digit"></dialog>`;
}
