"""Writing an answer: JSON or NumPy's files by Accept, and the headers of what never changes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from app.formats import json, npz
from app.limits import Limits
from app.problems import Problem

#: Multiply-adds that take as long as writing a number as JSON.
WRITING = 400.0
#: Bytes of memory for each number of a large answer: computed, and written.
ANSWERED = 16
FOREVER = "public, max-age=31536000, immutable"
CHECKED = "no-cache"


def negotiate(request: Request, *kinds: str) -> str:
    """The one of `kinds` that Accept likes best; the first of several that it likes alike. 406 when it takes none."""
    weights: dict[str, float] = {}
    for part in (request.headers.get("accept") or "*/*").split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights[kind] = _weight(parameters)

    def liking(kind: str) -> float:
        family = kind.partition("/")[0] + "/*"
        return next((weights[name] for name in (kind, family, "*/*") if name in weights), 0.0)

    best = max(kinds, key=liking)
    if not liking(best):
        raise Problem(406, f"there is {' or '.join(kinds)} here, and Accept takes none of them", kind="not-acceptable")
    return best


def _weight(parameters: list[str]) -> float:
    """The q of a part of Accept: from 0 to 1, and 1 where there is none."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return float(value) if re.fullmatch(r"\s*(0(\.\d*)?|1(\.0*)?)\s*", value) else 0.0
    return 1.0


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None, limits: Limits | None = None
) -> Response:
    """413 where arrays of `value` hold more numbers than JSON is made of."""
    content = json.encode(value, (limits or Limits()).json_numbers)
    return Response(content, status, headers, media_type="application/json")


def tensors_response(kind: str, tensors: Mapping[str, np.ndarray], rest: Mapping[str, Any], limits: Limits) -> Response:
    """{"tensors": ..., **rest} as JSON, or the tensors as members of an .npz with the rest in `response`."""
    if kind == npz.NPZ:
        return Response(npz.write_npz(tensors, dict(rest)), media_type=npz.NPZ)
    return json_response({"tensors": dict(tensors), **rest}, limits=limits)


def etag(*parts: object) -> str:
    """Of what an answer is made from, which must determine it wholly."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode("utf-8", "replace"), digest_size=12)
    return f'"{digest.hexdigest()}"'


def unchanged(request: Request, tag: str, caching: str) -> Response | None:
    """304 when the client has it already."""
    known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if tag in known or "*" in known:
        return Response(status_code=304, headers={"ETag": tag, "Cache-Control": caching})
    return None


def cacheable(request: Request, content: bytes, kind: str = "application/json") -> Response:
    """What stays the same as long as this server runs."""
    tag = etag(kind, hashlib.blake2b(content).hexdigest())
    return unchanged(request, tag, CHECKED) or with_etag(Response(content, media_type=kind), tag, CHECKED)


def with_etag(response: Response, tag: str, caching: str) -> Response:
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = caching
    response.headers["Vary"] = "Accept"
    return response


def public_address(request: Request) -> str:
    """Where others find this server: as it was told, else as the client asked."""
    public: str = request.app.state.context.settings.public_url.rstrip("/")
    return public or f"{request.url.scheme}://{request.headers['host']}{location(request, '')}"


def location(request: Request, path: str) -> str:
    """A path of this server as the client sees it, below a proxy's prefix too."""
    prefix: str = request.scope.get("root_path", "")
    return prefix + path
