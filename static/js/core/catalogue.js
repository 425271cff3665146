/**
 * A catalogue of translations in gettext's format, .po, whose keys are the English texts of the page and of the server.
 *
 * A message may have placeholders: `{name}` stands for any text or element, `{#name}` for a number. So a text that was
 * put together, here or at the server, is found by its message: "3 of 12" by "{#k} of {#n}".
 */

/** @typedef {{forms: string[], keys: string[]}} Message  keys: the English text, and where it has one its plural */

const ESCAPES = /** @type {Record<string, string>} */ ({ n: "\n", t: "\t", '"': '"', "\\": "\\" });

/** The messages of a .po file that are translated. @param {string} text @returns {Message[]} */
export function readPo(text) {
  /** @type {Message[]} */
  const messages = [];
  let now = /** @type {Record<string, string>} */ ({});
  let field = "";
  const end = () => {
    const forms = Object.keys(now)
      .filter(name => name.startsWith("msgstr"))
      .sort()
      .map(name => now[name]);
    if (now.msgid && forms.every(Boolean))
      messages.push({ forms, keys: [now.msgid, now.msgid_plural].filter(each => each !== undefined) });
    now = {};
  };
  for (const line of text.split("\n")) {
    const [, keyword, quoted] = line.match(/^\s*([a-z_]+(?:\[\d\])?)?\s*"(.*)"\s*$/) ?? [];
    if (quoted === undefined) continue;
    if (keyword === "msgid") end();
    if (keyword) field = keyword;
    now[field] = (now[field] ?? "") + quoted.replace(/\\(.)/g, (_, letter) => ESCAPES[letter] ?? letter);
  }
  end();
  return messages;
}

