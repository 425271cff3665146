"""What a file of data holds, whatever its format, and how it is kept: as idx files in a folder."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from app.formats import json
from app.problems import Problem
from engine.data import DataError, Dataset, Split, from_arrays, scaled, write_idx

Array = np.ndarray

#: What is known of a data set beside its arrays and the names of its classes.
ABOUT = "dataset.json"
DAY = 86_400
LONGEST_NAME, MOST_CLASSES = 60, 10_000


@dataclass
class Gathered:
    """`images` (N, C, H, W), bytes or numbers; `labels` (N), class numbers from 0, or (N, K) numbers to be predicted;
    `test` holds images and labels of its own, where the file has them."""

    images: Array
    labels: Array
    classes: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    test: tuple[Array, Array] | None = None
    title: str = ""
    source: str = ""
    licence: str = ""

    def dataset(self, name: str, seed: int) -> Dataset:
        """With a test split: the file's, or one drawn by the seed. Pixels are bytes or 0..1."""
        notes = list(self.notes)
        images = scaled(self.images, "images", notes)
        test = None
        if self.test is not None:
            test = scaled(self.test[0], "test images", notes), self.test[1]
            if test[0].shape[1:] != images.shape[1:]:
                shapes = f"{list(images.shape[1:])} and {list(test[0].shape[1:])}"
                raise DataError(f"training and test images have different shapes: {shapes}")
        found = from_arrays(images, self.labels, name, test, seed)
        classes = self.classes if self.labels.ndim == 1 else ()
        return Dataset(
            name,
            self.title or name,
            found.splits,
            classes or found.classes,
            (*dict.fromkeys([*notes, *found.notes]),),
            self.source,
            self.licence,
        )


def one_line(text: str) -> str:
    """A class's name as it can stand in a list: one line, at most LONGEST_NAME characters."""
    plain = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return plain[:LONGEST_NAME] or "unnamed"


def natural(text: str) -> list[Any]:
    """A key that sorts 2 before 10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d{1,15})", text) if part]


def numbered(names: list[str], order: list[str] | None = None) -> tuple[Array, tuple[str, ...]]:
    """Class numbers from 0 and the classes' names, in natural order; DataError for too many classes."""
    classes = order or sorted(set(names), key=natural)
    if len(classes) > MOST_CLASSES:
        raise DataError(f"{len(classes)} classes; at most {MOST_CLASSES} are taken")
    place = {name: number for number, name in enumerate(classes)}
    return np.array([place[name] for name in names], np.int64), tuple(map(one_line, classes))


def save(found: Dataset, folder: Path, extra: dict[str, Any]) -> None:
    """As idx files, as `idx_folder` reads them."""
    folder.mkdir(parents=True)
    for split, stem in (("train", "train"), ("test", "t10k")):
        part: Split = found.splits[split]
        images, labels = np.ascontiguousarray(part.images), part.targets
        kind = "ubyte" if images.dtype == np.uint8 else "float"
        write_idx(folder / f"{stem}-images-idx4-{kind}", images if kind == "ubyte" else images.astype(np.float32))
        if labels.dtype.kind in "iu":
            labels = labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.int32)
        else:
            labels = labels.astype(np.float32).reshape(len(labels), -1)
        kind = {"u": "ubyte", "i": "int"}.get(labels.dtype.kind, "float")
        write_idx(folder / f"{stem}-labels-idx{labels.ndim}-{kind}", labels)
    if found.classes:
        (folder / "classes.txt").write_text("".join(f"{name}\n" for name in found.classes), "utf-8")
    about = {"title": found.title, "source": found.source, "licence": found.licence, "notes": list(found.notes)}
    (folder / ABOUT).write_bytes(json.encode({**about, **extra}))


def about(folder: Path) -> dict[str, Any]:
    """What ABOUT says; nothing where there is none, or none that can be read."""
    with suppress(OSError, Problem):
        path = folder / ABOUT
        if path.stat().st_size <= 1 << 20:
            value = json.decode(path.read_bytes())
            if isinstance(value, dict):
                return value
    return {}


def scratch(root: Path) -> Path:
    """A new folder for what is under way; the caller removes it."""
    folder = root / f".incoming-{time.time_ns():x}"
    folder.mkdir(parents=True)
    return folder


def clear_scratch(root: Path) -> None:
    """Remove what was left under way more than a day ago: nobody works on that any more."""
    with suppress(OSError):
        for folder in root.glob(".incoming-*"):
            if time.time() - folder.stat().st_mtime > DAY:
                shutil.rmtree(folder, ignore_errors=True)
