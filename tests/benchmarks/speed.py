"""Training speed beside PyTorch and Keras: `python -m tests.benchmarks.speed`. No test: it judges a machine.

    python -m tests.benchmarks.speed --torch TORCH/bin/python --keras KERAS/bin/python

All presets that train on MNIST, or those of `--models`, beside PyTorch eager, channels_last and compiled, and the
chains beside Keras. `--before FOLDER` has a column for the engine of another checkout, as `git worktree add FOLDER
COMMIT` makes it: a change must not make any network slower.

Each peer runs in an environment of its own (`python -m venv TORCH; TORCH/bin/pip install torch`; `tensorflow` for
Keras); without the two options both are looked for in this one, and a peer that is not there is left out. Every
combination of model, batch and threads is a slice of so many seconds of whole training steps (forward, backward, Adam),
the engine's and the peers' in turns, several rounds of them; the best slice of each counts. The table has images a
second and, in brackets, how many times the peer's they are, and the least of these last. The load of the machine before
and after stands below it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from app.services.pytorch_export import source
from engine.models import MODELS
from engine.network import Network

ROOT = Path(__file__).parents[2]
PRESETS = [name for name, model in MODELS.items() if model.document["input"] == [1, 28, 28] and model.defaults]
WORKERS = {
    "engine": "engine",
    "before": "engine before",
    "torch": "PyTorch",
    "last": "channels_last",
    "compile": "torch.compile",
    "keras": "Keras",
}


class Worker:
    """A process that trains one model and answers each line "seconds" with images a second."""

    def __init__(self, python: str, root: Path, kind: str, model: str, batch: int, threads: int, source: Path):
        does = "engine" if kind == "before" else kind
        worker = str(ROOT / "tests/benchmarks/worker.py")
        command = [python, worker, does, model, str(batch), str(threads), str(source)]
        environment = {
            **os.environ,
            "PYTHONPATH": str(root),
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
            cwd=root,
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
    kinds: dict[str, tuple[str, Path]], model: str, batch: int, threads: int, rounds: int, seconds: float
) -> dict[str, float]:
    """Images a second of each kind that could be started, by its best slice. kinds: the Python and the checkout."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.py"
        path.write_text(source(Network.from_document(MODELS[model].document), model))
        return _best(kinds, model, batch, threads, rounds, seconds, path)


def _best(
    kinds: dict[str, tuple[str, Path]], model: str, batch: int, threads: int, rounds: int, seconds: float, path: Path
) -> dict[str, float]:
    workers = {kind: Worker(*where, kind, model, batch, threads, path) for kind, where in kinds.items()}
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
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="another checkout of the engine")
    parser.add_argument("--models", nargs="+", default=PRESETS, choices=PRESETS, metavar="PRESET")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32, 128])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1.5, help="of a slice")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    given = parser.parse_args()
    kinds = {"engine": (sys.executable, ROOT)}
    if given.before:
        kinds["before"] = (sys.executable, given.before.resolve())
    kinds |= dict.fromkeys(("torch", "last", "compile")[: 2 if given.no_compile else 3], (given.torch, ROOT))
    kinds["keras"] = (given.keras, ROOT)
    load = os.getloadavg()[0]
    print("| model | batch | threads | " + " | ".join(WORKERS[kind] for kind in kinds) + " | least |")
    print("|---|---|---|" + "---|" * (len(kinds) + 1), flush=True)
    rows = []
    for model in given.models:
        for batch in given.batches:
            for threads in given.threads:
                found = best(kinds, model, batch, threads, given.rounds, given.seconds)
                own = found.get("engine", 0.0)
                cells = [f"{own:,.0f}"] + [
                    f"{found[kind]:,.0f} ({own / found[kind]:.1f}x)" if found.get(kind) else "–"
                    for kind in kinds
                    if kind != "engine"
                ]
                peers = [speed for kind, speed in found.items() if kind not in ("engine", "before") and speed]
                cells.append(f"{own / max(peers):.2f}x" if peers else "–")
                print(f"| {model} | {batch} | {threads} | " + " | ".join(cells) + " |", flush=True)
                rows.append({"model": model, "batch": batch, "threads": threads, **found})
    print(f"\n{date.today()}, load {load:.1f} before and {os.getloadavg()[0]:.1f} after")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
