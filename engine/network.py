"""A network: a graph of named layers, to and from a plain document, forward and backward.

The tensors of one pass are a flat dict keyed (layer, tensor): ("conv1", "y"), ("conv1", "dw"), ("loss", "p"). A
layer's `x` and `dy` are its neighbours' tensors under its own name; `resolve` says whose.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from engine.formula import Axis
from engine.ops import OPS
from engine.ops.base import Op, Shape, ShapeError, outline
from engine.settings import SettingError, said

Array = np.ndarray
Key = tuple[str, str]
Values = dict[Key, Array]

RESERVED = ("input", "target", "loss")
LAYER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


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
    def resting(self) -> Op:
        return self.op.at_rest()

    @property
    def learned(self) -> dict[str, Shape]:
        """The parameters that have a gradient: all but the op's buffers."""
        return {name: shape for name, shape in self.parameters.items() if name not in self.op.buffers}


@dataclass(frozen=True)
class ReceptiveField:
    """Rows and columns of the input that one value sees: how many, how far apart neighbours' are, where the first
    starts, in the padding if need be. After a transposed convolution neighbours may be less than a cell apart."""

    size: tuple[int, int]
    stride: tuple[float, float]
    start: tuple[int, int]


@dataclass(frozen=True)
class LayerShape:
    name: str
    op: str
    shape: Shape
    parameters: int
    multiply_adds: int
    receptive_field: ReceptiveField


