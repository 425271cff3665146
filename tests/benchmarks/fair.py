"""Light questions while clients ask the heaviest ones and runs train: how long each takes.

    python3 -m tests.benchmarks.fair [--clients 8] [--runs 2] [--seconds 30]

First each heavy call alone, and the longest that a light one waits beside it; then all clients at once, each asking one
heavy call after another. Clients are processes of their own, so that their work is not taken for the server's.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import random
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from tests.server import Server, serve

Call = tuple[str, str, bytes | None, str, str]
"""Method, path, body, its type, the type wanted."""
Times = list[tuple[str, int, float]]
"""Name of the call, status, seconds."""

JSON, NPZ = "application/json", "application/x-npz"


def as_json(path: str, body: Any, accept: str = JSON) -> Call:
    return "POST", path, json.dumps(body).encode(), JSON, accept


def as_npz(path: str, accept: str = NPZ, rest: Any = None, packed: bool = False, **tensors: np.ndarray) -> Call:
    stream = io.BytesIO()
    members = tensors | ({"request": np.array(json.dumps(rest))} if rest else {})
    (np.savez_compressed if packed else np.savez)(stream, **members)  # type: ignore[arg-type]
    return "POST", path, stream.getvalue(), NPZ, accept


def light() -> dict[str, Call]:
    x, w = [[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]], [[[[1, 0], [0, 1]]]]
    return {
        "healthz": ("GET", "/healthz", None, JSON, JSON),
        "ops": ("GET", "/api/ops", None, JSON, JSON),
        "conv2d": as_json("/api/ops/conv2d/forward", {"tensors": {"x": x, "w": w}}),
    }


def heavy() -> dict[str, Call]:
    """Close to the limits in each of their kinds."""
    chance = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray:
        return chance.standard_normal(shape)

    ops = "/api/ops"
    thousand = drawn(1, 1, 1000, 1000)
    linear = [
        {"name": "flat", "op": "flatten"},
        *({"name": f"l{k}", "op": "linear", "settings": {"out": out}} for k, out in enumerate((2000, 2000, 10))),
    ]
    return {
        "conv2d, 2e9": as_npz(f"{ops}/conv2d/forward", x=drawn(1, 128, 64, 64), w=drawn(128, 128, 5, 5)),
        "conv2d backward, 2e9": as_npz(
            f"{ops}/conv2d/backward", x=drawn(1, 64, 64, 64), w=drawn(96, 64, 5, 5), dy=drawn(1, 96, 60, 60)),
        "conv2d depthwise 40x40": as_npz(
            f"{ops}/conv2d/forward", rest={"settings": {"groups": 16}},
            x=drawn(1, 16, 150, 150), w=drawn(16, 1, 40, 40)),
        "conv_transpose2d": as_npz(
            f"{ops}/conv_transpose2d/backward", rest={"settings": {"stride": 2}},
            x=drawn(1, 64, 64, 64), w=drawn(64, 85, 5, 5), dy=drawn(1, 85, 131, 131)),
        "lp_pool2d 20x20": as_npz(
            f"{ops}/lp_pool2d/forward", rest={"settings": {"kernel_size": 20, "stride": 1, "norm_type": 2.5}},
            x=drawn(1, 1, 440, 440)),
        "max_pool2d 22x22": as_npz(
            f"{ops}/max_pool2d/forward", rest={"settings": {"kernel_size": 22, "stride": 1}}, x=thousand),
        "gelu of 8 million": as_npz(f"{ops}/gelu/forward", x=drawn(8, 1000, 1000)),
        "relu to JSON": as_npz(f"{ops}/relu/forward", JSON, x=drawn(2, 1000, 990)),
        "relu from JSON": as_json(
            f"{ops}/relu/forward", {"tensors": {"x": np.round(drawn(480, 1000), 3).tolist()}}, NPZ),
        "relu from packed zeros": as_npz(f"{ops}/relu/forward", packed=True, x=np.zeros((16, 1000, 1000))),
        "lists in JSON": as_json(f"{ops}/relu/forward", {"tensors": {"x": [[1]] * 199_000}}, NPZ),
        "conv2d check": as_npz(
            f"{ops}/conv2d/check", JSON, x=drawn(4, 16, 32, 32), w=drawn(16, 16, 3, 3), dy=drawn(4, 16, 30, 30)),
        "linear check": as_npz(f"{ops}/linear/check", x=drawn(100, 500), w=drawn(500, 500), dy=drawn(100, 500)),
        "softmax check": as_npz(f"{ops}/softmax/check", x=drawn(100, 10_000), dy=drawn(100, 10_000)),
        "explain dw of a million terms": as_npz(
            f"{ops}/conv2d/explain", JSON, {"place": "dw/0,0,0,0"},
            x=drawn(4, 1, 1000, 1000), w=drawn(1, 1, 3, 3), dy=drawn(4, 1, 998, 998)),
        "explain softmax of 100,000": as_npz(
            f"{ops}/softmax/explain", JSON, {"place": "dx/0,0"}, x=drawn(10, 100_000), dy=drawn(10, 100_000)),
        "explain batch norm": as_npz(
            f"{ops}/batch_norm/explain", JSON, {"place": "dx/0,0,0,0"}, x=drawn(64, 8, 64, 64), dy=drawn(64, 8, 64, 64),
            gamma=drawn(8), beta=drawn(8), running_mean=drawn(8), running_var=np.ones(8)),
        "gradients of lenet5": as_npz(
            "/api/networks/gradients", rest={"model": "lenet5", "seed": 1},
            x=np.abs(drawn(250, 1, 28, 28)), target=np.zeros(250, int)),
        "gradients of 5 million": as_npz(
            "/api/networks/gradients", rest={"network": {"input": [1, 28, 28], "layers": linear}, "seed": 1},
            x=drawn(5, 1, 28, 28), target=np.zeros(5, int)),
        "check of small-vgg": as_npz(
            "/api/networks/check", JSON, {"model": "small-vgg", "seed": 1},
            x=drawn(4, 1, 28, 28), target=np.zeros(4, int)),
        "adam of 4 million": as_npz("/api/optimizers/adam/step", w=drawn(2000, 2000), dw=drawn(2000, 2000)),
        "score of 200 layers": as_json("/api/networks/score", {"network": {"input": [1, 28, 28], "layers": [
            *({"name": f"c{k}", "op": "conv2d", "settings": {"out": 2, "kernel_size": 3, "padding": 1}}
              for k in range(200)), *linear]}}),
        "score of DenseNet-121": as_json("/api/networks/score", {"model": "densenet121"}),
    }  # fmt: skip


def busy(server: Server) -> float:
    """Seconds that the server has held cores, NaN where the system does not say."""
    try:
        used = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    except OSError:
        return float("nan")
    return sum(map(int, used)) / 100


def asked(url: str, call: Call) -> tuple[int, float]:
    method, path, content, kind, accept = call
    request = urllib.request.Request(url + path, content, {"Content-Type": kind, "Accept": accept}, method=method)
    began = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            answer.read()
            status = answer.status
    except urllib.error.HTTPError as error:
        error.read()
        status = error.code
    return status, time.perf_counter() - began


def client(url: str, calls: dict[str, Call], seed: int, pause: float, pipe: Connection) -> None:
    """Asks until told to stop, then sends what it saw."""
    chance = random.Random(seed)
    seen: Times = []
    while not pipe.poll():
        name = chance.choice(list(calls))
        seen.append((name, *asked(url, calls[name])))
        time.sleep(pause)
    pipe.send(seen)


@contextmanager
def clients(url: str, calls: dict[str, Call], count: int, pause: float = 0.0) -> Iterator[Callable[[], Times]]:
    """So many at work; the function given stops them and says what they saw."""
    start = multiprocessing.get_context("spawn")
    members = []
    for number in range(count):
        here, there = start.Pipe()
        process = start.Process(target=client, args=(url, calls, number, pause, there), daemon=True)
        process.start()
        members.append((process, here))

    def ended() -> Times:
        for _, pipe in members:
            pipe.send(None)
        return [each for _, pipe in members for each in pipe.recv()]

    try:
        yield ended
    finally:
        for process, _ in members:
            process.kill()


def said(seen: Times) -> str:
    times = sorted(1000 * took for _, _, took in seen)
    p50, p95, p99 = (times[int(share * (len(times) - 1))] for share in (0.5, 0.95, 0.99))
    return f"{len(times):5d} calls, median {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms, longest {times[-1]:.0f} ms"


def alone(server: Server) -> None:
    for name, call in heavy().items():
        with clients(server.url, light(), 1, 0.005) as ended:
            time.sleep(0.5)
            before = busy(server)
            status, took = asked(server.url, call)
            held = busy(server) - before
            beside = ended()
        print(f"{name:32s} {status} {took:6.2f} s, {held:.2f} s of a core; beside it: {said(beside)}", flush=True)


def together(server: Server, count: int, seconds: float) -> None:
    with clients(server.url, light(), 1, 0.02) as quick, clients(server.url, heavy(), count) as slow:
        time.sleep(seconds)
        beside = quick()
        answered = slow()
    for name in light():
        print(f"{name:32s} {said([each for each in beside if each[0] == name])}")
    statuses = sorted({status for _, status, _ in answered})
    print(f"{'heavy ones':32s} {said(answered)}; statuses {statuses}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, value in (("clients", 8), ("runs", 2), ("seconds", 30)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as server:
        server.wait_ready()
        alone(server)
        for _ in range(given.runs):
            asked(server.url, as_json("/api/runs", {"model": "classroom", "steps": 1_000_000}))
        together(server, given.clients, given.seconds)


if __name__ == "__main__":
    main()
