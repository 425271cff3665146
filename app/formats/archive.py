"""Members of a zip archive, within bounds, whatever its directory claims."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: What every entry of an archive's directory begins with.
ENTRY = b"PK\x01\x02"
PIECE = 1 << 20


class FileError(ValueError):
    """A file that cannot be read; the message says what was expected and what was got."""


@dataclass(frozen=True)
class Bounds:
    """How much a file may hold: bytes once unpacked, elements of one tensor, and nodes, names or tensors."""

    unpacked: int = 256 << 20
    elements: int = 16_000_000
    items: int = 4096


class Archive:
    """Of bytes, or of a file, which is then read piece by piece."""

    def __init__(self, content: bytes | Path, bounds: Bounds) -> None:
        self.bounds, self._left = bounds, bounds.unpacked
        entries = _entries(content)  # before Python makes an object of each
        if entries > bounds.items:
            raise FileError(f"the archive has {entries} members; at most {bounds.items} are taken")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content) if isinstance(content, bytes) else content)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
            raise FileError(f"no zip archive: {error}") from None
        self.names = [info.filename for info in self._zip.infolist()]
        if len(set(self.names)) != len(self.names):
            raise FileError("two members of the archive have the same name")

    def read(self, name: str, most: int | None = None) -> bytes:
        """A member of at most so many bytes. Its size counts as it is unpacked, not as it is claimed."""
        try:
            info = self._zip.getinfo(name)
        except KeyError:
            raise FileError(f"the archive has no member {name[:80]!r}") from None
        if info.compress_type not in METHODS or info.flag_bits & 1:
            raise FileError(f"the member {name[:80]!r} is packed in a way that is not read (deflated or stored is)")
        try:
            with self._zip.open(info) as member:
                content = member.read(min(self._left, self._left if most is None else most) + 1)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError, RuntimeError) as error:
            raise FileError(f"the member {name[:80]!r} is damaged: {error}") from None
        except Exception as error:  # zlib.error is raised as it is
            raise FileError(f"the member {name[:80]!r} is damaged: {error}") from None
        if most is not None and len(content) > most:
            raise FileError(f"the member {name[:80]!r} unpacks to more than {most} bytes")
        self._left -= len(content)
        if self._left < 0:
            raise FileError(f"the archive holds more than {self.bounds.unpacked} bytes once unpacked")
        return content

    def close(self) -> None:
        self._zip.close()


def _entries(content: bytes | Path) -> int:
    """How many members the directory can list at most."""
    if isinstance(content, bytes):
        return content.count(ENTRY)
    count, kept = 0, b""
    with content.open("rb") as file:
        while piece := file.read(PIECE):
            joined = kept + piece
            count += joined.count(ENTRY)
            kept = joined[-len(ENTRY) + 1 :]
    return count
