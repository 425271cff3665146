/** On a shared server only whoever made a run may change it: the tokens of those that this browser made. */

const KEY = "convscope tokens";
const MOST = 50;

/** @returns {[string, string][]} */
function tokens() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "[]");
  } catch {
    return [];
  }
}

/** @param {{id: string, token?: string}} made */
export function keepToken({ id, token }) {
  if (!token) return;
  try {
    localStorage.setItem(KEY, JSON.stringify([...tokens(), [id, token]].slice(-MOST)));
  } catch {
    // Without storage the run can be watched, and changed by nobody.
  }
}

/**
 * The headers that a change of a run, or of a data set, needs. A new run is made under the first token that this
 * browser was given: one
 * serves for all of its runs, and the server counts them together, whoever else sits behind the same address.
 * @param {string} path @returns {Record<string, string>}
 */
export function credentials(path) {
  const [, id = ""] = /^api\/(?:runs|expired)\/([^/]+)/.exec(path) ?? [];
  const known = tokens();
  const mine = path === "api/runs" || path.startsWith("api/datasets");
  const token = mine ? known[0]?.[1] : new Map(known).get(id);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/**
 * What lets another browser change a run, as one line to copy: its id and its token; null where there is none.
 * @param {string} id
 */
export function keyOf(id) {
  const token = new Map(tokens()).get(id);
  return token ? `${id} ${token}` : null;
}

/**
 * Keep a key that was copied in another browser. Returns the run it is for, null where it is no key.
 * @param {string} text
 */
export function keepKey(text) {
  const [, id, token] = /^\s*([\w-]{1,40})\s+([\w-]{16,100})\s*$/.exec(text) ?? [];
  if (!id) return null;
  keepToken({ id, token });
  return id;
}

/** Whether this browser may change a run. @param {{id: string, owned?: boolean}} run */
export const mayChange = ({ id, owned }) => !owned || new Map(tokens()).has(id);
