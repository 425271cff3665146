"""The logs of rooms in one SQLite file, written by one thread."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.classroom.store import Event, Listener, RoomGone, StorageFailed, Stored
from app.formats import json

#: Seconds for which the code of a room that ended is not given out again.
CODE_RESTS = 24 * 3600.0
#: Jobs that share one commit, and that may wait at once.
TOGETHER, WAITING = 500, 10_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS rooms (code TEXT PRIMARY KEY, last INTEGER NOT NULL, touched REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS codes (code TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    room TEXT NOT NULL, n INTEGER NOT NULL, key TEXT NOT NULL, slot TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (room, n)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS by_key ON events (room, key);
CREATE INDEX IF NOT EXISTS by_slot ON events (room, slot) WHERE slot != '';
"""

Work = Callable[[sqlite3.Connection], Any]


@dataclass
class _Job:
    work: Work
    done: asyncio.Future[Any]
    alone: bool = False  # runs outside a transaction
    result: Any = None
    error: Exception | None = None


@dataclass(frozen=True)
class _Added:
    room: str
    stored: Stored | None  # None where the key was there already
    n: int


class SqliteStore:
    """`EventStore` on one machine. Whatever waits is committed together (synchronous=FULL), then answered."""

    shared = False

    def __init__(self, file: Path) -> None:
        self._file = file
        self._jobs: queue.Queue[_Job | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: Listener | None = None

    async def start(self, listener: Listener) -> None:
        self._loop, self._listener = asyncio.get_running_loop(), listener
        self._thread = threading.Thread(target=self._run, name="rooms", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        if self._thread:
            await asyncio.to_thread(self._jobs.put, None)
            await asyncio.to_thread(self._thread.join, 5.0)
            self._thread = None

    async def create(self, room: str) -> bool:
        now = time.time()

        def work(db: sqlite3.Connection) -> bool:
            db.execute("DELETE FROM codes WHERE until < ?", (now,))
            if db.execute("SELECT 1 FROM codes WHERE code = ?", (room,)).fetchone():
                return False
            return db.execute("INSERT OR IGNORE INTO rooms VALUES (?, 0, ?)", (room, now)).rowcount == 1

        made: bool = await self._do(work)
        return made

    async def append(self, room: str, event: Event, key: str, slot: str = "") -> int:
        body, now = json.encode(event), time.time()

        def work(db: sqlite3.Connection) -> _Added:
            there = db.execute("SELECT n FROM events WHERE room = ? AND key = ?", (room, key)).fetchone()
            if there:
                return _Added(room, None, there[0])
            found = db.execute(
                "UPDATE rooms SET last = last + 1, touched = ? WHERE code = ? RETURNING last", (now, room)
            ).fetchone()
            if not found:
                raise RoomGone(room)
            if slot:
                db.execute("DELETE FROM events WHERE room = ? AND slot = ? AND slot != ''", (room, slot))
            db.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?)", (room, found[0], key, slot, body))
            return _Added(room, Stored(found[0], event, len(body)), found[0])

        added: _Added = await self._do(work)
        return added.n

    async def notify(self, room: str, notice: Event) -> None:
        """There is no other server."""
        if self._listener:
            self._listener.notified(room, notice)

    async def read(self, room: str, after: int = 0) -> list[Stored]:
        def work(db: sqlite3.Connection) -> list[Stored]:
            rows = db.execute("SELECT n, body FROM events WHERE room = ? AND n > ? ORDER BY n", (room, after))
            return [Stored(n, json.decode(body), len(body)) for n, body in rows]

        found: list[Stored] = await self._do(work)
        return found

    async def rooms(self) -> dict[str, float]:
        if not self._file.exists():  # nobody has opened a room here yet: leave no file behind
            return {}
        found: dict[str, float] = await self._do(lambda db: dict(db.execute("SELECT code, touched FROM rooms")))
        return found

    async def forget(self, room: str) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.execute("BEGIN IMMEDIATE")
            db.execute("DELETE FROM events WHERE room = ?", (room,))
            if db.execute("DELETE FROM rooms WHERE code = ?", (room,)).rowcount:
                db.execute("INSERT OR REPLACE INTO codes VALUES (?, ?)", (room, time.time() + CODE_RESTS))
            db.execute("COMMIT")
            db.execute("VACUUM")  # also writes the pages anew from which rows went
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

        await self._do(work, alone=True)

    async def _do(self, work: Work, alone: bool = False) -> Any:
        if self._loop is None or self._thread is None:
            raise StorageFailed("the storage of rooms has ended")
        job = _Job(work, self._loop.create_future(), alone)
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            raise StorageFailed("too much waits to be stored") from None
        return await job.done

    # on the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        db: sqlite3.Connection | None = None
        ended, after = False, None
        while not ended:
            first = after or self._jobs.get()
            after = None
            if first is None:
                break
            jobs = [first]
            while not first.alone and len(jobs) < TOGETHER:
                try:
                    more = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    ended = True
                    break
                if more.alone:
                    after = more
                    break
                jobs.append(more)
            try:
                db = db or self._connect()
                self._together(db, jobs)
            except (sqlite3.Error, OSError) as error:
                for job in jobs:
                    job.error = StorageFailed(str(error))
            self._tell(jobs)
        if db:
            db.close()

    def _connect(self) -> sqlite3.Connection:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._file, timeout=5, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")
            db.executescript(SCHEMA)
        except sqlite3.Error:
            db.close()
            raise
        return db

    @staticmethod
    def _together(db: sqlite3.Connection, jobs: list[_Job]) -> None:
        """All jobs in one transaction. One that breaks a rule of its own fails alone."""
        alone = jobs[0].alone
        if not alone:
            db.execute("BEGIN IMMEDIATE")
        try:
            for job in jobs:
                try:
                    job.result = job.work(db)
                except RoomGone as error:
                    job.error = error
            if not alone:
                db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _tell(self, jobs: list[_Job]) -> None:
        def tell() -> None:
            for job in jobs:
                if job.error is None and isinstance(job.result, _Added) and job.result.stored and self._listener:
                    self._listener.stored(job.result.room, job.result.stored)
            for job in jobs:
                if job.done.cancelled():
                    continue
                if job.error:
                    job.done.set_exception(job.error)
                else:
                    job.done.set_result(job.result)

        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(tell)
        except RuntimeError:  # the server has ended
            pass
