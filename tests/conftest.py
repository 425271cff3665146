"""One real server for the session, and one folder of compiled kernels for every test and every session."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import Server, serve
from tests.tools import CACHE, ROOT

os.environ.setdefault("NUMBA_CACHE_DIR", str(CACHE / "numba"))  # numba reads it when it is first imported


@pytest.fixture(scope="session")
def warmed() -> Path:
    """A folder of kernels that `python -m engine.warm` alone has filled. The tests' own begins as a copy of it, so that
    hardly anything is compiled twice."""
    folder, own = CACHE / "warmed", Path(os.environ["NUMBA_CACHE_DIR"])
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    subprocess.run([sys.executable, "-m", "engine.warm"], cwd=ROOT, env=environment, check=True)
    if any(not (own / stamp.name).exists() for stamp in folder.glob("warm-*")):
        shutil.copytree(folder, own, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, warmed: Path) -> Iterator[Server]:
    """Answers pages at once, numbers after `server.wait_ready()`."""
    with serve(tmp_path_factory.mktemp("server")) as running:
        yield running
