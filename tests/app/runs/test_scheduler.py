"""Who computes what: runs take turns by time, light questions first, and too many at once are refused."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.datasets import Datasets
from app.limits import Limits
from app.problems import Problem
from app.runs import scheduler
from app.runs.run import Run
from app.runs.run_config import RunFields, config_of
from app.runs.scheduler import LIGHT, NEVER, Budget, Pool, Scheduler, Shares


class Taker:
    """Takes `steps` turns and writes its name at each."""

    def __init__(self, name: str, steps: int, book: list[str], done: Callable[[], None]) -> None:
        self.name, self.left, self.book, self.done = name, steps, book, done

    @property
    def payer(self) -> str:
        return self.name

    def take_turn(self, share: float) -> float:
        if not self.left:
            return NEVER
        self.book.append(self.name)
        self.left -= 1
        if not self.left:
            self.done()
        return 0.0 if self.left else NEVER


@pytest.mark.parametrize("seconds", [0.01, 0.2, 5.0])
def test_time_is_shared_by_owner_however_long_a_step_is(seconds: float) -> None:
    """One pupil with a small network beside a classmate with five large ones has half of the thread."""
    shares, had = Shares(), {"a": 0.0, "b": 0.0}
    takes = {"a": 0.001, "b": seconds}
    while sum(had.values()) < 20 * seconds:
        who = shares.next(["b", "a"])
        shares.took(who, takes[str(who)])
        had[str(who)] += takes[str(who)]
    assert abs(had["a"] - had["b"]) <= max(takes.values())


def test_nobody_saves_up_time_while_they_want_none() -> None:
    shares = Shares()
    for _ in range(100):
        shares.took(shares.next(["a"]), 1.0)
    turns = []
    for _ in range(10):
        turns.append(shares.next(["a", "b"]))
        shares.took(turns[-1], 1.0)
    assert turns.count("b") in (5, 6)  # it comes level with the turn under way, a step before where `a` is


def test_a_paced_run_keeps_its_pace_beside_long_steps(tmp_path: Path, warmed: Path) -> None:
    """It catches up on what it missed while another's step went on, and on nothing from while it rested."""
    config = config_of(RunFields(model="tiny", steps=10_000), Datasets(tmp_path), Limits())
    run = Run("a", config, Limits(), lambda: None)
    now = 1000.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now)
        run.change({"state": "running", "pace": 100})
        while run.take_turn() <= now:  # the first step, and what is measured after it
            pass
        before = run.trainer.step
        for _ in range(10):
            now += 0.2  # somebody else's step
            while run.take_turn() <= now:
                pass
        assert run.trainer.step - before == pytest.approx(200, abs=10)
        run.pause()
        now += 60
        run.start()
        before = run.trainer.step
        while run.take_turn() <= now:
            pass
        assert run.trainer.step - before <= 2


def test_bytes_under_way_are_bounded_and_the_next_one_waits() -> None:
    async def test() -> None:
        budget, order = Budget("request_bytes", 10), []

        async def hold(name: str, size: int, until: asyncio.Event) -> None:
            async with budget.of(size):
                order.append(name)
                await until.wait()

        first, rest = asyncio.Event(), asyncio.Event()
        rest.set()
        tasks = [asyncio.create_task(hold("a", 7, first))]
        await asyncio.sleep(0)
        gone = asyncio.create_task(hold("gone", 9, rest))
        tasks += [asyncio.create_task(hold(name, size, rest)) for name, size in (("b", 10), ("c", 2))]
        await asyncio.sleep(0.01)
        assert order == ["a"]  # c would fit, and comes after b all the same
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        first.set()
        await asyncio.gather(*tasks)
        assert order == ["a", "b", "c"]
        with pytest.raises(Problem) as caught:
            async with budget.of(11):
                pass
        assert caught.value.status == 413 and caught.value.extra["limit"]["name"] == "request_bytes"
        async with budget.of(10):  # nothing was lost
            pass

    asyncio.run(test())


def test_who_finds_no_room_in_time_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "PATIENCE", 0.01)

    async def test() -> None:
        budget = Budget("request_bytes", 10)
        async with budget.of(6):
            with pytest.raises(Problem) as caught:
                async with budget.of(5):
                    pass
            assert caught.value.status == 429 and "Retry-After" in caught.value.headers
        async with budget.of(10):
            pass

    asyncio.run(test())


def test_runs_take_turns() -> None:
    gate, ended, book = threading.Event(), threading.Semaphore(0), []  # type: ignore[var-annotated]
    thread = Scheduler(gate)
    for name in ("a", "b"):
        thread.add(Taker(name, 3, book, ended.release))
    thread.start()
    time.sleep(0.02)
    assert book == []  # the gate is closed until the kernels are compiled
    gate.set()
    assert all(ended.acquire(timeout=5) for _ in range(2))
    assert sorted(book) == ["a"] * 3 + ["b"] * 3
    thread.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_the_thread_sleeps_until_a_turn_is_due_and_is_woken_by_a_new_run() -> None:
    gate, ended, calls = threading.Event(), threading.Event(), []  # type: ignore[var-annotated]
    gate.set()

    class Later:
        payer = "later"

        def take_turn(self, share: float) -> float:
            calls.append(time.monotonic())
            return calls[0] + 0.1

    thread = Scheduler(gate)
    thread.add(Later())
    thread.start()
    time.sleep(0.05)
    assert len(calls) <= 3  # woken by its own arrival, then asleep
    thread.add(Taker("a", 1, [], ended.set))
    assert ended.wait(1)
    thread.stop()
    thread.join(5)


