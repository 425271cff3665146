"""The presets, each a complete network document with settings that train it well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True)
class Model:
    name: str
    title: str
    summary: str
    document: Document
    defaults: Mapping[str, Any]
    parameters: Mapping[str, Any] | None = None  # nested lists, where the model has its own
    example: Mapping[str, Any] | None = None  # {"x": [...], "target": [...]}, where the model has its own


def _layer(name: str, op: str, **settings: Any) -> Document:
    return {"name": name, "op": op, "settings": settings}


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
    defaults={"optimizer": {"name": "momentum", "learning_rate": 0.03, "momentum": 0.9}, "batch_size": 32, "seed": 7,
              "epochs": 1},
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
    defaults={"optimizer": {"name": "adam", "learning_rate": 0.001}, "batch_size": 32, "seed": 7, "epochs": 1},
)

MODELS: dict[str, Model] = {model.name: model for model in (TINY, CLASSROOM, LENET5)}
