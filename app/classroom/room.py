"""A room as its log tells it: who is in it, what the lecturer shows, what was asked and what was answered.

`Room` is a fold: the same events in the same order give the same room on every server and after every restart. What
an event means is decided here and nowhere else: which number a student has, whether an answer counts, what a reveal
shows. Nothing here knows sockets, storage or clocks; every event brings its time.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Literal

from app.classroom.nicknames import key_of
from app.classroom.store import Event, Stored

Role = Literal["student", "lecturer", "projector"]
#: Seconds after which a frozen room thaws by itself.
FREEZE_SECONDS = 180.0
#: Changes of one answer.
TRIES = 50
#: Events that only whoever leads is told of, and as counts.
QUIET = {"open", "join", "answer"}


def hash_token(token: str) -> str:
    """What is kept of a token: who reads the storage cannot take anybody's place."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True)
class Viewer:
    """Who looks at a room; `number` is a student's, else 0."""

    role: Role
    number: int = 0


@dataclass
class Student:
    number: int
    token: str  # hashed
    nickname: str = ""


@dataclass
class Answer:
    value: Any
    answer_id: str
    seq: int
    right: bool
    mistake: str | None
    seconds: float
    tries: int = 1


@dataclass
class Question:
    """`item` is what was asked: `question`, `kind`, perhaps `choices`, `exercise` and `seed`."""

    number: int
    item: dict[str, Any]
    solution: dict[str, Any]  # what students are not told before the reveal
    asked: float
    state: Literal["open", "closed", "revealed"] = "open"
    answers: dict[int, Answer] = field(default_factory=dict)
    late: dict[int, str] = field(default_factory=dict)  # student -> answer_id of what came too late
    result: dict[str, Any] | None = None

    def seed_of(self, code: str, student: int) -> int | None:
        """The seed of a student's own item: the same for all, or one that follows from room, question and student."""
        seed = self.item.get("seed")
        if seed is None or self.item.get("same", True) or not student:
            return seed
        digest = hashlib.sha256(f"{code} {self.number} {student}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    def tally(self) -> list[dict[str, Any]]:
        """How often each answer was given: choices in their order, else the right one and then mistakes by name."""
        rows: dict[str, dict[str, Any]] = {}
        right = self.solution.get("right")
        for choice in self.item.get("choices", []) if self.item.get("same", True) else []:
            rows[choice["name"]] = _row(choice["name"], choice["text"], choice["name"] == right)
        chosen = bool(rows)
        rows = rows or {"right": _row("right", "right", True)}
        for answer in self.answers.values():
            name = str(answer.value) if chosen else "right" if answer.right else answer.mistake or "something else"
            row = rows.setdefault(name, _row(name, name, answer.right))
            row["count"] += 1
            row["mistake"] = row["mistake"] or answer.mistake
        if chosen:
            return list(rows.values())
        first, *others = rows.values()
        return [first, *sorted(others, key=lambda row: (-row["count"], row["name"]))]

    def commonest_mistake(self) -> str | None:
        counts = Counter(a.mistake for a in self.answers.values() if a.mistake)
        return min(counts, key=lambda name: (-counts[name], name)) if counts else None


class Room:
    """`n` is the number of the newest event that was applied; `backlog` the newest ones with their numbers."""

    def __init__(self, code: str, backlog: int = 2000) -> None:
        self.code = code
        self.n = 0
        self.touched = 0.0
        self.bytes = 0
        self.lecturer = self.projector = ""  # hashed
        self.students: list[Student] = []
        self.by_token: dict[str, int] = {}
        self.names: set[str] = set()
        self.view: dict[str, Any] | None = None
        self.lead: Literal["bring", "letgo"] = "bring"
        self.led = 0  # n of the newest event that set all to following or to their own
        self.frozen_until = 0.0
        self.questions: list[Question] = []
        self.export = False
        self.ended = False
        self.backlog: deque[tuple[int, Event]] = deque(maxlen=backlog)
        self._forgotten = 0  # n of the newest event that fell out of the backlog

    # the fold -----------------------------------------------------------------------------------------------------

    def apply(self, stored: Stored) -> None:
        """Fold in the next event. One that was folded in already, or of a kind unknown here, changes nothing."""
        if stored.n <= self.n:
            return
        event = stored.event
        self.n, self.touched = stored.n, event["t"]
        if event["kind"] != "view":
            self.bytes += stored.size
        if event["kind"] == "ask":
            event = {**event, "question": len(self.questions) + 1}
        if event["kind"] not in QUIET:
            if len(self.backlog) == self.backlog.maxlen:
                self._forgotten = self.backlog[0][0]
            self.backlog.append((stored.n, event))
        change = getattr(self, f"_on_{event['kind']}", None)
        if change:
            change(event)

    def _on_open(self, event: Event) -> None:
        self.lecturer, self.projector = event["lecturer"], event["projector"]

    def _on_join(self, event: Event) -> None:
        if event["token"] in self.by_token:
            return
        student = Student(len(self.students) + 1, event["token"])
        name = event.get("nickname", "")
        if name and key_of(name) not in self.names:  # of two who ask at once the first gets it
            student.nickname = name
            self.names.add(key_of(name))
        self.students.append(student)
        self.by_token[student.token] = student.number

    def _on_unname(self, event: Event) -> None:
        for student in self.students:
            if event["student"] in (None, student.number):
                self.names.discard(key_of(student.nickname))
                student.nickname = ""

    def _on_view(self, event: Event) -> None:
        self.view = event["view"]

    def _on_bring(self, event: Event) -> None:
        self.lead, self.led = "bring", self.n

    def _on_letgo(self, event: Event) -> None:
        self.lead, self.led, self.frozen_until = "letgo", self.n, 0.0

    def _on_freeze(self, event: Event) -> None:
        self.lead, self.led, self.frozen_until = "bring", self.n, event["t"] + FREEZE_SECONDS

    def _on_thaw(self, event: Event) -> None:
        self.frozen_until = 0.0

    def _on_export(self, event: Event) -> None:
        self.export = event["export"]

    def _on_ask(self, event: Event) -> None:
        for question in self.questions:
            if question.state == "open":
                question.state = "closed"
        number = len(self.questions) + 1
        self.questions.append(Question(number, event["item"], event["solution"], event["t"]))

    def _on_answer(self, event: Event) -> None:
        question = self.question(event["question"])
        number = event["student"]
        if question is None or not 1 <= number <= len(self.students):
            return
        if question.state != "open":
            question.late[number] = event["answer_id"]
            return
        old = question.answers.get(number)
        if old and (event["seq"], event["answer_id"]) <= (old.seq, old.answer_id):  # an older one, on its way for long
            return
        question.answers[number] = Answer(
            event["value"],
            event["answer_id"],
            event["seq"],
            event["right"],
            event["mistake"],
            round(event["t"] - question.asked, 1),
            (old.tries if old else 0) + 1,
        )

    def _on_close(self, event: Event) -> None:
        question = self.question(event["question"])
        if question and question.state == "open":
            question.state = "closed"

    def _on_reveal(self, event: Event) -> None:
        question = self.question(event["question"])
        if question and question.state != "revealed":
            question.state = "revealed"
            question.result = {
                "tally": question.tally(),
                "answered": len(question.answers),
                **question.solution,
                **event.get("shown", {}),
            }

    def _on_end(self, event: Event) -> None:
        self.ended = True

    # what is asked of it ------------------------------------------------------------------------------------------

    def question(self, number: int) -> Question | None:
        return self.questions[number - 1] if 1 <= number <= len(self.questions) else None

    def viewer(self, token: str) -> Viewer | None:
        """Whose token it is."""
        hashed = hash_token(token)
        if hashed in (self.lecturer, self.projector):
            return Viewer("lecturer" if hashed == self.lecturer else "projector")
        number = self.by_token.get(hashed)
        return Viewer("student", number) if number else None

    def state(self, viewer: Viewer) -> dict[str, Any]:
        """All that a screen shows, for who comes in or was away for long."""
        document: dict[str, Any] = {
            "code": self.code,
            "role": viewer.role,
            "view": self.view,
            "lead": self.lead,
            "led": self.led,
            "frozen_until": self.frozen_until,
            "export": self.export,
            "question": self.shown(self.questions[-1], viewer) if self.questions else None,
            "questions": len(self.questions),
        }
        if viewer.role == "student":
            document["you"] = {"number": viewer.number, "nickname": self.students[viewer.number - 1].nickname}
        return document

    def shown(self, question: Question, viewer: Viewer) -> dict[str, Any]:
        """A question as a viewer may see it: no solution before the reveal, and of the answers only one's own."""
        own = question.answers.get(viewer.number)
        document = {
            "question": question.number,
            "item": {**question.item, **_seeded(question.seed_of(self.code, viewer.number))},
            "state": question.state,
            "result": question.result,
        }
        if viewer.role == "student":
            document["answer"] = {"value": own.value, "answer_id": own.answer_id, "seq": own.seq} if own else None
            document["late"] = viewer.number in question.late and own is None
            if question.state == "revealed" and own:
                document["verdict"] = {"right": own.right, "mistake": own.mistake}
        return document

    def after(self, n: int, viewer: Viewer) -> list[dict[str, Any]] | None:
        """What happened after event `n`, as messages for this viewer in order; None where that is too long ago.

        Of views only the newest is sent. A message about a question holds it as it is now."""
        if n < self._forgotten or n > self.n:
            return None
        events: list[tuple[int, Event]] = []
        viewed = False
        for number, event in reversed(self.backlog):
            if number <= n:
                break
            if event["kind"] != "view" or not viewed:
                events.append((number, event))
            viewed = viewed or event["kind"] == "view"
        return [m for number, event in reversed(events) if (m := self._message(number, event, viewer))]

    def _message(self, n: int, event: Event, viewer: Viewer) -> dict[str, Any] | None:
        kind = event["kind"]
        if kind == "view":
            return {"view": event["view"], "n": n}
        if kind in ("ask", "close", "reveal"):
            question = self.question(event["question"])
            return {kind: self.shown(question, viewer), "n": n} if question else None
        if kind == "freeze":
            return {"freeze": event["t"] + FREEZE_SECONDS, "n": n}
        if kind == "export":
            return {"export": event["export"], "n": n}
        if kind == "unname":
            if viewer.role == "student" and event["student"] in (None, viewer.number):
                return {"you": {"number": viewer.number, "nickname": ""}, "n": n}
            return None
        return {("ended" if kind == "end" else kind): True, "n": n}


def _row(name: str, text: str, right: bool) -> dict[str, Any]:
    return {"name": name, "text": text, "right": right, "mistake": None, "count": 0}


def _seeded(seed: int | None) -> dict[str, int]:
    return {} if seed is None else {"seed": seed}