const HOLE = /\{(#?)([a-z]\w*)\}/g;
const NUMBER = "[−-]?\\d[\\d.,]*(?:×10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?";
/** CLDR's order of plural forms, which is that of a .po file. */
const PLURALS = ["zero", "one", "two", "few", "many", "other"];
/** A message with fewer characters of its own, "{a} of {b}", finds no sentence whose parts are in no message. */
const VAGUE = 12;
/** So many answers are remembered. */
const REMEMBERED = 4000;

/**
 * A text's translation, and how many characters of it the message spells out: of two ways to read a text the one with
 * more is right.
 * @typedef {{text: string, literal: number}} Found
 */

/**
 * What translates the page's texts by a catalogue. Unknown texts come back as they are, with the language's numbers.
 * @param {Message[]} messages @param {string} language a BCP 47 tag
 * @returns {{translate: (text: string) => string, find: (text: string) => Found|null}}
 */
export function translator(messages, language) {
  /** @type {Map<string, string>} */
  const whole = new Map();
  for (const { forms, keys } of messages) {
    if (keys.length > 1) whole.set(keys[1], forms[forms.length - 1]);
    whole.set(keys[0], forms[0]);
  }
  const patterns = messages
    .flatMap(({ forms, keys }) => keys.filter(key => key.search(HOLE) >= 0).map(key => pattern(key, forms)))
    .sort((a, b) => b.literal - a.literal);
  const rules = new Intl.PluralRules(language);
  const categories = PLURALS.filter(name => rules.resolvedOptions().pluralCategories.some(each => each === name));
  const localised = numbers(language);
  /** @type {Map<string, Found|null>} */
  const known = new Map();

  /** @param {string} text without space around it @returns {Found|null} */
  function look(text) {
    for (const key of [text, small(text)]) {
      const found = whole.get(key);
      if (found !== undefined && key.search(HOLE) < 0)
        return { text: key === text ? found : large(found), literal: text.length };
    }
    for (const { first, holes, longest, regex, forms, literal } of patterns) {
      if (!text.includes(longest)) continue;
      const values = text.match(regex);
      if (!values || (literal < VAGUE && values.slice(1).some(strange))) continue;
      const counted = holes.findIndex(({ number }) => number);
      const amount = counted < 0 ? 1 : Number(values[counted + 1].replace(/,/g, ""));
      const form = forms[Math.min(forms.length - 1, categories.indexOf(rules.select(amount)))] ?? forms[0];
      const made = form.replace(HOLE, (hole, _, name) => {
        const at = holes.findIndex(each => each.name === name);
        return at < 0 ? hole : translate(values[at + 1]);
      });
      return { text: first !== null && first !== text[0] ? large(made) : made, literal };
    }
    return null;
  }

  /** Some words of no message: a sentence, not a name. @param {string} value */
  function strange(value) {
    return value.trim().split(/\s+/).length > 2 && /[a-z]{3}/i.test(value) && find(value) === null;
  }

  /** @param {string} text @returns {Found|null} */
  function find(text) {
    const remembered = known.get(text);
    if (remembered !== undefined) return remembered;
    let answer = /** @type {Found|null} */ (null);
    for (const around of AROUND) {
      const [, before, inner, after] = /** @type {string[]} */ (text.match(around));
      const found = /\p{L}/u.test(inner) ? look(inner.replace(/\s+/g, " ")) : null;
      if (found && found.literal > (answer?.literal ?? -1)) answer = { ...found, text: before + found.text + after };
    }
    if (known.size >= REMEMBERED) known.clear();
    known.set(text, answer);
    return answer;
  }

  /** @param {string} text */
  const translate = text => find(text)?.text ?? localised(text);
  return { translate, find };
}

/** What stands around a message: space; signs that join it to what is before. */
const AROUND = [/^(\s*)([\s\S]*?)(\s*)$/, /^([\s:·,;(]*)([\s\S]*?)([\s:)]*)$/];

/** @param {string} text */
const small = text => text[0].toLowerCase() + text.slice(1);
/** @param {string} text */
const large = text => text && text[0].toUpperCase() + text.slice(1);

/**
 * A message with placeholders, as what finds it, also at the start of a sentence.
 * @param {string} key @param {string[]} forms
 */
function pattern(key, forms) {
  const holes = [...key.matchAll(HOLE)].map(([, number, name]) => ({ name, number: number === "#" }));
  const texts = key.split(/\{#?[a-z]\w*\}/);
  const literal = texts.map(text => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const first = /^\p{Ll}/u.test(key) ? key[0] : null;
  if (first) literal[0] = `[${first}${first.toUpperCase()}]${literal[0].slice(1)}`;
  const source = literal.map((text, k) => text + (holes[k] ? `(${holes[k].number ? NUMBER : "[\\s\\S]+?"})` : ""));
  // Most patterns are ruled out by the longest of their own texts; its first letter may be a large one.
  const longest = texts.map((text, k) => (k ? text : text.slice(1))).sort((a, b) => b.length - a.length)[0];
  return { first, holes, longest, forms, regex: new RegExp(`^${source.join("")}$`), literal: texts.join("").length };
}

/**
 * What writes the numbers in a text, "1,234.5", as a language does. An index, "y/0,120", is not a number. Where one
 * reads from the right, a sign is held at the left of its number.
 * @param {string} language @returns {(text: string) => string}
 */
export function numbers(language) {
  const parts = new Intl.NumberFormat(language, { useGrouping: true, numberingSystem: "latn" }).formatToParts(
    -1234567.8,
  );
  const sign = (/** @type {string} */ type) => parts.find(part => part.type === type)?.value ?? "";
  const [group, decimal] = [sign("group"), sign("decimal")];
  const mark = fromTheRight(language) ? LEFT_TO_RIGHT : "";
  if (group === "," && decimal === "." && !mark) return text => text;
  return text =>
    text
      .replace(NUMBERS, found => found.replace(/[.,]/g, each => (each === "," ? group : decimal)))
      .replace(/[−+±](?=\d)/g, found => mark + found);
}

/** Whether a language is written from right to left. @param {string} language */
export const fromTheRight = language => /^(ar|fa|he|ur)\b/.test(language);

const NUMBERS = /^\.\d+$|(?<![\w.,/[])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\w[]|[.,]\d)/g;
/** Unicode's left-to-right mark. */
const LEFT_TO_RIGHT = "\u200E";

/** What stands for an element in a text: letters of Unicode's private use area. */
const [OPEN, CLOSE] = ["\uE000", "\uE001"];

/**
 * The children of an element in another language. Texts and elements side by side are one message, "Press {key} to
 * stop.", so that a language has its own order of words; where there is none that says more, each text is a message.
 * @param {any[]} children @param {ReturnType<typeof translator>} translator @returns {any[]}
 */
export function translated(children, { translate, find }) {
  const plain = (/** @type {any} */ child) => typeof child === "string" || typeof child === "number";
  if (!children.some(child => typeof child === "string")) return children;
  const text = children
    .map((child, k) => (plain(child) ? child : child === null || typeof child === "boolean" ? "" : OPEN + k + CLOSE))
    .join("");
  const parts = (/** @type {string} */ whole) => whole.split(/(\uE000\d+\uE001)/).filter(Boolean);
  const put = (/** @type {string} */ part) => (part[0] === OPEN ? children[Number(part.slice(1, -1))] : part);
  const found = find(text);
  const pieces = parts(text);
  if (found && (pieces.length === 1 || found.literal >= pieces.reduce((sum, piece) => sum + spelled(piece), 0)))
    return parts(found.text).map(put);
  return pieces.map(piece => (piece[0] === OPEN ? put(piece) : translate(piece)));

  /** @param {string} piece */
  function spelled(piece) {
    return piece[0] === OPEN ? 0 : (find(piece)?.literal ?? 0);
  }
}

const ACCENTED = "áƀčďéƒǧĥíǰķĺɱńóƥʠŕšťúṽŵẋýž";

/** @param {string} text */
const accented = text =>
  `⟦${text.replace(/(\{[^}]*\}|\]\([^)]*\))|[a-z]/gi, (letter, kept) => {
    if (kept) return kept;
    const other = ACCENTED[letter.toLowerCase().charCodeAt(0) - 97];
    return letter < "a" ? other.toUpperCase() : other;
  })}⟧`;

/** A message of the pseudo-locale: a text without accents is in no catalogue. @param {Message} message */
export const pseudo = ({ keys }) => ({ keys, forms: keys.map(accented) });
