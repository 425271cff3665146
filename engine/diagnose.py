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

from engine.formula import FormulaError, Tensors, ablations
from engine.gradcheck import EXACT, LOOSE, ahead_of, apart
from engine.ops.base import Op, ShapeError, shapes_of
from engine.settings import Axis, Bool, Choice, Float, Padding, Pair, SettingError
from engine.slips import SLIPS

Array = np.ndarray
#: The most places of dy that are sent back one by one, to see windows that overwrite one another.
PLACES = 1024
#: Of suspects closer than this, as float32 rounds, the first is the most usual.
CLOSE = 1e-6
#: Mistakes that make a multiple of the right gradient.
MULTIPLES = {"sum_not_mean", "mean_not_sum", "zero", "sign"}
#: How far float16 and bfloat16 may be off; and of how many images and output maps each is tried alone.
HALF, ALONE = 1e-2, 32
#: The most elements of a sentence's grid of letters that is evaluated with one piece of it left out.
GRID = 200_000


@dataclass(frozen=True)
class Diagnosis:
    """`kind` is one word for programs, `words` a sentence for people."""

    kind: str
    words: str


@dataclass(frozen=True)
class Hypothesis:
    """A way to get a gradient wrong, and the gradient that it leads to."""

    kind: str
    words: str
    outcome: Array


def diagnose(
    name: str, given: Array, true: Array, op: Op | None = None, tensors: Mapping[str, Array] | None = None
) -> Diagnosis | None:
    """Why `given` is not the gradient `true` of that name ("dw"), or None when it is like nothing known.

    With the op and its tensors (inputs, results and dy, float64) its own mistakes are tried too.
    """
    if given.shape != true.shape:
        return _by_shape(name, given, true)
    if not given.any():
        return Diagnosis("zero", f"{name} is zero everywhere")
    counts = _counts(op, tensors or {})
    if apart(given, true).agrees(LOOSE):
        rounded = Diagnosis("rounding", f"{name} is right but for rounding, as float32 rounds")
        return (op and tensors and _tiny(name, given, op, tensors)) or rounded
    with np.errstate(all="ignore"):
        found = _like(given, true, list(hypotheses(name, true, op, tensors)), counts)
    return found or _half(name, given, true) or _unwritten(name, given, true)


def hypotheses(
    name: str, true: Array, op: Op | None = None, tensors: Mapping[str, Array] | None = None
) -> Iterator[Hypothesis]:
    """Every way to get the gradient `true` of that name wrong, the more usual ones first; with the op and its tensors
    its own too."""
    yield Hypothesis("sign", "every sign is turned around", -true)
    yield from _turned(name, true, f"{name} is", "the right one ")
    if op is None or tensors is None:
        return
    yield from _slips(name, op, tensors)
    yield from _mistakes(name, op, tensors)
    yield from _forgotten(name, op, tensors, true)
    yield from _misread(name, op, tensors)
    yield from _softened(name, op, tensors)


def _like(given: Array, true: Array, found: list[Hypothesis], counts: Mapping[int, str]) -> Diagnosis | None:
    """The hypothesis whose gradient this is, or else the one of which it is a multiple."""
    found = [
        each for each in found if each.outcome.shape == given.shape and not apart(each.outcome, true).agrees(LOOSE)
    ]
    factor = _factor(given, true, counts)
    gaps = [apart(given, each.outcome).relative for each in found]
    if gaps and min(gaps) <= LOOSE:
        bound = max(CLOSE, min(gaps))
        best = next(each for each, gap in zip(found, gaps, strict=True) if gap <= bound)
        lost_divisor = best.kind == "left_out" and factor is not None and factor.kind == "sum_not_mean"
        return factor if lost_divisor else Diagnosis(best.kind, best.words)
    if factor:
        return factor
    for each in found:
        if each.kind and (factor := _factor(given, each.outcome, counts)):
            return Diagnosis(each.kind, f"{each.words}; besides, {factor.words}")
    return None


