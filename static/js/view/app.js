/** The page: header, and either the explore grid or the training room. */

import { html } from "./html.js";
import { position, said, shape, view } from "../store.js";
import { Drawer } from "./drawer.js";
import { First } from "./first.js";
import { Header } from "./header.js";
import { Help } from "./help.js";
import { Picker } from "./picker.js";
import { Stage } from "./stage.js";
import { Step } from "./step.js";
import { Train } from "./train.js";
import { Hurry, Transport } from "./transport.js";

export function App() {
  const training = view.value === "train";
  return html`
    <div class="app ${training ? "training" : "exploring"} ${shape.value}">
      <${Header} />
      ${training ? html`<${Train} />` : html`
        <main class="explore">
          <h1 class="spoken">Explore a pass through the network</h1>
          <${Stage} />
          ${position.value === null ? html`<${First} />` : html`<${Step} /><${Hurry} />`}
        </main>
        <${Drawer} />
        <${Transport} />`}
    </div>
    <${Picker} />
    <${Help} />
    <div class="spoken" role="status" aria-live="polite">${said.value}</div>`;
}
