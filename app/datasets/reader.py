"""Which format a file of data has, by its content, and its reader."""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from app.datasets.gathered import Gathered, one_line
from app.datasets.pictures import is_picture, read_pictures
from app.datasets.tables import read_table
from app.formats import json, npz
from app.formats.archive import Archive, Bounds, FileError
from app.limits import Limits
from app.problems import Problem, over_limit
from engine.data import FILE, DataError, Split, class_names, idx_folder

Array = np.ndarray

FORMATS = (
    "a .zip with a folder of pictures for each class, a .csv, an .npz, JSON of x and target, a .zip of idx files, and "
    "the binary files of CIFAR-10 and CIFAR-100"
)
PIECE = 1 << 20
#: Members of a tar archive that are looked at.
MOST_MEMBERS = 1000
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR_PIXELS = 3 * 32 * 32
#: Names of arrays in an .npz, training and test, as Keras, MedMNIST and others have them.
NAMES = (
    (("x_train", "train_images", "train_x", "images_train", "x", "images", "data", "image"),
     ("y_train", "train_labels", "train_y", "labels_train", "y", "labels", "target", "targets", "label")),
    (("x_test", "test_images", "test_x", "images_test"),
     ("y_test", "test_labels", "test_y", "labels_test", "target_test")),
)  # fmt: skip


def read_data(path: Path, size: int | None, limits: Limits, room: Path) -> Gathered:
    """What the file holds; `room` is a folder for what is unpacked. DataError for a file that is no data set, Problem
    413 for one that is too large."""
    try:
        return _read(path, size, limits, room, unpacked=False)
    except FileError as error:
        raise DataError(str(error)) from None


def _read(path: Path, size: int | None, limits: Limits, room: Path, unpacked: bool) -> Gathered:
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise DataError("the file is empty")
    if head[:2] == b"\x1f\x8b":
        if unpacked:
            raise DataError("a gzip file in a gzip file is not read")
        inner = room / "unpacked"
        _gunzip(path, inner, 2 * limits.dataset_bytes)
        return _read(inner, size, limits, room, unpacked=True)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _archive(path, size, limits, room)
    if len(head) > 262 and head[257:262] == b"ustar":
        return _tar(path, limits, room)
    if head.lstrip()[:1] == b"{":
        return _document(path, limits)
    length = path.stat().st_size
    if head[:2] == b"\0\0" and len(head) >= 4 and head[2] in (8, 9, 11, 12, 13, 14) and 1 <= head[3] <= 4:
        raise DataError("an idx file holds images or labels alone; put both into one .zip, named as MNIST's are")
    if length % (1 + CIFAR_PIXELS) == 0 or length % (2 + CIFAR_PIXELS) == 0:
        return _cifar([path], [], limits)
    if b"\0" in head:
        raise DataError(f"no format that is known here. Read are {FORMATS}")
    return read_table(path, limits)


def _gunzip(path: Path, target: Path, most: int) -> None:
    inner, size = zlib.decompressobj(wbits=31), 0
    try:
        with path.open("rb") as file, target.open("wb") as out:
            while piece := file.read(PIECE):
                while piece:
                    found = inner.decompress(piece, PIECE)
                    size += len(found)
                    if size > most:
                        raise over_limit("dataset_bytes", most, f"the file unpacks to more than {most} bytes")
                    out.write(found)
                    piece = inner.unconsumed_tail
    except zlib.error as error:
        raise DataError(f"the gzip file is damaged: {error}") from None
    if not inner.eof:
        raise DataError("the gzip file ends early")


def _archive(path: Path, size: int | None, limits: Limits, room: Path) -> Gathered:
    bounds = Bounds(4 * limits.dataset_bytes, limits.dataset_elements, limits.dataset_images + 1000)
    archive = Archive(path, bounds)
    try:
        inside = [name for name in archive.names if not name.endswith("/") and not name.startswith("__MACOSX")]
        by_name = {name.rpartition("/")[2]: name for name in inside}
        if any(FILE.fullmatch(name) for name in by_name):
            found = {short: name for short, name in by_name.items() if FILE.fullmatch(short)}
            return _idx(found, archive, limits, room)
        if any(is_picture(name) for name in inside):
            return read_pictures(archive, size, limits, room)
        if inside and all(name.endswith(".npy") for name in inside):
            return _arrays(path, limits)
        tables = [name for name in inside if name.lower().endswith((".csv", ".tsv"))]
        if len(tables) == 1:
            target = room / "table"
            target.write_bytes(archive.read(tables[0], limits.dataset_bytes))
            return read_table(target, limits)
        binary = {short: name for short, name in by_name.items() if short.endswith(".bin")}
        if binary:
            files = {
                short: _kept(archive.read(name, limits.dataset_bytes), room / f"{number}.bin")
                for number, (short, name) in enumerate(binary.items())
            }
            return _cifar_files(files, limits)
    finally:
        archive.close()
    held = ", ".join(inside)[:120] or "nothing"
    raise DataError(f"the archive holds {held}. Read are {FORMATS}")


