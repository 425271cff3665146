"""Lessons: every one that comes with Convscope can be played, and a file that cannot says line and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.formats.json_lines import lines_of
from app.limits import Limits
from app.services.lessons import OWN, LessonError, Lessons, read_lesson

LESSON: dict[str, Any] = {
    "name": "own",
    "number": 99,
    "title": "Own",
    "question": "What?",
    "minutes": 1,
    "part": "forward",
    "steps": [{"name": "one", "title": "one", "stage": True, "at": "conv1/y/0,5,12,14", "text": "A [cell](conv1/y)."}],
}


def changed(**step: Any) -> dict[str, Any]:
    return {**LESSON, "steps": [{**LESSON["steps"][0], **step}]}


@pytest.mark.parametrize("file", sorted(OWN.glob("*.json")), ids=lambda file: file.stem)
def test_every_place_that_a_lesson_names_exists(file: Path) -> None:
    lesson = read_lesson(file, Limits())
    assert file.stem == f"{lesson.number:02d}-{lesson.name}"
    for step in lesson.steps:
        said = [step.text, *([step.ask.text] if step.ask else [])]
        assert all(len(text.split()) <= 45 for text in said), step.name


@pytest.mark.parametrize(
    ("document", "field", "reason"),
    [
        ({**LESSON, "minutes": 0}, "minutes", "at least 1"),
        ({**LESSON, "colour": "red"}, "colour", "no such field"),
        (changed(at="conv9/y/0,0,0,0"), "steps.0.at", "there is no conv9/y here"),
        (changed(at="conv1/y/0,5,12,99"), "steps.0.at", "no index [0, 5, 12, 99]"),
        (changed(text="It is {conv1/q}."), "steps.0.text", "there is no conv1/q here"),
        (changed(text="[Here](pool1/y/0,0,99,0)."), "steps.0.text", "no index [0, 0, 99, 0]"),
        (changed(do={"text": "Do.", "reached": "nothing/y"}), "steps.0.do.reached", "there is no nothing/y"),
        (changed(ask={"text": "?", "choices": [{"text": "a"}, {"text": "b"}]}), "steps.0.ask.choices", "exactly one"),
        (changed(stage=False), "steps.0", "expected stage or bench"),
        (changed(stage=False, bench={"op": "conv2d"}), "steps.0.bench", "x is missing"),
        (changed(stage=False, bench={"model": "none"}), "steps.0.bench.model", "there is no 'none'"),
    ],
)
def test_what_does_not_fit_is_said_with_line_and_field(
    tmp_path: Path, document: dict[str, Any], field: str, reason: str
) -> None:
    file = tmp_path / "own.json"
    file.write_text(json.dumps(document, indent=1), "utf-8")
    with pytest.raises(LessonError) as caught:
        read_lesson(file, Limits())
    said = str(caught.value)
    assert said.startswith("own.json, line ") and f", {field}" in said and reason in said
    line = int(said.split("line ")[1].split(",")[0].split(":")[0])
    last = [part for part in field.split(".") if not part.isdigit()][-1]
    assert last in file.read_text("utf-8").splitlines()[line - 1] or last == "steps"


def test_a_text_that_is_no_json_is_said_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{\n "name": "broken",\n}', "utf-8")
    _, wrong = Lessons(tmp_path).all()
    assert wrong[0][0] == "broken.json"
    assert "line 3" in wrong[0][1]


def test_a_folder_adds_lessons_replaces_by_name_and_is_read_anew(tmp_path: Path) -> None:
    lessons = Lessons(tmp_path)
    before = {each.name: each for each in lessons.all()[0]}
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({**LESSON, "name": "loss", "title": "Another loss"}), "utf-8")
    after = {each.name: each for each in lessons.all()[0]}
    assert after.keys() == before.keys()
    assert after["loss"].title == "Another loss"
    file.unlink()
    assert {each.name: each.title for each in lessons.all()[0]}["loss"] == before["loss"].title


def test_lines_of_a_text_are_those_people_count() -> None:
    assert lines_of('{"a": 1,\n "b": [2,\n  {"c": "x\\ny"}]}') == {
        (): 1,
        ("a",): 1,
        ("b",): 2,
        ("b", 0): 2,
        ("b", 1): 3,
        ("b", 1, "c"): 3,
    }


def test_lessons_are_answered_and_a_strange_name_is_404(client: TestClient) -> None:
    listed = client.get("/api/lessons").json()
    assert not listed["problems"]
    assert [each["number"] for each in listed["lessons"]] == list(range(1, 14))
    whole = client.get("/api/lessons/kernel-turns").json()
    assert [step["name"] for step in whole["steps"]] == listed["lessons"][9]["steps"]
    assert client.get("/api/lessons/none").status_code == 404


#: Numbers of the texts, by hand: bench's number by lesson, step and place.
BY_HAND = [
    ("convolution", "average", "y/0,0,0,0", 2.1),
    ("turned-or-not", "corner", "y/0,0,0,0", -13),
    ("turned-or-not", "corner", "y/0,0,1,1", -24),
    ("turned-or-not", "not-turned", "y/0,0,0,0", 13),
    ("channels", "depth", "y/0,0,0,0", 7),
    ("channels", "depth", "y/0,1,2,1", -7),
    ("pooling", "winner", "dx/0,0,0,1", 3),
    ("pooling", "l2", "dx/0,0,1,1", 8),
    ("weight-gradient", "slide", "dw/0,0,0,1", -32),
    ("weight-gradient", "slide", "db/0", -10),
    ("kernel-turns", "three-ways", "dx/0,0,1,2", 2),
    ("stride-back", "twice", "dx/0,0,2,1", -11),
]


@pytest.mark.parametrize(("lesson", "step", "place", "value"), BY_HAND)
def test_a_bench_gives_the_number_of_the_texts(
    client: TestClient, lesson: str, step: str, place: str, value: float
) -> None:
    steps = client.get(f"/api/lessons/{lesson}").json()["steps"]
    (bench,) = [each["bench"] for each in steps if each["name"] == step]
    body = {"settings": bench["settings"], "tensors": bench["tensors"], "place": place}
    told = client.post(f"/api/ops/{bench['op']}/explain", json=body).json()
    assert told["value"] == pytest.approx(value)


def test_an_ops_score_names_what_its_explanations_read(client: TestClient) -> None:
    body: dict[str, Any] = {
        "settings": {"padding": 1},
        "tensors": {"x": [[[[1, 2], [3, 4]]]], "w": [[[[1, 0], [0, 1]]]]},
    }
    score = client.post("/api/ops/conv2d/score", json=body).json()
    assert [phase["place"] for phase in score["phases"]] == ["conv2d/y"]
    assert score["aliases"] == {"conv2d/x": "input/x"}
    dy = [[[[1, 1, 1]] * 3]]
    whole = client.post("/api/ops/conv2d/score", json={**body, "tensors": {**body["tensors"], "dy": dy}}).json()
    assert [phase["place"] for phase in whole["phases"]] == ["conv2d/y", "conv2d/dx", "conv2d/dw"]
    assert whole["phases"][1]["reads"][0]["tensor"] in whole["tensors"]
    assert whole["tensors"]["input/dy"]["shape"] == [1, 1, 3, 3]
