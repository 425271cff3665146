"""Reading a request's body: its size, its type, its JSON or .npz, and the fields it may have."""

from __future__ import annotations

import asyncio
import io
import zlib
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar, get_args

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError
from starlette.requests import Request

from app.formats import json, npz, safetensors
from app.http.validation_errors import Loc, readable_errors, summary, word
from app.limits import SMALL, Limits
from app.problems import MOST_ERRORS, Problem, invalid, malformed, over_limit, unavailable

DType = Literal["float64", "float32"]

JSON = "application/json"
#: Bodies of tensors as members, with the rest of the body as JSON in `request`.
BINARY = {npz.NPZ: npz.read_npz, safetensors.SAFETENSORS: safetensors.read_safetensors}
#: How long a body may take to arrive, and a file of data.
BODY_SECONDS, FILE_SECONDS = 120.0, 900.0
#: Bytes beyond which a body is read in the pool and not by the event loop.
LARGE = 32_768
#: Bytes of memory for each byte of a body of tensors that is unpacked, and for each byte of JSON.
UNPACKED, WRITTEN = 2, 24
#: Multiply-adds that take as long as reading a byte: of JSON, and of what may unpack to a thousand.
READING = {JSON: 100.0} | dict.fromkeys(BINARY, 1000.0)


class RequestModel(BaseModel):
    """A body's fields: unknown ones are refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @classmethod
    def arranged(cls, document: Any) -> Any:
        """What a client sent, in the form that is described."""
        return document

    @model_validator(mode="before")
    @classmethod
    def _few_unknown(cls, given: Any) -> Any:
        """An error for each unknown field costs more than the field: beyond some, one for all of them."""
        if isinstance(given, dict):
            unknown = len(given.keys() - cls.model_fields.keys())
            if unknown > MOST_ERRORS:
                raise PydanticCustomError("unknown", f"{unknown} fields are not known here")
        return given


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: Of an integer, as JSON Schema has it: 3.0 is one, too.
WHOLE = BeforeValidator(_whole)
Natural = Annotated[int, Field(ge=0, lt=2**53), WHOLE]
Positive = Annotated[int, Field(ge=1, lt=2**53), WHOLE]


def at_most(limit: str, *loc: str) -> BeforeValidator:
    """Refuses a list longer than this limit before any of its items is looked at."""

    def check(value: Any, info: ValidationInfo) -> Any:
        limits = info.context or Limits()
        most = getattr(limits, limit)
        if isinstance(value, list) and len(value) > most:
            unit = limits.document()[limit]["unit"]
            raise over_limit(limit, most, f"{len(value)} {unit}; at most {most} are taken", loc)
        return value

    return BeforeValidator(check)


#: Mark a field that holds numbers in nested lists, or tensors by name: these are checked when they become arrays.
TENSOR: dict[str, Any] = {"x-tensor": "one"}
TENSORS: dict[str, Any] = {"x-tensor": "by name"}


def either(*groups: tuple[str, ...]) -> dict[str, Any]:
    """In words of JSON Schema: the fields of one of the groups, and none of another's. Null is as good as nothing."""
    names = [name for group in groups for name in group]
    null = {"type": "null"}
    return {
        "oneOf": [
            {"required": list(group), "properties": {n: {"not": null} if n in group else null for n in names}}
            for group in groups
        ]
    }


