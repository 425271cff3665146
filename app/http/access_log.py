"""What the server says about itself: one JSON object a line, each request under an id of its own, nobody's data.

Neither addresses, nor bodies, nor what stands in a URL is written: a request is known by its route.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from starlette.types import Scope

requests = logging.getLogger("convscope.requests")

#: The request that is being answered, "" outside of one.
request_id: ContextVar[str] = ContextVar("request_id", default="")
_ACCEPTED = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Lines(logging.Formatter):
    """time, level, message; `request` within one; `exception` with its traceback; and what `extra` named `facts`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if known := request_id.get():
            line["request"] = known
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def start(level: str) -> None:
    """Write what is at least this important to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(Lines())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


def name_request(asked_for: str) -> str:
    """The id of the request that begins: the client's or proxy's own where it is a sensible one."""
    name = asked_for if _ACCEPTED.fullmatch(asked_for) else secrets.token_hex(8)
    request_id.set(name)
    return name


def answered(scope: Scope, status: int, seconds: float) -> None:
    """One line for each request, by its route."""
    route = getattr(scope.get("route"), "path", "")
    facts = {"method": scope["method"], "route": route, "status": status, "ms": round(1000 * seconds, 1)}
    requests.log(logging.ERROR if status == 500 else logging.INFO, "answered", extra={"facts": facts})
