"""Runs survive: what is kept of each, written by a thread beside training, and made into runs again at a start.

A step is a pure function of the state before it and its number, so a run is its plan (written once) and its newest
state with the figures up to there (written again and again). What it can look back to is written when it rests and when
the server ends. Every file is written whole or not at all.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.datasets import Datasets
from app.formats.bundle import Damaged, below, pack, under, unpack
from app.problems import Problem
from app.runs.run import Run, RunConfig, Snapshot
from app.runs.scheduler import be_nice
from app.runs.storage import RunStorage
from engine.data import Dataset, Split, class_names, from_arrays
from engine.network import Network
from engine.slips import SLIPS
from engine.train import Checkpoint, State, optimizer_from

logger = logging.getLogger("convscope")

#: Seconds between two checkpoints of a run that trains.
INTERVAL = 1.0
#: Bytes a second that checkpoints may take of the disk, and the seconds of training that a kill may lose unsaid.
BYTES_A_SECOND, LOST = 8e6, 2.0
#: How notices about saving begin.
UNSAVED, SELDOM = "This run is not being saved", "This run is saved"
CRASHED = "The server did not end in order, so this run was paused; start it again when you like."
NEVER_SAVED = "Nothing of this run's training had been saved when the server ended: it begins again."
#: Seconds that a run has rested before its history is written, and the most bytes of one.
REST, HISTORY_BYTES = 5.0, 32 << 20
FORMAT = 1


# files ----------------------------------------------------------------------------------------------------------------


def pack_config(config: RunConfig, created: float, datasets: Datasets) -> bytes:
    named = datasets.holds(config.dataset)
    document = {
        "format": FORMAT,
        "created": created,
        "title": config.title,
        "model": config.model,
        "network": config.network.document(),
        "cost": config.cost,
        "dataset": config.dataset.name,
        "notes": list(config.dataset.notes),
        "optimizer": config.optimizer.document(),
        "batch_size": config.batch_size,
        "shuffle": config.shuffle,
        "drop_last": config.drop_last,
        "shift": config.shift,
        "seed": config.seed,
        "steps": config.steps,
        "owner": config.owner,
        "name": config.name,
        "nickname": config.nickname,
        "slip": config.network.slip and config.network.slip.name,
    }
    given = (
        {}
        if named
        else {
            f"{name}.{part}": array
            for name, split in config.dataset.splits.items()
            for part, array in (("x", split.images), ("target", split.targets))
        }
    )
    return pack(document, under("dataset", given) | under("parameters", config.parameters or {}))


def unpack_config(document: Mapping[str, Any], arrays: Mapping[str, np.ndarray], datasets: Datasets) -> RunConfig:
    """Raises what its parts raise when something does not fit."""
    if document["format"] != FORMAT:
        raise Damaged(f"it has format {document['format']}, this version reads {FORMAT}")
    given = below("dataset", arrays)
    if not given:
        dataset = datasets.get(document["dataset"])
    elif "x" in given:  # as written before 0.2
        dataset = from_arrays(given["x"], given["target"], document["dataset"])
    else:
        splits = {name: Split(given[f"{name}.x"], given[f"{name}.target"]) for name in ("train", "test")}
        dataset = Dataset(
            document["dataset"], document["dataset"], splits, class_names(splits.values()), tuple(document["notes"])
        )
    return RunConfig(
        title=document["title"],
        model=document["model"],
        network=Network.from_document(document["network"]).slipped(SLIPS.get(document.get("slip") or "")),
        cost=document["cost"],
        dataset=dataset,
        optimizer=optimizer_from(document["optimizer"]).over(document["steps"]),
        batch_size=document["batch_size"],
        seed=document["seed"],
        steps=document["steps"],
        shuffle=document.get("shuffle", True),
        drop_last=document.get("drop_last", False),
        shift=document.get("shift", 0),
        parameters=below("parameters", arrays) or None,
        owner=document["owner"],
        name=document.get("name", ""),
        nickname=document.get("nickname", ""),
        data_bytes=datasets.own_bytes(dataset),
    )


def pack_snapshot(run: Run, snapshot: Snapshot) -> bytes:
    checkpoint = snapshot.checkpoint
    states = {"before": checkpoint.before, "state": checkpoint.state}
    document = {
        "format": FORMAT,
        "standing": snapshot.status,
        "steps": {name: state.step for name, state in states.items()},
        "optimizers": [[first, optimizer.document()] for first, optimizer in checkpoint.optimizers],
    }
    arrays: dict[str, np.ndarray] = {}
    for name, state in states.items():
        arrays |= under(f"{name}/parameters", state.parameters) | under(f"{name}/optimizer", state.optimizer)
    for name, column in run.figures.columns.items():
        arrays |= under(f"figures/{name}", column.arrays(snapshot.rows[name]))
    return pack(document, arrays)


def pack_history(snapshots: Sequence[State], step: int) -> bytes:
    """What a run at that step can look back to: each array holds one of every snapshot."""
    arrays: dict[str, np.ndarray] = {}
    for part in ("parameters", "optimizer"):
        each = [getattr(snapshot, part) for snapshot in snapshots]
        arrays |= under(part, {name: np.stack([state[name] for state in each]) for name in each[0]})
    return pack({"format": FORMAT, "step": step, "steps": [snapshot.step for snapshot in snapshots]}, arrays)


def unpack_history(content: bytes, step: int, like: State) -> list[State]:
    """Nothing where it belongs to another step. Raises what its parts raise when something does not fit."""
    document, arrays = unpack(content)
    if (document["format"], document["step"]) != (FORMAT, step):
        return []
    steps = enumerate(document["steps"])
    return [_state({name: each[k] for name, each in arrays.items()}, at, like) for k, at in steps if at <= step]


def restore_snapshot(run: Run, content: bytes, history: bytes | None = None) -> None:
    """Put the run where it was. Raises what its parts raise when something does not fit."""
    document, arrays = unpack(content)
    fresh = run.trainer.checkpoint().state
    before, state = (_state(below(name, arrays), document["steps"][name], fresh) for name in ("before", "state"))
    optimizers = tuple(
        (first, optimizer_from(options).over(run.config.steps)) for first, options in document["optimizers"]
    )
    snapshots: list[State] = []
    try:
        snapshots = unpack_history(history, state.step, fresh) if history else []
    except Exception as error:  # a damaged archive may go wrong in every way; the run goes on without its history
        logger.warning("the history of run %s cannot be read: %s", run.id, error)
    run.trainer.restore(Checkpoint(before, state, optimizers), snapshots)
    for name, column in run.figures.columns.items():
        column.restore(below(f"figures/{name}", arrays))
    run.restore(document["standing"])


def _state(arrays: Mapping[str, np.ndarray], step: int, like: State) -> State:
    parts = []
    for part, fresh in (("parameters", like.parameters), ("optimizer", like.optimizer)):
        found = below(part, arrays)
        if {name: (a.shape, a.dtype) for name, a in found.items()} != {
            name: (a.shape, a.dtype) for name, a in fresh.items()
        }:
            raise Damaged(f"its {part} are not those of its network")
        parts.append({name: found[name] for name in fresh})
    return State(step, *parts)


# the thread -----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Kept:
    run: Run
    planned: bool = False
    last: Snapshot | None = None
    history: int = 0  # the step whose history is on disk
    dropped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class CheckpointWriter(threading.Thread):
    """Writes what has changed of every run, soon after a command and otherwise every INTERVAL seconds."""

    def __init__(self, storage: RunStorage, datasets: Datasets) -> None:
        super().__init__(name="checkpoints", daemon=True)
        self.storage, self._datasets = storage, datasets
        self._kept: dict[str, _Kept] = {}
        self._changed = threading.Event()
        self._stopping = False
        self._written = 0
        #: Seconds of training that a kill may lose, where they are more than LOST.
        self.lag = 0.0

    def put(self, run: Run) -> None:
        """Keep this run from now on; its plan is on disk when this returns, unless the run's notice says why not."""
        kept = self._kept[run.id] = _Kept(run)
        self._save(kept)

    def put_back(self, run: Run) -> None:
        """Keep on with a run that has just been read."""
        self._kept[run.id] = _Kept(run, planned=True, last=run.snapshot(), history=run.trainer.step)

    def expire(self, run: Run, why: str, most: int) -> None:
        """Keep it no longer where runs are, but so that it can be brought back."""
        kept = self._kept.get(run.id)
        if kept is None:
            self.storage.note(run.id, run.name or run.config.title, why)
            return
        self._save(kept)
        self._kept.pop(run.id, None)
        with kept.lock:
            kept.dropped = True
            try:
                self.storage.expire(run.id, run.name or run.config.title, why, most)
            except OSError as error:
                logger.error("the files of run %s cannot be kept: %s", run.id, error)
                self.storage.note(run.id, run.name or run.config.title, why)

    def drop(self, run: Run) -> None:
        """Keep it no longer."""
        kept = self._kept.pop(run.id, None)
        if kept is None:
            return
        with kept.lock:
            kept.dropped = True
            try:
                self.storage.remove(run.id)
            except OSError as error:
                logger.error("the files of run %s cannot be removed: %s", run.id, error)

    def wake(self) -> None:
        self._changed.set()

    def stop(self) -> None:
        """End after one last round."""
        self._stopping = True
        self._changed.set()

    def run(self) -> None:
        be_nice()
        pause = INTERVAL
        while not self._stopping:
            self._changed.wait(pause)
            self._changed.clear()
            began, self._written = time.monotonic(), 0
            self.save_all()
            took = time.monotonic() - began
            between = max(INTERVAL, self._written / BYTES_A_SECOND)
            self.lag = between if between > LOST else 0.0
            pause = max(INTERVAL / 4, between - took)
        self.save_all()

    def save_all(self) -> None:
        for save in (self._save, self._save_history):
            for kept in list(self._kept.values()):
                save(kept)

    def _save(self, kept: _Kept) -> None:
        run = kept.run
        with kept.lock:
            if kept.dropped:
                return
            try:
                if not kept.planned:
                    self.storage.write(run.id, "plan.npz", pack_config(run.config, run.created, self._datasets))
                    kept.planned = True
                snapshot = run.snapshot()
                if kept.last is None or not kept.last.same(snapshot):
                    content = pack_snapshot(run, snapshot)
                    self.storage.write(run.id, "state.npz", content)
                    kept.last = snapshot
                    self._written += len(content)
            except Exception as error:
                self._complain(run, error)
            else:
                if run.notice.startswith(UNSAVED):
                    logger.info("run %s is being saved again", run.id)
                    run.notice = ""
                elif self.lag and run.state == "running":
                    run.notice = f"{SELDOM} every {self.lag:.0f} seconds: the runs under way are large."
                elif run.notice.startswith(SELDOM):
                    run.notice = ""

    def _save_history(self, kept: _Kept) -> None:
        with kept.lock:
            if kept.dropped or kept.last is None:
                return
            step, status = kept.last.checkpoint.state.step, kept.last.status
            rests = status["state"] != "running" and time.time() - status["changed"] > REST
            if step == kept.history or not (rests or self._stopping):
                return
            kept.history = step
            snapshots = kept.run.trainer.snapshots
            if sum(snapshot.nbytes for snapshot in snapshots) > HISTORY_BYTES:
                return
            try:
                self.storage.write(kept.run.id, "history.npz", pack_history(snapshots, step))
            except OSError as error:
                logger.warning("the history of run %s cannot be kept: %s", kept.run.id, error)

    def _complain(self, run: Run, error: Exception) -> None:
        """Once for each reason; training goes on, and the next round tries again."""
        reason = (error.strerror if isinstance(error, OSError) else "") or type(error).__name__
        notice = (
            f"{UNSAVED} ({reason}). It goes on, but a restart of the server would take it back "
            "to its last saved step, or lose it."
        )
        if run.notice != notice:
            run.notice = notice
            logger.error("run %s cannot be saved: %s", run.id, error, exc_info=not isinstance(error, OSError))


