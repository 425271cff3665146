/** Requests: the one module that fetches. It waits for a server that is away, and keeps what never changes. */

import * as store from "../state/store.js";
import { credentials } from "./tokens.js";

const BASE = new URL(".", document.baseURI);

/** What a refusal is called where people read it; the detail is the server's own. @type {Record<number, string>} */
const TITLES = {
  400: "The server did not understand that",
  403: "That is not allowed from here",
  404: "That is not there",
  409: "That is not possible right now",
  413: "That is more than this server does",
  422: "That does not fit",
  429: "The server is busy",
  502: "The server is starting, or its proxy does not reach it",
  503: "The server is not ready",
  504: "The server is starting, or its proxy does not reach it",
};

/** A refusal of the server: what was expected and what was got. */
export class Refused extends Error {
  /** @param {number} status @param {{title?: string, detail?: string}} body */
  constructor(status, body) {
    super(body.detail || body.title || `the server answered ${status}`);
    this.status = status;
    this.title = TITLES[status] ?? "Something went wrong on the server";
  }
}

/**
 * Sends a request until it is answered: one that may be sent twice waits for a server that is away or busy.
 * A Blob is sent as it is, anything else as JSON.
 * @param {string} path @param {Omit<RequestInit, "body"> & {body?: any}} [options]
 */
export async function ask(path, options = {}) {
  let over = () => {};
  let asked = 0;
  const { body, ...rest } = options;
  const headers = { ...(options.method ? credentials(path) : {}), ...rest.headers };
  const request =
    body === undefined || body instanceof Blob
      ? { ...rest, body, headers: body ? { "Content-Type": "application/octet-stream", ...headers } : headers }
      : { ...rest, body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers } };
  try {
    for (let wait = 250; ; wait = Math.min(2000, 2 * wait)) {
      const response = await fetch(new URL(path, BASE), request).catch(error => {
        if (!options.signal?.aborted) void (back ??= untilBack());
        if (options.signal?.aborted || !repeatable(path, options.method)) throw error;
      });
      if (!response) {
        await back;
        continue;
      }
      if (response.ok) return response;
      const problem = await response.json().catch(() => ({}));
      const starting = response.status === 502 || response.status === 504; // a proxy whose server starts, or ends
      if (starting && repeatable(path, options.method)) {
        void (back ??= untilBack());
        await back;
        continue;
      }
      const after = Number(response.headers.get("Retry-After")) || 0;
      const busy = response.status === 429 && after && ++asked < BUSY && repeatable(path, options.method);
      if (!busy && (response.status !== 503 || !after)) throw new Refused(response.status, problem);
      if (busy) over = tell({ title: TITLES[429], detail: `${problem.detail}; it is asked again` });
      await sleep(busy ? 1000 * after : wait, options.signal ?? undefined);
    }
  } finally {
    over();
  }
}

/** Times that a server is asked which has too much to do, before it is said for good. */
const BUSY = 5;

/**
 * A notice; what is returned takes it back, unless another one stands in its place by then.
 * @param {NonNullable<typeof store.problem.value>} said
 */
export function tell(said) {
  store.showError(said);
  return () => {
    if (store.problem.peek() === said) store.showError(null);
  };
}

/** Whether a request may be sent again that perhaps arrived. @param {string} path @param {string} [method] */
const repeatable = (path, method) => method !== "POST" || /(passes|predict)$/.test(path);

/** While the server does not answer: resolves when it does. @type {Promise<void>|null} */
let back = null;

async function untilBack() {
  store.offline.value = true;
  do await sleep(700);
  while (
    !(await fetch(new URL("api/status", BASE)).then(
      ({ ok }) => ok,
      () => false,
    ))
  );
  back = null;
  store.showError(null);
  store.offline.value = false;
}

/** @param {number} milliseconds @param {AbortSignal} [signal] */
export const sleep = (milliseconds, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });

/** @param {string} path @param {RequestInit} [options] */
export const get = async (path, options) => (await ask(path, options)).json();
/** @param {string} path @param {any} body @param {RequestInit} [options] */
export const post = async (path, body, options) => (await ask(path, { ...options, method: "POST", body })).json();

/** The address of a run's stream. @param {string} id */
export function streamOf(id) {
  const url = new URL(`api/runs/${encodeURIComponent(id)}/stream`, BASE);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}

/** The address of a run's event stream. @param {string} id */
export const eventsOf = id => new URL(`api/runs/${encodeURIComponent(id)}/events`, BASE);

/** @type {Map<string, Promise<any>>} */
const kept = new Map();
const KEPT = 400;

