"""Who computes what: runs take turns by step, light questions first, and too many at once are refused."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.limits import Limits
from app.problems import Problem
from app.runs.scheduler import LIGHT, NEVER, Pool, Scheduler


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


class Worker:
    """Works for so many seconds a turn, for ever."""

    def __init__(self, payer: str, seconds: float) -> None:
        self.payer, self.seconds, self.had = payer, seconds, 0.0

    def take_turn(self, share: float) -> float:
        time.sleep(self.seconds)
        self.had += self.seconds
        return 0.0


def test_time_is_shared_by_owner_and_not_by_step() -> None:
    """One pupil with a small network beside a classmate with five large ones has half of the thread."""
    gate = threading.Event()
    gate.set()
    small, large = Worker("a", 0.001), [Worker("b", 0.01) for _ in range(5)]
    compute = Scheduler(gate)
    for each in (*large, small):
        compute.add(each)
    compute.start()
    time.sleep(1.5)
    compute.stop()
    compute.join(5)
    others = sum(each.had for each in large)
    assert small.had == pytest.approx(others, rel=0.3)
    assert max(each.had for each in large) <= 2 * min(each.had for each in large)


def test_runs_take_turns() -> None:
    gate, ended, book = threading.Event(), threading.Semaphore(0), []  # type: ignore[var-annotated]
    compute = Scheduler(gate)
    for name in ("a", "b"):
        compute.add(Taker(name, 3, book, ended.release))
    compute.start()
    time.sleep(0.02)
    assert book == []  # the gate is closed until the kernels are compiled
    gate.set()
    assert all(ended.acquire(timeout=5) for _ in range(2))
    assert sorted(book) == ["a"] * 3 + ["b"] * 3
    compute.stop()
    compute.join(5)
    assert not compute.is_alive()


def test_the_thread_sleeps_until_a_turn_is_due_and_is_woken_by_a_new_run() -> None:
    gate, ended, calls = threading.Event(), threading.Event(), []  # type: ignore[var-annotated]
    gate.set()

    class Later:
        payer = "later"

        def take_turn(self, share: float) -> float:
            calls.append(time.monotonic())
            return calls[0] + 0.1

    compute = Scheduler(gate)
    compute.add(Later())
    compute.start()
    time.sleep(0.05)
    assert len(calls) <= 3  # woken by its own arrival, then asleep
    compute.add(Taker("a", 1, [], ended.set))
    assert ended.wait(1)
    compute.stop()
    compute.join(5)


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
