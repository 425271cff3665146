/** What can be taken along of the pass that is looked at. */

import { ask, get } from "./requests.js";
import { passPath } from "./session.js";

/** Every tensor of the pass, as a file that NumPy reads. @returns {Promise<Blob>} */
export const allNumbers = async () =>
  (await ask(`${await passPath()}/frame`, { headers: { Accept: "application/x-npz" } })).blob();

/** The origins whose pages may show a step in a frame. @returns {Promise<string[]>} */
export const embedders = async () => (await get("api/status")).embed;

/** Where the QR code of a view is, null where the view is too long for one. @param {string} view what follows # */
export const codeOf = view => (view.length > 800 ? null : `api/qr?view=${encodeURIComponent(view)}`);

/** The run's network as PyTorch source. @param {string} run */
export const sourceOf = run => `api/runs/${encodeURIComponent(run)}/pytorch`;
