"""Presets for data sets that are added by name, and a small network for any other."""

from __future__ import annotations

from engine.models.model import Document, Layers, Model

#: Maps of the convolutions of a network that is made for a data set; and the plane below which none is halved.
MAPS, LEAST = (16, 32, 64), 8


def _stack(maps: tuple[int, ...], input_shape: tuple[int, ...], outputs: int) -> Layers:
    """Convolutions that keep the plane, each halved behind by a pool while it is large enough; then the outputs."""
    net = Layers()
    side = min(input_shape[1:])
    for k, out in enumerate(maps, start=1):
        if k > 1 and side < LEAST:
            break
        net.add(f"conv{k}", "conv2d", out=out, kernel_size=3, padding=1)
        net.add(f"relu{k}", "relu")
        if side >= LEAST:
            net.add(f"pool{k}", "max_pool2d", kernel_size=2)
            side //= 2
    net.add("flatten", "flatten")
    net.add("fc", "linear", out=outputs)
    return net


def network_for(input_shape: tuple[int, ...], outputs: int, classes: bool) -> Document:
    """A small network that takes images (C, H, W) and gives so many scores, or numbers where there are no `classes`."""
    document = _stack(MAPS, input_shape, outputs).document(input_shape)
    return {**document, "loss": "cross_entropy" if classes else "mse_loss"}


CIFAR10 = Model(
    "cifar",
    "CIFAR-10 network",
    "Three convolutions for photographs in colour: about two thirds right after five passes through CIFAR-10, which "
    "`python3 -m app data add cifar10` brings.",
    _stack((32, 64, 64), (3, 32, 32), 10).document((3, 32, 32)),
    {"optimizer": {"name": "adam", "learning_rate": 0.001}, "batch_size": 64, "seed": 7, "epochs": 5},
    dataset="cifar10",
)
FASHION = Model(
    "fashion",
    "Fashion-MNIST network",
    "Two convolutions for pieces of clothing: about 90 of 100 right after five passes through Fashion-MNIST, which "
    "`python3 -m app data add fashion-mnist` brings.",
    _stack((16, 32), (1, 28, 28), 10).document((1, 28, 28)),
    {"optimizer": {"name": "adam", "learning_rate": 0.002}, "batch_size": 64, "seed": 7, "epochs": 5},
    dataset="fashion-mnist",
)
COLOUR = (CIFAR10, FASHION)
