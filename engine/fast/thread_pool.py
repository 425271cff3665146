"""The engine's own threads: the one that asks works too, and the others beside it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import ceil
from pathlib import Path

Task = Callable[[int], None]


def cores(groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Cores that this process may use: those that it is bound to, or fewer where a control group (`docker run --cpus`)
    gives it the time of fewer, rounded up."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([bound, *(ceil(share) for share in _quotas(groups))]))


def _quotas(groups: Path) -> Iterator[float]:
    """The cores' worth of time that the control groups around this process leave it, of either version."""
    inner = [Path()]
    with suppress(OSError):
        lines = Path("/proc/self/cgroup").read_text("utf-8").splitlines()
        inner += [Path(line.split(":", 2)[2].lstrip("/")) for line in lines]
    for folder in {each for path in inner for each in (path, *path.parents)}:
        with suppress(OSError, ValueError):
            quota, period = (groups / folder / "cpu.max").read_text("utf-8").split()
            yield int(quota) / int(period)  # "max" is no limit
        with suppress(OSError, ValueError):
            first = groups / "cpu" / folder
            quota, period = (first.joinpath(f"cpu.cfs_{name}_us").read_text("utf-8") for name in ("quota", "period"))
            if int(quota) > 0:  # -1 is no limit
                yield int(quota) / int(period)


class ThreadPool:
    """`size` workers, numbered from 0, which is whoever calls. The threads start with the first task, and so with the
    priority of the thread that gave it."""

    def __init__(self, size: int):
        self.size = size
        self._busy = threading.Lock()
        self._helpers: list[_Helper] = []

    def run(self, task: Task, parts: int) -> None:
        """Call task(worker) for as many workers as there are parts, and wait for all. Who calls while the others
        are busy works alone: no number may depend on who does the work."""
        wanted = min(self.size, parts) - 1
        if wanted < 1 or not self._busy.acquire(blocking=False):
            task(0)
            return
        try:
            while len(self._helpers) < wanted:
                self._helpers.append(_Helper(len(self._helpers) + 1))
            helpers = self._helpers[:wanted]
            for helper in helpers:
                helper.begin(task)
            try:
                task(0)
            finally:
                errors = [helper.finish() for helper in helpers]
        finally:
            self._busy.release()
        for error in errors:
            if error is not None:
                raise error


class _Helper:
    def __init__(self, number: int):
        self._number = number
        self._task: Task | None = None
        self._error: BaseException | None = None
        self._go, self._done = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._done.acquire()
        threading.Thread(target=self._work, name=f"fast-{number}", daemon=True).start()

    def begin(self, task: Task) -> None:
        self._task, self._error = task, None
        self._go.release()

    def finish(self) -> BaseException | None:
        self._done.acquire()
        return self._error

    def _work(self) -> None:
        while True:
            self._go.acquire()
            assert self._task is not None
            try:
                self._task(self._number)
            except BaseException as error:
                self._error = error
            self._task = None
            self._done.release()


_pool = ThreadPool(cores())


def thread_pool() -> ThreadPool:
    return _pool


def use_threads(count: int) -> None:
    """How many threads a step is shared among from now on."""
    global _pool
    _pool = ThreadPool(count)
