"""The experiment of "Convolutional Neural Networks" (Doshi, 2023): ten passes of "seed" through the full MNIST.

    python -m tests.benchmarks.seed                 # three seeds, each kept as soon as it is done
    python -m tests.benchmarks.seed --validate      # to compare settings: 10,000 training images held out

Each seed's figures go to results/seed-SEED.json beside this file, and a seed whose file is there is not run again.
When all are done, results/seed.md (the table), seed.svg (the curves) and seed-maps.png (feature maps of the first
convolution, its ReLU and its pool for one test image) are made. The last epoch counts, whatever it is; the test images
choose nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from app.formats.png import png
from engine.data import Dataset, Split, mnist
from engine.fast.thread_pool import thread_pool, use_threads
from engine.models import MODELS
from engine.network import Network
from engine.train import Trainer, optimizer_from

#: Fixed before the first run.
SEEDS = (1, 2, 3)
HELD_OUT = 10_000


def held_out(data: Dataset) -> Dataset:
    """The training images alone: the last of them take the place of the test images."""
    train = data.splits["train"]
    parts = {"train": slice(None, -HELD_OUT), "test": slice(-HELD_OUT, None)}
    return Dataset(
        "validation",
        "training images held out",
        {name: Split(train.images[part], train.targets[part]) for name, part in parts.items()},
    )


def first_of(data: Dataset, count: int | None) -> Dataset:
    """With `count` training images only."""
    train = data.splits["train"]
    return Dataset(data.name, data.title, {**data.splits, "train": Split(train.images[:count], train.targets[:count])})


def rate_at(epoch: float, epochs: int, first: float) -> float:
    """Half a cosine, from the first learning rate to nearly nothing."""
    return first * max(0.01, (1 + math.cos(math.pi * epoch / epochs)) / 2)


def bar(done: int, total: int, words: str) -> None:
    filled = 30 * done // total
    sys.stderr.write(f"\r[{'#' * filled}{'.' * (30 - filled)}] {100 * done / total:5.1f} %  {words}   ")
    sys.stderr.flush()


def train(seed: int, data: Dataset, given: argparse.Namespace) -> tuple[dict[str, Any], Trainer]:
    """One run: its figures at each epoch's end, and its trainer."""
    run = Trainer(
        Network.from_document(MODELS["seed"].document),
        data,
        optimizer_from({"name": "adam", "learning_rate": given.learning_rate}),
        given.batch,
        seed,
        history_bytes=1,
    )
    total, start, epochs = given.epochs * run.steps_per_epoch, time.perf_counter(), []
    losses: list[float] = []
    while run.step < total:
        if run.step % 20 == 0:
            run.learning_rate = rate_at(run.step / run.steps_per_epoch, given.epochs, given.learning_rate)
            took = time.perf_counter() - start
            bar(
                run.step,
                total,
                f"seed {seed}, epoch {run.epoch + 1} of {given.epochs}, "
                f"{run.step * given.batch / max(took, 1e-9):,.0f} images/s",
            )
        losses.append(run.step_once().loss)
        if run.step % run.steps_per_epoch == 0:
            loss, accuracy = run.evaluate("test")
            epochs.append(
                {
                    "epoch": run.epoch,
                    "train_loss": float(np.mean(losses)),
                    "test_loss": loss,
                    "test_accuracy": accuracy,
                    "seconds": time.perf_counter() - start,
                }
            )
            losses = []
    sys.stderr.write("\n")
    settings = {
        "optimizer": "adam",
        "learning_rate": given.learning_rate,
        "schedule": "half a cosine",
        "batch_size": given.batch,
        "epochs": given.epochs,
        "images": len(data.splits["train"]),
        "threads": thread_pool().size,
        "path": run.backend.name,
    }
    return {"seed": seed, "data": data.name, "settings": settings, "epochs": epochs}, run


