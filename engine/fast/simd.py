"""Vectors of LANES float32 numbers for compiled loops, and the two register blocks that all arithmetic goes through.

LLVM's own vectoriser prefers half of the widest registers and gives up on loops like these, so they say what they
want. Any CPU runs them: LLVM breaks a vector that is wider than its registers into several. Arrays are one-dimensional
float32; positions and strides count numbers, and nothing is checked here: the plan guards every shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import llvmlite.binding
import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model


def _has_wide_registers() -> bool:
    """Whether the CPU that is compiled for has AVX-512: 32 registers of 16 float32."""
    config = numba.config
    if config.CPU_FEATURES:
        return "+avx512f" in config.CPU_FEATURES
    if config.CPU_NAME:
        return bool(config.CPU_NAME == "x86-64-v4")
    return bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))


WIDE = _has_wide_registers()
#: Images side by side in one vector, and how many pixels or taps (by four outputs) the registers hold totals for: rows
#: of pixels are cut into blocks of LEAST or PIXELS, which is one more.
LANES = 16 if WIDE else 8
LEAST, PIXELS = (4, 5) if WIDE else (2, 3)
TAPS = (5, 3, 2, 1) if WIDE else (2, 2, 2, 1)

FLOAT = ir.FloatType()
VECTOR = ir.VectorType(FLOAT, LANES)
SAME = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)


class Lanes(types.Type):
    """One number of each of LANES images."""

    def __init__(self) -> None:
        super().__init__(name=f"Lanes{LANES}")


lanes = Lanes()


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, VECTOR)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [at])


def _load(builder: Any, pointer: Any) -> Any:
    loaded = builder.load(builder.bitcast(pointer, VECTOR.as_pointer()))
    loaded.align = 4
    return loaded


def _store(builder: Any, vector: Any, pointer: Any) -> None:
    builder.store(vector, builder.bitcast(pointer, VECTOR.as_pointer())).align = 4


def _splat(builder: Any, number: Any) -> Any:
    one = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, ir.Constant(VECTOR, ir.Undefined), SAME)


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    kind = ir.FunctionType(VECTOR, [VECTOR, VECTOR, VECTOR])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{LANES}f32"), [a, b, c])


def _at_least(builder: Any, lowest: Any, vector: Any) -> Any:
    return builder.select(builder.fcmp_unordered("<", lowest, vector), vector, lowest)


def _total(builder: Any, vector: Any) -> Any:
    kind = ir.FunctionType(FLOAT, [FLOAT, VECTOR])
    add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{LANES}f32")
    return builder.call(add, [ir.Constant(FLOAT, -0.0), vector], fastmath=("reassoc",))


@intrinsic
def load(typing, array, at):  # type: ignore[no-untyped-def]
    """The vector that starts at array[at]."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        return _load(builder, _pointer(context, builder, signature.args[0], *given))

    return lanes(array, types.intp), build


@intrinsic
def store(typing, array, at, vector):  # type: ignore[no-untyped-def]
    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        _store(builder, given[2], _pointer(context, builder, signature.args[0], *given[:2]))
        return context.get_dummy_value()

    return types.none(array, types.intp, lanes), build


@intrinsic
def splat(typing, number):  # type: ignore[no-untyped-def]
    """The same number for every image."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        return _splat(builder, given[0])

    return lanes(types.float32), build


@intrinsic
def add(typing, a, b):  # type: ignore[no-untyped-def]
    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        return builder.fadd(*given)

    return lanes(lanes, lanes), build


@intrinsic
def times(typing, a, b):  # type: ignore[no-untyped-def]
    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        return builder.fmul(*given)

    return lanes(lanes, lanes), build


@intrinsic
def if_above(typing, a, b, then, otherwise):  # type: ignore[no-untyped-def]
    """Lane by lane `then` where a > b, or where a is NaN; else `otherwise`."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        a, b, then, otherwise = given
        return builder.select(builder.fcmp_unordered(">", a, b), then, otherwise)

    return lanes(lanes, lanes, lanes, lanes), build


@intrinsic
def larger(typing, a, b):  # type: ignore[no-untyped-def]
    """Lane by lane the larger number; NaN where either is NaN."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        a, b = given
        above = builder.or_(builder.fcmp_ordered(">", a, b), builder.fcmp_unordered("uno", a, a))
        return builder.select(above, a, b)

    return lanes(lanes, lanes), build


@intrinsic
def if_winner(typing, a, largest, then, otherwise):  # type: ignore[no-untyped-def]
    """Lane by lane `then` where a is the largest of its window, or NaN, which wins over any number; else
    `otherwise`."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        a, largest, then, otherwise = given
        wins = builder.or_(builder.fcmp_ordered("==", a, largest), builder.fcmp_unordered("uno", a, a))
        return builder.select(wins, then, otherwise)

    return lanes(lanes, lanes, lanes, lanes), build


