"""Where runs are kept: a folder for each, files that are whole at every moment, and what became of runs that went."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

logger = logging.getLogger("convscope")

#: Runs of which it is remembered why they are no longer here.
REMEMBERED = 1000
ASIDE, EXPIRED, GONE = "aside", "expired", "gone.json"
#: What stands in a run's folder. A folder that holds anything else is not ours to remove.
OWN_FILES = {f"{name}.npz{new}" for name in ("plan", "state", "history") for new in ("", ".new")}
#: A file that is there while the server runs: found at a start, it says that the last one did not end in order.
RUNNING = "running"


@dataclass(frozen=True)
class Tombstone:
    """A run that was expired or set aside: why, when (seconds since 1970), and whether it can be brought back."""

    id: str
    title: str
    why: str
    when: float
    kept: bool = False


class RunStorage:
    """`<data>/runs/<id>/plan.npz`, `state.npz` and `history.npz`; the same below `expired/` for runs that made way.
    Every method may raise OSError and be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._gone = self._read_gone()

    def ids(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        others = (ASIDE, EXPIRED)
        return sorted(each.name for each in self.folder.iterdir() if each.is_dir() and each.name not in others)

    def write(self, id: str, name: str, content: bytes) -> None:
        folder = self.folder / id
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            _sync(self.folder)
        write_whole(folder / name, content)

    def read(self, id: str, name: str) -> bytes | None:
        """None when there is no such file."""
        try:
            return (self.folder / id / name).read_bytes()
        except FileNotFoundError:
            return None

    def bytes_of(self, id: str) -> int:
        try:
            return sum(file.stat().st_size for file in (self.folder / id).iterdir())
        except OSError:  # there is none, or it cannot be looked into
            return 0

    def remove(self, id: str) -> None:
        """Forget the run, at once and for good: what a kill leaves of it is no run any more."""
        folder = self.folder / id
        (folder / "plan.npz").unlink(missing_ok=True)
        if folder.is_dir():
            _sync(folder)
            shutil.rmtree(folder)

    def is_own(self, id: str) -> bool:
        """Whether a folder holds nothing but what this program writes there."""
        return all(each.is_file() and each.name in OWN_FILES for each in (self.folder / id).iterdir())

    def expire(self, id: str, title: str, why: str, most: int) -> None:
        """Keep the run's files so that it can be brought back, and remember why it went; of all such files the oldest
        are removed beyond `most` bytes."""
        place = self.folder / EXPIRED / id
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        source = self.folder / id
        kept = (source / "plan.npz").is_file()
        if kept:
            source.rename(place)
        self.note(id, title, why, kept)
        sizes = {each: sum(file.stat().st_size for file in each.iterdir()) for each in self._expired()}
        for each in list(sizes):
            if sum(sizes.values()) <= most:
                break
            shutil.rmtree(each, ignore_errors=True)
            del sizes[each]
            with self._lock:
                gone = [replace(g, kept=False) if g.id == each.name else g for g in self._gone.values()]
                self._remember(gone)

    def _expired(self) -> list[Path]:
        """Folders of runs that can be brought back, in the order in which they went."""
        folder = self.folder / EXPIRED
        there = [self._gone[id] for id in (each.name for each in folder.iterdir()) if id in self._gone]
        return [folder / gone.id for gone in sorted(there, key=lambda gone: gone.when)]

    def bring_back(self, id: str) -> bool:
        """Put an expired run's files where runs are; whether there were any."""
        place = self.folder / EXPIRED / id
        if id not in self._gone or not place.is_dir():
            return False
        place.rename(self.folder / id)
        return True

    # how the server ended ---------------------------------------------------------------------------------------------

    def begin(self) -> bool:
        """Note that a server runs; whether the last one ended in order."""
        mark = self.folder / RUNNING
        orderly = not mark.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        mark.write_text(f"{os.getpid()}\n", "utf-8")
        return orderly

    def end(self) -> None:
        (self.folder / RUNNING).unlink(missing_ok=True)

    def quarantine(self, id: str, title: str, why: str) -> None:
        """Keep the run's files for somebody to look at, but let no start stumble over them again."""
        self.note(id, title, why)
        aside = self.folder / ASIDE
        aside.mkdir(parents=True, exist_ok=True)
        place = aside / f"{id}-{time.time_ns()}"
        (self.folder / id).rename(place)
        (place / "why.txt").write_text(f"{why}\n", "utf-8")

    # what became of runs ----------------------------------------------------------------------------------------------

    def gone(self) -> list[Tombstone]:
        return list(self._gone.values())

    def why_gone(self, id: str) -> Tombstone | None:
        return self._gone.get(id)

    def note(self, id: str, title: str, why: str, kept: bool = False) -> None:
        """Remember why this run is not here any more. Newer notes push out the oldest ones."""
        logger.warning("run %s is no longer here: %s", id, why)
        with self._lock:
            others = [each for each in self._gone.values() if each.id != id]
            self._remember([*others, Tombstone(id, title, why, round(time.time(), 3), kept)][-REMEMBERED:])

    def forget(self, id: str) -> None:
        """The run is here again, if ever it was not."""
        with self._lock:
            if id in self._gone:
                self._remember([each for each in self._gone.values() if each.id != id])

    def _remember(self, gone: list[Tombstone]) -> None:
        self._gone = {each.id: each for each in gone}  # a new one: who reads the old one goes on reading it
        content = json.dumps([asdict(each) for each in gone]).encode()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / GONE, content)
        except OSError as error:
            logger.error("what went cannot be noted for the next start: %s", error)

    def _read_gone(self) -> dict[str, Tombstone]:
        try:
            return {each["id"]: Tombstone(**each) for each in json.loads((self.folder / GONE).read_bytes())}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError) as error:
            logger.warning("the list of runs that are no longer here cannot be read: %s", error)
            return {}


def write_whole(file: Path, content: bytes) -> None:
    """The file has its old content or the new one at every moment, whatever happens to process and power."""
    beside = file.with_name(f"{file.name}.new")
    try:
        with beside.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(file)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    _sync(file.parent)


def _sync(folder: Path) -> None:
    """What stands in a folder is on disk, too; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


#: Open files, and with them their locks, until the process ends.
_locks: list[IO[Any]] = []


def lock_data_dir(folder: Path) -> None:
    """Hold the data folder for this process alone until it ends, however it ends. Exits with a message when another
    server has it. A folder that cannot be written needs no holding: nothing is kept there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / "lock").open("a+")
    except OSError:
        return
    try:
        _lock(stream)
    except OSError:
        stream.seek(0)
        owner, address = (*stream.read(200).split(), "", "")[:2]
        where = f", at {address}" if address else ""
        sys.exit(
            f"Convscope is already running with {folder}{f' (process {owner}{where})' if owner else ''}. "
            "End it first, or choose another folder with --data."
        )
    stream.truncate(0)
    stream.write(f"{os.getpid()}\n")
    stream.flush()
    _locks.append(stream)


def announce(url: str) -> None:
    """Write into the folders that this process holds where its server answers."""
    for stream in _locks:
        stream.write(f"{url}\n")
        stream.flush()


def announced(folder: Path) -> str:
    """Where the server that holds a data folder answers, "" where none has said so."""
    try:
        return (*(folder / "lock").read_text("utf-8").split(), "", "")[1]
    except OSError:
        return ""


def _lock(stream: IO[Any]) -> None:
    """Raises OSError when somebody else has it."""
    if sys.platform == "win32":
        import msvcrt

        stream.seek(1000)  # other processes may still read who has it
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