def table(found: list[dict[str, Any]]) -> str:
    lines = ["| seed | test accuracy | test loss | seconds |", "|---|---|---|---|"]
    last = [each["epochs"][-1] for each in found]
    for each, end in zip(found, last, strict=True):
        lines.append(
            f"| {each['seed']} | {100 * end['test_accuracy']:.2f} % | {end['test_loss']:.5f} | {end['seconds']:.0f} |"
        )
    mean = [float(np.mean([end[name] for end in last])) for name in ("test_accuracy", "test_loss", "seconds")]
    return "\n".join([*lines, f"| mean | {100 * mean[0]:.2f} % | {mean[1]:.5f} | {mean[2]:.0f} |", ""])


def curves(found: list[dict[str, Any]]) -> str:
    """Test accuracy by epoch, a line for each seed, as SVG."""
    width, height, left, below = 640, 360, 60, 40
    values = [[100 * end["test_accuracy"] for end in each["epochs"]] for each in found]
    low = math.floor(min(map(min, values)) * 5) / 5
    epochs = max(map(len, values))

    def place(epoch: int, value: float) -> str:
        x = left + (width - left - 20) * (epoch - 1) / max(1, epochs - 1)
        return f"{x:.1f},{(height - below) - (height - below - 20) * (value - low) / (100 - low):.1f}"

    marks = []
    for value in np.linspace(low, 100, 5):
        x, y = place(1, value).split(",")
        marks.append(
            f'<path d="M{x} {y}H{width - 20}" stroke="#ddd"/><text x="{left - 8}" y="{y}" dy=".35em" '
            f'text-anchor="end">{value:.2f} %</text>'
        )
    for epoch in range(1, epochs + 1):
        marks.append(
            f'<text x="{place(epoch, low).split(",")[0]}" y="{height - below + 20}" text-anchor="middle">{epoch}</text>'
        )
    lines = [
        f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="'
        + " ".join(place(epoch, value) for epoch, value in enumerate(line, start=1))
        + f'"><title>seed {each["seed"]}</title></polyline>'
        for each, line, colour in zip(found, values, ("#0072b2", "#d55e00", "#009e73") * 9, strict=False)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12"><rect width="{width}" height="{height}" fill="#fff"/>'
        + "".join(marks + lines)
        + f'<text x="{width / 2}" y="{height - 4}" text-anchor="middle">epoch; test accuracy of each seed</text>'
        "</svg>\n"
    )


def maps(run: Trainer, zoom: int = 3) -> bytes:
    """One row each for the first convolution, its ReLU and its pool: eight maps of the first test image, as PNG."""
    x, _ = run.dataset.splits["test"].batch(slice(0, 1))
    layers = run.predict(x)[1]
    first = list(run.network.layers)[:3]
    rows = []
    for name in first:
        tiles = []
        for plane in layers[name, "y"][0][:8]:
            low, high = float(plane.min()), float(plane.max())
            grey = np.uint8(255 * (plane - low) / ((high - low) or 1))
            size = 28 * zoom // plane.shape[0]
            tiles.append(np.pad(np.kron(grey, np.ones((size, size), np.uint8)), 3, constant_values=128))
        rows.append(np.hstack(tiles))
    return png(np.vstack(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=0.002, help="0.001 and 0.003 were worse by --validate")
    parser.add_argument("--images", type=int, help="train on so many only, to try it out")
    parser.add_argument("--threads", type=int, help="default: one for each core")
    parser.add_argument("--validate", action="store_true", help="measure on training images held out, keep nothing")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    if given.threads:
        use_threads(given.threads)
    if given.validate:
        for seed in given.seeds:
            figures, _ = train(seed, first_of(held_out(mnist()), given.images), given)
            print(json.dumps(figures["epochs"][-1]), flush=True)
        return
    given.folder.mkdir(exist_ok=True)
    found = []
    for seed in given.seeds:
        kept = given.folder / f"seed-{seed}.json"
        if not kept.exists():
            figures, run = train(seed, first_of(mnist(), given.images), given)
            if seed == given.seeds[0]:
                (given.folder / "seed-maps.png").write_bytes(maps(run))
            kept.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
        found.append(json.loads(kept.read_text("utf-8")))
    (given.folder / "seed.md").write_text(table(found), "utf-8")
    (given.folder / "seed.svg").write_text(curves(found), "utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
