import { html } from "./html.js";

export function Help() {
  return html`<div class="help"></div>`;
}
