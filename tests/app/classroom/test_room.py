"""The fold of a room's log: what events mean."""

from __future__ import annotations

from typing import Any

import pytest

from app.classroom.room import FREEZE_SECONDS, Room, Viewer, hash_token
from app.classroom.store import Stored

LECTURER, PROJECTOR = Viewer("lecturer"), Viewer("projector")
ADA, BO = Viewer("student", 1), Viewer("student", 2)
ITEM = {
    "question": "How does it lie?",
    "kind": "choice",
    "choices": [{"name": n, "text": n} for n in ("as it is", "mirrored", "turned")],
}


class Log:
    """A room with what is appended to it."""

    def __init__(self, **kinds: Any) -> None:
        self.events: list[Stored] = []
        self.room = Room("K7MQ", **kinds)
        self.add("open", lecturer=hash_token("lecturer"), projector=hash_token("projector"))
        self.add("join", token=hash_token("ada"), nickname="Ada")
        self.add("join", token=hash_token("bo"), nickname="")

    def add(self, kind: str, **facts: Any) -> int:
        stored = Stored(len(self.events) + 1, {"kind": kind, "t": 100.0 + len(self.events), **facts}, 50)
        self.events.append(stored)
        self.room.apply(stored)
        return stored.n

    def ask(self) -> None:
        self.add("ask", item=ITEM, solution={"right": "turned"})

    def answer(self, student: int, value: str, seq: int = 1, question: int = 1) -> None:
        id = f"{student} {value} {seq}"
        facts = {"right": value == "turned", "mistake": None if value == "turned" else "not-turned"}
        self.add("answer", student=student, question=question, value=value, answer_id=id, seq=seq, **facts)


def counts(room: Room, question: int = 1) -> dict[str, int]:
    found = room.question(question)
    assert found
    return {row["name"]: row["count"] for row in found.tally()}


def test_the_same_events_give_the_same_room_and_twice_changes_nothing() -> None:
    log = Log()
    log.ask()
    log.answer(1, "turned")
    log.add("view", view={"hash": "#"})
    again = Room("K7MQ")
    for stored in [*log.events, *log.events]:
        again.apply(stored)
    for viewer in (LECTURER, PROJECTOR, ADA, BO):
        assert again.state(viewer) == log.room.state(viewer)
    assert counts(again) == {"as it is": 0, "mirrored": 0, "turned": 1}


def test_a_token_is_its_holders() -> None:
    room = Log().room
    assert room.viewer("lecturer") == LECTURER and room.viewer("projector") == PROJECTOR
    assert room.viewer("bo") == BO and room.viewer("someone") is None and room.viewer("") is None


def test_of_two_equal_nicknames_the_first_stays() -> None:
    log = Log()
    log.add("join", token=hash_token("c"), nickname="ADA")
    assert [student.nickname for student in log.room.students] == ["Ada", "", ""]
    log.add("unname", student=1)
    assert log.room.students[0].nickname == ""
    log.add("join", token=hash_token("d"), nickname="ada")
    assert log.room.students[3].nickname == "ada"


def test_the_latest_change_of_an_answer_counts_whatever_order_they_come_in() -> None:
    log = Log()
    log.ask()
    log.answer(1, "mirrored", seq=2)
    log.answer(1, "as it is", seq=1)
    assert counts(log.room) == {"as it is": 0, "mirrored": 1, "turned": 0}
    log.answer(1, "turned", seq=3)
    assert counts(log.room) == {"as it is": 0, "mirrored": 0, "turned": 1}
    question = log.room.question(1)
    assert question and question.answers[1].tries == 2


def test_an_answer_after_the_reveal_is_late_and_counts_nowhere() -> None:
    log = Log()
    log.ask()
    log.answer(1, "turned")
    log.add("reveal", question=1)
    log.answer(2, "turned")
    assert counts(log.room) == {"as it is": 0, "mirrored": 0, "turned": 1}
    state = log.room.state(BO)["question"]
    assert state["late"] and state["answer"] is None and "verdict" not in state
    assert state["result"]["answered"] == 1


