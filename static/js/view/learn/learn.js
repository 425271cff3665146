/** Learn: all lessons, or the one that is played. */

import { useEffect, useState } from "preact/hooks";

import { html } from "../html.js";
import * as net from "../../net/requests.js";
import { lesson, part } from "../../state/store.js";
import { BugLab } from "./bug_lab.js";
import { Homework } from "./homework.js";
import { Inventory } from "./inventory.js";
import { Index } from "./lessons.js";
import { Player } from "./player.js";

/** Pages beside the lessons. @type {Record<string, any>} */
const PAGES = { inventory: Inventory, "bug-lab": BugLab, homework: Homework };

export function Learn() {
  const [listing, list] = useState(/** @type {any} */ (null));
  const [families, name] = useState(/** @type {any[]|null} */ (null));
  const played = lesson.value;
  const page = PAGES[part.value ?? ""];
  useEffect(() => {
    net.lessons().then(list, net.showError);
    net.families().then(name);
  }, []);
  if (!listing || !families) return html`<main class="learn" aria-label="Learn" aria-busy="true"></main>`;
  if (page) return html`<${page} families=${families} />`;
  const known = new Set(families.map(each => each.name));
  return played && listing.lessons.some((/** @type {any} */ each) => each.name === played)
    ? html`<${Player} name=${played} known=${known} />`
    : html`<${Index} listing=${listing} known=${known} />`;
}