/** A question whose answer never changes is asked once. @param {string} path @returns {Promise<any>} */
export function once(path) {
  let answer = kept.get(path);
  if (!answer) {
    answer = get(path);
    answer.catch(() => kept.delete(path));
    kept.set(path, answer);
    if (kept.size > KEPT) kept.delete(/** @type {string} */ (kept.keys().next().value));
  }
  return answer;
}

/** After the server was away its answers are asked for anew. */
export const forget = () => kept.clear();

/** What failed, said; what is returned takes the notice back. @param {unknown} error */
export function showError(error) {
  if (store.offline.value) return () => {};
  const title = error instanceof Refused ? error.title : "The server cannot be reached";
  return tell({ title, detail: error instanceof Error ? error.message : String(error) });
}

/** What is given of a query. @param {Record<string, any>} query */
export function search(query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  return given.length ? `?${new URLSearchParams(given.map(([key, value]) => [key, String(value)]))}` : "";
}

// Questions that need no run to be looked at.

/** The presets that can be trained here; those without settings for it are documents only. */
export const models = () =>
  once("api/models").then((/** @type {any[]} */ all) => all.filter(({ defaults }) => defaults));
export const optimizers = () => once("api/optimizers");
export const datasets = () => once("api/datasets");

/** A file as a data set. @param {Blob} file @param {string} name @param {number} [size] of pictures */
export async function addDataset(file, name, size) {
  const made = await post(`api/datasets${search({ name, size })}`, file);
  kept.delete("api/datasets");
  return made;
}

/** @param {string} name */
export async function deleteDataset(name) {
  await ask(`api/datasets/${encodeURIComponent(name)}`, { method: "DELETE" });
  forget(); // another one may come to have its name
}

/** A model's file as a network. @param {Blob} file @param {string} name */
export const importModel = (file, name) => post(`api/networks/import${search({ name })}`, file);

/** What was guessed, settled. @param {string} id @param {Record<string, any>} answers null takes one back */
export const settleImport = (id, answers) => post(`api/networks/import/${encodeURIComponent(id)}`, { answers });

/**
 * What the classes of a data set are called: by number where nobody has named them.
 * @param {{classes: number|string[]}} dataset
 * @returns {string[]}
 */
export const classesOf = ({ classes }) =>
  Array.isArray(classes) ? classes : Array.from({ length: classes ?? 0 }, (_, k) => String(k));

/** @param {string} dataset @param {string} split @param {{label?: number, offset?: number, limit?: number}} [query] */
export const digits = (dataset, split, query = {}) =>
  once(`api/datasets/${encodeURIComponent(dataset)}/${split}${search(query)}`);

/** @param {string} dataset @param {string} split @param {number} index */
export const image = (dataset, split, index) => once(`api/datasets/${encodeURIComponent(dataset)}/${split}/${index}`);

/** The address of an image as a picture. @param {string} dataset @param {string} split @param {number} index */
export const pictureOf = (dataset, split, index) =>
  new URL(`api/datasets/${encodeURIComponent(dataset)}/${split}/${index}`, BASE).href;

export const runs = () => get("api/runs");

/** A whole tensor as a step left it. @param {string} id @param {number} step @param {string} name layer/tensor */
export const tensor = (id, step, name) => get(`api/runs/${encodeURIComponent(id)}/steps/${step}/tensors/${name}`);

/** @param {string} id @param {any} body */
export const predict = (id, body) => post(`api/runs/${encodeURIComponent(id)}/predict`, body);

/** @param {string} id @param {number} since @param {number} [points] */
export const metrics = (id, since = 0, points) =>
  get(`api/runs/${encodeURIComponent(id)}/metrics${search({ since, points })}`);

/** @returns {Promise<{lessons: any[], problems: {file: string, detail: string}[]}>} */
export const lessons = () => get("api/lessons");
/** @param {string} name */
export const lesson = name => get(`api/lessons/${encodeURIComponent(name)}`);

/** The families of exercises there are. @returns {Promise<any[]>} */
export const families = () => once("api/exercises");
/** @param {string} family @param {number} seed @param {"all"|"last"|"middle"|"none"} terms that are given */
export const exercise = (family, seed, terms = "none") =>
  once(`api/exercises/${encodeURIComponent(family)}${search({ seed, terms })}`);
/** What each mistake is, by name. @returns {Promise<Map<string, string>>} */
export const mistakes = async () =>
  new Map((await once("api/mistakes")).mistakes.map((/** @type {any} */ { name, sentence }) => [name, sentence]));
/** @param {string} family @param {any} body */
export const answer = (family, body) => post(`api/exercises/${encodeURIComponent(family)}/answers`, body);

/** The concept inventory and the usability questionnaire. */
export const inventory = () => once("api/inventory");
/** What a run can be trained with in the bug lab. @returns {Promise<any[]>} */
export const slips = () => once("api/slips");
