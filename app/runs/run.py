"""A training run: what it is made of, its states, its turn on the compute thread."""

from __future__ import annotations

import hashlib
import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from app.limits import Limits
from app.problems import conflict
from app.runs.live_frames import SHARE, Hub, Subscription
from app.runs.metrics import Column, Figures
from app.runs.pass_cache import Passes
from app.runs.scheduler import NEVER
from engine.data import Dataset
from engine.network import Network
from engine.optimizers import Optimizer
from engine.timeline import Timeline
from engine.train import Checkpoint, Trainer, Trouble

logger = logging.getLogger("convscope")

State = Literal["created", "running", "paused", "finished", "failed"]
WELCOME = "welcome"
#: How often in an epoch the probe is taken, and over how many test images.
PROBES, PROBE_IMAGES = 20, 1000
#: The training clock forgets what is older than this many seconds.
MEMORY = 1.0
#: Seconds of its pace that a run may catch up on after it has waited for others' steps.
BEHIND = 1.0


@dataclass(frozen=True)
class RunConfig:
    """What a run is asked to be; everything in it fits together already."""

    title: str
    model: str | None
    network: Network
    cost: float  # multiply-adds of one step
    dataset: Dataset
    optimizer: Optimizer
    batch_size: int
    seed: int
    steps: int
    shuffle: bool = True
    drop_last: bool = False
    shift: int = 0  # pixels that a training image is moved by at most
    parameters: Mapping[str, np.ndarray] | None = None
    name: str = ""  # as whoever made it calls it; may be changed later
    owner: str = ""  # what `hash_token` makes of the token without which it may not be changed; "": anybody may
    nickname: str = ""  # of its maker
    data_bytes: int = 0  # of a data set that this run brought along


@dataclass(frozen=True)
class Snapshot:
    """What is kept of a run beside its plan: where training is, how many rows each of its figures has up to there, and
    what was commanded."""

    checkpoint: Checkpoint
    rows: Mapping[str, int]
    status: Mapping[str, Any]

    def same(self, other: Snapshot) -> bool:
        here, there = self.checkpoint, other.checkpoint
        return (
            here.state is there.state
            and here.optimizers == there.optimizers
            and self.rows == other.rows
            and self.status == other.status
        )


