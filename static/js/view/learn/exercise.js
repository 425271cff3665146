import { html } from "../html.js";
export const Exercise = () => html`<main></main>`;
