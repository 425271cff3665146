"""The preset "sprint" from first weights to the test images, beside the same in PyTorch, seed by seed in turn.

    python3 -m tests.benchmarks.sprint [--torch PYTHON] [--threads 2] [--seeds 20]

Both sides have the same first weights, minibatches, schedule and optimizer; PyTorch's is the source that the engine
writes of the run. Seconds are those of the training steps alone, by the wall clock and by the processor; what is
compiled and read before the first step, and the reading of the 10,000 test images, is left out on both sides.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from app.services.pytorch_export import source
from engine.data import Dataset, mnist
from engine.fast.thread_pool import use_threads
from engine.models import MODELS
from engine.network import Network
from engine.optimizers import optimizer_from
from engine.train import Trainer, batches

#: Chosen after the preset was tuned with seeds 1 to 3, before any of these was run.
FIRST_SEED = 100
PEER = Path(__file__).with_name("sprint_torch.py")


def trainer(model: str, data: Dataset, seed: int) -> tuple[Trainer, int]:
    """A run of a preset as the server would make it, and its number of steps."""
    preset = MODELS[model]
    plan = preset.defaults
    rules = {name: plan[name] for name in ("shuffle", "drop_last", "shift") if name in plan}
    batch = plan["batch_size"]
    per_epoch = batches(len(data.splits["train"]), batch, plan.get("drop_last", False))
    steps = int(plan.get("steps") or plan["epochs"] * per_epoch)
    optimizer = {**plan["optimizer"], **{name: plan[name] for name in ("schedule", "max_norm") if name in plan}}
    network = Network.from_document(preset.document)
    return Trainer(network, data, optimizer_from(optimizer).over(steps), batch, seed, history_bytes=1, **rules), steps


def ours(run: Trainer, steps: int) -> dict[str, float]:
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(steps):
        run.step_once()
    seconds = {"seconds": time.perf_counter() - wall, "processor": time.process_time() - processor}
    return {**seconds, "accuracy": float(run.evaluate()[1] or 0)}


class Torch:
    """PyTorch's side, in a process of its own."""

    def __init__(self, python: str, folder: Path, threads: int, model: str, data: Dataset):
        self.folder = folder
        train, test = data.splits["train"], data.splits["test"]
        targets = {"target": train.targets.astype(np.int64), "y_test": test.targets.astype(np.int64)}
        np.savez(folder / "data.npz", allow_pickle=False, x=train.images, x_test=test.images, **targets)
        run, steps = trainer(model, data, 0)
        (folder / "made.py").write_text(source(run.network, model, run.optimizer))
        self.prepare(run, steps, 0)
        command = [python, str(PEER), str(folder), str(threads), "0"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._line() != "ready":
            raise SystemExit(f"{python} did not start: has it torch?")

    def prepare(self, run: Trainer, steps: int, seed: int) -> None:
        """The first weights and the minibatches of a run for the other side."""
        first = {run.network.torch_name(name): array for name, array in run.parameters.items()}
        order = np.stack([run.indices(step) for step in range(1, steps + 1)])
        np.savez(self.folder / f"{seed}.npz", allow_pickle=False, batches=order, **first)

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def train(self, seed: int) -> dict[str, float]:
        assert self._process.stdin
        self._process.stdin.write(f"{seed}\n")
        self._process.stdin.flush()
        found: dict[str, float] = json.loads(self._line())
        return found

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def row(name: str, found: list[dict[str, float]]) -> str:
    accuracy = [each["accuracy"] for each in found]
    cells = [
        f"{statistics.mean(accuracy):.2%}",
        f"{min(accuracy):.2%}",
        *(f"{statistics.mean(each[kind] for each in found):.2f} s" for kind in ("seconds", "processor")),
        f"{min(each['seconds'] for each in found):.2f} s",
    ]
    return f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", metavar="PYTHON", help="a Python that has torch; without one, only ours is run")
    parser.add_argument("--model", default="sprint", choices=[name for name, model in MODELS.items() if model.defaults])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=20, help=f"how many, from {FIRST_SEED}")
    given = parser.parse_args()
    use_threads(given.threads)
    data = mnist()
    warmed, _ = trainer(given.model, data, 0)
    for _ in range(30):
        warmed.step_once()
    warmed.evaluate()
    run, steps = trainer(given.model, data, 0)
    network = run.network
    forward = sum(layer.op.multiply_adds(network.given_shapes(layer)) for layer in network.layers.values())
    work = 2 * 3 * forward * steps * run.batch_size  # forward, and backward to inputs and to weights
    print(
        f"{given.model}: {steps} steps of {run.batch_size} images, about {work / 1e9:.0f} GFLOP; seeds {FIRST_SEED} to"
    )
    print(f"{FIRST_SEED + given.seeds - 1}; {given.threads} threads; load before the start {os.getloadavg()[0]:.1f}\n")
    if run.shift and given.torch:
        raise SystemExit(f"{given.model} shifts its images, which the source for PyTorch does not: leave --torch out")
    found: dict[str, list[dict[str, float]]] = {"Convscope": []}
    with tempfile.TemporaryDirectory() as folder:
        peer = Torch(given.torch, Path(folder), given.threads, given.model, data) if given.torch else None
        for seed in range(FIRST_SEED, FIRST_SEED + given.seeds):
            run, steps = trainer(given.model, data, seed)
            if peer:
                peer.prepare(run, steps, seed)
            found["Convscope"].append(ours(run, steps))
            if peer:
                found.setdefault("PyTorch", []).append(peer.train(seed))
        if peer:
            peer.end()
    print("| | test, mean | test, least | wall, mean | processor, mean | wall, best |")
    print("|---|---|---|---|---|---|")
    for name, each in found.items():
        print(row(name, each))


if __name__ == "__main__":
    main()
