"""Gradients beside central differences: how far apart they are, and where a kink or a tie is the reason.

A difference is taken in float64 at x + h and x - h. Where the slopes to the two sides of x disagree, and go on
disagreeing closer to it, the function has a corner there: a kink, or a tie where a maximum changes its winner. Any
slope between the two is then as right as any other. Corners that meet may hide one another: two windows that share a
tied value, two ReLUs at 0. So slopes are compared output by output, and a network's gradients in passes close by are
looked at, too.

Element by element that is necessary, not enough: of a window whose values are tied each may get all or nothing, and yet
together they get what flowed in. The right gradients are a convex set. Its corners are the gradients of passes close
by, each delta going where it adds most along a direction; a gradient is right if the nearest point of the set is it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from engine.ops.base import Op

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
#: Below it two gradients in float64 were made in the same way.
EXACT = 1e-10
#: How far along a direction ties are decided, as a share of the largest number; and how much slopes may differ there
#: that have no corner between them.
AHEAD, BENDS = 1e-8, 1e-5


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


def corner(op: Op, tensors: Mapping[str, Array], ahead: Mapping[str, Array]) -> dict[str, Array]:
    """The gradients of an op with each kink and tie taken the way that inputs a little `ahead` go: of all that are
    right, those which add most along that way. `tensors` are the op's inputs, results and dy, float64."""
    straight = op.backward(tensors)
    behind = {name: 2 * tensors[name] - array for name, array in ahead.items()}
    dy = tensors.get("dy", np.ones(()))

    def slopes(moved: Mapping[str, Array], part: Array) -> dict[str, Array]:
        inputs = {name: array for name, array in {**tensors, **moved}.items() if name in op.tensors}
        return op.backward({**tensors, **inputs, **op.forward(inputs), "dy": part})

    best, most = straight, -math.inf
    for first, second in ((ahead, behind), (behind, ahead)):  # where the function bends up, and where it bends down
        ups, downs = slopes(first, np.maximum(dy, 0)), slopes(second, np.minimum(dy, 0))
        made = {name: ups[name] + downs[name] for name in straight}
        along = sum(
            float(np.vdot(made[f"d{name}"], array - tensors[name]))
            for name, array in ahead.items()
            if f"d{name}" in made
        )
        if along > most:
            best, most = made, along
    return {
        # a function that only bends has no corner
        name: array if apart(best[name], array).agrees(BENDS) else best[name]
        for name, array in straight.items()
    }


def ahead_of(at: Array, direction: Array) -> Array:
    """A point a little way along a direction: far enough to decide a tie, too close to make one."""
    finite = np.where(np.isfinite(at), np.abs(at), 0)
    return at + direction * (AHEAD * max(1.0, float(finite.max(initial=0))) / float(np.abs(direction).max()))


def nearest(given: Array, start: Array, toward: Callable[[Array], Array], most: int) -> Array:
    """The point nearest to `given` of the convex set in which `start` lies and whose farthest corner in a direction
    `toward` finds, after at most so many corners: Wolfe's algorithm (1976)."""
    corners, weights, point = [start.ravel()], np.ones(1), start.ravel()
    wanted = given.ravel()
    for _ in range(most):
        direction = wanted - point
        length = float(np.linalg.norm(direction))
        if not math.isfinite(length) or apart(wanted, point).agrees(EXACT):
            break
        found = toward(direction.reshape(given.shape)).ravel()
        if float(direction @ (found - point)) <= EXACT * length * max(length, float(np.linalg.norm(found))):
            break
        corners.append(found)
        weights = np.append(weights, 0.0)
        while True:
            sides = np.stack([corner - corners[0] for corner in corners[1:]], 1)
            rest = np.linalg.lstsq(sides, wanted - corners[0], rcond=None)[0]
            better = np.append(1 - rest.sum(), rest)
            if better.min() > 0:
                weights = better
                break
            falls = better < weights
            share = min(
                1.0, float(np.min(weights[falls] / (weights - better)[falls], where=better[falls] <= 0, initial=1))
            )
            weights = weights + share * (better - weights)
            kept = weights > EXACT
            corners = [corner for corner, keep in zip(corners, kept, strict=True) if keep]
            weights = weights[kept] / weights[kept].sum()
            if len(corners) == 1:
                break
        point = np.stack(corners, 1) @ weights
    return point.reshape(given.shape)


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
