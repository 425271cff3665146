"""A run's figures by step, in columns."""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np


class Column:
    """Steps and what was measured at them, for one purpose."""

    def __init__(self, *names: str) -> None:
        self._integers = {name: array("q") for name in names}
        self._loss, self._accuracy = array("d"), array("d")
        self._lock = threading.Lock()

    def add(self, loss: float, accuracy: float | None, **integers: int) -> None:
        with self._lock:
            for name, value in integers.items():
                self._integers[name].append(value)
            self._loss.append(loss)
            self._accuracy.append(math.nan if accuracy is None else accuracy)

    def last(self) -> tuple[float | None, float | None]:
        """Loss and accuracy, None before there are any."""
        with self._lock:
            return (self._loss[-1], _known(self._accuracy[-1])) if self._loss else (None, None)

    def __len__(self) -> int:
        return len(self._loss)

    @property
    def _columns(self) -> dict[str, array]:
        return {**self._integers, "loss": self._loss, "accuracy": self._accuracy}

    def arrays(self, rows: int) -> dict[str, np.ndarray]:
        """The first so many rows, to be kept; accuracy is NaN where there is none."""
        with self._lock:
            return {name: np.array(values[:rows]) for name, values in self._columns.items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """The rows that `arrays` answered. Raises ValueError when they are none."""
        columns = self._columns
        if arrays.keys() != columns.keys() or len({values.shape for values in arrays.values()}) != 1:
            raise ValueError(f"expected the columns {', '.join(columns)}, as long as one another")
        with self._lock:
            for name, values in columns.items():
                values[:] = array(values.typecode, arrays[name].astype(values.typecode).tobytes())

    def document(self, since: int = 0, points: int = 0) -> dict[str, Any]:
        """The columns after step `since`; of more than `points` rows, evenly chosen ones with the first and last."""
        columns = self.arrays(len(self))
        rows = np.arange(np.searchsorted(columns["step"], since, "right"), len(columns["step"]))
        if points and len(rows) > points:
            rows = rows[np.rint(np.arange(points) * (len(rows) - 1) / max(1, points - 1)).astype(int)]
        taken = {name: values[rows].tolist() for name, values in columns.items()}
        return taken | {"accuracy": list(map(_known, taken["accuracy"]))}


def _known(accuracy: float) -> float | None:
    return None if math.isnan(accuracy) else accuracy


class Figures:
    """Of each minibatch; of some thousand test images now and then; of the whole test set at each epoch's end."""

    def __init__(self) -> None:
        self.train = Column("step")
        self.probe = Column("step")
        self.test = Column("epoch", "step")

    @property
    def columns(self) -> dict[str, Column]:
        return {"train": self.train, "probe": self.probe, "test": self.test}

    def document(self, since: int = 0, points: int = 0) -> dict[str, Any]:
        return {
            **self.train.document(since, points),
            "probe": self.probe.document(since, points),
            "test": self.test.document(since, points),
        }
