"""Forty students, sockets that drop at random, and a server that is killed in the middle of a question."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.app.classroom.simulated_class import Behaviour, Lecturer, Student, call, check, finish
from tests.server import free_port, serve

NICKNAME = "Zebrafink"


async def _class(url: str, lecturer: Lecturer, other: Lecturer, kill: asyncio.Event) -> tuple[list[Student], Student]:
    behaviour = Behaviour(drop_every=2.0, sleeping=0.1, sleep=1.0, twice=0.1)
    students = [Student(url, lecturer.code, seed, behaviour, NICKNAME if seed == 7 else "") for seed in range(40)]
    stranger = Student(url, other.code, 99, behaviour)
    tasks = [asyncio.create_task(each.run()) for each in [*students, stranger]]
    await lecturer.say({"export": True})
    await other.say({"export": True})
    await other.ask()
    for question in range(2):
        asked = await lecturer.ask()
        leading = asyncio.create_task(lecturer.lead(1.5))
        if question == 1:
            await asyncio.sleep(0.5)
            kill.set()
        await leading
        await lecturer.say({"reveal": asked})
    await other.say({"reveal": 1})
    await lecturer.settle(students, 30)
    await other.settle([stranger], 30)
    await asyncio.to_thread(check, lecturer, students)
    await asyncio.to_thread(check, other, [stranger])
    await finish(tasks, [*students, stranger])
    return students, stranger


def test_no_answer_is_lost_and_none_counted_twice(tmp_path: Path, warmed: Path) -> None:
    port = free_port()

    async def run() -> None:
        with serve(tmp_path, port=port) as first:
            lecturer, other = Lecturer(first.url), Lecturer(first.url)
            kill = asyncio.Event()
            led = asyncio.create_task(_class(first.url, lecturer, other, kill))
            waiting = asyncio.create_task(kill.wait())
            await asyncio.wait([led, waiting], return_when=asyncio.FIRST_COMPLETED)
            if led.done():
                led.result()
            first.process.kill()
            first.process.wait()
            again = serve(tmp_path, port=port)
            second = await asyncio.to_thread(again.__enter__)
            try:
                students, _ = await led
                assert sum(len(student.counted) for student in students) >= 60
                assert any(NICKNAME.encode() in file.read_bytes() for file in tmp_path.glob("rooms.sqlite3*"))
                await lecturer.say({"end": True})
                kept = [
                    file.name for file in tmp_path.rglob("*") if file.is_file() and NICKNAME.encode() in _read(file)
                ]
                assert not kept, f"the nickname is still in {kept}"
                assert call(f"{second.url}/healthz")[0] == {"status": "ok"}
            finally:
                again.__exit__(None, None, None)

    asyncio.run(run())


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