def restore(
    writer: CheckpointWriter,
    datasets: Datasets,
    make: Callable[[str, RunConfig], Run],
    add: Callable[[Run], None],
    orderly: bool = True,
) -> None:
    """Every kept run: `make` makes each from its plan, `add` takes it. What is damaged is set aside; what a later start
    may be able to read stays, and so does what somebody else put there. Where the last server did not end in order,
    what it trained may be what ended it: these runs come back paused."""
    storage = writer.storage
    started = time.monotonic()
    found: list[Run] = []
    for id in storage.ids():
        try:
            run = read_run(storage, id, datasets, make)
        except Unreadable as error:
            _quarantine(storage, id, error.title, error.reason)
        else:
            if run is not None:
                found.append(run)
    for run in sorted(found, key=lambda run: run.created):
        if not orderly and run.state == "running":
            run.state, run.notice = "paused", CRASHED
        storage.forget(run.id)
        writer.put_back(run)
        add(run)
    if found:
        logger.info("%d runs restored in %.2f s", len(found), time.monotonic() - started)


class Unreadable(Exception):
    """A run whose files cannot be read: its title as far as it is known, and the reason."""

    def __init__(self, title: str, reason: Exception) -> None:
        super().__init__(str(reason))
        self.title, self.reason = title, reason


