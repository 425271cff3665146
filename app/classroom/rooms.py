"""The rooms of this server, who is connected to them, and what lecturers and students do in them.

What is done is appended to the room's log; the answer to whoever did it comes after that is stored, and everybody else
hears of it through the log, in its order. Each connection has its place in the log (`n`): a slow one keeps nothing but
this number, and one that was away goes on behind it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from app.classroom.codes import make_code, read_code
from app.classroom.nicknames import NotANickname, key_of, read_nickname
from app.classroom.room import TRIES, Question, Room, Student, Viewer, hash_token
from app.classroom.store import Event, EventStore, RoomGone, StorageFailed, Stored
from app.formats import json
from app.limits import Limits
from app.problems import Problem, conflict, invalid, missing, over_limit, too_many, unavailable

logger = logging.getLogger("convscope")

#: Seconds between two views of a lecturer, and between two summaries of who is there and what was answered.
VIEW_EVERY, SUMMARY_EVERY = 0.1, 0.2
#: Seconds for which a student between two connections still counts as connected.
BETWEEN = 4.0
#: Seconds between two notices of who is connected to this server, where there are others, and after which a server that
#: sends none has no connections.
NOTICE_EVERY, NOTICE_LASTS = 2.0, 7.0
#: Seconds after which a room that nobody has joined may make way.
UNUSED = 900.0
#: Messages a second of a lecturer, who moves the view.
LECTURER_MESSAGES = 40
#: Addresses whose wrong codes are counted at once.
ADDRESSES = 10_000
#: Sockets at once that have not said yet whose they are.
STRANGERS = 400

Verdict = tuple[bool, str | None]


class Asker:
    """Where questions come from and who judges answers. This one knows choices alone."""

    async def item(self, asked: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What students get of a question, and what they do not get before the reveal."""
        if not asked.get("question") or not asked.get("choices"):
            raise invalid("expected `question` with `choices`, or an `exercise`", ["ask"])
        if asked.get("right") is not None and asked["right"] not in asked["choices"]:
            raise invalid("expected one of `choices`, or null where none is right", ["ask", "right"])
        choices = [{"name": each, "text": each} for each in asked["choices"]]
        item = {"question": asked["question"], "kind": "choice", "choices": choices}
        return item, {"right": asked.get("right")}

    async def judge(self, question: Question, seed: int | None, value: Any) -> Verdict:
        """Whether a value is right, and else the name of the mistake that makes it. 422 where it is no answer."""
        names = [each["name"] for each in question.item["choices"]]
        if value not in names:
            raise invalid(f"expected one of {', '.join(names)}", ["answer", "value"])
        return value == question.solution.get("right"), None

    async def shown(self, question: Question) -> dict[str, Any]:
        """What the reveal adds: the right answer, and what the commonest mistake computes."""
        return {}


@dataclass(eq=False)
class Connection:
    viewer: Viewer
    n: int
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    summary: bool = True  # whether a new one is due
    closed: bool = False


@dataclass
class _Bucket:
    """So many messages a second, twice as many at once."""

    rate: float
    left: float = 0.0
    at: float = -1e9

    def take(self) -> bool:
        now = time.monotonic()
        self.left = min(2 * self.rate, self.left + self.rate * (now - self.at))
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass
class Elsewhere:
    """Who is connected to another server, as that server said at `at`, by time.monotonic."""

    at: float
    lecturer: bool
    here: dict[int, bool]  # student -> whether they go their own way
    places: dict[int, str]


