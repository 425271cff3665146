"""Gradients beside central differences: how far apart they are, and where a kink or a tie is the reason.

A difference is taken in float64 at x + h and x - h. Where the slopes to the two sides of x disagree, and go on
disagreeing closer to it, the function has a corner there: a kink, or a tie where a maximum changes its winner. Any
slope between the two is then as right as any other. Corners that meet may hide one another: two windows that share a
tied value, two ReLUs at 0. So slopes are compared output by output, and a network's gradients in passes close by are
looked at, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Array = np.ndarray
#: The results of a forward pass in which one tensor has been replaced.
Evaluate = Callable[[str, Array], Mapping[str, Array]]
#: Moves each of a tensor's elements a little.
Nudge = Callable[[Array], Array]
#: The least and the largest values of a tensor's elements.
Range = tuple[Array, Array]

#: The step h at |x| <= 1: near the cube root of float64's rounding, where cutting off and rounding err alike.
STEP = 6e-6
#: How much closer to x a corner is looked for again.
CLOSER = 16
#: How many passes close by, and how close, as a share of each number above 1.
POINTS, NEAR = 8, 1e-9
#: The largest difference, as a share of the tensor's largest gradient, that still counts as agreement: of numbers in
#: float64, and of numbers in float32.
TOLERANCE, LOOSE = 1e-6, 1e-4


@dataclass(frozen=True)
class Kink:
    """A place with a corner: the slopes to its two sides, and the least and the largest one that is right. `tie` names
    an index that changes: (result, place, its value below, its value above)."""

    index: tuple[int, ...]
    analytic: float
    below: float
    above: float
    low: float
    high: float
    tie: tuple[str, tuple[int, ...], int, int] | None = None

    def allows(self, slope: float) -> bool:
        """Whether a slope is among those that are right."""
        room = TOLERANCE * max(abs(self.low), abs(self.high))
        return self.low - room <= slope <= self.high + room

    @property
    def words(self) -> str:
        slopes = f"the slope is {self.below:.6g} below it and {self.above:.6g} above it"
        if self.low < min(self.below, self.above) or self.high > max(self.below, self.above):
            slopes += f", where corners meet; {self.low:.6g} to {self.high:.6g} are right"
        if self.tie is None:
            return f"a kink: {slopes}"
        result, place, below, above = self.tie
        where = f"{result}/{','.join(map(str, place))}" if place else result
        return f"a tie: {where} is {below} below it and {above} above it; {slopes}"


@dataclass(frozen=True)
class Difference:
    """How far two tensors are apart. `relative` is a share of the largest number in either; `index` is where."""

    absolute: float
    relative: float
    index: tuple[int, ...] | None

    def agrees(self, tolerance: float = TOLERANCE) -> bool:
        return self.relative <= tolerance


@dataclass(frozen=True)
class Comparison:
    """A gradient beside its central differences, NaN where none was taken; `difference` leaves the kinks out."""

    analytic: Array
    numeric: Array
    checked: int
    difference: Difference
    kinks: tuple[Kink, ...]


def apart(a: Array, b: Array, among: Array | None = None) -> Difference:
    """The largest difference of two arrays of one shape, at the places `among` (a mask; default: all)."""
    chosen = np.ones(a.shape, bool) if among is None else among
    if not chosen.any():
        return Difference(0.0, 0.0, None)
    with np.errstate(invalid="ignore"):
        gaps = np.where(chosen, np.abs(a - b), 0.0)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
    gaps = np.where(np.isnan(gaps), np.inf, gaps)
    gaps[same] = 0
    index = np.unravel_index(int(np.argmax(gaps)), gaps.shape)
    largest = float(gaps[index])
    sizes = np.abs([a[chosen], b[chosen]])
    scale = float(sizes.max(initial=0.0, where=np.isfinite(sizes)))
    return Difference(largest, largest / scale if scale else math.inf if largest else 0.0, tuple(map(int, index)))


def around(gradients: Callable[[Nudge], Mapping[str, Array]]) -> dict[str, Range]:
    """The least and the largest gradients, element by element, of passes whose tensors are nudged at random: apart
    where a corner is."""
    rng = np.random.default_rng(0)
    low: dict[str, Array] = {}
    high: dict[str, Array] = {}

    def nudge(array: Array) -> Array:
        return array + NEAR * np.maximum(1, np.abs(array)) * rng.uniform(-1, 1, array.shape)

    for _ in range(POINTS):
        for name, slope in gradients(nudge).items():
            low[name] = np.minimum(low.get(name, slope), slope)
            high[name] = np.maximum(high.get(name, slope), slope)
    largest = max(float(np.abs(array).max()) for array in (*low.values(), *high.values()))
    return {
        name: (low[name], np.where(high[name] - low[name] > 1000 * NEAR * largest, high[name], low[name]))
        for name in low
    }


def compare(
    name: str, at: Array, gradient: Array, dy: Array, evaluate: Evaluate, places: int, close: Range | None = None
) -> Comparison:
    """The gradient of sum(dy * y) with respect to the tensor `name`, beside differences at no more than so many finite
    places: all of them, or the same random ones each time. `close` are its bounds at points close by."""
    at = at.astype(np.float64)
    analytic = gradient.astype(np.float64)
    numeric = np.full(at.shape, np.nan)
    chosen = np.flatnonzero(np.isfinite(at))
    if len(chosen) > places:
        chosen = np.sort(np.random.default_rng(0).choice(chosen, places, replace=False))
    scale = float(np.abs(analytic).max(initial=0.0, where=np.isfinite(analytic)))
    kinks = []
    middle = evaluate(name, at)
    for flat in map(int, chosen):
        index = tuple(map(int, np.unravel_index(flat, at.shape)))
        slopes, sides = _slopes(name, at, index, STEP, dy, middle, evaluate)
        least = 1e-4 * max(scale, *map(abs, slopes))
        if (wide := slopes.high - slopes.low) > least:
            slopes, sides = _slopes(name, at, index, STEP / CLOSER, dy, middle, evaluate)
        cornered = least < wide < 4 * (slopes.high - slopes.low)
        if close is not None and close[1][index] - close[0][index] > least:
            bounds = [*slopes, float(close[0][index]), float(close[1][index]), float(analytic[index])]
            slopes, cornered = slopes._replace(low=min(bounds), high=max(bounds)), True
        if cornered:
            kinks.append(Kink(index, float(analytic[index]), *slopes, _tie(*sides)))
        numeric[index] = (slopes.below + slopes.above) / 2
    among = np.zeros(at.shape, bool)
    among.flat[chosen] = True
    for kink in kinks:
        among[kink.index] = False
    return Comparison(analytic, numeric, len(chosen), apart(analytic, numeric, among), tuple(kinks))


class Slopes(NamedTuple):
    """To the side below and above; and the least and the largest, with each output taking either side."""

    below: float
    above: float
    low: float
    high: float


def _slopes(
    name: str,
    at: Array,
    index: tuple[int, ...],
    step: float,
    dy: Array,
    middle: Mapping[str, Array],
    evaluate: Evaluate,
) -> tuple[Slopes, tuple[Mapping[str, Array], Mapping[str, Array]]]:
    """The slopes at a place, and the results to its sides."""
    here = at[index]
    h = step * max(1.0, abs(here))
    slopes, sides = [], []
    for there in (here - h, here + h):
        moved = at.copy()  # a result may be a view of what it was made from
        moved[index] = there
        side = evaluate(name, moved)
        # the difference is taken element by element: a sum over all of y would drown it
        slopes.append(dy * _change(side["y"], middle["y"]) / (there - here))
        sides.append(side)
    below, above = slopes
    sums = (float(np.sum(part)) + 0.0 for part in (below, above, np.minimum(below, above), np.maximum(below, above)))
    return Slopes(*sums), (sides[0], sides[1])  # + 0.0: no −0


def _change(to: Array, start: Array) -> Array:
    """Element by element; what is NaN or infinite on both sides has not changed."""
    with np.errstate(invalid="ignore"):
        return np.where((to == start) | (np.isnan(to) & np.isnan(start)), 0.0, to - start)


def _tie(below: Mapping[str, Array], above: Mapping[str, Array]) -> tuple[str, tuple[int, ...], int, int] | None:
    """The first position that is not the same on both sides."""
    for name, array in below.items():
        if array.dtype.kind in "iu" and name in above:
            changed = np.argwhere(array != above[name])
            if len(changed):
                place = tuple(map(int, changed[0]))
                return name, place, int(array[place]), int(above[name][place])
    return None
