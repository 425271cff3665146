"""From a network to the table of layers that the fast step reads: what is fused, and where every number stands."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from engine.fast.activation import CURVES, LEARNED
from engine.fast.flat_params import Places
from engine.fast.linear import PANEL
from engine.fast.loss import LOSSES
from engine.fast.norm import SUMS
from engine.fast.simd import LANES
from engine.fast.step import (
    ACTIVATION,
    AVERAGE,
    CONV,
    COPY,
    DROPOUT,
    GROUP_NORM,
    INPUT,
    LINEAR,
    LONE_AVERAGE,
    LONE_COPY,
    LONE_DROPOUT,
    LONE_LINEAR,
    LONE_MAX_POOL,
    LONE_RELU,
    LOSS,
    LP_POOL,
    MAX_POOL,
    MEASURE,
    MEET,
    NORM,
    RELU,
    ROW,
    SOFTMAX,
    TRANSPOSED,
    UPSAMPLE,
    WINOGRAD,
)
from engine.fast.winograd import POINTS, scratch
from engine.layers import Layer
from engine.network import Network
from engine.ops.base import Op, Shape, Shapes
from engine.ops.window import Span

Array = np.ndarray

#: Numbers in a chunk's tensors beyond which nothing stays in any cache, and the readable kernels do as well.
LARGEST = 2**24
#: Shares into which a batch is split at most, and numbers of their gradients together, beyond which there are fewer.
SHARDS, SHARED = 8, 2**21
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
    """places: where each parameter begins in the flat vector, and its shape; single: the table for images one by one,
    where there is one; dropouts: the layers that draw masks, in the order of their keys; norms: those whose statistics
    run, with their rows; segments: rows, from the first to before the last, through which the whole batch goes before
    any chunk begins with the next ones; transforms, gathers: the pieces, (row, number), of what comes before and after
    the chunks. Numbers: the tensors of a chunk and of a single image take `arena`, what is kept of it `kept`, the
    gradients in a shard `share`, the sums of norms in it `sums`, and the transformed kernels of all Winograd
    convolutions `filters`."""

    table: Array
    single: Array | None
    places: Places
    segments: tuple[tuple[int, int], ...]
    norms: tuple[tuple[Layer, int], ...]
    transforms: Array
    gathers: Array
    arena: int
    kept: int
    share: int
    sums: int
    filters: int
    dropouts: tuple[Layer, ...]

    def shards(self, chunks: int) -> int:
        """How many parts of a batch have gradients of their own, whoever computes them."""
        shards = SHARDS
        while shards > 2 and shards * self.share > SHARED:
            shards //= 2
        return min(chunks, shards)

    def rounds(self, chunks: int) -> list[tuple[int, int]]:
        """Runs of chunks, first and how many, after each of which the gradients of linear layers are summed up. A norm
        needs the whole batch at once."""
        if len(self.segments) > 1:
            return [(0, chunks)]
        most = max(SHARDS, KEPT // max(1, self.kept))
        return [(first, min(most, chunks - first)) for first in range(0, chunks, most)]


Halo = tuple[int, int, int, int]  # cells of zeros above, left, below, right
NONE: Halo = (0, 0, 0, 0)


@dataclass
class Stage:
    """A row in the making: the shapes of what it reads and writes and as what the next one reads that, and its
    numbers. source: the stage whose y it reads; meets, offset: the stage in whose y, from which channel on, it writes,
    where it has no y of its own."""

    op: int
    x: Shape
    y: Shape
    seen: Shape
    numbers: dict[str, Any] = field(default_factory=dict)
    scratch: int = 0
    source: int = -1
    meets: int = -1
    offset: int = 0

    @property
    def learns(self) -> bool:
        return "w" in self.numbers

    @property
    def windows(self) -> list[tuple[int, int, int, int, int]]:
        """Down and across: cells of x, windows, from one window to the next, a window's extent, padding before. A
        transposed convolution has those of the convolution whose way back it is."""
        n = self.numbers
        x, y = (self.y, self.x) if self.op == TRANSPOSED else (self.x, self.y)
        return [
            (size, count, n[stride], (n[kernel] - 1) * n[dilation] + 1, n[before])
            for size, count, stride, kernel, dilation, before in zip(x[1:], y[1:], "st", "UV", "de", "pq", strict=True)
        ]

    @property
    def windows_halo(self) -> Halo:
        """The zeros that a convolution's windows meet around what they slide over."""
        return _halo(
            [
                (before, max(0, (count - 1) * stride + extent - before - size))
                for size, count, stride, extent, before in self.windows
            ]
        )

    @property
    def turned_halo(self) -> Halo:
        """The zeros that the turned kernel meets on the way back."""
        return _halo(
            [
                (max(0, extent - 1 - before), max(0, size - 1 + before - (count - 1) * stride))
                for size, count, stride, extent, before in self.windows
            ]
        )

    @property
    def spread(self) -> tuple[int, int]:
        """In how many rows and columns one is of a value; between them are zeros, as the turned kernel wants it."""
        return self.numbers["s"], self.numbers["t"]

    @property
    def x_surroundings(self) -> tuple[Halo, tuple[int, int]]:
        """The zeros that are wanted around and between the values of x."""
        if self.op == TRANSPOSED:
            return self.turned_halo, self.spread
        return (self.windows_halo if self.op in (CONV, WINOGRAD) else NONE), (1, 1)

    @property
    def dy_surroundings(self) -> tuple[Halo, tuple[int, int]]:
        """The same of dy."""
        if self.op == CONV:
            return self.turned_halo, self.spread
        return (self.windows_halo if self.op == TRANSPOSED else NONE), (1, 1)


