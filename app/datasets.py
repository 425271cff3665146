"""The data sets this server has: MNIST, and every folder of idx files under <data>/datasets."""

from __future__ import annotations

import logging
import threading
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from app.problems import missing
from engine.data import DataError, Dataset, Split, idx_folder, mnist

logger = logging.getLogger("convscope")


class Datasets:
    """Read on first use, each once; call it from the pool."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "datasets"
        self._lock = threading.RLock()

    @cached_property
    def _all(self) -> dict[str, Dataset]:
        found = {}
        try:
            found["mnist"] = mnist()
        except DataError as error:
            logger.error("MNIST cannot be read: %s", error)
        for folder in sorted(self._folder.glob("*/")) if self._folder.is_dir() else ():
            try:
                found.setdefault(folder.name, idx_folder(folder, folder.name))
            except DataError as error:
                logger.error("the data set in %s cannot be read: %s", folder, error)
        return found

    def all(self) -> dict[str, Dataset]:
        with self._lock:
            return self._all

    def get(self, name: str) -> Dataset:
        found = self.all()
        if name not in found:
            raise missing(f"there is no data set {name!r}; there are: {', '.join(found)}")
        return found[name]

    def split(self, name: str, split: str) -> Split:
        splits = self.get(name).splits
        if split not in splits:
            raise missing(f"{name} has no split {split!r}; it has: {', '.join(splits)}")
        return splits[split]

    def image(self, name: str, split: str, index: int) -> tuple[np.ndarray, int]:
        """Pixels (C, H, W) as stored, and the label."""
        found = self.split(name, split)
        if not 0 <= index < len(found):
            raise missing(f"{name}/{split} has the images 0 to {len(found) - 1}, not {index}")
        return found.images[index], int(found.targets[index])

    def describe(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "title": each.title,
                "classes": 1 + max(int(split.targets.max()) for split in each.splits.values()),
                "splits": {split: len(part) for split, part in each.splits.items()},
                "shape": list(each.input_shape),
            }
            for name, each in self.all().items()
        ]
