"""Datasets: the idx format of MNIST, and where the files are."""

from __future__ import annotations

import hashlib
import math
import re
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

Array = np.ndarray

MNIST_FOLDER = Path(__file__).parent / "mnist"

#: sha256 of the decompressed files of LeCun, Cortes and Burges.
MNIST_HASHES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

IDX_TYPES: dict[int, np.dtype] = {
    8: np.dtype(np.uint8),
    9: np.dtype(np.int8),
    11: np.dtype(">i2"),
    12: np.dtype(">i4"),
    13: np.dtype(">f4"),
    14: np.dtype(">f8"),
}
#: Rows that are written at once.
ROWS = 1024


class DataError(ValueError):
    """A file that is missing or not what it should be."""


def read_idx(path: Path, sha256: str | None = None) -> Array:
    """The array in an idx file, gzipped or not; DataError when it is damaged or not the file that was meant."""
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":  # its last bytes say how long the content is, so that it is unpacked in place
            content = zlib.decompress(content, wbits=31, bufsize=int.from_bytes(content[-4:], "little"))
    except (OSError, zlib.error) as error:
        raise DataError(f"{path.name}: cannot be read: {error}") from None
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(f"{path.name}: its content is not the original file's (sha256 differs)")
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in IDX_TYPES:
        raise DataError(f"{path.name}: no idx file")
    dtype, axes = IDX_TYPES[content[2]], content[3]
    start = 4 + 4 * axes
    if len(content) < start:
        raise DataError(f"{path.name}: {len(content)} bytes do not hold the sizes of {axes} axes")
    shape = struct.unpack_from(f">{axes}I", content, 4)
    if len(content) != start + dtype.itemsize * math.prod(shape):
        raise DataError(f"{path.name}: {len(content)} bytes do not hold an array of {list(shape)}")
    return np.frombuffer(content, dtype, offset=start).reshape(shape)


def write_idx(path: Path, array: Array) -> None:
    """The array as an idx file, not gzipped; ValueError for a type that idx does not have."""
    code = next((code for code, dtype in IDX_TYPES.items() if dtype == array.dtype.newbyteorder(">")), None)
    if code is None:
        raise ValueError(f"idx has no type {array.dtype}")
    with path.open("wb") as file:
        file.write(struct.pack(f">4B{array.ndim}I", 0, 0, code, array.ndim, *array.shape))
        for start in range(0, len(array), ROWS):
            file.write(array[start : start + ROWS].astype(IDX_TYPES[code]).tobytes())


@dataclass(frozen=True)
class Split:
    """Images (M, C, H, W), uint8 or float, and targets (M,) or (M, ...)."""

    images: Array
    targets: Array

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: Array | slice, dtype: type = np.float32) -> tuple[Array, Array]:
        """Images as numbers 0..1 (byte / 255) and their targets: class numbers, or numbers in the images' dtype."""
        images = self.images[indices]
        x = images.astype(dtype) / dtype(255) if images.dtype == np.uint8 else images.astype(dtype)
        targets = self.targets[indices]
        return x, targets.astype(np.int64 if targets.dtype.kind in "iu" else dtype)


@dataclass(frozen=True)
class Dataset:
    """Splits by name, "train" and "test"; `classes` are the names of the classes, () where targets are no classes;
    `notes` say what was done to the files' numbers."""

    name: str
    title: str
    splits: Mapping[str, Split]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    source: str = ""
    licence: str = ""

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.splits["train"].images.shape[1:]


#: Of given arrays so many at the least are needed to hold a share of them out for testing.
ENOUGH, HELD_OUT = 50, 10


