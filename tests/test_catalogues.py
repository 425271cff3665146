"""Catalogues: nothing that a message holds is lost in its translation, and no text of the page is outside."""

from __future__ import annotations

import re

import pytest

from app.services.lessons import Lessons
from engine.mistakes import MISTAKES
from engine.ops import OPS
from tests.texts import HOLE, LOCALE, lacking, read_po, shape, texts

LANGUAGES = sorted(file.stem for file in LOCALE.glob("*.po"))
#: In lessons: the cells that words light, and the places of numbers.
MARKED = re.compile(r"\]\([^)]*\)|\{(?:sum |size |shape )?\w+/[^}]*\}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_keeps_every_placeholder_and_every_place(language: str) -> None:
    keys = re.findall(r'^msgid "(.+)"$', (LOCALE / f"{language}.po").read_text("utf-8"), re.MULTILINE)
    assert len(keys) == len(set(keys)), [key for key in keys if keys.count(key) > 1]
    for key, text in read_po(LOCALE / f"{language}.po").items():
        assert text, key
        names = [hole.strip("{#}") for hole in HOLE.findall(key)]
        assert sorted(HOLE.findall(text)) == sorted(f"{{{name}}}" for name in names), key
        assert len(set(names)) == len(names), f"{key}: a placeholder stands twice"
        assert sorted(MARKED.findall(text)) == sorted(MARKED.findall(key)), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_texts_of_the_page_are_translated(language: str) -> None:
    """One in twenty may wait for its translation: whoever adds a text does not speak every language."""
    known = {shape(key) for key in read_po(LOCALE / f"{language}.po")}
    found = [(name, text) for name, all_of_it in texts().items() for text in all_of_it]
    outside = [(name, text) for name, text in found if lacking(known, text)]
    assert len(found) > 500
    assert len(outside) <= len(found) / 20, outside


def test_a_text_that_is_in_no_catalogue_is_found() -> None:
    known = {shape("Press {key} to stop."), "Play"}
    assert lacking(known, shape("Press {} to stop.")) == lacking(known, "{}Play") == lacking(known, "Play") == []
    assert lacking(known, shape("Press {} to go.")) == ["Press", "to go."]


@pytest.mark.parametrize("language", LANGUAGES)
def test_lessons_mistakes_and_slips_are_translated_whole(language: str) -> None:
    known = read_po(LOCALE / f"{language}.po")
    wanted = [text for mistake in MISTAKES.values() for text in (mistake.sentence, mistake.feedback)]
    wanted += [words.head for op in OPS.values() for words in op.words.values() if "{" not in words.head]
    for lesson in Lessons(None).all()[0]:
        wanted += [lesson.title, lesson.question]
        for step in lesson.steps:
            wanted += [step.title, step.text, step.aside or "", step.do.text if step.do else ""]
            if step.ask:
                wanted += [step.ask.text, *(choice.text for choice in step.ask.choices)]
    start = [text for text in wanted if re.search(r"[a-z]{3}", HOLE.sub("", text))]
    assert [text for text in start if text not in known and text[0].lower() + text[1:] not in known] == []