def hash_token(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


class Run:
    """One training run. The compute thread calls `take_turn`; everything else may be called from any thread."""

    def __init__(self, id: str, config: RunConfig, limits: Limits, wake: Callable[[], None]) -> None:
        self.id, self.config = id, config
        self._limits = limits
        #: Of this run alone, so that what is derived from it has an address that is never used again.
        self.key = secrets.token_hex(8)
        self.trainer = Trainer(
            config.network,
            config.dataset,
            config.optimizer,
            config.batch_size,
            config.seed,
            config.parameters,
            history_bytes=limits.history_bytes,
            trace_bytes=limits.trace_bytes,
            shuffle=config.shuffle,
            drop_last=config.drop_last,
            shift=config.shift,
        )
        self.figures = Figures()
        self.passes = Passes(limits.passes, limits.pass_bytes)
        self.hub = Hub()
        self.timelines: dict[tuple[int, bool], Timeline] = {}
        self.name = config.name
        self.state: State = "created"
        self.error = ""
        #: Why it no longer learns, where it does not.
        self.trouble: Trouble | None = None
        #: What its viewers should know, such as why it is not being saved.
        self.notice = ""
        self.pace: float | None = None
        self.created = self.changed = time.time()
        #: When it was last made, changed or asked about, on time.monotonic's clock.
        self.used = time.monotonic()
        #: Who made it, for the limit of runs of one client; not kept on disk.
        self.client = ""
        self._wake = wake
        self._lock = threading.RLock()
        self._until: int | None = None
        self._rate: float | None = None
        self._next = 0.0
        self._clock: float | None = None
        self._speed: float | None = None
        self._build: Callable[[Subscription], bytes] | None = None
        self._measuring: Iterator[None] | None = None
        self._measured_now = False
        self._point = self._new_point()

    # commands -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        with self._lock:
            if self.state not in ("created", "paused", "running"):
                raise conflict(f"run {self.id} is {self.state}; only a created or paused run can be started")
            if self.state != "running":
                self._next = 0.0  # what it did not do while it rested is not made up for
            self.state, self._until, self._clock = "running", None, None
        self._command()

    def pause(self) -> None:
        with self._lock:
            if self.state in ("finished", "failed"):
                raise conflict(f"run {self.id} is {self.state}; only a run that trains can be paused")
            self.state, self._until = "paused", None
        self._command()

    def advance(self, count: int) -> None:
        """Exactly `count` further steps, then pause."""
        with self._lock:
            if self.state not in ("created", "paused"):
                raise conflict(f"run {self.id} is {self.state}; only a created or paused run can be stepped")
            left = self.config.steps - self.trainer.step
            if count > left:
                raise conflict(f"run {self.id} has {left} of its {self.config.steps} steps left, not {count}")
            self.state, self._until, self._clock = "running", self.trainer.step + count, None
            self._next = 0.0
        self._command()

    def change(self, asked: Mapping[str, Any]) -> None:
        """All of `name`, `state`, `pace` (steps a second at most, None for as fast as it goes) and `learning_rate`
        (from the next step on) that is asked for, or nothing. Raises Problem 409 and the engine's SettingError."""
        rate = asked.get("learning_rate")
        if rate is not None:
            self.trainer.optimizer.with_rate(rate)
        with self._lock:
            if asked.get("state") == "running":
                self.start()
            elif asked.get("state") == "paused":
                self.pause()
            if asked.get("name") is not None:
                self.name = asked["name"]
            if "pace" in asked:
                self.pace, self._next = asked["pace"], 0.0
            if rate is not None:
                self._rate = rate
        self._command()

    def _command(self) -> None:
        self.changed, self.used = time.time(), time.monotonic()
        self._wake()

    def may_be_changed_by(self, token: str) -> bool:
        """Whether this token is its owner's; a run without an owner is everybody's."""
        return not self.config.owner or secrets.compare_digest(self.config.owner, hash_token(token))

    @property
    def nbytes(self) -> int:
        """Memory that it holds, with the data that it brought."""
        return self.trainer.nbytes + self.passes.nbytes + self.config.data_bytes

    @property
    def least_bytes(self) -> int:
        """Memory that it needs, whatever may be kept for looking back."""
        return self.trainer.least_bytes + self.config.data_bytes

    def keep_within(self, share: int) -> None:
        """Bound what is kept for looking back: so many bytes beside `least_bytes`."""
        limits, half = self._limits, share // 2
        self.trainer.keep_within(
            min(limits.history_bytes, self.trainer.least_bytes + half),
            min(limits.trace_bytes, half // 2) if half // 2 >= self._trace_bytes else 0,
        )
        self.passes.keep_within(min(limits.pass_bytes, half // 2))

    @cached_property
    def _trace_bytes(self) -> int:
        """About what a minibatch's pass takes: outputs, what was kept of them, and gradients."""
        cells = sum(math.prod(layer.shape) for layer in self.config.network.layers.values())
        return 8 * self.config.batch_size * cells + 8 * self.config.network.size

    def fail(self, error: str) -> None:
        with self._lock:
            self.state, self.error = "failed", error

    def close(self, reason: str) -> None:
        with self._lock:
            if self.state in ("created", "running"):
                self.state = "paused"
        self.hub.close(reason)

    # survival -------------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """What a checkpoint holds; any thread may ask, and training does not wait."""
        with self._lock:
            checkpoint, rows = self._point
            status = {
                "name": self.name,
                "state": self.state,
                "error": self.error,
                "trouble": asdict(self.trouble) if self.trouble else None,
                "until": self._until,
                "pace": self.pace,
                "learning_rate": self._rate,
                "changed": self.changed,
            }
        return Snapshot(checkpoint, rows, status)

    def restore(self, status: Mapping[str, Any]) -> None:
        """Stand as a snapshot stood, once trainer and figures are those of its checkpoint."""
        with self._lock:
            self.name = status.get("name", "")
            self.state, self.error = status["state"], status["error"]
            trouble = status.get("trouble")
            self.trouble = Trouble(**trouble) if trouble else None
            self._until, self.pace, self._rate = status["until"], status["pace"], status["learning_rate"]
            self.changed = status["changed"]
            self._point = self._new_point()

    def _new_point(self) -> tuple[Checkpoint, dict[str, int]]:
        return self.trainer.checkpoint(), {name: len(column) for name, column in self.figures.columns.items()}

    # the compute thread ---------------------------------------------------------------------------------------------

    def watched_by(self, build: Callable[[Subscription], bytes]) -> None:
        """How frames of this run are built."""
        self._build = build

    @property
    def payer(self) -> str:
        """Whose share of the compute thread training takes: the owner's, or else that of the client who made it."""
        return self.config.owner or self.client or self.id

    def take_turn(self, share: float = 1.0) -> float:
        """One step if one is due, then the frames that are wanted: all watched runs together have one budget for
        frames, of which this is the run's share."""
        try:
            due = self._train()
        except Exception:
            logger.exception("run %s failed at step %d", self.id, self.trainer.step)
            self.fail(f"something went wrong at step {self.trainer.step}; the server's log says what")
            due = NEVER
        return min(due, self._show(share))

    def _train(self) -> float:
        if self._measuring:
            self._measure()
        else:
            self._take_rate()
            if self.state == "running" and time.monotonic() >= self._next:
                self._step()
        if self._measuring:
            return 0.0
        if self.state == "running":
            return self._next
        self.trainer.backend.release()
        return NEVER

    def _show(self, share: float) -> float:
        if self._build is None:
            return NEVER
        return self.hub.serve((self.trainer.step, self.state), self._build, SHARE * share)

    def _take_rate(self) -> None:
        with self._lock:
            rate, self._rate = self._rate, None
            if rate is not None:
                self.trainer.learning_rate = rate
                self._point = self._new_point()

    def _step(self) -> None:
        metrics = self.trainer.step_once()
        now = time.monotonic()
        self._tick(now)
        self.figures.train.add(metrics.loss, metrics.accuracy, step=metrics.step)
        if not math.isfinite(metrics.loss):
            found = self.trainer.trouble() or Trouble("diverged", "loss", "y", metrics.step, math.nan)
            with self._lock:
                self._point, self.trouble = self._new_point(), found
                self.fail(self._words(found))
            return
        self._measuring = self._measurement(metrics.step)
        if not self._measuring:
            self._settle()

    def _settle(self) -> None:
        """Once a step is done and measured."""
        step, now = self.trainer.step, time.monotonic()
        if self._measured_now or step >= self.config.steps:
            self._examine()
        self._measured_now = False
        with self._lock:
            self._point, self.changed = self._new_point(), time.time()
            if self.state != "running":
                return
            if step >= self.config.steps:
                self.state, self._until = "finished", None
            elif self._until is not None and step >= self._until:
                self.state, self._until = "paused", None
            self._next = max(now - BEHIND, (self._next or now) + 1 / self.pace) if self.pace else 0.0

    def _examine(self) -> None:
        """Whether it still learns. The minibatch in which trouble was first found is kept."""
        found = self.trainer.trouble()
        before = self.trouble
        same = found and before and (before.kind, before.layer) == (found.kind, found.layer)
        self.trouble = before if same else found

    def _words(self, trouble: Trouble) -> str:
        """What happened, where, and what to try."""
        rate = f"try a smaller learning rate than {self.optimizer['learning_rate']:g}"
        where = {"y": f"the output of {trouble.layer}"}.get(trouble.tensor, f"{trouble.tensor} of {trouble.layer}")
        where = "the loss" if (trouble.layer, trouble.tensor) == ("loss", "y") else where
        if trouble.kind == "dead":
            return (
                f"{trouble.layer} answers 0 to every image of minibatch {trouble.step}, so no gradient passes it and "
                f"nothing before it learns any more: start again, and {rate}"
            )
        grown = f"; parameters had grown to {trouble.largest:.3g}" if math.isfinite(trouble.largest) else ""
        return f"{where} is no longer a number at step {trouble.step}{grown}: start again, and {rate}"

    def _tick(self, now: float) -> None:
        """Images per second by the wall clock, measurements left out."""
        if self._clock is not None and now > self._clock:
            took = now - self._clock
            speed = self.config.batch_size / took
            before = speed if self._speed is None else self._speed
            self._speed = before + (1 - math.exp(-took / MEMORY)) * (speed - before)
        self._clock = now

    def _measurement(self, step: int) -> Iterator[None] | None:
        """Whole test set at an epoch's end, a part of it now and then: no part of the training clock."""
        if step % self.trainer.steps_per_epoch == 0:
            return self._measured(self.figures.test, None, epoch=self.trainer.epoch, step=step)
        if step == 1 or step % self._gap(step) == 0:
            return self._measured(self.figures.probe, PROBE_IMAGES, step=step)
        return None

    def _measured(self, column: Column, limit: int | None, **at: int) -> Iterator[None]:
        loss, accuracy = yield from self.trainer.evaluation("test", limit)
        column.add(loss, accuracy, **at)

    def _measure(self) -> None:
        """One slice of the measurement under way, so that other runs have their turn before the next."""
        assert self._measuring
        try:
            next(self._measuring)
        except StopIteration:
            self._measuring, self._measured_now = None, True
            self._clock = time.monotonic()
            self._settle()

    def _gap(self, step: int) -> int:
        """Steps between two probes: closer at first, where the curves fall."""
        usual = max(1, self.trainer.steps_per_epoch // PROBES)
        return usual if step >= usual else max(1, usual // 5)

    # facts ----------------------------------------------------------------------------------------------------------

    @property
    def optimizer(self) -> dict[str, Any]:
        with self._lock:
            rate = self._rate
        options = dict(self.trainer.optimizer.options)
        if rate is not None:
            options["learning_rate"] = rate
        return {"name": self.trainer.optimizer.name, **options}

    def step_and_parameters(self) -> tuple[int, dict[str, np.ndarray]]:
        """A step and the parameters that it left, while training goes on."""
        while True:
            step, parameters = self.trainer.step, dict(self.trainer.parameters)
            if self.trainer.step == step:
                return step, parameters

    def progress(self) -> dict[str, Any]:
        """What changes with every step."""
        loss, accuracy = self.figures.train.last()
        trainer = self.trainer
        return {
            "state": self.state,
            "step": trainer.step,
            "epoch": trainer.epoch,
            "images_seen": trainer.position,
            "loss": loss,
            "accuracy": accuracy,
            "images_per_second": self._speed,
        }

    def document(self, token: str = "") -> dict[str, Any]:
        """Of the run as it is; `token` says whose question it is."""
        trainer, config = self.trainer, self.config
        first, last = trainer.history
        facts = {
            "id": self.id,
            "model": config.model,
            "title": config.title,
            "name": self.name,
            "owner": config.nickname or None,
            "mine": self.id != WELCOME and self.may_be_changed_by(token),
            **self.progress(),
            "steps": config.steps,
            "steps_per_epoch": trainer.steps_per_epoch,
            "images_per_epoch": len(config.dataset.splits["train"]),
            "test_accuracy": self.figures.test.last()[1],
            "history": {"first": first, "last": last},
            "optimizer": self.optimizer,
            "schedule": trainer.optimizer.schedule.document(),
            "max_norm": trainer.optimizer.max_norm,
            "batch_size": config.batch_size,
            "shuffle": config.shuffle,
            "drop_last": config.drop_last,
            "shift": config.shift,
            "seed": config.seed,
            "dataset": config.dataset.name,
            "classes": list(config.dataset.classes),
            "splits": {name: len(split) for name, split in config.dataset.splits.items()},
            "notes": list(config.dataset.notes),
            "pace": self.pace,
            "slip": config.network.slip and config.network.slip.name,
            "path": {"name": trainer.backend.name, "reason": trainer.backend.reason},
            "kept": self.id == WELCOME,
            "owned": bool(config.owner),
            "network": config.network.document(),
        }
        trouble = self.trouble
        said: dict[str, Any] = {"error": self.error, "notice": self.notice}
        if trouble:
            said["trouble"] = {**asdict(trouble), "words": self._words(trouble)}
        return facts | {name: words for name, words in said.items() if words}
