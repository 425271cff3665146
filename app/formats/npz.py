"""NumPy's files: .npy out, .npz in and out. Pickles are never read, and what a header promises is checked first.

Large tensors are copied piece by piece: no other thread runs while Python copies bytes.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from app.formats import json
from app.limits import Limits
from app.problems import Problem, invalid, malformed, over_limit

NPZ = "application/x-npz"
NPY = "application/x-npy"
#: The member that holds the rest of a request's body, and of an answer's, as JSON.
REQUEST, RESPONSE = "request", "response"
LONGEST_REQUEST = 1 << 20
#: Bytes of a piece, and more than what an archive says about a member beside its name twice and its content.
PIECE, AROUND = 1 << 18, 512
_addresses = re.compile(r" at 0x[0-9a-f]+")


def write_npy(array: np.ndarray) -> bytes:
    stream = _room(array.nbytes + AROUND)
    _write_array(stream, array)
    stream.truncate()
    return stream.getvalue()


def write_npz(tensors: Mapping[str, np.ndarray], response: Any = None, request: Any = None) -> bytes:
    """Tensors under their own names; the rest as JSON in the 0-d members `response` and `request`."""
    rest = {REQUEST: request, RESPONSE: response}
    words = {name: np.array(json.encode(each).decode("ascii")) for name, each in rest.items() if each is not None}
    return archived({**tensors, **words})


def archived(tensors: Mapping[str, np.ndarray], **others: bytes) -> bytes:
    """A .npz file of the tensors, and of other members with the names that they have."""
    size = sum(map(len, others.values())) + sum(tensor.nbytes for tensor in tensors.values())
    names = sum(2 * len(name.encode()) + AROUND for name in (*tensors, *others))
    stream = _room(size + names + AROUND)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in others.items():
            archive.writestr(name, content)
        for name, tensor in tensors.items():
            with archive.open(f"{name}.npy", "w") as member:
                _write_array(member, tensor)
    stream.truncate()
    return stream.getvalue()


def _room(size: int) -> io.BytesIO:
    """A stream that need not grow, which would copy what it holds."""
    return io.BytesIO(bytes(size))


def _write_array(stream: IO[bytes], array: np.ndarray) -> None:
    flat = np.ascontiguousarray(array).reshape(-1)
    npy.write_array_header_1_0(stream, npy.header_data_from_array_1_0(flat.reshape(array.shape)))
    for start in range(0, flat.nbytes, PIECE):
        stream.write(flat.view(np.uint8)[start : start + PIECE].data)


def read_npz(content: bytes | Path, limits: Limits) -> tuple[Any, dict[str, np.ndarray]]:
    """The body's JSON part ({} when there is none) and its tensors by name; of bytes or of a file."""
    try:
        with zipfile.ZipFile(io.BytesIO(content) if isinstance(content, bytes) else content) as archive:
            members = _members(archive, limits)
            members.pop(RESPONSE, None)  # an answer may be sent back as it is
            arrays = {name: _read_member(archive, info, name, limits) for name, info in members.items()}
    except Problem:
        raise
    except Exception as error:  # the readers of a damaged archive raise many kinds
        reason = _addresses.sub("", str(error).partition("\n")[0]) or type(error).__name__
        raise malformed(f"this is not a readable .npz file: {reason[:200]}") from None
    rest: Any = {}
    if REQUEST in arrays:
        words = arrays.pop(REQUEST)
        if words.ndim:
            raise malformed(f"{REQUEST}: expected JSON in one string, got shape {list(words.shape)}", [REQUEST])
        try:
            written = str(words).encode("utf-8", "surrogatepass")
        except (ValueError, SystemError):  # which of them, depends on the code point
            raise malformed(f"the member {REQUEST} holds characters that Unicode does not have", [REQUEST]) from None
        rest = json.decode(written, limits.names)
    for name, array in arrays.items():
        if array.dtype.kind == "U":
            raise malformed(f"{name}: expected numbers, got unicode", [name])
    return rest, arrays


