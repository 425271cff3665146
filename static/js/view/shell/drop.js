/** A file may be dropped anywhere on the page, and a picture pasted. */

import { useEffect, useState } from "preact/hooks";

import { bring } from "../../state/dropped.js";
import { html } from "../html.js";

export function DropAnywhere() {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const files = (/** @type {DataTransfer|null} */ transfer) => Array.from(transfer?.files ?? []);
    const drag = (/** @type {DragEvent} */ event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      setOver(true);
    };
    const leave = (/** @type {DragEvent} */ event) => event.relatedTarget === null && setOver(false);
    const drop = (/** @type {DragEvent} */ event) => {
      setOver(false);
      const [first] = files(event.dataTransfer);
      if (!first) return;
      event.preventDefault();
      bring(first);
    };
    const paste = (/** @type {ClipboardEvent} */ event) => {
      const first = files(event.clipboardData).find(({ type }) => type.startsWith("image/"));
      if (!first) return;
      event.preventDefault();
      bring(first);
    };
    const kinds = /** @type {[string, any][]} */ ([
      ["dragover", drag],
      ["dragleave", leave],
      ["drop", drop],
      ["paste", paste],
    ]);
    kinds.forEach(([kind, act]) => addEventListener(kind, act));
    return () => kinds.forEach(([kind, act]) => removeEventListener(kind, act));
  }, []);
  return over && html`<div class="drop-anywhere" aria-hidden="true"><p>Drop a model, data or a picture</p></div>`;
}
