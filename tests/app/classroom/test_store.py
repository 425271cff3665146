"""What every storage of rooms must hold, whichever it is."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from app.classroom import rooms as rooms_module
from app.classroom.room import Viewer
from app.classroom.sqlite import SqliteStore
from app.classroom.store import EventStore, RoomGone, StorageFailed, Stored
from app.limits import Limits
from tests.server import free_port

Test = Callable[[EventStore, list[tuple[str, int]]], Awaitable[None]]
Run = Callable[[Test], None]


@contextmanager
def redis_server(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A Redis server of the test's own, with its address; skips where there is none."""
    binary = os.environ.get("REDIS_SERVER") or shutil.which("redis-server")
    if binary is None or importlib.util.find_spec("redis") is None:
        pytest.skip("there is no redis-server here, or no redis-py: rooms on Redis are not tested")
    port = free_port()
    with redis_at(binary, folder, port) as process:
        yield process, f"redis://127.0.0.1:{port}/0"


@contextmanager
def redis_at(binary: str, folder: Path, port: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(500):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.02)
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


class Heard:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []
        self.values: list[Any] = []
        self.notices: list[tuple[str, Any]] = []
        self.rewinds: list[tuple[str, bool]] = []
        self.away: list[bool] = []

    def stored(self, room: str, stored: Stored) -> None:
        self.events.append((room, stored.n))
        self.values.append(stored.event.get("k"))

    def notified(self, room: str, notice: Any) -> None:
        self.notices.append((room, notice))

    def rewound(self, room: str, there: bool) -> None:
        self.rewinds.append((room, there))

    def reached(self, reason: str) -> None:
        self.away.append(bool(reason))


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
            heard = Heard()
            await store.start(heard)
            try:
                await test(store, heard.events)
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
        await first.start(Heard())
        assert await first.rooms() == {} and not file.exists()
        await first.create("AAAA")
        await first.append("AAAA", {"k": 1.5, "name": "Åsa"}, "1")
        await first.stop()
        second = SqliteStore(file)
        await second.start(Heard())
        assert await second.read("AAAA") == [Stored(1, {"k": 1.5, "name": "Åsa"}, size=27)]
        await second.stop()
        with pytest.raises(StorageFailed):
            await second.append("AAAA", {}, "2")

    asyncio.run(test())


def test_nothing_of_a_forgotten_room_is_left_on_the_disk(tmp_path: Path) -> None:
    async def test() -> None:
        store = SqliteStore(tmp_path / "rooms.sqlite3")
        await store.start(Heard())
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
        await store.start(Heard())
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