def _half(name: str, given: Array, true: Array) -> Diagnosis | None:
    """Right as far as 16 bits go."""
    if not apart(given, true).agrees(HALF):
        return None
    single = given.astype(np.float32)
    for kind, kept in (
        ("float16", given.astype(np.float16)),
        ("bfloat16", (single.view(np.uint32) >> 16 << 16).view(np.float32)),
    ):
        if np.array_equal(kept.astype(np.float64), given):
            return Diagnosis("rounding", f"{name} is right but for rounding, as {kind} rounds")
    return None


def _unwritten(name: str, given: Array, true: Array) -> Diagnosis | None:
    """Right wherever it is not zero, as where a loop ends too early."""
    written = given != 0
    if not apart(given, true, written).agrees(LOOSE):
        return None
    first = ",".join(map(str, np.argwhere(~written & (true != 0))[0]))
    return Diagnosis(
        "zero",
        f"{name} is right where it is not zero, but {np.sum(~written & (true != 0))} of its "
        f"{true.size} numbers are zero and should not be, the first at {name}/{first}",
    )


def _by_shape(name: str, given: Array, true: Array) -> Diagnosis:
    said = f"{name} has shape {list(given.shape)}, expected {list(true.shape)}"
    for order in permutations(range(given.ndim)):
        turned = given.transpose(order) if given.ndim == true.ndim <= 5 else given
        if turned.shape == true.shape and apart(turned, true).agrees(LOOSE):
            return Diagnosis("transposed", f"{said}: its axes stand in another order; transpose{order} puts them right")
    if given.size == true.size and apart(given.reshape(true.shape), true).agrees(LOOSE):
        return Diagnosis("shape", f"{said}: the numbers are right, an axis is too many or too few")
    for extra in combinations(range(given.ndim), max(0, given.ndim - true.ndim)) if given.ndim <= 5 else ():
        summed = given.sum(axis=extra)
        if extra and summed.shape == true.shape and apart(summed, true).agrees(LOOSE):
            axes = " and ".join(map(str, extra))
            return Diagnosis("not_summed", f"{said}: it has still to be summed over axis {axes}")
    if given.ndim == true.ndim and all(a >= b for a, b in zip(given.shape, true.shape, strict=True)):
        if apart(_inside(given, true.shape), true).agrees(LOOSE):
            return Diagnosis("padding", f"{said}: the rim that the padding added has to be cut off")
    if given.ndim == true.ndim and all(a <= b for a, b in zip(given.shape, true.shape, strict=True)):
        if apart(given, _inside(true, given.shape)).agrees(LOOSE):
            return Diagnosis("padding", f"{said}: this is the middle of it; a padding is missing")
    return Diagnosis("shape", said)


