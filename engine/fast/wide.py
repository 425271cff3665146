"""Vectors of LANES float64 numbers, with Python's operators, for functions and sums that float32 is too coarse for.

A `wide` value is made of a vector (`widen`) and rounded once at the end (`narrow`), as the readable kernels do. Plain
numbers stand for vectors of themselves: `1 / (1 + exp(-x))` is compiled to vector instructions as it stands.
"""

from __future__ import annotations

import math
import operator
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, models, register_model

from engine.fast.simd import LANES, VECTOR, lanes
from engine.kernels import part

DOUBLE, BIT = ir.DoubleType(), ir.IntType(1)
WIDE, MASK = ir.VectorType(DOUBLE, LANES), ir.VectorType(BIT, LANES)
LONG, INDEX = ir.VectorType(ir.IntType(64), LANES), ir.VectorType(ir.IntType(32), LANES)


class Wide(types.Type):
    """One float64 of each of LANES images."""

    def __init__(self) -> None:
        super().__init__(name=f"Wide{LANES}")


class Mask(types.Type):
    """Yes or no for each of LANES images."""

    def __init__(self) -> None:
        super().__init__(name=f"Mask{LANES}")


wide, mask = Wide(), Mask()


@register_model(Wide)
class WideModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, WIDE)


@register_model(Mask)
class MaskModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, MASK)


def _spread(builder: Any, value: Any, kind: Any) -> Any:
    """A vector of one number."""
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), ir.Constant(INDEX, [0] * LANES))


