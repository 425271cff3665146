"""Passes of single images through a run's parameters: kept for a while, the oldest go first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.problems import missing
from engine.edits import Edit
from engine.trace import Trace


@dataclass(frozen=True)
class Image:
    """One image (1, C, H, W) and what it should be answered with, a batch of one each; equal when its `key` is.

    `source` says where it came from: {"dataset", "split", "index"} or {"drawn": true}. A drawn image without a target
    is held against the network's own answer: `target` is None.
    """

    key: str
    x: np.ndarray
    target: np.ndarray | None
    source: dict[str, Any]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True)
class Pass:
    id: str
    run: str
    step: int
    image: Image
    trace: Trace
    probabilities: np.ndarray
    loss_after: float | None  # through the parameters that its update would leave
    edits: tuple[Edit, ...] = ()
    base: Pass | None = None

    @property
    def label(self) -> int | None:
        return label_of(self.trace["target", "y"])

    @property
    def loss(self) -> float:
        return float(self.trace["loss", "y"])

    def document(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "run": self.run,
            "step": self.step,
            "label": self.label,
            "source": self.image.source,
            "loss": self.loss,
            "loss_after": self.loss_after,
            "probabilities": self.probabilities,
            **(self._by_hand(self.base) if self.base else {}),
        }

    def _by_hand(self, base: Pass) -> dict[str, Any]:
        edits = [
            {"place": str(edit.place), **({"by": edit.by} if edit.value is None else {"value": edit.value.tolist()})}
            for edit in self.edits
        ]
        return {"edits": edits, "base": base.id, "base_loss": base.loss}


def label_of(target: np.ndarray) -> int | None:
    """The class number of a batch of one, None where targets are no classes."""
    return int(target[0]) if target.ndim == 1 and target.dtype.kind in "iu" else None


class Passes:
    """The passes of one run, bounded in number and in bytes."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._kept: OrderedDict[str, Pass] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        with self._lock:
            return sum(each.trace.nbytes for each in self._kept.values())

    def find(self, id: str) -> Pass | None:
        with self._lock:
            found = self._kept.get(id)
            if found:
                self._kept.move_to_end(id)
            return found

    def get(self, id: str) -> Pass:
        found = self.find(id)
        if found is None:
            raise missing(f"there is no pass {id[:40]!r} any more; POST the same image again to have it back")
        return found

    def keep(self, made: Pass) -> None:
        with self._lock:
            self._kept[made.id] = made
            self._forget()

    def keep_within(self, most_bytes: int) -> None:
        """Bound them anew; the newest stays."""
        with self._lock:
            self._most_bytes = most_bytes
            self._forget()

    def _forget(self) -> None:
        while len(self._kept) > 1 and (
            len(self._kept) > self._most or sum(each.trace.nbytes for each in self._kept.values()) > self._most_bytes
        ):
            self._kept.popitem(last=False)
