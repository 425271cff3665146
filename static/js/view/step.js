import { html } from "./html.js";

export function Step() {
  return html`<section class="step" aria-label="Step view"></section>`;
}
