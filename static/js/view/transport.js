import { html } from "./html.js";

export function Transport() {
  return html`<footer class="transport"></footer>`;
}
