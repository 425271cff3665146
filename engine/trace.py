"""One frozen pass, and why any of its numbers is what it is.

`explain(trace, place)` finds the sentence that made a number and lists its terms, every factor with a place of its own
that can be opened in turn, until a pixel, a label, a drawn weight or the pass before is reached.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from html import escape
from typing import Any, Protocol

import numpy as np

from engine import formula
from engine.formula import Equation, Explanation, Part, Program, Tensors, Term
from engine.layers import Layer
from engine.network import Key, Network, Values
from engine.optimizers import LETTERS, NORM, Optimizer
from engine.timeline import Local, counts_images, layer_program, sum_program, timeline, update_program

__all__ = ["Place", "PlaceError", "Trace", "explain", "timeline"]

Array = np.ndarray


class PlaceError(LookupError):
    """No number stands at this place."""


@dataclass(frozen=True)
class Place:
    """A number's address: `conv1/dx/0,3,5,5`, of a training step `conv1/dx/0,3,5,5@120`; `loss/y` has no index."""

    layer: str
    tensor: str
    index: tuple[int, ...] = ()
    step: int | None = None

    #: No tensor is as long, and no run, as eighteen digits say.
    PATTERN = re.compile(
        r"(?P<layer>[A-Za-z0-9][\w.-]*)/(?P<tensor>[A-Za-z][\w.]*)(?:@(?P<early>\d{1,18}))?"
        r"(?:/(?P<index>\d{1,18}(?:,\d{1,18})*))?(?:@(?P<step>\d{1,18}))?",
        re.ASCII,
    )

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read a place. The step may stand after the tensor, too, as in a read's `conv1/w_next@119`."""
        match = cls.PATTERN.fullmatch(text)
        if match is None or (match["early"] and match["step"]):
            raise PlaceError(f"{text[:80]!r} is no place; expected layer/tensor/index, as conv1/dx/0,3,5,5")
        step = match["step"] or match["early"]
        index = tuple(int(number) for number in match["index"].split(",")) if match["index"] else ()
        return cls(match["layer"], match["tensor"], index, int(step) if step else None)

    def __str__(self) -> str:
        index = "/" + ",".join(map(str, self.index)) if self.index else ""
        return f"{self.layer}/{self.tensor}{index}" + (f"@{self.step}" if self.step is not None else "")


class ByHand(Protocol):
    """The numbers of a pass that were set by hand: where, and what stood there before."""

    masks: dict[Key, Array]
    before: dict[Key, Array]

    def results(
        self, layer: Layer, tensors: Mapping[str, Array], results: Mapping[str, Array]
    ) -> Mapping[str, Array]: ...

    def again(self) -> ByHand: ...


def gradient_norm(network: Network, optimizer: Optimizer, values: Mapping[Key, Array]) -> float | None:
    """The norm of all gradients of a pass together; None where the optimizer does not clip them."""
    places = (name.split("/") for name in network.learned)
    return optimizer.norm(values[layer, f"d{tensor}"] for layer, tensor in places)


