"""PyTorch's side of `sprint`: `sprint_torch.py FOLDER THREADS`, run by a Python that has torch.

FOLDER has data.npz (the images) and made.py (the source that the engine writes of a run). Prints "ready" after a few
steps; then, for every line with a seed, trains from the first weights and on the minibatches in SEED.npz and prints
seconds and accuracy as JSON.
"""

from __future__ import annotations

import json
import runpy
import sys
import time
from pathlib import Path

import numpy as np
import torch


def main() -> None:
    folder, threads = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(threads)
    made = runpy.run_path(str(folder / "made.py"))
    with np.load(folder / "data.npz") as file:
        x, target, x_test, target_test = (torch.from_numpy(file[name]) for name in ("x", "target", "x_test", "y_test"))
    x, x_test = x.float() / 255, x_test.float() / 255

    def train(seed: str, steps: int | None = None) -> dict[str, float]:
        net = made["Net"]().train()
        with np.load(folder / f"{seed}.npz") as file:
            batches = torch.from_numpy(file["batches"])[:steps]
            given = {name: torch.from_numpy(file[name]) for name in file if name != "batches"}
        net.load_state_dict({**net.state_dict(), **given})
        optimizer, schedule = made["training"](net)
        wall, processor = time.perf_counter(), time.process_time()
        for indices in batches:
            made["update"](net, optimizer, schedule, x[indices], target[indices])
        seconds = {"seconds": time.perf_counter() - wall, "processor": time.process_time() - processor}
        with torch.no_grad():
            answers = net.eval()(x_test).argmax(1)
        return {**seconds, "accuracy": float((answers == target_test).float().mean())}

    first = sys.argv[3]
    train(first, 30)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(train(line.strip())), flush=True)


if __name__ == "__main__":
    main()