def read_run(storage: RunStorage, id: str, datasets: Datasets, make: Callable[[str, RunConfig], Run]) -> Run | None:
    """A run from its files. None for a folder without a plan: one of a run that was killed while it was made or removed
    goes, any other stays. Raises Unreadable."""
    title = ""
    try:
        content = storage.read(id, "plan.npz")
        if content is None:
            if storage.is_own(id):
                storage.remove(id)
            else:
                logger.warning("the folder runs/%s is none of a run and is left alone", id)
            return None
        document, arrays = unpack(content)
        title = document["title"]
        run = make(id, unpack_config(document, arrays, datasets))
        run.created = document["created"]
        if (content := storage.read(id, "state.npz")) is not None:
            restore_snapshot(run, content, storage.read(id, "history.npz"))
        else:
            run.notice = NEVER_SAVED
    except Exception as error:
        raise Unreadable(title, error) from error
    return run


def _quarantine(storage: RunStorage, id: str, title: str, error: Exception) -> None:
    if isinstance(error, (OSError, Problem)):
        logger.error("run %s cannot be read: %s", id, error)
        missing = error.detail if isinstance(error, Problem) else f"its files cannot be read ({error.strerror})"
        storage.note(id, title, f"{missing}; the next start tries again")
        return
    reason = str(error) if isinstance(error, Damaged) else f"{type(error).__name__}: {error}"
    try:
        storage.quarantine(id, title, f"its checkpoint cannot be read ({reason}); the files are set aside")
    except OSError as failure:
        logger.error("run %s cannot be set aside: %s", id, failure)
