"""The registry of all runs: who may change one, how many there may be, and when an old one goes."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from app.limits import Limits
from app.problems import Problem, conflict, missing, too_many, unavailable
from app.runs.checkpoints import CheckpointWriter
from app.runs.live_frames import Subscription
from app.runs.run import WELCOME, Run, RunConfig, hash_token
from app.runs.scheduler import Scheduler
from app.runs.storage import Tombstone, write_whole

logger = logging.getLogger("convscope")

Build = Callable[[Run, Subscription], bytes]
DAY = 86_400.0
#: Seconds between the time of day and that of the server that are worth a line in the log.
JUMP = 3600.0


class Clock:
    """Seconds for which this server has run, over all its starts, kept in a file. The time of day may jump, and a
    server may rest for weeks: neither makes a run older."""

    def __init__(self, file: Path) -> None:
        self._file, self._began = file, time.monotonic()
        self._ahead = time.time() - self._began
        try:
            self._before = float(file.read_text("utf-8"))
        except (OSError, ValueError):
            self._before = 0.0

    def now(self) -> float:
        return self._before + time.monotonic() - self._began

    def notice_jump(self) -> None:
        """Say so where the time of day has jumped since this was last asked; runs are no older for it."""
        ahead = time.time() - time.monotonic()
        if abs(ahead - self._ahead) > JUMP:
            logger.warning("the time of day has jumped by %.0f s; no run is older for it", ahead - self._ahead)
        self._ahead = ahead

    def save(self) -> None:
        try:
            write_whole(self._file, f"{self.now():.0f}\n".encode())
        except OSError as error:
            logger.warning("the clock of runs cannot be kept: %s", error)


class RunRegistry:
    """Every run by id, the welcome run and then the oldest first. 503 until those of earlier starts have been read."""

    def __init__(self, scheduler: Scheduler, limits: Limits, writer: CheckpointWriter, admin_token: str = "") -> None:
        self._admin = hash_token(admin_token) if admin_token else ""
        self._scheduler, self._limits, self._writer = scheduler, limits, writer
        self._runs: dict[str, Run] = {}
        self._lock = threading.RLock()
        self._reading = True
        self._went = False
        self._going: dict[str, Tombstone] = {}  # runs that have left and whose files are still being moved
        self._clock = Clock(writer.storage.folder / "clock")
        self._rested: dict[str, tuple[float, float]] = {}  # what a run was when it was found at rest, and since when

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
            run.used = time.monotonic()
            return run
        self._check_read()
        # looked for there first: once it is there no more it stands on the shelf
        if gone := self._going.get(id) or self._writer.storage.why_gone(id):
            raise Problem(404, f"run {id} is no longer here: {gone.why}", kind="gone")
        raise missing(f"there is no run {id[:40]!r}")

    def own(self, id: str, token: str = "") -> Run:
        """A run that may be changed: any but the welcome run, and with its token where it has one."""
        run = self.get(id)
        if run.id == WELCOME:
            raise conflict(
                "the welcome run is kept as it is for every first visit; create your own with POST /api/runs"
            )
        if not run.may_be_changed_by(token) and not self.is_admin(token):
            got = "a token of another run" if token else "none"
            raise Problem(
                403,
                f"run {id} belongs to whoever made it: expected Authorization: Bearer and the token that POST "
                f"/api/runs answered, got {got}; anybody may watch it",
                kind="token",
            )
        return run

    def is_admin(self, token: str) -> bool:
        """Whether this is the lecturer's token, which may change every run but the welcome run."""
        return bool(self._admin) and secrets.compare_digest(self._admin, hash_token(token))

    def gone(self) -> list[Tombstone]:
        """What became of runs that were expired or set aside, oldest first."""
        with self._lock:
            going = list(self._going.values())
        noted = self._writer.storage.gone()
        known = {each.id for each in noted}
        return [*noted, *(each for each in going if each.id not in known)]

    # coming and going -----------------------------------------------------------------------------------------------

    def make(self, id: str, config: RunConfig, build: Build) -> Run:
        """A run that is in no registry yet."""

        def wake() -> None:
            self._scheduler.wake()
            self._writer.wake()

        run = Run(id, config, self._limits, wake)
        run.watched_by(lambda subscription: build(run, subscription))
        return run

    def add(self, run: Run) -> None:
        with self._lock:
            self._runs[run.id] = run
            self._share_memory()
        self._scheduler.add(run)

    def _share_memory(self) -> None:
        """Give each run an equal part of the memory that is left for looking back; under the lock."""
        runs = list(self._runs.values())
        left = self._limits.memory_bytes - sum(run.least_bytes for run in runs)
        for run in runs:
            run.keep_within(max(0, left) // len(runs))

    def create(self, config: RunConfig, build: Build, client: str = "", start: bool = False) -> Run:
        """A new run, on disk as it is when this returns. Where there are too many, one that neither trains nor is
        watched makes way: of the same owner's first, and of others' only one that nobody has used for a while. What
        makes way can be brought back. Raises Problem 429 when none can."""
        self._check_read()
        self._making_way(config, client)  # before anything is allocated
        run = self.make(secrets.token_urlsafe(6).replace("-", "a").replace("_", "b"), config, build)
        run.client = client
        if start:
            run.start()
        with self._lock:
            gone = self._making_way(config, client)
            for each, why in gone:
                self._leave(each, why)
            self._runs[run.id] = run
            self._share_memory()
        for each, why in gone:
            self._expire(each, why)
        self._writer.put(run)
        self._scheduler.add(run)
        return run

    def _making_way(self, config: RunConfig, client: str) -> list[tuple[Run, str]]:
        """Which runs a new one of this plan and client pushes out, and why."""
        everybody = [run for run in self._all() if run.id != WELCOME]
        mine = [run for run in everybody if _same_owner(run, config, client)]
        near = [run for run in everybody if client and run.client == client]
        limits = self._limits
        gone: dict[Run, str] = {}

        def left(runs: list[Run]) -> list[Run]:
            return [run for run in runs if run not in gone]

        def make_way(name: str, runs: list[Run], whose: str, what: str) -> None:
            found = next(self._may_go(left(mine), left(runs)), None)
            if found is None:
                said = (
                    f"{len(left(runs))} runs{whose} are training, watched or in use; pause or delete one of yours first"
                )
                raise too_many(name, getattr(limits, name), said, retry_after=10)
            gone[found] = f"it made way for a new run; {what} (limit {name})"

        for name, runs, whose in (
            ("runs_per_client", mine, " of yours"),
            ("runs_per_address", near, " of this address"),
            ("runs", everybody, ""),
        ):
            most = getattr(limits, name)
            if len(left(runs)) >= most:
                make_way(name, runs, whose, f"at most {most} runs{whose} are kept")
        needed = 4 * config.network.size * (4 + 2 * len(config.optimizer.state)) + config.data_bytes
        while left(everybody) and sum(run.least_bytes for run in left(everybody)) + needed > limits.memory_bytes:
            make_way("memory_bytes", everybody, "", f"all runs together may hold {limits.memory_bytes} bytes")
        return list(gone.items())

    def _may_go(self, mine: list[Run], runs: list[Run]) -> Iterator[Run]:
        """Runs at rest, those that make way first: of one's own, then of others' that nobody has used for a while, each
        the longest unused first."""
        lately = time.monotonic() - self._limits.grace_seconds
        own = [run for run in mine if run in runs]
        others = [run for run in runs if run not in mine and run.used < lately]
        for group in (own, others):
            yield from sorted(_idle(group), key=lambda run: run.used)

    def restore(self, id: str, token: str, read: Callable[[str], Run | None]) -> Run:
        """A run that made way, back as it was and paused; `read` makes it from its files. 404 where they are no longer
        kept, 403 for a token that is not its owner's, 429 where no other can make way for it."""
        self._check_read()
        if self.find(id) is not None:
            raise conflict(f"run {id} is here")
        gone = self._writer.storage.why_gone(id)
        if gone is None:
            raise missing(f"there is no run {id[:40]!r}, and none went")
        if not self._writer.storage.bring_back(id):
            raise Problem(404, f"run {id} cannot be brought back: its files are no longer kept", kind="gone")
        run = read(id)
        if run is None or not (run.may_be_changed_by(token) or self.is_admin(token)):
            self._writer.storage.expire(id, gone.title, gone.why, self._limits.expired_bytes)
            if run is None:
                raise Problem(404, f"run {id} cannot be brought back: its files cannot be read", kind="gone")
            raise Problem(403, f"run {id} belongs to whoever made it; expected the token of its owner", kind="token")
        if run.state == "running":
            run.state = "paused"
        try:
            with self._lock:
                pushed = self._making_way(run.config, "")
                for each, why in pushed:
                    self._leave(each, why)
                self._runs[run.id] = run
                self._share_memory()
        except Problem:
            self._writer.storage.expire(id, gone.title, gone.why, self._limits.expired_bytes)
            raise
        for each, why in pushed:
            self._expire(each, why)
        self._writer.storage.forget(id)
        self._writer.put_back(run)
        self._scheduler.add(run)
        return run

    def delete(self, id: str, token: str = "") -> None:
        run = self.own(id, token)
        with self._lock:
            self._runs.pop(run.id, None)
            self._share_memory()
        self._drop(run, "this run was deleted")

    def expire_old(self) -> None:
        """Let go of what has rested for so many days of the server's running, and of the oldest where all of them take
        too much room on disk."""
        days, most = self._limits.run_days, self._limits.stored_bytes
        self._clock.notice_jump()
        now = self._clock.now()
        everybody = self._all()
        self._rested = {
            run.id: known if (known := self._rested.get(run.id)) and known[0] == run.changed else (run.changed, now)
            for run in everybody
        }
        for run in _idle(everybody):
            if now - self._rested[run.id][1] > days * DAY:
                self._remove(run, f"it had rested for {days} days (limit run_days)")
        sizes = {run: self._writer.storage.bytes_of(run.id) for run in self._all()}
        for run in sorted(_idle(list(sizes)), key=lambda run: run.used):
            if sum(sizes.values()) <= most:
                break
            self._remove(run, f"the runs took more than {most} bytes on disk (limit stored_bytes)")
            del sizes[run]
        self._clock.save()

    def _leave(self, run: Run, why: str) -> None:
        """It is here no more, for a reason that is known at once; under the lock. `_expire` does the rest."""
        self._going[run.id] = Tombstone(run.id, run.name or run.config.title, why, round(time.time(), 3))
        self._runs.pop(run.id, None)

    def _remove(self, run: Run, why: str) -> None:
        with self._lock:
            self._leave(run, why)
            self._share_memory()
        self._expire(run, why)

    def _expire(self, run: Run, why: str) -> None:
        self._went = True
        self._scheduler.remove(run)
        run.close(f"this run is no longer here: {why}")
        self._writer.expire(run, why, self._limits.expired_bytes)
        with self._lock:
            self._going.pop(run.id, None)

    def some_went(self) -> bool:
        """Whether runs have gone since this was last asked: each leaves cycles of its own behind."""
        went, self._went = self._went, False
        return went

    def _drop(self, run: Run, reason: str) -> None:
        self._went = True
        self._scheduler.remove(run)
        run.close(reason)
        self._writer.drop(run)


def _same_owner(run: Run, config: RunConfig, client: str) -> bool:
    """By token where runs have owners: behind one address there may be a whole class."""
    return run.config.owner == config.owner if config.owner else not run.config.owner and run.client == client


def _idle(runs: Iterable[Run]) -> Iterator[Run]:
    """Those that neither train nor are watched, as they come: the registry has them oldest first."""
    return (run for run in runs if run.id != WELCOME and run.state != "running" and not len(run.hub))
