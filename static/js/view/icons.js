/** The few pictures of the controls, drawn in the colour of the text. */

import { html } from "./html.js";

const PATHS = {
  play: "M5 3.2v9.6l8-4.8z",
  pause: "M4.5 3h2.4v10H4.5zM9.1 3h2.4v10H9.1z",
  back: "M10.5 3.4v9.2L4 8z",
  forward: "M5.5 3.4v9.2L12 8z",
  first: "M2.6 3.2h1.9v9.6H2.6zM13 3.2v9.6L5.6 8z",
  bring: "M7.2 1.5h1.6v7l2.4-2.4 1.1 1.1L8 11.5 3.7 7.2l1.1-1.1 2.4 2.4zM2.5 13h11v1.5h-11z",
  last: "M11.5 3.2h1.9v9.6h-1.9zM3 3.2v9.6L10.4 8z",
};

/** @param {{name: keyof typeof PATHS}} props */
export const Icon = ({ name }) =>
  html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d=${PATHS[name]}
    fill="currentColor" /></svg>`;

const LINES = {
  left: "M14 8H2.5M6.5 4l-4 4 4 4",
  right: "M2 8h11.5M9.5 4l4 4-4 4",
  up: "M8 14V2.5M4 6.5l4-4 4 4",
  down: "M8 2v11.5M4 9.5l4 4 4-4",
  cross: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  pen: "M3 13l.8-3L11 2.8 13.2 5 6 12.2zM9.5 4.3l2.2 2.2",
  undo: "M6 3L2.5 6.5 6 10M2.5 6.5H10a3.5 3.5 0 0 1 0 7H7",
  redo: "M10 3l3.5 3.5L10 10M13.5 6.5H6a3.5 3.5 0 0 0 0 7h3",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  grip: "M6 4v.01M6 8v.01M6 12v.01M10 4v.01M10 8v.01M10 12v.01",
};

/** @param {{name: keyof typeof LINES}} props */
export const Line = ({ name }) =>
  html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d=${LINES[name]} fill="none"
    stroke="currentColor" stroke-width=${name === "grip" ? 2 : 1.5} stroke-linecap="round" /></svg>`;

export const Chevron = () => html`<svg class="chevron" viewBox="0 0 12 12" aria-hidden="true" focusable="false">
  <path d="M1.5 4l4.5 4.5L10.5 4" fill="none" stroke="currentColor" stroke-width="1.2" /></svg>`;

/** Right or not, beside words that say so. @param {{right: boolean}} props */
export const Tick = ({ right }) => html`<svg class="tick" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
  <path d=${right ? "M2.5 8.5l3.8 4L13.5 3.5" : "M3.5 3.5l9 9M12.5 3.5l-9 9"} fill="none" stroke="currentColor"
    stroke-width="2" /></svg>`;
