"""Calls that a machine makes up, calls that mean harm, and sockets that talk nonsense: no 5xx, no hang, no memory lost.

    python3 -m tests.benchmarks.hostile [--calls 10000]

Three parts of four are schemathesis's with all its checks, the rest are the requests of tests/app/test_hostile.py,
malformed messages on streams, and the bytes and frames of tests/app/test_raw.py in random order, each with the status
or close code that it must get. Memory is compared between the first round, when everything is loaded, and the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path

import websockets

from app.server import HOUSEKEEPING
from tests.app import test_raw
from tests.app.test_hostile import TEXTS, malformed
from tests.app.test_schema import generated_calls
from tests.benchmarks.viewers import memory
from tests.server import Server, serve

#: Seconds of one round of schemathesis.
ROUND = 40
NONSENSE: list[str | bytes] = [
    *(content.decode("utf-8", "replace") for content in TEXTS), "\x00", "subscribe", '{"seen": "x"}', '{"seen": 1e400}',
    '{"subscribe": "conv1/y"}', '{"subscribe": [1, null]}', '{"subscribe": ["../../etc/passwd"]}', '{"subscribe": []}',
    '{"subscribe": ["conv1/y"], "sample": -1}', '{"subscribe": ["conv1/y"], "sample": 1e9}', "{}" * 1000,
    '{"subscribe": [' + '"conv1/y",' * 5000 + '"conv1/y"]}', '{"subscribe": ["conv1/y"], "image": {"x": [[NaN]]}}',
    b"\x00\xff" * 100, b"",
]  # fmt: skip
#: Messages that a stream takes, or over which it may close at once.
TAKEN = {'{"subscribe": []}'}


def hostile_calls(server: Server, most: int) -> Counter[int]:
    """Statuses of so many requests of which none can be answered; 0 where the connection broke."""
    found: Counter[int] = Counter()
    for method, path, content, kind in list(malformed())[:most]:
        address = server.url + urllib.parse.quote(path, safe="/?=&%@:,.-")
        request = urllib.request.Request(address, content or None, method=method)
        if kind:
            request.add_header("Content-Type", kind)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                found[answer.status] += 1
        except urllib.error.HTTPError as error:
            found[error.code] += 1
        except OSError:
            found[0] += 1
    return found


async def nonsense(server: Server, count: int) -> Counter[str]:
    """What so many messages on streams came to: a problem, the socket's closing, or something else. Some streams are
    cut off in the middle."""
    chance = random.Random(5)
    found: Counter[str] = Counter()
    url = server.url.replace("http", "ws", 1) + "/api/runs/welcome/stream"
    wrong = [message for message in NONSENSE if message not in TAKEN]
    while found.total() < count:
        async with websockets.connect(url, max_size=None) as socket:
            try:
                for _ in range(chance.randrange(1, 12)):
                    await socket.send(chance.choice(wrong))
                    answer = await asyncio.wait_for(socket.recv(), 20)
                    known = isinstance(answer, str) and 400 <= json.loads(answer)["problem"]["status"] < 500
                    found["problem" if known else f"not a problem: {answer[:100]!r}"] += 1
                if chance.random() < 0.5:
                    socket.transport.abort()
            except websockets.ConnectionClosed as closed:
                found["closed" if closed.rcvd and closed.rcvd.code == 1008 else f"broken: {closed}"] += 1
            except TimeoutError:
                found["no answer"] += 1
    return found


def raw(server: Server, count: int) -> Counter[str]:
    """How many raw requests and frames got what they must, and the names of those that did not."""
    chance = random.Random(7)
    found: Counter[str] = Counter()
    requests = {**test_raw.REQUESTS, **test_raw.HANDSHAKES}
    for _ in range(count):
        name = chance.choice([*requests, *test_raw.FRAMES])
        try:
            if name in requests:
                sent, expected = requests[name]
                got = test_raw.status(test_raw.exchange(server, sent))
            else:
                sent, expected = test_raw.FRAMES[name]
                got = test_raw.close_code(test_raw.exchange(server, test_raw.handshake(), sent))
        except OSError as error:
            found[f"{name}: {error}"] += 1
        else:
            found["as expected" if got == expected else f"{name}: {got}, not {expected}"] += 1
    return found


def clear(server: Server) -> None:
    for run in server.get("/api/runs"):
        if run["id"] != "welcome":
            request = urllib.request.Request(f"{server.url}/api/runs/{run['id']}", method="DELETE")
            urllib.request.urlopen(request, timeout=60).close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as server:
        server.wait_ready()
        start = time.monotonic()
        made, seed, failures, first = 0, 0, 0, 0.0
        while made < asked.calls * 3 // 4:
            seed += 1
            code, more, report = generated_calls(server.url, Path(folder), seed, ROUND)
            if code or not more:
                failures += 1
                print(report[-6000:])
            made += more
            clear(server)
            first = first or memory(server)
            print(f"{made} calls made up, {memory(server):.0f} MB", flush=True)
        statuses = hostile_calls(server, asked.calls // 8)
        said = asyncio.run(nonsense(server, asked.calls // 16))
        bytes_sent = raw(server, asked.calls // 16)
        clear(server)
        time.sleep(HOUSEKEEPING + 5)
        last, health = memory(server), json.loads(server.read("/healthz"))
        broken = sum(count for status, count in statuses.items() if not 400 <= status < 500)
        broken += sum(count for what, count in said.items() if what not in ("problem", "closed"))
        broken += sum(count for what, count in bytes_sent.items() if what != "as expected")
        print(
            f"{made} calls made up, {failures} rounds of {seed} with failures; {sum(statuses.values())} hostile ones: "
            f"{dict(sorted(statuses.items()))}; messages of nonsense: {dict(said)}; raw bytes: {dict(bytes_sent)}; "
            f"{health}\n"
            f"memory {first:.0f} MB after the first round, {last:.0f} MB at the end; {time.monotonic() - start:.0f} s\n"
            f"tracebacks in the log: {server.log.read_text(errors='replace').count('Traceback')}"
        )
    sys.exit(1 if failures or broken else 0)


if __name__ == "__main__":
    main()