class Network:
    """Layers in an order in which each comes after those it reads; the last one feeds the loss."""

    def __init__(self, input_shape: Shape, layers: list[Layer], loss: Layer):
        self.input_shape = input_shape
        self.layers = {layer.name: layer for layer in layers}
        self.loss = loss
        self.output = layers[-1].name
        self.consumers: dict[str, list[Key]] = {name: [] for name in ("input", *self.layers)}
        for layer in [*layers, loss]:
            for tensor, source in zip(layer.op.inputs, layer.inputs, strict=True):
                self.consumers[source].append((layer.name, tensor))

    # document -------------------------------------------------------------------------------------------------------

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Network:
        """Read {"input", "layers", "loss"}; NetworkError names the place that does not fit."""
        _known(document, ("input", "layers", "loss"), [])
        input_shape = _input_shape(document.get("input"))
        listed = document.get("layers")
        if not isinstance(listed, (list, tuple)) or not listed:
            raise NetworkError(["layers"], "expected a list with at least one layer")
        shapes: dict[str, Shape] = {"input": input_shape}
        layers: list[Layer] = []
        for index, item in enumerate(listed):
            layer = _read_layer(item, ["layers", index], shapes, layers[-1].name if layers else "input")
            shapes[layer.name] = layer.shape
            layers.append(layer)
        loss = _read_loss(document.get("loss", "cross_entropy"), layers[-1])
        network = cls(input_shape, layers, loss)
        for index, layer in enumerate(layers):
            if not network.consumers[layer.name]:
                raise NetworkError(["layers", index], f"{layer.name}: nothing reads this layer, and it is not the last")
        return network

    def document(self) -> dict[str, Any]:
        """The document that makes this network, with every setting written out."""
        layers = [{"name": layer.name, "op": layer.op.name, "settings": _plain(layer.op.options),
                   "inputs": list(layer.inputs)} for layer in self.layers.values()]
        return {"input": list(self.input_shape), "layers": layers,
                "loss": {"op": self.loss.op.name, "settings": _plain(self.loss.op.options)}}

    # shapes ---------------------------------------------------------------------------------------------------------

    def layer(self, name: str) -> Layer:
        """A layer or the loss by name."""
        return self.loss if name == "loss" else self.layers[name]

    def given_shapes(self, layer: Layer, batch: int = 1) -> dict[str, Shape]:
        """The shapes of what a layer's op is given in a network: inputs, parameters, random tensors, target."""
        shapes = {tensor: (batch, *self._shape(source))
                  for tensor, source in zip(layer.op.inputs, layer.inputs, strict=True)}
        shapes.update(layer.parameters)
        for tensor in layer.op.drawn:
            shapes[tensor] = shapes[layer.op.inputs[0]]
        return shapes

    def _shape(self, name: str) -> Shape:
        return self.input_shape if name == "input" else self.layers[name].shape

    def shapes(self) -> list[LayerShape]:
        """Layer by layer: shape, number of learned parameters, multiply-adds of one image, receptive field."""
        return [
            LayerShape(layer.name, layer.op.name, layer.shape,
                       sum(math.prod(shape) for shape in layer.learned.values()),
                       layer.op.multiply_adds(self.given_shapes(layer)), self.receptive_fields[layer.name])
            for layer in self.layers.values()
        ]

    @cached_property
    def work(self) -> float:
        """What a forward pass of one image takes at most, in multiply-adds: for limits."""
        return sum(layer.op.work(self.given_shapes(layer)) for layer in self.layers.values())

    @cached_property
    def scratch(self) -> int:
        """Elements of the largest array that a layer's kernels make for themselves."""
        return max(layer.op.scratch(self.given_shapes(layer)) for layer in self.layers.values())

    @cached_property
    def receptive_fields(self) -> dict[str, ReceptiveField]:
        """What of the input each layer's value sees, composed from the windows of the sentences."""
        fields = {"input": ReceptiveField((1, 1), (1, 1), (0, 0))}
        height, width = self.input_shape[1:] if len(self.input_shape) == 3 else (1, self.input_shape[0])
        whole = ReceptiveField((height, width), (0, 0), (0, 0))
        for layer in self.layers.values():
            seen = [_through(layer.resting, self.given_shapes(layer), tensor, len(layer.shape), fields[source], whole)
                    for tensor, source in zip(layer.op.inputs, layer.inputs, strict=True)]
            fields[layer.name] = whole if whole in seen else _union(seen)
        return fields

    # parameters -----------------------------------------------------------------------------------------------------

    @cached_property
    def parameter_shapes(self) -> dict[str, Shape]:
        return {f"{layer.name}/{name}": shape for layer in self.layers.values()
                for name, shape in layer.parameters.items()}

    @cached_property
    def learned(self) -> tuple[str, ...]:
        """The parameters that have a gradient, "conv1/w": all but running statistics and the like."""
        return tuple(f"{layer.name}/{name}" for layer in self.layers.values() for name in layer.learned)

    def initial(self, seed: int, dtype: type = np.float32) -> dict[str, Array]:
        """First parameters, "conv1/w" -> array, as PyTorch draws them by default; the same for the same seed."""
        rng = np.random.default_rng([seed, 0])
        return {f"{layer.name}/{name}": layer.op.initial(name, layer.parameters, rng).astype(dtype)
                for layer in self.layers.values() for name in layer.parameters}

    def parameters_from(self, given: Mapping[str, Any], dtype: type = np.float32) -> dict[str, Array]:
        """Parameters from "conv1/w" or PyTorch's "conv1.weight"; each must be there, with its shape."""
        named: dict[str, Array] = {}
        for key, value in given.items():
            layer, _, tensor = key.rpartition(".")
            if layer in self.layers and tensor in self.layers[layer].op.torch_only:
                continue
            name = self.own_name(key)
            if name is None:
                known = ", ".join(self.parameter_shapes) or "none"
                raise NetworkError(["parameters", key], f"there is no parameter {key[:80]!r}; there are: {known}")
            if name in named:
                raise NetworkError(["parameters", key], f"{name} is given twice, under two names")
            named[name] = np.array(value, dtype)
        found = {}
        for name, shape in self.parameter_shapes.items():
            if name not in named:
                raise NetworkError(["parameters", name], f"{name} is missing")
            if named[name].shape != shape:
                raise NetworkError(["parameters", name], f"{name} has shape {list(named[name].shape)}, "
                                                         f"expected {list(shape)}")
            found[name] = named[name]
        return found

    def own_name(self, key: str) -> str | None:
        """A parameter's name from "conv1/w" or PyTorch's "conv1.weight"; None when there is none."""
        layer_name, _, tensor = key.replace(".", "/").rpartition("/")
        if "." in key and layer_name in self.layers:
            tensor = self.layers[layer_name].op.torch_names.get(tensor, tensor)
        name = f"{layer_name}/{tensor}"
        return name if name in self.parameter_shapes else None

    def torch_name(self, name: str) -> str:
        """PyTorch's name of a parameter: "conv1/w" is "conv1.weight"."""
        layer, _, tensor = name.partition("/")
        names = {own: theirs for theirs, own in self.layers[layer].op.torch_names.items()}
        return f"{layer}.{names.get(tensor, tensor)}"

    # passes ---------------------------------------------------------------------------------------------------------

    def check_batch(self, x: Array, target: Array | None = None) -> None:
        """Refuse images or targets that do not fit, before anything is computed."""
        if x.ndim != len(self.input_shape) + 1 or x.shape[1:] != self.input_shape or len(x) == 0:
            raise ShapeError(f"input has shape {list(x.shape)}, expected [N, {', '.join(map(str, self.input_shape))}]")
        if target is not None:
            self.check_target(target, len(x))

    def check_learning(self, count: int) -> None:
        """Refuse minibatches of so many images that a layer cannot learn from (batch norm of one value)."""
        for layer in self.layers.values():
            try:
                layer.op.extents(self.given_shapes(layer, count))
            except ShapeError as error:
                raise ShapeError(f"{layer.name}: minibatch of {count}: {error}") from None

    def check_target(self, target: Array, count: int) -> None:
        """Refuse targets of so many images, (N,) or (N, ...), that the loss cannot take."""
        try:
            self.loss.op.check_target((count, *self._shape(self.output)), target)
        except ShapeError as error:
            raise ShapeError(f"loss: {error}") from None

    def forward(self, parameters: Mapping[str, Array], x: Array, target: Array | None = None,
                draws: Callable[[Layer], np.random.Generator] | None = None) -> Values:
        """Every result, layer by layer, and with a target the loss; `draws` gives a learning layer its generator."""
        self.check_batch(x, target)
        values: Values = {("input", "y"): x}
        for layer in self.layers.values():
            op = layer.op if draws else layer.resting
            tensors = {name: values[source, "y"] for name, source in zip(op.inputs, layer.inputs, strict=True)}
            tensors.update({name: parameters[f"{layer.name}/{name}"] for name in layer.parameters})
            if op.drawn:
                shapes = self.given_shapes(layer, len(x))
                for name, drawn in op.draw(shapes, draws(layer) if draws else None).items():
                    tensors[name] = values[layer.name, name] = drawn.astype(x.dtype)
            for name, result in op.forward(tensors).items():
                values[layer.name, name] = result
        if target is not None:
            values["target", "y"] = target
            for name, result in self.loss.op.forward({"x": values[self.output, "y"], "target": target}).items():
                values["loss", name] = result
        return values

    def backward(self, parameters: Mapping[str, Array], values: Values, learning: bool,
                 input_gradient: bool = True) -> None:
        """Add every gradient to the values of a forward pass, from the loss back; `learning` as forward had draws."""
        for layer in [self.loss, *reversed(self.layers.values())]:
            op = layer.op if learning else layer.resting
            tensors = self.local(layer, values, parameters)
            if layer is not self.loss:
                source = self.resolve(layer.name, "dy")
                if source == (layer.name, "dy"):
                    values[source] = _sum([values[name, f"d{tensor}"] for name, tensor in self.consumers[layer.name]])
                tensors["dy"] = values[source]
            wrt = tuple(name for name in op.gradients if input_gradient or not self._is_image_gradient(layer, name))
            for name, gradient in op.backward(tensors, wrt).items():
                values[layer.name, name] = gradient
        if input_gradient:
            self._sum_image_gradients(values)

    def image_gradient(self, parameters: Mapping[str, Array], values: Values, learning: bool) -> None:
        """Add the gradient of the images to a pass whose backward left it out."""
        for name, tensor in self.consumers["input"]:
            layer = self.layer(name)
            op = layer.op if learning else layer.resting
            tensors = self.local(layer, values, parameters)
            if layer is not self.loss:
                tensors["dy"] = values[self.resolve(name, "dy")]
            values.update({(name, found): array for found, array in op.backward(tensors, (f"d{tensor}",)).items()})
        self._sum_image_gradients(values)

    def _sum_image_gradients(self, values: Values) -> None:
        if len(self.consumers["input"]) > 1:
            values["input", "dy"] = _sum([values[name, f"d{tensor}"] for name, tensor in self.consumers["input"]])

    def _is_image_gradient(self, layer: Layer, gradient: str) -> bool:
        return (layer.name, gradient[1:]) in self.consumers["input"]

    def local(self, layer: Layer, values: Mapping[Key, Array], parameters: Mapping[str, Array]) -> dict[str, Array]:
        """What a pass holds for one layer, under the names of its op's sentences."""
        tensors = {name: values[source, "y"] for name, source in zip(layer.op.inputs, layer.inputs, strict=True)}
        if layer is self.loss:
            tensors["target"] = values["target", "y"]
        for name in layer.parameters:
            tensors[name] = parameters[f"{layer.name}/{name}"]
        for name in (*layer.op.drawn, *layer.op.results, *layer.op.saved):
            if (layer.name, name) in values:
                tensors[name] = values[layer.name, name]
        return tensors

    def resolve(self, layer: str, tensor: str) -> Key:
        """Whose tensor this really is: conv2/x is pool1/y; the dy of a layer with one reader is that reader's dx."""
        if tensor == "dy" and layer != "loss" and layer in self.consumers and len(self.consumers[layer]) == 1:
            reader, name = self.consumers[layer][0]
            return (reader, f"d{name}")
        if layer == "loss" and tensor == "target":
            return ("target", "y")
        if layer == "loss" or layer in self.layers:
            inputs = self.layer(layer)
            if tensor in inputs.op.inputs:
                return (inputs.inputs[inputs.op.inputs.index(tensor)], "y")
        return (layer, tensor)


