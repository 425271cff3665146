/** The page: header, and either the explore grid or the training room. */

import { html } from "./html.js";
import { position, said, shape, view } from "../store.js";
import { Header } from "./header.js";
import { Stage } from "./stage.js";
import { First } from "./first.js";
import { Step } from "./step.js";
import { Card } from "./card.js";
import { Transport } from "./transport.js";
import { Train } from "./train.js";
import { Picker } from "./picker.js";
import { Help } from "./help.js";

export function App() {
  const training = view.value === "train";
  return html`
    <div class="app ${training ? "training" : "exploring"} ${shape.value}">
      <${Header} />
      ${training ? html`<${Train} />` : html`
        <${Stage} />
        ${position.value === null ? html`<${First} />` : html`<${Step} />`}
        <${Card} />
        <${Transport} />`}
    </div>
    <${Picker} />
    <${Help} />
    <div class="spoken" role="status" aria-live="polite">${said.value}</div>`;
}
