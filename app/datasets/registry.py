"""The data sets this server has: MNIST, and every folder of idx files under <data>/datasets."""

from __future__ import annotations

import itertools
import logging
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from app.datasets import gathered
from app.datasets.gathered import Gathered
from app.datasets.reader import read_data
from app.limits import Limits
from app.problems import conflict, invalid, missing, over_limit, too_many, unavailable
from engine.data import DataError, Dataset, Split, idx_folder, mnist
from engine.models import network_for

logger = logging.getLogger("convscope")

MNIST = "mnist"
#: What an added data set may be called: it is a folder's name, and stands in addresses.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+-]{0,59}")
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
        self._arriving = 0
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

    def image(self, name: str, split: str, index: int) -> tuple[np.ndarray, Any]:
        """Pixels (C, H, W) as stored, and the label: a class number, or numbers to be predicted."""
        found = self.split(name, split)
        if not 0 <= index < len(found):
            raise missing(f"{name}/{split} has the images 0 to {len(found) - 1}, not {index}")
        return found.images[index], found.targets[index].tolist()

    @property
    def downloads(self) -> Path:
        """Where packages arrive, so that one that was cut off can be gone on with."""
        return self._folder / ".downloads"

    def clear(self) -> None:
        """Remove what an earlier start left half done."""
        gathered.clear_scratch(self._folder)

    # added and deleted ----------------------------------------------------------------------------------------------

    def check_new(self, name: str, limits: Limits) -> None:
        """422 for a name that none may have, 409 for one that is taken, 413 where there are too many already."""
        if not NAME.fullmatch(name):
            raise invalid(
                f"expected a name of 1 to 60 letters, digits, spaces and _ . + -, got {name[:80]!r}", ["query", "name"]
            )
        folders = self._folders()
        if name.lower() in {MNIST, *(each.lower() for each in folders)}:
            raise conflict(f"there is a data set {name!r} already; delete it first, or choose another name")
        if len(folders) >= limits.datasets:
            raise over_limit("datasets", limits.datasets, f"{len(folders)} data sets are kept; delete one first")
        held = sum(size for folder in folders.values() for _, size, _ in _signature(folder))
        if held > limits.stored_datasets_bytes:
            words = f"the data sets take {held} bytes of the disk; delete one first"
            raise over_limit("stored_datasets_bytes", limits.stored_datasets_bytes, words)

    def free_name(self) -> str:
        """For a data set that nobody has named."""
        taken = {name.lower() for name in self._folders()}
        return next(name for count in itertools.count(1) if (name := f"data{count}") not in taken)

    @contextmanager
    def room(self, limits: Limits) -> Iterator[Path]:
        """An empty folder for a file that arrives and what is made of it; 429 while many are under way, 503 where
        nothing can be written."""
        with self._lock:
            if self._arriving >= limits.uploads:
                raise too_many("uploads", limits.uploads, f"{self._arriving} files of data sets arrive already", 5)
            self._arriving += 1
        folder: Path | None = None
        try:
            try:
                folder = gathered.scratch(self._folder)
            except OSError as error:
                raise unavailable(f"the server cannot keep data sets: {error.strerror}", retry_after=60) from None
            yield folder
        finally:
            with self._lock:
                self._arriving -= 1
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)

    def add_file(
        self, path: Path, name: str, limits: Limits, *, size: int | None = None, seed: int = 0, owner: str = ""
    ) -> dict[str, Any]:
        """The description of a new data set made of the file, which lies alone in a folder from `room`; 422 with what
        is wrong with it. `size` is the height and width of pictures; `owner` is the hash of a token."""
        try:
            return self.add(read_data(path, size, limits, path.parent), name, path.parent, limits, seed, owner)
        except DataError as error:
            raise invalid(str(error)) from None

    def add(
        self, found: Gathered, name: str, room: Path, limits: Limits, seed: int = 0, owner: str = ""
    ) -> dict[str, Any]:
        made = found.dataset(name, seed)
        try:
            gathered.save(made, room / "made", {"owner": owner} if owner else {})
            with self._lock:
                self.check_new(name, limits)
                (room / "made").rename(self._folder / name)
        except OSError as error:
            raise unavailable(f"the data set cannot be kept: {error.strerror}", retry_after=60) from None
        with self._lock:
            return self._summary(name, self._folder / name).description

    def owner_of(self, name: str) -> str:
        """The hash of the token under which it was added, "" where anybody may delete it."""
        folder = self._folders().get(name)
        return str(gathered.about(folder).get("owner", "")) if folder else ""

    def delete(self, name: str) -> None:
        """404 where there is none, 409 for MNIST."""
        if name == MNIST:
            raise conflict("MNIST comes with Convscope and cannot be deleted")
        with self._lock:
            folder = self._folders().get(name)
            if folder is None:
                raise missing(f"there is no data set {name[:80]!r}; there are: {', '.join(self.names())}")
            gone = gathered.scratch(self._folder)
            folder.rename(gone / "gone")
            self._latest = None
        shutil.rmtree(gone, ignore_errors=True)

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
            return {
                path.name: path
                for path in sorted(self._folder.iterdir())
                if path.is_dir() and path.name != MNIST and not path.name.startswith(".")
            }
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
                found = _read_folder(folder, name)
            except (OSError, ValueError, MemoryError) as error:
                if isinstance(error, DataError):
                    raise
                raise DataError(f"{type(error).__name__}: {error}") from None
            self._held[key] = found
        self._latest = found
        return found


def _read_folder(folder: Path, name: str) -> Dataset:
    """With what its folder says of it."""
    found, about = idx_folder(folder, name), gathered.about(folder)
    notes = about.get("notes")
    return replace(
        found,
        title=str(about.get("title") or found.title),
        source=str(about.get("source", "")),
        licence=str(about.get("licence", "")),
        notes=(*map(str, notes if isinstance(notes, list) else ()), *found.notes),
    )


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
        "network": _network(found),
        "problem": "",
    }


def _network(found: Dataset) -> dict[str, Any]:
    """With as many outputs as there are classes, or numbers to be predicted."""
    targets = found.splits["train"].targets
    outputs = len(found.classes) if targets.ndim == 1 else targets.shape[1]
    return network_for(found.input_shape, outputs, classes=targets.ndim == 1)


def no_description(name: str, problem: str) -> dict[str, Any]:
    nothing: dict[str, Any] = {"classes": [], "splits": {}, "shape": [], "source": "", "licence": "", "notes": []}
    return {"name": name, "title": name, **nothing, "network": None, "problem": problem}
