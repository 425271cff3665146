"""Training speed beside PyTorch and Keras: `python -m tests.benchmarks.speed`. No test: it judges a machine.

    python -m tests.benchmarks.speed --torch TORCH/bin/python --keras KERAS/bin/python

Each peer runs in an environment of its own (`python -m venv TORCH; TORCH/bin/pip install torch`; `tensorflow` for
Keras); without the two options both are looked for in this one, and a peer that is not there is left out. Every
combination of model, batch and threads is a slice of so many seconds of whole training steps (forward, backward, Adam),
the engine's and the peers' in turns, several rounds of them; the best slice of each counts. The table has images a
second and, in brackets, how many times the peer's they are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODELS = {"A": "seed", "B": "classroom", "C": "lenet5"}
WORKERS = {"engine": "engine", "torch": "PyTorch", "compile": "torch.compile", "keras": "Keras"}


class Worker:
    """A process that trains one model and answers each line "seconds" with images a second."""

    def __init__(self, python: str, kind: str, model: str, batch: int, threads: int):
        command = [python, str(ROOT / "tests/benchmarks/worker.py"), kind, MODELS[model], str(batch), str(threads)]
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": str(threads),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        )
        self.ready = self._line() == "ready"

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def measure(self, seconds: float) -> float:
        assert self._process.stdin
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return float(self._line() or "nan")

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def best(
    pythons: dict[str, str], model: str, batch: int, threads: int, rounds: int, seconds: float
) -> dict[str, float]:
    """Images a second of each kind that could be started, by its best slice."""
    workers = {kind: Worker(python, kind, model, batch, threads) for kind, python in pythons.items()}
    ready = {kind: worker for kind, worker in workers.items() if worker.ready}
    found = dict.fromkeys(ready, 0.0)
    try:
        for _ in range(rounds):
            for kind, worker in ready.items():
                found[kind] = max(found[kind], worker.measure(seconds))
    finally:
        for worker in workers.values():
            worker.end()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", default=sys.executable, metavar="PYTHON", help="a Python that has torch")
    parser.add_argument("--keras", default=sys.executable, metavar="PYTHON", help="a Python that has tensorflow")
    parser.add_argument("--models", default="ABC")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32, 128])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1.5, help="of a slice")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    given = parser.parse_args()
    pythons = {"engine": sys.executable, "torch": given.torch, "compile": given.torch, "keras": given.keras}
    if given.no_compile:
        del pythons["compile"]
    print("| model | batch | threads | " + " | ".join(WORKERS[kind] for kind in pythons) + " |")
    print("|---|---|---|" + "---|" * len(pythons), flush=True)
    rows = []
    for model in given.models:
        for batch in given.batches:
            for threads in given.threads:
                found = best(pythons, model, batch, threads, given.rounds, given.seconds)
                own = found.get("engine", 0.0)
                cells = [f"{own:,.0f}"] + [
                    f"{found[kind]:,.0f} ({own / found[kind]:.1f}x)" if found.get(kind) else "–"
                    for kind in pythons
                    if kind != "engine"
                ]
                print(f"| {model} | {batch} | {threads} | " + " | ".join(cells) + " |", flush=True)
                rows.append({"model": model, "batch": batch, "threads": threads, **found})
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
