"""From a network to the table of layers that the fast step reads: what is fused, and where every number stands."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from engine.fast.linear import PANEL
from engine.fast.simd import LANES
from engine.fast.step import (
    CONV,
    CROSS_ENTROPY,
    DROPOUT,
    INPUT,
    LINEAR,
    LONE_DROPOUT,
    LONE_LINEAR,
    LONE_MAX_POOL,
    LONE_RELU,
    MAX_POOL,
    RELU,
    ROW,
    WINOGRAD,
)
from engine.fast.winograd import POINTS, scratch
from engine.layers import Layer
from engine.network import Network
from engine.ops.base import Op, Shape, Shapes

Array = np.ndarray
Places = dict[str, tuple[int, Shape]]

#: Numbers in a chunk's tensors beyond which nothing stays in any cache, and the readable kernels do as well.
LARGEST = 2**24
#: Shares into which a batch is split at most, and numbers of their gradients together, beyond which there are fewer.
SHARES, SHARED = 8, 2**21
#: Numbers that are kept of chunks for the gradients of linear layers, unless SHARES chunks have more.
KEPT = 2**22
#: Images in a batch up to which each goes by itself.
FEW = LANES // 4
#: Channels on both sides from which on Winograd's transforms pay; not fewer than LANES.
MANY = 16


class Unfit(Exception):
    """Why a network is not for the fast path."""


@dataclass(frozen=True)
class Plan:
    """places: where each parameter begins in the flat vector of `parameters` numbers, and its shape; dropouts: the
    layers that draw masks, in the order of their keys; lone: the table for images one by one, where there is one;
    transforms, gathers: the pieces, (row, number), of what comes before and after the chunks. Numbers: the tensors of a
    chunk and of a lone image take `arena`, what is kept of it `kept`, the gradients in a share `share`, and the
    transformed kernels of all Winograd convolutions `filters`."""

    table: Array
    lone: Array | None
    places: Places
    parameters: int
    transforms: Array
    gathers: Array
    arena: int
    kept: int
    share: int
    filters: int
    dropouts: tuple[Layer, ...]
    smoothing: float
    mean: bool

    def shares(self, chunks: int) -> int:
        """How many parts of a batch have gradients of their own, whoever computes them."""
        shares = SHARES
        while shares > 2 and shares * self.share > SHARED:
            shares //= 2
        return min(chunks, shares)

    def legs(self, chunks: int) -> list[tuple[int, int]]:
        """Runs of chunks, first and how many, after each of which the gradients of linear layers are summed up."""
        most = max(SHARES, KEPT // max(1, self.kept))
        return [(first, min(most, chunks - first)) for first in range(0, chunks, most)]


Halo = tuple[int, int, int, int]  # cells of zeros above, left, below, right
NONE: Halo = (0, 0, 0, 0)


@dataclass
class Stage:
    """A row in the making: the shapes of what it reads and writes and as what the next one reads that, and its
    numbers."""

    op: int
    x: Shape
    y: Shape
    seen: Shape
    numbers: dict[str, Any] = field(default_factory=dict)
    scratch: int = 0

    @property
    def learns(self) -> bool:
        return "w" in self.numbers

    @property
    def windows(self) -> list[tuple[int, int, int, int, int]]:
        """Down and across: cells of x, windows, from one window to the next, a window's extent, padding before."""
        n = self.numbers
        return [
            (size, count, n[stride], (n[kernel] - 1) * n[dilation] + 1, n[before])
            for size, count, stride, kernel, dilation, before in zip(
                self.x[1:], self.y[1:], "st", "UV", "de", "pq", strict=True
            )
        ]

    @property
    def x_halo(self) -> Halo:
        """The zeros that a convolution's windows meet around x."""
        if self.op not in (CONV, WINOGRAD):
            return NONE
        return _halo(
            [
                (before, max(0, (count - 1) * stride + extent - before - size))
                for size, count, stride, extent, before in self.windows
            ]
        )

    @property
    def dy_halo(self) -> Halo:
        """The zeros that the turned kernel meets around dy."""
        if self.op != CONV:
            return NONE
        return _halo(
            [
                (max(0, extent - 1 - before), max(0, size - 1 + before - (count - 1) * stride))
                for size, count, stride, extent, before in self.windows
            ]
        )

    @property
    def dy_spread(self) -> tuple[int, int]:
        """In how many rows and columns one is of dy; between them are zeros, as the turned kernel wants it."""
        return (self.numbers["s"], self.numbers["t"]) if self.op == CONV else (1, 1)


