"""Many viewers, some of them stalled, while runs train: how old frames are, and what the server's memory does.

    python3 -m tests.benchmarks.viewers [--viewers 200] [--stalled 20] [--runs 4] [--seconds 20]

A frame's age is the time from "seen" (or the first subscription) to the frame that answers it: for so long the screen
shows an older one. Stalled viewers subscribe and then neither read nor say "seen".
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import websockets

from tests.server import Server, serve

TENSORS = ["input/y", "conv1/y", "conv1/dx", "conv1/w", "pool1/y", "conv2/y", "conv2/dy", "linear/y", "loss/p"]
#: Frames that a viewer takes in a second at most, as a screen would.
SHOWN = 30


def post(server: Server, path: str, body: Any) -> Any:
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def memory(server: Server) -> float:
    """Resident megabytes, NaN where the system does not say."""
    try:
        lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


async def watch(url: str, until: float, ages: list[float]) -> None:
    async with websockets.connect(url, max_size=None, compression=None, open_timeout=60) as socket:
        asked = time.monotonic()
        await socket.send(json.dumps({"subscribe": TENSORS, "dtype": "uint8"}))
        while time.monotonic() < until:
            frame = await socket.recv()
            if isinstance(frame, str):
                raise RuntimeError(frame)
            ages.append(time.monotonic() - asked)
            length = int.from_bytes(frame[:4], "little")
            await asyncio.sleep(1 / SHOWN)
            asked = time.monotonic()
            await socket.send(json.dumps({"seen": json.loads(frame[4 : 4 + length])["step"]}))


async def stall(url: str, until: float) -> None:
    async with websockets.connect(url, max_size=None, max_queue=1, compression=None, open_timeout=60) as socket:
        await socket.send(json.dumps({"subscribe": TENSORS}))
        socket.transport.pause_reading()
        await asyncio.sleep(max(0.0, until - time.monotonic()))
        socket.transport.abort()


async def crowd(server: Server, ids: list[str], viewers: int, stalled: int, seconds: float) -> list[float]:
    until = time.monotonic() + seconds
    ages: list[float] = []
    url = server.url.replace("http", "ws", 1)
    streams = [f"{url}/api/runs/{ids[number % len(ids)]}/stream" for number in range(viewers)]
    quiet = [stall(stream, until) for stream in streams[:stalled]]
    await asyncio.gather(*quiet, *(watch(stream, until, ages) for stream in streams[stalled:]))
    return ages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, value in (("viewers", 200), ("stalled", 20), ("runs", 4), ("seconds", 20)):
        parser.add_argument(f"--{name}", type=int, default=value)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as server:
        server.wait_ready()
        body = {"model": "classroom", "steps": 1_000_000}
        ids = [post(server, "/api/runs", body)["id"] for _ in range(asked.runs)]
        time.sleep(3)
        before = memory(server)
        ages = sorted(asyncio.run(crowd(server, ids, asked.viewers, asked.stalled, asked.seconds)))
        during = memory(server)
        time.sleep(3)
        speeds = [server.get(f"/api/runs/{id}")["images_per_second"] for id in ids]
        p50, p95 = (1000 * ages[int(share * (len(ages) - 1))] for share in (0.5, 0.95))
        print(
            f"{asked.viewers} viewers, {asked.stalled} stalled, {asked.runs} runs training: {len(ages)} frames, "
            f"age median {p50:.0f} ms, p95 {p95:.0f} ms, longest {1000 * ages[-1]:.0f} ms\n"
            f"memory {before:.0f} MB before, {during:.0f} MB with them, {memory(server):.0f} MB after; "
            f"{sum(speeds):.0f} images/s together afterwards"
        )


if __name__ == "__main__":
    main()
