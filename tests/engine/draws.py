"""Random legal calls of operators for property tests: any geometry, any rank, any option."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from engine.ops import OPS
from engine.ops.activations import Pointwise
from engine.ops.base import Array, Op, ShapeError, shapes_of
from engine.ops.softmax import Along
from engine.settings import Bool, Choice, Pair

Call = tuple[Op, dict[str, Array]]

small = st.integers(1, 3)
pair = st.tuples(small, small).map(list)
pads = st.integers(0, 2) | st.lists(st.integers(0, 2), min_size=4, max_size=4)
ranks = st.lists(small, max_size=5)
Draw = Any


def _seeded(draw: Draw) -> np.random.Generator:
    return np.random.default_rng(draw(st.integers(0, 2**32)))


def _plane(draw: Draw, low: int, high: int) -> list[int]:
    return draw(st.lists(st.integers(low, high), min_size=2, max_size=2))


def _fits(call: Call) -> bool:
    op, tensors = call
    try:
        op.extents(shapes_of(tensors))
    except ShapeError:
        return False
    return True


def _legal(drawn: Any) -> Any:
    """Only what the operator does not refuse."""
    return lambda *given: drawn(*given).filter(_fits)


@_legal
@st.composite
def convolutions(draw: Draw) -> Call:
    groups, channels, share = draw(small), draw(small), draw(small)
    op = OPS["conv2d"](
        stride=draw(pair),
        padding=draw(pads | st.sampled_from(["valid", "same", "full"])),
        dilation=draw(pair),
        groups=groups,
        flip_kernel=draw(st.booleans()),
    )
    rng = _seeded(draw)
    tensors = {
        "x": rng.normal(size=(draw(st.integers(1, 2)), groups * channels, *_plane(draw, 1, 6))),
        "w": rng.normal(size=(groups * share, channels, *draw(pair))),
    }
    return op, tensors | ({"b": rng.normal(size=groups * share)} if draw(st.booleans()) else {})


@_legal
@st.composite
def transposed_convolutions(draw: Draw) -> Call:
    groups, channels, share = draw(small), draw(small), draw(small)
    op = OPS["conv_transpose2d"](
        stride=draw(pair),
        padding=draw(pads | st.sampled_from(["valid", "same"])),
        dilation=draw(pair),
        groups=groups,
        output_padding=draw(st.lists(st.integers(0, 2), min_size=2, max_size=2)),
    )
    rng = _seeded(draw)
    tensors = {
        "x": rng.normal(size=(draw(st.integers(1, 2)), groups * channels, *_plane(draw, 1, 4))),
        "w": rng.normal(size=(groups * channels, share, *draw(pair))),
    }
    return op, tensors | ({"b": rng.normal(size=groups * share)} if draw(st.booleans()) else {})


@_legal
@st.composite
def pools(draw: Draw, name: str) -> Call:
    options: dict[str, Any] = {
        "kernel_size": draw(pair),
        "stride": draw(st.none() | pair),
        "ceil_mode": draw(st.booleans()),
    }
    if name == "max_pool2d":
        options |= {"padding": draw(pads | st.just("same")), "dilation": draw(pair)}
    elif name == "avg_pool2d":
        options |= {
            "padding": draw(pads | st.just("same")),
            "count_include_pad": draw(st.booleans()),
            "divisor_override": draw(st.sampled_from([None, None, -3, 4])),
        }
    else:
        options["norm_type"] = draw(st.sampled_from([2.0, 1.0, 3.0, 0.5, 7.3]))
    x = _seeded(draw).normal(size=(2, 2, *_plane(draw, 2, 7)))
    if draw(st.booleans()):
        x = np.trunc(2 * x)
    elif name == "lp_pool2d":  # near 0 a root bends too much for a difference quotient
        x = np.sign(x) * np.maximum(np.abs(x), 0.1)
    return OPS[name](**options), {"x": x}


@st.composite
def element_wise(draw: Draw, name: str) -> Call:
    """Ops of any rank; a loss reduces in any way."""
    kind, rng, shape = OPS[name], _seeded(draw), draw(ranks)
    choice = kind.settings.get("reduction")
    options = {"reduction": draw(st.sampled_from(choice.options))} if isinstance(choice, Choice) else {}
    return kind(**options), {tensor: rng.normal(size=shape) for tensor in kind.tensors}


@st.composite
def along_an_axis(draw: Draw, name: str) -> Call:
    shape = draw(ranks)
    rank = max(1, len(shape))
    return OPS[name](axis=draw(st.integers(-rank, rank - 1))), {"x": _seeded(draw).normal(size=shape)}


@st.composite
def cross_entropies(draw: Draw) -> Call:
    rng, rows, classes, shares = _seeded(draw), draw(small), draw(small), draw(st.booleans())
    op = OPS["cross_entropy"](
        reduction=draw(st.sampled_from(["mean", "sum"])),
        label_smoothing=draw(st.sampled_from([0, 0.2])),
        ignore_index=None if shares else draw(st.sampled_from([None, 0, -100])),
    )
    tensors = {
        "x": rng.normal(size=(rows, classes)),
        "target": rng.random((rows, classes)) if shares else rng.integers(0, classes, rows),
    }
    return op, tensors | ({"weight": rng.random(classes) + 0.1} if draw(st.booleans()) else {})


#: Settings of which a call may draw any value; the others keep their example's or their default.
DRAWN = {Bool: lambda _: st.booleans(), Choice: lambda setting: st.sampled_from(setting.options), Pair: lambda _: pair}


@_legal
@st.composite
def others(draw: Draw, name: str) -> Call:
    """Any other op: axes of any length that its sentences leave open, and what can be said of every setting."""
    kind, rng = OPS[name], _seeded(draw)
    options = {
        key: draw(DRAWN[type(setting)](setting)) for key, setting in kind.settings.items() if type(setting) in DRAWN
    }
    op, example = kind(**{**options, **kind.example_settings}), kind.example(rng)
    shapes = shapes_of(example)
    declared, numbers = op.program(shapes).declared, op.numbers(shapes)
    counts = {
        letter: int(numbers[letter.upper()]) if letter.upper() in numbers else draw(st.integers(2, 4))
        for key in example
        for axis in declared[key]
        for letter in axis
    }
    sizes = {key: tuple(math.prod(counts[letter] for letter in axis) for axis in declared[key]) for key in example}
    return op, {
        key: rng.normal(size=sizes[key])
        if array.dtype.kind == "f" and array.min() < 0
        else rng.choice(array.ravel(), sizes[key])  # a mask, a variance: numbers such as the example's
        for key, array in example.items()
    }


def calls(name: str) -> st.SearchStrategy[Call]:
    """Calls of an operator that it accepts."""
    own = {"conv2d": convolutions, "conv_transpose2d": transposed_convolutions, "cross_entropy": cross_entropies}
    if name in own:
        return own[name]()
    if name in ("max_pool2d", "avg_pool2d", "lp_pool2d"):
        return pools(name)
    if issubclass(OPS[name], Pointwise) or name in ("mse_loss", "bce_with_logits"):
        return element_wise(name)
    return along_an_axis(name) if issubclass(OPS[name], Along) else others(name)
