"""One real server for the session, and one folder of compiled kernels for every test and every session."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.server import Server, serve
from tests.tools import CACHE

os.environ.setdefault("NUMBA_CACHE_DIR", str(CACHE / "numba"))  # numba reads it when it is first imported


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Answers pages at once, numbers after `server.wait_ready()`."""
    with serve(tmp_path_factory.mktemp("server")) as running:
        yield running