@pytest.fixture
def on_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A Redis server, and storages that lose patience soon."""
    with redis_server(tmp_path) as served:
        from app.classroom import redis_streams

        for name, seconds in (("PATIENCE", 0.3), ("LOOK", 0.1), ("RETRY", 0.05)):
            monkeypatch.setattr(redis_streams, name, seconds)
        yield served


async def until(holds: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.02)


async def started(url: str, *listeners: Any) -> list[Any]:
    from app.classroom.redis_streams import RedisStore

    stores = [RedisStore(url) for _ in listeners]
    for store, listener in zip(stores, listeners, strict=True):
        await store.start(listener)
    return stores


async def appended(store: EventStore, value: int) -> int:
    """Try until it is stored, as a phone does."""
    while True:
        try:
            return await store.append("AAAA", {"k": value}, f"{value}")
        except StorageFailed:
            await asyncio.sleep(0.05)


def test_two_servers_share_a_room_and_hear_one_another_in_the_same_order(on_redis: Any) -> None:
    async def test() -> None:
        heard = [Heard(), Heard()]
        stores = await started(on_redis[1], *heard)
        await stores[0].create("AAAA")
        await asyncio.gather(*[stores[k % 2].append("AAAA", {"k": k}, f"{k}") for k in range(100)])
        await until(lambda: [len(each.events) for each in heard] == [100, 100])
        assert heard[0].values == heard[1].values
        assert heard[0].events == [("AAAA", n) for n in range(1, 101)]
        await stores[0].notify("AAAA", {"own": True})
        await until(lambda: heard[1].notices == [("AAAA", {"own": True})])
        await stores[0].forget("AAAA")
        await until(lambda: heard[1].rewinds == [("AAAA", False)] and ("AAAA", {"ended": True}) in heard[1].notices)
        for store in stores:
            await store.stop()

    asyncio.run(test())


def test_while_redis_is_frozen_appends_fail_and_are_stored_once_afterwards(on_redis: Any) -> None:
    async def test(process: subprocess.Popen[bytes], url: str) -> None:
        heard = Heard()
        [store] = await started(url, heard)
        await store.create("AAAA")
        await store.append("AAAA", {"k": 1}, "1")
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(StorageFailed):
            await store.append("AAAA", {"k": 2}, "2")
        await until(lambda: heard.away == [True])
        process.send_signal(signal.SIGCONT)
        # it may have been on its way: its key makes the repetition harmless
        assert await appended(store, 2) == 2
        await until(lambda: heard.away == [True, False])
        assert [stored.event["k"] for stored in await store.read("AAAA")] == [1, 2] == heard.values
        await store.stop()

    asyncio.run(test(*on_redis))


def test_a_redis_that_is_full_is_not_called_away(on_redis: Any) -> None:
    async def test(url: str) -> None:
        [store] = await started(url, Heard())
        await store.create("AAAA")
        await store._client.config_set("maxmemory", 1)
        with pytest.raises(StorageFailed, match="maxmemory"):
            await store.append("AAAA", {"k": 1}, "1")
        await store._client.config_set("maxmemory", 0)
        assert await store.append("AAAA", {"k": 1}, "1") == 1
        await store.stop()

    asyncio.run(test(on_redis[1]))


def test_a_room_that_redis_has_lost_is_told_of_and_takes_nothing(on_redis: Any) -> None:
    async def test(url: str) -> None:
        heard = [Heard(), Heard()]
        stores = await started(url, *heard)
        await stores[0].create("AAAA")
        await stores[0].append("AAAA", {"k": 1}, "1")
        await until(lambda: heard[1].events)
        await stores[0]._client.flushall()
        with pytest.raises(RoomGone):
            await stores[0].append("AAAA", {"k": 2}, "2")
        await until(lambda: [each.rewinds for each in heard] == [[("AAAA", False)]] * 2)
        assert await stores[1].rooms() == {} == await stores[1]._client.hgetall("convscope:AAAA:slots")
        for store in stores:
            await store.stop()

    asyncio.run(test(on_redis[1]))


def test_a_log_that_lost_its_end_is_heard_anew_and_no_number_is_used_twice(on_redis: Any) -> None:
    """As after a kill of a Redis server that does not write every event to its disk at once."""

    async def test(url: str) -> None:
        heard = Heard()
        [store] = await started(url, heard)
        await store.create("AAAA")
        for k in range(1, 4):
            await store.append("AAAA", {"k": k}, f"{k}")
        lost = "redis.call('XDEL', KEYS[1], '3-0', '2-0') redis.call('XSETID', KEYS[1], '1-0') "
        lost += "redis.call('HDEL', KEYS[2], '3', '2')"
        await store._client.eval(
            f"{lost} redis.call('HSET', KEYS[3], 'last', 1)",
            3,
            *[f"convscope:AAAA:{k}" for k in ("log", "keys", "slots")],
        )
        assert await store.append("AAAA", {"k": 3}, "3") == 2
        assert heard.rewinds == [("AAAA", True)] and heard.values == [1, 2, 3, 1, 3]
        await store.stop()

    asyncio.run(test(on_redis[1]))


def test_a_killed_redis_with_a_file_goes_on_where_it_was(tmp_path: Path, on_redis: Any) -> None:
    async def test(url: str) -> None:
        binary = os.environ.get("REDIS_SERVER") or shutil.which("redis-server")
        assert binary
        port = free_port()
        heard = Heard()
        with redis_at(binary, tmp_path, port, "--appendonly", "yes", "--appendfsync", "always") as first:
            [store] = await started(f"redis://127.0.0.1:{port}/0", heard)
            await store.create("AAAA")
            await store.append("AAAA", {"k": 1}, "1")
            first.kill()
            first.wait()
            await until(lambda: heard.away == [True])
        waiting = asyncio.create_task(appended(store, 2))
        with redis_at(binary, tmp_path, port, "--appendonly", "yes", "--appendfsync", "always"):
            assert await waiting == 2
            assert heard.rewinds == [] and heard.values == [1, 2]
            await store.stop()

    asyncio.run(test(on_redis[1]))


def test_who_is_connected_to_one_server_is_seen_on_the_other(on_redis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms_module, "NOTICE_EVERY", 0.2)
    monkeypatch.setattr(rooms_module, "NOTICE_LASTS", 0.7)
    monkeypatch.setattr(rooms_module, "BETWEEN", 0.1)

    async def test(url: str) -> None:
        from app.classroom.redis_streams import RedisStore

        servers = [rooms_module.Rooms(RedisStore(url), Limits()) for _ in range(2)]
        for server in servers:
            await server.start()
        one, lecturer, _ = await servers[0].open()
        code = one.room.code
        await until(lambda: code in servers[1]._live)
        two = await servers[1].find(code)
        for token in ("a", "b"):
            await servers[1].join(two, token * 22, "")
        await until(lambda: len(one.room.students) == 2)
        ada, bo = Viewer("student", 1), Viewer("student", 2)
        with servers[0].connected(one, Viewer("lecturer"), 0), servers[1].connected(two, ada, 0):
            await until(lambda: one.states() == {1: "following", 2: "lost"} == two.states() and two.lecturer_here())
            await servers[0].act(one, ada, "own", True)  # by a request that reached the other server
            await until(lambda: one.states()[1] == two.states()[1] == "own")
            with servers[0].connected(one, bo, 0):
                await servers[0].act(one, Viewer("lecturer"), "bring", True)
                everybody = {1: "following", 2: "following"}
                await until(lambda: one.states() == two.states() == everybody)
            await until(lambda: two.states()[2] == "lost")
            servers[1]._notifying.cancel()  # type: ignore[union-attr]  # as if it had been killed
            await until(lambda: one.states()[1] == "lost")
            on_redis[0].send_signal(signal.SIGSTOP)
            await until(lambda: one.trouble and two.summary(ada)["stored"] is False)
            on_redis[0].send_signal(signal.SIGCONT)
            await until(lambda: not one.trouble and two.summary(ada)["stored"] is True)
        assert lecturer
        await servers[0].act(one, Viewer("lecturer"), "end", True)
        await until(lambda: two.room.ended and code not in servers[1]._live)
        for server in servers:
            await server.stop()

    asyncio.run(test(on_redis[1]))
