"""The pages and what they load."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import re
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from markupsafe import escape
from starlette.datastructures import URL
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from app.context import Ctx
from app.http import responses
from app.http.middleware import NOT_FRAMED
from app.site import docs, paths

OWN_LINES = re.compile(r"^[ \t]*(?:/\*(?:(?!\*/).)*\*/[ \t]*$|//[^\n]*$)", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
NAME = "convscope"

for kind, ending in (
    ("text/javascript", ".js"),
    ("font/woff2", ".woff2"),
    ("image/svg+xml", ".svg"),
    ("text/x-gettext-translation", ".po"),
):
    mimetypes.add_type(kind, ending)


def own_version() -> str:
    try:
        return version(NAME)
    except PackageNotFoundError:
        return "0"


def without_comments(code: str) -> str:
    """JavaScript without the comments that have lines of their own; what follows keeps its line number."""
    return OWN_LINES.sub(lambda found: "\n" * found[0].count("\n"), code)


class Files(StaticFiles):
    """Static files, asked again each time (ETag); vendored ones with ?v= are kept for good.

    Our own modules travel without their comments, a fifth of their size. Files go whole: a Range is not looked at.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        forever = path.startswith("vendor") and b"v=" in scope.get("query_string", b"")
        response.headers["Cache-Control"] = responses.FOREVER if forever else responses.CHECKED
        response.headers["Accept-Ranges"] = "none"
        own = path.endswith(".js") and not path.startswith("vendor")
        if own and isinstance(response, FileResponse) and scope["method"] == "GET":
            code = without_comments(Path(response.path).read_text("utf-8"))
            kept = {name: response.headers[name] for name in ("etag", "last-modified", "cache-control")}
            return Response(code, headers=kept, media_type="text/javascript")
        return response


def content_security_policy(page: str, host: str, embedders: Sequence[str] = ()) -> str:
    """Everything from this host alone; the page's own inline scripts (its import map) by their hashes. Pages of the
    `embedders` may frame it."""
    hashes = [
        "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"
        for script in INLINE.findall(page)
    ]
    return "; ".join(
        [
            "default-src 'self'",
            " ".join(["script-src 'self'", *hashes]),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            f"connect-src 'self' ws://{host} wss://{host}",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            f"frame-ancestors {' '.join(embedders)}" if embedders else NOT_FRAMED,
        ]
    )


def _answer(request: Request, content: str, embedders: Sequence[str] = ()) -> Response:
    """A page that says where it comes from, asked again each time; pages of the `embedders` may frame it."""
    host = request.headers["host"]
    content = content.replace(docs.BASE, str(escape(responses.public_address(request))))
    tag = responses.etag(content)
    response = responses.unchanged(request, tag, responses.CHECKED) or Response(content, media_type="text/html")
    response.headers["Content-Security-Policy"] = content_security_policy(content, host, embedders)
    return responses.with_etag(response, tag, responses.CHECKED)


def install(app: FastAPI) -> None:
    """Serve the pages and the files under /static."""
    router = APIRouter(include_in_schema=False)
    folder = docs.environment(paths.templates_dir())

    @router.api_route("/", methods=["GET", "HEAD"])
    async def page(request: Request, ctx: Ctx) -> Response:
        """With `?frame=1` a step alone, in which nothing of the server can be changed: only that may be framed."""
        embedders = ctx.settings.allow_embed if request.query_params.get("frame") == "1" else ()
        return _answer(request, folder.get_template("index.html").render(version=own_version()), embedders)

    @router.api_route("/favicon.ico", methods=["GET", "HEAD"])
    async def icon(request: Request) -> Response:
        target = URL(responses.location(request, "/static/icon.svg"))
        return Response(status_code=307, headers={"Location": str(target)})

    @router.api_route("/convscope.py", methods=["GET", "HEAD"])
    async def client(request: Request) -> Response:
        """The client for people who know NumPy, with this server's address in it."""
        source = paths.client_file().read_text("utf-8")
        response = _answer(request, source.replace('SERVER = "http://127.0.0.1:8000"', f'SERVER = "{docs.BASE}"'))
        response.headers["Content-Type"] = "text/x-python; charset=utf-8"
        response.headers["Content-Disposition"] = "attachment; filename=convscope.py"
        return response

    made: dict[str, str] = {}

    def rendered(name: str, make: Callable[..., str], *arguments: Any) -> str:
        """A page, made at the first visit."""
        if name not in made:
            made[name] = make(*arguments)
        return made[name]

    @router.api_route("/docs", methods=["GET", "HEAD"])
    async def documentation(request: Request, ctx: Ctx) -> Response:
        content = await ctx.ask(request, rendered, "docs", docs.docs_page, folder, app, ctx.limits)
        return _answer(request, content)

    @router.api_route("/programmers", methods=["GET", "HEAD"])
    async def programmers(request: Request, ctx: Ctx) -> Response:
        content = await ctx.ask(request, rendered, "programmers", docs.programmers_page, folder, paths.templates_dir())
        return _answer(request, content)

    app.include_router(router)
    files = Files(directory=paths.static_dir())
    app.mount("/static", GZipMiddleware(files, minimum_size=1000, compresslevel=6), name="static")