class Typed(RequestModel):
    """A body of tensors whose arithmetic is that of their type: float32 where all that an .npz brings is float32."""

    dtype: DType = Field(
        default="float64",
        description="of the arithmetic and of the answer; default: float64, or the type of an .npz whose tensors are "
        "all float32",
    )

    @model_validator(mode="before")
    @classmethod
    def _own_dtype(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "dtype" in given:
            return given
        arrays = [each for value in given.values() for each in _arrays(value) if each.dtype.kind == "f"]
        return {**given, "dtype": "float32"} if arrays and all(a.dtype == np.float32 for a in arrays) else given


def _arrays(value: Any) -> list[np.ndarray]:
    if isinstance(value, dict):
        return [each for each in value.values() if isinstance(each, np.ndarray)]
    return [value] if isinstance(value, np.ndarray) else []


Body = TypeVar("Body", bound=RequestModel)


class Pool(Protocol):
    """The limits of a body, and the threads that parse a large one."""

    @property
    def limits(self) -> Limits: ...

    async def ask(self, request: Request, function: Callable[..., Any], /, *arguments: Any) -> Any: ...

    async def hold_body(self, request: Request, size: int, /) -> None: ...


async def read(request: Request, pool: Pool, model: type[Body], npz_into: str = "") -> Body:
    """The body as `model`. With `npz_into`, .npz and .safetensors are accepted too.

    Its members become the fields of the same names; members that name no field go into the dict field `npz_into`.
    """
    limits = pool.limits
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    accepted = (JSON, *BINARY) if npz_into else (JSON,)
    length = request.headers.get("content-length", "")
    empty = length == "0" or not (length or "transfer-encoding" in request.headers)
    if kind not in accepted and not (empty and not kind):
        got = f"got {kind!r}" if kind else "got none"
        raise Problem(
            415,
            f"expected the Content-Type {' or '.join(accepted)}, {got}",
            headers={"Accept-Post": ", ".join(accepted)},
        )
    chunks = await _chunks(request, limits, "body_bytes" if kind in BINARY else "json_bytes")
    size = sum(map(len, chunks))

    def parse() -> Body:
        return _parse(_joined(chunks), kind, model, npz_into, limits)

    memory = _memory(chunks, kind) if size <= LARGE else await pool.ask(request, _memory, chunks, kind)
    if size <= LARGE and memory <= SMALL:
        return parse()
    request.state.weight = READING[kind] * size
    await pool.hold_body(request, memory)
    made: Body = await pool.ask(request, parse)
    return made


def _memory(chunks: deque[bytes], kind: str) -> int:
    """Bytes that a body takes until it is answered, at the most: as text and as Python's lists, or packed, unpacked,
    and in the type of the arithmetic."""
    size = sum(map(len, chunks))
    if kind == npz.NPZ:
        return size + UNPACKED * npz.unpacked_bytes(_joined(deque(chunks)))
    return size * (UNPACKED if kind in BINARY else WRITTEN)


async def read_raw(request: Request, pool: Pool) -> bytes:
    """The body as it is, of any type."""
    chunks = await _chunks(request, pool.limits, "body_bytes")
    content: bytes = await pool.ask(request, _joined, chunks)
    return content


async def read_to_file(request: Request, limits: Limits, name: str, path: Path) -> None:
    """The body as it is into a file, within the limit of that name; 503 where the disk is full."""
    try:
        with path.open("wb") as file:
            await _chunks(request, limits, name, file.write, FILE_SECONDS)
    except OSError as error:
        raise unavailable(f"the file cannot be kept: {error.strerror}", retry_after=60) from None


async def _chunks(
    request: Request,
    limits: Limits,
    name: str,
    keep: Callable[[bytes], object] | None = None,
    seconds: float | None = None,
) -> deque[bytes]:
    """The body's pieces, within the limit of that name; with `keep` they are handed to it and not answered."""
    most: int = getattr(limits, name)
    seconds = BODY_SECONDS if seconds is None else seconds
    said = request.headers.get("content-length", "")
    too_large = over_limit(name, most, f"the body is larger than {most} bytes")
    if said.isascii() and said.isdigit() and (len(said) > 15 or int(said) > most):
        raise too_large
    chunks: deque[bytes] = deque()
    size = 0
    unpack = _unpacker(request.headers.get("content-encoding", ""), most, too_large)
    try:
        async with asyncio.timeout(seconds):
            async for packed in request.stream():
                chunk = unpack(packed) if unpack else packed
                (keep or chunks.append)(chunk)
                size += len(chunk)
                if size > most:
                    raise too_large
    except TimeoutError:
        raise Problem(408, f"the body took longer than {seconds:g} seconds to arrive") from None
    return chunks


def _unpacker(encoding: str, most: int, too_large: Problem) -> Callable[[bytes], bytes] | None:
    """What takes a Content-Encoding off a body, piece by piece and never beyond `most` bytes; 415 for another than gzip
    and deflate, 400 for a body that is not what it says."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return None
    if name not in ("gzip", "x-gzip", "deflate"):
        raise Problem(
            415,
            f"expected the Content-Encoding gzip, deflate or none, got {encoding[:40]!r}",
            headers={"Accept-Encoding": "gzip, deflate"},
        )
    inner = zlib.decompressobj(wbits=47 if name != "deflate" else 15)  # 47: gzip or zlib, by its head
    left = most

    def unpack(packed: bytes) -> bytes:
        nonlocal left
        try:
            found = inner.decompress(packed, left + 1)
        except zlib.error as error:
            raise malformed(f"the body is not what its Content-Encoding {name} says: {error}") from None
        left -= len(found)
        if left < 0 or inner.unconsumed_tail:
            raise too_large
        return found

    return unpack


def _joined(chunks: deque[bytes]) -> bytes:
    """One by one, since no other thread runs while Python copies bytes. The chunks are gone afterwards."""
    room = io.BytesIO(bytes(sum(map(len, chunks))))
    while chunks:
        room.write(chunks.popleft())
    return room.getvalue()


def _parse(content: bytes, kind: str, model: type[Body], npz_into: str, limits: Limits) -> Body:
    members: dict[str, Any] = {}
    if kind in BINARY:
        document, members = BINARY[kind](content, limits)
    else:
        document = json.decode(content, limits.names, limits.lists) if content.strip() else {}
    if not isinstance(document, dict):
        raise malformed(f"expected a JSON object, got {word(document)}")
    for name, tensor in members.items():
        place = document if name in model.model_fields else document.setdefault(npz_into, {})
        if not isinstance(place, dict):
            raise invalid(f"expected an object, got {word(place)}", [npz_into])
        if name in place:
            raise invalid(f"{name} is given twice, in JSON and as a member", [name])
        place[name] = tensor
    return validate(model, document, limits)


def validate(model: type[Body], document: Any, limits: Limits) -> Body:
    """The document as `model`: 422 with what does not fit, 413 with the limit that it exceeds."""
    document = model.arranged(document)
    try:
        made = model.model_validate(document, context=limits)
    except ValidationError as error:
        errors = readable_errors(error.errors(include_url=False), document, partial(_fields_at, model))
        raise Problem(422, summary(errors), kind="invalid", errors=errors) from None
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra
        if name in document and not (isinstance(extra, dict) and "x-tensor" in extra):
            json.check_plain(document[name], [name])
    return made


def _fields_at(model: type[RequestModel], loc: Loc) -> Iterable[str]:
    """The fields of the object that stands there in a body."""
    for step in loc:
        if isinstance(step, str):
            named = (field for name, field in model.model_fields.items() if step in (name, field.alias))
            field = next(named, None)
            model = (_model_in(field.annotation) if field else None) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[RequestModel] | None:
    """Of a field that may hold an object, or a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, RequestModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _model_in(each))), None)