class Trace(Mapping[Key, Array]):
    """One forward pass, backward pass and update: (layer, tensor) -> read-only array.

    Intermediates that no kernel keeps (softmax's `e`, Adam's `mhat`) are evaluated from their sentences when asked for.
    Aliases (`x`, `dy`) are answered with the neighbour's tensor.

    step       the step that this is, or whose parameters were used
    learning   whether random tensors were drawn (dropout)
    update     the number of the update that it makes, from 1; moved and left: parameters and state after it
    state      the optimizer's state before it
    previous   the step that left the parameters; origin: the seed that drew the first, None when they were given
    by_hand    the numbers that were set by hand
    """

    def __init__(
        self,
        network: Network,
        values: Values,
        parameters: Mapping[str, Array],
        *,
        step: int | None = None,
        training: bool = False,
        optimizer: Optimizer | None = None,
        state: Mapping[str, Array] | None = None,
        update: int = 0,
        moved: Mapping[str, Array] | None = None,
        left: Mapping[str, Array] | None = None,
        previous: int | None = None,
        origin: int | None = None,
        by_hand: ByHand | None = None,
    ):
        self.network = network
        self.step = step
        self.training = training
        self.optimizer = optimizer
        self.update = update
        self.previous = previous
        self.origin = origin
        self.by_hand = by_hand
        stored = dict(values)
        for suffix, arrays in (("", parameters), ("_next", moved or {}), ("", state or {}), ("_next", left or {})):
            for name, array in arrays.items():
                layer, tensor = name.split("/")
                stored[layer, tensor + suffix] = array
        self._stored = {key: _frozen(array) for key, array in stored.items()}
        self._locals: dict[Key, tuple[Local, Tensors]] = {}

    # mapping --------------------------------------------------------------------------------------------------------

    def __getitem__(self, key: Key) -> Array:
        key = self.network.resolve(*key)
        if key in self._stored:
            return self._stored[key]
        try:
            name, _, tensors = self._find(*key)
        except PlaceError as error:
            raise KeyError(str(error)) from None
        return _frozen(np.asarray(tensors[name]))

    def __iter__(self) -> Iterator[Key]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def __contains__(self, key: object) -> bool:
        try:
            self[key]  # type: ignore[index]
        except (KeyError, TypeError, ValueError):
            return False
        return True

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self._stored.values())

    @property
    def batch(self) -> int:
        """Images in the pass."""
        return len(self._stored["input", "y"])

    def tensors(self, layer: str) -> tuple[str, ...]:
        """The names of a layer's tensors: stored ones, intermediates, and aliases."""
        names = [tensor for name, tensor in self._stored if name == layer]
        if layer == "loss" or layer in self.network.layers:
            found = self.network.layer(layer)
            local, _ = self._layer(found)
            names += [
                name
                for name in (*local.program.given, *local.program.names)
                if (layer, name) in self or self.network.resolve(layer, name) != (layer, name)
            ]
            for parameter in found.learned if self.optimizer else ():
                update, _ = self._update(found, parameter)
                names += [update.public.get(name, name) for name in update.program.names]
        return tuple(dict.fromkeys(names))

    def sample(self, layer: str, tensor: str, k: int) -> Array:
        """A tensor of one image, its batch axis kept with length 1; what belongs to the whole batch stays whole."""
        array = self[layer, tensor]
        key = self.network.resolve(layer, tensor)
        if not self._has_batch(key):
            return array
        if not 0 <= k < self.batch:
            raise PlaceError(f"sample {k}: the batch has {self.batch} images, 0 to {self.batch - 1}")
        return array[k : k + 1]

    def _has_batch(self, key: Key) -> bool:
        layer, tensor = key
        if key == ("loss", "dy"):
            return False
        if layer in ("input", "target") or tensor == "dy":
            return True
        found = self.network.layer(layer)
        return counts_images(found, self._layer(found)[0].program, tensor)

    # sentences ------------------------------------------------------------------------------------------------------

    def _of_parameter(self, layer: str, tensor: str) -> str | None:
        """The parameter that a tensor belongs to: w for w, dw, w_next and w.v."""
        if layer not in self.network.layers:
            return None
        for name in self.network.layers[layer].parameters:
            if tensor in (name, f"d{name}", f"{name}_next") or tensor.startswith(f"{name}."):
                return name
        return None

    def _layer(self, layer: Layer) -> tuple[Local, Tensors]:
        """The op's sentences and this pass's arrays under their names."""
        key = (layer.name, "")
        if key not in self._locals:
            target = self._stored["target", "y"].shape if ("target", "y") in self._stored else None
            local = layer_program(self.network, layer, self.batch, self.training, target)
            self._locals[key] = (local, self._tensors(local))
        return self._locals[key]

    def _update(self, layer: Layer, parameter: str) -> tuple[Local, Tensors]:
        """The optimizer's sentences for one parameter, and its arrays."""
        key = (layer.name, parameter)
        if key not in self._locals:
            assert self.optimizer is not None
            local = update_program(layer, parameter, self.optimizer, self.update)
            tensors = self._tensors(local)
            if NORM in self.optimizer.whole:
                tensors[NORM] = np.asarray(self._norm)
            self._locals[key] = (local, tensors)
        return self._locals[key]

    @cached_property
    def _norm(self) -> float | None:
        """That of all gradients, where the optimizer clips them."""
        assert self.optimizer is not None
        return gradient_norm(self.network, self.optimizer, self._stored)

    def _tensors(self, local: Local) -> Tensors:
        arrays = {}
        for name in (*local.program.given, *local.program.names):
            key = self.network.resolve(local.layer, local.public.get(name, name))
            if key in self._stored:
                arrays[name] = self._stored[key]
            elif key == ("loss", "dy"):
                arrays[name] = np.ones((), self._stored["input", "y"].dtype)
        return Tensors(local.program, arrays, local.numbers, local.extents)

    def _find(self, layer: str, tensor: str) -> tuple[str, Local, Tensors]:
        """The sentence that says a tensor: its name there, the program, the arrays."""
        if layer != "loss" and layer not in self.network.layers:
            known = ", ".join(("input", *self.network.layers, "target", "loss"))
            raise PlaceError(f"there is no layer {layer}; the network has {known}")
        found = self.network.layer(layer)
        parameter = self._of_parameter(layer, tensor)
        if parameter in found.learned and tensor != f"d{parameter}" and self.optimizer:
            local, tensors = self._update(found, parameter)
        else:
            local, tensors = self._layer(found)
        for name in (*local.program.names, *local.program.given):
            if local.public.get(name, name) == tensor:
                return name, local, tensors
        raise PlaceError(f"{layer} has no tensor {tensor}; it has {', '.join(self.tensors(layer))}")


def explain(trace: Trace, place: Place, **paging: Any) -> Explanation:
    """Why the number at a place is what it is; `paging` as engine.formula.explain takes it.

    Each read names its tensor as "layer/tensor", resolved to what is really stored in this pass, or "conv1/w_next@119"
    where it belongs to a step of the training run; with its index it is a place that can be explained in turn. A place
    that names its step hands it on to what it reads.
    """
    found = _explanation(trace, place, paging)
    if place.step is None:
        return found
    return _placed(found, lambda tensor: tensor if "@" in tensor else f"{tensor}@{place.step}")


