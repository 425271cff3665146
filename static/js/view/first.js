import { html } from "./html.js";

export function First() {
  return html`<section class="first"></section>`;
}
