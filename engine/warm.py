"""Compiles every kernel into Numba's cache, in two processes: `python -m engine.warm`.

Prints "done/total name" when a line's kernels are ready. With `--leashed` it ends with its standard input, which a
server that is killed lets go of. The fast step takes as long as all the rest, so it has a process of its own (`step`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np

from engine.backends import backend_of
from engine.data import from_arrays
from engine.kernels import is_warm, mark_warm
from engine.models import MODELS
from engine.network import Network
from engine.ops import OPS
from engine.ops.base import Op
from engine.optimizers import OPTIMIZERS, Optimizer
from engine.train import draws

Job = tuple[str, Callable[[], None]]

#: The fast step's name among the jobs, and of the process that has it to itself.
STEP = "step"


def _op_job(kind: type[Op], dtype: type) -> Job:
    def run() -> None:
        op = kind(**kind.example_settings)
        tensors = {
            name: array.astype(dtype) if array.dtype.kind == "f" else array
            for name, array in kind.example(np.random.default_rng(0)).items()
        }
        tensors |= op.forward(tensors)
        op.backward({**tensors, "dy": np.ones_like(tensors["y"])})
        if kind.is_loss:
            op.answer(tensors["x"])

    return f"{kind.name} {np.dtype(dtype).name}", run


def _optimizer_job(optimizer: Optimizer, dtype: type) -> Job:
    def run() -> None:
        w: np.ndarray = np.ones(4, dtype)
        optimizer.update(w, w, optimizer.start(w), step=1)

    return f"{optimizer.name} {np.dtype(dtype).name}", run


def fast_step() -> None:
    """Compile one call of everything that the fast path has."""
    network = Network.from_document(MODELS["seed"].document)
    data = from_arrays(np.zeros((1, *network.input_shape), np.uint8), np.zeros(1, np.int64))
    backend_of(network, data).learn(
        network.initial(0), data.splits["train"], np.zeros(1, np.int64), draws(network, 0, 1)
    )


def jobs() -> list[Job]:
    """What to compile beside the fast step, in the order in which it is needed."""
    first = [layer["op"] for layer in MODELS["classroom"].document["layers"]]
    names = list(dict.fromkeys([*first, MODELS["classroom"].document["loss"]["op"], *OPS]))
    training = [_op_job(OPS[name], np.float32) for name in names]
    optimizers = [*(kind() for kind in OPTIMIZERS.values()), OPTIMIZERS["adam"](amsgrad=True)]
    updates = [_optimizer_job(each, np.float32) for each in optimizers]
    used = len(set(first)) + 1
    exact = [_op_job(OPS[name], np.float64) for name in names]
    exact += [_optimizer_job(each, np.float64) for each in optimizers]
    return [*training[:used], *updates, *training[used:], *exact]


def warm() -> Iterator[tuple[int, int, str]]:
    """Compile everything; yields (done, total, name) after each job. Nothing to do when the cache is warm.

    Raises RuntimeError if the process of the fast step fails.
    """
    if is_warm():
        return
    todo = jobs()
    total = len(todo) + 1
    with subprocess.Popen([sys.executable, "-m", "engine.warm", "--leashed", STEP], stdin=subprocess.PIPE) as step:
        stepped = False
        for done, (name, run) in enumerate(todo, start=1):
            run()
            if not stepped and step.poll() == 0:
                stepped = True
                yield done, total, STEP
            yield done + stepped, total, name
        if step.wait():
            raise RuntimeError(f"{STEP} was not compiled: its process ended with {step.returncode}")
        if not stepped:
            yield total, total, STEP
    mark_warm()


def leash() -> None:
    """End this process once its standard input has ended."""
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    if "--leashed" in sys.argv[1:]:
        threading.Thread(target=leash, daemon=True).start()
    if STEP in sys.argv[1:]:
        fast_step()
    else:
        for done, total, name in warm():
            print(f"{done}/{total} {name}", flush=True)
