"""`python -m app doctor`: looks for what is in the way on this machine, and says what to do about it.

Its answer is one paste for whoever helps. It changes nothing, and asks nobody but this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import sys
import tempfile
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from app.limits import OWN, machine_bytes
from app.runs.storage import announced
from app.settings import FIRST_PORT, default_data_dir, keep_kernels_in

State = Literal["ok", "note", "bad"]
#: Seconds that this machine's own server has to answer.
PATIENCE = 4.0
#: Bytes that compiled kernels and the runs of a class need.
ROOM = 1 << 30
PACKAGES = ("numpy", "numba", "llvmlite", "fastapi", "starlette", "uvicorn", "pydantic", "pillow", "safetensors")
PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and, where that is not well, what to do."""

    what: str
    state: State
    detail: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{self.state:<4}  {self.what:<10}  {self.detail}"
        return f"{line}\n{'':18}{self.remedy}" if self.remedy else line


def main(arguments: Sequence[str], static: Path) -> int:
    """Print what was found; 1 where something is bad. With --health one line, of the server that runs alone."""
    parser = argparse.ArgumentParser(prog="convscope doctor", description=__doc__)
    parser.add_argument("--data", type=Path, metavar="FOLDER", default=None, help="the data folder to look at")
    parser.add_argument("--port", type=int, default=FIRST_PORT, help="the port that the server is to have")
    parser.add_argument("--health", action="store_true", help="ask only whether the server of the data folder answers")
    given = parser.parse_args(arguments)
    data_dir = (given.data or default_data_dir()).expanduser().absolute()
    found = [server(data_dir, given.port)] if given.health else list(findings(data_dir, given.port, static))
    for finding in found:
        print(finding)
    running = found[-1].state == "ok" if given.health else all(finding.state != "bad" for finding in found)
    return 0 if running else 1


def findings(data_dir: Path, port: int, static: Path) -> Iterator[Finding]:
    yield python()
    yield from packages()
    yield cpu()
    yield memory()
    yield folder(data_dir)
    yield kernels(data_dir)
    yield parts(static)
    yield names()
    yield proxies()
    yield browser()
    running = server(data_dir, port)
    yield running
    if running.state != "ok":
        yield free_port(port)


def python() -> Finding:
    here = f"{platform.python_version()}, {platform.system()} {platform.release()}, {platform.machine()}"
    bits = "" if sys.maxsize > 2**32 else "32-bit "
    if bits or not (3, 11) <= sys.version_info[:2] <= (3, 14):
        return Finding("python", "bad", f"{bits}{here}", "Install a 64-bit Python 3.11 to 3.14.")
    return Finding("python", "ok", f"{here} ({sys.executable})")


def packages() -> Iterator[Finding]:
    there, missing = [], []
    for name in PACKAGES:
        try:
            there.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    yield Finding("packages", "ok", ", ".join(there))
    if missing:
        yield Finding("packages", "bad", f"missing: {', '.join(missing)}", "Install again: pip install .")


def cpu() -> Finding:
    from engine.fast.thread_pool import cores
    from engine.kernels import host_cpu

    name, features = host_cpu()
    wide = next((each for each in ("avx512f", "avx2", "neon") if f"+{each}" in features.split(",")), "none known")
    threads = cores()
    return Finding("cpu", "ok", f"{name}, vectors: {wide}, {threads} core{'s' * (threads > 1)} to use")


def memory() -> Finding:
    size = machine_bytes()
    said = f"{size >> 20:,} MB to use"
    if size < 2 * OWN:
        return Finding("memory", "bad", said, f"Give it {2 * OWN >> 20} MB or more; fewer runs then fit than one.")
    return Finding("memory", "ok", said)