def in_pool(test: Callable[[Pool], Any], limits: Limits | None = None) -> None:
    async def run() -> None:
        pool = Pool(limits or Limits())
        pool.start()
        try:
            await test(pool)
        finally:
            pool.stop()
            assert pool.join(5)

    asyncio.run(run())


def test_a_cheap_question_never_waits_for_a_dear_one() -> None:
    async def test(pool: Pool) -> None:
        hold = threading.Event()
        heavy = [asyncio.create_task(pool.run("a", hold.wait, 5, cost=10 * LIGHT)) for _ in range(3)]
        await asyncio.sleep(0.01)
        assert await asyncio.wait_for(pool.run("a", lambda: 7), 1) == 7
        hold.set()
        assert await asyncio.gather(*heavy) == [True] * 3

    in_pool(test)


def test_too_many_at_once_are_refused_with_the_limits_name_and_a_time_to_come_again() -> None:
    async def test(pool: Pool) -> None:
        hold = threading.Event()
        waiting = [asyncio.create_task(pool.run("a", hold.wait, 5)) for _ in range(2)]
        await asyncio.sleep(0.01)
        with pytest.raises(Problem) as caught:
            await pool.run("a", lambda: 0)
        assert (caught.value.status, caught.value.extra["limit"]["name"]) == (429, "queue_per_client")
        assert int(caught.value.headers["Retry-After"]) >= 1
        waiting.append(asyncio.create_task(pool.run("b", hold.wait, 5)))
        await asyncio.sleep(0.01)
        with pytest.raises(Problem) as caught:
            await pool.run("c", lambda: 0)
        assert caught.value.extra["limit"]["name"] == "queue"
        hold.set()
        await asyncio.gather(*waiting)
        assert await pool.run("a", lambda: 0) == 0

    in_pool(test, Limits(queue=3, queue_per_client=2))


def test_who_waits_for_each_answer_is_never_refused() -> None:
    async def test(pool: Pool) -> None:
        assert [await pool.run("a", lambda k=k: k) for k in range(50)] == list(range(50))

    in_pool(test, Limits(queue=1, queue_per_client=1))


def test_an_error_reaches_the_one_who_asked_and_the_pool_goes_on() -> None:
    async def test(pool: Pool) -> None:
        with pytest.raises(ZeroDivisionError):
            await pool.run("a", lambda: 1 / 0)
        assert await pool.run("a", lambda: 1) == 1

    in_pool(test)


def test_what_waits_when_the_server_ends_is_answered_with_503() -> None:
    async def test(pool: Pool) -> None:
        hold = threading.Event()
        under_way = [asyncio.create_task(pool.run("a", hold.wait, 5)) for _ in range(2)]
        await asyncio.sleep(0.01)
        waiting = asyncio.create_task(pool.run("a", lambda: 0))
        await asyncio.sleep(0.01)
        pool.stop()
        with pytest.raises(Problem) as caught:
            await waiting
        assert caught.value.status == 503
        hold.set()
        await asyncio.gather(*under_way)

    in_pool(test)


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Of everything that the pool is asked while the test goes on."""
    noted: list[float] = []
    run = Pool.run

    async def noting(self: Pool, client: str, function: Any, *arguments: Any, cost: float = 0) -> Any:
        noted.append(cost)
        return await run(self, client, function, *arguments, cost=cost)

    monkeypatch.setattr(Pool, "run", noting)
    return noted


@pytest.mark.parametrize(
    ("body", "heavy"),
    [
        ({"tensors": {"x": [[1, 2], [3, 4]]}}, False),
        ({"tensors": {"x": [[0.5] * 1000] * 500}}, True),  # large to read
        ({"tensors": {"x": [[1]] * 50_000}}, True),  # many lists to read
        ({"tensors": {"x": [0] * 60_000}}, True),  # large to write
    ],
)
def test_a_thread_is_kept_free_of_what_is_large_to_read_or_to_write(
    client: TestClient, costs: list[float], body: dict[str, Any], heavy: bool
) -> None:
    assert client.post("/api/ops/relu/forward", json=body).status_code == 200
    assert (max(costs) > LIGHT) == heavy


@pytest.mark.parametrize(
    ("tensor", "accept", "heavy"),
    [
        ("loss/y", "application/json", False),
        ("conv1/y", "application/json", True),  # 32 x 8 x 26 x 26 numbers to write
        ("conv1/y", "application/x-npy", False),
    ],
)
def test_so_is_a_large_tensor_of_a_step_that_is_at_hand(
    client: TestClient, costs: list[float], tensor: str, accept: str, heavy: bool
) -> None:
    path = "/api/runs/welcome/steps/1/tensors/"
    assert client.get(f"{path}loss/y").status_code == 200
    costs.clear()
    assert client.get(path + tensor, headers={"Accept": accept}).status_code == 200
    assert (max(costs) > LIGHT) == heavy


@pytest.mark.parametrize(("images", "layers", "heavy"), [(1, True, False), (100, True, True), (100, False, True)])
def test_so_are_predictions_of_many_images(
    client: TestClient, costs: list[float], images: int, layers: bool, heavy: bool
) -> None:
    body = {"dataset": "mnist", "indices": list(range(images)), "layers": layers}
    assert client.post("/api/runs/welcome/predict", json=body).status_code == 200
    assert (max(costs) > LIGHT) == heavy
