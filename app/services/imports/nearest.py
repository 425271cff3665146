"""What comes nearest to an operation that is not here, and how far it is from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from app.services.imports.source import Node
from engine.ops import OPS
from engine.ops.activations import Pointwise

Array = np.ndarray

LEAVE_OUT = "leave_out"
#: Where functions are compared: what activations read lies there.
LEAST, MOST, PLACES = -8.0, 8.0, 1601
#: Nothing that is farther away than this is offered.
FARTHEST = 1.0


def _number(at: Mapping[str, Any], name: str, usual: float) -> float:
    value = at.get(name)
    return usual if value is None else float(value)


#: Functions of one number that are not here, by ONNX's names.
FUNCTIONS: dict[str, Callable[[Array, Mapping[str, Any]], Array]] = {
    "Abs": lambda x, at: np.abs(x),
    "Celu": lambda x, at: np.where(x > 0, x, _number(at, "alpha", 1) * np.expm1(x / _number(at, "alpha", 1))),
    "Clip": lambda x, at: np.clip(x, _number(at, "min", -math.inf), _number(at, "max", math.inf)),
    "HardSigmoid": lambda x, at: np.clip(_number(at, "alpha", 0.2) * x + _number(at, "beta", 0.5), 0, 1),
    "Mish": lambda x, at: x * np.tanh(np.log1p(np.exp(x))),
    "Shrink": lambda x, at: np.where(
        np.abs(x) <= _number(at, "lambd", 0.5), 0, x - np.sign(x) * _number(at, "bias", 0)
    ),
    "Sign": lambda x, at: np.sign(x),
    "Sin": lambda x, at: np.sin(x),
    "Softsign": lambda x, at: x / (1 + np.abs(x)),
    "ThresholdedRelu": lambda x, at: np.where(x > _number(at, "alpha", 1), x, 0),
    "Erf": lambda x, at: np.vectorize(math.erf)(x),
    "Atan": lambda x, at: np.arctan(x),
    "Exp": lambda x, at: np.exp(x),
    "Sqrt": lambda x, at: np.sqrt(np.maximum(x, 0)),
}

#: Operations of another kind: what leaving them out, or another operator, would change.
WORDS: dict[str, tuple[tuple[str, ...], str]] = {
    "MeanVarianceNormalization": (("group_norm", LEAVE_OUT), "a group norm also scales and shifts"),
    "ReduceMax": (("global_max_pool",), "a global maximum takes it over height and width"),
    "ReduceMean": (("global_avg_pool",), "a global mean takes it over height and width"),
    "ReduceSum": (("global_avg_pool",), "a global mean is the sum over height and width, divided by their number"),
    "DepthToSpace": (("upsample2d", LEAVE_OUT), "upsampling repeats cells where this spreads channels over them"),
    "Resize": (("upsample2d", LEAVE_OUT), "upsampling repeats cells where this mixes neighbours"),
    "Upsample": (("upsample2d", LEAVE_OUT), "upsampling repeats cells where this mixes neighbours"),
    "Transpose": ((LEAVE_OUT,), "left out, the channels keep their order, and the layers behind read other ones"),
    "Attention": ((LEAVE_OUT,), "no layer here weighs places by one another"),
    "LSTM": ((LEAVE_OUT,), "no layer here reads one place after another"),
    "GRU": ((LEAVE_OUT,), "no layer here reads one place after another"),
    "RNN": ((LEAVE_OUT,), "no layer here reads one place after another"),
}
#: Operations whose output is shaped as their input, though they are not here.
KEEPS_SHAPE = {*FUNCTIONS, "LRN", "Selu", "Neg", "Log", "Pow", "LayerNormalization", "Dropout"}


def nearest(node: Node) -> tuple[tuple[str, ...], str]:
    """Names of operators that may stand in, the nearest first, and how far the first is; ("leave_out") and "" where
    nothing is known of the operation."""
    if node.op in FUNCTIONS:
        return _of_function(node.op, node.attributes)
    if node.op == "LRN":
        at = node.attributes
        alpha, beta, bias = (_number(at, *each) for each in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0)))
        with np.errstate(all="ignore"):
            change = abs(float(np.float64(bias + alpha) ** -beta) - 1)
        return (LEAVE_OUT,), f"left out, numbers of size 1 change by {change:.3%}"
    return WORDS.get(node.op, ((LEAVE_OUT,), ""))


def _of_function(op: str, at: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    x = np.linspace(LEAST, MOST, PLACES)
    with np.errstate(all="ignore"):
        wanted = FUNCTIONS[op](x, at)
        away = {name: np.abs(y - wanted) for name, y in _here().items()}
    apart = {name: float(each.max()) for name, each in away.items() if np.isfinite(each).all()}
    order = sorted(apart, key=lambda name: float(away[name].mean()))
    if not order:
        return (LEAVE_OUT,), ""
    best = order[0]
    what = "leaving it out" if best == LEAVE_OUT else best.replace("_", " ")
    detail = f"the nearest here is {what}, up to {apart[best]:.2g} away for inputs from {LEAST:g} to {MOST:g}"
    names = [name for name in order[:2] if apart[name] <= FARTHEST or name == best]
    return tuple(dict.fromkeys((*names, LEAVE_OUT))), detail


@cache
def _here() -> dict[str, Array]:
    """What every function of one number that is here makes of the compared places, and nothing at all."""
    x = np.linspace(LEAST, MOST, PLACES)
    found = {name: op().forward({"x": x})["y"] for name, op in OPS.items() if issubclass(op, Pointwise)}
    return {**found, LEAVE_OUT: x}
