/** The page: header, and either the explore grid or the training room. */

import { useEffect } from "preact/hooks";

import { html } from "../html.js";
import { noMnist, panel, position, announcement, breakpoint, view, walkable } from "../../state/store.js";
import { Drawer } from "../card/drawer.js";
import { Welcome } from "./welcome.js";
import { Header } from "./header.js";
import { NoMnist } from "./no_mnist.js";
import { lazy } from "./lazy.js";
import { Stage } from "../stage/stage.js";
import { Step } from "../step/step.js";
import { Hurry, Transport } from "./transport.js";

const Train = lazy(
  () => import("../train/train.js"),
  "Train",
  html`<main class="train" aria-label="Train" aria-busy="true"></main>`,
);
const Picker = lazy(() => import("../picker/picker.js"), "Picker");
const Help = lazy(() => import("./help.js"), "Help");

export function App() {
  const training = view.value === "train";
  const settled = walkable.value;
  useEffect(() => {
    if (!settled) return;
    const timer = setTimeout(() => [Picker, Train, Help].forEach(({ fetchAhead }) => fetchAhead()), IDLE);
    return () => clearTimeout(timer);
  }, [settled]);
  return html`
    <div class="app ${training ? "training" : "exploring"} ${breakpoint.value}">
      <${Header} />
      ${
        noMnist.value
          ? html`<${NoMnist} />`
          : training
            ? html`<${Train} />`
            : html`
        <main class="explore">
          <h1 class="spoken">Explore a pass through the network</h1>
          <${Stage} />
          ${position.value === null ? html`<${Welcome} />` : html`<${Step} /><${Hurry} />`}
        </main>
        <${Drawer} />
        <${Transport} />`
      }
    </div>
    ${(panel.value === "picker" || panel.value === "draw") && html`<${Picker} />`}
    ${panel.value === "help" && html`<${Help} />`}
    <div class="spoken" role="status" aria-live="polite">${announcement.value}</div>`;
}

/** Milliseconds after the first pass is drawn: time for the first hand to move before more is fetched. */
const IDLE = 600;
