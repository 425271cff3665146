"""The layers of a network and its loss, read from a plain document; what does not fit is refused with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.ops import OPS
from engine.ops.base import Op, Shape, ShapeError
from engine.settings import SettingError, said

RESERVED = ("input", "target", "loss")
#: Parts between dots, as PyTorch names modules in modules: `0`, `layer1.0.conv2`.
LAYER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
LONGEST_NAME = 64


class NetworkError(ValueError):
    """A document that is no network: ``loc`` leads to the place in the document."""

    def __init__(self, loc: list[str | int], detail: str):
        super().__init__(detail)
        self.loc = loc
        self.detail = detail


@dataclass(frozen=True)
class Layer:
    """A named op, the layers it reads, and its shapes for one image."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    shape: Shape  # of y, without the batch; () for a loss
    parameters: Mapping[str, Shape]

    @property
    def inference_op(self) -> Op:
        return self.op.inference()

    @property
    def learned(self) -> dict[str, Shape]:
        """The parameters that have a gradient: all but the op's buffers."""
        return {name: shape for name, shape in self.parameters.items() if name not in self.op.buffers}

    def document(self) -> dict[str, Any]:
        """Its op, with every setting written out."""
        settings = {name: list(value) if isinstance(value, tuple) else value for name, value in self.op.options.items()}
        return {"op": self.op.name, "settings": settings}


def read(document: Mapping[str, Any]) -> tuple[Shape, list[Layer], Layer]:
    """The input's shape, the layers and the loss of {"input", "layers", "loss"}."""
    _known(document, ("input", "layers", "loss"), [])
    input_shape = input_shape_of(document.get("input"))
    listed = document.get("layers")
    if not isinstance(listed, (list, tuple)) or not listed:
        raise NetworkError(["layers"], "expected a list with at least one layer")
    shapes: dict[str, Shape] = {"input": input_shape}
    layers: list[Layer] = []
    for index, item in enumerate(listed):
        layer = read_layer(item, ["layers", index], shapes, layers[-1].name if layers else "input")
        shapes[layer.name] = layer.shape
        layers.append(layer)
    loss = read_loss(document.get("loss", "cross_entropy"), layers[-1])
    used = {source for layer in layers for source in layer.inputs}
    for index, layer in enumerate(layers[:-1]):
        if layer.name not in used:
            raise NetworkError(["layers", index], f"{layer.name}: nothing reads this layer, and it is not the last")
    return input_shape, layers, loss


def _known(item: Any, keys: tuple[str, ...], loc: list[str | int]) -> None:
    if not isinstance(item, Mapping):
        raise NetworkError(loc, f"expected an object with {', '.join(keys)}, got {said(item)}")
    for key in item:
        if key not in keys:
            raise NetworkError([*loc, key], f"there is no such field; known: {', '.join(keys)}")


def input_shape_of(given: Any) -> Shape:
    """The shape of one image, [channels, height, width] or [values]; NetworkError where it is none."""
    fits = (
        isinstance(given, (list, tuple))
        and len(given) in (1, 3)
        and all(isinstance(size, int) and not isinstance(size, bool) and 1 <= size <= 2**16 for size in given)
    )
    if not fits:
        raise NetworkError(
            ["input"], f"expected [channels, height, width], whole numbers of at least 1, got {said(given)}"
        )
    return tuple(given)


def _op_class(name: Any, loc: list[str | int], losses: bool) -> type[Op]:
    known = [op.name for op in OPS.values() if op.is_loss == losses]
    if name not in known:
        kind = "loss" if losses else "op"
        raise NetworkError(loc, f"there is no {kind} {said(name)}; known: {', '.join(known)}")
    return OPS[name]


def _make_op(item: Mapping[str, Any], loc: list[str | int], losses: bool, name: str) -> Op:
    kind = _op_class(item.get("op"), [*loc, "op"], losses)
    settings = item.get("settings", {})
    if not isinstance(settings, Mapping):
        raise NetworkError([*loc, "settings"], f"{name}: expected an object, got {said(settings)}")
    try:
        return kind.as_layer(**settings)
    except SettingError as error:
        raise NetworkError([*loc, "settings", *error.loc], f"{name}: {error}") from None


def is_layer_name(name: Any) -> bool:
    return (
        isinstance(name, str)
        and len(name) <= LONGEST_NAME
        and LAYER_NAME.fullmatch(name) is not None
        and name not in RESERVED
    )


def read_layer(item: Any, loc: list[str | int], shapes: Mapping[str, Shape], before: str) -> Layer:
    _known(item, ("name", "op", "settings", "inputs"), loc)
    name = item.get("name")
    if not is_layer_name(name):
        raise NetworkError(
            [*loc, "name"],
            f"expected a name of letters, digits, _, - and dots within, at most {LONGEST_NAME} long, other than "
            f"{', '.join(RESERVED)}, got {said(name)}",
        )
    if name in shapes:
        raise NetworkError([*loc, "name"], f"{name} stands twice; names must differ")
    op = _make_op(item, loc, False, name)
    inputs = item.get("inputs", [before])
    if not isinstance(inputs, (list, tuple)):
        raise NetworkError([*loc, "inputs"], f"{name}: expected names of layers, got {said(inputs)}")
    try:
        op = op.reading(len(inputs))
    except ShapeError as error:
        raise NetworkError([*loc, "inputs"], f"{name}: {error}, got {len(inputs)}") from None
    for index, source in enumerate(inputs):
        if source not in shapes:
            raise NetworkError([*loc, "inputs", index], f"{name}: there is no layer {said(source)} before it")
    given: dict[str, Shape] = {tensor: (1, *shapes[source]) for tensor, source in zip(op.inputs, inputs, strict=True)}
    try:
        parameters = op.parameters(given)
        given.update(parameters)
        given.update(dict.fromkeys(op.drawn, given[op.inputs[0]]))
        shape = op.inference().extents(given)["y"]
        op.check_fit(given)
    except ShapeError as error:
        raise NetworkError([*loc], f"{name}: {error}") from error
    return Layer(name, op, tuple(inputs), shape[1:], parameters)


def read_loss(given: Any, last: Layer) -> Layer:
    """The loss, by name or as {"op", "settings"}, of what the last layer puts out."""
    item = {"op": given} if isinstance(given, str) else given
    _known(item, ("op", "settings"), ["loss"])
    op = _make_op(item, ["loss"], True, "loss")
    try:
        x = (1, *last.shape)
        op.extents({"x": x, "target": op.target_shape(x)})
    except ShapeError as error:
        raise NetworkError(["loss"], f"loss: {error}") from None
    return Layer("loss", op, (last.name,), (), {})