def folder(data_dir: Path) -> Finding:
    above = next(each for each in (data_dir, *data_dir.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        owner = f", it belongs to user {above.stat().st_uid}" if hasattr(os, "getuid") else ""
        reason = f"{data_dir} cannot be written ({error.strerror or error}{owner})"
        return Finding("data", "bad", reason, "No run is kept. Choose another folder with --data, or change its owner.")
    free = shutil.disk_usage(above).free
    said = f"{data_dir}, {free >> 20:,} MB free"
    if free < ROOM:
        return Finding("data", "note", said, f"Runs and kernels of a class want {ROOM >> 20:,} MB.")
    return Finding("data", "ok", said)


def kernels(data_dir: Path) -> Finding:
    there = os.environ.get("NUMBA_CACHE_DIR")
    if not there and not (data_dir / "numba").is_dir():
        return Finding("kernels", "note", "none compiled yet", "The first start compiles them, about a minute.")
    complaint = keep_kernels_in(data_dir)
    if complaint:
        return Finding("kernels", "bad", complaint)
    from engine.kernels import is_warm  # Numba reads its folder when it is imported

    cached = os.environ["NUMBA_CACHE_DIR"]
    if is_warm():
        return Finding("kernels", "ok", f"compiled for this CPU, in {cached}")
    return Finding("kernels", "note", f"not all compiled, in {cached}", "The next start compiles them, about a minute.")


def parts(static: Path) -> Finding:
    from engine.data import MNIST_FOLDER

    missing = [str(each) for each in (static / "vendor", MNIST_FOLDER) if not any(each.glob("*"))]
    if missing:
        remedy = "Install again where the package registries can be reached: pip install ."
        return Finding("parts", "bad", f"missing: {', '.join(missing)}", remedy)
    return Finding("parts", "ok", "the page's libraries and MNIST are here")


def names() -> Finding:
    try:
        found = sorted({str(each[4][0]) for each in socket.getaddrinfo("localhost", None)})
    except OSError as error:
        remedy = "Open http://127.0.0.1 in place of localhost, or name localhost in the hosts file."
        return Finding("names", "note", f"localhost has no address ({error})", remedy)
    return Finding("names", "ok", f"localhost is {', '.join(found)}")


def proxies() -> Finding:
    given = next((name for name in PROXIES if os.environ.get(name)), None)
    if given and not urllib.request.proxy_bypass("127.0.0.1"):
        remedy = "Set no_proxy=localhost,127.0.0.1, or programs ask the proxy for this machine's own server."
        return Finding("proxy", "note", f"{given} is set and no_proxy leaves out 127.0.0.1", remedy)
    return Finding("proxy", "ok", "none stands between this machine and itself")


def browser() -> Finding:
    with suppress(webbrowser.Error):
        name = getattr(webbrowser.get(), "name", None) or type(webbrowser.get()).__name__
        return Finding("browser", "ok", f"{name} opens by itself")
    return Finding("browser", "note", "none is known to Python", "Open the address that the start prints by hand.")


def server(data_dir: Path, port: int) -> Finding:
    """The server that holds the data folder, or else one at the port."""
    url = announced(data_dir) or f"http://127.0.0.1:{os.environ.get('CONVSCOPE_PORT') or port}/"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{url}healthz", timeout=PATIENCE) as answer:
            said = json.load(answer)
        if said == {"status": "ok"}:
            return Finding("server", "ok", f"answers at {url}")
        return Finding("server", "bad", f"another program answers at {url}", "Choose another port with --port.")
    except urllib.error.HTTPError as error:
        remedy = "Another program may have the port: choose another with --port."
        return Finding("server", "bad", f"{url}healthz answers {error.code}", remedy)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Finding("server", "note", f"none answers at {url} ({reason})", "Start it with python -m app.")


def free_port(port: int) -> Finding:
    with socket.socket() as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            remedy = "Choose another with --port; without it the start takes the next free one."
            return Finding("port", "note", f"{port} cannot be had ({error.strerror})", remedy)
    return Finding("port", "ok", f"{port} is free")
