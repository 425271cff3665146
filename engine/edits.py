"""Numbers set by hand: what a pass would be if a weight, a pixel or a unit's value were another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.network import Key, Network
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
        self.before[key] = array
        changed, mask = array.copy(), np.zeros(array.shape, bool)
        for edit in edits:
            block = changed[edit.place.index]
            changed[edit.place.index] = block + edit.by if edit.value is None else _shaped(edit, np.shape(block))
            mask[edit.place.index] = True
        self.masks[key] = mask
        return changed

    def again(self) -> Edited:
        """The same edits for another pass."""
        return Edited(self.network, self.edits)

    def parameters(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        return {name: self(_key(name), array) for name, array in parameters.items()}


def edited(network: Network, edits: Sequence[Edit], batch: int = 1) -> Edited:
    """The edits of a pass of so many images, checked: PlaceError where one names nothing that can be set by hand
    (parameters, the input, and what layers put out), or does not fit."""
    shapes = {_key(name): shape for name, shape in network.parameter_shapes.items()}
    shapes["input", "y"] = (batch, *network.input_shape)
    shapes |= {(layer.name, "y"): (batch, *layer.shape) for layer in network.layers.values()}
    by_key: dict[Key, list[Edit]] = {}
    for edit in edits:
        key = network.resolve(edit.place.layer, edit.place.tensor)
        if key not in shapes:
            raise PlaceError(
                f"{key[0]}/{key[1]} cannot be set by hand; expected a parameter, input/y or the y of a layer"
            )
        shape, index = shapes[key], edit.place.index
        if len(index) > len(shape) or any(not 0 <= i < n for i, n in zip(index, shape, strict=False)):
            raise PlaceError(f"{key[0]}/{key[1]} has shape {list(shape)}, there is no block {list(index)} in it")
        if edit.value is not None:
            _shaped(edit, shape[len(index) :])
        by_key.setdefault(key, []).append(edit)
    return Edited(network, by_key)


def _shaped(edit: Edit, shape: tuple[int, ...]) -> Array:
    value = np.asarray(edit.value)
    if value.shape not in ((), shape):
        raise PlaceError(f"{edit.place}: expected a number or the shape {list(shape)}, got {list(value.shape)}")
    return value


def _key(name: str) -> Key:
    layer, _, tensor = name.rpartition("/")
    return layer, tensor
