"""What a wrong gradient looks like: a missing flip, a missing padding, a sum in place of a mean, ...

Each suspicion makes the same mistake with the op's own kernels and compares what comes out with what was given. None of
them knows an op: they turn tensors, change settings, and leave out parts of dy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, permutations, product
from typing import Any

import numpy as np

from engine.check import LOOSE, apart
from engine.formula import Tensors, omissions
from engine.ops.base import Op, ShapeError, shapes_of
from engine.settings import Axis, Bool, Choice, Float, Padding, Pair, SettingError

Array = np.ndarray
#: The most places of dy that are sent back one by one, to see windows that overwrite one another.
PLACES = 1024
#: Below it two gradients in float64 were made in the same way.
EXACT = 1e-10
#: The most elements of a sentence's grid of letters that is evaluated with one piece of it left out.
GRID = 200_000


@dataclass(frozen=True)
class Guess:
    """`kind` is one word for programs, `words` a sentence for people."""

    kind: str
    words: str


@dataclass(frozen=True)
class Suspect:
    """A way to get a gradient wrong, and the gradient that it leads to."""

    kind: str
    words: str
    outcome: Array


def guess(
    name: str, given: Array, true: Array, op: Op | None = None, tensors: Mapping[str, Array] | None = None
) -> Guess | None:
    """Why `given` is not the gradient `true` of that name ("dw"), or None when it is like nothing known.

    With the op and its tensors (inputs, results and dy, float64) its own mistakes are tried too.
    """
    if given.shape != true.shape:
        return _by_shape(name, given, true)
    if not given.any():
        return Guess("zero", f"{name} is zero everywhere")
    counts = _counts(op, tensors or {})
    if apart(given, true).agrees(LOOSE):
        rounded = Guess("rounding", f"{name} is right but for rounding, as float32 rounds")
        return (op and tensors and _tiny(name, given, op, tensors)) or rounded
    usual = [Suspect("", name, true), *_moved(name, true)]
    if op is None or tensors is None:
        return _like(given, usual, counts) or _unwritten(name, given, true)
    usual += _mistakes(name, op, tensors)
    others = [*_forgotten(name, op, tensors, true), *_misread(name, op, tensors)]
    return _like(given, usual, counts) or _like(given, others, counts) or _unwritten(name, given, true)


def _like(given: Array, suspects: list[Suspect], counts: Mapping[int, str]) -> Guess | None:
    """The suspect whose gradient this is, or else the one of which it is a multiple."""
    for suspect in suspects:
        if suspect.outcome.shape == given.shape and apart(given, suspect.outcome).agrees(LOOSE):
            return Guess(suspect.kind, suspect.words)
    for suspect in suspects:
        found = suspect.outcome.shape == given.shape and _factor(given, suspect.outcome, counts)
        if found:
            return found if not suspect.kind else Guess(suspect.kind, f"{suspect.words}; besides, {found.words}")
    return None


def _unwritten(name: str, given: Array, true: Array) -> Guess | None:
    """Right wherever it is not zero, as where a loop ends too early."""
    written = given != 0
    if not apart(given, true, written).agrees(LOOSE):
        return None
    first = ",".join(map(str, np.argwhere(~written & (true != 0))[0]))
    return Guess(
        "zero",
        f"{name} is right where it is not zero, but {np.sum(~written & (true != 0))} of its "
        f"{true.size} numbers are zero and should not be, the first at {name}/{first}",
    )


def _by_shape(name: str, given: Array, true: Array) -> Guess:
    said = f"{name} has shape {list(given.shape)}, expected {list(true.shape)}"
    for order in permutations(range(given.ndim)):
        turned = given.transpose(order) if given.ndim == true.ndim <= 5 else given
        if turned.shape == true.shape and apart(turned, true).agrees(LOOSE):
            return Guess("transposed", f"{said}: its axes stand in another order; transpose{order} puts them right")
    if given.size == true.size and apart(given.reshape(true.shape), true).agrees(LOOSE):
        return Guess("shape", f"{said}: the numbers are right, an axis is too many or too few")
    for extra in combinations(range(given.ndim), max(0, given.ndim - true.ndim)) if given.ndim <= 5 else ():
        summed = given.sum(axis=extra)
        if extra and summed.shape == true.shape and apart(summed, true).agrees(LOOSE):
            axes = " and ".join(map(str, extra))
            return Guess("not_summed", f"{said}: it has still to be summed over axis {axes}")
    if given.ndim == true.ndim and all(a >= b for a, b in zip(given.shape, true.shape, strict=True)):
        if apart(_inside(given, true.shape), true).agrees(LOOSE):
            return Guess("padding", f"{said}: the rim that the padding added has to be cut off")
    if given.ndim == true.ndim and all(a <= b for a, b in zip(given.shape, true.shape, strict=True)):
        if apart(given, _inside(true, given.shape)).agrees(LOOSE):
            return Guess("padding", f"{said}: this is the middle of it; a padding is missing")
    return Guess("shape", said)


def _inside(array: Array, shape: tuple[int, ...]) -> Array:
    """The middle of an array, in a smaller shape."""
    rims = [(have - want) // 2 for have, want in zip(array.shape, shape, strict=True)]
    return array[tuple(slice(rim, rim + want) for rim, want in zip(rims, shape, strict=True))]


def _tiny(name: str, given: Array, op: Op, tensors: Mapping[str, Array]) -> Guess | None:
    """A setting left out that is so small that it hardly shows, such as eps."""
    for key, setting in op.settings.items():
        if isinstance(setting, Float) and 0 < op.options[key] < LOOSE:
            outcome = _again(op, name, tensors, {key: 0.0})
            if outcome is not None and apart(given, outcome).agrees(EXACT):
                return Guess(key, f"{name} comes out so without {key}, which is {op.options[key]:g}")
    return None


def _moved(name: str, true: Array) -> Iterator[Suspect]:
    """The right numbers in the wrong places."""
    if true.ndim >= 3:
        yield Suspect(
            "flip", f"{name} is the right one turned by 180°: a flip is missing, or one too many", true[..., ::-1, ::-1]
        )
        yield Suspect("mirrored", f"{name} is upside down: only one of the two axes is right", true[..., ::-1, :])
        yield Suspect(
            "mirrored", f"{name} is mirrored left to right: only one of the two axes is right", true[..., ::-1]
        )
    if 2 <= true.ndim <= 4:
        for order in permutations(range(true.ndim)):
            if order != tuple(range(true.ndim)):
                yield Suspect(
                    "transposed",
                    f"the axes of {name} stand in another order: as transpose{order} leaves them",
                    true.transpose(order),
                )


def _mistakes(name: str, op: Op, tensors: Mapping[str, Array]) -> Iterator[Suspect]:
    dy = tensors.get("dy")
    for kind, words, changed, settings in _retold(name, op, tensors):
        outcome = _again(op, name, {**tensors, **changed}, settings)
        if outcome is not None:
            yield Suspect(kind, words, outcome)
    yield from _along(name, op, tensors)
    for other, array in (_backward(op, tensors) or {}).items():
        if other != name:
            yield Suspect("exchanged", f"this is {other}, not {name}", array)
    if dy is not None and dy.ndim:
        yield Suspect("passed_on", f"{name} is dy itself: the op's own slope is missing", dy)
        yield from _overwritten(name, op, tensors, dy)
        yield from _alone(name, op, tensors, dy)


def _misread(name: str, op: Op, tensors: Mapping[str, Array]) -> Iterator[Suspect]:
    """The gradient's own sentence with one tensor in another's place, or with its sign turned around."""
    alike = {key: array for key, array in tensors.items() if array.dtype.kind == "f" and array.ndim}
    for key, array in alike.items():
        for other, stand_in in [*alike.items(), (f"-{key}", -array)]:
            if other != key and stand_in.shape == array.shape:
                yield Suspect(
                    "exchanged",
                    f"{name} comes out so when {other} is read where {key} belongs",
                    op.backward({**tensors, key: stand_in})[name],
                )


def _along(name: str, op: Op, tensors: Mapping[str, Array]) -> Iterator[Suspect]:
    """Shares that add up to one along another axis; or the right ones, and a gradient along another axis."""
    x = tensors.get("x")
    if x is None or not 2 <= x.ndim <= 5:
        return
    made = op.forward({key: tensors[key] for key in tensors if key in op.tensors})
    for key, result in made.items():
        if result.shape == x.shape:
            axes = [axis for axis in range(x.ndim) if apart(_shares(x, axis), result).agrees(LOOSE)]
            for axis in range(x.ndim) if axes else ():
                outcome = op.backward({**tensors, **made, key: _shares(x, axis)})[name]
                yield Suspect(
                    "axis",
                    f"{name} comes out so when the shares {key} are taken along axis {axis}, in "
                    f"place of axis {axes[0]}",
                    outcome,
                )
    for key, setting in op.settings.items():
        for axis in range(x.ndim) if isinstance(setting, Axis) else ():
            outcome = _variant(op, {key: axis}).backward({**tensors, **made})[name]
            yield Suspect(
                "axis",
                f"{name} comes out so when its sum runs along axis {axis}, in place of axis "
                f"{op.options[key]}, and y is right",
                outcome,
            )


def _shares(x: Array, axis: int) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def _alone(name: str, op: Op, tensors: Mapping[str, Array], dy: Array) -> Iterator[Suspect]:
    """Each output's slope with respect to the input in its own place, where other outputs depend on it too."""
    if name[1:] not in tensors or tensors[name[1:]].shape != dy.shape or dy.size > PLACES:
        return
    outcome = np.zeros_like(dy)
    for place in np.ndindex(dy.shape):
        single = np.zeros_like(dy)
        single[place] = dy[place]
        made = _backward(op, {**tensors, "dy": single})
        if made is None:
            return
        outcome[place] = made[name][place]
    yield Suspect(
        "own_slope",
        f"{name} holds each output's slope by the input in its own place alone: that the other "
        "outputs change with it, too, is left out",
        outcome,
    )


