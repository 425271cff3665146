import assert from "node:assert/strict";
import { test } from "node:test";
import { numbers, pseudo, readPo, translated, translator } from "../../../static/js/core/catalogue.js";

const PO = `# header
msgid ""
msgstr ""
"Language: de\\n"

msgid "Play"
msgstr "Abspielen"

msgid "{#k} of {#n}"
msgstr "{k} von {n}"

msgid "Press {key} to stop."
msgstr "Zum Anhalten "
"{key} drücken."

msgid "{what} of {whole}"
msgstr "{what} von {whole}"

msgid "the loss"
msgstr "der Verlust"

msgid "It says \\"{word}\\"."
msgstr "Es sagt „{word}“."

msgid "1 cell"
msgid_plural "{#n} cells"
msgstr[0] "eine Zelle"
msgstr[1] "{n} Zellen"

msgid "untranslated"
msgstr ""
`;
const translation = translator(readPo(PO), "de");
const german = translation.translate;

test("a text is translated, with the space around it; one that is in no catalogue stays", () => {
  assert.equal(german("Play"), "Abspielen");
  assert.equal(german("  Play\n"), "  Abspielen\n");
  assert.equal(german("untranslated"), "untranslated");
  assert.equal(german("conv1/y/0,5,12,14"), "conv1/y/0,5,12,14");
});

test("a text that was put together is found by its message, the one that says most first", () => {
  assert.equal(german("3 of 12"), "3 von 12");
  assert.equal(german("mean of the loss"), "mean von der Verlust");
  assert.equal(german(": The loss"), ": Der Verlust");
  assert.equal(german("a sentence that nobody knew of the loss"), "a sentence that nobody knew of the loss");
  assert.equal(german('It says "Play".'), "Es sagt „Abspielen“.");
});

test("plurals follow the language", () => {
  assert.equal(german("1 cell"), "eine Zelle");
  assert.equal(german("5,408 cells"), "5.408 Zellen");
  const { translate: russian } = translator(
    [{ keys: ["{#n} cell", "{#n} cells"], forms: ["{n} ячейка", "{n} ячейки", "{n} ячеек"] }],
    "ru",
  );
  assert.deepEqual(["1 cells", "3 cells", "11 cells"].map(russian), ["1 ячейка", "3 ячейки", "11 ячеек"]);
});

test("numbers are written as the language does, indices and names are left", () => {
  const local = numbers("de");
  assert.equal(local("1.691"), "1,691");
  assert.equal(local("−0.041×10⁻³ of 60,000 and 1,234.5"), "−0,041×10⁻³ of 60.000 and 1.234,5");
  assert.equal(local("0.000."), "0,000.");
  assert.equal(local("y/5,120 at [0,120], v1.2.3, 28×28"), "y/5,120 at [0,120], v1.2.3, 28×28");
  assert.equal(local(".000"), ",000");
  assert.equal(numbers("he")("−0.041"), "\u200E−0.041");
  assert.equal(numbers("en")("1,234.5"), "1,234.5");
});

test("elements within a message keep their identity in another order of words", () => {
  const key = { type: "kbd" };
  assert.deepEqual(translated(["Press ", key, " to stop."], translation), ["Zum Anhalten ", key, " drücken."]);
  assert.deepEqual(translated(["Play", key, null], translation), ["Abspielen", key]);
  assert.deepEqual(translated([key, " Play"], translation), [key, " Abspielen"]);
  const none = [key, null, 3];
  assert.equal(translated(none, translation), none);
});

test("the pseudo-locale leaves placeholders and what lessons light", () => {
  const { forms } = pseudo({ keys: ["a {cell} lights [it](conv1/y)"], forms: [] });
  assert.deepEqual(forms, ["⟦á {cell} ĺíǧĥťš [íť](conv1/y)⟧"]);
});
