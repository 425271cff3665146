// The metrics of a run as columns that grow: what the server has told so far.

/** @typedef {Columns & {epoch: number[]}} EpochColumns */

/** @returns {Columns} */
const columns = () => ({ step: [], loss: [], accuracy: [] });

/** @returns {Metrics} */
export const noMetrics = () => ({ ...columns(), probe: columns(), test: { epoch: [], ...columns() } });

/**
 * Adds to `known` the entries of `news` after its last step; what is known already is passed over.
 * @param {Record<string, any>} known its columns grow @param {Record<string, any>} news
 */
function append(known, news) {
  const last = known.step.at(-1) ?? -1;
  (news.step ?? []).forEach((/** @type {number} */ step, /** @type {number} */ k) => {
    if (step <= last) return;
    for (const name of Object.keys(known)) {
      if (Array.isArray(known[name])) known[name].push(news[name]?.[k] ?? NaN);
    }
  });
}

/** @param {Metrics} known grows in place @param {Partial<Metrics>} news @returns {Metrics} known */
export function extend(known, news) {
  append(known, news);
  append(known.probe, news.probe ?? {});
  append(known.test, news.test ?? {});
  return known;
}
