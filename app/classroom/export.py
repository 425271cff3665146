"""The answers of a room as a table."""

from __future__ import annotations

import csv
import io
from typing import Any

from app.classroom.room import Room
from app.formats import json

COLUMNS = ("number", "nickname", "question", "seed", "answer", "right", "misconception", "tries", "seconds")


def answers_csv(room: Room) -> bytes:
    """One row for each student and question, UTF-8 with a mark by which spreadsheets know it."""
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow(COLUMNS)
    for question in room.questions:
        for number, answer in sorted(question.answers.items()):
            student = room.students[number - 1]
            seed = question.seed_of(room.code, number)
            table.writerow(
                [
                    number,
                    student.nickname,
                    question.number,
                    "" if seed is None else seed,
                    _cell(answer.value),
                    "yes" if answer.right else "no",
                    answer.mistake or "",
                    answer.tries,
                    answer.seconds,
                ]
            )
    return written.getvalue().encode("utf-8-sig")


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula is quoted."""
    if isinstance(value, (int, float)):
        return value
    text = value if isinstance(value, str) else json.encode(value).decode("ascii")
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
