"""One number moved a little: what the loss does, beside what the backward pass says it would do.

Everything is computed in float64 from a pass's own parameters and image. Where a gate or a maximum switches, the loss
has a corner: there the two sides have slopes of their own, and no single gradient is right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np

from engine.formula import Tensors
from engine.formula.evaluate import Grid
from engine.formula.nodes import Call, Choice, Expr, Sentence, reads, walk
from engine.network import Key, Values
from engine.trace import Place, PlaceError, Trace

Array = np.ndarray

#: The steps at which slopes are taken when none are asked for.
EPSILONS = tuple(10.0**-k for k in range(1, 11))
#: Points of the curve, to both sides of the number's value, and how many passes the search for kinks may take.
POINTS, SEARCHES = 20, 400
#: How exactly a kink's place is found, as a share of the curve's range.
EXACT = 1e-7
#: How far to its two sides the slopes are taken that tell a kink, and how much closer they are taken again.
SIDE, CLOSER = 1e-6, 8
#: Digits on which slope and gradient agree in float64 at best.
DIGITS = 15
#: So many agreeing digits count as agreement.
AGREES = 5

Verdict = Literal["agrees", "kink", "round_off", "differs"]


@dataclass(frozen=True)
class Difference:
    """(loss_plus - loss_minus) / (2 eps), and on how many leading digits it agrees with the gradient."""

    eps: float
    loss_plus: float
    loss_minus: float
    slope: float
    digits: int


@dataclass(frozen=True)
class Kink:
    """Where a gate or a maximum switches: the cell, the operator or "tie", and the nudged number's value there."""

    place: Place
    kind: str
    at: float


@dataclass(frozen=True)
class Nudge:
    """`below` and `above` are the slopes to the two sides; equal up to rounding where there is no kink."""

    value: float
    loss: float
    gradient: float
    below: float
    above: float
    differences: tuple[Difference, ...]
    kinks: tuple[Kink, ...]
    verdict: Verdict
    values: Array
    losses: Array


def nudge(trace: Trace, place: Place, epsilons: Sequence[float] = EPSILONS) -> Nudge:
    """Move a parameter or a pixel of a pass: slopes at each eps, the loss over ± the largest, and every kink there.

    Raises PlaceError for a number that nothing can move: what a pass computes follows from pixels and parameters.
    """
    moved = Moved(trace, place)
    value = moved.value
    losses = {eps: (moved.loss(value + eps), moved.loss(value - eps)) for eps in epsilons}
    base, gradient = moved.loss(value), moved.gradient()
    differences = []
    for eps, (plus, minus) in losses.items():
        slope = (plus - minus) / (2 * eps)
        differences.append(Difference(eps, plus, minus, slope, agreeing_digits(slope, gradient)))
    span = max(epsilons)
    values = value + span * np.arange(-POINTS, POINTS + 1) / POINTS
    kinks = tuple(sorted(_kinks(moved, values, span), key=lambda kink: kink.at))
    (below, above), closer = (_sides(moved, value, base, h) for h in (SIDE, SIDE / CLOSER))
    verdict = _verdict(differences, gradient, (below, above), closer, base)
    curve = np.array([moved.loss(float(each)) for each in values])
    return Nudge(value, base, gradient, below, above, tuple(differences), kinks, verdict, values, curve)


class Moved:
    """A pass in float64 as a function of one of its numbers."""

    def __init__(self, trace: Trace, place: Place) -> None:
        self.trace, self.network = trace, trace.network
        layer, tensor = self.key = trace.network.resolve(place.layer, place.tensor)
        self.index = place.index
        self.name = "x" if self.key == ("input", "y") else f"{layer}/{tensor}"
        if self.name != "x" and self.name not in self.network.parameter_shapes:
            raise PlaceError(f"{layer}/{tensor} follows from others; only pixels (input/y) and parameters can be moved")
        shape = trace[self.key].shape
        if len(place.index) != len(shape) or any(not 0 <= i < n for i, n in zip(place.index, shape, strict=True)):
            raise PlaceError(f"{layer}/{tensor} has shape {list(shape)}, there is no index {list(place.index)} in it")
        self.parameters = {
            name: trace[_parameter_key(name)].astype(np.float64) for name in self.network.parameter_shapes
        }
        self.x = trace["input", "y"].astype(np.float64)
        target = trace["target", "y"]
        self.target = target.astype(np.float64) if target.dtype.kind == "f" else target
        self.edits = trace.by_hand and trace.by_hand.again()

    @property
    def value(self) -> float:
        return float(self.trace[self.key][self.index])

    def values(self, value: float) -> tuple[Mapping[str, Array], Values]:
        """The parameters and the forward pass with the number at this value."""
        parameters, x = self.parameters, self.x
        if self.name == "x":
            x = x.copy()
            x[self.index] = value
        else:
            parameters = {**parameters, self.name: parameters[self.name].copy()}
            parameters[self.name][self.index] = value
        edits = self.edits.results if self.edits else None
        return parameters, self.network.forward(parameters, x, self.target, edits=edits)

    def loss(self, value: float) -> float:
        return float(self.values(value)[1]["loss", "y"])

    def gradient(self) -> float:
        parameters, values = self.values(self.value)
        self.network.backward(parameters, values, training=False)
        layer, tensor = self.key
        key = self.network.resolve("input", "dy") if self.name == "x" else (layer, f"d{tensor}")
        return float(values[key][self.index]) if key in values else 0.0

    def switches(self, value: float) -> dict[tuple[Key, str], Array]:
        """Every gate's and every winner's position, by (layer and tensor, kind)."""
        parameters, values = self.values(value)
        found = {((layer, "y"), "tie"): values[layer, name] for layer, name in self._winners}
        for gate in self._gates:
            found[gate.key, gate.kind] = gate.state(parameters, values)
        return found

    @cached_property
    def _winners(self) -> list[Key]:
        return [(layer.name, name) for layer in self.network.layers.values() for name in layer.inference_op.indexes]

    @cached_property
    def _gates(self) -> list[_Gate]:
        gates = []
        for layer in [*self.network.layers.values(), self.network.loss]:
            op = layer.inference_op
            local, known = self.trace._layer(layer)
            for name in op.program(local.shapes).names:
                sentence = local.program.sentences[name]
                for test in _tests(sentence.expr):
                    if {read.tensor for read in reads(test)} & set(op.inputs):
                        keys = {
                            given: self.network.resolve(layer.name, local.public.get(given, given))
                            for given in local.program.given
                            if given in known and given != "dy"
                        }
                        key = (layer.name, local.public.get(name, name))
                        gates.append(_Gate(key, op.name, test, sentence, known, keys))
        return gates


