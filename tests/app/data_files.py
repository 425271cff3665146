"""Files of data sets, made for tests: pictures in folders, tables, arrays, and files that lie."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from PIL import Image


def picture(pixels: Any, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, kind, **options)
    return file.getvalue()


def archive(members: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return file.getvalue()


def folders(classes: Mapping[str, int], height: int = 6, width: int = 6, colour: bool = False) -> dict[str, bytes]:
    """So many pictures of each class; every pixel of a picture is its number within the class, times 5."""
    return {
        f"{name}/{number}.png": picture(np.full((height, width, 3) if colour else (height, width), 5 * number))
        for name, count in classes.items()
        for number in range(count)
    }


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def table(images: Any, labels: Any, header: bool = True, last: bool = False) -> bytes:
    rows = [",".join(["label", *(f"pixel{k}" for k in range(len(images[0])))])] if header else []
    for image, label in zip(images, labels, strict=True):
        cells = [*map(str, image), str(label)] if last else [str(label), *map(str, image)]
        rows.append(",".join(cells))
    return "\n".join(rows).encode()


def png_of(width: int, height: int) -> bytes:
    """A picture that claims a size and holds a few zeros."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


def many_entries(count: int) -> bytes:
    """A directory of so many members that are not there."""
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, min(count, 65535), min(count, 65535), len(entry) * count, 4, 0)
    return b"PK\3\4" + entry * count + end


def hostile() -> Iterator[tuple[str, bytes, str]]:
    """Name, content and words of the answer, of files that are no data sets."""
    good = archive(folders({"a": 3, "b": 3}))
    yield "nothing", b"", "empty"
    yield "text", b"hello", "a column for the class"
    yield "noise", bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8)), "no format that is known"
    yield "one line", b"1" * (2 << 20), "more than 1048576 characters"
    yield "one line of columns", b"1," * (1 << 18), "columns"
    yield "a field without an end", b'label,a,b,c,d\n"' + b"1" * 200_000, "table cannot be read"
    yield "ragged", b"label,a,b,c,d\n1,2,3,4,5\n1,2,3", "line 3 has 3 columns, expected 5"
    yield "words for pixels", b"label,a,b,c,d\n1,2,3,x,5", "'x' is no number"
    yield "no square", b"label,a,b\n1,2,3\n0,2,3", "no square picture"
    yield "NaN", b"label,a,b,c,d\n1,2,3,nan,5", "NaN"
    yield "no rows", b"label,a,b,c,d\n", "no rows"
    yield "Latin-1", b"label,a,b,c,d\n\xe9,2,3,4,5", "UTF-8"
    yield "no folder", archive({"1.png": picture(np.zeros((4, 4)))}), "expected a folder of pictures for each class"
    yield "a billion pixels", archive({"a/1.png": png_of(40_000, 30_000)}), "pixels"
    yield "no pixels", archive({"a/1.png": png_of(0, 4)}), "none of 1 pictures can be read"
    yield "fewer pixels than it claims", archive({"a/1.png": png_of(400, 400)}), "none of 1 pictures can be read"
    yield "a text named as a picture", archive({"a/1.png": b"hello"}), "none of 1 pictures can be read"
    yield "an empty archive", archive({}), "the archive holds nothing"
    yield "an archive in an archive", archive({"inner.zip": good}), "the archive holds inner.zip"
    yield "gzip in gzip", gzip.compress(gzip.compress(good)), "gzip file in a gzip file"
    yield "gzip cut off", gzip.compress(good)[:-20], "gzip"
    yield "members by the hundred thousand", many_entries(300_000), "members; at most"
    yield "one idx file", idx(np.zeros((3, 4, 4))), "put both into one .zip"
    yield "labels alone", archive({"train-labels-idx1-ubyte": idx(np.zeros(3))}), "is not in"
    yield "labels that are too large for CIFAR", bytes([200] * 3073), "their labels are too large"
    yield "npz without names", npz(a=np.zeros(3)), "expected the arrays x and y"
    yield "npz of images alone", npz(x=np.zeros((3, 4, 4))), "no labels to go with it"
    yield "npz of too few labels", npz(x=np.zeros((3, 4, 4)), y=np.zeros(2, int)), "do not go with"
    yield "npz of infinity", npz(x=np.full((3, 4, 4), np.inf), y=np.zeros(3, int)), "NaN or infinity"
    yield "npz of a pickle", npz(x=np.array([{}], object), y=np.zeros(1, int)), "expected numbers"
    yield "npz of labels below 0", npz(x=np.zeros((3, 4, 4)), y=np.array([-1, 0, 1])), "class numbers from 0"
    yield "npz of a line", npz(x=np.zeros(3), y=np.zeros(3, int)), "no stack of images"
    for at in range(4, len(good), max(1, len(good) // 60)):
        yield f"cut off at {at}", good[:at], ""
