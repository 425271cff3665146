"""The command line: `python -m app --help` says what it takes."""

from __future__ import annotations

import argparse
import gc
import importlib.util
import ipaddress
import logging
import os
import re
import secrets
import signal
import socket
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import uvicorn

from app.http import access_log
from app.http.forwarded import network, prefix_of
from app.http.middleware import embedder
from app.limits import Limits
from app.runs.storage import announce, lock_data_dir
from app.settings import FIRST_PORT, Settings, default_data_dir, keep_kernels_in, remove_temporary_folders

#: Further ports to try when none was asked for.
TRIES = 20
#: Seconds that open connections have when the server ends.
GRACE = 1
#: Seconds for which a thread that runs Python may keep the others from it: the event loop is one among several.
SWITCH = 0.001


def parse(arguments: Sequence[str] | None = None) -> Settings:
    parser = argparse.ArgumentParser(
        prog="convscope",
        description="Train a convolutional network in the browser and see every number of it.",
        epilog="`convscope data --help` lists and adds data sets; `convscope doctor` looks for what is in the way.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: this machine only)")
    parser.add_argument("--port", type=_port, help=f"port to listen at (default: the first free one from {FIRST_PORT})")
    parser.add_argument("--no-open", action="store_true", help="do not open the browser")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder for data and compiled kernels")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="PATTERN",
        help="answer to this host name too, as school.example or *.example.org; may be given more than once",
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let pages of this origin use the API, as https://notes.example.org; may be given more than once",
    )
    parser.add_argument(
        "--allow-embed",
        action="append",
        default=[],
        metavar="ORIGIN",
        type=_checked(embedder),
        help="let pages of this origin show a step of a pass in a frame (/?frame=1), as https://notes.example.org; may "
        "be given more than once (default: no page may)",
    )
    parser.add_argument(
        "--root-path",
        default="",
        metavar="PATH",
        type=_checked(prefix_of),
        help="path below which a proxy shows this server, whether it takes the path away or not",
    )
    parser.add_argument(
        "--trusted-proxy",
        action="append",
        default=[],
        metavar="ADDRESS",
        type=_checked(network),
        help="believe what this proxy says of a request (X-Forwarded-For, -Host, -Proto, -Prefix): an address or a "
        "network, as 10.0.0.0/8; may be given more than once",
    )
    parser.add_argument(
        "--public-url", default="", metavar="URL", help="where others find this server, as https://school.example/cnn"
    )
    parser.add_argument(
        "--shared",
        action="store_true",
        help="for a class: only whoever made a run can pause, step or delete it; anybody may watch",
    )
    parser.add_argument(
        "--admin-token",
        default="",
        metavar="TOKEN",
        help="with it a lecturer can pause, slow down, rename and delete every run (default with --shared: a new one "
        "at each start, which is printed)",
    )
    parser.add_argument(
        "--lessons",
        type=Path,
        metavar="FOLDER",
        help="lessons of your own, a JSON file each; one with the name of a lesson that is there takes its place",
    )
    parser.add_argument(
        "--redis",
        default="",
        metavar="URL",
        type=_checked(_redis),
        help="keep rooms on this Redis server, which several servers may share, as redis://host:6379/0 (default: in a "
        "file of the data folder)",
    )
    parser.add_argument(
        "--threads",
        type=_threads,
        metavar="N",
        help="threads that train (default: one for each core; on a computer shared with others one less is quicker); "
        "the numbers are the same with any",
    )
    parser.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another value for a limit of /api/limits; may be given more than once, or as CONVSCOPE_LIMITS, with "
        "spaces between",
    )
    parser.add_argument(
        "--log",
        choices=("info", "warning", "error"),
        default="warning",
        help="what to write to standard error, a JSON object a line; info: every request, by its route",
    )
    given = parser.parse_args([*_from_environment(parser), *(sys.argv[1:] if arguments is None else arguments)])
    try:
        limits = Limits().adjusted([*os.environ.get("CONVSCOPE_LIMITS", "").split(), *given.limit])
    except ValueError as error:
        parser.error(str(error))
    return Settings(
        data_dir=(given.data or default_data_dir()).expanduser().absolute(),
        host=given.host,
        port=given.port,
        open_browser=not given.no_open,
        allow_hosts=tuple(given.allow_host),
        allow_origins=tuple(given.allow_origin),
        allow_embed=tuple(given.allow_embed),
        trusted_proxies=tuple(given.trusted_proxy),
        public_url=given.public_url,
        root_path=given.root_path,
        shared=given.shared,
        admin_token=given.admin_token or (secrets.token_urlsafe(12) if given.shared else ""),
        lessons=given.lessons and given.lessons.expanduser().absolute(),
        redis=given.redis,
        threads=given.threads,
        log=given.log,
        limits=limits,
    )


def _from_environment(parser: argparse.ArgumentParser) -> list[str]:
    """Every option as an environment variable, --allow-host as CONVSCOPE_ALLOW_HOST: what may be given more than once
    with spaces between, a switch as 1. What stands on the command line comes later, and wins."""
    found = []
    for action in parser._actions:
        option = action.option_strings[-1] if action.option_strings else ""
        value = os.environ.get(f"CONVSCOPE_{action.dest.upper()}", "").strip()
        if not value or not option or action.dest in ("help", "data"):
            continue
        if action.nargs == 0:
            found += [option] if value.lower() in ("1", "true", "yes", "on") else []
        elif isinstance(action.default, list):
            found += [part for each in value.split() for part in (option, each)]
        else:
            found += [option, value]
    return found


