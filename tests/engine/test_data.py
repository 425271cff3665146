"""The idx format, the four files of MNIST, and batches of them."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from engine.data import FASHION, MNIST_HASHES, DataError, from_arrays, idx_folder, mnist, read_idx


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


# folders as people have them ----------------------------------------------------------------------------------------


def own(
    path: Path,
    images: np.ndarray,
    labels: np.ndarray,
    code: int = 8,
    names: str = "{split}-{kind}-idx{axes}-ubyte",
    label_code: int = 8,
) -> Path:
    """Both splits alike, under names of this form."""
    for split in ("train", "t10k"):
        for kind, array, number in (("images", images, code), ("labels", labels, label_code)):
            name = names.format(split="test" if "." in names and split == "t10k" else split, kind=kind, axes=array.ndim)
            (path / name).write_bytes(idx(array, number))
    return path


GREY = np.arange(3 * 2 * 2, dtype=np.uint8).reshape(3, 2, 2) * 20
THREE = np.array([0, 1, 2], np.uint8)


@pytest.mark.parametrize(
    "names",
    [
        "{split}-{kind}-idx{axes}-ubyte",
        "{split}-{kind}.idx{axes}-ubyte",
        "emnist-letters-{split}-{kind}-idx{axes}-ubyte",
        "EMNIST_{split}_{kind}_idx{axes}_ubyte",
    ],
)
def test_files_are_found_under_the_names_that_people_gave_them(tmp_path: Path, names: str) -> None:
    data = idx_folder(own(tmp_path, GREY, THREE, names=names), "own")
    assert data.splits["test"].images.shape == (3, 1, 2, 2) and data.classes == ("0", "1", "2")


def test_two_sets_in_one_folder_are_not_mixed(tmp_path: Path) -> None:
    own(own(tmp_path, GREY, THREE), GREY, THREE, names="other-{split}-{kind}-idx{axes}-ubyte")
    with pytest.raises(DataError, match="two files of"):
        idx_folder(tmp_path, "own")


@pytest.mark.parametrize(
    ("array", "code", "note"),
    [
        (GREY.astype(">i2"), 11, "taken for bytes and divided by 255"),
        (GREY.astype(">i4"), 12, "taken for bytes and divided by 255"),
        (GREY.astype(">f4"), 13, "taken for bytes and divided by 255"),
        ((GREY / 255).astype(">f8"), 14, ""),
        ((GREY.astype(np.int64) * 100).astype(">i2"), 11, "divided by their type's largest, 32767"),
    ],
)
def test_pixels_of_any_type_are_0_to_1_and_what_was_done_is_said(
    tmp_path: Path, array: np.ndarray, code: int, note: str
) -> None:
    data = idx_folder(own(tmp_path, array, THREE, code), "own")
    x, _ = data.splits["train"].batch(slice(0, 3))
    most = 32767 / 100 if "32767" in note else 255
    assert np.allclose(x[:, 0], GREY / most, atol=1e-6)
    assert note in " ".join(data.notes) and bool(note) == bool(data.notes)


def test_colour_images_are_taken_with_channels_first_or_last(tmp_path: Path) -> None:
    colour = np.arange(3 * 4 * 5 * 3, dtype=np.uint8).reshape(3, 4, 5, 3)
    data = idx_folder(own(tmp_path, colour, THREE), "own")
    assert data.input_shape == (3, 4, 5) and "channels stood last" in data.notes[0]
    assert np.array_equal(data.splits["train"].images[1, 2], colour[1, :, :, 2])


@pytest.mark.parametrize(
    ("labels", "code", "expected", "note"),
    [
        (np.array([1, 2, 3], np.uint8), 8, [0, 1, 2], "count from 1"),
        (np.array([[7, 0, 3], [1, 2, 5], [0, 0, 1]], np.uint8), 8, [7, 1, 0], "of 3 columns the first"),
        (np.array([[0, 1], [1, 0], [0, 1]], np.uint8), 8, [1, 0, 1], "one column a class"),
        (np.array([[2], [0], [1]], np.uint8), 8, [2, 0, 1], ""),
        (np.array([2.0, 0.0, 1.0], ">f4"), 13, [2, 0, 1], ""),
    ],
)
def test_labels_in_other_forms_are_taken_and_it_is_said(
    tmp_path: Path, labels: np.ndarray, code: int, expected: list[int], note: str
) -> None:
    data = idx_folder(own(tmp_path, GREY, labels, label_code=code), "own")
    assert data.splits["train"].targets.tolist() == expected
    assert note in " ".join(data.notes) and bool(note) == bool(data.notes)


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (GREY[:0], THREE[:0], "no stack of images"),
        (GREY, THREE[:2], "3 images do not go with 2 labels"),
        (GREY[0], THREE, "no stack of images"),
        (np.full((3, 2, 2), np.nan, ">f4"), THREE, "NaN"),
        (np.full((3, 2, 2), 1e6, ">f4"), THREE, "expected 0 to 1, or 0 to 255"),
        (GREY, np.array([0.5, 0, 1], ">f4"), "class numbers, whole"),
        (GREY, np.array([-1, 0, 1], np.int8), "class numbers, whole"),
        (GREY, np.array(3, np.uint8), "no list of labels"),
    ],
)
def test_a_folder_that_is_no_data_set_says_why(
    tmp_path: Path, images: np.ndarray, labels: np.ndarray, words: str
) -> None:
    codes = {"u1": 8, "i1": 9, "f4": 13}
    own(tmp_path, images, labels, codes[images.dtype.str[1:]], label_code=codes[labels.dtype.str[1:]])
    with pytest.raises(DataError, match=words):
        idx_folder(tmp_path, "own")


def test_classes_have_the_names_of_their_file(tmp_path: Path) -> None:
    own(tmp_path, GREY, THREE)
    (tmp_path / "classes.txt").write_text("cat\ndog\n\nbird\n", encoding="utf-8")
    assert idx_folder(tmp_path, "own").classes == ("cat", "dog", "bird")
    (tmp_path / "classes.txt").write_text("cat\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"classes\.txt names 1 classes, the labels count 3"):
        idx_folder(tmp_path, "own")
    assert len(FASHION) == 10


def test_given_arrays_are_tested_on_what_is_held_out_by_the_seed() -> None:
    x, target = np.arange(60.0).reshape(60, 1), np.arange(60) % 3
    data = from_arrays(x, target, seed=4)
    held, left = data.splits["test"].images.ravel(), data.splits["train"].images.ravel()
    assert len(held) == 6 and sorted([*held, *left]) == list(range(60)) and "6 of 60" in data.notes[0]
    assert np.array_equal(from_arrays(x, target, seed=4).splits["test"].images.ravel(), held)
    assert not np.array_equal(from_arrays(x, target, seed=5).splits["test"].images.ravel(), held)
    few = from_arrays(x[:9], target[:9], seed=4)
    assert few.splits["test"] is few.splits["train"] and "too few" in few.notes[0]
    own_test = from_arrays(x, target, test=(x[:3], target[:3]))
    assert len(own_test.splits["test"]) == 3 and own_test.notes == ()