def _forgotten(name: str, op: Op, tensors: Mapping[str, Array], true: Array) -> Iterator[Suspect]:
    """What comes out when a piece of the gradient's own sentence is left out, or a slope is multiplied in again."""
    shapes = shapes_of({key: tensors[key] for key in (*op.tensors, "dy") if key in tensors})
    program = op.program(shapes)
    whole = program.gradients((name[1:],))
    known = {key: array for key, array in tensors.items() if key in (*whole.given, *program.names)}
    values = Tensors(whole, known, op.numbers(shapes), op.extents(_given(op, tensors)))
    for piece, sentence, outcome in omissions(values, name, program, GRID):
        yield Suspect("left_out", f"{name} comes out so when `{piece}` is left out of {sentence}", outcome)
    for key in op.results:
        shares = tensors.get(key)
        if shares is not None and shares.shape == true.shape and shares.min() >= 0 and shares.max() <= 1:
            slope = f"{key}*(1 - {key})"
            yield Suspect(
                "slope_again",
                f"{name} is the right one times {slope}: it holds that slope already",
                true * shares * (1 - shares),
            )


Retold = tuple[str, str, dict[str, Array], dict[str, Any]]


def _retold(name: str, op: Op, tensors: Mapping[str, Array]) -> Iterator[Retold]:
    """The same call with another tensor or another setting: (kind, words, tensors, settings)."""
    options = {key: op.options[key] for key in op.settings}
    given = {key: array for key, array in tensors.items() if key in op.tensors and array.dtype.kind == "f"}
    for key, array in given.items():
        if array.ndim == 4 and f"d{key}" != name:
            yield (
                "flip",
                f"{name} comes out so when {key} is not turned by 180° where it has to be, or is where it must not be",
                {key: np.ascontiguousarray(array[..., ::-1, ::-1])},
                {},
            )
        if array.ndim == 2 and array.shape[0] == array.shape[1] and f"d{key}" != name:
            yield (
                "transposed",
                f"{name} comes out so when {key} is transposed",
                {key: np.ascontiguousarray(array.T)},
                {},
            )
    if "padding" in options and "x" in tensors:
        far = max(tensors["x"].shape[2:])
        yield (
            "padding",
            f"{name} comes out so when the padding is missing: windows begin at the corner of x, not outside it",
            {},
            {"padding": (0, far, 0, far)},
        )
        yield (
            "padding",
            f"{name} comes out so when the padding is missing and dy is cut at its far sides",
            {},
            {"padding": 0},
        )
        yield (
            "padding",
            f"{name} comes out so when the padding is missing and dy loses its rim",
            {"dy": _without_rim(op, tensors)},
            {"padding": 0},
        )
    rank = max((array.ndim for array in given.values()), default=0)
    for key, setting in op.settings.items():
        for value in _others(setting, options[key], rank):
            kind = {("mean", "sum"): "mean_not_sum", ("sum", "mean"): "sum_not_mean"}.get((value, options[key]), key)
            words = f"{name} comes out so with {key} {_word(value)} in place of {_word(options[key])}"
            yield kind, words, {}, {key: value}
            if isinstance(setting, Pair) and isinstance(options.get("padding"), tuple):
                # windows that then pass the far edges find zeros there, as where a loop breaks off
                yield kind, words, {}, {key: value, "padding": _beyond(options["padding"], tensors)}
    dy = tensors.get("dy")
    if dy is not None and dy.ndim:
        yield "dy_ignored", f"{name} comes out so when dy is taken as 1 everywhere", {"dy": np.ones_like(dy)}, {}
        for words, part in _parts(dy):
            yield (
                "overwritten",
                f"{name} holds {words} alone: the others were not added up, as = in place of += does",
                {"dy": part},
                {},
            )


