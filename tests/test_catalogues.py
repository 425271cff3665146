"""Catalogues: nothing that a message holds is lost in its translation, and no text of the page is outside."""

from __future__ import annotations

import re

import pytest

from tests.texts import HOLE, LOCALE, read_po

LANGUAGES = sorted(file.stem for file in LOCALE.glob("*.po"))
#: In lessons: the cells that words light, and the places of numbers.
MARKED = re.compile(r"\]\([^)]*\)|\{(?:sum |size |shape )?\w+/[^}]*\}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_keeps_every_placeholder_and_every_place(language: str) -> None:
    for key, text in read_po(LOCALE / f"{language}.po").items():
        assert text, key
        names = [hole.strip("{#}") for hole in HOLE.findall(key)]
        assert sorted(HOLE.findall(text)) == sorted(f"{{{name}}}" for name in names), key
        assert len(set(names)) == len(names), f"{key}: a placeholder stands twice"
        assert sorted(MARKED.findall(text)) == sorted(MARKED.findall(key)), key