@intrinsic
def turn(typing, to, to_at, to_step, array, at, step):  # type: ignore[no-untyped-def]
    """LANES vectors, `step` apart, turned: to[to_at + to_step*b + a] = array[at + step*a + b] for a, b < LANES."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        target = context.make_array(signature.args[0])(context, builder, given[0]).data
        source = context.make_array(signature.args[3])(context, builder, given[3]).data
        rows = [_load(builder, builder.gep(source, [_moved(builder, given[4], given[5], a)])) for a in range(LANES)]
        half = LANES // 2
        halves = [
            ir.Constant(ir.VectorType(ir.IntType(32), LANES), [first + i // 2 + LANES * (i % 2) for i in range(LANES)])
            for first in (0, half)
        ]
        for _ in range(LANES.bit_length() - 1):  # each round moves one bit of a number's place from row to column
            rows = [builder.shuffle_vector(rows[a], rows[a + half], mask) for a in range(half) for mask in halves]
        for b, row in enumerate(rows):
            _store(builder, row, builder.gep(target, [_moved(builder, given[1], given[2], b)]))
        return context.get_dummy_value()

    return types.none(to, types.intp, types.intp, array, types.intp, types.intp), build


@intrinsic
def store_first(typing, array, at, vector, count):  # type: ignore[no-untyped-def]
    """store, but only of a vector's first numbers: none where count is 0 or less."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        array, at, vector, count = given
        kind, counts = VECTOR.as_pointer(), ir.VectorType(count.type, LANES)
        pointer = builder.bitcast(_pointer(context, builder, signature.args[0], array, at), kind)
        many = builder.insert_element(ir.Constant(counts, ir.Undefined), count, ir.Constant(ir.IntType(32), 0))
        many = builder.shuffle_vector(many, ir.Constant(counts, ir.Undefined), SAME)
        mask = builder.icmp_signed("<", ir.Constant(counts, list(range(LANES))), many)
        name = f"llvm.masked.store.v{LANES}f32.p0"
        function = ir.FunctionType(ir.VoidType(), [VECTOR, kind, ir.IntType(32), mask.type])
        builder.call(
            cgutils.get_or_insert_function(builder.module, function, name),
            [vector, pointer, ir.Constant(ir.IntType(32), 4), mask],
        )
        return context.get_dummy_value()

    return types.none(array, types.intp, lanes, types.intp), build


def _picked(places: Sequence[int], words: str) -> Any:
    """An intrinsic that makes a vector of the numbers of two that stand, side by side, at these places."""

    @intrinsic
    def pick(typing, a, b):  # type: ignore[no-untyped-def]
        def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
            return builder.shuffle_vector(*given, ir.Constant(ir.VectorType(ir.IntType(32), LANES), list(places)))

        return lanes(lanes, lanes), build

    pick.__doc__ = words
    return pick