def from_arrays(
    x: Array,
    target: Array,
    name: str = "given",
    test: tuple[Array, Array] | None = None,
    seed: int | None = None,
) -> Dataset:
    """A dataset of arrays at hand. It is tested on `test`; without it on one in HELD_OUT, drawn by the seed; without
    a seed, or where there are fewer than ENOUGH, on what it is trained on."""
    if len(x) != len(target) or len(x) == 0:
        raise DataError(f"{len(x)} images and {len(target)} targets: expected the same number, at least 1")
    images, targets = np.asarray(x), np.asarray(target)
    whole, note = Split(images, targets), "tested on the training images: there are too few to hold some out"
    if test is not None:
        if len(test[0]) != len(test[1]) or len(test[0]) == 0:
            raise DataError(f"{len(test[0])} test images and {len(test[1])} test targets: expected the same number")
        splits = {"train": whole, "test": Split(np.asarray(test[0]), np.asarray(test[1]))}
        return Dataset(name, name, splits, class_names(splits.values()))
    if seed is not None and len(images) >= ENOUGH:
        order = np.random.default_rng([seed, HOLDING_OUT]).permutation(len(images))
        held = np.sort(order[: len(images) // HELD_OUT])
        left = np.sort(order[len(images) // HELD_OUT :])
        splits = {"train": Split(images[left], targets[left]), "test": Split(images[held], targets[held])}
        note = f"{len(held)} of {len(images)} images, drawn by the seed, are held out for testing"
        return Dataset(name, name, splits, class_names(splits.values()), (note,))
    return Dataset(name, name, {"train": whole, "test": whole}, class_names([whole]), (note,))


#: The purpose of a seeded generator, beside those of training.
HOLDING_OUT = 3


def class_names(splits: Iterable[Split]) -> tuple[str, ...]:
    """Numbers, as many as the labels count; none where targets are no class numbers."""
    targets = [split.targets for split in splits]
    if any(each.ndim != 1 or each.dtype.kind not in "iu" for each in targets):
        return ()
    return tuple(map(str, range(1 + max(int(each.max(initial=0)) for each in targets))))


# folders of idx files -----------------------------------------------------------------------------------------------

#: What a file's name says: which split, and whether it holds images or labels. As MNIST's and EMNIST's makers, and
#: those who copied them, name them.
FILE = re.compile(
    r"(?:(?P<set>.*?)[-_.])?(?P<split>train|t10k|test|valid(?:ation)?)[-_.](?P<kind>images|labels)[-_.]idx(?P<axes>\d)"
    r"(?:[-_.](?:u?byte|short|int|float|double))?(?:\.gz)?",
    re.IGNORECASE,
)
FASHION = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
#: sha256 of Fashion-MNIST's test labels, which carry no names.
FASHION_LABELS = "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"


def idx_folder(folder: Path, name: str, title: str = "", hashes: Mapping[str, str] | None = None) -> Dataset:
    """Images and labels of two splits in a folder, gzipped or not, and perhaps the classes' names, a line each, in
    classes.txt. DataError says which file is missing or not what it should be."""
    files = _files(folder)
    notes: list[str] = []
    splits: dict[str, Split] = {}
    for split in ("train", "test"):
        parts = {kind: files.get((split, kind)) for kind in ("images", "labels")}
        for kind, path in parts.items():
            if path is None:
                stem = f"{'train' if split == 'train' else 't10k'}-{kind}-idx{3 if kind == 'images' else 1}-ubyte"
                raise DataError(f"{stem}.gz is not in {folder.name}/")
        stems = {kind: path.name.removesuffix(".gz") for kind, path in parts.items() if path}
        arrays = {kind: read_idx(path, hashes[stems[kind]] if hashes else None) for kind, path in parts.items() if path}
        images, labels = _images(arrays["images"], stems["images"], notes), _labels(arrays["labels"], stems, notes)
        if len(images) != len(labels):
            raise DataError(f"{name}: {len(images)} images do not go with {len(labels)} labels")
        splits[split] = Split(images, labels)
    if splits["train"].images.shape[1:] != splits["test"].images.shape[1:]:
        shapes = " and ".join(str(list(split.images.shape[1:])) for split in splits.values())
        raise DataError(f"{name}: training and test images have other shapes, {shapes}")
    splits = _from_zero(splits, notes)
    classes = _class_names(folder, files, splits)
    return Dataset(name, title or name, splits, classes, tuple(dict.fromkeys(notes)))


def _files(folder: Path) -> dict[tuple[str, str], Path]:
    """The file of each split and kind; DataError where several would do."""
    found: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.iterdir()):
        match = FILE.fullmatch(path.name)
        if match and path.is_file():
            key = ("train" if match["split"].lower() == "train" else "test", match["kind"].lower())
            before = found.get(key)
            if before is not None and before.name.removesuffix(".gz") != path.name.removesuffix(".gz"):
                raise DataError(f"{folder.name}/ has two files of {key[0]} {key[1]}: {before.name} and {path.name}")
            found[key] = before if before is not None and before.suffix == ".gz" else path
    return found


def _images(array: Array, stem: str, notes: list[str]) -> Array:
    """(N, C, H, W), bytes or numbers of 0..1."""
    if array.ndim == 4 and array.shape[1] not in (1, 3) and array.shape[3] in (1, 3):
        array = np.ascontiguousarray(array.transpose(0, 3, 1, 2))
        notes.append(f"{stem}: channels stood last and were moved")
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or 0 in array.shape:
        raise DataError(f"{stem}: {list(array.shape)} is no stack of images; expected [N, H, W] or [N, C, H, W]")
    return scaled(array, stem, notes)


def scaled(array: Array, what: str, notes: list[str]) -> Array:
    """Pixels as bytes, or as numbers of 0..1; what was done is noted. DataError for what is no picture."""
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"{what}: it holds NaN or infinity")
    low, high = float(array.min()), float(array.max())
    if -1 <= low and high <= 1:
        return array.astype(np.float32)
    if low >= 0 and high <= 255:
        notes.append(f"{what}: numbers of 0 to {high:g} were taken for bytes and divided by 255")
        return (array / 255).astype(np.float32)
    if array.dtype.kind in "iu":
        most = float(np.iinfo(array.dtype).max)
        notes.append(f"{what}: whole numbers of {low:g} to {high:g} were divided by their type's largest, {most:g}")
        return (array / most).astype(np.float32)
    raise DataError(f"{what}: pixels of {low:g} to {high:g}; expected 0 to 1, or 0 to 255")


def _labels(array: Array, stems: Mapping[str, str], notes: list[str]) -> Array:
    stem = stems["labels"]
    if array.ndim == 2 and array.dtype.kind == "f" and array.size and np.isfinite(array).all():
        return array.astype(np.float32)  # numbers to be predicted, and no classes
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    elif array.ndim == 2 and array.shape[1] > 1:
        if np.isin(array, (0, 1)).all() and (array.sum(1) == 1).all():
            notes.append(f"{stem}: one column a class was made class numbers")
            array = array.argmax(1)
        else:
            notes.append(f"{stem}: of {array.shape[1]} columns the first was taken for the class")
            array = array[:, 0]
    if array.ndim != 1 or len(array) == 0:
        raise DataError(f"{stem}: {list(array.shape)} is no list of labels")
    if not np.isfinite(array).all() or (array != np.floor(array)).any() or array.min() < 0 or array.max() >= 2**16:
        raise DataError(f"{stem}: labels are class numbers, whole and from 0")
    return array.astype(np.uint8 if array.max() < 256 else np.int64)


def _from_zero(splits: dict[str, Split], notes: list[str]) -> dict[str, Split]:
    """Labels that count from 1, as EMNIST's letters do, count from 0 then."""
    if any(split.targets.dtype.kind == "f" for split in splits.values()):
        return splits
    lowest = min(int(split.targets.min()) for split in splits.values())
    if lowest != 1:
        return splits
    notes.append("labels count from 1 in the files, and from 0 here")
    return {name: Split(split.images, split.targets - 1) for name, split in splits.items()}


def _class_names(folder: Path, files: Mapping[tuple[str, str], Path], splits: Mapping[str, Split]) -> tuple[str, ...]:
    counted = class_names(splits.values())
    listed = folder / "classes.txt"
    if listed.is_file():
        try:
            names = tuple(line.strip() for line in listed.read_text("utf-8").splitlines() if line.strip())
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"classes.txt: cannot be read: {error}") from None
        if len(names) < len(counted):
            raise DataError(f"classes.txt names {len(names)} classes, the labels count {len(counted)}")
        return names
    try:
        content = files["test", "labels"].read_bytes()
        plain = zlib.decompress(content, wbits=31) if content[:2] == b"\x1f\x8b" else content
    except (OSError, zlib.error):
        return counted
    return FASHION if hashlib.sha256(plain).hexdigest() == FASHION_LABELS else counted


@cache
def mnist() -> Dataset:
    """The full MNIST: 60,000 training and 10,000 test images of 28 x 28; read and checked once."""
    found = idx_folder(MNIST_FOLDER, "mnist", "MNIST handwritten digits", MNIST_HASHES)
    return replace(found, source="Yann LeCun, Corinna Cortes, Christopher J. C. Burges", licence="CC BY-SA 3.0")
