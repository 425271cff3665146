"""A cold cache is compiled beside the running server, counted honestly, and who needs kernels waits or is told."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from app import kernels
from app.kernels import Progress, Warming
from app.problems import Problem
from tests.tools import ROOT


def test_nothing_is_compiled_where_everything_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "is_warm", lambda: True)
    made = Warming()
    asyncio.run(made.run())
    assert made.ready and made.gate.is_set() and made.progress is None


def compiler(monkeypatch: pytest.MonkeyPatch, source: str) -> Warming:
    """A warming whose process runs this source in place of the compiler."""
    start = asyncio.create_subprocess_exec

    async def other(*_: str, **pipes: object) -> asyncio.subprocess.Process:
        return await start(sys.executable, "-c", source, **pipes)  # type: ignore[arg-type]

    monkeypatch.setattr(kernels, "is_warm", lambda: False)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", other)
    return Warming()


def test_the_compilers_lines_are_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    made = compiler(monkeypatch, "import time; print('1/2 conv2d float32', flush=True); time.sleep(0.5)")

    async def run() -> Progress | None:
        task = asyncio.create_task(made.run())
        while not (made.progress and made.progress.done):
            await asyncio.sleep(0.01)
        seen, ready = made.progress, made.ready
        await task
        assert not ready
        return seen

    seen = asyncio.run(run())
    assert seen and (seen.done, seen.total, seen.name, seen.stepped) == (1, 2, "conv2d float32", False)
    assert 0 < seen.seconds < 60
    assert made.ready and made.progress is None


@pytest.mark.parametrize(
    ("done", "seconds", "stepped", "left"),
    [
        (0, 0, False, None),
        (3, 6, False, None),
        (11, 10, False, 38),  # 22 kernels in 20 s, and the fast step takes 2.4 times as long
        (22, 20, False, 28),
        (12, 10, True, 10),  # the fast step is ready: 11 of 22 others are, too
        (22, 100, True, 5),  # never nothing while something is missing
    ],
)
def test_the_time_left_is_that_of_the_longer_of_two_processes(
    done: int, seconds: float, stepped: bool, left: int | None
) -> None:
    assert kernels.STEP_SHARE == 2.4
    assert Progress(done, 23, "", seconds, stepped).seconds_left == left


def test_a_compiler_that_fails_does_not_close_the_gate_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    made = compiler(monkeypatch, "raise SystemExit('no space left')")
    asyncio.run(made.run())
    assert made.ready and made.gate.is_set()


def test_the_compiler_ends_with_whoever_started_it() -> None:
    """Also when that is killed: its end of the pipe closes."""
    source = "import engine.warm, threading; threading.Thread(target=engine.warm.leash).start()"
    with subprocess.Popen([sys.executable, "-c", source], cwd=ROOT, stdin=subprocess.PIPE) as process:
        assert process.stdin
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.stdin.close()
        assert process.wait(30) == 1


def test_who_waits_too_long_is_told_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernels.PATIENCE == 20  # a proxy gives up after 30 or 60
    monkeypatch.setattr(kernels, "PATIENCE", 0.01)

    async def run() -> None:
        made = Warming()
        made.progress = Progress(5, 23, "max_pool2d float32", seconds=10)
        await made.wait()

    with pytest.raises(Problem) as caught:
        asyncio.run(run())
    problem = caught.value.document()
    assert (problem["status"], problem["type"]) == (503, "urn:convscope:problem:compiling")
    assert problem["compiling"] == {"done": 5, "total": 23, "name": "max_pool2d float32", "seconds_left": 96}
    assert "5 of 23" in problem["detail"] and int(caught.value.headers["Retry-After"]) > 0
