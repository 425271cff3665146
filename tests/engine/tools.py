"""What the engine's tests share: comparing kernels with sentences, and networks at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.data import Dataset, from_arrays
from engine.formula import Tensors
from engine.layers import NetworkError
from engine.models import MODELS
from engine.network import Network
from engine.ops.base import Array, Op, shapes_of
from engine.settings import REQUIRED
from engine.train import Trainer, optimizer_from


def difference(a: Array, b: Array) -> float:
    """The largest difference, relative above 1; infinite for other shapes or NaN on one side."""
    if a.shape != b.shape or bool(np.any(np.isnan(a) != np.isnan(b))):
        return float("inf")
    return float(np.max(np.abs(a - b) / (1 + np.abs(b)), initial=0.0, where=~np.isnan(b)))


def from_kernels(op: Op, tensors: Mapping[str, Array], dy: Array | None = None) -> dict[str, Array]:
    """Every result and gradient that the kernels give; without dy, that of a loss."""
    results = op.forward(tensors)
    given = {} if dy is None else {"dy": dy}
    return {**results, **op.backward({**tensors, **results, **given})}


def from_sentences(op: Op, tensors: Mapping[str, Array], dy: Array | None = None, stated: bool = True) -> Tensors:
    """The same from the sentences alone, evaluated when asked for."""
    given: dict[str, Array] = {} if dy is None else {"dy": dy}
    shapes = shapes_of({**tensors, **given})
    if dy is None and op.is_loss:
        given["dy"] = np.ones(())
    wrt = [name[1:] for name in op.gradients if name[1:] in tensors]
    program = op.program(shapes).gradients(wrt, stated=stated)
    return Tensors(program, {**tensors, **given}, op.numbers(shapes), op.extents(shapes))


def disagreement(op: Op, tensors: Mapping[str, Array], rng: np.random.Generator) -> float:
    """The largest difference between an op's kernels and its sentences, over results and gradients."""
    dy = rng.normal(size=op.extents(shapes_of(tensors))["y"])
    kernels = from_kernels(op, tensors, dy)
    sentences = from_sentences(op, tensors, dy)
    return max(difference(array, sentences[name]) for name, array in kernels.items())


def network(*layers: Mapping[str, Any], input: tuple[int, ...] = (1, 6, 6), loss: Any = "cross_entropy") -> Network:
    """A network of {"op", settings...} with names op1, op2, ... unless they are given."""
    listed = []
    for number, layer in enumerate(layers, start=1):
        settings = {key: value for key, value in layer.items() if key not in ("op", "name", "inputs")}
        item = {"name": layer.get("name", f"{layer['op']}{number}"), "op": layer["op"], "settings": settings}
        listed.append({**item, "inputs": layer["inputs"]} if "inputs" in layer else item)
    return Network.from_document({"input": list(input), "layers": listed, "loss": loss})


def around(kind: type[Op]) -> Network:
    """A network with one layer of this op between two that learn; what has no default is small."""
    needed = {
        name: 2 for name, setting in {**kind.layer_settings, **kind.settings}.items() if setting.default is REQUIRED
    }
    before: list[dict[str, Any]] = [{"op": "conv2d", "name": "before", "out": 4, "kernel_size": 3}]
    layer = {"op": kind.name, "name": "layer", **needed, **kind.example_settings}
    after: list[dict[str, Any]] = [{"op": "flatten", "name": "row"}, {"op": "linear", "name": "last", "out": 3}]
    layers = [{**layer, "inputs": ["before"] * len(kind.inputs)}, *after]
    try:
        return network(*before, *layers, input=(2, 6, 7), loss="mse_loss")
    except NetworkError:
        flat = {"op": "flatten", "name": "flat"}
        return network(
            *before, flat, {**layer, "inputs": ["flat"] * len(kind.inputs)}, *after, input=(2, 6, 7), loss="mse_loss"
        )


def digits(count: int = 96, seed: int = 5) -> Dataset:
    """Blobs that can be learned: 28 x 28, each class brighter in its own corner."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count).astype(np.uint8)
    images = rng.integers(0, 60, (count, 1, 28, 28)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 4)
        image[0, 3 + 8 * row : 9 + 8 * row, 1 + 7 * column : 6 + 7 * column] += 180
    return from_arrays(images, labels, "digits")


def trainer(
    model: str = "classroom", dataset: Dataset | None = None, optimizer: Mapping[str, Any] | None = None, **options: Any
) -> Trainer:
    preset = MODELS[model]
    made = Network.from_document(preset.document)
    if dataset is None:
        noise = np.random.default_rng(5).random((8, *made.input_shape))
        dataset = digits() if made.input_shape == (1, 28, 28) else from_arrays(noise, np.arange(8))
    return Trainer(
        made,
        dataset,
        optimizer_from(optimizer or preset.defaults["optimizer"]),
        **{"batch_size": 8, **options},
    )
