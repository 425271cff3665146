/** The card's place: a column of its own where there is room, else a drawer above the transport. */

import { useEffect, useRef, useState } from "preact/hooks";

import { html } from "../html.js";
import { Card } from "./card.js";
import { Chevron } from "../icons.js";
import * as format from "../../core/format.js";
import * as store from "../../state/store.js";

export function Drawer() {
  const wide = store.breakpoint.value === "wide";
  return wide ? html`<${Card} />` : html`<${Closed} />`;
}

function Closed() {
  const place = store.place.value;
  const [open, set] = useState(false);
  const before = useRef(place);
  useEffect(() => {
    if (place !== before.current) set(place !== null);
    before.current = place;
  }, [place]);
  const value = place === null ? undefined : store.numberAt(place);
  return html`<section class=${`drawer ${open ? "open" : ""}`} aria-label="Explanation">
    <button type="button" class="handle" aria-expanded=${open} onClick=${() => set(!open)}>
      ${
        place === null
          ? html`<span>Choose any number, and it explains itself</span>`
          : html`<span class="soft">${place}</span> <b>${value === undefined ? "" : format.number(value)}</b>`
      }
      <${Chevron} />
    </button>
    ${open && html`<${Card} />`}
  </section>`;
}
