"""Presets that train on MNIST here: those of the texts, and small cousins of the great architectures."""

from __future__ import annotations

from typing import Any

from engine.models.model import Document, Layers, Model


def _layer(name: str, op: str, **settings: Any) -> Document:
    return {"name": name, "op": op, "settings": settings}


MNIST = (1, 28, 28)
ADAM = {"optimizer": {"name": "adam", "learning_rate": 0.001}, "batch_size": 32, "seed": 7, "epochs": 1}
#: Batch norm takes larger steps, and maps that are handed on beside one another larger ones still.
NORMED = {**ADAM, "optimizer": {"name": "adam", "learning_rate": 0.003}}
LARGER = {**ADAM, "optimizer": {"name": "adam", "learning_rate": 0.01}}

TINY = Model(
    name="tiny",
    title="Tiny",
    summary="A 4 x 4 input, one 2 x 2 filter with stride 2, max pooling and one weight: small enough to check by hand.",
    document={
        "input": [1, 4, 4],
        "layers": [
            _layer("conv", "conv2d", out=1, kernel_size=2, stride=2, bias=False, flip_kernel=True),
            _layer("pool", "max_pool2d", kernel_size=2),
            _layer("flatten", "flatten"),
            _layer("fc", "linear", out=1, bias=False),
        ],
        "loss": {"op": "mse_loss", "settings": {"reduction": "half_sum"}},
    },
    defaults={"optimizer": {"name": "sgd", "learning_rate": 0.01}, "batch_size": 1, "seed": 7, "steps": 10},
    parameters={"conv/w": [[[[0.5, -0.25], [0.75, 0.25]]]], "fc/w": [[0.5]]},
    example={"x": [[[[1, 0, 2, 1], [0, 1, 1, 0], [2, 3, 0, 1], [1, 2, 1, 1]]]], "target": [[1]]},
)

CLASSROOM = Model(
    name="classroom",
    title="Classroom",
    summary="Two convolutions with ReLU and pooling, then ten outputs: reads digits after one pass through MNIST.",
    document={
        "input": [1, 28, 28],
        "layers": [
            _layer("conv1", "conv2d", out=8, kernel_size=3),
            _layer("relu1", "relu"),
            _layer("pool1", "max_pool2d", kernel_size=2),
            _layer("conv2", "conv2d", out=16, kernel_size=3),
            _layer("relu2", "relu"),
            _layer("pool2", "max_pool2d", kernel_size=2),
            _layer("flatten", "flatten"),
            _layer("linear", "linear", out=10),
        ],
        "loss": {"op": "cross_entropy", "settings": {}},
    },
    defaults={
        "optimizer": {"name": "momentum", "learning_rate": 0.03, "momentum": 0.9},
        "batch_size": 32,
        "seed": 7,
        "epochs": 1,
    },
)

LENET5 = Model(
    name="lenet5",
    title="LeNet-5",
    summary="After LeCun, 1998: two 5 x 5 convolutions with pooling and three fully connected layers.",
    document={
        "input": [1, 28, 28],
        "layers": [
            _layer("conv1", "conv2d", out=6, kernel_size=5, padding=2),
            _layer("relu1", "relu"),
            _layer("pool1", "max_pool2d", kernel_size=2),
            _layer("conv2", "conv2d", out=16, kernel_size=5),
            _layer("relu2", "relu"),
            _layer("pool2", "max_pool2d", kernel_size=2),
            _layer("flatten", "flatten"),
            _layer("fc1", "linear", out=120),
            _layer("relu3", "relu"),
            _layer("fc2", "linear", out=84),
            _layer("relu4", "relu"),
            _layer("fc3", "linear", out=10),
        ],
        "loss": {"op": "cross_entropy", "settings": {}},
    },
    defaults=ADAM,
)


def _seed() -> Model:
    """The experiment of Parth Doshi's "Convolutional Neural Networks", 2023."""
    net = Layers()
    net.add("conv1", "conv2d", out=16, kernel_size=2, padding="same")
    net.add("relu1", "relu")
    net.add("pool1", "max_pool2d", kernel_size=2)
    net.add("conv2", "conv2d", out=128, kernel_size=3)
    net.add("relu2", "relu")
    net.add("conv3", "conv2d", out=256, kernel_size=3)
    net.add("relu3", "relu")
    net.add("pool2", "max_pool2d", kernel_size=2)
    net.add("drop1", "dropout", p=0.25)
    net.add("flatten", "flatten")
    net.add("fc1", "linear", out=128)
    net.add("relu4", "relu")
    net.add("drop2", "dropout", p=0.5)
    net.add("fc2", "linear", out=10)
    return Model(
        "seed",
        "The experiment",
        "Three convolutions, two pools, dropout and two fully connected layers: "
        "1,134,426 parameters, made for ten passes through MNIST.",
        net.document(MNIST),
        {**ADAM, "epochs": 10},
    )


def _vgg() -> Model:
    """After Simonyan and Zisserman, 2014."""
    net = Layers()
    for block, out in ((1, 8), (2, 16)):
        for half in "ab":
            net.add(f"conv{block}{half}", "conv2d", out=out, kernel_size=3, padding=1)
            net.add(f"relu{block}{half}", "relu")
        net.add(f"pool{block}", "max_pool2d", kernel_size=2)
    net.add("flatten", "flatten")
    net.add("fc1", "linear", out=32)
    net.add("relu3", "relu")
    net.add("fc2", "linear", out=10)
    return Model(
        "small-vgg",
        "Small VGG",
        "After Simonyan and Zisserman, 2014: blocks of two 3 x 3 convolutions, each followed by a pool.",
        net.document(MNIST),
        ADAM,
    )