@pytest.mark.parametrize("viewer", [PROJECTOR, ADA, BO])
def test_nothing_gives_the_solution_away_before_the_reveal(viewer: Viewer) -> None:
    log = Log()
    log.ask()
    log.answer(1, "turned")
    seen = [log.room.state(viewer)["question"], log.room.after(3, viewer)[0]["ask"]]  # type: ignore[index]
    for question in seen:
        assert question["result"] is None and "verdict" not in question and "right" not in str(question)
        assert not set(question) - {"question", "item", "state", "result", "answer", "late"}
    log.add("reveal", question=1)
    after = log.room.state(viewer)["question"]
    assert after["result"]["right"] == "turned" and after["result"]["tally"][2]["count"] == 1
    assert after.get("verdict") == ({"right": True, "mistake": None} if viewer == ADA else None)


def test_a_student_hears_of_nobody_elses_answer_or_name() -> None:
    log = Log()
    log.ask()
    log.answer(2, "mirrored")
    log.add("unname", student=1)
    told = log.room.after(1, BO)
    assert told is not None and [set(message) - {"n"} for message in told] == [{"ask"}]
    assert told[0]["ask"]["answer"]["value"] == "mirrored"
    assert "Ada" not in str(log.room.state(BO))


def test_of_views_only_the_newest_is_told_and_nothing_else_is_missed() -> None:
    log = Log()
    for k in range(5):
        log.add("view", view={"hash": f"#{k}"})
        if k == 2:
            log.ask()
    told = log.room.after(3, ADA)
    assert told is not None and [(message["n"], "ask" in message) for message in told] == [(7, True), (9, False)]
    assert told[1]["view"] == {"hash": "#4"}
    assert log.room.after(9, ADA) == []


def test_who_was_away_for_too_long_or_knows_more_than_there_is_gets_the_whole_state() -> None:
    log = Log(backlog=4)
    for _ in range(6):
        log.add("bring")
    assert log.room.after(4, ADA) is None
    assert log.room.after(5, ADA) is not None
    assert log.room.after(99, ADA) is None


def test_a_new_question_closes_the_one_before() -> None:
    log = Log()
    log.ask()
    log.ask()
    log.answer(1, "turned", question=1)
    log.answer(1, "turned", question=2)
    assert counts(log.room, 1)["turned"] == 0 and counts(log.room, 2)["turned"] == 1


def test_freezing_ends_by_itself_and_by_letting_go() -> None:
    log = Log()
    log.add("freeze")
    assert log.room.frozen_until == 103.0 + FREEZE_SECONDS and log.room.lead == "bring"
    log.add("letgo")
    assert log.room.state(ADA)["lead"] == "letgo" and log.room.state(ADA)["frozen_until"] == 0.0


def test_own_numbers_follow_from_room_question_and_student() -> None:
    log = Log()
    log.add("ask", item={"question": "?", "kind": "number", "exercise": "sum", "seed": 7, "same": False}, solution={})
    seeds = [log.room.state(viewer)["question"]["item"]["seed"] for viewer in (ADA, BO, ADA)]
    assert seeds[0] == seeds[2] != seeds[1]
    log.add("ask", item={"question": "?", "kind": "number", "exercise": "sum", "seed": 7, "same": True}, solution={})
    assert [log.room.state(viewer)["question"]["item"]["seed"] for viewer in (ADA, BO)] == [7, 7]


def test_mistakes_are_counted_by_name_the_commonest_first() -> None:
    log = Log()
    for number in range(3, 9):
        log.add("join", token=f"{number}", nickname="")
    log.add("ask", item={"question": "?", "kind": "number", "exercise": "sum", "seed": 7}, solution={})
    question = log.room.question(1)
    assert question
    for student, (right, mistake) in enumerate(
        [(True, None), (False, "no-flip"), (False, None), (False, "no-flip"), (False, "transposed")], 1
    ):
        facts = {"answer_id": str(student), "seq": 1, "right": right, "mistake": mistake}
        log.add("answer", student=student, question=1, value=student, **facts)
    assert [(row["name"], row["count"]) for row in question.tally()] == [
        ("right", 1),
        ("no-flip", 2),
        ("something else", 1),
        ("transposed", 1),
    ]
    assert question.commonest_mistake() == "no-flip"
