"""What comes of training with each slip of the bug lab: the figures of `engine.bug_lab.ACCURACY` and `RIGHT`.

    python -m tests.benchmarks.slips            # every slip, each printed as soon as it is done
    python -m tests.benchmarks.slips pool_ties ...   # these alone

Each slip is trained in the first network in which it shows, from the same seed and over the same minibatches as the
network without it. Nothing is chosen by the test images.
"""

from __future__ import annotations

import sys
import time

from engine.bug_lab import BATCH, BEDS, IMAGES, SEED, STEPS, Bed, bed_of, trained
from engine.data import mnist
from engine.slips import SLIPS
from engine.train import Trainer

DATA = mnist()


def accuracy(bed: Bed, slip: str | None) -> float:
    network, optimizer = trained(bed, SLIPS[slip] if slip else None)
    trainer = Trainer(network, DATA, optimizer, BATCH, SEED)
    for _ in range(STEPS):
        trainer.step_once()
    return trainer.evaluate("test", IMAGES)[1] or 0.0


def main(names: list[str]) -> None:
    right: dict[str, float] = {}
    for name in names or SLIPS:
        bed, begun = bed_of(name), time.perf_counter()
        if bed.name not in right:
            right[bed.name] = accuracy(bed, None)
        found = accuracy(bed, name)
        seconds = time.perf_counter() - begun
        print(f"{name}\t{list(BEDS).index(bed.name)}\t{found:.4f}\t{right[bed.name]:.4f}\t{seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
