"""Codes and nicknames: what is taken, and what is not."""

from __future__ import annotations

import pytest

from app.classroom.codes import ALPHABET, make_code, read_code
from app.classroom.nicknames import NotANickname, is_rude, key_of, read_nickname


@pytest.mark.parametrize("written", ["K7MQ", "k7mq", " k7 mq ", "K7-MQ"])
def test_spaces_and_case_of_a_code_are_forgiven(written: str) -> None:
    assert read_code(written) == "K7MQ"


@pytest.mark.parametrize("written", ["", "K7M", "K7MQX", "K7M0", "K7MI", "K7ML", "К7MQ", "../.."])
def test_what_is_no_code_is_none(written: str) -> None:
    assert read_code(written) == ""


def test_codes_use_letters_that_cannot_be_mistaken() -> None:
    assert not set("ILO01") & set(ALPHABET) and len(ALPHABET) == 31
    assert all(read_code(code) == code and not is_rude(code) for code in (make_code() for _ in range(300)))


@pytest.mark.parametrize("word", ["FUCK", "5H1T", "CUNT", "PAK1", "KKK7"])
def test_rude_codes_are_not_made(word: str) -> None:
    assert is_rude(word)


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("Mira", "Mira"),
        ("Ａｄａ", "Ada"),
        (" Bo ", "Bo"),
        ("Łukasz2", "Łukasz2"),
        ("नेहा", "नेहा"),
        ("小明", "小明"),
        ("Ада", "Ада"),
    ],
)
def test_letters_and_digits_of_any_script_are_taken(written: str, taken: str) -> None:
    assert read_nickname(written) == taken


@pytest.mark.parametrize(
    "written",
    [
        "",
        "  ",
        "a b",
        "abcdefghijklm",
        "<b>",
        "a\u200bb",
        "\u202eabc",
        "x\u0301\u0301\u0301",
        "14",
        "=1",
        "🙂",
        "\ud800",
    ],
)
def test_what_is_no_nickname_is_refused(written: str) -> None:
    with pytest.raises(NotANickname):
        read_nickname(written)


@pytest.mark.parametrize("written", ["Fuck", "sh1t", "F1CK", "fück", "ｆｕｃｋ", "h1tl3r", "xnigg4"])
def test_rude_words_are_refused_however_they_are_spelt(written: str) -> None:
    with pytest.raises(NotANickname):
        read_nickname(written)


@pytest.mark.parametrize("written", ["Parser", "Hancock", "Nazia", "Grape", "Basement", "Rakshit"])
def test_innocent_words_are_taken(written: str) -> None:
    assert read_nickname(written) == written


def test_names_that_look_the_same_are_the_same() -> None:
    assert key_of("ADA") == key_of("ada") and key_of("Straße") == key_of("STRASSE")
