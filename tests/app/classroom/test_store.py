"""What every storage of rooms must hold, whichever it is."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from app.classroom.sqlite import SqliteStore
from app.classroom.store import EventStore, RoomGone, StorageFailed, Stored
from tests.server import free_port

Test = Callable[[EventStore, list[tuple[str, int]]], Awaitable[None]]
Run = Callable[[Test], None]


@contextmanager
def redis_server(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A Redis server of the test's own, with its address; skips where there is none."""
    binary = shutil.which("redis-server")
    if binary is None or importlib.util.find_spec("redis") is None:
        pytest.skip("there is no redis-server here, or no redis-py: rooms on Redis are not tested")
    port = free_port()
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(500):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.02)
        yield process, f"redis://127.0.0.1:{port}/0"
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


@pytest.fixture(params=["sqlite", "redis"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Run]:
    """Runs a test on a new storage, whose listener writes down what it hears."""
    if request.param == "sqlite":
        yield performing(lambda: SqliteStore(tmp_path / "rooms.sqlite3"))
        return
    with redis_server(tmp_path) as (_, url):
        from app.classroom.redis_streams import RedisStore

        yield performing(lambda: RedisStore(url))


def performing(make: Callable[[], EventStore]) -> Run:
    def perform(test: Test) -> None:
        async def whole() -> None:
            store = make()
            heard: list[tuple[str, int]] = []
            await store.start(lambda room, stored: heard.append((room, stored.n)))
            try:
                await test(store, heard)
            finally:
                await store.stop()

        asyncio.run(whole())

    return perform


def test_events_are_numbered_densely_and_heard_before_they_are_answered(run: Run) -> None:
    async def test(store: EventStore, heard: list[tuple[str, int]]) -> None:
        assert await store.create("AAAA") and await store.create("BBBB")
        for n in range(1, 4):
            assert await store.append("AAAA", {"kind": "x", "k": n}, f"key {n}") == n
            assert heard[-1] == ("AAAA", n)
        assert await store.append("BBBB", {"kind": "x"}, "key 1") == 1
        assert [(s.n, s.event["k"]) for s in await store.read("AAAA", 1)] == [(2, 2), (3, 3)]
        assert set(await store.rooms()) == {"AAAA", "BBBB"}

    run(test)


def test_many_at_once_are_each_stored_once_and_heard_in_order(run: Run) -> None:
    async def test(store: EventStore, heard: list[tuple[str, int]]) -> None:
        await store.create("AAAA")
        twice = [*range(200), *range(200)]
        numbers = await asyncio.gather(*[store.append("AAAA", {"k": k}, f"key {k}") for k in twice])
        assert numbers[:200] == numbers[200:] and sorted(numbers[:200]) == list(range(1, 201))
        assert [n for _, n in heard] == list(range(1, 201))

    run(test)


def test_a_key_that_is_there_changes_nothing(run: Run) -> None:
    async def test(store: EventStore, heard: list[tuple[str, int]]) -> None:
        await store.create("AAAA")
        assert await store.append("AAAA", {"k": 1}, "same") == await store.append("AAAA", {"k": 2}, "same") == 1
        assert [s.event for s in await store.read("AAAA")] == [{"k": 1}] and heard == [("AAAA", 1)]

    run(test)


def test_of_a_slot_only_the_newest_is_kept_and_its_number_is_not_used_again(run: Run) -> None:
    async def test(store: EventStore, heard: list[tuple[str, int]]) -> None:
        await store.create("AAAA")
        for k in range(3):
            await store.append("AAAA", {"view": k}, f"{k}", slot="view")
        assert await store.append("AAAA", {"k": 9}, "other") == 4
        assert [(s.n, s.event) for s in await store.read("AAAA")] == [(3, {"view": 2}), (4, {"k": 9})]

    run(test)


def test_a_room_that_was_forgotten_takes_nothing_and_its_code_rests(run: Run) -> None:
    async def test(store: EventStore, heard: list[tuple[str, int]]) -> None:
        await store.create("AAAA")
        await store.append("AAAA", {"k": 1}, "1")
        await store.forget("AAAA")
        assert await store.read("AAAA") == [] and await store.rooms() == {}
        with pytest.raises(RoomGone):
            await store.append("AAAA", {"k": 1}, "late")
        assert not await store.create("AAAA")

    run(test)


def test_there_is_no_file_before_the_first_room_and_all_is_there_after_a_restart(tmp_path: Path) -> None:
    async def test() -> None:
        file = tmp_path / "rooms.sqlite3"
        first = SqliteStore(file)
        await first.start(lambda room, stored: None)
        assert await first.rooms() == {} and not file.exists()
        await first.create("AAAA")
        await first.append("AAAA", {"k": 1.5, "name": "Åsa"}, "1")
        await first.stop()
        second = SqliteStore(file)
        await second.start(lambda room, stored: None)
        assert await second.read("AAAA") == [Stored(1, {"k": 1.5, "name": "Åsa"}, size=27)]
        await second.stop()
        with pytest.raises(StorageFailed):
            await second.append("AAAA", {}, "2")

    asyncio.run(test())


def test_nothing_of_a_forgotten_room_is_left_on_the_disk(tmp_path: Path) -> None:
    async def test() -> None:
        store = SqliteStore(tmp_path / "rooms.sqlite3")
        await store.start(lambda room, stored: None)
        await store.create("AAAA")
        for k in range(300):
            await store.append("AAAA", {"nickname": f"Zebrafink{k}"}, f"{k}")
        assert any(b"Zebrafink" in file.read_bytes() for file in tmp_path.iterdir())
        await store.forget("AAAA")
        assert not [file for file in tmp_path.iterdir() if b"Zebrafink" in file.read_bytes()]
        await store.stop()

    asyncio.run(test())


def test_a_disk_that_takes_nothing_fails_the_append_and_the_same_may_be_tried_again(tmp_path: Path) -> None:
    async def test() -> None:
        file = tmp_path / "rooms.sqlite3"
        store = SqliteStore(file)
        await store.start(lambda room, stored: None)
        await store.create("AAAA")
        blocker = sqlite3.connect(file, isolation_level=None)
        size = blocker.execute("PRAGMA page_count").fetchone()[0]
        await store._do(lambda db: db.execute(f"PRAGMA max_page_count = {size}"), alone=True)
        with pytest.raises(StorageFailed, match="full"):
            await store.append("AAAA", {"k": "x" * 50_000}, "big")
        await store._do(lambda db: db.execute("PRAGMA max_page_count = 100000"), alone=True)
        assert await store.append("AAAA", {"k": "x" * 50_000}, "big") == 1
        blocker.close()
        await store.stop()

    asyncio.run(test())


def writing_into(told: list[tuple[int, int]]) -> Callable[[str, Stored], None]:
    return lambda room, stored: told.append((stored.n, stored.event["k"]))


def test_two_servers_share_a_room_and_hear_one_another_in_the_same_order(tmp_path: Path) -> None:
    async def test(url: str) -> None:
        from app.classroom.redis_streams import RedisStore

        stores, heard = [RedisStore(url), RedisStore(url)], [[], []]  # type: ignore[var-annotated]
        for store, told in zip(stores, heard, strict=True):
            await store.start(writing_into(told))
        await stores[0].create("AAAA")
        await asyncio.gather(*[stores[k % 2].append("AAAA", {"k": k}, f"{k}") for k in range(100)])
        for _ in range(100):
            if [len(told) for told in heard] == [100, 100]:
                break
            await asyncio.sleep(0.05)
        assert heard[0] == heard[1] and [n for n, _ in heard[0]] == list(range(1, 101))
        for store in stores:
            await store.stop()

    with redis_server(tmp_path) as (_, url):
        asyncio.run(test(url))


def test_while_redis_is_frozen_appends_fail_and_are_stored_once_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(process: subprocess.Popen[bytes], url: str) -> None:
        from app.classroom import redis_streams

        monkeypatch.setattr(redis_streams, "PATIENCE", 0.3)
        store, heard = redis_streams.RedisStore(url), []  # type: ignore[var-annotated]
        await store.start(lambda room, stored: heard.append(stored.n))
        await store.create("AAAA")
        await store.append("AAAA", {"k": 1}, "first")
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(StorageFailed):
            await store.append("AAAA", {"k": 2}, "second")
        process.send_signal(signal.SIGCONT)
        for _ in range(100):  # it may have been on its way: its key makes the repetition harmless
            try:
                assert await store.append("AAAA", {"k": 2}, "second") == 2
                break
            except StorageFailed:
                await asyncio.sleep(0.05)
        assert [stored.event["k"] for stored in await store.read("AAAA")] == [1, 2] and heard == [1, 2]
        await store.stop()

    with redis_server(tmp_path) as (process, url):
        asyncio.run(test(process, url))