def _inside(array: Array, shape: tuple[int, ...]) -> Array:
    """The middle of an array, in a smaller shape."""
    rims = [(have - want) // 2 for have, want in zip(array.shape, shape, strict=True)]
    return array[tuple(slice(rim, rim + want) for rim, want in zip(rims, shape, strict=True))]


def _tiny(name: str, given: Array, op: Op, tensors: Mapping[str, Array]) -> Diagnosis | None:
    """A setting left out that is so small that it hardly shows, such as eps."""
    for key, setting in op.settings.items():
        if isinstance(setting, Float) and 0 < op.options[key] < LOOSE:
            outcome = _again(op, name, tensors, {key: 0.0})
            if outcome is not None and apart(given, outcome).agrees(EXACT):
                return Diagnosis(key, f"{name} comes out so without {key}, which is {op.options[key]:g}")
    return None


def _clause(sentence: str) -> str:
    """A sentence as the end of another: names such as ReLU keep their capitals."""
    first = sentence.split()[0]
    return sentence if first[1:] != first[1:].lower() else sentence[0].lower() + sentence[1:]


def _turned(key: str, array: Array, said: str, whole: str = "") -> Iterator[Hypothesis]:
    """The same numbers in other places; `said` begins the words, and an outcome is the array so turned."""
    if array.ndim >= 3:
        flip = "turned by 180°: a flip is missing, or one too many"
        if not whole:
            flip = "not turned by 180° where it has to be, or is where it must not be"
        yield Hypothesis("flip", f"{said} {whole}{flip}", array[..., ::-1, ::-1])
        yield Hypothesis("mirrored", f"{said} {whole}upside down: turned in one axis only", array[..., ::-1, :])
        yield Hypothesis("mirrored", f"{said} {whole}mirrored left to right: turned in one axis only", array[..., ::-1])
    if 2 <= array.ndim <= 4:
        for order in permutations(range(array.ndim)):
            if order != tuple(range(array.ndim)):
                yield Hypothesis(
                    "transposed",
                    f"{said} {whole}with its axes in another order: transpose{order}",
                    array.transpose(order),
                )
    if array.ndim >= 3 and array.shape[-1] == array.shape[-2]:
        for turns, words in ((1, "left"), (3, "right")):
            yield Hypothesis(
                "transposed", f"{said} {whole}turned by 90° to the {words}", np.rot90(array, turns, (-2, -1))
            )
    if array.ndim:
        first = {"w": "outputs", "x": "images", "y": "images"}.get(key.removeprefix("d"), "entries")
        yield Hypothesis("reversed", f"{said} {whole}with its {first} in reverse order", array[::-1])
    if array.ndim > 1:
        yield Hypothesis("reversed", f"{said} {whole}with its channels in reverse order", array[:, ::-1])


def _slips(name: str, op: Op, tensors: Mapping[str, Array]) -> Iterator[Hypothesis]:
    """The bug lab's slips, whose names say more than that a piece is left out; multiples are told by their factor."""
    for slip in SLIPS.values():
        if slip.mistake not in MULTIPLES:
            try:
                made = slip.gradients(op, tensors, (name,)) or {}
            except (FormulaError, ShapeError):  # as a kernel that is not square, transposed
                continue
            if name in made:
                yield Hypothesis(slip.mistake, f"{name} comes out so when {_clause(slip.title)}", made[name])


def _mistakes(name: str, op: Op, tensors: Mapping[str, Array]) -> Iterator[Hypothesis]:
    dy = tensors.get("dy")
    yield from _tied(name, op, tensors)
    for kind, words, changed, settings in _retold(name, op, tensors):
        outcome = _again(op, name, {**tensors, **changed}, settings)
        if outcome is not None:
            yield Hypothesis(kind, words, outcome)
    yield from _interleaved(name, op, tensors)
    yield from _along(name, op, tensors)
    for other, array in (_backward(op, tensors) or {}).items():
        if other != name:
            yield Hypothesis("exchanged", f"this is {other}, not {name}", array)
    if dy is not None and dy.ndim:
        yield Hypothesis("passed_on", f"{name} is dy itself: the op's own slope is missing", dy)
        yield from _overwritten(name, op, tensors, dy)
        yield from _alone(name, op, tensors, dy)


def _interleaved(name: str, op: Op, tensors: Mapping[str, Array]) -> Iterator[Hypothesis]:
    """Channels dealt out to the groups in turn (c % groups), not in blocks: of the input, of the output, or of both."""
    groups = op.options.get("groups", 1)
    if groups == 1 or "w" not in tensors or "dy" not in tensors:
        return

    def dealt(count: int) -> Array:
        return np.arange(count).reshape(-1, groups).T.ravel()

    x_order, y_order = dealt(tensors["x"].shape[1]), dealt(tensors["dy"].shape[1])
    straight = np.arange(tensors["w"].shape[0])
    for into, out, turned in product((True, False), repeat=3):
        if not into and not out:
            continue
        xs = x_order if into else np.arange(len(x_order))
        ys = y_order if out else np.arange(len(y_order))
        ws = ys if turned and len(ys) == len(straight) else straight
        moved = {"x": tensors["x"][:, xs], "dy": tensors["dy"][:, ys], "w": tensors["w"][ws]}
        part = _again(op, name, {**tensors, **{key: np.ascontiguousarray(array) for key, array in moved.items()}}, {})
        order, axis = {"dx": (xs, 1), "dw": (ws, 0), "db": (ys, 0)}.get(name, (None, 0))
        if part is not None and order is not None:
            words = f"{name} comes out so when channels are dealt out to the {groups} groups in turn, not in blocks"
            yield Hypothesis("interleaved", words, np.take(part, np.argsort(order), axis))


def _tied(name: str, op: Op, tensors: Mapping[str, Array]) -> Iterator[Hypothesis]:
    """A maximum whose tied cells each take the whole delta, or whose padding takes part as zeros."""
    if not op.indexes or name != "dx":
        return
    x, padding = tensors["x"], op.options.get("padding", 0)
    if math.prod(x.shape[2:]) <= PLACES:
        outcome = np.zeros_like(x)
        for place in np.ndindex(x.shape[2:]):
            direction = np.zeros_like(x)
            direction[(..., *place)] = 1
            made = _backward(op, {**tensors, "x": ahead_of(x, direction)}) or {}
            outcome[(..., *place)] = made[name][(..., *place)] if made else 0
        yield Hypothesis(
            "tie_to_all", f"{name} comes out so when each of the tied cells takes the whole delta", outcome
        )
    if isinstance(padding, tuple) and any(padding):
        top, bottom, left, right = padding
        wide = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
        part = _again(op, name, {**tensors, "x": wide}, {"padding": 0})
        if part is not None:
            words = f"{name} comes out so when the padding takes part as zeros: where all values are negative it wins"
            yield Hypothesis("zero_padding", words, part[..., top : top + x.shape[2], left : left + x.shape[3]])


def _misread(name: str, op: Op, tensors: Mapping[str, Array]) -> Iterator[Hypothesis]:
    """The gradient's own sentence with one tensor in another's place, or with its sign turned around."""
    alike = {key: array for key, array in tensors.items() if array.dtype.kind == "f" and array.ndim}
    for key, array in alike.items():
        for other, stand_in in [*alike.items(), (f"-{key}", -array)]:
            if other != key and stand_in.shape == array.shape:
                outcome = _slopes(op, {**tensors, key: stand_in}).get(name)
                if outcome is not None:
                    yield Hypothesis(
                        "exchanged", f"{name} comes out so when {other} is read where {key} belongs", outcome
                    )
    x, var = tensors.get("x"), tensors.get("var")
    if x is not None and var is not None and var.size and (count := x.size // var.size) > 1:
        outcome = _slopes(op, {**tensors, "var": var * count / (count - 1)}).get(name)
        if outcome is not None:
            yield Hypothesis(
                "unbiased",
                f"{name} comes out so with the unbiased variance, divided by {count - 1} in place of {count}",
                outcome,
            )


def _along(name: str, op: Op, tensors: Mapping[str, Array]) -> Iterator[Hypothesis]:
    """Shares that add up to one along another axis; or the right ones, and a gradient along another axis."""
    x = tensors.get("x")
    if x is None or not 2 <= x.ndim <= 5:
        return
    made = op.forward({key: tensors[key] for key in tensors if key in op.tensors})
    for key, result in made.items():
        if result.shape == x.shape:
            axes = [axis for axis in range(x.ndim) if apart(_shares(x, axis), result).agrees(LOOSE)]
            for axis in range(x.ndim) if axes else ():
                outcome = _slopes(op, {**tensors, **made, key: _shares(x, axis)}).get(name)
                if outcome is None:
                    continue
                yield Hypothesis(
                    "axis",
                    f"{name} comes out so when the shares {key} are taken along axis {axis}, in "
                    f"place of axis {axes[0]}",
                    outcome,
                )
    for key, setting in op.settings.items():
        for axis in range(x.ndim) if isinstance(setting, Axis) else ():
            outcome = _slopes(_variant(op, {key: axis}), {**tensors, **made}).get(name)
            if outcome is None:
                continue
            yield Hypothesis(
                "axis",
                f"{name} comes out so when its sum runs along axis {axis}, in place of axis "
                f"{op.options[key]}, and y is right",
                outcome,
            )


def _softened(name: str, op: Op, tensors: Mapping[str, Array]) -> Iterator[Hypothesis]:
    """A loss whose prediction went through the softmax once more, or another loss's slope."""
    x, target, p = tensors.get("x"), tensors.get("t", tensors.get("target")), tensors.get("p")
    if not op.is_loss or x is None or x.ndim != 2 or target is None or p is None or p.shape != x.shape:
        return
    if target.shape != x.shape:
        target = (np.arange(x.shape[1]) == target[:, None]).astype(np.float64)
    dy = tensors.get("dy", np.ones(()))

    def through(slopes: Array) -> Array:
        return p * (slopes - (p * slopes).sum(1, keepdims=True))

    twice = _again(op, name, {**tensors, "x": p}, {})
    if twice is not None:
        for outcome in (through(twice), twice):
            yield Hypothesis("double_softmax", f"{name} comes out so when the softmax is applied twice", outcome)
    for made in (through(p - target), p - target, x - target, through(x - target)):
        for over in (x.size, len(x), 1):
            for factor in (2, 1):
                words = f"{name} comes out so with the slope of the squared error in place of the loss's own"
                yield Hypothesis("other_loss", words, factor * made / over * dy)


def _shares(x: Array, axis: int) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def _alone(name: str, op: Op, tensors: Mapping[str, Array], dy: Array) -> Iterator[Hypothesis]:
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
    yield Hypothesis(
        "own_slope",
        f"{name} holds each output's slope by the input in its own place alone: that the other "
        "outputs change with it, too, is left out",
        outcome,
    )


def _forgotten(name: str, op: Op, tensors: Mapping[str, Array], true: Array) -> Iterator[Hypothesis]:
    """What comes out when a piece of the gradient's own sentence is left out, or a slope is multiplied in again."""
    shapes = shapes_of({key: tensors[key] for key in (*op.tensors, "dy") if key in tensors})
    program = op.program(shapes)
    whole = program.gradients((name[1:],))
    known = {key: array for key, array in tensors.items() if key in (*whole.given, *program.names)}
    values = Tensors(whole, known, op.numbers(shapes), op.extents(_given(op, tensors)))
    bare = bool(op.indexes) or ("kernel_size" in op.options and "w" not in op.tensors)  # its formulas are all indices
    for piece, sentence, outcome in ablations(values, name, program, GRID):
        if bare and "==" in piece:
            words = f"{name} comes out so when every cell of a window takes its whole delta, not the winner alone"
            yield Hypothesis("winner_ignored", words, outcome)
        elif bare and "dy" in piece:
            yield Hypothesis(
                "dy_ignored", f"{name} comes out so when dy is left out: each window hands back 1", outcome
            )
        elif bare:
            yield Hypothesis("left_out", f"{name} comes out so when a part of each window's share is left out", outcome)
        else:
            yield Hypothesis("left_out", f"{name} comes out so when `{piece}` is left out of {sentence}", outcome)
    for key in op.results:
        shares = tensors.get(key)
        if shares is not None and shares.shape == true.shape and shares.min() >= 0 and shares.max() <= 1:
            slope = f"{key}*(1 - {key})"
            yield Hypothesis(
                "slope_again",
                f"{name} is the right one times {slope}: it holds that slope already",
                true * shares * (1 - shares),
            )


Retold = tuple[str, str, dict[str, Array], dict[str, Any]]


def _retold(name: str, op: Op, tensors: Mapping[str, Array]) -> Iterator[Retold]:
    """The same call with another tensor or another setting: (kind, words, tensors, settings)."""
    options = {key: op.options[key] for key in op.settings}
    given = {key: array for key, array in tensors.items() if key in op.tensors and array.dtype.kind == "f"}
    turns = [
        (each, key)
        for key, array in {**given, **({"dy": tensors["dy"]} if "dy" in tensors else {})}.items()
        for each in _turned(key, array, f"{name} comes out so when {key} is")
        if each.outcome.shape == array.shape
    ]
    for each, key in sorted(turns, key=lambda turn: turn[0].kind != "flip"):  # along axes of one cell they are alike
        yield each.kind, each.words, {key: np.ascontiguousarray(each.outcome)}, {}
    if op.indexes and "x" in given:
        yield from _winners(name, given["x"])
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
            if value == options[key]:
                continue
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
        if "w" not in given:
            for sign, words in ((1, "negative"), (-1, "positive")):
                yield (
                    "gate_on_dy",
                    f"{name} comes out so when {words} deltas are stopped",
                    {"dy": np.where(sign * dy > 0, dy, 0)},
                    {},
                )


def _winners(name: str, x: Array) -> Iterator[Retold]:
    """A maximum that went to another cell than the winner."""
    rows, columns = np.indices(x.shape[-2:]).astype(np.float64)
    for words, down, right in (
        ("first", -1, -1), ("last", 1, 1), ("top right", -1, 1), ("bottom left", 1, -1)
    ):  # fmt: skip
        order = down * rows * (x.shape[-1] + 1) + right * columns
        yield (
            "fixed_corner",
            f"{name} comes out so when the {words} cell of each window takes its delta",
            {"x": np.broadcast_to(order, x.shape).copy()},
            {},
        )
    yield "other_winner", f"{name} comes out so when the smallest value of each window takes its delta", {"x": -x}, {}
    yield (
        "other_winner",
        f"{name} comes out so when the largest magnitude of each window takes its delta",
        {"x": np.abs(x)},
        {},
    )


def _parts(dy: Array) -> Iterator[tuple[str, Array]]:
    """What a loop leaves of dy that does not add up."""
    last = (-1,) * (dy.ndim - 2)
    count, maps = len(dy), dy.shape[1] if dy.ndim > 1 else 0
    places: list[tuple[str, tuple[Any, ...]]] = [("the last image", (-1,)), ("the first image", (0,))]
    if maps:
        places += [("the last output channel", (slice(None), -1)), ("the first output channel", (slice(None), 0))]
    if last:
        places += [
            ("the last position of each image", (..., *last)),
            ("the first position of each image", (..., *[0 for _ in last])),
            ("the last position of the last image", (-1, ..., *last)),
            ("the last output channel of the last image", (-1, -1)),
        ]
    places += [(f"image {n}", (n,)) for n in range(1, min(count - 1, ALONE))]
    places += [(f"output channel {o}", (slice(None), o)) for o in range(1, min(maps - 1, ALONE))]
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
    if isinstance(setting, Pair) and isinstance(value, tuple) and isinstance(setting.default, int | tuple):
        usual = setting.default if isinstance(setting.default, tuple) else (setting.default,) * 2
        others += [(usual[0], value[1]), (value[0], usual[1])]
    if isinstance(setting, Padding) and isinstance(value, tuple):
        top, bottom, left, right = value
        others += [(top, bottom, 0, 0), (0, 0, left, right), (left, right, top, bottom)]
        others += [tuple(max(0, side + by) for side in value) for by in (-1, 1)]
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


def _overwritten(name: str, op: Op, tensors: Mapping[str, Array], dy: Array) -> Iterator[Hypothesis]:
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
            yield Hypothesis(
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
    except ShapeError:
        return None
    return _slopes(op, {**given, **made, **({"dy": tensors["dy"]} if "dy" in tensors else {})})


def _slopes(op: Op, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """The gradients; none where the op refuses such tensors, as targets that are no classes."""
    try:
        return op.backward(tensors)
    except ShapeError:
        return {}


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


def _factor(given: Array, right: Array, counts: Mapping[int, str]) -> Diagnosis | None:
    """`given` as `right` times a number. A constant is a multiple of any other, which says nothing."""
    flat = right.ravel()
    square = float(flat @ flat)
    factor = float(given.ravel() @ flat) / square if square and math.isfinite(square) else 0.0
    if not factor or not apart(given, factor * right).agrees(LOOSE):
        return None
    if math.isclose(factor, -1, rel_tol=1e-6):
        return Diagnosis("sign", "every sign is turned around")
    for count, words in counts.items():
        if math.isclose(factor, count, rel_tol=1e-6):
            return Diagnosis(
                "sum_not_mean",
                f"it is {count} times too large: a sum over the {count} {words} stands in place of their mean",
            )
        if math.isclose(factor * count, 1, rel_tol=1e-6):
            return Diagnosis(
                "mean_not_sum",
                f"it is {count} times too small: a mean over the {count} {words} stands in place of their sum",
            )
    if np.ptp(right) <= EXACT * np.abs(right).max():
        return None
    return Diagnosis("scale", f"it is {factor:.6g} times the right one everywhere")
