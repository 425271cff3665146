"""Training runs: what each is made of, its states, its turn on the compute thread, and the register of all of them."""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from app.compute import NEVER, Compute
from app.limits import Limits
from app.metrics import Figures
from app.passes import Passes
from app.problems import conflict, missing, too_many
from app.stream import Hub, Subscription
from engine.data import Dataset
from engine.network import Network
from engine.optimizers import Optimizer
from engine.score import Score
from engine.train import Trainer

logger = logging.getLogger("convscope")

State = Literal["created", "running", "paused", "finished", "failed"]
WELCOME = "welcome"
#: How often in an epoch the probe is taken, and over how many test images.
PROBES, PROBE_IMAGES = 20, 1000
#: The training clock forgets what is older than this many seconds.
MEMORY = 1.0


@dataclass(frozen=True)
class Plan:
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
    parameters: Mapping[str, np.ndarray] | None = None


class Run:
    """One training run. The compute thread calls `take_turn`; everything else may be called from any thread."""

    def __init__(self, id: str, plan: Plan, limits: Limits, wake: Callable[[], None]) -> None:
        self.id, self.plan = id, plan
        #: Of this run alone, so that what is derived from it has an address that is never used again.
        self.key = secrets.token_hex(8)
        self.trainer = Trainer(
            plan.network,
            plan.dataset,
            plan.optimizer,
            plan.batch_size,
            plan.seed,
            plan.parameters,
            history_bytes=limits.history_bytes,
            trace_bytes=limits.trace_bytes,
        )
        self.figures = Figures()
        self.passes = Passes(limits.passes, limits.pass_bytes)
        self.hub = Hub()
        self.scores: dict[int, Score] = {}
        self.state: State = "created"
        self.error = ""
        self.pace: float | None = None
        self.created = time.time()
        self._wake = wake
        self._lock = threading.RLock()
        self._until: int | None = None
        self._rate: float | None = None
        self._next = 0.0
        self._clock: float | None = None
        self._speed: float | None = None
        self._build: Callable[[Subscription], bytes] | None = None

    # commands -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        with self._lock:
            if self.state not in ("created", "paused", "running"):
                raise conflict(f"run {self.id} is {self.state}; only a created or paused run can be started")
            self.state, self._until, self._clock = "running", None, None
        self._wake()

    def pause(self) -> None:
        with self._lock:
            if self.state in ("finished", "failed"):
                raise conflict(f"run {self.id} is {self.state}; only a run that trains can be paused")
            self.state, self._until = "paused", None
        self._wake()

    def advance(self, count: int) -> None:
        """Exactly `count` further steps, then pause."""
        with self._lock:
            if self.state not in ("created", "paused"):
                raise conflict(f"run {self.id} is {self.state}; only a created or paused run can be stepped")
            left = self.plan.steps - self.trainer.step
            if count > left:
                raise conflict(f"run {self.id} has {left} of its {self.plan.steps} steps left, not {count}")
            self.state, self._until, self._clock = "running", self.trainer.step + count, None
        self._wake()

    def change(self, asked: Mapping[str, Any]) -> None:
        """All of `state`, `pace` (steps a second at most, None for as fast as it goes) and `learning_rate` (from the
        next step on) that is asked for, or nothing. Raises Problem 409 and the engine's SettingError."""
        rate = asked.get("learning_rate")
        if rate is not None:
            self.trainer.optimizer.with_rate(rate)
        with self._lock:
            if asked.get("state") == "running":
                self.start()
            elif asked.get("state") == "paused":
                self.pause()
            if "pace" in asked:
                self.pace, self._next = asked["pace"], 0.0
            if rate is not None:
                self._rate = rate
        self._wake()

    def fail(self, error: str) -> None:
        with self._lock:
            self.state, self.error = "failed", error

    def close(self, reason: str) -> None:
        with self._lock:
            if self.state in ("created", "running"):
                self.state = "paused"
        self.hub.close(reason)

    # the compute thread ---------------------------------------------------------------------------------------------

    def watched_by(self, build: Callable[[Subscription], bytes]) -> None:
        """How frames of this run are built."""
        self._build = build

    def take_turn(self) -> float:
        """One step if one is due, then the frames that are wanted."""
        try:
            due = self._train()
        except Exception:
            logger.exception("run %s failed at step %d", self.id, self.trainer.step)
            self.fail(f"something went wrong at step {self.trainer.step}; the server's log says what")
            due = NEVER
        return min(due, self._show())

    def _train(self) -> float:
        self._take_rate()
        if self.state != "running":
            return NEVER
        if time.monotonic() >= self._next:
            self._step()
        return self._next if self.state == "running" else NEVER

    def _show(self) -> float:
        if self._build is None:
            return NEVER
        return self.hub.serve((self.trainer.step, self.state), self._build)

    def _take_rate(self) -> None:
        with self._lock:
            rate, self._rate = self._rate, None
        if rate is not None:
            self.trainer.learning_rate = rate

    def _step(self) -> None:
        metrics = self.trainer.step_once()
        now = time.monotonic()
        self._tick(now)
        self.figures.train.add(metrics.loss, metrics.accuracy, step=metrics.step)
        if not math.isfinite(metrics.loss):
            self.fail(f"the loss is no longer a number at step {metrics.step}: try a smaller learning rate")
            return
        self._measure(metrics.step)
        with self._lock:
            if self.state != "running":
                return
            if metrics.step >= self.plan.steps:
                self.state, self._until = "finished", None
            elif self._until is not None and metrics.step >= self._until:
                self.state, self._until = "paused", None
            self._next = max(now, self._next + 1 / self.pace) if self.pace else 0.0

    def _tick(self, now: float) -> None:
        """Images per second by the wall clock, measurements left out."""
        if self._clock is not None and now > self._clock:
            took = now - self._clock
            speed = self.plan.batch_size / took
            before = speed if self._speed is None else self._speed
            self._speed = before + (1 - math.exp(-took / MEMORY)) * (speed - before)
        self._clock = now

    def _measure(self, step: int) -> None:
        """Whole test set at an epoch's end, a part of it now and then: no part of the training clock."""
        trainer = self.trainer
        if step % trainer.steps_per_epoch == 0:
            loss, accuracy = trainer.evaluate("test")
            self.figures.test.add(loss, accuracy, epoch=trainer.epoch, step=step)
        elif step == 1 or step % self._gap(step) == 0:
            loss, accuracy = trainer.evaluate("test", PROBE_IMAGES)
            self.figures.probe.add(loss, accuracy, step=step)
        else:
            return
        self._clock = time.monotonic()

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

    def snapshot(self) -> tuple[int, dict[str, np.ndarray]]:
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

    def document(self) -> dict[str, Any]:
        trainer, plan = self.trainer, self.plan
        first, last = trainer.history
        facts = {
            "id": self.id,
            "model": plan.model,
            "title": plan.title,
            **self.progress(),
            "steps": plan.steps,
            "steps_per_epoch": trainer.steps_per_epoch,
            "images_per_epoch": len(plan.dataset.splits["train"]),
            "test_accuracy": self.figures.test.last()[1],
            "history": {"first": first, "last": last},
            "optimizer": self.optimizer,
            "batch_size": plan.batch_size,
            "seed": plan.seed,
            "dataset": plan.dataset.name,
            "pace": self.pace,
            "kept": self.id == WELCOME,
            "network": plan.network.document(),
        }
        return {**facts, "error": self.error} if self.error else facts


