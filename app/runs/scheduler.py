"""Who computes what: one niced thread trains, run after run, step by step; a small pool answers questions beside it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from app.limits import NICENESS, Limits
from app.problems import closing, over_limit, too_many

logger = logging.getLogger("convscope")

Result = TypeVar("Result")
#: Multiply-adds (or what costs as much) of a question that one thread of the pool is kept free for.
LIGHT = 20_000_000
NEVER = float("inf")
#: Seconds that somebody waits for room in a budget.
PATIENCE = 60.0


def be_nice(niceness: int = NICENESS) -> None:
    """Let the event loop go first: lower this thread's priority, and that of the threads it starts."""
    if hasattr(os, "setpriority"):
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
        except OSError:
            logger.debug("this system does not let a thread be niced")


class Turn(Protocol):
    """A run, as the compute thread sees it."""

    @property
    def payer(self) -> Hashable:
        """Whose share of the thread its time is taken from."""

    def take_turn(self, share: float) -> float:
        """Do at most one step's work, and build frames for at most this share of the thread's time. When to come
        again, on time.monotonic's clock: 0 at once, NEVER when woken."""


class Shares:
    """Start-time fair queuing: the next turn is for whoever of those that want one has had the least time.

    Whoever goes on wanting turns keeps what they are owed, however long the others' turns are. Whoever comes, or comes
    back, starts level with the turn that was last given: nobody saves up while they want none.
    """

    def __init__(self) -> None:
        self._spent: dict[Hashable, float] = {}
        self._wanting: set[Hashable] = set()
        self._level = 0.0  # what whoever had the last turn had had before it

    def next(self, wanting: Iterable[Hashable]) -> Hashable:
        """Of several that have had equally much, the first."""
        ordered = list(dict.fromkeys(wanting))
        for each in ordered:
            if each not in self._wanting:
                self._spent[each] = max(self._spent.get(each, 0.0), self._level)
        self._wanting = set(ordered)
        if len(self._spent) > 2 * len(ordered):  # who has had no more than the level would start at it anyway
            self._spent = {
                each: spent for each, spent in self._spent.items() if each in self._wanting or spent > self._level
            }
        found = min(ordered, key=self._spent.__getitem__)
        self._level = self._spent[found]
        return found

    def took(self, who: Hashable, seconds: float) -> None:
        self._spent[who] += seconds


@dataclass(eq=False)
class _Seat:
    turn: Turn
    due: float = 0.0


class Scheduler(threading.Thread):
    """The one thread that trains; `gate` holds it back until the kernels are compiled.

    Runs take turns by time. Next is a run of whoever has had the least of the thread, and of theirs the one that has
    had the least: so nobody has less because somebody else trains many runs, or large ones.
    """

    def __init__(self, gate: threading.Event) -> None:
        super().__init__(name="compute", daemon=True)
        self._gate = gate
        self._seats: list[_Seat] = []
        self._payers = Shares()
        self._runs: dict[Hashable, Shares] = {}  # of each payer that wants the thread
        self._changed = threading.Condition()
        self._woken = False
        self._stopping = False

    def add(self, turn: Turn) -> None:
        with self._changed:
            self._seats.append(_Seat(turn))
        self.wake()

    def remove(self, turn: Turn) -> None:
        with self._changed:
            self._seats = [seat for seat in self._seats if seat.turn is not turn]

    def wake(self) -> None:
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def stop(self) -> None:
        """End after the step under way."""
        self._stopping = True
        self._gate.set()
        self.wake()

    def run(self) -> None:
        be_nice()
        self._gate.wait()
        while not self._stopping:
            with self._changed:
                seats = list(self._seats)
                if self._woken:
                    for seat in seats:
                        seat.due = 0.0
                self._woken = False
            ready = [seat for seat in seats if seat.due <= time.monotonic()]
            if ready:
                self._next(ready)
                continue
            with self._changed:
                due = min((seat.due for seat in seats), default=NEVER)
                if not self._woken and not self._stopping and (wait := due - time.monotonic()) > 0:
                    self._changed.wait(None if due == NEVER else wait)

    def _next(self, ready: list[_Seat]) -> None:
        by_payer: dict[Hashable, list[_Seat]] = {}
        for each in ready:
            by_payer.setdefault(each.turn.payer, []).append(each)
        self._runs = {payer: self._runs.get(payer) or Shares() for payer in by_payer}
        payer = self._payers.next(by_payer)
        runs = self._runs[payer]
        seat = runs.next(by_payer[payer])
        assert isinstance(seat, _Seat)
        began = time.monotonic()
        seat.due = seat.turn.take_turn(1 / len(ready))
        took = time.monotonic() - began
        runs.took(seat, took)
        self._payers.took(payer, took)


