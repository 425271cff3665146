"""The wire format of Protocol Buffers: fields by number, without a schema. Source: protobuf.dev, "Encoding"."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from app.services.imports.source import FileError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
#: Fields of one message, at most.
MOST = 1_000_000


class Message:
    """The fields of one message by number, in the order in which they stand."""

    def __init__(self, content: memoryview) -> None:
        self._fields: dict[int, list[int | memoryview]] = {}
        for count, (number, value) in enumerate(_fields(content)):
            if count >= MOST:
                raise FileError(f"a message has more than {MOST} fields")
            self._fields.setdefault(number, []).append(value)

    def messages(self, number: int) -> Iterator[Message]:
        for value in self._bytes(number):
            yield Message(value)

    def message(self, number: int) -> Message | None:
        return next(self.messages(number), None)

    def _bytes(self, number: int) -> list[memoryview]:
        found = self._fields.get(number, [])
        if not all(isinstance(value, memoryview) for value in found):
            raise FileError(f"field {number} was expected to hold bytes")
        return [value for value in found if isinstance(value, memoryview)]

    def raw(self, number: int) -> memoryview | None:
        found = self._bytes(number)
        return found[-1] if found else None

    def strings(self, number: int) -> list[str]:
        try:
            return [str(value, "utf-8") for value in self._bytes(number)]
        except UnicodeDecodeError:
            raise FileError(f"field {number} is no UTF-8 text") from None

    def string(self, number: int) -> str:
        found = self.strings(number)
        return found[-1] if found else ""

    def integers(self, number: int) -> list[int]:
        """Signed 64-bit, packed or not."""
        found: list[int] = []
        for value in self._fields.get(number, []):
            found += _varints(value) if isinstance(value, memoryview) else [value]
        return [value - (1 << 64) if value >= 1 << 63 else value for value in found]

    def integer(self, number: int, default: int = 0) -> int:
        found = self.integers(number)
        return found[-1] if found else default

    def floats(self, number: int) -> list[float]:
        """32-bit, packed or not."""
        found: list[float] = []
        for value in self._fields.get(number, []):
            if isinstance(value, int):
                found.append(struct.unpack("<f", value.to_bytes(4, "little"))[0])
            else:
                if len(value) % 4:
                    raise FileError(f"field {number}: {len(value)} bytes are no 32-bit floats")
                found += struct.unpack(f"<{len(value) // 4}f", value)
        return found

    def packed(self, number: int) -> bytes:
        """All bytes of a packed field of fixed width, its single values included."""
        parts = []
        for value in self._fields.get(number, []):
            parts.append(bytes(value) if isinstance(value, memoryview) else value.to_bytes(8, "little")[:4])
        return b"".join(parts)


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _varint(content, at)
            yield number, value
        elif wire in (FIXED64, FIXED32):
            size = 8 if wire == FIXED64 else 4
            yield number, int.from_bytes(_cut(content, at, size), "little")
            at += size
        elif wire == BYTES:
            size, at = _varint(content, at)
            yield number, _cut(content, at, size)
            at += size
        else:
            raise FileError(f"no protobuf: byte {at} has the wire type {wire}")


def _cut(content: memoryview, at: int, size: int) -> memoryview:
    if at + size > len(content):
        raise FileError(f"the file ends early: {size} bytes were expected at byte {at}, {len(content) - at} are there")
    return content[at : at + size]


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise FileError("the file ends early, within a number")
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (1 << 64) - 1, at
    raise FileError(f"no protobuf: the number before byte {at} has too many digits")


def _varints(content: memoryview) -> list[int]:
    found, at = [], 0
    while at < len(content):
        value, at = _varint(content, at)
        found.append(value)
    return found