def unpacked_bytes(content: bytes) -> int:
    """What an archive says it holds, which `read_npz` checks; 0 where it is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return sum(info.file_size for info in archive.infolist())
    except Exception:  # the readers of a damaged archive raise many kinds; `read_npz` says which
        return 0


def _members(archive: zipfile.ZipFile, limits: Limits) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > limits.npz_members:
        raise over_limit(
            "npz_members", limits.npz_members, f"{len(infos)} members; at most {limits.npz_members} are taken"
        )
    unpacked = sum(info.file_size for info in infos)
    if unpacked > limits.npz_bytes:
        raise over_limit(
            "npz_bytes",
            limits.npz_bytes,
            f"{unpacked} bytes once unpacked; at most {limits.npz_bytes} are taken",
        )
    members = {}
    for info in infos:
        name = info.filename.removesuffix(".npy")
        if name == info.filename or not name:
            raise malformed(f"the member {info.filename!r} is not a .npy file")
        if name in members:
            raise malformed(f"the member {name!r} stands in the file twice")
        if info.flag_bits & 1:
            raise malformed(f"the member {name!r} is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others unpack without bounds
            raise malformed(f"the member {name!r} is packed as NumPy packs nothing; expected it stored or deflated")
        members[name] = info
    return members


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, limits: Limits) -> np.ndarray:
    with archive.open(info) as stream:
        return _read_array(stream, info.file_size, name, limits)


def _read_array(stream: IO[bytes], size: int, name: str, limits: Limits) -> np.ndarray:
    shape, fortran, dtype = _header(stream, name)
    if name == REQUEST and dtype.kind != "U":
        raise malformed(f"{name}: expected JSON in a string, as json.dumps writes it, got {dtype}", [name])
    if name != REQUEST and dtype.kind not in "fiub":
        hint = f"; what is no tensor belongs in {REQUEST}, as JSON" if dtype.kind in "OUS" else ""
        raise malformed(f"{name}: expected numbers or a boolean mask, got {dtype}{hint}", [name])
    if len(shape) > limits.rank:
        raise over_limit("rank", limits.rank, f"{name} has {len(shape)} axes; at most {limits.rank} are taken", [name])
    if any(type(length) is not int or not 0 <= length <= limits.npz_bytes for length in shape):
        raise malformed(f"{name}: the header says the shape is {list(shape)}", [name])
    if 0 in shape:
        raise invalid(f"{name} is empty: {list(shape)}", [name])
    held, said = size - stream.tell(), math.prod(shape) * dtype.itemsize
    if held != said:
        raise malformed(f"{name}: the header says {said} bytes, there are {held}", [name])
    if name == REQUEST and said > 4 * LONGEST_REQUEST:
        raise over_limit("request", LONGEST_REQUEST, f"{REQUEST} holds more than {LONGEST_REQUEST} characters")
    content = np.empty(said, np.uint8)
    read = 0
    while piece := stream.read(PIECE):
        content[read : read + len(piece)] = np.frombuffer(piece, np.uint8)
        read += len(piece)
    if read != said:
        raise malformed(f"{name}: the header says {said} bytes, there are {read}", [name])
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
    if dtype.kind == "b":  # a mask, as zeros and ones
        if (content > 1).any():
            raise malformed(f"{name}: expected the bytes 0 and 1 of booleans", [name])
        return array.astype(np.int8, order="C")
    return array.astype(array.dtype.newbyteorder("="), order="C", copy=False)


def _header(source: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether the columns come first, and the kind of number."""
    try:
        version = npy.read_magic(source)
        if version == (1, 0):
            return npy.read_array_header_1_0(source)
        if version == (2, 0):
            return npy.read_array_header_2_0(source)
    except Exception:  # it is read as an expression of Python, which may go wrong in every way that one can
        raise malformed(
            f"{name}: the header cannot be read; expected descr, fortran_order and shape as numpy.save writes them",
            [name],
        ) from None
    raise malformed(f"{name}: expected version 1.0 or 2.0 of the .npy format, got {version}", [name])