def plan(network: Network) -> Plan | str:
    """The network's table, or why it has none."""
    try:
        return _plan(network)
    except Unfit as unfit:
        return str(unfit)


def _plan(network: Network) -> Plan:
    places, size = _places(network)
    images = _volume(network.input_shape)
    stages = [Stage(INPUT, images, images, images)]
    dropouts: list[Layer] = []
    before = "input"
    for layer in network.layers.values():
        if layer.inputs != (before,):
            raise Unfit(f"{layer.name} does not read the layer before it, and it alone")
        before = layer.name
        make = STAGES.get(layer.op.name)
        if make is None:
            raise Unfit(f"{layer.name}: {layer.op.name} has no fast kernel")
        at = {name: places[f"{layer.name}/{name}"][0] for name in layer.parameters}
        stage = make(layer.op, network.given_shapes(layer), stages, at)
        if stage is None:
            continue
        if stage.op == DROPOUT:
            stage.numbers["key"] = len(dropouts)
            dropouts.append(layer)
        stages.append(stage)
    smoothing, mean = _loss(network)
    stages.append(Stage(CROSS_ENTROPY, stages[-1].seen, (), ()))
    _trim(stages)
    table, arena = _table(stages, 0, LANES)
    if arena > LARGEST:
        raise Unfit(f"{LANES} images of its tensors are {arena:,} numbers, more than {LARGEST:,}")
    kept, share = _place_gradients(table)
    lone = None
    if all(stage.numbers["t"] == 1 for stage in stages if stage.op == CONV):
        lone, arena = _table(_alone(stages), arena, 1)
        for place in ("dw", "db", "kept"):
            lone[place] = table[place]
    return Plan(
        table,
        lone,
        places,
        size,
        _pieces(table, PREPARED),
        _pieces(table, GATHERED),
        arena,
        kept,
        share,
        _place_filters(table),
        tuple(dropouts),
        smoothing,
        mean,
    )


def _places(network: Network) -> tuple[Places, int]:
    places: Places = {}
    end = 0
    for name, shape in network.parameter_shapes.items():
        places[name] = (end, shape)
        end += math.prod(shape)
    return places, end


def _volume(shape: Shape) -> Shape:
    return (*shape, *(1,) * (3 - len(shape)))


def _loss(network: Network) -> tuple[float, bool]:
    options = network.loss.op.options
    if network.loss.op.name != "cross_entropy" or options["ignore_index"] is not None:
        raise Unfit(f"the loss is {network.loss.op.name}, not cross_entropy of every image")
    return options["label_smoothing"], options["reduction"] == "mean"


# stages ---------------------------------------------------------------------------------------------------------------


