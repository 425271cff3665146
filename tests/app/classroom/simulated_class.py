"""A class in the computer: students who join, follow and answer over sockets that drop at random, on a server that is
killed. Each keeps what it typed until it is acknowledged, as the page does, and folds the events as the page does."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import random
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

CHOICES = ["as it is", "mirrored", "upside down", "turned"]
LOST = (OSError, WebSocketException, asyncio.TimeoutError)


def call(url: str, method: str = "GET", body: Any = None, headers: dict[str, str] | None = None) -> tuple[Any, Any]:
    """The answer's body and headers; raises as urllib does."""
    data = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **(headers or {})} if data is not None else (headers or {})
    with urllib.request.urlopen(urllib.request.Request(url, data, sent, method=method), timeout=10) as answer:
        content = answer.read()
        return (json.loads(content) if "json" in answer.headers["Content-Type"] else content), answer.headers


@dataclass
class Screen:
    """What a client knows: the fold of what it was told."""

    n: int = 0
    state: dict[str, Any] = field(default_factory=dict)
    ended: bool = False

    def take(self, message: dict[str, Any]) -> None:
        if "state" in message:
            self.state = dict(message["state"])
        for kind in ("ask", "close", "reveal"):
            if kind in message and message[kind]["question"] >= ((self.state["question"] or {}).get("question", 0)):
                self.state["question"] = message[kind]
        if "view" in message:
            self.state["view"] = message["view"]
        if "ended" in message:
            self.ended = True
        if any(key in message for key in ("state", "view", "ask", "close", "reveal", "bring", "letgo", "ended")):
            assert message["n"] >= self.n, "events came in the wrong order"
            self.n = message["n"]

    def shared(self) -> dict[str, Any]:
        """What is the same for everybody."""
        question = self.state["question"]
        kept = ("question", "item", "state", "result")
        return {"view": self.state["view"], "question": question and {key: question[key] for key in kept}}


@dataclass
class Behaviour:
    """Seconds between drops of a student's socket, on average; the share of drops after which a phone sleeps, for how
    long; and the share of answers that are sent twice."""

    drop_every: float = 10.0
    sleeping: float = 0.1
    sleep: float = 30.0
    twice: float = 0.05


class Student:
    def __init__(self, url: str, code: str, seed: int, behaviour: Behaviour, nickname: str = "") -> None:
        self.url, self.code, self.behaviour = url, code, behaviour
        self.random = random.Random(seed)
        self.token = f"student-{seed:06d}-{self.random.getrandbits(96):024x}"
        self.nickname = nickname
        self.number = 0
        self.screen = Screen()
        self.pending: dict[int, dict[str, Any]] = {}  # question -> what is not acknowledged yet
        self.counted: dict[int, Any] = {}  # question -> value of the newest acknowledged answer that counts
        self.late = 0
        self.changes: dict[int, int] = {}
        self.returns: list[float] = []  # seconds from losing the socket to the next state or event
        self.lags: list[float] = []  # seconds from the lecturer's sending a view to its arrival here
        self.leaving = False

    async def run(self) -> None:
        await self._join()
        lost_at = 0.0
        wait = 0.3
        while not self.leaving:
            try:
                async with connect(f"{self.url.replace('http', 'ws', 1)}/api/rooms/{self.code}") as socket:
                    wait = 0.3
                    await self._talk(socket, lost_at)
            except LOST:
                pass
            if self.leaving or self.screen.ended:
                return
            lost_at = time.monotonic()
            if self.random.random() < self.behaviour.sleeping:
                await asyncio.sleep(self.behaviour.sleep)
                lost_at = time.monotonic()
            await asyncio.sleep(wait * self.random.uniform(0.7, 1.3))
            wait = min(2.0, 2 * wait)

    async def _join(self) -> None:
        body = {"token": self.token, "nickname": self.nickname}
        while not self.number:
            try:
                url = f"{self.url}/api/rooms/{self.code}/join"
                joined, _ = await asyncio.to_thread(call, url, "POST", body)
                self.number = joined["student"]
            except (OSError, urllib.error.URLError):
                await asyncio.sleep(0.3)

    async def _talk(self, socket: ClientConnection, lost_at: float) -> None:
        drop = time.monotonic() + self.random.expovariate(1 / self.behaviour.drop_every)
        await socket.send(json.dumps({"hello": self.token, "seen": self.screen.n}))
        await asyncio.gather(*[socket.send(json.dumps({"answer": each})) for each in self.pending.values()])
        while not self.leaving:
            left = drop - time.monotonic()
            if left <= 0:
                socket.transport.abort()  # as a phone that is out of reach: no goodbye
                return
            try:
                message = json.loads(await asyncio.wait_for(socket.recv(), min(left, 5.0)))
            except TimeoutError:
                continue
            if lost_at:
                self.returns.append(time.monotonic() - lost_at)
                lost_at = 0.0
            await self._take(message, socket)

    async def _take(self, message: dict[str, Any], socket: ClientConnection) -> None:
        self.screen.take(message)
        if "view" in message and "sent" in message["view"]["hash"]:
            self.lags.append(time.time() - float(message["view"]["hash"].rpartition("=")[2]))
        if "ack" in message:
            question = message["question"]
            kept = self.pending.get(question)
            if kept and kept["answer_id"] == message["ack"]:
                del self.pending[question]
                if message["counted"]:
                    self.counted[question] = kept["value"]
                else:
                    self.late += 1
        elif "problem" in message and message["problem"]["status"] in (429, 503):
            await asyncio.sleep(0.3)
            for answer in self.pending.values():
                await socket.send(json.dumps({"answer": answer}))
        elif "problem" in message:
            raise AssertionError(message)
        question = self.screen.state.get("question")
        if question and question["state"] == "open":
            await self._think(question["question"], socket)

    async def _think(self, question: int, socket: ClientConnection) -> None:
        """Answer, and now and then change the answer; what was typed is kept until it is acknowledged."""
        changes = self.changes.get(question, 0)
        if question in self.pending or (changes and self.random.random() > 0.05):
            return
        self.changes[question] = changes + 1
        value = self.random.choice(CHOICES)
        answer = {
            "question": question,
            "value": value,
            "answer_id": f"{self.number}-{question}-{changes}",
            "seq": changes + 1,
        }
        self.pending[question] = answer
        for _ in range(2 if self.random.random() < self.behaviour.twice else 1):
            await socket.send(json.dumps({"answer": answer}))