def _kept(content: bytes, path: Path) -> Path:
    path.write_bytes(content)
    return path


def _idx(files: Mapping[str, str], archive: Archive, limits: Limits, room: Path) -> Gathered:
    """Images and labels of training, and perhaps of testing, under the names that they are known by."""
    folder = room / "idx"
    folder.mkdir()
    for short, name in files.items():
        (folder / short).write_bytes(archive.read(name, limits.dataset_bytes))
        if short.endswith(".gz"):
            plain = folder / short.removesuffix(".gz")
            _gunzip(folder / short, plain, 2 * limits.dataset_bytes)
            (folder / short).unlink()
    for name in archive.names:
        if name.rpartition("/")[2] == "classes.txt":
            (folder / "classes.txt").write_bytes(archive.read(name, 1 << 20))
    splits = {(match["split"].lower() == "train") for name in files if (match := FILE.fullmatch(name))}
    alone = len(splits) == 1
    if alone:  # the other split is drawn from it
        for path in list(folder.iterdir()):
            match = FILE.fullmatch(path.name)
            if match:
                start, end = match.span("split")
                for split in ("train", "t10k"):
                    other = folder / f"{path.name[:start]}{split}{path.name[end:]}"
                    if not other.exists():
                        other.hardlink_to(path)
    found = idx_folder(folder, "data")
    train, test = found.splits["train"], found.splits["test"]
    own = None if alone else (test.images, test.targets)
    return Gathered(train.images, train.targets, found.classes, list(found.notes), own)


def _document(path: Path, limits: Limits) -> Gathered:
    """{"x", "target", "classes"} in JSON, as what was drawn by hand comes."""
    if path.stat().st_size > limits.json_bytes:
        words = f"the JSON text is larger than {limits.json_bytes} bytes; send an .npz"
        raise over_limit("json_bytes", limits.json_bytes, words)
    try:
        value = json.decode(path.read_bytes(), limits.names, limits.lists)
        x, target = (
            json.array(value.get(name), [name], np.dtype(np.float32), rank=limits.rank, elements=limits.elements)
            for name in ("x", "target")
        )
    except Problem as problem:
        if problem.status == 413:
            raise
        raise DataError(problem.detail) from None
    notes: list[str] = []
    images, targets = _stack(x, "x", notes), _targets(target, "target", notes)
    if len(images) != len(targets):
        raise DataError(f"{len(images)} images in x do not go with {len(targets)} in target")
    classes = value.get("classes", [])
    if not isinstance(classes, list) or not all(isinstance(each, str) for each in classes):
        raise DataError("classes: expected a list of names")
    counted = class_names([Split(images, targets)])
    if classes and len(classes) < len(counted):
        raise DataError(f"classes: {len(classes)} names, but the targets count {len(counted)} classes")
    return Gathered(images, targets, tuple(map(one_line, classes)) or counted, notes)


def _arrays(path: Path, limits: Limits) -> Gathered:
    try:
        _, tensors = npz.read_npz(path, limits)
    except Problem as problem:
        if problem.status == 413:
            raise
        raise DataError(problem.detail) from None
    found = {name.lower(): array for name, array in tensors.items()}
    notes: list[str] = []
    parts = []
    for images, labels in NAMES:
        x = next((name for name in images if name in found), None)
        y = next((name for name in labels if name in found), None)
        if (x is None) != (y is None):
            raise DataError(f"the file has {x or y}, but no {'labels' if y is None else 'images'} to go with it")
        if x is not None and y is not None:
            parts.append((_stack(found[x], x, notes), _targets(found[y], y, notes)))
            if len(parts[-1][0]) != len(parts[-1][1]):
                raise DataError(f"{len(found[x])} images in {x} do not go with {len(found[y])} labels in {y}")
        elif not parts:
            raise DataError(
                f"expected the arrays x and y, or x_train, y_train, x_test and y_test; the file has "
                f"{', '.join(tensors)[:200] or 'none'}"
            )
    if any(name.startswith("val") for name in found):
        notes.append("the validation split is left out")
    names = class_names([Split(*part) for part in parts])
    return Gathered(*parts[0], names, notes, parts[1] if len(parts) > 1 else None)


