/** A pass, walked: the stage above, the step view beneath it, the card beside them, the transport below. */

import { html } from "./html.js";
import { position } from "../state/store.js";
import { Drawer } from "./card/drawer.js";
import { Welcome } from "./shell/welcome.js";
import { Hurry, Transport } from "./shell/transport.js";
import { Stage } from "./stage/stage.js";
import { Step } from "./step/step.js";

export const Explore = () => html`
  <main class="explore">
    <h1 class="spoken">Explore a pass through the network</h1>
    <${Stage} />
    ${position.value === null ? html`<${Welcome} />` : html`<${Step} /><${Hurry} />`}
  </main>
  <${Drawer} />
  <${Transport} />`;
