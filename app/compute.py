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
from typing import Any, Protocol, TypeVar

from app.limits import Limits
from app.problems import closing, too_many

logger = logging.getLogger("convscope")

Result = TypeVar("Result")
NICENESS = 10
#: Multiply-adds (or what costs as much) of a question that one thread of the pool is kept free for.
CHEAP = 20_000_000
NEVER = float("inf")


def be_nice(niceness: int = NICENESS) -> None:
    """Let the event loop go first: lower this thread's priority, and that of the threads it starts."""
    if hasattr(os, "setpriority"):
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
        except OSError:
            logger.debug("this system does not let a thread be niced")


class Turn(Protocol):
    """A run, as the compute thread sees it."""

    def take_turn(self) -> float:
        """Do at most one step's work. When to come again, on time.monotonic's clock: 0 at once, NEVER when woken."""


class Compute(threading.Thread):
    """The one thread that trains. Runs take turns by step; `gate` holds it back until the kernels are compiled."""

    def __init__(self, gate: threading.Event) -> None:
        super().__init__(name="compute", daemon=True)
        self._gate = gate
        self._turns: list[Turn] = []
        self._changed = threading.Condition()
        self._woken = False
        self._stopping = False

    def add(self, turn: Turn) -> None:
        with self._changed:
            self._turns.append(turn)
        self.wake()

    def remove(self, turn: Turn) -> None:
        with self._changed:
            if turn in self._turns:
                self._turns.remove(turn)

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
                turns = list(self._turns)
            due = NEVER
            for turn in turns:
                if self._stopping:
                    return
                due = min(due, turn.take_turn())
            with self._changed:
                wait = due - time.monotonic()
                if not self._woken and not self._stopping and wait > 0:
                    self._changed.wait(None if due == NEVER else wait)
                self._woken = False


class Pool:
    """Two threads for questions, cheap ones first; one of them takes nothing dear, so that a cheap question never
    waits for a dear one."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._jobs: list[tuple[float, int, Future[Any], Callable[[], Any]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._stopping = False
        self._clients: Counter[Hashable] = Counter()
        self._threads = [
            threading.Thread(target=self._work, args=(dearest,), name=f"answers-{number}", daemon=True)
            for number, dearest in enumerate((CHEAP, NEVER))
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

    def _work(self, dearest: float) -> None:
        if dearest > CHEAP:
            be_nice(NICENESS // 2)
        while True:
            with self._changed:
                while not self._stopping and not (self._jobs and self._jobs[0][0] <= dearest):
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
