"""`python -m app data`: list the data sets there are, add well-known ones and files of one's own."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from app.datasets.packages import PACKAGES, PackageError, checked, fetch
from app.datasets.registry import Datasets
from app.limits import Limits
from app.problems import Problem
from app.settings import default_data_dir
from engine.data import DataError

#: Seconds between two lines of progress where the output is no terminal.
SELDOM = 5.0


def main(arguments: Sequence[str]) -> int:
    """0, or 1 with a sentence on standard error."""
    parser = argparse.ArgumentParser(
        prog="convscope data",
        description="Data sets: list those there are, add well-known ones, or files of your own.",
    )
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder for data and compiled kernels")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="what there is, and what can be added by name")
    add = commands.add_parser("add", help=f"add {', '.join(PACKAGES)}, or a file")
    add.add_argument("what", metavar="NAME|FILE", help="a well-known set, or a .zip, .csv, .npz or CIFAR file")
    add.add_argument("--name", help="what to call it (default: as the file)")
    add.add_argument("--from", dest="package", type=Path, metavar="FILE", help="a package's file that is here already")
    add.add_argument("--size", type=int, help="height and width that pictures are brought to")
    add.add_argument("--seed", type=int, default=0, help="draws the test images where the file has none (default: 0)")
    given = parser.parse_args(arguments)
    datasets = Datasets((given.data or default_data_dir()).expanduser().absolute())
    try:
        if given.command == "list":
            _list(datasets)
        elif given.what in PACKAGES:
            _add_package(datasets, given)
        else:
            _add_file(datasets, given)
    except (Problem, PackageError, DataError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or 'the disk'}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; the same command goes on with what has arrived.", file=sys.stderr)
        return 1
    return 0


def _list(datasets: Datasets) -> None:
    for each in datasets.describe():
        if each["problem"]:
            print(f"{each['name']}: cannot be read: {each['problem']}")
        else:
            print(_line(each))
    there = datasets.names()
    for name, package in PACKAGES.items():
        if name not in there:
            print(f"{name}: not here yet; `data add {name}` fetches {package.size / 1e6:.0f} MB")


def _line(description: dict[str, Any]) -> str:
    shape = " x ".join(map(str, description["shape"]))
    counts = ", ".join(f"{count} {split}" for split, count in description["splits"].items())
    classes = f", {len(description['classes'])} classes" if description["classes"] else ""
    return f"{description['name']}: {description['title']}; {counts} images of {shape}{classes}"


def _add_package(datasets: Datasets, given: argparse.Namespace) -> None:
    package, name = PACKAGES[given.what], given.name or given.what
    datasets.check_new(name, Limits())
    if given.package:
        file = checked(package, given.package)
    else:
        with _Progress(package.name) as progress:
            file = fetch(package, datasets.downloads, progress)
    with datasets.room(Limits()) as room:
        _said(datasets.add(package.read(file, room), name, room, Limits(), given.seed))
    if not given.package:
        file.unlink(missing_ok=True)


def _add_file(datasets: Datasets, given: argparse.Namespace) -> None:
    path, limits = Path(given.what).expanduser(), Limits()
    if not path.is_file():
        known = ", ".join(PACKAGES)
        raise DataError(f"{given.what} is neither a file nor a data set that is known here; known: {known}")
    name = given.name or path.name.partition(".")[0]
    datasets.check_new(name, limits)
    with datasets.room(limits) as room:
        copy = room / "file"
        shutil.copyfile(path, copy)
        _said(datasets.add_file(copy, name, limits, size=given.size, seed=given.seed))


def _said(description: dict[str, Any]) -> None:
    print(_line(description))
    for note in description["notes"]:
        print(f"  {note}")


class _Progress:
    """Shows how much has arrived: on a terminal in place, else a line now and then."""

    def __init__(self, name: str) -> None:
        self._name, self._last = name, 0.0
        self._live = sys.stderr.isatty()

    def __enter__(self) -> Callable[[int, int], None]:
        return self._show

    def __exit__(self, *_: object) -> None:
        if self._live and self._last:
            print(file=sys.stderr)

    def _show(self, held: int, size: int) -> None:
        now = time.monotonic()
        if held < size and now - self._last < (0.1 if self._live else SELDOM):
            return
        self._last = now
        words = f"{self._name}: {held / 1e6:.1f} of {size / 1e6:.1f} MB"
        print(f"\r{words}" if self._live else words, end="" if self._live else "\n", file=sys.stderr, flush=True)