class LiveRoom:
    """A room with its connections. Who follows and who is lost is known here and stored nowhere; other servers say it
    of their own connections."""

    def __init__(self, code: str, limits: Limits) -> None:
        self.room = Room(code, limits.room_backlog)
        self.connections: set[Connection] = set()
        self.own: set[int] = set()
        self.places: dict[int, str] = {}
        self.left: dict[int, float] = {}  # when a student's last connection went
        self.trouble = ""
        self.elsewhere: dict[str, Elsewhere] = {}  # by server
        self.untold = False  # whether other servers have to be told who is here
        self.buckets: dict[Viewer, _Bucket] = {}
        self.pending_view: dict[str, Any] | None = None
        self.viewing: asyncio.Task[None] | None = None

    def hear(self, stored: Stored) -> None:
        """Fold in what was stored, and wake whom it concerns."""
        kind = stored.event["kind"]
        self.room.apply(stored)
        if kind in ("bring", "freeze"):
            self.own.clear()
        elif kind == "letgo":
            self.own = {student.number for student in self.room.students}
        quiet = kind in ("join", "answer")
        for connection in self.connections:
            leads = connection.viewer.role != "student"
            if leads and kind != "view":
                connection.summary = True
            if leads or not quiet:
                connection.wake.set()

    def rewind(self) -> None:
        """What was folded is no longer so: everybody is told the state anew."""
        self.room = Room(self.room.code, self.room.backlog.maxlen or 0)
        for connection in self.connections:
            connection.n = 0
        self.tell_all()

    def close(self) -> None:
        """The room is gone without an event that says so."""
        self.room.ended = True
        self.tell_all()

    def tell_leaders(self) -> None:
        self.untold = True
        for connection in self.connections:
            if connection.viewer.role != "student":
                connection.summary = True
                connection.wake.set()

    def tell_all(self) -> None:
        self.untold = True
        for connection in self.connections:
            connection.summary = True
            connection.wake.set()

    def states(self) -> dict[int, str]:
        """following, own or lost, by student."""
        here = {number: number in self.own for number in self.here()}
        for server in self._others():
            here = server.here | here
        now = time.monotonic()
        states = {}
        for number in range(1, len(self.room.students) + 1):
            there = number in here or now - self.left.get(number, -1e9) < BETWEEN
            own = here.get(number, number in self.own)
            states[number] = "lost" if not there else "own" if own else "following"
        return states

    def here(self) -> set[int]:
        """The students connected to this server."""
        return {connection.viewer.number for connection in self.connections} - {0}

    def _leads_here(self) -> bool:
        return any(connection.viewer.role == "lecturer" for connection in self.connections)

    def lecturer_here(self) -> bool:
        return self._leads_here() or any(server.lecturer for server in self._others())

    def _others(self) -> list[Elsewhere]:
        recent = time.monotonic() - NOTICE_LASTS
        self.elsewhere = {name: each for name, each in self.elsewhere.items() if each.at > recent}
        return list(self.elsewhere.values())

    def presence(self) -> Event:
        """What other servers are told of this one."""
        here = sorted(self.here())
        return {
            "lecturer": self._leads_here(),
            "here": [[number, number in self.own] for number in here],
            "places": [[number, self.places[number]] for number in here if number in self.places],
        }

    def hear_presence(self, server: str, notice: Event) -> None:
        """What another server says of itself. Who has left it is between two connections for a while."""
        now, before = time.monotonic(), self.elsewhere.get(server)
        told = Elsewhere(
            now,
            bool(notice["lecturer"]),
            {n: bool(own) for n, own in notice["here"]},
            dict(map(tuple, notice["places"])),
        )
        self.elsewhere[server] = told
        if before and (before.lecturer, before.here, before.places) == (told.lecturer, told.here, told.places):
            return
        for number in (before.here.keys() if before else set()) - told.here.keys():
            self.left[number] = now
        for number in told.here.keys() - self.here():  # for who comes from there to this server
            (self.own.add if told.here[number] else self.own.discard)(number)
        self.places |= told.places
        untold = self.untold
        (self.tell_all if (before is None or before.lecturer) != told.lecturer else self.tell_leaders)()
        self.untold = untold  # the others have heard it, too

    def summary(self, viewer: Viewer) -> dict[str, Any]:
        """Who is there and what was answered, as far as the viewer may know: no bars for a projector before Reveal."""
        if viewer.role == "student":
            return {"lecturer": self.lecturer_here(), "stored": not self.trouble, "n": self.room.n}
        states = self.states()
        question = self.room.questions[-1] if self.room.questions else None
        answered = question.answers if question else {}
        document: dict[str, Any] = {
            "who": [
                {
                    "number": student.number,
                    "nickname": student.nickname,
                    "state": states[student.number],
                    "answered": student.number in answered,
                    **({"at": self.places[student.number]} if student.number in self.places else {}),
                }
                for student in self.room.students
            ],
            "n": self.room.n,
        }
        if question:
            document["count"] = {
                "question": question.number,
                "answered": len(answered),
                "of": max(len(answered), sum(state == "following" for state in states.values())),
            }
        if viewer.role == "lecturer":
            document["bars"] = question.tally() if question else []
            document["trouble"] = self.trouble
        return document


