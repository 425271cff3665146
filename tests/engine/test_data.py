"""The idx format, the four files of MNIST, and batches of them."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from engine.data import MNIST_HASHES, DataError, from_arrays, idx_folder, mnist, read_idx


def idx(array: np.ndarray, code: int = 8) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape) + array.tobytes()


def folder_of(path: Path, images: int = 3, labels: int = 3) -> Path:
    for stem in MNIST_HASHES:
        array = np.zeros((images, 2, 2) if "images" in stem else labels, np.uint8)
        (path / f"{stem}.gz").write_bytes(gzip.compress(idx(array)))
    return path


def test_mnist_is_all_there_as_its_makers_published_it() -> None:
    data = mnist()
    assert data.splits["train"].images.shape == (60000, 1, 28, 28)
    assert data.splits["test"].images.shape == (10000, 1, 28, 28)
    assert data.input_shape == (1, 28, 28)
    assert np.bincount(data.splits["test"].targets).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_a_batch_is_byte_over_255_in_float32_and_class_numbers() -> None:
    x, target = mnist().splits["test"].batch(np.array([0, 1]))
    assert x.dtype == np.float32 and target.dtype == np.int64 and target.tolist() == [7, 2]
    images = mnist().splits["test"].images[:2]
    assert x.min() == 0 and np.array_equal(x, images.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize(
    ("array", "code"),
    [
        (np.array([[1, 255]], np.uint8), 8),
        (np.array([1, -2], ">i2"), 11),
        (np.array([1.5, -2], ">f4"), 13),
    ],
)
def test_an_idx_file_is_read_plain_or_zipped(tmp_path: Path, array: np.ndarray, code: int) -> None:
    (tmp_path / "a").write_bytes(idx(array, code))
    (tmp_path / "a.gz").write_bytes(gzip.compress(idx(array, code)))
    for name in ("a", "a.gz"):
        assert np.array_equal(read_idx(tmp_path / name), array)


GOOD = idx(np.arange(6, dtype=np.uint8).reshape(2, 3))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no idx file"),
        (GOOD[1:], "no idx file"),
        (GOOD[:-1], "do not hold an array of"),
        (GOOD + b"0", "do not hold an array of"),
        (b"\0\0\7\1" + GOOD[4:], "no idx file"),
        (GOOD[:9], "do not hold the sizes of 2 axes"),
    ],
)
def test_a_damaged_idx_file_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_idx(tmp_path / "a")


def test_a_file_that_is_not_the_original_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(GOOD)
    with pytest.raises(DataError, match="sha256 differs"):
        read_idx(tmp_path / "a", sha256="0" * 64)
    for content in (b"", b"no gzip", gzip.compress(GOOD)[:-9]):
        (tmp_path / "a.gz").write_bytes(content)
        with pytest.raises(DataError, match="cannot be read"):
            read_idx(tmp_path / "a.gz")


def test_a_folder_of_idx_files_is_a_dataset(tmp_path: Path) -> None:
    data = idx_folder(folder_of(tmp_path), "mine")
    assert data.name == "mine" and data.splits["train"].images.shape == (3, 1, 2, 2)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz is not in"):
        idx_folder(tmp_path, "mine")


def test_images_without_their_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="do not go with"):
        idx_folder(folder_of(tmp_path, images=3, labels=2), "mine")
    with pytest.raises(DataError, match="2 images and 3 targets"):
        from_arrays(np.zeros((2, 1, 2, 2)), np.zeros(3, int))
