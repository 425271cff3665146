/** Words of a room: what somebody is called, how answers are spread, and whose fault a lost connection is. */

/** @param {{number: number, nickname: string}} who */
export const nameOf = ({ number, nickname }) => nickname || String(number);

/** A mistake's name in words: "no-flip" is "no flip". @param {string} name */
const inWords = name => name.replace(/[-_]/g, " ");

/**
 * Rows of a tally as they are drawn.
 * @param {{name: string, text: string, right: boolean, mistake: string|null, count: number}[]} rows
 */
export function spread(rows) {
  const shown = rows.map(row => ({
    ...row,
    text: row.name === row.mistake ? inWords(row.text) : row.text,
    mistake: row.mistake && row.mistake !== row.name ? inWords(row.mistake) : null,
  }));
  const all = rows.reduce((sum, { count }) => sum + count, 0);
  return { rows: shown, most: Math.max(0, ...rows.map(({ count }) => count)), all };
}

/** How many follow, go their own way, and are lost. @param {{state: string}[]} who */
export function headcount(who) {
  const of = (/** @type {string} */ state) => who.filter(each => each.state === state).length;
  return { following: of("following"), own: of("own"), lost: of("lost") };
}

/**
 * The three stations between a phone and the lesson, as far as it is known which of them works.
 * @param {"phone"|"way"|"server"|"starting"|undefined} fault
 * @param {string} host
 * @returns {{title: string, stations: {name: string, words: string, works: boolean|null}[]}}
 */
export function blame(fault, host) {
  const phone = fault !== "phone";
  const way = fault === "server" || fault === "starting" ? true : fault === "way" ? false : null;
  const titles = {
    phone: "This phone has no network.",
    way: "The way to the lecturer’s computer is broken: Wi-Fi.",
    server: "Convscope does not answer on the lecturer’s computer. It is not your phone.",
    starting: "The connection broke off. It comes back by itself.",
  };
  const server = fault === "server" ? false : null;
  return {
    title: titles[fault ?? "starting"],
    stations: [
      {
        name: "This phone",
        works: phone,
        words: phone ? "running, and has a network" : "no Wi-Fi and no mobile network",
      },
      {
        name: "The way there",
        works: way,
        words: way === null ? "not known" : way ? `${host} answers, but refuses` : `${host} is not reached`,
      },
      {
        name: "Convscope on the lecturer’s computer",
        works: server,
        words: server === false ? "not running, perhaps starting again" : "not known",
      },
    ],
  };
}
