/** Which language the page speaks: fetches its catalogue, and remembers what was chosen by hand. */

import { LANGUAGES, speak } from "../state/language.js";

const KEY = "convscope language";

/** For tests, from the address alone: the catalogue's texts with accents, from the left and from the right. */
const PSEUDO = ["en-XA", "ar-XB"];

function kept() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** The language of the address (`?lang=de`), else the one chosen by hand, else the browser's. */
export async function begin() {
  const asked = new URLSearchParams(location.search).get("lang");
  const tag = asked && PSEUDO.includes(asked) ? asked : chosen([asked, kept(), ...navigator.languages]);
  if (tag === LANGUAGES[0].value) return;
  try {
    const pseudo = PSEUDO.includes(tag);
    const [catalogue, answer] = await Promise.all([
      import("../core/catalogue.js"),
      fetch(`static/locale/${pseudo ? "de" : tag}.po`),
    ]);
    if (!answer.ok) return;
    const messages = catalogue.readPo(await answer.text());
    const translator = pseudo
      ? catalogue.translator(messages.map(catalogue.pseudo), tag.slice(0, 2))
      : catalogue.translator(messages, tag);
    speak({
      tag,
      direction: catalogue.fromTheRight(tag) ? "rtl" : "ltr",
      text: translator.translate,
      children: children => catalogue.translated(children, translator),
    });
  } catch {
    // Without its catalogue the page stays in English: a text that can be read is worth more than none.
  }
}

/**
 * Of the languages that are asked for the first that there is, else English.
 * @param {(string|null)[]} asked BCP 47 tags, what is wanted most first
 */
export const chosen = asked =>
  asked
    .map(tag => LANGUAGES.find(({ value }) => value === tag?.toLowerCase().split("-")[0])?.value)
    .find(value => value !== undefined) ?? LANGUAGES[0].value;

/**
 * Another language, by hand. The page is read anew, because what it draws is kept; its address holds what it shows.
 * @param {string} tag one of LANGUAGES
 */
export function choose(tag) {
  const address = new URL(location.href);
  address.searchParams.delete("lang");
  try {
    localStorage.setItem(KEY, tag);
  } catch {
    address.searchParams.set("lang", tag); // without storage the address alone remembers it
  }
  history.replaceState(null, "", address);
  location.reload();
}
