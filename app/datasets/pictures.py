"""Pictures in folders, one for each class, decoded by Pillow within bounds."""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.datasets.gathered import Gathered, numbered
from app.formats.archive import Archive
from app.limits import Limits
from app.problems import over_limit
from engine.data import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

Array = np.ndarray

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".ppm", ".pgm", ".pbm", ".pnm")
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "PPM")
SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test"} | dict.fromkeys(
    ("val", "valid", "validation"), "valid"
)
#: Pictures that are all of one size stay as they are up to this many pixels in height and width; others are brought to
#: the size of MNIST's where they are grey, of CIFAR's where they are not.
LARGEST, GREY_SIZE, COLOUR_SIZE = 96, 28, 32
MOST_SIZE = 256
#: Bytes of a picture's file.
LONGEST_FILE = 64 << 20
#: Names of pictures that are left out which a note lists.
LISTED = 5


@dataclass(frozen=True)
class Entry:
    member: str
    split: str
    label: str


def is_picture(name: str) -> bool:
    hidden = any(part.startswith(("__MACOSX", ".")) for part in name.split("/"))
    return name.lower().endswith(SUFFIXES) and not hidden


def read_pictures(archive: Archive, size: int | None, limits: Limits, room: Path) -> Gathered:
    """`room` is a folder for what is decoded. DataError for what is no set of pictures."""
    entries = _entries([name for name in archive.names if is_picture(name)])
    if len(entries) > limits.dataset_images:
        words = f"{len(entries)} pictures; at most {limits.dataset_images} are taken"
        raise over_limit("dataset_images", limits.dataset_images, words)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's about large pictures: ours are bounded already
        return _read(archive, entries, size, limits, room)


def _read(archive: Archive, entries: list[Entry], size: int | None, limits: Limits, room: Path) -> Gathered:
    sizes: Counter[tuple[int, int]] = Counter()
    grey = True
    broken: dict[str, str] = {}
    pixels = 0
    for entry in entries:
        picture = _opened(archive, entry.member, broken)
        if picture is None:
            continue
        width, height = picture.size
        pixels += width * height
        for name, count in (("picture_pixels", width * height), ("dataset_pixels", pixels)):
            if count > (most := getattr(limits, name)):
                what = (
                    f"{entry.member[-80:]} has {width} x {height}" if name == "picture_pixels" else f"more than {most}"
                )
                raise over_limit(name, most, f"{what} pixels; at most {most} are taken")
        sizes[height, width] += 1
        grey = grey and picture.mode in ("1", "L", "LA", "I", "I;16", "F")
    if not sizes:
        raise DataError(f"none of {len(entries)} pictures can be read: {_listed(broken)}")
    notes = []
    target = next(iter(sizes))
    if size is not None or len(sizes) > 1 or max(target) > LARGEST:
        side = size or (GREY_SIZE if grey else COLOUR_SIZE)
        target = (side, side)
        if set(sizes) != {target}:
            shapes = ", ".join(f"{height} x {width}" for (height, width), _ in sizes.most_common(3))
            more = f" and {len(sizes) - 3} other sizes" if len(sizes) > 3 else ""
            notes.append(
                f"pictures of {shapes}{more} were scaled to fit {side} x {side}; edges were filled with the colour of "
                "each picture's rim"
            )
    count = 3 * target[0] * target[1] * len(entries)
    if count > limits.dataset_elements:
        words = f"{count} numbers; at most {limits.dataset_elements} are taken"
        raise over_limit("dataset_elements", limits.dataset_elements, words)
    stack = np.memmap(room / "pixels", np.uint8, "w+", shape=(len(entries), 3, *target))
    kept: list[int] = []
    see_through = False
    grey = True
    for number, entry in enumerate(entries):
        picture = None if entry.member in broken else _opened(archive, entry.member, broken)
        if picture is None:
            continue
        try:
            see_through = see_through or "A" in picture.getbands() or "transparency" in picture.info
            decoded = _fitted(picture, target)
        except Exception as error:  # Pillow raises what it likes
            broken[entry.member] = _reason(error)
            continue
        stack[number] = decoded
        grey = grey and bool((decoded[0] == decoded[1]).all() and (decoded[0] == decoded[2]).all())
        kept.append(number)
    if not kept:
        raise DataError(f"none of {len(entries)} pictures can be read: {_listed(broken)}")
    if see_through:
        notes.append("see-through pictures were laid on white")
    if broken:
        notes.append(f"{len(broken)} of {len(entries)} pictures could not be read and were left out: {_listed(broken)}")
    return _gathered([entries[number] for number in kept], stack[kept, : 1 if grey else 3], notes)


