"""The texts of the page, read from its source: what a catalogue has to translate.

`python -m tests.texts de` lists those that German's catalogue does not have.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCALE = ROOT / "static/locale"
WORDED = {"title", "aria-label", "aria-valuetext", "placeholder", "alt", "spoken", "legend", "words", "label"}
HOLE = re.compile(r"\{#?[a-z]\w*\}")
STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"|\'((?:[^\'\\\n]|\\.)*)\'')
#: A slash that begins a regular expression stands after one of these.
BEFORE_REGEX = re.compile(r"(?:[=(,:;!&|?{}\[\n]|return|=>)\s*$")
REGEX = re.compile(r"/(?![*/])(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*")


def read_po(file: Path) -> dict[str, str]:
    """English to its translation; of a plural, both English forms."""
    found: dict[str, str] = {}
    now: dict[str, str] = {}
    field = ""
    for line in [*file.read_text("utf-8").splitlines(), 'msgid ""']:
        match = re.fullmatch(r'\s*([a-z_]+(?:\[\d\])?)?\s*"(.*)"\s*', line)
        if not match:
            continue
        if match[1] == "msgid":
            if now.get("msgid"):
                found[now["msgid"]] = now.get("msgstr", now.get("msgstr[0]", ""))
                if "msgid_plural" in now:
                    found[now["msgid_plural"]] = now.get("msgstr[1]", "")
            now = {}
        field = match[1] or field
        now[field] = now.get(field, "") + re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), match[2])
    return found


def shape(text: str) -> str:
    """A message without the names of its placeholders and the space around them, which the source does not say."""
    return re.sub(r"\s+", " ", re.sub(r"\s*\{\}\s*", "{}", HOLE.sub("{}", text))).strip()


class Source:
    """One JavaScript file: the texts of its html`` templates, and the other literals of its code."""

    def __init__(self, file: Path):
        self.code = file.read_text("utf-8")
        self.texts: list[str] = []
        self.literals: list[str] = []
        self._javascript(0)

    def _javascript(self, at: int) -> int:
        """Reads code up to the brace that closes it; where it ends."""
        code, depth = self.code, 0
        while at < len(code):
            here = code[at]
            if code.startswith("//", at):
                at = code.find("\n", at) % (len(code) + 1)
            elif code.startswith("/*", at):
                at = code.index("*/", at) + 2
            elif here in "\"'" and (match := STRING.match(code, at)):
                self.literals.append(match[1] if match[1] is not None else match[2])
                at = match.end()
            elif here == "/" and BEFORE_REGEX.search(code[max(0, at - 20) : at]) and (match := REGEX.match(code, at)):
                at = match.end()
            elif here == "`":
                at = self._template(at + 1, markup=code.endswith("html", 0, at))
            elif here == "{":
                depth, at = depth + 1, at + 1
            elif here == "}":
                if depth == 0:
                    return at
                depth, at = depth - 1, at + 1
            else:
                at += 1
        return at

    def _template(self, at: int, markup: bool) -> int:
        """Reads a template literal, where each `${}` is a hole; where it ends."""
        text: list[str] = []
        while self.code[at] != "`":
            if self.code.startswith("${", at):
                at = self._javascript(at + 2) + 1
                text.append("{}")
            elif self.code[at] == "\\":
                text.append(self.code[at + 1])
                at += 2
            else:
                text.append(self.code[at])
                at += 1
        whole = "".join(text)
        if markup:
            self.texts += messages_of(whole)
        else:
            self.literals.append(whole)
        return at + 1


#: Elements whose content is in no language.
CODE = {"code", "pre"}
TAG = re.compile(r"<(/?)([\w{}-]*|/)((?:\s+|\.\.\.\{\}|[\w:-]+(?:=(?:\"[^\"]*\"|'[^']*'|[^\s>\"']+))?)*)\s*(/?)>")


def messages_of(markup: str) -> Iterator[str]:
    """The content of each element, what is inside it as a hole, and its attributes that are read or heard."""
    levels: list[list[str]] = [[]]
    end = 0
    for tag in TAG.finditer(markup):
        levels[-1].append(markup[end : tag.start()])
        end = tag.end()
        closing, name, attributes, alone = tag.groups()
        for attribute in re.finditer(r"([\w-]+)=(\"[^\"]*\"|'[^']*')", attributes):
            if attribute[1] in WORDED:
                yield attribute[2][1:-1]
        if closing or name == "/":
            if len(levels) > 1:
                content = "".join(levels.pop())
                if name not in CODE:
                    yield content
                levels[-1].append("{}")
        elif alone or name in ("input", "br", "img", "hr"):
            levels[-1].append("{}")
        else:
            levels.append([])
    levels[-1].append(markup[end:])
    yield from ("".join(level) for level in levels)


def worded(text: str) -> bool:
    return re.search(r"[A-Za-z]{2,}", text.replace("{}", "")) is not None


def texts() -> dict[str, list[str]]:
    """The templates' texts by file, as shapes."""
    return {
        file.relative_to(ROOT).as_posix(): [text for each in Source(file).texts if worded(text := shape(each))]
        for file in sorted((ROOT / "static/js/view").rglob("*.js"))
    }


def lacking(known: set[str], text: str) -> list[str]:
    """What of a text has no translation: nothing where it is a message, or where each of its pieces is one."""
    if text in known:
        return []
    pieces = [piece.strip() for piece in re.split(r"\{\}", text)]
    return [piece for piece in pieces if worded(piece) and piece not in known]


if __name__ == "__main__":
    known = {shape(key) for key in read_po(LOCALE / f"{sys.argv[1]}.po")}
    for name, found in texts().items():
        for text in found:
            if lacking(known, text):
                print(f"{name}: {text}")
