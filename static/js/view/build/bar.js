/** The bar at the foot: back and forth, presets, files, what the network costs, and training it. */

import { useEffect, useState } from "preact/hooks";

import * as format from "../../core/format.js";
import * as build from "../../state/build.js";
import * as store from "../../state/store.js";
import { compact } from "../../core/network_document.js";
import { dataFor, makeRun, presets, runFromEdits } from "../../net/build.js";
import { showError } from "../../net/requests.js";
import { html } from "../html.js";
import { Icon, Line } from "../icons.js";

/** Bytes of a file that is read as a network. */
const LARGEST_FILE = 2 ** 20;

export function Bar() {
  const hand = build.task.value.kind === "hand";
  const narrow = store.breakpoint.value === "narrow";
  return html`<div class="build-bar" role="group" aria-label="The whole network">
    <button type="button" class="button round" aria-label="Undo" title="Undo (Ctrl Z)"
      aria-disabled=${!build.canUndo.value}
      onClick=${build.undo}><${Line} name="undo" /></button>
    <button type="button" class="button round" aria-label="Redo" title="Redo (Ctrl Y)"
      aria-disabled=${!build.canRedo.value}
      onClick=${build.redo}><${Line} name="redo" /></button>
    ${!hand && !narrow && html`<${Presets} />`}
    ${!hand && !narrow && html`<${Files} />`}
    <${Sum} hand=${hand} />
    <${Train} hand=${hand} />
  </div>`;
}

export function Presets() {
  const [all, setAll] = useState(/** @type {any[]} */ ([]));
  useEffect(() => {
    presets().then(setAll, showError);
  }, []);
  const run = store.run.value;
  return html`<label class="presets"><span class="spoken">Start from</span><select onChange=${(
    /** @type {any} */ event,
  ) => {
    const to = event.currentTarget.value;
    event.currentTarget.value = "";
    if (to === "run") build.open(run.network, run.name || run.model || run.title || "");
    const found = all.find(({ name }) => `model ${name}` === to);
    if (found) build.open(found, found.name);
  }}>
    <option value="">start from…</option>
    ${run?.network && html`<option value="run">the network of this run</option>`}
    ${all.map(({ name }) => html`<option key=${name} value=${`model ${name}`}>${name}</option>`)}
  </select></label>`;
}

function Files() {
  const open = async (/** @type {any} */ event) => {
    const field = event.currentTarget;
    const file = field.files?.[0];
    field.value = "";
    if (!file) return;
    try {
      if (file.size > LARGEST_FILE) throw new Error("it is larger than a megabyte");
      const document = JSON.parse(await file.text());
      const network = document?.network ?? document;
      if (!Array.isArray(network?.layers) || !Array.isArray(network?.input))
        throw new Error("it has no input and layers");
      build.open(network, (network.title ?? file.name.replace(/\.json$/, "")).slice(0, 60));
    } catch (error) {
      store.showError({
        title: `${file.name} is no network document`,
        detail: `Expected JSON with input, layers and loss; ${error instanceof Error ? error.message : error}.`,
      });
    }
  };
  const save = () => {
    const network = compact(/** @type {NetworkDocument} */ (build.network.peek()));
    const name = build.title.peek() || "network";
    const text = JSON.stringify({ title: name, ...network }, null, 2);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = `${name.replace(/[^\w-]+/g, "-")}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  return html`<label class="button file">open a file<input type="file" class="spoken" accept=".json,application/json"
      onChange=${open} /></label>
    <button type="button" class="button" onClick=${save}>save it</button>`;
}

/** @param {{hand: boolean}} props */
function Sum({ hand }) {
  const draft = build.draft.value;
  const wrong = build.misfit.value;
  const kernels = new Set(store.edits.value.map(({ place }) => place.split(",").slice(0, 2).join())).size;
  return html`<p class="sum soft">${
    hand
      ? kernels
        ? `${kernels} ${kernels === 1 ? "kernel" : "kernels"} changed by hand`
        : "nothing changed by hand yet"
      : build.refusal.value
        ? build.refusal.value
        : wrong
          ? `${wrong.name} does not fit yet`
          : draft
            ? `${format.count(draft.parameters)} parameters · ${format.count(draft.multiply_adds)} products per image`
            : ""
  }</p>`;
}

/** @param {{hand: boolean}} props */
function Train({ hand }) {
  const [busy, setBusy] = useState(false);
  const [data, setData] = useState(/** @type {any} */ (undefined));
  const input = build.network.value?.input;
  useEffect(() => {
    if (input) dataFor(input).then(setData, showError);
  }, [input?.join()]);
  const ready = store.status.value.ready;
  const why = hand
    ? ""
    : !build.draft.value?.whole || build.refusal.value
      ? "The network does not fit yet."
      : data === null
        ? `There is no data of the shape ${input?.join(" × ")} here.`
        : !ready
          ? "The kernels are being compiled."
          : "";
  const train = async () => {
    if (why) return store.say(why);
    if (busy) return;
    setBusy(true);
    try {
      await (hand ? runFromEdits(true) : makeRun(true));
      build.task.value = { kind: "layer" };
      store.show("train");
      store.say("A new run has started from step 0.");
    } catch (error) {
      showError(error);
    } finally {
      setBusy(false);
    }
  };
  return html`<button type="button" class="button primary" aria-disabled=${Boolean(why) || busy}
    title=${why || undefined}
    onClick=${train}><${Icon} name="play" /> Train this</button>`;
}
