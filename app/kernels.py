"""Compiles a cold kernel cache in niced processes, while the pages already work, and counts honestly."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from app.limits import NICENESS
from app.problems import unavailable
from engine.kernels import is_warm
from engine.warm import STEP

logger = logging.getLogger("convscope")

PROGRESS = re.compile(r"(\d+)/(\d+)\s+(.*)")
#: Seconds that a call which needs kernels waits for them before it is told to come again: less than the 30 or 60 after
#: which proxies give up on a server.
PATIENCE = 20
#: How many times as long as all other kernels the fast step takes to compile, as measured.
STEP_SHARE = 2.4
#: Kernels after which an estimate of the time is worth saying, and the least one in seconds.
FEWEST, SHORTEST = 4, 5


@dataclass
class Progress:
    """Kernels that are ready, of how many, and the last one; `seconds` that they took, whether the fast step, which has
    a process of its own, is among them, and when this was told."""

    done: int = 0
    total: int = 0
    name: str = ""
    seconds: float = 0.0
    stepped: bool = False
    told: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> int | None:
        """An estimate: the kernels beside the fast step take equally long, the fast step `STEP_SHARE` times as long as
        all of them. None while there is too little to go by."""
        beside, ready = self.total - 1, self.done - self.stepped
        if ready < FEWEST or beside <= 0:
            return None
        whole = self.seconds * beside / ready
        if not self.stepped:
            whole *= max(1.0, STEP_SHARE)
        return max(SHORTEST, round(whole - self.seconds - (time.monotonic() - self.told)))

    def document(self) -> dict[str, Any]:
        return {"done": self.done, "total": self.total, "name": self.name, "seconds_left": self.seconds_left}


class Warming:
    """`gate` opens once every kernel is compiled."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self._open = asyncio.Event()
        self.progress: Progress | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._ending = False

    @property
    def ready(self) -> bool:
        return self._open.is_set()

    async def run(self, wanted: bool = True) -> None:
        """Compile what is not yet compiled; a failure is logged, and kernels then compile when they are first used."""
        try:
            if wanted and not await asyncio.to_thread(is_warm):
                await self._compile()
        except OSError:
            logger.exception("the kernels could not be compiled beforehand")
        finally:
            self.progress = None
            self._open.set()
            self.gate.set()

    async def _compile(self) -> None:
        self.progress, began = Progress(), time.monotonic()
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "engine.warm",
            "--leashed",
            stdin=subprocess.PIPE,  # it ends when this does, however this process ends
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        if hasattr(os, "setpriority"):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        assert process.stdout and process.stderr
        complaints = asyncio.create_task(process.stderr.read())
        try:
            async for line in process.stdout:
                if found := PROGRESS.match(line.decode(errors="replace").strip()):
                    done, total, name = found.groups()
                    stepped = self.progress.stepped or name == STEP
                    self.progress = Progress(int(done), int(total), name, time.monotonic() - began, stepped)
            if await process.wait() and not self._ending:
                logger.error("compiling the kernels failed:\n%s", (await complaints).decode(errors="replace"))
        finally:
            complaints.cancel()
            self.stop()

    def stop(self) -> None:
        self._ending = True
        if self._process and self._process.returncode is None:
            self._process.terminate()

    async def wait(self) -> None:
        """Return once kernels can be used; 503 with how far it has come when that takes long."""
        if self._open.is_set():
            return
        try:
            await asyncio.wait_for(self._open.wait(), PATIENCE)
        except TimeoutError:
            progress = self.progress or Progress()
            left = progress.seconds_left
            raise unavailable(
                f"the kernels are being compiled for this machine, as at every first start: {progress.done} of "
                f"{progress.total} are ready" + (f"; about {left} s are left" if left else ""),
                retry_after=2,
                kind="compiling",
                compiling=progress.document(),
            ) from None