class _Gate:
    """A test in a sentence, evaluated again and again with other arrays."""

    def __init__(
        self, key: Key, kind: str, test: Expr, sentence: Sentence, known: Tensors, keys: Mapping[str, Key]
    ) -> None:
        self.key, self.kind, self._test, self._keys = key, kind, test, keys
        arrays = {name: known[name] for name in keys}
        self._tensors = Tensors(known.program, arrays, known.numbers, {sentence.name: known.shape(sentence.name)})
        letters = (*sentence.free, *sentence.bound)
        self._grid = Grid(self._tensors, {x: self._tensors.count(x) for x in letters})
        self._rank, self._bound = len(letters), len(sentence.bound)

    def state(self, parameters: Mapping[str, Array], values: Values) -> Array:
        """Over the free letters; a test that runs along bound ones counts at their first position."""
        for name in [name for name in self._tensors if name not in self._keys]:
            del self._tensors[name]  # evaluated from other arrays
        for name, key in self._keys.items():
            self._tensors[name] = values[key] if key in values else parameters["/".join(key)]
        state = np.asarray(self._grid.value(self._test)[0])
        whole = state.reshape((1,) * (self._rank - state.ndim) + state.shape)
        return whole.reshape(*whole.shape[: self._rank - self._bound], -1)[..., 0]


def _tests(expr: Expr) -> Iterator[Expr]:
    """What decides which branch is taken; of |z| it is z's sign."""
    for node in walk(expr):
        if isinstance(node, Choice):
            yield node.test
        elif isinstance(node, Call) and node.function == "abs":
            yield Call("sign", node.of)


def _kinks(moved: Moved, values: Array, span: float) -> Iterator[Kink]:
    """Between two neighbouring points whose gates differ there is a kink; halving finds where."""
    left = SEARCHES

    def look(value: float) -> dict[tuple[Key, str], Array]:
        nonlocal left
        left -= 1
        return moved.switches(value)

    def between(low: float, high: float, start: Mapping, stop: Mapping) -> Iterator[Kink]:
        changed = {key: np.argwhere(start[key] != stop[key]) for key in start}
        if not any(map(len, changed.values())):
            return
        middle = (low + high) / 2
        if high - low <= EXACT * span or left <= 0:
            for ((layer, tensor), kind), cells in changed.items():
                for cell in cells:
                    yield Kink(Place(layer, tensor, tuple(map(int, cell))), kind, middle)
            return
        half = look(middle)
        yield from between(low, middle, start, half)
        yield from between(middle, high, half, stop)

    states = [look(float(each)) for each in values]
    for (low, high), (start, stop) in zip(pairwise(values), pairwise(states), strict=True):
        yield from between(float(low), float(high), start, stop)


def _sides(moved: Moved, value: float, base: float, h: float) -> tuple[float, float]:
    """The slopes below and above."""
    low, high = value - h * max(1.0, abs(value)), value + h * max(1.0, abs(value))
    return (base - moved.loss(low)) / (value - low), (moved.loss(high) - base) / (high - value)


def _verdict(
    differences: Sequence[Difference],
    gradient: float,
    sides: tuple[float, float],
    closer: tuple[float, float],
    loss: float,
) -> Verdict:
    """A corner's two slopes stay apart as the sides come closer; those of a bend come together."""
    noise = 4 * np.finfo(float).eps * abs(loss) / (SIDE / CLOSER)
    apart, still = abs(sides[1] - sides[0]), abs(closer[1] - closer[0])
    if still > 10 * noise + 1e-4 * max(map(abs, sides)) and still > apart / 2:
        return "kink"
    if max(each.digits for each in differences) >= AGREES:
        return "agrees"
    error = min(abs(each.slope - gradient) for each in differences)
    return "round_off" if error <= 10 * noise else "differs"


def agreeing_digits(a: float, b: float) -> int:
    """On how many leading digits two numbers agree, at most DIGITS."""
    if a == b:
        return DIGITS
    size = max(abs(a), abs(b))
    if not math.isfinite(a) or not math.isfinite(b):
        return 0
    return max(0, min(DIGITS, math.floor(-math.log10(abs(a - b) / size))))


def _parameter_key(name: str) -> Key:
    layer, _, tensor = name.rpartition("/")
    return layer, tensor
