"""Numbers set by hand: what a pass would be if a weight, a pixel or a unit's value were another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.formula import Tensors, explain
from engine.layers import Layer
from engine.network import Key, Network
from engine.ops.base import shapes_of
from engine.trace import Place, PlaceError

Array = np.ndarray


@dataclass(frozen=True)
class Edit:
    """Set the numbers at a place to `value`, or move them `by` so much. A place that stops short of the last axes
    means the whole block, and `value` is then a number or an array of the block's shape."""

    place: Place
    value: Array | None = None
    by: float | None = None


@dataclass
class Edited:
    """The edits of one pass, by tensor, and what they found there: the value before, where a mask is set."""

    network: Network
    edits: Mapping[Key, Sequence[Edit]]
    before: dict[Key, Array] = field(default_factory=dict)
    masks: dict[Key, Array] = field(default_factory=dict)

    def __call__(self, key: Key, array: Array) -> Array:
        """The tensor with its edits, later ones last; the array itself where there are none."""
        edits = self.edits.get(key)
        if not edits:
            return array
        self.before.setdefault(key, array)
        changed, mask = array.copy(), self.masks.get(key, np.zeros(array.shape, bool)).copy()
        for edit in edits:
            block = changed[edit.place.index]
            changed[edit.place.index] = block + edit.by if edit.value is None else _shaped(edit, np.shape(block))
            mask[edit.place.index] = True
        self.masks[key] = mask
        return changed

    def results(self, layer: Layer, tensors: Mapping[str, Array], results: Mapping[str, Array]) -> dict[str, Array]:
        """What a layer puts out, with its edits. Where another cell is to win, y is the number that stands there."""
        made = dict(results)
        for name in layer.op.indexes:
            key = layer.name, name
            if key not in self.edits:
                continue
            for edit in self.edits[key]:
                _check_winner(layer, tensors, edit)
            made[name] = self(key, made[name])
            there, shape = self.masks[key], made["y"].shape
            planes, picked = (each.reshape(*shape[:2], -1) for each in (tensors["x"], made[name]))
            chosen = np.where(there, np.take_along_axis(planes, picked, 2).reshape(shape), made["y"])
            self.before[layer.name, "y"], self.masks[layer.name, "y"] = made["y"], there
            made["y"] = chosen
        return {name: self((layer.name, name), array) if name == "y" else array for name, array in made.items()}

    def again(self) -> Edited:
        """The same edits for another pass."""
        return Edited(self.network, self.edits)

    def parameters(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        return {name: self(_key(name), array) for name, array in parameters.items()}


def edited(network: Network, edits: Sequence[Edit], batch: int = 1) -> Edited:
    """The edits of a pass of so many images, checked: PlaceError where one names nothing that can be set by hand
    (parameters, the input, what layers put out, and which cell wins a window), or does not fit."""
    shapes = {_key(name): shape for name, shape in network.parameter_shapes.items()}
    shapes["input", "y"] = (batch, *network.input_shape)
    shapes |= {(layer.name, "y"): (batch, *layer.shape) for layer in network.layers.values()}
    winners = {(layer.name, name) for layer in network.layers.values() for name in layer.op.indexes}
    shapes |= {key: (batch, *network.layers[key[0]].shape) for key in winners}
    by_key: dict[Key, list[Edit]] = {}
    for edit in edits:
        key = network.resolve(edit.place.layer, edit.place.tensor)
        if key not in shapes:
            raise PlaceError(
                f"{key[0]}/{key[1]} cannot be set by hand; expected a parameter, input/y, the y of a layer or a "
                "window's winner"
            )
        shape, index = shapes[key], edit.place.index
        if len(index) > len(shape) or any(not 0 <= i < n for i, n in zip(index, shape, strict=False)):
            raise PlaceError(f"{key[0]}/{key[1]} has shape {list(shape)}, there is no block {list(index)} in it")
        if key in winners and (len(index) < len(shape) or edit.value is None or edit.value != np.round(edit.value)):
            raise PlaceError(f"{edit.place}: expected one window and the whole number of the cell that wins it")
        if edit.value is not None:
            _shaped(edit, shape[len(index) :])
        by_key.setdefault(key, []).append(edit)
    return Edited(network, by_key)


def _check_winner(layer: Layer, tensors: Mapping[str, Array], edit: Edit) -> None:
    """PlaceError unless the cell that is to win is one that the window sees."""
    op, shapes = layer.op, shapes_of(tensors)
    known = Tensors(op.program(shapes), tensors, op.numbers(shapes), op.extents(shapes))
    seen = explain(known, "y", edit.place.index, per_page=tensors["x"].size, outside=False).reads
    width = shapes["x"][-1]
    cells = sorted({read.index[-2] * width + read.index[-1] for read in seen if read.inside})
    if edit.value not in cells:
        told = ", ".join(map(str, cells[:9])) + (", ..." if len(cells) > 9 else "")
        raise PlaceError(f"{edit.place}: the window sees the cells {told}, counted row by row; got {edit.value:g}")


def _shaped(edit: Edit, shape: tuple[int, ...]) -> Array:
    value = np.asarray(edit.value)
    if value.shape not in ((), shape):
        raise PlaceError(f"{edit.place}: expected a number or the shape {list(shape)}, got {list(value.shape)}")
    return value


def _key(name: str) -> Key:
    layer, _, tensor = name.rpartition("/")
    return layer, tensor
