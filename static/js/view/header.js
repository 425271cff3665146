import { html } from "./html.js";

export function Header() {
  return html`<header class="header"></header>`;
}
