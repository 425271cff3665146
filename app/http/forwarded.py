"""Behind a proxy: below which path the server is shown, and whom a request really comes from.

Inside, every request looks the same: `path` begins with the prefix and `root_path` is the prefix, whether the proxy
takes the prefix away or not. X-Forwarded-For, -Host, -Proto and -Prefix count only where the connection comes from a
proxy that is trusted; from anybody else they are passed over.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
PROTOCOLS = {"http": ("http", "ws"), "https": ("https", "wss")}


def networks(written: Iterable[str]) -> Networks:
    """Addresses and networks such as 10.0.0.0/8; ValueError for what is neither."""
    return tuple(ipaddress.ip_network(each.strip(), strict=False) for each in written)


def network(written: str) -> str:
    """One of them as it was written; ValueError for what is none."""
    networks([written])
    return written


def prefix_of(path: str) -> str:
    """A prefix as it stands before paths: "" or "/convscope". ValueError for what is none."""
    plain = path.strip().rstrip("/")
    if plain and not plain.startswith("/"):
        plain = f"/{plain}"
    if plain and not PREFIX.fullmatch(plain):
        raise ValueError(f"{path!r} is no path; expected one such as /convscope")
    return plain


class Forwarded:
    def __init__(self, app: ASGIApp, root_path: str = "", trusted: Iterable[str] = (), public_url: str = "") -> None:
        self.app, self._trusted = app, networks(trusted)
        self._public = urlsplit(public_url)
        self._prefix = prefix_of(root_path) or prefix_of(self._public.path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        seen = self._seen(scope)
        if seen["path"] == seen["root_path"] and scope["type"] == "http":
            query = f"?{asked}" if (asked := scope["query_string"].decode("latin-1")) else ""
            await RedirectResponse(f"{seen['root_path']}/{query}", 308)(scope, receive, send)
            return
        await self.app(seen, receive, send)

    def _seen(self, scope: Scope) -> Scope:
        """The request as its sender made it."""
        prefix, scheme, client = self._prefix, scope["scheme"], scope.get("client")
        headers = MutableHeaders(raw=list(scope["headers"]))
        if client and self._is_trusted(client[0]):
            prefix = self._forwarded_prefix(headers) or prefix
            protocols = PROTOCOLS.get(_first(headers, "x-forwarded-proto").lower())
            scheme = protocols[scope["type"] == "websocket"] if protocols else scheme
            if host := _first(headers, "x-forwarded-host"):
                headers["host"] = host
            client = (self._sender(headers, client[0]), client[1])
        if self._public.scheme in PROTOCOLS:
            scheme = PROTOCOLS[self._public.scheme][scope["type"] == "websocket"]
        path, raw = scope["path"], scope.get("raw_path") or scope["path"].encode()
        if prefix and not (path == prefix or path.startswith(f"{prefix}/")):
            path, raw = prefix + path, prefix.encode() + raw
        return {
            **scope,
            "path": path,
            "raw_path": raw,
            "root_path": prefix,
            "scheme": scheme,
            "client": client,
            "headers": headers.raw,
        }

    def _is_trusted(self, address: str) -> bool:
        found = _address(address)
        return found is not None and any(found in network for network in self._trusted)

    def _sender(self, headers: Headers, proxy: str) -> str:
        """The right-most address that is no trusted proxy: what stands left of it may be anybody's invention."""
        hops = [each.strip() for line in headers.getlist("x-forwarded-for") for each in line.split(",")]
        for hop in reversed(hops):
            found = _address(hop)
            if found is None:
                break
            if not self._is_trusted(str(found)):
                return str(found)
        return proxy

    def _forwarded_prefix(self, headers: Headers) -> str:
        try:
            return prefix_of(_first(headers, "x-forwarded-prefix"))
        except ValueError:
            return ""


def _first(headers: Headers, name: str) -> str:
    """A header that proxies may have made a list of: the entry of the outermost."""
    return headers.get(name, "").partition(",")[0].strip()


def _address(written: str) -> Address | None:
    """An address, perhaps with a port or in brackets; IPv4 in IPv6 is IPv4."""
    plain = written.strip()
    if plain.startswith("["):
        plain = plain[1:].partition("]")[0]
    elif plain.count(":") == 1:
        plain = plain.partition(":")[0]
    try:
        found = ipaddress.ip_address(plain)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
