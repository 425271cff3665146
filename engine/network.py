"""A network: a graph of named layers, to and from a plain document, forward and backward.

The tensors of one pass are a flat dict keyed (layer, tensor): ("conv1", "y"), ("conv1", "dw"), ("loss", "p"). A
layer's `x` and `dy` are its neighbours' tensors under its own name; `resolve` says whose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from engine.formula import Program
from engine.layers import Layer, NetworkError, read
from engine.ops.base import Op, Shape, ShapeError
from engine.optimizers import Optimizer
from engine.receptive_field import ReceptiveField, through, union
from engine.slips import Slip, SlipError

Array = np.ndarray
Key = tuple[str, str]
Values = dict[Key, Array]
#: A layer's gradients other than its op's own, from its tensors; None where the op's own stand.
Instead = Callable[[Layer, Op, dict[str, Array]], dict[str, Array] | None]


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
        self.slip: Slip | None = None
        self.consumers: dict[str, list[Key]] = {name: [] for name in ("input", *self.layers)}
        for layer in [*layers, loss]:
            for tensor, source in zip(layer.op.inputs, layer.inputs, strict=True):
                self.consumers[source].append((layer.name, tensor))

    # document -------------------------------------------------------------------------------------------------------

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Network:
        """Read {"input", "layers", "loss"}; NetworkError names the place that does not fit."""
        return cls(*read(document))

    def document(self) -> dict[str, Any]:
        """The document that makes this network, with every setting written out."""
        return {
            "input": list(self.input_shape),
            "layers": [
                {"name": layer.name, **layer.document(), "inputs": list(layer.inputs)} for layer in self.layers.values()
            ],
            "loss": self.loss.document(),
        }

    def slipped(self, slip: Slip | None) -> Network:
        """The same network with a slip in its backward pass, or without one."""
        made = Network(self.input_shape, list(self.layers.values()), self.loss)
        made.slip = slip
        return made

    def check_slip(self, batch: int, optimizer: Optimizer) -> float:
        """What the slip's sentences take for a step, in multiply-adds. SlipError where there is nothing to edit."""
        if self.slip is None:
            return 0.0
        total = 0.0
        for layer in [*self.layers.values(), self.loss]:
            if self._may_slip(layer):
                shapes = self.given_shapes(layer, batch)
                if layer.op.is_loss:
                    shapes["target"] = layer.op.target_shape(shapes["x"])
                total += self.slip.work(layer.op, shapes)
        if self.slip.optimizer(optimizer) is not optimizer:
            total += len(optimizer.state) * self.size + self.size
        if not total:
            raise SlipError(f"{self.slip.name}: nothing in this network and its optimizer has a sentence that it edits")
        return total

    def said(self, layer: Layer, program: Program) -> Program:
        """A layer's sentences, as the slip has them where there is one."""
        return self.slip.edited(program) if self.slip and self._may_slip(layer) else program

    def _may_slip(self, layer: Layer) -> bool:
        if self.slip is None or not self.slip.first:
            return self.slip is not None
        return layer is next((each for each in self.layers.values() if each.learned), None)

    # shapes ---------------------------------------------------------------------------------------------------------

    def layer(self, name: str) -> Layer:
        """A layer or the loss by name."""
        return self.loss if name == "loss" else self.layers[name]

    def given_shapes(self, layer: Layer, batch: int = 1) -> dict[str, Shape]:
        """The shapes of what a layer's op is given in a network: inputs, parameters, random tensors, target."""
        shapes = {
            tensor: (batch, *self._shape(source)) for tensor, source in zip(layer.op.inputs, layer.inputs, strict=True)
        }
        shapes.update(layer.parameters)
        for tensor in layer.op.drawn:
            shapes[tensor] = shapes[layer.op.inputs[0]]
        return shapes

    def _shape(self, name: str) -> Shape:
        return self.input_shape if name == "input" else self.layers[name].shape

    def shapes(self) -> list[LayerShape]:
        """Layer by layer: shape, number of learned parameters, multiply-adds of one image, receptive field."""
        return [
            LayerShape(
                layer.name,
                layer.op.name,
                layer.shape,
                sum(math.prod(shape) for shape in layer.learned.values()),
                layer.op.multiply_adds(self.given_shapes(layer)),
                self.receptive_fields[layer.name],
            )
            for layer in self.layers.values()
        ]

    @cached_property
    def size(self) -> int:
        """Numbers in all parameters, learned or not."""
        return sum(math.prod(shape) for shape in self.parameter_shapes.values())

    @cached_property
    def work(self) -> float:
        """What a forward pass takes at most for each image, in multiply-adds: for limits. Of two images, because batch
        norm learns from no fewer."""
        return sum(layer.op.work(self.given_shapes(layer, 2)) for layer in self.layers.values()) / 2

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
            seen = [
                through(layer.inference_op, self.given_shapes(layer), tensor, len(layer.shape), fields[source], whole)
                for tensor, source in zip(layer.op.inputs, layer.inputs, strict=True)
            ]
            fields[layer.name] = whole if whole in seen else union(seen)
        return fields

    # parameters -----------------------------------------------------------------------------------------------------

    @cached_property
    def parameter_shapes(self) -> dict[str, Shape]:
        return {
            f"{layer.name}/{name}": shape for layer in self.layers.values() for name, shape in layer.parameters.items()
        }

    @cached_property
    def learned(self) -> tuple[str, ...]:
        """The parameters that have a gradient, "conv1/w": all but running statistics and the like."""
        return tuple(f"{layer.name}/{name}" for layer in self.layers.values() for name in layer.learned)

    def initial(self, seed: int, dtype: type = np.float32) -> dict[str, Array]:
        """First parameters, "conv1/w" -> array, as PyTorch draws them by default; the same for the same seed."""
        rng = np.random.default_rng([seed, 0])
        return {
            f"{layer.name}/{name}": layer.op.initial(name, layer.parameters, rng).astype(dtype)
            for layer in self.layers.values()
            for name in layer.parameters
        }

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
                raise NetworkError(
                    ["parameters", name], f"{name} has shape {list(named[name].shape)}, expected {list(shape)}"
                )
            found[name] = named[name]
        return found

    def own_name(self, key: str) -> str | None:
        """A parameter's name from "conv1/w" or PyTorch's "conv1.weight"; None when there is none."""
        layer_name, _, tensor = key.rpartition("/" if "/" in key else ".")
        if "/" not in key and layer_name in self.layers:
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

    def check_training(self, count: int) -> None:
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

    def forward(
        self,
        parameters: Mapping[str, Array],
        x: Array,
        target: Array | None = None,
        draws: Callable[[Layer], np.random.Generator] | None = None,
        edits: Callable[[Layer, Mapping[str, Array], Mapping[str, Array]], Mapping[str, Array]] | None = None,
    ) -> Values:
        """Every result, layer by layer, and with a target the loss; `draws` gives a learning layer its generator.
        What `edits` makes of a layer's tensors and results is what the layers behind it read."""
        self.check_batch(x, target)
        values: Values = {("input", "y"): x}
        for layer in self.layers.values():
            op = layer.op if draws else layer.inference_op
            tensors = {name: values[source, "y"] for name, source in zip(op.inputs, layer.inputs, strict=True)}
            tensors.update({name: parameters[f"{layer.name}/{name}"] for name in layer.parameters})
            if op.drawn:
                shapes = self.given_shapes(layer, len(x))
                for name, drawn in op.draw(shapes, draws(layer) if draws else None).items():
                    tensors[name] = values[layer.name, name] = drawn.astype(x.dtype)
            results = op.forward(tensors)
            for name, result in (edits(layer, tensors, results) if edits else results).items():
                values[layer.name, name] = result
        if target is not None:
            values["target", "y"] = target
            for name, result in self.loss.op.forward({"x": values[self.output, "y"], "target": target}).items():
                values["loss", name] = result
        return values

    def backward(
        self,
        parameters: Mapping[str, Array],
        values: Values,
        training: bool,
        input_gradient: bool = True,
        instead: Instead | None = None,
    ) -> None:
        """Add every gradient to the values of a forward pass, from the loss back; `learning` as forward had draws.
        `instead` may answer in a layer's place, as where a mistake or another choice at a kink is looked for."""
        for layer in [self.loss, *reversed(self.layers.values())]:
            op = layer.op if training else layer.inference_op
            tensors = self.local(layer, values, parameters)
            if layer is not self.loss:
                source = self.resolve(layer.name, "dy")
                if source == (layer.name, "dy"):
                    values[source] = _sum([values[name, f"d{tensor}"] for name, tensor in self.consumers[layer.name]])
                tensors["dy"] = values[source]
            wrt = tuple(name for name in op.gradients if input_gradient or not self._is_image_gradient(layer, name))
            other = instead(layer, op, tensors) if instead else None
            if other is None and self.slip and self._may_slip(layer):
                other = self.slip.gradients(op, tensors, wrt)
            for name, gradient in (op.backward(tensors, wrt) if other is None else other).items():
                values[layer.name, name] = gradient
        if input_gradient:
            self._sum_image_gradients(values)

    def image_gradient(self, parameters: Mapping[str, Array], values: Values, training: bool) -> None:
        """Add the gradient of the images to a pass whose backward left it out."""
        for name, tensor in self.consumers["input"]:
            layer = self.layer(name)
            op = layer.op if training else layer.inference_op
            tensors = self.local(layer, values, parameters)
            if layer is not self.loss:
                tensors["dy"] = values[self.resolve(name, "dy")]
            made = self.slip.gradients(op, tensors, (f"d{tensor}",)) if self.slip and self._may_slip(layer) else None
            made = op.backward(tensors, (f"d{tensor}",)) if made is None else made
            values.update({(name, found): array for found, array in made.items()})
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
