"""Calls that a machine makes up from the schema: every answer is one that the schema promises, and none is of 5xx.

`CONVSCOPE_CALLS=10000 python3 -m tests tests/app/test_schema.py` makes about so many; tests/benchmarks/hostile.py does
that too, sends what no schema would, and watches the server's memory.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.server import Server

CALLS = int(os.environ.get("CONVSCOPE_CALLS", "100"))
CONFIG = Path(__file__).with_name("schemathesis.toml")
#: Of one round of calls, each with a seed of its own.
SECONDS = 18


def generated_calls(url: str, folder: Path, seed: int, seconds: int = SECONDS) -> tuple[int, int, str]:
    """Exit code, how many calls were made, and the report of `st run` with all its checks."""
    command: list[str | Path] = [
        Path(sys.executable).with_name("st"), "--config-file", CONFIG, "run", f"{url}/openapi.json", "--checks", "all",
        "--max-time", str(seconds), "--phases", "examples,coverage,fuzzing", "--continue-on-failure", "--no-color",
        "--seed", str(seed), "--generation-database", "none", "--request-timeout", "10",
        "--suppress-health-check", "all",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60 + 3 * seconds)
    made = re.search(r"(\d+) generated", done.stdout)
    return done.returncode, int(made[1]) if made else 0, done.stdout + done.stderr


def test_every_answer_to_a_generated_call_is_one_that_the_schema_promises(server: Server, tmp_path: Path) -> None:
    server.wait_ready()
    made = seed = 0
    while made < CALLS:
        seed += 1
        code, more, report = generated_calls(server.url, tmp_path, seed)
        assert code == 0 and more, report[-8000:]
        made += more
    # What they started would train beside all later tests.
    for run in server.get("/api/runs"):
        if run["id"] != "welcome":
            gone = urllib.request.Request(f"{server.url}/api/runs/{run['id']}", method="DELETE")
            urllib.request.urlopen(gone, timeout=60).close()
