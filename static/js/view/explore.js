/** A pass, walked: the stage above, the step view beneath it, the card beside them, the transport below. */

import { html } from "./html.js";
import { asked, position } from "../state/store.js";
import { Drawer } from "./card/drawer.js";
import { Predict } from "./shell/predict.js";
import { Welcome } from "./shell/welcome.js";
import { Hurry, Transport } from "./shell/transport.js";
import { Stage } from "./stage/stage.js";
import { Step } from "./step/step.js";

export const Explore = () => html`
  <main class="explore">
    <h1 class="spoken">Explore a pass through the network</h1>
    <${Stage} />
    ${
      position.value === null
        ? html`<${Welcome} />`
        : asked.value
          ? html`<${Predict} place=${asked.value} />`
          : html`<${Step} /><${Hurry} />`
    }
  </main>
  <${Drawer} />
  <${Transport} />`;
