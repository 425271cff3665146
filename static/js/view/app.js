/** The page: header, and either the explore grid or the training room. */

import { useEffect } from "preact/hooks";

import { html } from "./html.js";
import { homeless, panel, position, said, shape, view, walkable } from "../store.js";
import { Drawer } from "./drawer.js";
import { First } from "./first.js";
import { Header } from "./header.js";
import { Homeless } from "./homeless.js";
import { later } from "./later.js";
import { Stage } from "./stage.js";
import { Step } from "./step.js";
import { Hurry, Transport } from "./transport.js";

const Train = later(
  () => import("./train.js"),
  "Train",
  html`<main class="train" aria-label="Train" aria-busy="true"></main>`,
);
const Picker = later(() => import("./picker.js"), "Picker");
const Help = later(() => import("./help.js"), "Help");

export function App() {
  const training = view.value === "train";
  const settled = walkable.value;
  useEffect(() => {
    if (!settled) return;
    const timer = setTimeout(() => [Picker, Train, Help].forEach(({ fetchAhead }) => fetchAhead()), IDLE);
    return () => clearTimeout(timer);
  }, [settled]);
  return html`
    <div class="app ${training ? "training" : "exploring"} ${shape.value}">
      <${Header} />
      ${
        homeless.value
          ? html`<${Homeless} />`
          : training
            ? html`<${Train} />`
            : html`
        <main class="explore">
          <h1 class="spoken">Explore a pass through the network</h1>
          <${Stage} />
          ${position.value === null ? html`<${First} />` : html`<${Step} /><${Hurry} />`}
        </main>
        <${Drawer} />
        <${Transport} />`
      }
    </div>
    ${(panel.value === "picker" || panel.value === "draw") && html`<${Picker} />`}
    ${panel.value === "help" && html`<${Help} />`}
    <div class="spoken" role="status" aria-live="polite">${said.value}</div>`;
}

/** Milliseconds after the first pass is drawn: time for the first hand to move before more is fetched. */
const IDLE = 600;