def _parts(dy: Array) -> Iterator[tuple[str, Array]]:
    """What a loop leaves of dy that does not add up."""
    last = (-1,) * (dy.ndim - 2)
    places: list[tuple[str, tuple[Any, ...]]] = [("the last image", (-1,)), ("the first image", (0,))]
    if dy.ndim > 1:
        places.append(("the last output channel", (slice(None), -1)))
    if last:
        places += [
            ("the last position of each image", (..., *last)),
            ("the last position of the last image", (-1, ..., *last)),
            ("the last output channel of the last image", (-1, -1)),
        ]
    for words, place in places:
        part = np.zeros_like(dy)
        part[place] = dy[place]
        if not np.array_equal(part, dy):
            yield words, part


def _others(setting: Any, value: Any, rank: int) -> list[Any]:
    """What may stand in a setting's place by mistake, with tensors of so many axes."""
    if isinstance(setting, Bool):
        return [not value]
    if isinstance(setting, Choice):
        return [option for option in setting.options if option != value]
    if isinstance(setting, Axis):
        return [axis for axis in range(rank) if axis != value]
    others = [] if setting.default in (value, None, ...) else [setting.default]
    if isinstance(setting, Pair) and isinstance(value, tuple) and value[0] != value[1]:
        others.append(value[::-1])
    if isinstance(setting, Padding) and isinstance(value, tuple) and value[::2] != value[1::2]:
        others.append((value[1], value[0], value[3], value[2]))
    return others


