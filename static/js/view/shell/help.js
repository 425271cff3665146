/** The keys, from the same list the handler reads. */

import { html } from "../html.js";
import { Dialog } from "./popover.js";
import { KEYS, WITHIN } from "./keys.js";
import { openPanel } from "../../state/store.js";

/** @param {{shown: string[], words: string}[]} keys */
const table = keys =>
  html`<dl>${keys.map(
    ({ shown, words }) => html`<div>
  <dt>${shown.map(key => html`<kbd>${key}</kbd> `)}</dt><dd>${words}</dd></div>`,
  )}</dl>`;

/** @param {{views: import("../views.js").View[]}} props */
export const Help = ({ views }) => html`<${Dialog} name="help">
  <div>
    <h2 id="help-title" class="serif">Keys</h2>
    ${table(KEYS)}
    <h3 class="serif">On the stage, in a map, in a number grid</h3>
    ${table(WITHIN)}
    ${views.map(({ words, keys }) => keys && html`<h3 class="serif">In ${words}</h3>${table(keys)}`)}
    <p class="soft">Enter on a tile walks its cells; Enter on a cell explains it; Esc goes one level out. The address
      always holds what you see: copy it to come back or to show somebody.</p>
    <p><button type="button" class="link" onClick=${() => openPanel("share")}>Share and take along</button></p>
    <p>Everything here is had by programs too: <a href="docs">the API</a>, and pages <a
      href="programmers">for programmers</a>.</p>
    <form method="dialog"><button class="button primary" autofocus>Close</button></form>
  </div>
<//>`;