def plan(network: Network) -> Plan | str:
    """The network's table, or why it has none."""
    if network.slip:
        return f"the slip {network.slip.name} is tried out"
    try:
        return _plan(network)
    except Unfit as unfit:
        return str(unfit)


def _plan(network: Network) -> Plan:
    places = Places(network.parameter_shapes, network.learned)
    images = _volume(network.input_shape)
    stages = [Stage(INPUT, images, images, images)]
    dropouts: list[Layer] = []
    norms: list[tuple[Layer, int]] = []
    readers = Counter([network.output, *(name for layer in network.layers.values() for name in layer.inputs)])
    made = {"input": 0}

    def source(name: str) -> int:
        """The stage to read a layer's y from, which nobody else reads."""
        if readers[name] > 1:
            stages.append(_copied(stages, made[name]))
            return len(stages) - 1
        return made[name]

    for layer in network.layers.values():
        if not readers[layer.name]:
            raise Unfit(f"nothing reads {layer.name}")
        shapes = network.given_shapes(layer)
        if layer.op.name in MEETINGS:
            stages += MEETINGS[layer.op.name](layer, shapes, stages, [made[name] for name in layer.inputs])
            made[layer.name] = len(stages) - 1
            continue
        make = STAGES.get(layer.op.name)
        if make is None:
            raise Unfit(f"{layer.name}: {layer.op.name} has no fast kernel")
        at = {name: places[f"{layer.name}/{name}"][0] for name in layer.parameters}
        read = made[layer.name] = source(layer.inputs[0])
        stage = make(layer.op, shapes, stages[read], at)
        if stage is None:
            continue
        if stage.op == DROPOUT:
            stage.numbers["key"] = len(dropouts)
            dropouts.append(layer)
        stage.source = read
        if stage.op == NORM and not stage.numbers["fixed"]:
            stages.append(Stage(MEASURE, stage.x, (), (), source=read))
            norms.append((layer, len(stages)))
        stages.append(stage)
        made[layer.name] = len(stages) - 1
    last = source(network.output)
    stages.append(_loss(network.loss.op, stages[last].seen, last))
    _part(stages)
    _trim(stages)
    table, arena = _table(stages, 0, LANES)
    if arena > LARGEST:
        raise Unfit(f"{LANES} images of its tensors are {arena:,} numbers, more than {LARGEST:,}")
    kept, share, sums = _place_gradients(table)
    single = None
    if all(stage.op != TRANSPOSED and (stage.op != CONV or stage.numbers["t"] == 1) for stage in stages):
        single, arena = _table(_alone(stages), arena, 1)
        for place in ("dw", "db", "kept", "sums"):
            single[place] = table[place]
    return Plan(
        table,
        single,
        places,
        _segments(stages),
        tuple(norms),
        _pieces(table, PREPARED),
        _pieces(table, GATHERED),
        arena,
        kept,
        share,
        sums,
        _place_filters(table),
        tuple(dropouts),
    )


def _segments(stages: list[Stage]) -> tuple[tuple[int, int], ...]:
    """The table, without its first and last row, cut behind what measures a batch."""
    cuts = [1, *(index + 1 for index, stage in enumerate(stages) if stage.op == MEASURE), len(stages) - 1]
    return tuple(itertools.pairwise(cuts))


