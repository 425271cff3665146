"""The data sets this server has: MNIST, and every folder of idx files under <data>/datasets."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from app.problems import missing
from engine.data import DataError, Dataset, Split, idx_folder, mnist

logger = logging.getLogger("convscope")

MNIST = "mnist"
Signature = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class _Summary:
    """What a folder held when it was last read: its files then, and a description or the reason why it has none."""

    signature: Signature
    description: dict[str, Any]
    problem: str = ""


class Datasets:
    """Folders are looked for at every call, so that a new one needs no restart. A data set lies in memory only as long
    as somebody holds it. For the pool: the first look at a folder reads it."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "datasets"
        self._lock = threading.RLock()
        self._held: WeakValueDictionary[tuple[str, Signature], Dataset] = WeakValueDictionary()
        self._latest: Dataset | None = None  # so that pages of images do not read a folder again and again
        self._summaries: dict[str, _Summary] = {}

    def names(self) -> list[str]:
        """Those that can be used."""
        return [each["name"] for each in self.describe() if not each["problem"]]

    def get(self, name: str) -> Dataset:
        """404 where there is none of that name, or with the reason why it cannot be read."""
        with self._lock:
            if name == MNIST:
                try:
                    return mnist()
                except DataError as error:
                    raise missing(f"the data set {name!r} cannot be read: {error}") from None
            folder = self._folders().get(name)
            if folder is None:
                raise missing(f"there is no data set {name[:80]!r}; there are: {', '.join(self.names())}")
            try:
                return self._read(name, folder)
            except DataError as error:
                raise missing(f"the data set {name!r} cannot be read: {error}") from None

    def holds(self, dataset: Dataset) -> bool:
        """Whether this is one of the server's own, so that its name says all."""
        try:
            return self.get(dataset.name) is dataset
        except Exception:  # no such folder any more
            return False

    def own_bytes(self, dataset: Dataset) -> int:
        """Of a data set that somebody brought along; 0 for one of the server's own."""
        if self.holds(dataset):
            return 0
        return sum(each.nbytes for split in dataset.splits.values() for each in (split.images, split.targets))

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
        """Every data set, MNIST first; one that cannot be read with the reason in `problem`."""
        with self._lock:
            folders = self._folders()
            self._summaries = {name: each for name, each in self._summaries.items() if name in folders}
            return [self._mnist(), *(self._summary(name, folder).description for name, folder in folders.items())]

    def _mnist(self) -> dict[str, Any]:
        try:
            return description(mnist())
        except DataError as error:
            return no_description(MNIST, str(error))

    def _folders(self) -> dict[str, Path]:
        try:
            return {path.name: path for path in sorted(self._folder.iterdir()) if path.is_dir() and path.name != MNIST}
        except OSError:
            return {}

    def _summary(self, name: str, folder: Path) -> _Summary:
        known = self._summaries.get(name)
        try:
            signature = _signature(folder)
            if known is None or known.signature != signature:
                known = _Summary(signature, description(self._read(name, folder)))
        except (DataError, OSError) as error:
            signature = () if isinstance(error, OSError) else _signature(folder)
            if known is None or known.signature != signature or not known.problem:
                logger.error("the data set in %s cannot be read: %s", folder.name, error)
            known = _Summary(signature, no_description(name, str(error)), str(error))
        self._summaries[name] = known
        return known

    def _read(self, name: str, folder: Path) -> Dataset:
        key = (name, _signature(folder))
        found = self._held.get(key)
        if found is None:
            try:
                found = idx_folder(folder, name)
            except (OSError, ValueError, MemoryError) as error:
                if isinstance(error, DataError):
                    raise
                raise DataError(f"{type(error).__name__}: {error}") from None
            self._held[key] = found
        self._latest = found
        return found


def _signature(folder: Path) -> Signature:
    stats = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def description(found: Dataset) -> dict[str, Any]:
    return {
        "name": found.name,
        "title": found.title,
        "classes": list(found.classes),
        "splits": {split: len(part) for split, part in found.splits.items()},
        "shape": list(found.input_shape),
        "source": found.source,
        "licence": found.licence,
        "notes": list(found.notes),
        "problem": "",
    }


def no_description(name: str, problem: str) -> dict[str, Any]:
    nothing: dict[str, Any] = {"classes": [], "splits": {}, "shape": [], "source": "", "licence": "", "notes": []}
    return {"name": name, "title": name, **nothing, "problem": problem}