class Rooms:
    def __init__(self, store: EventStore, limits: Limits, asker: Asker | None = None) -> None:
        self._store, self._limits = store, limits
        self.asker = asker or Asker()
        self.strangers = 0  # sockets that have not said yet whose they are
        self._live: dict[str, LiveRoom] = {}
        self._loaded = False
        self._unforgotten: set[str] = set()  # rooms that have ended and are on the disk still
        self._misses: dict[str, tuple[float, int]] = {}
        self._server = secrets.token_hex(8)
        self._notifying: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Fold the logs of earlier starts. Where they cannot be read now they are when they are asked for."""
        await self._store.start(self)
        if self._store.shared:
            self._notifying = asyncio.create_task(self._notify())
        try:
            await self._load()
        except StorageFailed as error:
            logger.error("the rooms of earlier starts cannot be read: %s", error)

    async def stop(self) -> None:
        for live in self._live.values():
            if live.viewing:
                live.viewing.cancel()
        if self._notifying:
            self._notifying.cancel()
        await self._store.stop()

    async def _load(self) -> None:
        if self._loaded:
            return
        for code in await self._store.rooms():
            live = self._live.setdefault(code, LiveRoom(code, self._limits))
            for stored in await self._store.read(code, live.room.n):
                live.room.apply(stored)
            if live.room.ended:  # the server ended in the middle of deleting it
                del self._live[code]
                self._unforgotten.add(code)
        self._loaded = True

    # as the storage's listener

    def stored(self, room: str, stored: Stored) -> None:
        live = self._live.get(room)
        if live is None:
            live = self._live[room] = LiveRoom(room, self._limits)
        live.hear(stored)
        if live.room.ended:
            self._live.pop(room, None)

    def notified(self, room: str, notice: Event) -> None:
        live = self._live.get(room)
        if live is None:
            return
        if notice.get("ended"):
            live.close()
            self._live.pop(room, None)
        elif "own" in notice:
            (live.own.add if notice["own"] else live.own.discard)(notice["student"])
            live.tell_leaders()
        elif notice.get("server") not in (None, self._server):
            live.hear_presence(notice["server"], notice)

    def rewound(self, room: str, there: bool) -> None:
        live = self._live.get(room)
        if live is None:
            return
        if there:
            live.rewind()
        else:
            live.close()
            self._live.pop(room, None)

    def reached(self, reason: str) -> None:
        for live in self._live.values():
            self._in_trouble(live, reason and f"nothing can be stored now: {reason}")

    def _in_trouble(self, live: LiveRoom, words: str) -> None:
        if live.trouble != words:
            live.trouble = words
            live.tell_all()

    async def _notify(self) -> None:
        """Tell the other servers who is connected to this one: soon after a change, and now and then."""
        told: dict[str, float] = {}
        while True:
            now = time.monotonic()
            told = {code: at for code, at in told.items() if code in self._live}
            for code, live in list(self._live.items()):
                if live.untold or now - told.get(code, -1e9) > NOTICE_EVERY:
                    live.untold, told[code] = False, now
                    with suppress(StorageFailed):
                        await self._store.notify(code, {"server": self._server, **live.presence()})
            await asyncio.sleep(SUMMARY_EVERY)

    async def keep(self) -> None:
        """End the rooms that are too old; called now and then."""
        with suppress(StorageFailed):
            await self._load()
            for code in list(self._unforgotten - self._live.keys()):
                await self._store.forget(code)
                self._unforgotten.discard(code)
        old = time.time() - 3600 * self._limits.room_hours
        for live in list(self._live.values()):
            if live.room.touched < old:
                with suppress(StorageFailed):
                    await self._end(live)
            elif live.room.students:
                live.tell_leaders()  # who was between two connections may be lost by now

    # finding ------------------------------------------------------------------------------------------------------

    async def find(self, written: str, address: str = "") -> LiveRoom:
        """The room with this code; 404 where there is none, 429 after too many wrong codes from one address."""
        now = time.monotonic()
        since, count = self._misses.get(address, (now, 0))
        if now - since >= 60:
            since, count = now, 0
        if address and count >= self._limits.wrong_codes:
            words = f"{count} wrong codes in a minute"
            raise too_many("wrong_codes", self._limits.wrong_codes, words, int(61 - (now - since)))
        with _stored():
            await self._load()
        code = read_code(written)
        live = self._live.get(code)
        if live is None:
            if address:
                if len(self._misses) >= ADDRESSES:
                    self._misses = {a: each for a, each in self._misses.items() if now - each[0] < 60}
                if len(self._misses) < ADDRESSES:
                    self._misses[address] = (since, count + 1)
            raise missing(f"there is no room {code or written[:20]!r}; it has ended, or the code is another")
        return live

    def admit_stranger(self) -> None:
        """One more socket that has not said yet whose it is; 429 where there are too many."""
        if self.strangers >= STRANGERS:
            words = f"{STRANGERS} sockets have not said yet whose they are"
            raise too_many("room_connections", self._limits.room_connections, words, 5)
        self.strangers += 1

    # joining ------------------------------------------------------------------------------------------------------

    async def open(self) -> tuple[LiveRoom, str, str]:
        """A new room with the lecturer's token and the projector's."""
        with _stored():
            await self._load()
            if len(self._live) >= self._limits.rooms:
                await self._make_way()
            lecturer, projector = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
            code = make_code()
            while not await self._store.create(code):
                code = make_code()
            event = {"kind": "open", "lecturer": hash_token(lecturer), "projector": hash_token(projector)}
            await self._append(code, event, "open")
        return self._live[code], lecturer, projector

    async def _make_way(self) -> None:
        unused = [
            live
            for live in self._live.values()
            if not live.room.students and not live.connections and time.time() - live.room.touched > UNUSED
        ]
        if not unused:
            most = self._limits.rooms
            raise too_many("rooms", most, f"there are {len(self._live)} rooms; end one that is over", 60)
        await self._end(min(unused, key=lambda live: live.room.touched))

    async def join(self, live: LiveRoom, token: str, nickname: str) -> Student:
        """The student with this token: the same one each time."""
        known = live.room.viewer(token)
        if known and known.role == "student":
            return live.room.students[known.number - 1]
        if known:
            raise conflict("this token leads the room; a student needs one of their own")
        if len(live.room.students) >= self._limits.room_students:
            most = self._limits.room_students
            raise too_many("room_students", most, f"the room has {len(live.room.students)} students already", 60)
        try:
            name = read_nickname(nickname) if nickname else ""
        except NotANickname as reason:
            raise invalid(f"{reason}", ["nickname"]) from None
        if name and key_of(name) in live.room.names:
            raise conflict(f"somebody in this room is called {name!r} already")
        hashed = hash_token(token)
        with _stored():
            await self._append(live.room.code, {"kind": "join", "token": hashed, "nickname": name}, f"join {hashed}")
        return live.room.students[live.room.by_token[hashed] - 1]

    # connections --------------------------------------------------------------------------------------------------

    @contextmanager
    def connected(self, live: LiveRoom, viewer: Viewer, seen: int, own: bool | None = None) -> Iterator[Connection]:
        """A connection of this viewer's, who knows the events up to `seen` (0: none)."""
        connection = Connection(viewer, seen)
        same = [each for each in live.connections if each.viewer == viewer and not each.closed]
        if viewer.role == "student" and len(same) >= self._limits.room_connections:
            same[0].closed = True
            same[0].wake.set()
        live.connections.add(connection)
        if viewer.number and own is not None:
            (live.own.add if own else live.own.discard)(viewer.number)
        live.tell_all() if viewer.role == "lecturer" else live.tell_leaders()
        try:
            yield connection
        finally:
            live.connections.discard(connection)
            if viewer.number:
                live.left[viewer.number] = time.monotonic()
            live.tell_all() if viewer.role == "lecturer" else live.tell_leaders()

    async def messages(
        self, live: LiveRoom, connection: Connection, heartbeat: float
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Everything this connection is to be told, several messages at a time; [] after so many quiet seconds."""
        viewer, room = connection.viewer, live.room
        summed = 0.0
        while not connection.closed:
            connection.wake.clear()
            told = room.after(connection.n, viewer) if connection.n else None
            batch = [{"state": room.state(viewer), "n": room.n}] if told is None else told
            connection.n = room.n
            now = time.monotonic()
            if connection.summary and now - summed >= SUMMARY_EVERY:
                connection.summary, summed = False, now
                batch.append(live.summary(viewer))
            for message in batch:
                if "state" in message or "freeze" in message:
                    message["now"] = round(time.time(), 3)  # the clocks of phones are their own
            if batch:
                yield batch
            if room.ended:
                return
            try:
                pause = max(0.0, summed + SUMMARY_EVERY - time.monotonic()) if connection.summary else heartbeat
                await asyncio.wait_for(connection.wake.wait(), pause)
                if connection.summary:  # gather what comes together
                    await asyncio.sleep(0)
            except TimeoutError:
                if not connection.summary:
                    yield []

    # what is done -------------------------------------------------------------------------------------------------

    async def act(self, live: LiveRoom, viewer: Viewer, kind: str, value: Any) -> dict[str, Any]:
        """One message of a student or a lecturer, and the answer to it. Raises Problem."""
        rate = self._limits.room_messages if viewer.role == "student" else LECTURER_MESSAGES
        if not live.buckets.setdefault(viewer, _Bucket(rate)).take():
            raise too_many("room_messages", rate, f"more than {rate} messages in a second", 1)
        if kind == "ping":
            return {"pong": value}
        acts = STUDENT if viewer.role == "student" else LECTURER if viewer.role == "lecturer" else {}
        if kind not in acts:
            raise Problem(403, f"a {viewer.role} may not send {kind!r}; there are: {', '.join(['ping', *acts])}")
        if live.room.ended:
            raise missing("this room has ended")
        try:
            with _stored():
                answer: dict[str, Any] = await acts[kind](self, live, viewer, value)
        except Problem as problem:
            if problem.status == 503:
                self._in_trouble(live, problem.detail)
            raise
        if kind not in ("own", "back", "at", "view"):
            self._in_trouble(live, "")
        return answer

    async def _append(self, code: str, event: Event, key: str = "", slot: str = "") -> int:
        live = self._live.get(code)
        if live and live.room.bytes > self._limits.room_bytes and event["kind"] != "end":
            raise over_limit("room_bytes", self._limits.room_bytes, "this room's log is full; open another room")
        stamped = {**event, "t": round(time.time(), 3)}
        return await self._store.append(code, stamped, key or secrets.token_hex(8), slot)

    async def _own(self, live: LiveRoom, viewer: Viewer, value: Any) -> dict[str, Any]:
        if time.time() >= live.room.frozen_until:
            await self._go(live, viewer, True)
        return {"ok": "own"}

    async def _back(self, live: LiveRoom, viewer: Viewer, value: Any) -> dict[str, Any]:
        live.places.pop(viewer.number, None)
        await self._go(live, viewer, False)
        return {"ok": "back"}

    async def _go(self, live: LiveRoom, viewer: Viewer, own: bool) -> None:
        """On all servers: a request may reach another one than that of the student's socket."""
        (live.own.add if own else live.own.discard)(viewer.number)
        live.tell_leaders()
        with suppress(StorageFailed):
            await self._store.notify(live.room.code, {"student": viewer.number, "own": own})

    async def _at(self, live: LiveRoom, viewer: Viewer, value: str) -> dict[str, Any]:
        live.places[viewer.number] = value
        live.tell_leaders()
        return {"ok": "at"}

    async def _answer(self, live: LiveRoom, viewer: Viewer, value: dict[str, Any]) -> dict[str, Any]:
        question = _question(live.room, value["question"])
        self._check_size(value["value"])
        verdict = await self.asker.judge(question, question.seed_of(live.room.code, viewer.number), value["value"])
        earlier = question.answers.get(viewer.number)
        if earlier and earlier.tries >= TRIES and earlier.answer_id != value["answer_id"]:
            raise conflict(f"this answer was changed {TRIES} times; it stays as it is")
        event = {"kind": "answer", "student": viewer.number, **value, "right": verdict[0], "mistake": verdict[1]}
        key = f"answer {viewer.number} {question.number} {value['answer_id']}"
        n = await self._append(live.room.code, event, key)
        late = question.late.get(viewer.number) == value["answer_id"]
        return {"ack": value["answer_id"], "question": question.number, "counted": not late, "n": n}

    def _check_size(self, value: Any) -> None:
        most = self._limits.room_answer_cells
        if isinstance(value, list) and sum(len(each) if isinstance(each, list) else 1 for each in value) > most:
            raise over_limit("room_answer_cells", most, f"more than {most} cells in one answer", ["answer", "value"])
        if len(json.encode(value)) > self._limits.room_answer_bytes:
            most = self._limits.room_answer_bytes
            raise over_limit("room_answer_bytes", most, f"the answer is larger than {most} bytes", ["answer", "value"])

    async def _view(self, live: LiveRoom, viewer: Viewer, value: dict[str, Any]) -> dict[str, Any]:
        """The newest wins: of those that come while one is stored, and in the pause after it, only the last is kept."""
        live.pending_view = value
        if live.viewing is None or live.viewing.done():
            live.viewing = asyncio.create_task(self._store_views(live))
        return {"ok": "view"}

    async def _store_views(self, live: LiveRoom) -> None:
        while live.pending_view is not None and not live.room.ended:
            view, live.pending_view = live.pending_view, None
            try:
                await self._append(live.room.code, {"kind": "view", "view": view}, slot="view")
            except (StorageFailed, RoomGone, Problem) as error:
                self._in_trouble(live, f"nothing can be stored now: {error}")
            await asyncio.sleep(VIEW_EVERY)

    async def _ask(self, live: LiveRoom, viewer: Viewer, value: dict[str, Any]) -> dict[str, Any]:
        if len(live.room.questions) >= self._limits.room_questions:
            most = self._limits.room_questions
            raise too_many("room_questions", most, f"{most} questions were asked in this room; open another one", 60)
        value = dict(value)
        again, id = value.pop("again", None), value.pop("id", None)
        if again:
            question = _question(live.room, again)
            item, solution = {**question.item, "again": again}, question.solution
        else:
            item, solution = await self.asker.item(value)
        key = f"ask {id}" if id else ""
        n = await self._append(live.room.code, {"kind": "ask", "item": item, "solution": solution}, key)
        return {"ok": "ask", "question": len(live.room.questions), "n": n}

    async def _close(self, live: LiveRoom, viewer: Viewer, value: int) -> dict[str, Any]:
        _question(live.room, value)
        return await self._tell(live, {"kind": "close", "question": value}, f"close {value}")

    async def _reveal(self, live: LiveRoom, viewer: Viewer, value: int) -> dict[str, Any]:
        question = _question(live.room, value)
        if question.state == "open":  # what is shown follows from the answers: none may come in between
            await self._append(live.room.code, {"kind": "close", "question": value}, f"close {value}")
        event = {"kind": "reveal", "question": value, "shown": await self.asker.shown(question)}
        return await self._tell(live, event, f"reveal {value}")

    async def _unname(self, live: LiveRoom, viewer: Viewer, value: int | str) -> dict[str, Any]:
        return await self._tell(live, {"kind": "unname", "student": None if value == "all" else value})

    async def _export(self, live: LiveRoom, viewer: Viewer, value: bool) -> dict[str, Any]:
        return await self._tell(live, {"kind": "export", "export": value})

    async def _tell(self, live: LiveRoom, event: Event, key: str = "") -> dict[str, Any]:
        return {"ok": event["kind"], "n": await self._append(live.room.code, event, key)}

    async def _end_room(self, live: LiveRoom, viewer: Viewer, value: Any) -> dict[str, Any]:
        await self._end(live)
        return {"ok": "end"}

    async def _end(self, live: LiveRoom) -> None:
        """Tell everybody, then delete everything."""
        if live.viewing:
            live.viewing.cancel()
        code = live.room.code
        self._unforgotten.add(code)
        with suppress(RoomGone):
            await self._append(code, {"kind": "end"}, "end")
        await self._store.forget(code)
        self._unforgotten.discard(code)


def _simple(kind: str) -> Callable[[Rooms, LiveRoom, Viewer, Any], Awaitable[dict[str, Any]]]:
    async def act(rooms: Rooms, live: LiveRoom, viewer: Viewer, value: Any) -> dict[str, Any]:
        return await rooms._tell(live, {"kind": kind})

    return act


#: What each may send, besides ping.
STUDENT: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
    "own": Rooms._own,
    "back": Rooms._back,
    "at": Rooms._at,
    "answer": Rooms._answer,
}
LECTURER: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
    "view": Rooms._view,
    **{kind: _simple(kind) for kind in ("bring", "letgo", "freeze", "thaw")},
    "ask": Rooms._ask,
    "close": Rooms._close,
    "reveal": Rooms._reveal,
    "unname": Rooms._unname,
    "export": Rooms._export,
    "end": Rooms._end_room,
}


def _question(room: Room, number: int) -> Question:
    question = room.question(number)
    if question is None:
        raise missing(f"there is no question {number} in this room; {len(room.questions)} were asked")
    return question


@contextmanager
def _stored() -> Iterator[None]:
    """Failures of the storage as problems: 503, and 404 where the room has ended meanwhile."""
    try:
        yield
    except StorageFailed as error:
        raise unavailable(f"nothing can be stored now: {error}", retry_after=1, kind="storage") from None
    except RoomGone:
        raise missing("this room has ended") from None
