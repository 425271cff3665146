/** One call of the API as a page of the documentation writes it, and what was answered. */

import { credentials, keepToken } from "./tokens.js";

/**
 * @typedef {{status: number, words: string, kind: string, location: string, size: number, body: any,
 *   took: number}} Answered
 * @param {string} method
 * @param {string} address below this server's own
 * @param {string|null} body JSON, sent as it stands
 * @returns {Promise<Answered>} `body` is the JSON that was answered, or null where it is no JSON
 */
export async function send(method, address, body) {
  const begun = performance.now();
  const path = address.replace(/^\/+/, "");
  const response = await fetch(path, {
    method,
    body,
    headers: { ...(body === null ? {} : { "Content-Type": "application/json" }), ...credentials(path) },
  });
  const kind = (response.headers.get("Content-Type") ?? "").split(";")[0];
  const content = await response.arrayBuffer();
  const text = kind.endsWith("json") ? new TextDecoder().decode(content) : "";
  if (text && response.status === 201) keepToken(JSON.parse(text));
  return {
    status: response.status,
    words: response.statusText,
    kind,
    location: response.headers.get("Location") ?? "",
    size: content.byteLength,
    body: text ? JSON.parse(text) : null,
    took: performance.now() - begun,
  };
}

/**
 * How far the server is with compiling its kernels, or null where that is done or it does not say.
 * @returns {Promise<Compiling|null>}
 */
export async function compiling() {
  return (await send("GET", "api/status", null).catch(() => null))?.body?.compiling ?? null;
}