def _volume(shape: Shape) -> Shape:
    return (*shape, *(1,) * (3 - len(shape)))


# stages ---------------------------------------------------------------------------------------------------------------


def _conv(op: Any, shapes: Shapes, source: Stage, at: dict[str, int]) -> Stage:
    rows, columns = op.spans(shapes)
    x, y = shapes["x"][1:], op.extents(shapes)["y"][1:]
    flip = op.options["flip_kernel"]
    taps = rows.kernel * columns.kernel
    numbers = {
        **_geometry(rows, columns),
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
        numbers |= {"m": m, "n": n, "tiles_down": tiles[0], "tiles_across": tiles[1], "gates": _gate(source)}
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


def _linear(op: Op, shapes: Shapes, source: Stage, at: dict[str, int]) -> Stage:
    y = (shapes["w"][0], 1, 1)
    return Stage(LINEAR, source.seen, y, y, {"w": at["w"], "b": at.get("b", -1)})


def _relu(op: Op, shapes: Shapes, source: Stage, at: dict[str, int]) -> Stage | None:
    """Fused into a convolution, linear layer or norm before it."""
    if source.op in (CONV, WINOGRAD, LINEAR, NORM) and "relu" not in source.numbers:
        source.numbers["relu"] = 1
        return None
    return Stage(RELU, source.seen, source.seen, source.seen)


def _dropout(op: Op, shapes: Shapes, source: Stage, at: dict[str, int]) -> Stage:
    shape = source.seen
    return Stage(DROPOUT, shape, shape, shape, {"constant": op.options["p"]}, scratch=LANES * math.prod(shape))


def _activation(op: Any, shapes: Shapes, source: Stage, at: dict[str, int]) -> Stage:
    curve = CURVES.index(op.name)
    constants = [op.options[name] for name in ("negative_slope", "alpha") if name in op.options]
    numbers = {"curve": curve, "constant": constants[0] if constants else 0.0}
    if curve == LEARNED:
        numbers["w"] = at["slope"]
    return Stage(ACTIVATION, source.seen, source.seen, source.seen, numbers)


def _batch_norm(op: Any, shapes: Shapes, source: Stage, at: dict[str, int]) -> Stage:
    numbers = {"w": at["gamma"], "b": at["beta"], "mean": at["running_mean"], "var": at["running_var"]}
    numbers |= {"fixed": int(not op.options["training"]), "constant": op.options["eps"]}
    return Stage(NORM, source.seen, source.seen, source.seen, numbers)


def _group_norm(op: Any, shapes: Shapes, source: Stage, at: dict[str, int]) -> Stage:
    numbers = {"w": at["gamma"], "b": at["beta"], "G": op.options["groups"], "constant": op.options["eps"]}
    return Stage(GROUP_NORM, source.seen, source.seen, source.seen, numbers)


def _normalize(op: Any, shapes: Shapes, source: Stage, at: dict[str, int]) -> Stage:
    numbers = {"mean": at["mean"], "var": at["deviation"], "fixed": 1}
    return Stage(NORM, source.seen, source.seen, source.seen, numbers)


def _softmax(op: Any, shapes: Shapes, source: Stage, at: dict[str, int]) -> Stage:
    rank = len(shapes["x"])
    axis = op.options["axis"] % rank
    if axis == 0:
        raise Unfit(f"{op.name} along the images")
    numbers = {"axis": axis - 1, "logarithm": int(op.name == "log_softmax")}
    return Stage(SOFTMAX, source.seen, source.seen, source.seen, numbers)


def _loss(op: Op, x: Shape, source: int) -> Stage:
    if op.name not in LOSSES:
        raise Unfit(f"the loss is {op.name}")
    ignored = op.options.get("ignore_index")
    numbers = {
        "loss": LOSSES.index(op.name),
        "constant": op.options.get("label_smoothing", 0.0),
        "ignores": int(ignored is not None),
        "ignored": ignored or 0,
    }
    return Stage(LOSS, x, (), (), numbers, source=source)


def _max_pool(op: Any, shapes: Shapes, source: Stage, at: dict[str, int]) -> Stage:
    rows, columns = op.spans(shapes)
    numbers = {
        **_geometry(rows, columns),
        "overlap": int(rows.extent > rows.stride or columns.extent > columns.stride),
    }
    return _pool(shapes["x"][1:], op.extents(shapes)["y"][1:], numbers, source)


def _average(op: Any, shapes: Shapes, source: Stage, at: dict[str, int]) -> Stage:
    rows, columns = op.spans(shapes)
    numbers = {
        "U": rows.kernel,
        "V": columns.kernel,
        "s": rows.stride,
        "t": columns.stride,
        "p": rows.before,
        "q": columns.before,
        "divisor": op.options.get("divisor_override") or 0,
        "padded": int(op.options.get("count_include_pad", True)),
        "bottom": rows.after,
        "right": columns.after,
    }
    y = op.extents(shapes)["y"][1:]
    return Stage(AVERAGE, shapes["x"][1:], y, y, numbers)


def _lp_pool(op: Any, shapes: Shapes, source: Stage, at: dict[str, int]) -> Stage:
    rows, columns = op.spans(shapes)
    numbers = {"U": rows.kernel, "V": columns.kernel, "s": rows.stride, "t": columns.stride}
    y = op.extents(shapes)["y"][1:]
    return Stage(LP_POOL, shapes["x"][1:], y, y, {**numbers, "constant": op.options["norm_type"]})


def _upsample(op: Any, shapes: Shapes, source: Stage, at: dict[str, int]) -> Stage:
    y = op.extents(shapes)["y"][1:]
    return Stage(UPSAMPLE, shapes["x"][1:], y, y, dict(zip("UV", op.options["scale"], strict=True)))


def _transposed(op: Any, shapes: Shapes, source: Stage, at: dict[str, int]) -> Stage:
    numbers = _geometry(*op.spans(shapes)) | {"G": op.options["groups"], "w": at["w"], "bias": at.get("b", -1)}
    numbers |= {"w_first": 0, "w_u": numbers["V"], "w_v": 1}
    y = op.extents(shapes)["y"][1:]
    return Stage(TRANSPOSED, shapes["x"][1:], y, y, numbers)


def _geometry(rows: Span, columns: Span) -> dict[str, int]:
    """The windows' extents, strides, padding and dilation, down and across."""
    return {
        "U": rows.kernel,
        "V": columns.kernel,
        "s": rows.stride,
        "t": columns.stride,
        "p": rows.before,
        "q": columns.before,
        "d": rows.dilation,
        "e": columns.dilation,
    }


def _gate(stage: Stage) -> int:
    """1 when a convolution has a ReLU, which from now on its reader takes into account on the way back."""
    if stage.op not in (CONV, WINOGRAD) or "relu" not in stage.numbers:
        return 0
    stage.numbers["gated"] = 1
    return 1


def _pool(x: Shape, y: Shape, numbers: dict[str, int], source: Stage) -> Stage:
    """A pool's way back also sees which values the ReLU before it let through."""
    halves = all(numbers[name] == 2 for name in "UVst") and numbers["d"] == numbers["e"] == 1
    numbers["halves"] = int(halves and numbers["p"] == numbers["q"] == 0 and x[1] >= 2 * y[1] and x[2] >= 2 * y[2])
    if _gate(source):
        numbers["relu"] = 1
    return Stage(MAX_POOL, x, y, y, numbers)


def _flatten(op: Op, shapes: Shapes, source: Stage, at: dict[str, int]) -> Stage | None:
    """The same numbers under other indices. After a convolution, whose dy has zeros around it, they are copied: a pool
    of single cells does that."""
    y = source.seen
    flat = (math.prod(y), 1, 1)
    if source.op in (CONV, WINOGRAD, TRANSPOSED):
        ones = dict.fromkeys(("U", "V", "s", "t", "d", "e"), 1)
        copied = _pool(y, y, {**ones, "p": 0, "q": 0, "overlap": 0}, source)
        copied.seen = flat
        return copied
    source.seen = flat
    return None


def _copied(stages: list[Stage], source: int) -> Stage:
    shape = stages[source].seen
    return Stage(COPY, shape, shape, shape, source=source)


def _add(layer: Layer, shapes: Shapes, stages: list[Stage], sources: list[int]) -> list[Stage]:
    """A copy of each operand, all but the first added to what stands there, and where they meet."""
    shape = stages[sources[0]].seen
    if any(stages[source].seen != shape for source in sources):
        raise Unfit(f"{layer.name} adds different shapes")
    meeting = len(stages) + len(sources)
    copies = [replace(_copied(stages, source), meets=meeting) for source in sources]
    for copy in copies[1:]:
        copy.numbers["y_onto"] = 1
    return [*copies, Stage(MEET, shape, shape, shape)]


def _concat(layer: Layer, shapes: Shapes, stages: list[Stage], sources: list[int]) -> list[Stage]:
    """A copy of each operand, side by side, and where they meet."""
    if layer.op.options["axis"] not in (1, 1 - len(shapes["a"])):
        raise Unfit(f"{layer.name} is along axis {layer.op.options['axis']}, not 1")
    meeting = len(stages) + len(sources)
    copies, channels = [], 0
    for source in sources:
        copies.append(replace(_copied(stages, source), meets=meeting, offset=channels))
        channels += copies[-1].y[0]
    shape = (channels, *copies[0].y[1:])
    return [*copies, Stage(MEET, shape, shape, shape)]


def _part(stages: list[Stage]) -> None:
    """Of the copies of one tensor, the first to send something back writes it, and the others add to it."""
    seen: set[int] = set()
    for stage in reversed(stages):
        if stage.op == COPY:
            stage.numbers["dx_onto"] = int(stage.source in seen)
            seen.add(stage.source)


STAGES: dict[str, Callable[[Any, Shapes, Stage, dict[str, int]], Stage | None]] = {
    "conv2d": _conv,
    "linear": _linear,
    "relu": _relu,
    **dict.fromkeys(CURVES, _activation),
    "softmax": _softmax,
    "log_softmax": _softmax,
    "batch_norm": _batch_norm,
    "group_norm": _group_norm,
    "normalize": _normalize,
    "dropout": _dropout,
    "max_pool2d": _max_pool,
    "global_max_pool": _max_pool,
    "avg_pool2d": _average,
    "global_avg_pool": _average,
    "lp_pool2d": _lp_pool,
    "upsample2d": _upsample,
    "conv_transpose2d": _transposed,
    "flatten": _flatten,
}
MEETINGS: dict[str, Callable[[Layer, Shapes, list[Stage], list[int]], list[Stage]]] = {"add": _add, "concat": _concat}


def _reader(stages: list[Stage], index: int) -> Stage | None:
    """The only stage that reads this one's y."""
    found = [stage for stage in stages if stage.source == index]
    return found[0] if len(found) == 1 else None


def _trim(stages: list[Stage]) -> None:
    """Rows and columns that the next layer's windows do not reach need not be computed: pools often leave one out."""
    for index, stage in reversed(list(enumerate(stages))):
        reader = _reader(stages, index)
        if reader is None:
            continue
        if stage.op in (CONV, MAX_POOL) and reader.op in (CONV, MAX_POOL) and stage.seen == stage.y:
            reached = (
                max(1, min(size, (count - 1) * stride + extent - before))
                for size, count, stride, extent, before in reader.windows
            )
            stage.y = stage.seen = reader.x = (stage.y[0], *reached)


ALONE = {WINOGRAD: CONV, LINEAR: LONE_LINEAR, RELU: LONE_RELU, DROPOUT: LONE_DROPOUT, MAX_POOL: LONE_MAX_POOL}
ALONE |= {AVERAGE: LONE_AVERAGE, COPY: LONE_COPY}


def _alone(stages: list[Stage]) -> list[Stage]:
    """The same for images one by one. There no convolution closes the ReLU before it."""
    readers = [_reader(stages, index) for index in range(len(stages))]
    gates = [0 if reader is None else reader.numbers.get("gates", 0) for reader in readers]
    return [
        replace(
            stage,
            op=ALONE.get(stage.op, stage.op),
            scratch=math.prod(stage.x) if stage.op == DROPOUT else 0,
            numbers=stage.numbers | {"gated": 0} if gated else stage.numbers,
        )
        for stage, gated in zip(stages, gates, strict=True)
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
    """A row for each stage, with planes from `end` on, and their end; a stage's x and dx are the y and dy of its
    source. A value of a plane takes `cell` numbers."""
    table = np.zeros(len(stages), ROW)
    training: list[bool] = []  # whether a stage's deltas reach a weight
    scratches: list[int] = []
    laid: list[tuple[Plane, Plane]] = []
    for index, stage in enumerate(stages):
        before = [stage.source] if stage.source >= 0 else [at for at, copy in enumerate(stages) if copy.meets == index]
        training.append(any(training[at] or stages[at].learns for at in before))
        scratches.append(end)
        end += stage.scratch
        values = deltas = Plane(0, 0, 0, 0)
        if stage.y and stage.meets < 0:
            reader = _reader(stages, index)
            room = _vectors(stage.y[2]) if cell == 1 and CONV in (stage.op, reader and reader.op) else 0
            values, end = _lay(stage.y, end, cell, room, *(reader.x_surroundings if reader else (NONE, (1, 1))))
            needed = training[index] or stage.op == TRANSPOSED
            deltas, end = _lay(stage.y, end, cell, room, *(stage.dy_surroundings if needed else (NONE, (1, 1))))
        laid.append((values, deltas))
    for index, stage in enumerate(stages):
        numbers = {
            "op": stage.op,
            "lanes": cell,
            "w": -1,
            "b": -1,
            "needs_dx": training[index],
            "scratch": scratches[index],
        }
        numbers |= stage.numbers
        numbers |= dict(zip("CHW", stage.x, strict=True)) | dict(zip("OIJ", stage.y, strict=False))
        planes: dict[str, Plane] = {}
        if stage.source >= 0:
            source = stages[stage.source]
            values, deltas = laid[stage.source]
            if source.seen != source.y:
                values, deltas = (Plane(plane.at, cell, cell, cell) for plane in (values, deltas))
            planes |= {"x": values, "dx": deltas}
        values, deltas = laid[index if stage.meets < 0 else stage.meets]
        if stage.meets >= 0:
            values, deltas = (replace(plane, at=plane.at + stage.offset * plane.c) for plane in (values, deltas))
        planes |= {"y": values, "dy": deltas}
        for plane, found in planes.items():
            numbers |= {f"{plane}_{axis}": value for axis, value in vars(found).items()}
        if cell == 1 and stage.op == CONV:
            numbers = _turned(numbers)
        if stage.op == TRANSPOSED:
            numbers = _exchanged(numbers)
        for name, value in numbers.items():
            table[name][index] = value
    for measure in np.flatnonzero(table["op"] == MEASURE):  # the same planes as the norm that follows
        table[measure] = table[measure + 1]
        table["op"][measure] = MEASURE
    return table, end


def _exchanged(numbers: dict[str, Any]) -> dict[str, Any]:
    """The row of the convolution whose way back a transposed convolution is."""
    planes = [(f"{a}_{axis}", f"{b}_{axis}") for a, b in (("x", "dy"), ("y", "dx")) for axis in ("at", "c", "h", "w")]
    pairs = [*zip("CHW", "OIJ", strict=True), *planes]
    return numbers | {a: numbers[b] for a, b in pairs} | {b: numbers[a] for a, b in pairs}


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


def _place_gradients(table: Array) -> tuple[int, int, int]:
    """Give every linear layer the place of what is kept of a chunk, every other layer that of its gradients in a shard
    or, a norm, of its sums; how many numbers they are."""
    kept = share = sums = 0
    for index in np.flatnonzero(np.isin(table["op"], tuple(GATHERED))):
        row = table[index]
        if row["op"] == LINEAR:
            table["kept"][index] = kept
            kept += int(row["C"] + row["O"]) * LANES
        elif row["op"] == NORM:
            table["sums"][index - 1 : index + 1] = sums
            sums += int(SUMS * row["C"])
        elif row["op"] in (ACTIVATION, GROUP_NORM):
            learned = row["op"] == GROUP_NORM or row["curve"] == LEARNED
            table["dw"][index] = share
            table["db"][index] = share + _vectors(int(row["C"]))
            share += 2 * _vectors(int(row["C"])) if learned else 0
        else:
            table["dw"][index] = share
            share += _vectors(int(row["O"] * row["C"] // row["G"] * row["U"] * row["V"]))
            table["db"][index] = share
            share += _vectors(int(row["C" if row["op"] == TRANSPOSED else "O"]))
    return kept, share, sums


def _vectors(numbers: int) -> int:
    """So many numbers, made up to whole vectors."""
    return -(-numbers // LANES) * LANES


#: Into how many pieces the kernels of a row are divided that are transformed.
PREPARED: dict[int, Callable[[Any], int]] = {WINOGRAD: lambda row: -(-row["O"] // LANES)}
#: Into how many pieces the gradients of a row are divided.
GATHERED: dict[int, Callable[[Any], int]] = {
    CONV: lambda row: row["O"],
    TRANSPOSED: lambda row: row["O"] + 1,
    WINOGRAD: lambda row: row["O"],
    LINEAR: lambda row: -(-row["C"] // PANEL),
    ACTIVATION: lambda row: int(row["curve"] == LEARNED),
    NORM: lambda row: 1,
    GROUP_NORM: lambda row: 1,
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
