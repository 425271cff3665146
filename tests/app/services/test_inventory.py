"""The concept inventory: fourteen questions whose wrong choices are mistakes."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from app.formats import json
from app.services.inventory import FILE, Inventory
from engine.mistakes import MISTAKES


def test_every_wrong_choice_is_tied_to_a_mistake(client: TestClient) -> None:
    served = client.get("/api/inventory").json()
    assert len(served["questions"]) == 14 and len(served["usability"]["items"]) == 10
    assert len({question["name"] for question in served["questions"]}) == 14
    for question in served["questions"]:
        mistakes = [choice["mistake"] for choice in question["choices"]]
        assert mistakes.count(None) == 1 and set(mistakes) - {None} <= MISTAKES.keys()


def test_a_file_with_two_right_choices_or_an_unknown_mistake_is_refused() -> None:
    for mistake, words in ((None, "one choice without a mistake"), ("no_such", "no mistake 'no_such'")):
        document = json.decode(FILE.read_bytes())
        document["questions"][3]["choices"][1]["mistake"] = mistake
        with pytest.raises(ValidationError, match=words):
            Inventory.model_validate(document)
