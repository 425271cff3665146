/** The projector: it follows like a student, and shows how answers were spread once the lecturer reveals it. */

import { useEffect, useState } from "preact/hooks";

import { html } from "../html.js";
import * as net from "../../net/room.js";
import * as state from "../../state/room.js";
import * as store from "../../state/store.js";
import { JoinScreen } from "./lecturer.js";
import { Outcome } from "./outcome.js";
import { Bars } from "./parts.js";

export function Projector() {
  const code = /** @type {string} */ (store.room.value);
  const [found, setFound] = useState(/** @type {Awaited<ReturnType<typeof net.find>>|null} */ (null));
  const [joining, setJoining] = useState(true);
  useEffect(() => void net.find(code).then(setFound, () => {}), [code]);
  const asked = state.asked.value;
  const count = state.count.value;
  useEffect(() => {
    if (asked) setJoining(false);
  }, [asked?.question]);
  if (joining) return html`<${JoinScreen} found=${found} close=${() => setJoining(false)} />`;
  return html`<aside class="room-panel projected" aria-label=${`Room ${code}`}>
    <div class="scrolling">
      ${
        asked
          ? html`<p class="counts"><span>Question ${asked.question}</span>
            <span>${count?.question === asked.question ? `${count.answered} of ${count.of} answered` : ""}</span></p>
          <p class="question">${asked.item.question}</p>
          ${asked.result && html`<${Bars} rows=${asked.result.tally} told=${true} /><${Outcome} asked=${asked} />`}`
          : html`<p class="soft">No question yet.</p>`
      }
    </div>
    <div class="acts one"><button type="button" class="button"
      onClick=${() => setJoining(true)}>Room ${code}: join</button></div>
  </aside>`;
}
