"""Every error of the application is answered with a problem document."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match

from app.http.validation_errors import readable_errors, summary
from app.problems import Problem

logger = logging.getLogger("convscope")

_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


def of_http(error: HTTPException, path: str, methods: Iterable[str] = ()) -> Problem:
    """Starlette's own errors: no such page (404), no such method (405) where these are answered."""
    detail, headers = str(error.detail), dict(error.headers or {})
    if error.status_code == 404:
        detail = f"there is nothing at {path}; /docs lists every call"
    elif error.status_code == 405:
        headers["Allow"] = ", ".join(methods) or headers.get("Allow", "")
        detail = f"this method is not allowed at {path}; it answers {headers['Allow'] or 'other methods'}"
    return Problem(error.status_code, detail, headers=headers)


def _methods(request: Request) -> list[str]:
    """Every method that is answered at this path, which may have several routes."""
    found: set[str] = set()
    for method in _METHODS:
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            found.add(method)
    return sorted(found | ({"HEAD"} if "GET" in found else set()))


def of_validation(error: RequestValidationError) -> Problem:
    """A parameter of the path or of the query that is not what its description says."""
    errors = readable_errors(error.errors())
    return Problem(422, summary(errors), kind="invalid", errors=errors)


def install(app: FastAPI) -> None:
    """Answer every error of the application with a problem document."""

    @app.exception_handler(Problem)
    async def _problem(request: Request, error: Problem) -> Response:
        return error.response()

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        methods = _methods(request) if error.status_code == 405 else ()
        if request.method == "OPTIONS" and methods:
            return Response(status_code=204, headers={"Allow": ", ".join([*methods, "OPTIONS"])})
        return of_http(error, request.url.path, methods).response()

    @app.exception_handler(ClientDisconnect)
    async def _gone(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=400)  # nobody is there to read it

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> Response:
        return of_validation(error).response()

    @app.exception_handler(MemoryError)
    async def _memory(request: Request, error: MemoryError) -> Response:
        logger.error("out of memory", exc_info=error)
        return Problem(413, "this needs more memory than the server has left", kind="limit").response()

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> Response:
        logger.error("unexpected error", exc_info=error)
        return Problem(500, "something went wrong here; the server's log says what").response()
