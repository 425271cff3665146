"""Datasets: the idx format of MNIST, and where the files are."""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
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
    name: str
    title: str
    splits: Mapping[str, Split]

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.splits["train"].images.shape[1:]


def from_arrays(x: Array, target: Array, name: str = "given") -> Dataset:
    """A dataset of arrays at hand: it is trained on and tested on alike."""
    if len(x) != len(target) or len(x) == 0:
        raise DataError(f"{len(x)} images and {len(target)} targets: expected the same number, at least 1")
    split = Split(np.asarray(x), np.asarray(target))
    return Dataset(name, name, {"train": split, "test": split})


def idx_folder(folder: Path, name: str, title: str = "", hashes: Mapping[str, str] | None = None) -> Dataset:
    """The four files of MNIST's naming in a folder, gzipped or not."""
    arrays = {}
    for stem in MNIST_HASHES:
        found = [path for path in (folder / f"{stem}.gz", folder / stem) if path.exists()]
        if not found:
            raise DataError(f"{stem}.gz is not in {folder.name}/")
        arrays[stem] = read_idx(found[0], hashes[stem] if hashes else None)
    splits = {}
    for split, stem in (("train", "train"), ("test", "t10k")):
        images, labels = arrays[f"{stem}-images-idx3-ubyte"], arrays[f"{stem}-labels-idx1-ubyte"]
        if images.ndim != 3 or len(images) != len(labels):
            raise DataError(f"{name}: {list(images.shape)} images do not go with {list(labels.shape)} labels")
        splits[split] = Split(images[:, None], labels)
    return Dataset(name, title or name, splits)


@cache
def mnist() -> Dataset:
    """The full MNIST: 60,000 training and 10,000 test images of 28 x 28; read and checked once."""
    return idx_folder(MNIST_FOLDER, "mnist", "MNIST handwritten digits", MNIST_HASHES)
