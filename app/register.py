"""The register of all runs: who may change one, how many there may be, and when an old one goes."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from app.compute import Compute
from app.keeping import Keeper
from app.limits import Limits
from app.problems import Problem, conflict, missing, too_many, unavailable
from app.runs import WELCOME, Plan, Run, sealed
from app.shelf import Gone
from app.stream import Subscription

Build = Callable[[Run, Subscription], bytes]
DAY = 86_400.0


class Runs:
    """Every run by id, the welcome run and then the oldest first. 503 until those of earlier starts have been read."""

    def __init__(self, compute: Compute, limits: Limits, keeper: Keeper) -> None:
        self._compute, self._limits, self._keeper = compute, limits, keeper
        self._runs: dict[str, Run] = {}
        self._lock = threading.RLock()
        self._reading = True
        self._went = False

    def all_read(self) -> None:
        """The runs of earlier starts have been added."""
        self._reading = False

    def _check_read(self) -> None:
        if self._reading:
            raise unavailable("the runs of the last start are being read", retry_after=1)

    # looking --------------------------------------------------------------------------------------------------------

    def all(self) -> list[Run]:
        self._check_read()
        return self._all()

    def _all(self) -> list[Run]:
        with self._lock:
            return sorted(self._runs.values(), key=lambda run: (run.id != WELCOME, run.created))

    def find(self, id: str) -> Run | None:
        with self._lock:
            return self._runs.get(id)

    def get(self, id: str) -> Run:
        """Raises Problem 404, of kind `gone` where it is known what became of it, 503 while it may still be read."""
        run = self.find(id)
        if run is not None:
            return run
        self._check_read()
        if gone := self._keeper.shelf.why_gone(id):
            raise Problem(404, f"run {id} is no longer here: {gone.why}", kind="gone")
        raise missing(f"there is no run {id[:40]!r}")

    def own(self, id: str, token: str = "") -> Run:
        """A run that may be changed: any but the welcome run, and with its token where it has one."""
        run = self.get(id)
        if run.id == WELCOME:
            raise conflict(
                "the welcome run is kept as it is for every first visit; create your own with POST /api/runs"
            )
        if run.plan.owner and not secrets.compare_digest(run.plan.owner, sealed(token)):
            got = "a token of another run" if token else "none"
            raise Problem(
                403,
                f"run {id} belongs to whoever made it: expected Authorization: Bearer and the token that POST "
                f"/api/runs answered, got {got}; anybody may watch it",
                kind="token",
            )
        return run

    def gone(self) -> list[Gone]:
        """What became of runs that were expired or set aside, oldest first."""
        return self._keeper.shelf.gone()

    # coming and going -----------------------------------------------------------------------------------------------

    def make(self, id: str, plan: Plan, build: Build) -> Run:
        """A run that is in no register yet."""

        def wake() -> None:
            self._compute.wake()
            self._keeper.wake()

        run = Run(id, plan, self._limits, wake)
        run.watched_by(lambda subscription: build(run, subscription))
        return run

    def add(self, run: Run) -> None:
        with self._lock:
            self._runs[run.id] = run
        self._compute.add(run)

    def create(self, plan: Plan, build: Build, client: str = "", start: bool = False) -> Run:
        """A new run, on disk as it is when this returns. Where there are too many, the oldest one that neither trains
        nor is watched makes way: one of this client's where this client has too many. Raises Problem 429 when none
        can."""
        self._check_read()
        self._making_way(client)  # before anything is allocated
        run = self.make(secrets.token_urlsafe(6).replace("-", "a").replace("_", "b"), plan, build)
        run.client = client
        if start:
            run.start()
        with self._lock:
            gone = self._making_way(client)
            for each, _ in gone:
                del self._runs[each.id]
            self._runs[run.id] = run
        for each, why in gone:
            self._expire(each, why)
        self._keeper.put(run)
        self._compute.add(run)
        return run

    def _making_way(self, client: str) -> list[tuple[Run, str]]:
        """Which runs a new one of this client's pushes out, and why."""
        everybody = self._all()
        own = [run for run in everybody if run.client == client]
        gone: dict[Run, str] = {}
        for name, runs, whose in (("runs_per_client", own, " of this client"), ("runs", everybody, "")):
            most = getattr(self._limits, name)
            if len([run for run in runs if run not in gone]) < most:
                continue
            oldest = next(_resting(runs), None)
            if oldest is None:
                raise too_many(
                    name,
                    most,
                    f"{len(runs)} runs{whose} are training or being watched; pause or delete one first",
                    retry_after=10,
                )
            gone[oldest] = f"it made way for a new run; at most {most} runs{whose} are kept (limit {name})"
        return list(gone.items())

    def delete(self, id: str, token: str = "") -> None:
        run = self.own(id, token)
        with self._lock:
            self._runs.pop(run.id, None)
        self._drop(run, "this run was deleted")

    def expire_old(self) -> None:
        """Let go of what has rested for too long, and of the oldest where all of them take too much room on disk."""
        days, most = self._limits.run_days, self._limits.stored_bytes
        now = time.time()
        for run in _resting(self._all()):
            if now - run.changed > days * DAY:
                self._remove(run, f"it had rested for {days} days (limit run_days)")
        sizes = {run: self._keeper.shelf.bytes_of(run.id) for run in self._all()}
        for run in _resting(list(sizes)):
            if sum(sizes.values()) <= most:
                break
            self._remove(run, f"the runs took more than {most} bytes on disk (limit stored_bytes)")
            del sizes[run]

    def _remove(self, run: Run, why: str) -> None:
        with self._lock:
            self._runs.pop(run.id, None)
        self._expire(run, why)

    def _expire(self, run: Run, why: str) -> None:
        self._keeper.shelf.note(run.id, run.plan.title, why)
        self._drop(run, f"this run is no longer here: {why}")

    def some_went(self) -> bool:
        """Whether runs have gone since this was last asked: each leaves cycles of its own behind."""
        went, self._went = self._went, False
        return went

    def _drop(self, run: Run, reason: str) -> None:
        self._went = True
        self._compute.remove(run)
        run.close(reason)
        self._keeper.drop(run)


def _resting(runs: Iterable[Run]) -> Iterator[Run]:
    """Those that neither train nor are watched, as they come: the register has them oldest first."""
    return (run for run in runs if run.id != WELCOME and run.state != "running" and not len(run.hub))