def _sum(arrays: list[Array]) -> Array:
    """Added in the order of the readers."""
    total = arrays[0]
    for array in arrays[1:]:
        total = total + array
    return total


def _known(item: Any, keys: tuple[str, ...], loc: list[str | int]) -> None:
    if not isinstance(item, Mapping):
        raise NetworkError(loc, f"expected an object with {', '.join(keys)}, got {said(item)}")
    for key in item:
        if key not in keys:
            raise NetworkError([*loc, key], f"there is no such field; known: {', '.join(keys)}")


def _input_shape(given: Any) -> Shape:
    fits = (isinstance(given, (list, tuple)) and len(given) in (1, 3)
            and all(isinstance(size, int) and not isinstance(size, bool) and 1 <= size <= 2**16 for size in given))
    if not fits:
        raise NetworkError(["input"], f"expected [channels, height, width], whole numbers of at least 1, "
                                      f"got {said(given)}")
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


def _read_layer(item: Any, loc: list[str | int], shapes: Mapping[str, Shape], before: str) -> Layer:
    _known(item, ("name", "op", "settings", "inputs"), loc)
    name = item.get("name")
    if not isinstance(name, str) or not LAYER_NAME.fullmatch(name) or name in RESERVED:
        raise NetworkError([*loc, "name"], f"expected a name of letters, digits, _ and -, other than "
                                           f"{', '.join(RESERVED)}, got {said(name)}")
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
        shape = op.at_rest().extents(given)["y"]
        op.check_fit(given)
    except ShapeError as error:
        raise NetworkError([*loc], f"{name}: {error}") from None
    return Layer(name, op, tuple(inputs), shape[1:], parameters)


