import { html } from "./html.js";

export function Train() {
  return html`<main class="train" aria-label="Train"></main>`;
}
