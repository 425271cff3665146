"""Who computes what: one niced thread trains, run after run, step by step; a small pool answers questions beside it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from app.limits import NICENESS, Limits
from app.problems import closing, too_many

logger = logging.getLogger("convscope")

Result = TypeVar("Result")
#: Multiply-adds (or what costs as much) of a question that one thread of the pool is kept free for.
LIGHT = 20_000_000
NEVER = float("inf")
#: How far behind the others' somebody's time may be, in seconds: for so long a newcomer is served alone at most.
SAVED = 0.05
#: Of so many it is remembered how much time they had.
MOST_PAYERS = 1000


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


@dataclass
class _Clock:
    """Seconds of the thread that somebody has had, or would have had who came late."""

    spent: float = 0.0


@dataclass(eq=False)
class _Seat:
    turn: Turn
    clock: _Clock
    due: float = 0.0


class Scheduler(threading.Thread):
    """The one thread that trains; `gate` holds it back until the kernels are compiled.

    Runs take turns by time. Next is a run of whoever has had the least of the thread, and of theirs the one that has
    had the least: so nobody has less because somebody else trains many runs, or large ones. Who comes late starts
    level with the others.
    """

    def __init__(self, gate: threading.Event) -> None:
        super().__init__(name="compute", daemon=True)
        self._gate = gate
        self._seats: list[_Seat] = []
        self._payers: dict[Hashable, _Clock] = {}
        self._changed = threading.Condition()
        self._woken = False
        self._stopping = False

    def add(self, turn: Turn) -> None:
        with self._changed:
            self._seats.append(_Seat(turn, _Clock()))
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
        payers = {seat.turn.payer for seat in ready}
        self._level([self._payers.setdefault(payer, _Clock()) for payer in payers])
        for payer in payers:
            self._level([seat.clock for seat in ready if seat.turn.payer == payer])
        seat = min(ready, key=lambda each: (self._payers[each.turn.payer].spent, each.clock.spent))
        began = time.monotonic()
        seat.due = seat.turn.take_turn(1 / len(ready))
        took = time.monotonic() - began
        seat.clock.spent += took
        self._payers[seat.turn.payer].spent += took
        if len(self._payers) > MOST_PAYERS:
            self._payers = {payer: self._payers[payer] for payer in payers}

    @staticmethod
    def _level(clocks: list[_Clock]) -> None:
        """Nobody among those who want the thread has saved up more than SAVED seconds."""
        most = max(clock.spent for clock in clocks)
        for clock in clocks:
            clock.spent = max(clock.spent, most - SAVED)


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
