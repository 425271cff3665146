"""GET /api/exercises, and verdicts on answers."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from app.api import schemas
from engine.exercises import FAMILIES


def judged(client: TestClient, name: str, **body: Any) -> dict[str, Any]:
    answer = client.post(f"/api/exercises/{name}/answers", json=body)
    assert answer.status_code == 200, answer.text
    schemas.Verdict.model_validate(answer.json())
    return answer.json()


def test_every_exercise_is_listed_and_given_without_its_answer(client: TestClient) -> None:
    listed = client.get("/api/exercises").json()
    assert [each["name"] for each in listed] == list(FAMILIES)
    for entry in listed:
        schemas.ExerciseEntry.model_validate(entry)
        given = client.get(f"/api/exercises/{entry['name']}?seed=3").json()
        schemas.Exercise.model_validate(given)
        assert given["kind"] == entry["kind"] and not {"answer", "value", "wrongs"} & given.keys()
        assert given == client.get(f"/api/exercises/{entry['name']}?seed=3").json()


def test_a_forgotten_turn_is_named_and_its_arithmetic_laid_out(client: TestClient) -> None:
    said = judged(client, "input_gradient", seed=0, answer="\u221217")
    assert said["right"] is False and said["mistake"]["name"] == "flip" and said["hints"] == 3
    assert said["mistake"]["explanation"]["value"] == -17 and "value" not in said
    assert judged(client, "input_gradient", seed=0, answer=" 2 ") == {"right": True, "mistake": None, "hints": 3}
    unknown = judged(client, "input_gradient", seed=0, answer=1234)
    assert unknown == {"right": False, "mistake": None, "hints": 3}


def test_hints_are_had_one_by_one_and_the_solution_only_when_asked_for(client: TestClient) -> None:
    said = judged(client, "input_gradient", hint=2)
    assert said["hints"] == 1 and said["right"] is None and "4 terms" in said["hint"]["text"] and "value" not in said
    shown = judged(client, "input_gradient", reveal=True)
    assert shown["value"] == 2 and shown["explanation"]["value"] == 2
    grid = judged(client, "kernel_gradient", answer=[[-29, -32], [0, "-27"]])
    assert grid["cells"] == [[1, 1], [0, 1]] and not grid["right"]


def test_a_worked_example_leaves_out_what_is_asked_for(client: TestClient) -> None:
    terms = {
        shown: client.get(f"/api/exercises/input_gradient?terms={shown}").json().get("terms")
        for shown in ("all", "last", "middle", "none")
    }
    assert [term["value"] for term in terms["all"]] == [-3, 6, 2, -3] and terms["none"] is None
    assert [term["value"] for term in terms["last"]] == [-3, 6, 2, None] and terms["last"][3]["factors"] is None
    assert [term["value"] for term in terms["middle"]] == [-3, 6, None, -3]


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("input_gradient", {"answer": "many"}, "not a number yet"),
        ("input_gradient", {}, "answer is missing"),
        ("input_gradient", {"answer": 1, "hint": 4}, "expected at most 3, got 4"),
        ("input_gradient", {"answer": 1, "seed": -1}, "expected at least 0, got -1"),
        ("kernel_gradient", {"answer": [[1, 2], [3]]}, "2 rows of 2 numbers"),
        ("does_it_fit", {"answer": "every"}, "expected one of"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_was_expected(
    client: TestClient, name: str, body: Any, words: str
) -> None:
    answer = client.post(f"/api/exercises/{name}/answers", json=body)
    assert answer.status_code == 422 and words in answer.text


def test_an_exercise_that_is_not_there_is_a_404_that_names_those_that_are(client: TestClient) -> None:
    for answer in (client.get("/api/exercises/none"), client.post("/api/exercises/none/answers", json={"answer": 1})):
        assert answer.status_code == 404 and "input_gradient" in answer.text