def _beyond(padding: tuple[int, ...], tensors: Mapping[str, Array]) -> tuple[int, ...]:
    """The padding with the whole input's size more at the bottom and the right."""
    top, bottom, left, right = padding
    height, width = tensors["x"].shape[2:]
    return top, bottom + height, left, right + width


def _word(value: Any) -> str:
    words = {True: "true", False: "false", None: "null"}
    if isinstance(value, bool) or value is None:
        return words[value]
    return str(list(value)) if isinstance(value, tuple) else str(value)


def _without_rim(op: Op, tensors: Mapping[str, Array]) -> Array:
    """dy without as many rows and columns around it as a pass without padding has fewer."""
    dy = tensors["dy"]
    try:
        bare = _variant(op, {"padding": 0}).extents(_given(op, tensors))["y"]
    except (ShapeError, SettingError):
        return dy
    return _inside(dy, tuple(map(min, dy.shape, bare)))


def _overwritten(name: str, op: Op, tensors: Mapping[str, Array], dy: Array) -> Iterator[Suspect]:
    """Windows that overlap, each overwriting what the last one left: `=` where `+=` belongs."""
    places = list(np.ndindex(dy.shape[2:])) if dy.ndim > 2 else []
    if not 1 < len(places) <= PLACES:
        return
    whole: list[int | slice] = [slice(None)]
    last: list[int | slice] = [*range(dy.shape[1])] if dy.shape[1] * len(places) <= PLACES else [-1]
    for channels, words in ((whole, ""), (last, ", and each output channel the one before it")):
        left: Array | None = None
        for channel, place in product(channels, places):
            alone = np.zeros_like(dy)
            alone[(slice(None), channel, *place)] = dy[(slice(None), channel, *place)]
            part = _again(op, name, {**tensors, "dy": alone}, {})
            if part is None:
                return
            left = part if left is None else np.where(part != 0, part, left)
        if left is not None:
            yield Suspect(
                "overwritten",
                f"{name} comes out so when each window overwrites what the one before it left{words}: = in place of +=",
                left,
            )