def _vector(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """A wide value as it is, a plain number as a vector of itself."""
    return value if kind is wide else _spread(builder, context.cast(builder, value, kind, types.float64), WIDE)


def _number(value: float) -> Any:
    return ir.Constant(WIDE, [value] * LANES)


def _fits(kinds: Any) -> bool:
    return wide in kinds and all(kind is wide or isinstance(kind, types.Number) for kind in kinds)


def _operator(symbol: Any, result: types.Type, build: Any) -> None:
    """Teach Numba a binary operator on wide values and plain numbers."""

    @infer_global(symbol)
    class Typed(AbstractTemplate):  # type: ignore[misc]
        def generic(self, given: Any, named: Any) -> Any:
            return result(*given) if len(given) == 2 and _fits(given) else None

    def lowered(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return build(builder, *(_vector(context, builder, *pair) for pair in zip(signature.args, given, strict=True)))

    for pair in ((Wide, Wide), (Wide, types.Number), (types.Number, Wide)):
        lower_builtin(symbol, *pair)(lowered)


_operator(operator.add, wide, lambda builder, a, b: builder.fadd(a, b))
_operator(operator.sub, wide, lambda builder, a, b: builder.fsub(a, b))
_operator(operator.mul, wide, lambda builder, a, b: builder.fmul(a, b))
_operator(operator.truediv, wide, lambda builder, a, b: builder.fdiv(a, b))
_operator(operator.gt, mask, lambda builder, a, b: builder.fcmp_ordered(">", a, b))
_operator(operator.ge, mask, lambda builder, a, b: builder.fcmp_ordered(">=", a, b))
_operator(operator.lt, mask, lambda builder, a, b: builder.fcmp_ordered("<", a, b))
_operator(operator.le, mask, lambda builder, a, b: builder.fcmp_ordered("<=", a, b))


@intrinsic
def widen(typing, vector):  # type: ignore[no-untyped-def]
    """float32 numbers as float64."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        return builder.fpext(given[0], WIDE)

    return wide(lanes), build


@intrinsic
def narrow(typing, vector):  # type: ignore[no-untyped-def]
    """float64 numbers, rounded to float32."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        return builder.fptrunc(given[0], VECTOR)

    return lanes(wide), build


@intrinsic
def everywhere(typing, number):  # type: ignore[no-untyped-def]
    """The same float64 in all lanes."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        return _vector(context, builder, signature.args[0], given[0])

    return wide(number), build


@intrinsic
def choose(typing, which, then, otherwise):  # type: ignore[no-untyped-def]
    """Lane by lane `then` where the mask says yes, else `otherwise`."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        pair = (_vector(context, builder, signature.args[i], given[i]) for i in (1, 2))
        return builder.select(given[0], *pair)

    return wide(mask, then, otherwise), build


@intrinsic
def magnitude(typing, x):  # type: ignore[no-untyped-def]
    """Without its sign."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        bits = builder.and_(builder.bitcast(given[0], LONG), ir.Constant(LONG, [2**63 - 1] * LANES))
        return builder.bitcast(bits, WIDE)

    return wide(wide), build


def _library(name: str, words: str) -> Any:
    """An intrinsic for a function that LLVM has."""

    @intrinsic
    def function(typing, x):  # type: ignore[no-untyped-def]
        def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
            kind = ir.FunctionType(WIDE, [WIDE])
            called = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f64")
            return builder.call(called, given)

        return wide(wide), build

    function.__doc__ = words
    return function


root = _library("sqrt", "The square root.")
log = _library("log", "The logarithm; lane by lane, so only for what is rare.")


#: Exponents that a float64 has.
LEAST, MOST = -1022, 1023


@intrinsic
def nearest(typing, x):  # type: ignore[no-untyped-def]
    """The nearest whole number from LEAST to MOST; LEAST for NaN."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        x = builder.select(builder.fcmp_ordered(">", given[0], _number(LEAST)), given[0], _number(LEAST))
        x = builder.select(builder.fcmp_ordered("<", x, _number(MOST)), x, _number(MOST))
        half = builder.select(builder.fcmp_ordered("<", x, _number(0)), _number(-0.5), _number(0.5))
        return builder.sitofp(builder.fptosi(builder.fadd(x, half), INDEX), WIDE)

    return wide(wide), build


@intrinsic
def power_of_two(typing, whole):  # type: ignore[no-untyped-def]
    """2**whole, for a whole number from LEAST to MOST."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        exponents = builder.sext(builder.fptosi(given[0], INDEX), LONG)
        bits = builder.shl(builder.add(exponents, ir.Constant(LONG, [1023] * LANES)), ir.Constant(LONG, [52] * LANES))
        return builder.bitcast(bits, WIDE)

    return wide(wide), build


def _first(builder: Any, vector: Any, count: Any) -> Any:
    """A vector whose lanes from `count` on are 0."""
    kind = ir.VectorType(count.type, LANES)
    within = builder.icmp_signed("<", ir.Constant(kind, list(range(LANES))), _spread(builder, count, kind))
    return builder.select(within, vector, _number(0))


@intrinsic
def first_lanes(typing, vector, count):  # type: ignore[no-untyped-def]
    """The first `count` lanes; the others, NaN even, become 0."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        return _first(builder, *given)

    return wide(wide, types.intp), build


@intrinsic
def total(typing, vector, count):  # type: ignore[no-untyped-def]
    """The sum of the first `count` lanes; what the others hold does not count."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        function = ir.FunctionType(DOUBLE, [DOUBLE, WIDE])
        add = cgutils.get_or_insert_function(builder.module, function, f"llvm.vector.reduce.fadd.v{LANES}f64")
        return builder.call(add, [ir.Constant(DOUBLE, -0.0), _first(builder, *given)], fastmath=("reassoc",))

    return types.float64(wide, types.intp), build


# functions ------------------------------------------------------------------------------------------------------------

PER_TWO, TWO = 1 / math.log(2), math.log(2)
ROOT_HALF, DENSITY = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi)


@part
def exp(x):  # type: ignore[no-untyped-def]
    """e**x within 1e-11 of itself: 2**whole * e**rest, and of e**rest the series."""
    whole = nearest(x * PER_TWO)
    r = x - whole * TWO
    series = 1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r * (1 / 5040)))))))
    return choose(
        x < -708, 0, (series + r * r * r * r * r * r * r * r * (1 / 40320 + r / 362880)) * power_of_two(whole)
    )


@part
def log1p(x):  # type: ignore[no-untyped-def]
    """log(1 + x) for x from 0 to 1, within 1e-11 of itself: twice the series of atanh(x / (2 + x))."""
    z = x / (2 + x)
    q = z * z
    rest = 1 / 11 + q * (1 / 13 + q * (1 / 15 + q * (1 / 17 + q / 19)))
    return 2 * z * (1 + q * (1 / 3 + q * (1 / 5 + q * (1 / 7 + q * (1 / 9 + q * rest)))))


@part
def sigmoid(x):  # type: ignore[no-untyped-def]
    small = exp(0 - magnitude(x))
    return choose(x >= 0, 1, small) / (1 + small)


@part
def tanh(x):  # type: ignore[no-untyped-def]
    small = exp(-2 * magnitude(x))
    height = (1 - small) / (1 + small)
    return choose(x >= 0, height, 0 - height)


#: log of erfc(z) * exp(z*z) * (1 + z/2) as a polynomial of u = t / 0.45238 - 1.21053 with t = 1 / (1 + z/2), by its
#: values for z from 0 to 19: a fit of least squares at Chebyshev's points, within 4e-10.
TAIL = (
    *(-0.6073446593987, 0.6155588450935, 0.02741089817545, -0.03690765150945, -0.003687598101999, 0.0056887913042),
    *(0.0001161120083952, -0.001118094527063, 0.0001551792416323, 0.0002104836529869, -6.589144678449e-05),
    *(-3.016793508015e-05, 1.14883368551e-05, 2.265444624538e-06),
)


@part
def normal_share(x):  # type: ignore[no-untyped-def]
    """The share of the normal distribution below x, within 4e-10 of itself on both sides."""
    z = magnitude(x) * ROOT_HALF
    t = 1 / (1 + z / 2)
    u = (t - 23 / 42) * (42 / 19)
    fitted = everywhere(TAIL[13])
    for k in range(12, -1, -1):
        fitted = TAIL[k] + u * fitted
    tail = t * exp(fitted - z * z) / 2
    return choose(x < 0, tail, 1 - tail)
