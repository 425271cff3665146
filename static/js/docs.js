/** The documentation pages: each example can be changed and run against this server. */

import { timeLeft } from "./core/format.js";
import { compiling, send } from "./net/try.js";

const WIDE = 56;
/** Runs and passes that were made on this page stand in for these in later addresses. */
const OWN = /** @type {[RegExp, string][]} */ ([
  [/\/api\/runs\/([^/]+)$/, "YOUR-RUN"],
  [/\/passes\/([^/]+)$/, "YOUR-PASS"],
  [/\/networks\/import\/([^/]+)$/, "YOUR-IMPORT"],
  [/\/api\/datasets\/([^/]+)$/, "YOUR-DATA"],
  [/\/api\/rooms\/([^/]+)$/, "YOUR-ROOM"],
]);

/** @param {any} value @returns {string} */
function line(value) {
  if (Array.isArray(value)) return `[${value.map(line).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([name, each]) => `${JSON.stringify(name)}: ${line(each)}`)
    .join(", ")}}`;
}

/**
 * A document as a person reads it: what fits on a line stands on one, rows of a tensor below one another.
 * @param {any} value
 * @returns {string}
 */
function shown(value, indent = 0, column = 0) {
  const flat = line(value);
  const nested = Array.isArray(value) && value.some(each => typeof each === "object" && each !== null);
  const whole = column + flat.length <= WIDE || typeof value !== "object" || value === null;
  if (whole || (Array.isArray(value) && !nested)) return flat;
  if (nested)
    return `[${value
      .map((/** @type {any} */ each) => shown(each, column + 1, column + 1))
      .join(`,\n${" ".repeat(column + 1)}`)}]`;
  const lines = Object.entries(value).map(([name, each]) => {
    const start = `${" ".repeat(indent + 2)}${JSON.stringify(name)}: `;
    return start + shown(each, indent + 2, start.length);
  });
  return `{\n${lines.join(",\n")}\n${" ".repeat(indent)}}`;
}

/** @param {HTMLFormElement} form */
async function run(form) {
  const field = (/** @type {string} */ name) => /** @type {HTMLInputElement|null} */ (form.elements.namedItem(name));
  const status = /** @type {HTMLOutputElement} */ (form.querySelector(".status"));
  const answer = /** @type {HTMLElement} */ (form.querySelector(".answer"));
  status.value = "asking…";
  const waiting = setInterval(() => void explain(status), 1500);
  try {
    const found = await send(form.dataset.method ?? "GET", field("address")?.value ?? "", field("body")?.value ?? null);
    status.value = `${found.status} ${found.words}, ${Math.max(1, Math.round(found.took))} ms`;
    answer.textContent = found.body === null ? `${found.size} bytes of ${found.kind || "nothing"}` : shown(found.body);
    answer.classList.toggle("bad", found.status >= 400);
    if (found.status === 201) remember(found.location);
  } catch {
    status.value = "the server did not answer";
    answer.textContent = "";
  } finally {
    clearInterval(waiting);
  }
  answer.hidden = !answer.textContent;
}

/**
 * Why an answer takes long: on the first start nothing is computed before its kernel is compiled.
 * @param {HTMLOutputElement} status
 */
async function explain(status) {
  const kernels = await compiling();
  if (kernels && status.value.startsWith("asking…")) {
    const left = kernels.seconds_left ? `; ${timeLeft(kernels.seconds_left)}` : "";
    status.value = `asking… this start compiles the kernels, ${kernels.done} of ${kernels.total} are ready${left}`;
  }
}

/** @param {string} location */
function remember(location) {
  for (const [pattern, word] of OWN) {
    const id = pattern.exec(location)?.[1];
    if (!id) continue;
    for (const input of document.querySelectorAll("input[name=address]")) {
      const address = /** @type {HTMLInputElement} */ (input);
      address.value = address.value.replace(word, id);
    }
  }
}

for (const form of document.querySelectorAll("form.try")) {
  form.addEventListener("submit", event => {
    event.preventDefault();
    void run(/** @type {HTMLFormElement} */ (form));
  });
}

/**
 * A page that did not come over a secure connection may not write to the clipboard: there the text is selected.
 * @param {HTMLElement} code
 * @param {Text} word
 */
async function copy(code, word) {
  if (navigator.clipboard) await navigator.clipboard.writeText(code.textContent ?? "");
  else getSelection()?.selectAllChildren(code);
  word.data = navigator.clipboard ? "Copied" : "Selected";
  setTimeout(() => {
    word.data = "Copy";
  }, 2000);
}

for (const code of document.querySelectorAll("pre:not(.printed)")) {
  const box = Object.assign(document.createElement("div"), { className: "code" });
  const button = Object.assign(document.createElement("button"), { type: "button", className: "copy" });
  const word = new Text("Copy");
  const what = Object.assign(document.createElement("span"), {
    className: "spoken",
    textContent: ` ${code.getAttribute("aria-label")}`,
  });
  button.append(word, what);
  button.addEventListener("click", () => void copy(/** @type {HTMLElement} */ (code), word));
  code.replaceWith(box);
  box.append(code, button);
}

/** An address may lead into what is folded. */
function unfold() {
  const at = location.hash ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  const folded = /** @type {HTMLDetailsElement|null} */ (at?.querySelector("details.more") ?? null);
  if (folded) folded.open = true;
}
addEventListener("hashchange", unfold);
unfold();