class Runs:
    """Every run by id, oldest first."""

    def __init__(self, compute: Compute, limits: Limits) -> None:
        self._compute, self._limits = compute, limits
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()

    def all(self) -> list[Run]:
        with self._lock:
            return list(self._runs.values())

    def get(self, id: str) -> Run:
        with self._lock:
            run = self._runs.get(id)
        if run is None:
            raise missing(f"there is no run {id[:40]!r}")
        return run

    def own(self, id: str) -> Run:
        """A run that may be changed: any but the welcome run."""
        run = self.get(id)
        if run.id == WELCOME:
            raise conflict(
                "the welcome run is kept as it is for every first visit; create your own with POST /api/runs"
            )
        return run

    def create(self, plan: Plan, build: Callable[[Run, Subscription], bytes], id: str = "") -> Run:
        """A new run. The oldest one that is neither training nor watched makes way where there are too many."""
        run = Run(
            id or secrets.token_urlsafe(6).replace("-", "a").replace("_", "b"),
            plan,
            self._limits,
            self._compute.wake,
        )
        run.watched_by(lambda subscription: build(run, subscription))
        gone: Run | None = None
        with self._lock:
            if len(self._runs) >= self._limits.runs:
                idle = [
                    each
                    for each in self._runs.values()
                    if each.id != WELCOME and each.state != "running" and not len(each.hub)
                ]
                if not idle:
                    raise too_many(
                        "runs",
                        self._limits.runs,
                        retry_after=10,
                        detail=(
                            f"{len(self._runs)} runs are training or being watched; pause or delete one first"
                        ),
                    )
                gone = self._runs.pop(idle[0].id)
            self._runs[run.id] = run
        if gone:
            self._drop(gone, "this run made way for a new one")
        self._compute.add(run)
        return run

    def delete(self, id: str) -> None:
        run = self.own(id)
        with self._lock:
            self._runs.pop(run.id, None)
        self._drop(run, "this run was deleted")

    def _drop(self, run: Run, reason: str) -> None:
        self._compute.remove(run)
        run.close(reason)
