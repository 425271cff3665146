"""A Convscope process of its own, for tests that want a real one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.tools import ROOT


@dataclass(frozen=True)
class Server:
    """`url` has no slash at its end; `log` is all the process has printed."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def read(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return bytes(answer.read())

    def get(self, path: str) -> Any:
        """The JSON that GET `path` answers."""
        return json.loads(self.read(path))

    def wait_until(self, question: Callable[[], object], seconds: float, what: str) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode} before {what}:\n{self.tail()}")
            try:
                if question():
                    return
            except OSError:  # not listening yet, or 503
                pass
            time.sleep(0.05)
        raise TimeoutError(f"waited {seconds} s for {what}:\n{self.tail()}")

    def wait_ready(self, seconds: float = 900) -> None:
        """Return once every kernel is compiled and the welcome run can be asked."""
        self.wait_until(lambda: self.get("/api/status")["ready"], seconds, "the kernels")

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serve(
    folder: Path, *arguments: str, cwd: Path = ROOT, path: Path | None = None, port: int | None = None
) -> Iterator[Server]:
    """`python -m app` on `port` or a free one with its data in `folder`, serving pages; ended by its own process id.

    It is the checkout's, or the one installed in `path`.
    """
    port, log = port or free_port(), folder / "server.log"
    command = [sys.executable, "-m", "app", "--no-open", "--port", str(port), "--data", str(folder), *arguments]
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        server = Server(f"http://127.0.0.1:{port}", process, log)
        server.wait_until(lambda: server.read("/healthz"), 60, "the first page")
        yield server
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