def _conv(op: Any, shapes: Shapes, stages: list[Stage], at: dict[str, int]) -> Stage:
    rows, columns = op.spans(shapes)
    x, y = shapes["x"][1:], op.extents(shapes)["y"][1:]
    flip = op.options["flip_kernel"]
    taps = rows.kernel * columns.kernel
    numbers = {
        "U": rows.kernel,
        "V": columns.kernel,
        "s": rows.stride,
        "t": columns.stride,
        "p": rows.before,
        "q": columns.before,
        "d": rows.dilation,
        "e": columns.dilation,
        "G": op.options["groups"],
        "w": at["w"],
        "b": at.get("b", -1),
        "w_first": taps - 1 if flip else 0,
        "w_u": -columns.kernel if flip else columns.kernel,
        "w_v": -1 if flip else 1,
    }
    m = _tile(x, y, numbers)
    if m:
        n, tiles = m + 2, (y[1] // m, y[2] // m)
        numbers |= {"m": m, "n": n, "tiles_down": tiles[0], "tiles_across": tiles[1], "gates": _gate(stages[-1])}
        return Stage(
            WINOGRAD, x, y, y, numbers, scratch=scratch(n, x[0], y[0], math.prod(tiles), (y[1] + 2) * (y[2] + 2))
        )
    return Stage(CONV, x, y, y, numbers)


def _tile(x: Shape, y: Shape, numbers: dict[str, int]) -> int:
    """How many outputs a Winograd tile has; 0 where direct convolution is quicker."""
    plain = numbers["U"] == numbers["V"] == 3 and all(numbers[name] == 1 for name in "stdeG")
    if not plain or x[0] % LANES or min(x[0], y[0]) < MANY:
        return 0
    return next((m for m in POINTS if y[1] % m == y[2] % m == 0), 0)


def _halo(sides: list[tuple[int, int]]) -> Halo:
    (above, below), (left, right) = sides
    return (above, left, below, right)


def _linear(op: Op, shapes: Shapes, stages: list[Stage], at: dict[str, int]) -> Stage:
    y = (shapes["w"][0], 1, 1)
    return Stage(LINEAR, stages[-1].seen, y, y, {"w": at["w"], "b": at.get("b", -1)})


def _relu(op: Op, shapes: Shapes, stages: list[Stage], at: dict[str, int]) -> Stage | None:
    """Fused into a convolution or linear layer before it."""
    last = stages[-1]
    if last.learns and "relu" not in last.numbers:
        last.numbers["relu"] = 1
        return None
    return Stage(RELU, last.seen, last.seen, last.seen)


def _dropout(op: Op, shapes: Shapes, stages: list[Stage], at: dict[str, int]) -> Stage:
    shape = stages[-1].seen
    return Stage(DROPOUT, shape, shape, shape, {"rate": op.options["p"]}, scratch=LANES * math.prod(shape))


def _max_pool(op: Any, shapes: Shapes, stages: list[Stage], at: dict[str, int]) -> Stage:
    rows, columns = op.spans(shapes)
    numbers = {
        "U": rows.kernel,
        "V": columns.kernel,
        "s": rows.stride,
        "t": columns.stride,
        "p": rows.before,
        "q": columns.before,
        "d": rows.dilation,
        "e": columns.dilation,
        "overlap": int(rows.extent > rows.stride or columns.extent > columns.stride),
    }
    return _pool(shapes["x"][1:], op.extents(shapes)["y"][1:], numbers, stages)


def _gate(stage: Stage) -> int:
    """1 when a convolution has a ReLU, which from now on its reader takes into account on the way back."""
    if stage.op not in (CONV, WINOGRAD) or "relu" not in stage.numbers:
        return 0
    stage.numbers["gated"] = 1
    return 1


def _pool(x: Shape, y: Shape, numbers: dict[str, int], stages: list[Stage]) -> Stage:
    """A pool's way back also sees which values the ReLU before it let through."""
    last = stages[-1]
    halves = all(numbers[name] == 2 for name in "UVst") and numbers["d"] == numbers["e"] == 1
    numbers["halves"] = int(halves and numbers["p"] == numbers["q"] == 0 and x[1] >= 2 * y[1] and x[2] >= 2 * y[2])
    if _gate(last):
        numbers["relu"] = 1
    return Stage(MAX_POOL, x, y, y, numbers)


def _flatten(op: Op, shapes: Shapes, stages: list[Stage], at: dict[str, int]) -> Stage | None:
    """The same numbers under other indices. After a convolution, whose dy has zeros around it, they are copied: a pool
    of single cells does that."""
    y = stages[-1].seen
    if stages[-1].op in (CONV, WINOGRAD):
        ones = dict.fromkeys(("U", "V", "s", "t", "d", "e"), 1)
        stages.append(_pool(y, y, {**ones, "p": 0, "q": 0, "overlap": 0}, stages))
    stages[-1].seen = (math.prod(y), 1, 1)
    return None


STAGES: dict[str, Callable[[Any, Shapes, list[Stage], dict[str, int]], Stage | None]] = {
    "conv2d": _conv,
    "linear": _linear,
    "relu": _relu,
    "dropout": _dropout,
    "max_pool2d": _max_pool,
    "flatten": _flatten,
}


def _trim(stages: list[Stage]) -> None:
    """Rows and columns that the next layer's windows do not reach need not be computed: pools often leave one out."""
    for stage, reader in reversed(list(pairwise(stages))):
        if stage.op in (CONV, MAX_POOL) and reader.op in (CONV, MAX_POOL) and stage.seen == stage.y:
            reached = (
                max(1, min(size, (count - 1) * stride + extent - before))
                for size, count, stride, extent, before in reader.windows
            )
            stage.y = stage.seen = reader.x = (stage.y[0], *reached)


ALONE = {WINOGRAD: CONV, LINEAR: LONE_LINEAR, RELU: LONE_RELU, DROPOUT: LONE_DROPOUT, MAX_POOL: LONE_MAX_POOL}


def _alone(stages: list[Stage]) -> list[Stage]:
    """The same for images one by one. There no convolution closes the ReLU before it."""
    gates = [stage.numbers.get("gates", 0) for stage in stages[1:]]
    return [
        replace(
            stage,
            op=ALONE.get(stage.op, stage.op),
            scratch=math.prod(stage.x) if stage.op == DROPOUT else 0,
            numbers=stage.numbers | {"gated": 0} if gated else stage.numbers,
        )
        for stage, gated in zip(stages, [*gates, 0], strict=True)
    ]


# the table ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plane:
    """Where a tensor's first value stands, and its strides, in numbers."""

    at: int
    c: int
    h: int
    w: int


def _lay(shape: Shape, at: int, cell: int, room: int, halo: Halo, spread: tuple[int, int]) -> tuple[Plane, int]:
    """A plane with its surroundings, and where it ends. A value takes `cell` numbers, a row as many as `room` at least;
    beyond the last row two vectors may be read."""
    channels, height, width = shape
    above, left, below, right = halo
    across = left + max((width - 1) * spread[1] + 1 + right, room)
    down = above + (height - 1) * spread[0] + 1 + below
    row = across * cell
    plane = Plane(at + above * row + left * cell, down * row, spread[0] * row, spread[1] * cell)
    return plane, at + channels * down * row + (2 * LANES if cell == 1 else 0)


def _table(stages: list[Stage], end: int, cell: int) -> tuple[Array, int]:
    """A row for each stage, with planes from `end` on, and their end; a stage's x and dx are the y and dy of the one
    before. A value of a plane takes `cell` numbers."""
    table = np.zeros(len(stages), ROW)
    learning = False
    values = deltas = Plane(0, 0, 0, 0)
    for index, stage in enumerate(stages):
        numbers = {"op": stage.op, "b": -1, "needs_dx": learning, "scratch": end, **stage.numbers}
        numbers |= dict(zip("CHW", stage.x, strict=True)) | dict(zip("OIJ", stage.y, strict=False))
        planes = {"x": values, "dx": deltas}
        end += stage.scratch
        if stage.y:
            reader = stages[index + 1]
            room = _vectors(stage.y[2]) if cell == 1 and CONV in (stage.op, reader.op) else 0
            values, end = _lay(stage.y, end, cell, room, reader.x_halo, (1, 1))
            around, spread = (stage.dy_halo, stage.dy_spread) if learning else (NONE, (1, 1))
            deltas, end = _lay(stage.y, end, cell, room, around, spread)
            planes |= {"y": values, "dy": deltas}
        if stage.seen != stage.y:
            values, deltas = (Plane(plane.at, cell, cell, cell) for plane in (values, deltas))
        for plane, found in planes.items():
            numbers |= {f"{plane}_{axis}": value for axis, value in vars(found).items()}
        if cell == 1 and stage.op == CONV:
            numbers = _turned(numbers)
        for name, value in numbers.items():
            table[name][index] = value
        learning = learning or stage.learns
    return table, end


#: What changes places where rows are taken for columns.
TURNED = {
    "H": "W",
    "I": "J",
    "U": "V",
    "s": "t",
    "p": "q",
    "d": "e",
    "w_u": "w_v",
    **{f"{plane}_h": f"{plane}_w" for plane in ("x", "y", "dx", "dy")},
}


def _turned(numbers: dict[str, Any]) -> dict[str, Any]:
    """A convolution whose vectors are LANES pixels of a row: what it takes for rows are the vectors of all rows, LANES
    pixels apart, and for columns the rows, so that many of them are in the registers at once. Only where it reads x
    does it move by single pixels, hence by LANES of them from row to row."""
    found = numbers | {a: numbers[b] for a, b in TURNED.items()} | {b: numbers[a] for a, b in TURNED.items()}
    vectors = {name: -(-found[name] // LANES) for name in ("H", "I")}
    beyond = {"x_beyond": _vectors(found["H"]) - found["H"], "y_beyond": _vectors(found["I"]) - found["I"]}
    return found | vectors | beyond | {"turned": 1, "s": LANES, "y_h": LANES, "dx_h": LANES, "dy_h": LANES}


def _place_filters(table: Array) -> int:
    """Give every Winograd row its place among the transformed kernels, which stand there twice, the second time turned;
    how many numbers they are."""
    end = 0
    for index in np.flatnonzero(table["op"] == WINOGRAD):
        row = table[index]
        table["filters"][index] = end
        end += 2 * int(row["n"] ** 2 * (row["O"] * row["C"] + LANES))
    return end


def _place_gradients(table: Array) -> tuple[int, int]:
    """Give every convolution the place of its gradients in a share, every linear layer that of what is kept of a chunk;
    how many numbers both are."""
    kept = share = 0
    for index in np.flatnonzero(np.isin(table["op"], tuple(GATHERED))):
        row = table[index]
        if row["op"] == LINEAR:
            table["kept"][index] = kept
            kept += int(row["C"] + row["O"]) * LANES
        else:
            table["dw"][index] = share
            share += _vectors(int(row["O"] * row["C"] // row["G"] * row["U"] * row["V"]))
            table["db"][index] = share
            share += _vectors(int(row["O"]))
    return kept, share


def _vectors(numbers: int) -> int:
    """So many numbers, made up to whole vectors."""
    return -(-numbers // LANES) * LANES


#: Into how many pieces the kernels of a row are divided that are transformed.
PREPARED: dict[int, Callable[[Any], int]] = {WINOGRAD: lambda row: -(-row["O"] // LANES)}
#: Into how many pieces the gradients of a row are divided.
GATHERED: dict[int, Callable[[Any], int]] = {
    CONV: lambda row: row["O"],
    WINOGRAD: lambda row: row["O"],
    LINEAR: lambda row: -(-row["C"] // PANEL),
}


def _pieces(table: Array, counts: dict[int, Callable[[Any], int]]) -> Array:
    """(row, number of a piece) for all rows whose op has a count."""
    pieces = [
        (index, piece)
        for index, row in enumerate(table)
        if row["op"] in counts
        for piece in range(counts[row["op"]](row))
    ]
    return np.array(pieces, np.int64).reshape(-1, 2)