def _given(op: Op, tensors: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    return {key: shape for key, shape in shapes_of(tensors).items() if key in op.tensors}


def _variant(op: Op, settings: Mapping[str, Any]) -> Op:
    return type(op)(**{**{key: op.options[key] for key in op.settings}, **settings})


def _again(op: Op, name: str, tensors: Mapping[str, Array], settings: Mapping[str, Any]) -> Array | None:
    """The gradient as another call has it; dy is cut, or filled with zeros, where y is smaller or larger there."""
    try:
        other = _variant(op, settings)
        shape = other.extents(_given(op, tensors))["y"]
    except (ShapeError, SettingError):
        return None
    given = {key: tensors[key] for key in tensors if key in op.tensors}
    if "dy" in tensors:
        given["dy"] = _fitted(tensors["dy"], shape)
    made = _backward(other, given)
    return made.get(name) if made else None


def _backward(op: Op, tensors: Mapping[str, Array]) -> dict[str, Array] | None:
    given = {key: array for key, array in tensors.items() if key in op.tensors}
    try:
        made = op.forward(given)
        return op.backward({**given, **made, **({"dy": tensors["dy"]} if "dy" in tensors else {})})
    except (ShapeError, SettingError):
        return None


def _fitted(array: Array, shape: tuple[int, ...]) -> Array:
    if array.shape == shape:
        return array
    fitted = np.zeros(shape, array.dtype)
    shared = tuple(slice(min(have, want)) for have, want in zip(array.shape, shape, strict=True))
    fitted[shared] = array[shared]
    return fitted


def _counts(op: Op | None, tensors: Mapping[str, Array]) -> dict[int, str]:
    """What sums and means run over, by how many they are: of the op's output, a loss's prediction, or a window."""
    window = op.options.get("kernel_size") if op else None
    counts = {math.prod(window): "cells of the window"} if isinstance(window, tuple) else {}
    of = next((tensors[name] for name in ("dy", "x") if name in tensors and tensors[name].ndim), None)
    if of is not None:
        images, positions = len(of), math.prod(of.shape[2:])
        if of.ndim == 2:
            counts |= {of.shape[1]: "values of each image"}
        counts |= {
            of.size: "values",
            images * positions: "images and positions",
            positions: "positions",
            images: "images",
        }
    return {count: words for count, words in counts.items() if count > 1}


def _factor(given: Array, right: Array, counts: Mapping[int, str]) -> Guess | None:
    """`given` as `right` times a number."""
    flat = right.ravel()
    square = float(flat @ flat)
    factor = float(given.ravel() @ flat) / square if square and math.isfinite(square) else 0.0
    if not factor or not apart(given, factor * right).agrees(LOOSE):
        return None
    if math.isclose(factor, -1, rel_tol=1e-6):
        return Guess("sign", "every sign is turned around")
    for count, words in counts.items():
        if math.isclose(factor, count, rel_tol=1e-6):
            return Guess(
                "sum_not_mean",
                f"it is {count} times too large: a sum over the {count} {words} stands in place of their mean",
            )
        if math.isclose(factor * count, 1, rel_tol=1e-6):
            return Guess(
                "mean_not_sum",
                f"it is {count} times too small: a mean over the {count} {words} stands in place of their sum",
            )
    return Guess("scale", f"it is {factor:.6g} times the right one everywhere")
