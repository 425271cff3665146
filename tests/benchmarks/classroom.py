"""A simulated class: what it loses, how late it hears, how soon it is back.

    python3 -m tests.benchmarks.classroom [--students 40] [--seconds 600] [--kills 2] [--runs 0]

Sockets drop at random about every 10 s, a tenth of the phones then sleep for 30 s, one answer in twenty is sent twice,
and the server is killed in the middle of a question. Fails where an answer is lost, counted twice or in another room,
or where two screens differ in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

from tests.app.classroom.simulated_class import Behaviour, Lecturer, Student, call, check, finish
from tests.server import Server, free_port, serve


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def memory(server: Server) -> float:
    """Resident megabytes."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


async def lesson(lecturer: Lecturer, seconds: float, every: float) -> None:
    """A question every so often, revealed before the next, while the view moves."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        asked = await lecturer.ask()
        await lecturer.lead(every)
        await lecturer.say({"reveal": asked})


async def whole(arguments: argparse.Namespace, folder: Path) -> dict[str, float]:
    port = free_port()
    running = serve(folder, port=port)
    server = await asyncio.to_thread(running.__enter__)
    for _ in range(arguments.runs):
        call(f"{server.url}/api/runs", "POST", {"model": "classroom", "steps": 1_000_000})
    lecturer, other = Lecturer(server.url), Lecturer(server.url)
    behaviour = Behaviour(drop_every=10.0, sleeping=0.1, sleep=min(30.0, arguments.seconds / 6))
    students = [Student(server.url, lecturer.code, seed, behaviour) for seed in range(arguments.students)]
    strangers = [Student(server.url, other.code, 10_000 + seed, behaviour) for seed in range(3)]
    tasks = [asyncio.create_task(each.run()) for each in [*students, *strangers]]
    for each in (lecturer, other):
        await each.say({"export": True})
    lessons = [
        asyncio.create_task(lesson(lecturer, arguments.seconds, 15.0)),
        asyncio.create_task(lesson(other, arguments.seconds, 20.0)),
    ]
    downtimes = []
    largest = 0.0
    for _ in range(arguments.kills):
        await asyncio.sleep(arguments.seconds / (arguments.kills + 1))
        largest = max(largest, memory(server))
        server.process.kill()
        server.process.wait()
        killed = time.monotonic()
        running = serve(folder, port=port)
        server = await asyncio.to_thread(running.__enter__)
        downtimes.append(time.monotonic() - killed)
    await asyncio.gather(*lessons)
    largest = max(largest, memory(server))
    for each, its in ((lecturer, students), (other, strangers)):
        await each.settle(its, 90)
        await asyncio.to_thread(check, each, its)
    await finish(tasks, [*students, *strangers])
    await asyncio.to_thread(running.__exit__, None, None, None)
    returns = [wait for student in students for wait in student.returns]
    lags = [lag for student in students for lag in student.lags]
    return {
        "answers": sum(len(student.counted) for student in students),
        "late": sum(student.late for student in students),
        "drops": len(returns),
        "back p50 s": percentile(returns, 0.5),
        "back p99 s": percentile(returns, 0.99),
        "view p50 ms": 1000 * percentile(lags, 0.5),
        "view p95 ms": 1000 * percentile(lags, 0.95),
        "server restarts s": max(downtimes, default=0.0),
        "memory MB": largest,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--runs", type=int, default=0, help="runs that train meanwhile")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(whole(arguments, Path(folder)))
    print(json.dumps({name: round(value, 2) for name, value in found.items()}, indent=2))


if __name__ == "__main__":
    main()