def _explanation(trace: Trace, place: Place, paging: Mapping[str, Any]) -> Explanation:
    layer, tensor = key = trace.network.resolve(place.layer, place.tensor)
    try:
        array = trace[key]
    except KeyError as error:
        raise PlaceError(error.args[0]) from None
    index = place.index
    if len(index) != array.ndim or any(not 0 <= i < size for i, size in zip(index, array.shape, strict=True)):
        raise PlaceError(f"{layer}/{tensor} has shape {list(array.shape)}, there is no index {list(index)} in it")

    hand = trace.by_hand
    if hand and key in hand.masks and hand.masks[key][index]:
        return replace(_given(array, index, "set by hand", tensor), before=float(hand.before[key][index]))
    if key in (("input", "y"), ("target", "y")):
        return _given(array, index, "the image" if layer == "input" else "the target", tensor)
    if key == ("loss", "dy"):
        return _given(array, index, "the loss, seen from itself", tensor)
    if layer == "input" or tensor == "dy":
        return _summed(trace, key, index, paging)
    found = trace.network.layer(layer)
    if tensor in found.op.drawn:
        return _given(array, index, "drawn for this step" if trace.training else "at rest nothing is drawn", tensor)
    if tensor in found.parameters:
        return _came_from(trace, key, index, f"{tensor}_next", paging) or _given(
            array, index, _origin(trace, found, tensor), tensor
        )
    if (
        "." in tensor
        and not tensor.endswith("_next")
        and trace.optimizer
        and (tensor.split(".")[1] in trace.optimizer.state)
    ):
        return _came_from(trace, key, index, f"{tensor}_next", paging) or _given(
            array, index, f"starts at {array[index]:g}" if array[index] else "starts at zero", tensor.split(".")[1]
        )
    name, local, tensors = trace._find(layer, tensor)
    if name == NORM and trace.optimizer and NORM in trace.optimizer.whole:
        return _given(array, index, "the root of the sum of the squares of every gradient of this step", NORM)
    explanation = formula.explain(tensors, name, index, **paging)
    return _placed(explanation, lambda read: "/".join(trace.network.resolve(layer, local.public.get(read, read))))


def _placed(explanation: Explanation, prefix: Callable[[str], str]) -> Explanation:
    return replace(explanation, reads=[replace(read, tensor=prefix(read.tensor)) for read in explanation.reads])


def _summed(trace: Trace, key: Key, index: tuple[int, ...], paging: Mapping[str, Any]) -> Explanation:
    """The delta of a layer that several others read: the sum of what they send back."""
    readers = trace.network.consumers[key[0]]
    array = trace[key]
    program, names = sum_program(array.ndim, len(readers))
    sources = {name: (reader, f"d{tensor}") for name, (reader, tensor) in zip(names, readers, strict=True)}
    arrays = {name: trace[source] for name, source in sources.items()} | {"dy": array}
    tensors = Tensors(program, arrays, {}, {"dy": array.shape})
    return _placed(formula.explain(tensors, "dy", index, **paging), lambda read: "/".join(sources[read]))


@cache
def _copy_program(name: str, rank: int) -> Program:
    at = f"[{','.join(LETTERS[:rank])}]" if rank else ""
    return Program(f"{name}_next{at}", f"{name}{at} = {name}_next{at}")


def _came_from(
    trace: Trace, key: Key, index: tuple[int, ...], left: str, paging: Mapping[str, Any]
) -> Explanation | None:
    """A weight or state is what the step before left, to the last bit; None when there was none."""
    if trace.previous is None:
        return None
    array = trace[key]
    name = key[1].split(".")[-1]
    program = _copy_program(name, array.ndim)
    tensors = Tensors(program, {name: array, f"{name}_next": array}, {}, {name: array.shape})
    explanation = formula.explain(tensors, name, index, **paging)
    return _placed(explanation, lambda read: f"{key[0]}/{left}@{trace.previous}")


def _origin(trace: Trace, layer: Layer, parameter: str) -> str:
    if trace.origin is None:
        return "given with the network"
    return layer.op.origin(parameter, layer.parameters, trace.origin)


def _given(array: Array, index: tuple[int, ...], words: str, name: str) -> Explanation:
    """A number that nothing made: one term, itself."""
    value = float(array[index])
    text = f"{name}: {words}"
    mathml = (
        f'<math display="block"><mi data-tensor="{escape(name)}">{escape(name)}</mi><mo>:</mo>'
        f"<mtext>{escape(words)}</mtext></math>"
    )
    term = Term(
        reads=[], factors=[value], value=value, at={}, family=0, label=words, parts=[Part("constant", value, [], name)]
    )
    return Explanation(
        value=value,
        equation=Equation(text, mathml),
        sentence=text,
        reads=[],
        terms=[term],
        terms_total=1,
        page=0,
        pages=1,
        page_sum=value,
        remainder=0.0,
        groups=[],
    )


def _frozen(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view