def _gathered(entries: list[Entry], images: Array, notes: list[str]) -> Gathered:
    labels, classes = numbered([entry.label for entry in entries])
    splits = np.array([entry.split for entry in entries])
    present = set(splits.tolist())
    held = "test" if "test" in present else "valid" if "valid" in present else ""
    if not held or "train" not in present:
        return Gathered(images, labels, classes, notes)
    if held == "test" and "valid" in present:
        notes.append("the validation split is left out")
    elif held == "valid":
        notes.append("the validation split is the test split here")
    train, test = splits == "train", splits == held
    return Gathered(images[train], labels[train], classes, notes, (images[test], labels[test]))


def _entries(names: list[str]) -> list[Entry]:
    """Which split and which class each picture belongs to, by its folders."""
    paths = [[part for part in re.split(r"[/\\]+", name) if part not in ("", ".")] for name in names]
    while paths and all(len(path) > 2 for path in paths) and len({path[0] for path in paths}) == 1:
        paths = [path[1:] for path in paths]
    found = []
    for name, path in zip(names, paths, strict=True):
        split = SPLITS.get(path[0].lower(), "") if len(path) > 2 else ""
        folders = path[1:-1] if split else path[:-1]
        if not folders:
            raise DataError(f"{name[-80:]} lies in no folder; expected a folder of pictures for each class: cats/1.png")
        found.append(Entry(name, split or "train", folders[0]))
    return found


def _opened(archive: Archive, member: str, broken: dict[str, str]) -> Image | None:
    """A picture whose pixels are not decoded yet; None, and the reason in `broken`, where it is none."""
    from PIL import Image as Pictures

    content = archive.read(member, LONGEST_FILE)
    try:
        return Pictures.open(io.BytesIO(content), formats=FORMATS)
    except Pictures.DecompressionBombError:
        raise DataError(f"{member[-80:]} claims to have more pixels than any picture here may have") from None
    except Exception as error:  # Pillow raises what it likes
        broken[member] = _reason(error)
        return None


def _fitted(picture: Image, target: tuple[int, int]) -> Array:
    """(3, H, W) bytes."""
    from PIL import Image as Pictures
    from PIL import ImageOps

    height, width = target
    if picture.size != (width, height):
        picture.draft(None, (2 * width, 2 * height))  # JPEG decodes to a smaller size at once
    picture.load()
    if picture.mode.startswith(("I", "F")):  # more than 8 bits, which Pillow would cut off
        deep = np.asarray(picture, np.float32)
        most = 65535.0 if deep.max(initial=0) > 255 else 255.0
        picture = Pictures.fromarray(np.clip(np.rint(deep * (255 / most)), 0, 255).astype(np.uint8))
    picture = ImageOps.exif_transpose(picture)
    if "A" in picture.getbands() or "transparency" in picture.info:
        behind = Pictures.new("RGBA", picture.size, "white")
        picture = Pictures.alpha_composite(behind, picture.convert("RGBA"))
    picture = picture.convert("RGB")
    if picture.size != (width, height):
        scale = min(width / picture.width, height / picture.height)
        inside = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        rim = _rim(np.asarray(picture))
        small = picture.resize(inside, Pictures.Resampling.LANCZOS, reducing_gap=3)
        picture = Pictures.new("RGB", (width, height), rim)
        picture.paste(small, ((width - inside[0]) // 2, (height - inside[1]) // 2))
    return np.asarray(picture).transpose(2, 0, 1)


def _rim(pixels: Array) -> tuple[int, int, int]:
    """The median colour along the four edges."""
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    red, green, blue = np.median(edges, axis=0).astype(int).tolist()
    return red, green, blue


def _reason(error: Exception) -> str:
    words = str(error).partition("\n")[0]
    return "no picture of a format that is read here" if "cannot identify" in words else words[:80]


def _listed(broken: Mapping[str, str]) -> str:
    shown = [f"{name[-60:]} ({reason})" for name, reason in list(broken.items())[:LISTED]]
    return ", ".join(shown) + (f" and {len(broken) - LISTED} more" if len(broken) > LISTED else "")
