import { html } from "./html.js";

export function Card() {
  return html`<aside class="card" aria-label="Explanation"></aside>`;
}
