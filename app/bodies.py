"""Reading a request's body: its size, its type, its JSON or .npz, and the fields it may have."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from app.context import Context
from app.limits import Limits
from app.problems import Problem, invalid, malformed, over_limit
from app.wire import npz, text

JSON = "application/json"
#: Bytes beyond which a body is read in the pool and not by the event loop.
LARGE = 32_768


class Fields(BaseModel):
    """A body's fields: unknown ones are refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


Body = TypeVar("Body", bound=Fields)


async def read(request: Request, here: Context, model: type[Body], npz_into: str = "") -> Body:
    """The body as `model`. With `npz_into`, .npz is accepted too.

    Its members become the fields of the same names; members that name no field go into the dict field `npz_into`.
    """
    limits = here.limits
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    accepted = (JSON, npz.NPZ) if npz_into else (JSON,)
    length = request.headers.get("content-length", "")
    empty = length == "0" or not (length or "transfer-encoding" in request.headers)
    if kind not in accepted and not (empty and not kind):
        got = f"got {kind!r}" if kind else "got none"
        raise Problem(
            415,
            f"expected the Content-Type {' or '.join(accepted)}, {got}",
            headers={"Accept-Post": ", ".join(accepted)},
        )
    content = await _content(request, limits, kind)

    def parse() -> Body:
        return _parse(content, kind, model, npz_into, limits)

    return await here.ask(request, parse) if len(content) > LARGE else parse()


async def _content(request: Request, limits: Limits, kind: str) -> bytes:
    name = "body_bytes" if kind == npz.NPZ else "json_bytes"
    most: int = getattr(limits, name)
    said = request.headers.get("content-length", "")
    too_large = over_limit(name, most, f"the body is larger than {most} bytes")
    if said.isascii() and said.isdigit() and (len(said) > 15 or int(said) > most):
        raise too_large
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise too_large
    return bytes(content)


def _parse(content: bytes, kind: str, model: type[Body], npz_into: str, limits: Limits) -> Body:
    members: dict[str, Any] = {}
    if kind == npz.NPZ:
        document, members = npz.read_npz(content, limits)
    else:
        document = text.decode(content) if content.strip() else {}
    if not isinstance(document, dict):
        raise malformed(f"expected a JSON object, got {_word(document)}")
    for name, field in model.model_fields.items():
        if name in document and not (field.json_schema_extra or {}) == TENSOR:
            text.check_plain(document[name], [name])
    for name, tensor in members.items():
        place = document if name in model.model_fields else document.setdefault(npz_into, {})
        if not isinstance(place, dict):
            raise invalid(f"expected an object, got {_word(place)}", [npz_into])
        if name in place:
            raise invalid(f"{name} is given twice, in JSON and as a member", [name])
        place[name] = tensor
    return validate(model, document)


def validate(model: type[Body], document: Any) -> Body:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        errors = [(each["loc"], each["msg"]) for each in error.errors(include_url=False, include_input=False)]
        detail = "; ".join(f"{'.'.join(map(str, loc)) or 'the body'}: {what}" for loc, what in errors[:3])
        raise Problem(422, detail, kind="invalid", errors=errors) from None


#: Marks a field that holds numbers in nested lists, or tensors by name: checked when they become arrays.
TENSOR: dict[str, Any] = {"x-tensor": True}


def _word(value: Any) -> str:
    words = {list: "a list", dict: "an object", str: "a string", bool: "a boolean", type(None): "null"}
    return words.get(type(value), "a number")
