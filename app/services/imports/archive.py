"""Members of a zip archive, within bounds, whatever its directory claims."""

from __future__ import annotations

import io
import zipfile

from app.services.imports.source import Bounds, FileError

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Archive:
    def __init__(self, content: bytes, bounds: Bounds) -> None:
        self.bounds, self._left = bounds, bounds.unpacked
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
            raise FileError(f"no zip archive: {error}") from None
        self.names = [info.filename for info in self._zip.infolist()]
        if len(self.names) > bounds.items:
            raise FileError(f"the archive has {len(self.names)} members; at most {bounds.items} are taken")
        if len(set(self.names)) != len(self.names):
            raise FileError("two members of the archive have the same name")

    def read(self, name: str) -> bytes:
        """A member. Its size counts as it is unpacked, not as it is claimed."""
        try:
            info = self._zip.getinfo(name)
        except KeyError:
            raise FileError(f"the archive has no member {name[:80]!r}") from None
        if info.compress_type not in METHODS or info.flag_bits & 1:
            raise FileError(f"the member {name[:80]!r} is packed in a way that is not read (deflated or stored is)")
        try:
            with self._zip.open(info) as member:
                content = member.read(self._left + 1)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError, RuntimeError) as error:
            raise FileError(f"the member {name[:80]!r} is damaged: {error}") from None
        except Exception as error:  # zlib.error is raised as it is
            raise FileError(f"the member {name[:80]!r} is damaged: {error}") from None
        self._left -= len(content)
        if self._left < 0:
            raise FileError(f"the archive holds more than {self.bounds.unpacked} bytes once unpacked")
        return content
