/** The page: the header, and the view that is shown. */

import { useEffect } from "preact/hooks";

import { html } from "../html.js";
import { noMnist, panel, announcement, breakpoint, room, view, walkable } from "../../state/store.js";
import { VIEWS, viewNamed } from "../views.js";
import { Header } from "./header.js";
import { DropAnywhere } from "./drop.js";
import { lazy, sheet } from "./lazy.js";

const Picker = lazy(() => import("../picker/picker.js"), "Picker");
const Import = lazy(() => import("../import/import.js"), "Import");
const Room = lazy(() => import("../room/room.js"), "Room");
const Help = lazy(() => import("./help.js"), "Help");
const Share = lazy(async () => (await Promise.all([import("../share/share.js"), sheet("share")]))[0], "Share");
const NoMnist = lazy(() => import("./no_mnist.js"), "NoMnist");

/** Whether a page of somebody else's shows this one in a frame: the step alone, and nothing that changes a run. */
const FRAMED = new URLSearchParams(location.search).has("frame");
if (FRAMED) {
  document.documentElement.dataset.frame = "";
  void sheet("frame");
}

export function App() {
  const shown = FRAMED ? VIEWS[0] : viewNamed(view.value);
  const walks = typeof shown.walks === "function" ? shown.walks() : shown.walks;
  const settled = walkable.value;
  useEffect(() => {
    if (!settled) return;
    const later = [Picker, viewNamed("train").view, Help];
    const timer = setTimeout(() => later.forEach(({ fetchAhead }) => fetchAhead()), IDLE);
    return () => clearTimeout(timer);
  }, [settled]);
  return html`
    <div class="app ${walks ? "walked" : "whole"} ${breakpoint.value}" data-view=${shown.name}>
      ${!FRAMED && html`<${Header} />`}
      ${noMnist.value && shown.needsRun ? html`<${NoMnist} />` : html`<${shown.view} />`}
    </div>
    ${(panel.value === "picker" || panel.value === "draw") && html`<${Picker} />`}
    ${panel.value === "import" && html`<${Import} />`}
    ${!FRAMED && html`<${DropAnywhere} />`}
    ${panel.value === "help" && html`<${Help} views=${VIEWS} />`}
    ${panel.value === "share" && html`<${Share} />`}
    ${FRAMED && html`<a class="whole-page" href=${`./${location.hash}`} target="_blank">Open in Convscope</a>`}
    ${room.value !== null && !FRAMED && html`<${Room} />`}
    <div class="spoken" role="status" aria-live="polite">${announcement.value}</div>`;
}

/** Milliseconds after the first pass is drawn: time for the first hand to move before more is fetched. */
const IDLE = 600;