class Lecturer:
    """Opens a room and leads it by requests, so that a server that is killed only costs a repetition."""

    def __init__(self, url: str) -> None:
        self.url = url
        opened, headers = call(f"{url}/api/rooms", "POST", {})
        self.code = opened["code"]
        self.cookie = headers["Set-Cookie"].partition(";")[0]
        self.asked = 0

    async def say(self, message: dict[str, Any]) -> Any:
        url = f"{self.url}/api/rooms/{self.code}/messages"
        while True:
            try:
                return (await asyncio.to_thread(call, url, "POST", message, {"Cookie": self.cookie}))[0]
            except urllib.error.HTTPError as error:
                if error.code not in (429, 503):
                    raise AssertionError(error.read()) from None
            except (OSError, urllib.error.URLError):
                pass
            await asyncio.sleep(0.2)

    async def ask(self) -> int:
        self.asked += 1
        asked = {"question": f"Question {self.asked}?", "choices": CHOICES, "right": "turned", "id": str(self.asked)}
        answer: dict[str, Any] = await self.say({"ask": asked})
        return int(answer["question"])

    async def lead(self, seconds: float, every: float = 0.25) -> None:
        """Move the view for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await self.say({"view": {"hash": f"#at=conv1/y&sent={time.time():.3f}"}})
            await asyncio.sleep(every)

    def answers(self) -> list[dict[str, str]]:
        url = f"{self.url}/api/rooms/{self.code}/answers"
        table, _ = call(url, headers={"Cookie": self.cookie})
        return list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"))))

    async def settle(self, students: list[Student], seconds: float) -> None:
        """Wait until every student has been told all and has nothing left to send."""
        await self.say({"view": {"hash": "#settled"}})
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            screens = [student.screen for student in students]
            if all((s.state.get("view") or {}).get("hash") == "#settled" for s in screens) and not any(
                student.pending for student in students
            ):
                return
            await asyncio.sleep(0.05)


def check(lecturer: Lecturer, students: list[Student]) -> None:
    """No answer lost, none counted twice, none of another room, and the same on every screen."""
    rows = lecturer.answers()
    stored = {(int(row["number"]), int(row["question"])): row["answer"] for row in rows}
    assert len(stored) == len(rows), "an answer was counted twice"
    told = {(student.number, question): value for student in students for question, value in student.counted.items()}
    assert not [student.pending for student in students if student.pending], "an answer was never acknowledged"
    assert stored == told
    assert sorted(student.number for student in students) == list(range(1, len(students) + 1))
    shared = [student.screen.shared() for student in students]
    assert all(each == shared[0] for each in shared), "screens differ"
    for question in range(1, lecturer.asked + 1):
        tally: dict[str, int] = {}
        for (_, asked), value in stored.items():
            if asked == question:
                tally[value] = tally.get(value, 0) + 1
        if question == shared[0]["question"]["question"]:
            result = shared[0]["question"]["result"]
            assert {row["name"]: row["count"] for row in result["tally"] if row["count"]} == tally


async def finish(tasks: list[asyncio.Task[None]], students: list[Student]) -> None:
    for student in students:
        student.leaving = True
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