evens = _picked(range(0, 2 * LANES, 2), "Every second number of two vectors, from the first on.")
odds = _picked(range(1, 2 * LANES, 2), "Every second number of two vectors, from the second on.")
zip_low, zip_high = (
    _picked(
        [i // 2 + LANES * (i % 2) for i in range(first, first + LANES)],
        "The numbers of a and b in turns: the first, or the last, LANES of them.",
    )
    for first in (0, LANES)
)


@intrinsic
def plain(typing, numbers):  # type: ignore[no-untyped-def]
    """A tuple of whole numbers. Those that are written out in the code belong to its type, and a function is compiled
    for each type that it is given: this leaves only how many they are, where knowing them makes nothing quicker."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        return context.make_tuple(builder, signature.return_type, cgutils.unpack_tuple(builder, given[0]))

    kind = types.UniTuple(types.intp, len(numbers))  # type: ignore[attr-defined]
    return kind(numbers), build


@intrinsic
def number_at(typing, octets, at):  # type: ignore[no-untyped-def]
    """The float32 whose four bytes start at octets[at]."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        pointer = _pointer(context, builder, signature.args[0], *given)
        number = builder.load(builder.bitcast(pointer, FLOAT.as_pointer()))
        number.align = 1
        return number

    return types.float32(octets, types.intp), build


@intrinsic
def take_number(typing, counter):  # type: ignore[no-untyped-def]
    """counter[0], which goes up by one: no two threads are given the same."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        pointer = context.make_array(signature.args[0])(context, builder, given[0]).data
        return builder.atomic_rmw("add", pointer, ir.Constant(ir.IntType(64), 1), "monotonic")

    return types.int64(counter), build


def _moved(builder: Any, at: Any, step: Any, index: int) -> Any:
    return builder.add(at, builder.mul(step, ir.Constant(step.type, index)))


def _nest(context: Any, builder: Any, counts: list[Any], steps: list[list[Any]], starts: list[Any], body: Any) -> None:
    """Nested loops; `body` is given one position for each of `starts`, moved by each loop's steps."""
    if not counts:
        body(starts)
        return
    with cgutils.for_range(builder, counts[0]) as loop:
        moved = [
            builder.add(start, builder.mul(loop.index, step)) for start, step in zip(starts, steps[0], strict=True)
        ]
        _nest(context, builder, counts[1:], steps[1:], moved, body)


def product_block(outputs: int, pixels: int, onto: bool) -> Any:
    """An intrinsic that holds outputs * pixels vectors in registers:

    y[o,p] = max(floor, b[o] + sum over c, u, v of w[o,c,u,v] * x[p,c,u,v])    for o < outputs, p < pixels

    with numbers w and b and vectors x and y; with `onto`, y[o,p] += the sum, and neither bias nor floor.
    given:  y, w, x, b; positions (y, w, x, b) of o = p = 0; strides (y by o, y by p, w by o, x by p, b by o);
            counts (C, U, V); steps of w and x by c, u, v; the floor
    """

    @intrinsic
    def block(typing, y, w, x, b, at, strides, counts, steps, floor):  # type: ignore[no-untyped-def]
        def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
            pointers = [
                context.make_array(kind)(context, builder, array).data
                for kind, array in zip(signature.args[:4], given[:4], strict=True)
            ]
            y, w, x, b = pointers
            y_at, w_at, x_at, b_at = cgutils.unpack_tuple(builder, given[4])
            y_o, y_p, w_o, x_p, b_o = cgutils.unpack_tuple(builder, given[5])
            many = cgutils.unpack_tuple(builder, given[6])
            moves = cgutils.unpack_tuple(builder, given[7])

            totals = {}
            for o in range(outputs):
                start = (
                    ir.Constant(VECTOR, [0.0] * LANES)
                    if onto
                    else _splat(builder, builder.load(builder.gep(b, [_moved(builder, b_at, b_o, o)])))
                )
                for p in range(pixels):
                    totals[o, p] = cgutils.alloca_once_value(builder, start)

            def body(places):  # type: ignore[no-untyped-def]
                w_here, x_here = places
                seen = [_load(builder, builder.gep(x, [_moved(builder, x_here, x_p, p)])) for p in range(pixels)]
                for o in range(outputs):
                    weight = _splat(builder, builder.load(builder.gep(w, [_moved(builder, w_here, w_o, o)])))
                    for p in range(pixels):
                        builder.store(_fma(builder, weight, seen[p], builder.load(totals[o, p])), totals[o, p])

            _nest(
                context, builder, list(many), [list(moves[:2]), list(moves[2:4]), list(moves[4:6])], [w_at, x_at], body
            )
            lowest = _splat(builder, given[8])
            for (o, p), total in totals.items():
                pointer = builder.gep(y, [_moved(builder, _moved(builder, y_at, y_o, o), y_p, p)])
                vector = builder.load(total)
                if onto:
                    vector = builder.fadd(vector, _load(builder, pointer))
                else:
                    vector = _at_least(builder, lowest, vector)
                _store(builder, vector, pointer)
            return context.get_dummy_value()

        return types.none(y, w, x, b, at, strides, counts, steps, types.float32), build

    return block


def tile_map(matrix: Sequence[Sequence[float]], onto: bool = False) -> Any:
    """An intrinsic for one matrix M, whose numbers stand in the code, so that zeros and ones cost nothing:

    y[a,b] = max(floor, sum over k, l of M[a,k] * x[k,l] * M[b,l])    with vectors x and y

    with `onto`, y[a,b] += the sum, and no floor.
    given:  y, position of a = b = 0, strides by a and by b; x, position of k = l = 0, strides by k and by l; the floor
    """
    made, taken = len(matrix), len(matrix[0])

    def combined(builder: Any, factors: Sequence[float], vectors: list[Any]) -> Any:
        """The sum of vectors times factors; one whose factor is 1 goes first, as the others are added to it."""
        terms = sorted((factor != 1, k) for k, factor in enumerate(factors) if factor)
        total = None
        for _, k in terms:
            factor = ir.Constant(VECTOR, [float(factors[k])] * LANES)
            if total is None:
                total = vectors[k] if factors[k] == 1 else builder.fmul(factor, vectors[k])
            elif abs(factors[k]) == 1:
                total = (builder.fadd if factors[k] == 1 else builder.fsub)(total, vectors[k])
            else:
                total = _fma(builder, factor, vectors[k], total)
        return total

    @intrinsic
    def mapped(typing, y, y_at, y_a, y_b, x, x_at, x_k, x_l, floor):  # type: ignore[no-untyped-def]
        def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
            y, x = (context.make_array(signature.args[i])(context, builder, given[i]).data for i in (0, 4))
            (y_at, y_a, y_b), (x_at, x_k, x_l), lowest = given[1:4], given[5:8], _splat(builder, given[8])
            count = x_at.type
            between = cgutils.alloca_once(builder, VECTOR, size=made * taken)
            with cgutils.for_range(builder, ir.Constant(count, taken)) as loop:
                at = builder.add(x_at, builder.mul(loop.index, x_l))
                seen = [_load(builder, builder.gep(x, [_moved(builder, at, x_k, k)])) for k in range(taken)]
                here = builder.gep(between, [builder.mul(loop.index, ir.Constant(count, made))])
                for a, factors in enumerate(matrix):
                    builder.store(combined(builder, factors, seen), builder.gep(here, [ir.Constant(count, a)]))
            with cgutils.for_range(builder, ir.Constant(count, made)) as loop:
                at = builder.add(y_at, builder.mul(loop.index, y_a))
                here = builder.gep(between, [loop.index])
                seen = [builder.load(builder.gep(here, [ir.Constant(count, made * l)])) for l in range(taken)]
                for b, factors in enumerate(matrix):
                    pointer = builder.gep(y, [_moved(builder, at, y_b, b)])
                    vector = combined(builder, factors, seen)
                    _store(
                        builder,
                        builder.fadd(vector, _load(builder, pointer)) if onto else _at_least(builder, lowest, vector),
                        pointer,
                    )
            return context.get_dummy_value()

        place = (types.intp, types.intp, types.intp)
        return types.none(y, *place, x, *place, types.float32), build

    return mapped


def weight_block(outputs: int, taps: int) -> Any:
    """An intrinsic that holds outputs * taps vectors in registers and adds up their lanes at the end:

    dw[o,v] += sum over i, j and the lanes of dy[o,i,j] * x[i,j,v]    for o < outputs, v < taps

    given:  dw, dy, x; positions (dw, dy, x) of o = v = 0; strides (dw by o, dw by v, dy by o, x by v); counts (I, J);
            steps of dy and x by i, j
    """

    @intrinsic
    def block(typing, dw, dy, x, at, strides, counts, steps):  # type: ignore[no-untyped-def]
        def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
            dw, dy, x = (
                context.make_array(kind)(context, builder, array).data
                for kind, array in zip(signature.args[:3], given[:3], strict=True)
            )
            dw_at, dy_at, x_at = cgutils.unpack_tuple(builder, given[3])
            dw_o, dw_v, dy_o, x_v = cgutils.unpack_tuple(builder, given[4])
            many = cgutils.unpack_tuple(builder, given[5])
            moves = cgutils.unpack_tuple(builder, given[6])

            zero = ir.Constant(VECTOR, [0.0] * LANES)
            totals = {(o, v): cgutils.alloca_once_value(builder, zero) for o in range(outputs) for v in range(taps)}

            def body(places):  # type: ignore[no-untyped-def]
                dy_here, x_here = places
                deltas = [_load(builder, builder.gep(dy, [_moved(builder, dy_here, dy_o, o)])) for o in range(outputs)]
                for v in range(taps):
                    seen = _load(builder, builder.gep(x, [_moved(builder, x_here, x_v, v)]))
                    for o in range(outputs):
                        builder.store(_fma(builder, deltas[o], seen, builder.load(totals[o, v])), totals[o, v])

            _nest(context, builder, list(many), [list(moves[:2]), list(moves[2:4])], [dy_at, x_at], body)
            for (o, v), total in totals.items():
                pointer = builder.gep(dw, [_moved(builder, _moved(builder, dw_at, dw_o, o), dw_v, v)])
                builder.store(builder.fadd(builder.load(pointer), _total(builder, builder.load(total))), pointer)
            return context.get_dummy_value()

        return types.none(dw, dy, x, at, strides, counts, steps), build

    return block
