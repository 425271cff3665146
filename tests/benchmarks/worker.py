"""One side of the comparison of speed: `worker.py engine|torch|last|compile|keras MODEL BATCH THREADS [SOURCE]`.

Prints "ready" after the first steps; then, for every line with a number of seconds, trains so long and prints images
a second. PyTorch's sides take the network from SOURCE, the file of Python that the engine writes of it. All sides train
the same layers on the same random images, with Adam.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

IMAGES = 4096
Layer = tuple[Any, ...]

#: What Keras has: (out, kernel, padding) of a convolution; "pool"; a dropout's share; outputs of a linear layer.
LAYERS: dict[str, list[Layer]] = {
    "seed": [
        ("conv", 16, 2, "same"),
        ("relu",),
        ("pool",),
        ("conv", 128, 3, "valid"),
        ("relu",),
        ("conv", 256, 3, "valid"),
        ("relu",),
        ("pool",),
        ("drop", 0.25),
        ("flatten",),
        ("linear", 128),
        ("relu",),
        ("drop", 0.5),
        ("linear", 10),
    ],
    "classroom": [
        ("conv", 8, 3, "valid"),
        ("relu",),
        ("pool",),
        ("conv", 16, 3, "valid"),
        ("relu",),
        ("pool",),
        ("flatten",),
        ("linear", 10),
    ],
    "lenet5": [
        ("conv", 6, 5, "same"),
        ("relu",),
        ("pool",),
        ("conv", 16, 5, "valid"),
        ("relu",),
        ("pool",),
        ("flatten",),
        ("linear", 120),
        ("relu",),
        ("linear", 84),
        ("relu",),
        ("linear", 10),
    ],
}


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (IMAGES, 1, 28, 28)).astype(np.uint8), rng.integers(0, 10, IMAGES)


def engine_step(model: str, batch: int, threads: int) -> Callable[[], object]:
    from engine.data import from_arrays
    from engine.fast.thread_pool import use_threads
    from engine.models import MODELS
    from engine.network import Network
    from engine.train import Trainer, optimizer_from

    use_threads(threads)
    run = Trainer(
        Network.from_document(MODELS[model].document),
        from_arrays(*data()),
        optimizer_from({"name": "adam", "learning_rate": 0.001}),
        batch,
        history_bytes=1,
    )
    return run.step_once


def torch_step(source: str, batch: int, threads: int, kind: str) -> Callable[[], object]:
    """`last` has its tensors in channels_last, `compile` is compiled."""
    import torch

    torch.set_num_threads(threads)
    made: dict[str, Any] = {"__name__": "made"}
    exec(Path(source).read_text(), made)
    net = made["Net"]().train()
    images, labels = (torch.from_numpy(array) for array in data())
    images = images.float() / 255
    if kind == "last":
        net, images = net.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), 0.001)
    forward = torch.compile(net) if kind == "compile" else net
    starts = iter(range(10**12))

    def step() -> None:
        at = next(starts) * batch % (IMAGES - batch + 1)
        optimizer.zero_grad()
        made["loss"](forward(images[at : at + batch]), labels[at : at + batch]).backward()
        optimizer.step()

    return step


def keras_step(model: str, batch: int, threads: int) -> Callable[[], object]:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    layers = tf.keras.layers
    make: dict[str, Callable[..., Any]] = {
        "conv": lambda out, kernel, padding: layers.Conv2D(out, kernel, padding=padding),
        "relu": layers.ReLU,
        "pool": lambda: layers.MaxPooling2D(2),
        "drop": layers.Dropout,
        "flatten": layers.Flatten,
        "linear": layers.Dense,
    }
    net = tf.keras.Sequential(
        [tf.keras.Input((28, 28, 1)), *(make[kind](*settings) for kind, *settings in LAYERS[model])]
    )
    net.compile(tf.keras.optimizers.Adam(0.001), tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images, labels = data()
    x = tf.constant(images.transpose(0, 2, 3, 1) / np.float32(255), tf.float32)
    y = tf.constant(labels)
    optimizer, loss = net.optimizer, net.loss
    optimizer.build(net.trainable_variables)

    @tf.function
    def one(at: Any) -> None:
        with tf.GradientTape() as tape:
            value = loss(y[at : at + batch], net(x[at : at + batch], training=True))
        optimizer.apply_gradients(
            zip(tape.gradient(value, net.trainable_variables), net.trainable_variables, strict=True)
        )

    starts = iter(range(10**12))
    return lambda: one(tf.constant(next(starts) * batch % (IMAGES - batch + 1)))


def main(kind: str, model: str, batch: int, threads: int, source: str = "") -> None:
    if kind == "engine":
        step = engine_step(model, batch, threads)
    elif kind == "keras":
        step = keras_step(model, batch, threads)
    else:
        step = torch_step(source, batch, threads, kind)
    for _ in range(5):
        step()
    print("ready", flush=True)
    for line in sys.stdin:
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < float(line):
            step()
            count += batch
        print(count / (time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