def _inception() -> Model:
    """After Szegedy et al., 2014."""
    net = Layers()
    net.add("conv1", "conv2d", out=8, kernel_size=3)
    net.add("relu1", "relu")
    stem = net.add("pool1", "max_pool2d", kernel_size=2)

    def conv(name: str, out: int, size: int, *inputs: str) -> str:
        net.add(f"conv{name}", "conv2d", *inputs, out=out, kernel_size=size, padding=size // 2)
        return net.add(f"relu{name}", "relu")

    branches = [conv("1x1", 8, 1, stem)]
    conv("3x3a", 6, 1, stem)
    branches.append(conv("3x3b", 8, 3))
    conv("5x5a", 3, 1, stem)
    branches.append(conv("5x5b", 4, 5))
    net.add("pool", "max_pool2d", stem, kernel_size=3, stride=1, padding=1)
    branches.append(conv("pool", 4, 1))
    net.add("concat", "concat", *branches)
    net.add("pool2", "max_pool2d", kernel_size=2)
    net.add("flatten", "flatten")
    net.add("linear", "linear", out=10)
    return Model(
        "small-inception",
        "Small Inception",
        "After Szegedy and others, 2014: windows of several sizes look "
        "at the same maps, and what they find is laid side by side.",
        net.document(MNIST),
        ADAM,
    )


def _resnet() -> Model:
    """After He et al., 2015."""
    net = Layers()

    def normed(name: str, out: int, size: int = 3, stride: int = 1, *inputs: str) -> str:
        net.add(
            f"conv{name}", "conv2d", *inputs, out=out, kernel_size=size, stride=stride, padding=size // 2, bias=False
        )
        return net.add(f"bn{name}", "batch_norm")

    normed("1", 12, 3, 2)
    before = net.add("relu1", "relu")
    for block, out, stride in (("2", 12, 1), ("3", 24, 2)):
        normed(f"{block}a", out, 3, stride, before)
        net.add(f"relu{block}a", "relu")
        after = normed(f"{block}b", out)
        shortcut = before if stride == 1 else normed(f"{block}s", out, 1, stride, before)
        net.add(f"add{block}", "add", after, shortcut)
        before = net.add(f"relu{block}", "relu")
    net.add("pool", "global_avg_pool")
    net.add("flatten", "flatten")
    net.add("linear", "linear", out=10)
    return Model(
        "small-resnet",
        "Small ResNet",
        "After He and others, 2015: each block adds something to what it was "
        "given, with batch norm after every convolution.",
        net.document(MNIST),
        NORMED,
    )


def _densenet() -> Model:
    """After Huang et al., 2016."""
    net = Layers()

    def conv(name: str, out: int, size: int) -> str:
        net.add(f"bn{name}", "batch_norm")
        net.add(f"relu{name}", "relu")
        return net.add(f"conv{name}", "conv2d", out=out, kernel_size=size, padding=size // 2, bias=False)

    known = net.add("conv1", "conv2d", out=12, kernel_size=3, stride=2, padding=1, bias=False)
    for block in ("2", "3"):
        for half in "ab":
            known = net.add(f"concat{block}{half}", "concat", known, conv(f"{block}{half}", 12, 3))
        if block == "2":
            conv("t", 18, 1)
            known = net.add("poolt", "avg_pool2d", kernel_size=2)
    net.add("bn4", "batch_norm")
    net.add("relu4", "relu")
    net.add("pool", "global_avg_pool")
    net.add("flatten", "flatten")
    net.add("linear", "linear", out=10)
    return Model(
        "small-densenet",
        "Small DenseNet",
        "After Huang and others, 2016: each layer reads everything that "
        "was found before it, and lays its own maps beside it.",
        net.document(MNIST),
        LARGER,
    )


def _separable() -> Model:
    """After Howard et al., 2017."""
    net = Layers()

    def conv(name: str, channels: int, out: int, size: int, stride: int, groups: int = 1) -> None:
        net.add(
            f"conv{name}",
            "conv2d",
            out=out,
            kernel_size=size,
            stride=stride,
            padding=size // 2,
            groups=groups,
            bias=False,
        )
        net.add(f"bn{name}", "batch_norm")
        net.add(f"relu{name}", "relu")

    conv("1", 1, 16, 3, 2)
    for block, channels, out, stride in (("2", 16, 32, 2), ("3", 32, 48, 1), ("4", 48, 48, 1)):
        conv(f"{block}d", channels, channels, 3, stride, groups=channels)
        conv(f"{block}p", channels, out, 1, 1)
    net.add("pool", "global_avg_pool")
    net.add("flatten", "flatten")
    net.add("linear", "linear", out=10)
    return Model(
        "small-mobilenet",
        "Small MobileNet",
        "After Howard and others, 2017: a 3 x 3 kernel for each map "
        "alone, then a 1 x 1 convolution that mixes the maps.",
        net.document(MNIST),
        NORMED,
    )


SMALL = (TINY, CLASSROOM, LENET5, _seed(), _vgg(), _inception(), _resnet(), _densenet(), _separable())
