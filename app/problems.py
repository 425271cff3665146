"""Every error a client sees: problem documents (RFC 9457), whatever went wrong and wherever."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS, LONGEST_DETAIL = 20, 600
Loc = Sequence[str | int]


class Problem(Exception):
    """An answer of 4xx or 503 with its reason.

    `kind` ends the document's `type`; `errors` are pairs of where (`loc`) and what; `extra` holds further members,
    such as the name and value of a limit.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str = "",
        errors: Iterable[tuple[Loc, str]] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ):
        super().__init__(detail)
        self.status, self.detail, self.kind = status, _short(detail), kind
        self.errors = [
            {
                "loc": [_short(str(at), 60) if isinstance(at, str) else at for at in loc],
                "detail": _short(what),
            }
            for loc, what in list(errors)[:MOST_ERRORS]
        ]
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def document(self) -> dict[str, Any]:
        title = HTTPStatus(self.status).phrase
        kind = self.kind or title.lower().replace(" ", "-").replace("'", "")
        return {
            "type": f"urn:convscope:problem:{kind}",
            "title": title,
            "status": self.status,
            "detail": self.detail,
            "errors": self.errors,
            **self.extra,
        }

    def response(self) -> Response:
        content = json.dumps(self.document()).encode()
        headers = {"Cache-Control": "no-store", **self.headers}
        return Response(content, self.status, headers, media_type=MEDIA_TYPE)


def _short(words: str, length: int = LONGEST_DETAIL) -> str:
    """What a client sent may be quoted in a detail, but not at any length."""
    return words if len(words) <= length else f"{words[: length // 2]} … {words[-length // 3 :]}"


def malformed(detail: str, loc: Loc = ()) -> Problem:
    """400: the body cannot be read at all."""
    return Problem(400, detail, kind="malformed", errors=[(loc, detail)])


def invalid(detail: str, loc: Loc = ()) -> Problem:
    """422: the body can be read, but asks for what does not fit."""
    return Problem(422, detail, kind="invalid", errors=[(loc, detail)])


def missing(detail: str) -> Problem:
    return Problem(404, detail)


def conflict(detail: str) -> Problem:
    """409: a state that does not allow it."""
    return Problem(409, detail)


def over_limit(name: str, value: float, detail: str, loc: Loc = ()) -> Problem:
    """413: a limit, with its name and value."""
    errors = [(loc, detail)] if loc else []
    return Problem(413, detail, kind="limit", errors=errors, extra={"limit": {"name": name, "value": value}})


def too_many(name: str, value: float, detail: str, retry_after: int = 1) -> Problem:
    """429: more at once than the limit allows."""
    headers = {"Retry-After": str(retry_after)}
    extra = {"limit": {"name": name, "value": value}}
    return Problem(429, detail, kind="limit", headers=headers, extra=extra)


def unavailable(detail: str, retry_after: int, kind: str = "", **extra: Any) -> Problem:
    return Problem(503, detail, kind=kind, headers={"Retry-After": str(retry_after)}, extra=extra)


def closing() -> Problem:
    return unavailable("the server is shutting down", retry_after=5)