def _stack(array: Array, name: str, notes: list[str]) -> Array:
    """(N, C, H, W)."""
    if array.ndim == 4 and array.shape[1] not in (1, 3) and array.shape[3] in (1, 3):
        array = np.ascontiguousarray(array.transpose(0, 3, 1, 2))
        notes.append(f"{name}: channels stood last and were moved")
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim == 2:
        side = round(array.shape[1] ** 0.5)
        if side * side != array.shape[1]:
            raise DataError(f"{name}: rows of {array.shape[1]} numbers make no square picture")
        notes.append(f"{name}: rows of {array.shape[1]} numbers are pictures of {side} x {side}")
        array = array.reshape(-1, 1, side, side)
    if array.ndim != 4 or 0 in array.shape:
        raise DataError(f"{name}: {list(array.shape)} is no stack of images; expected [N, H, W] or [N, C, H, W]")
    return array


def _targets(array: Array, name: str, notes: list[str]) -> Array:
    """Class numbers from 0, or numbers to be predicted."""
    if array.ndim == 2 and array.shape[1] > 1 and np.isin(array, (0, 1)).all() and (array.sum(1) == 1).all():
        notes.append(f"{name}: one column a class was made class numbers")
        return array.argmax(1)
    if array.ndim == 2 and array.shape[1] == 1 and array.dtype.kind in "iu":
        array = array[:, 0]
    if not np.isfinite(array).all():
        raise DataError(f"{name}: it holds NaN or infinity")
    whole = array.dtype.kind in "iu" or bool((array == np.floor(array)).all())
    if array.ndim == 1 and whole:
        if array.min(initial=0) < 0 or array.max(initial=0) >= 10_000:
            raise DataError(f"{name}: labels of {array.min()} to {array.max()}; expected class numbers from 0 to 9999")
        return array.astype(np.int64)
    if array.ndim in (1, 2):
        notes.append(f"{name}: numbers that are to be predicted, and no classes")
        return array.astype(np.float32).reshape(len(array), -1)
    raise DataError(f"{name}: {list(array.shape)} is no list of labels")


def _tar(path: Path, limits: Limits, room: Path) -> Gathered:
    """CIFAR's own archive."""
    found: dict[str, Path] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for count, member in enumerate(archive):
                if count > MOST_MEMBERS:
                    raise DataError(f"the archive has more than {MOST_MEMBERS} members")
                name = member.name.rpartition("/")[2]
                source = archive.extractfile(member) if member.isreg() and name.endswith(".bin") else None
                if source is not None and re.fullmatch(r"[\w.-]{1,60}", name):
                    found[name] = room / name
                    with found[name].open("wb") as out:
                        while piece := source.read(PIECE):
                            out.write(piece)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"the archive is damaged: {error}") from None
    if not found:
        raise DataError("the archive holds no .bin files of CIFAR; pictures are read from a .zip")
    return _cifar_files(found, limits)


def _cifar_files(files: Mapping[str, Path], limits: Limits) -> Gathered:
    train = [files[name] for name in sorted(files) if name.startswith(("data_batch", "train"))]
    test = [files[name] for name in sorted(files) if name.startswith("test")]
    return _cifar(train or [files[name] for name in sorted(files) if not name.startswith("test")], test, limits)


def _cifar(train: list[Path], test: list[Path], limits: Limits) -> Gathered:
    sizes = [path.stat().st_size for path in [*train, *test]]
    if not train or sum(sizes) > 2 * limits.dataset_bytes or sum(sizes) > limits.dataset_elements:
        words = "the files hold more numbers than are taken" if train else "there are no training images"
        raise over_limit("dataset_elements", limits.dataset_elements, words) if train else DataError(words)
    for labels, most in ((1, 10), (2, 100)):
        row = labels + CIFAR_PIXELS
        if any(size % row or not size for size in sizes):
            continue
        parts = []
        for paths in (train, test):
            rows = [np.fromfile(path, np.uint8).reshape(-1, row) for path in paths]
            whole = np.concatenate(rows) if rows else np.zeros((0, row), np.uint8)
            parts.append((whole[:, labels:].reshape(-1, 3, 32, 32), whole[:, labels - 1].astype(np.int64)))
        if all(part[1].max(initial=0) < most for part in parts):
            classes = CIFAR10 if labels == 1 else tuple(map(str, range(100)))
            own = parts[1] if len(parts[1][0]) else None
            notes = [] if labels == 1 else ["of two labels the fine one was taken"]
            return Gathered(*parts[0], classes, notes, own)
    raise DataError(
        "rows of 3,073 bytes would be CIFAR-10, of 3,074 CIFAR-100; these are neither, their labels are too large"
    )
