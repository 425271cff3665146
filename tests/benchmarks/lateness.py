"""How late the server's event loop wakes, with nothing to do and while "classroom" trains on all cores.

    python -m tests.benchmarks.lateness [--seconds 10] [--threads N]

The application serves in this process, by the loop that is measured: it sleeps for 10 ms again and again, and what a
sleep takes longer is how long a request may have to wait.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import uvicorn

from app.main import SWITCH, listen
from app.server import create_app
from app.settings import Settings

NAP = 0.01


def ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


async def lateness(seconds: float) -> str:
    """Of the sleeps in so many seconds."""
    loop, late = asyncio.get_running_loop(), []
    end = loop.time() + seconds
    while (begun := loop.time()) < end:
        await asyncio.sleep(NAP)
        late.append(1000 * (loop.time() - begun - NAP))
    late.sort()
    p50, p99 = (late[int(share * (len(late) - 1))] for share in (0.5, 0.99))
    return f"median {p50:.2f} ms, p99 {p99:.2f} ms, longest {late[-1]:.1f} ms"


async def measure(folder: Path, seconds: float, threads: int | None) -> None:
    listener = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = create_app(Settings(folder, open_browser=False, threads=threads))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    serving = asyncio.create_task(server.serve([listener]))
    while not (await asyncio.to_thread(ask, f"{url}/api/status"))["ready"]:
        await asyncio.sleep(0.5)
    await asyncio.sleep(3)  # the welcome run ends meanwhile
    print("nothing trains:   ", await lateness(seconds), flush=True)
    run = await asyncio.to_thread(ask, f"{url}/api/runs", {"model": "classroom", "steps": 1_000_000})
    await asyncio.sleep(2)
    print("classroom trains: ", await lateness(seconds), flush=True)
    trained = await asyncio.to_thread(ask, f"{url}/api/runs/{run['id']}")
    print(f"{trained['images_per_second']:,.0f} images/s meanwhile")
    server.should_exit = True
    await serving


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--threads", type=int, help="that train (default: one for each core)")
    given = parser.parse_args()
    sys.setswitchinterval(SWITCH)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), given.seconds, given.threads))


if __name__ == "__main__":
    main()