def _read_loss(given: Any, last: Layer) -> Layer:
    item = {"op": given} if isinstance(given, str) else given
    _known(item, ("op", "settings"), ["loss"])
    op = _make_op(item, ["loss"], True, "loss")
    try:
        x = (1, *last.shape)
        op.extents({"x": x, "target": op.target_shape(x)})
    except ShapeError as error:
        raise NetworkError(["loss"], f"loss: {error}") from None
    return Layer("loss", op, (last.name,), (), {})


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}


def _through(op: Op, shapes: Mapping[str, Shape], tensor: str, rank: int, field: ReceptiveField,
             whole: ReceptiveField) -> ReceptiveField:
    """What one value of y sees, when a value of the op's input sees `field`."""
    if rank != 3 or len(shapes[tensor]) != 4 or field is whole:
        return whole
    program = op.program(shapes)
    sizes = outline(program, shapes, op.numbers(shapes), op.extents(shapes)).sizes

    def seen_by(name: str) -> list[ReceptiveField]:
        """By way of the planes that lead from the input to a tensor of the program."""
        if name == tensor:
            return [field]
        if name not in program.names or len(program.declared[name]) != 4:
            return []
        bound = program.letters(name)[1]
        return [_moved(seen, window.axes[2:], bound, sizes)
                for window in program.windows(name, {**sizes, **op.numbers(shapes)})
                for seen in seen_by(window.tensor)]

    found = seen_by("y")
    return _union(found) if found else whole


def _moved(field: ReceptiveField, axes: tuple[Axis | None, ...], bound: tuple[str, ...],
           sizes: Mapping[str, int]) -> ReceptiveField:
    """The field of a value that reads a window of values with this field, along rows and columns."""
    size, stride, start = [], [], []
    for axis, seen, step, first in zip(axes, field.size, field.stride, field.start, strict=True):
        assert axis is not None
        reach = {letter: factor * (sizes[letter.upper()] - 1) for letter, factor in axis.letters.items()
                 if letter in bound}
        lowest = axis.offset + sum(min(0, far) for far in reach.values())
        cells = sum(map(abs, reach.values())) // axis.pitch
        size.append(math.ceil(seen + cells * step))
        moves = step * sum(factor for letter, factor in axis.letters.items() if letter not in bound) / axis.pitch
        stride.append(int(moves) if moves == int(moves) else moves)
        start.append(math.floor(first + math.ceil(lowest / axis.pitch) * step))
    return ReceptiveField((size[0], size[1]), (stride[0], stride[1]), (start[0], start[1]))


def _union(fields: list[ReceptiveField]) -> ReceptiveField:
    """The smallest field that holds them all, where branches come together; a global pool's values do not move."""
    start = [min(field.start[axis] for field in fields) for axis in (0, 1)]
    stop = [max(field.start[axis] + field.size[axis] for field in fields) for axis in (0, 1)]
    stride = [max(field.stride[axis] for field in fields) for axis in (0, 1)]
    return ReceptiveField((stop[0] - start[0], stop[1] - start[1]), (stride[0], stride[1]), (start[0], start[1]))