class Budget:
    """Bytes that requests under way hold together. Who finds too few left waits: first come, first served."""

    def __init__(self, name: str, most: int) -> None:
        self._name, self._most, self._left = name, most, most
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def of(self, size: int) -> AsyncIterator[None]:
        """Hold so many bytes. Raises Problem 413 where there are never so many, 429 where none come free."""
        if size > self._most:
            said = f"this would take about {size} bytes of memory; all requests under way have {self._most}"
            raise over_limit(self._name, self._most, said)
        if self._waiting or size > self._left:
            await self._turn(size)
        else:
            self._left -= size
        try:
            yield
        finally:
            self._left += size
            self._serve()

    async def _turn(self, size: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (size, turn)
        self._waiting.append(place)
        try:
            await asyncio.wait_for(asyncio.shield(turn), PATIENCE)
        except BaseException as error:
            if turn.done():  # it was served while it left
                self._left += size
            else:
                self._waiting.remove(place)
            self._serve()
            if isinstance(error, TimeoutError):
                raise too_many(
                    self._name, self._most, "large requests under way leave no memory for this one"
                ) from None
            raise

    def _serve(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._left:
            size, turn = self._waiting.popleft()
            self._left -= size
            turn.set_result(None)


class Pool:
    """Two threads for questions, light ones first; one of them takes nothing heavy, so that a light question never
    waits for a heavy one."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._jobs: list[tuple[float, int, Future[Any], Callable[[], Any]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._stopping = False
        self._clients: Counter[Hashable] = Counter()
        self._threads = [
            threading.Thread(target=self._work, args=(heaviest,), name=f"answers-{number}", daemon=True)
            for number, heaviest in enumerate((LIGHT, NEVER))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            for _, _, future, _ in self._jobs:
                future.cancel()
            self._jobs.clear()
            self._changed.notify_all()

    def join(self, timeout: float) -> bool:
        """Whether every thread has ended within `timeout` seconds."""
        end = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    async def run(self, client: Hashable, function: Callable[..., Result], *arguments: Any, cost: float = 0) -> Result:
        """The function's answer, computed in the pool. Raises Problem 429 when too much waits, 503 at the end."""
        waiting = sum(self._clients.values())
        if waiting >= self._limits.queue:
            raise too_many("queue", self._limits.queue, f"{waiting} computations are waiting already")
        if self._clients[client] >= self._limits.queue_per_client:
            raise too_many(
                "queue_per_client",
                self._limits.queue_per_client,
                f"{self._clients[client]} computations of this client are waiting already",
            )
        future: Future[Result] = Future()
        self._clients[client] += 1
        try:
            with self._changed:
                if self._stopping:
                    raise closing()
                heapq.heappush(self._jobs, (cost, next(self._order), future, lambda: function(*arguments)))
                self._changed.notify_all()
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if self._stopping:
                raise closing() from None
            raise
        finally:
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]

    def _work(self, heaviest: float) -> None:
        if heaviest > LIGHT:
            be_nice(NICENESS // 2)
        while True:
            with self._changed:
                while not self._stopping and not (self._jobs and self._jobs[0][0] <= heaviest):
                    self._changed.wait()
                if self._stopping:
                    return
                _, _, future, job = heapq.heappop(self._jobs)
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)
