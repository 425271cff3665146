/** The language of the page. The code has its texts in English; the catalogue of another language translates them. */

/** The languages that the page has, each in its own words. */
export const LANGUAGES = [
  { value: "en", words: "English" },
  { value: "de", words: "Deutsch" },
];

/** What is spoken, set before anything is drawn: a BCP 47 tag, how it is written, what translates. */
const spoken = {
  tag: "en",
  direction: "ltr",
  text: /** @type {((text: string) => string)|null} */ (null),
  children: /** @type {((children: any[]) => any[])|null} */ (null),
};

/** A BCP 47 tag. */
export const language = () => spoken.tag;

/** How it is written, as HTML's `dir` says it. */
export const direction = () => spoken.direction;

/** @param {typeof spoken} now */
export const speak = now => Object.assign(spoken, now);

/** A text of the page or of the server in the page's language. @param {string} text */
export const translate = text => spoken.text?.(text) ?? text;

/** The children of an element in the page's language. @param {any[]} children */
export const inLanguage = children => spoken.children?.(children) ?? children;

/** A number as it is typed, with the decimal sign of the language or a point. @param {string} text */
export const typedNumber = text => Number(translate("0.5").includes(",") ? text.replace(",", ".") : text);