def _checked(check: Callable[[str], str]) -> Callable[[str], str]:
    """Of argparse: what a function makes of an option, or the reason why it is none."""

    def read(text: str) -> str:
        try:
            return check(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _redis(text: str) -> str:
    """The address of a Redis server, where redis-py is installed."""
    if not text:  # as when it is left out
        return ""
    if not re.match(r"(rediss?|unix)://", text):
        raise ValueError(f"{text!r} is no address of Redis; expected one such as redis://host:6379/0")
    if importlib.util.find_spec("redis") is None:
        raise ValueError("it needs redis-py: pip install redis")
    return text


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("expected 0 to 65535")
    return port


def _threads(text: str) -> int:
    threads = int(text)
    if not 1 <= threads <= 256:
        raise argparse.ArgumentTypeError("expected 1 to 256")
    return threads


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM; or, after the word `data`, list and add data sets, and after `doctor`
    look for what is in the way."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["data"]:
        from app.datasets import command

        sys.exit(command.main(words[1:]))
    if words[:1] == ["doctor"]:
        from app import doctor
        from app.site.paths import static_dir

        sys.exit(doctor.main(words[1:], static_dir()))
    settings = parse(words)
    access_log.start(settings.log)
    if complaint := keep_kernels_in(settings.data_dir):
        print(complaint, file=sys.stderr, flush=True)
    lock_data_dir(settings.data_dir)
    open_many_files()
    listener = listen(settings.host, settings.port)

    from app.http.protocol import BoundedHttpProtocol
    from app.server import create_app  # Numba reads its folder when it is imported, so not before this line

    app = create_app(settings)
    sys.setswitchinterval(SWITCH)
    gc.freeze()  # what Numba has made until here is there for good: no collection need look at it
    config = uvicorn.Config(
        app,
        http=BoundedHttpProtocol,
        h11_max_incomplete_event_size=settings.limits.head_bytes,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws_per_message_deflate=False,
        ws_max_size=settings.limits.message_bytes,
        timeout_graceful_shutdown=GRACE,
    )
    # uvicorn complains about what is no request, and about every socket that is refused with a response of its own or
    # that is sent what is no text
    usual = re.compile("Invalid HTTP request|completing handshake|Invalid UTF-8")
    logging.getLogger("uvicorn.error").addFilter(lambda record: not usual.search(record.getMessage()))
    url = address(settings.host, listener.getsockname()[1])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # uvicorn raises them again once it has ended
    print(f"Convscope is at {url}  (Ctrl+C ends it)", flush=True)
    announce(url)
    for line in notes(settings, listener.getsockname()[1]):
        print(line, flush=True)
    if settings.open_browser and _has_screen():
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    uvicorn.Server(config).run(sockets=[listener])
    remove_temporary_folders()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # everything has ended in order, or sits in a kernel; taking Numba apart would take another second


def open_many_files() -> None:
    """As many sockets as the system allows: its usual bound of 1,024 is soon reached by a class and its streams."""
    try:
        import resource
    except ImportError:  # Windows has no such bound
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def listen(host: str, port: int | None) -> socket.socket:
    """A listening socket; without a port, at the first free one. Exits with a message when there is none."""
    reason = ""
    for candidate in [port] if port is not None else range(FIRST_PORT, FIRST_PORT + TRIES):
        try:
            family, kind, protocol, _, where = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0]
            listener = socket.socket(family, kind, protocol)
            if os.name != "nt":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
            listener.listen(2048)
            listener.setblocking(False)
            return listener
        except OSError as error:
            reason = error.strerror or str(error)
    asked = f"port {port}" if port is not None else f"any port from {FIRST_PORT} to {FIRST_PORT + TRIES - 1}"
    sys.exit(f"Convscope cannot listen at {host}, {asked}: {reason}. Choose another one with --port.")


def address(host: str, port: int) -> str:
    """Where a browser on this machine finds the server."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return f"http://{host}:{port}/"
    if ip.is_unspecified:
        return f"http://localhost:{port}/"
    return f"http://[{ip}]:{port}/" if ip.version == 6 else f"http://{ip}:{port}/"


def notes(settings: Settings, port: int) -> list[str]:
    """What whoever starts the server should know: where others find it, what is open to them, what is not kept."""
    said = []
    if _is_open(settings.host):
        said += [f"Others find it at http://{each}:{port}/" for each in lan_addresses()]
        if not settings.shared:
            said.append("Anybody who reaches it may change and delete every run: start it with --shared for a class.")
    if settings.shared and settings.admin_token:
        said.append(f"The lecturer's token, which may change every run: {settings.admin_token}")
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.data_dir):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = f"{owners(settings.data_dir)}choose another folder with --data"
        said.append(f"{settings.data_dir} cannot be written ({reason}): no run is kept; {remedy}.")
    return said


def owners(folder: Path) -> str:
    """What to do about a folder that belongs to another user, as a container's volume may; "" where it is our own."""
    if not hasattr(os, "getuid"):
        return ""
    try:
        owner = folder.stat().st_uid
    except OSError:
        return ""
    own = os.getuid()
    if owner == own:
        return ""
    return (
        f"it belongs to user {owner} and this server runs as user {own}: give it to that user (chown -R {own} on the "
        f"folder, or a volume with a name in place of it), run the server as user {owner}, or "
    )


def _is_open(host: str) -> bool:
    """Whether other machines reach it."""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def lan_addresses() -> list[str]:
    """The address of this machine in its network, as far as the system knows it. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address of no machine (RFC 5737): only the way there is looked up
            found = str(probe.getsockname()[0])
        except OSError:
            return []
    return [] if ipaddress.ip_address(found).is_loopback else [found]


def _has_screen() -> bool:
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
