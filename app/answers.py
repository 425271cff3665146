"""Writing an answer: JSON or NumPy's files by Accept, and the headers of what never changes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from app.wire import npz, text

FOREVER = "public, max-age=31536000, immutable"
CHECKED = "no-cache"


def prefers(request: Request, *kinds: str) -> str:
    """The one of `kinds` that Accept likes best; the first when it likes none more."""
    weights: dict[str, float] = {}
    for part in request.headers.get("accept", "*/*").split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        weights[kind] = weight

    def liking(kind: str) -> float:
        family = kind.partition("/")[0] + "/*"
        return next((weights[name] for name in (kind, family, "*/*") if name in weights), 0.0)

    return max(kinds, key=liking)


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(text.encode(value), status, headers, media_type="application/json")


def tensors_response(kind: str, tensors: Mapping[str, np.ndarray], rest: Mapping[str, Any]) -> Response:
    """{"tensors": ..., **rest} as JSON, or the tensors as members of an .npz with the rest in `response`."""
    if kind == npz.NPZ:
        return Response(npz.write_npz(tensors, dict(rest)), media_type=npz.NPZ)
    return json_response({"tensors": dict(tensors), **rest})


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


def kept(response: Response, tag: str, caching: str) -> Response:
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = caching
    response.headers["Vary"] = "Accept"
    return response


def location(request: Request, path: str) -> str:
    """A path of this server as the client sees it, below a proxy's prefix too."""
    prefix = request.headers.get("x-forwarded-prefix", "").rstrip("/")
    if not prefix.startswith("/") or not prefix.replace("/", "").replace("-", "").replace("_", "").isalnum():
        prefix = request.scope.get("root_path", "")
    return prefix + path
