"""Two ways through a training pass behind one interface: the readable kernels of the ops, which can do any network, and
the fast step, for the networks that it knows. Either is the same at every call, whoever watches."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.data import Dataset, Split
from engine.fast.flat_params import FlatParams, aligned, buffer_pool
from engine.fast.norm import SUMS
from engine.fast.plan import FEW, Plan, plan
from engine.fast.simd import LANES
from engine.fast.step import Batch, Found, Weights, gather, prepare, work
from engine.fast.thread_pool import thread_pool
from engine.kernels import Kernel
from engine.layers import Layer
from engine.network import Network, Values
from engine.ops.base import Array, Shape
from engine.ops.dropout import Dropout
from engine.optimizers import Optimizer

Draws = Callable[[Layer], np.random.Generator]
Arrays = Mapping[str, Array]

#: Images that are judged in one go are a multiple of SLICE, of about so many multiply-adds.
SLICE, SLICED = 128, 4e9
#: Parameters of which a thread has a part of its own in the update.
PART = 2**15
#: Numbers of all chunks' tensors together, which batch norm needs at once, beyond which a batch is left to the readable
#: kernels: half a gigabyte.
TOGETHER = 2**27
#: Bytes of workspaces that wait for the next pass.
WORKSPACES = 48 * 2**20
NO_NUMBERS = np.zeros((0, 1))
SHADES = np.arange(256, dtype=np.float32) / np.float32(255)


def classes_of(target: Array, answers: Shape) -> Array | None:
    """The class of every row of answers of this shape, from numbers or from rows with a single 1; None where targets
    are no classes."""
    if target.ndim == 2 and target.shape == answers and target.shape[1] > 1:
        if not (np.isin(target, (0, 1)).all() and (target.sum(1) == 1).all()):
            return None
        return target.argmax(1)
    if target.ndim != 1 or target.dtype.kind not in "iu" or len(answers) != 2:
        return None
    return target


def right_answers(answers: Array, target: Array) -> int | None:
    """How many rows have their largest value at the target's class; None where targets are no classes."""
    classes = classes_of(target, answers.shape)
    return None if classes is None else int(np.count_nonzero(answers.argmax(1) == classes))


@dataclass(frozen=True)
class Pass:
    """What came of a batch: the mean loss, how many answers were right, and tensors; `gradient` is that of all
    parameters where they are moved as one vector, and of those that are not learned what they become."""

    loss: float
    right: int | None
    tensors: Values = field(default_factory=dict)
    gradient: FlatParams | None = None

    @property
    def values(self) -> Values:
        """Tensors by (layer, tensor): at least every parameter's gradient, or none when nothing was to be learned."""
        found = dict(self.tensors)
        if self.gradient is None:
            return found
        for name, array in self.gradient.items():
            layer, tensor = name.split("/")
            found[layer, f"d{tensor}" if name in self.gradient.places.learned else f"{tensor}_next"] = array
        return found


class Readable:
    """Layer by layer through the ops' own kernels. `reason` says why it is not the fast path."""

    name = "readable"
    pace = 1e10  # multiply-adds a second of one thread, about
    slice = 200  # images that are judged in one go

    def __init__(self, network: Network, reason: str):
        self.network = network
        self.reason = reason

    def learn(self, parameters: Arrays, split: Split, indices: Array, draws: Draws) -> Pass:
        x, target = split.batch(indices)
        values = self.network.forward(parameters, x, target, draws)
        self.network.backward(parameters, values, training=True, input_gradient=False)
        return self._pass(values)

    def evaluate(self, parameters: Arrays, split: Split, indices: Array) -> Pass:
        x, target = split.batch(indices)
        return self._pass(self.network.forward(parameters, x, target))

    def release(self) -> None:
        """Nothing is held between two passes."""

    def _pass(self, values: Values) -> Pass:
        right = right_answers(values[self.network.output, "y"], values["target", "y"])
        return Pass(float(values["loss", "y"]), right, values)


@dataclass
class _Workspace:
    """What one pass works on: an arena for each thread, or one with the tensors of all chunks; a gradient and sums for
    each shard, what is kept of each chunk, the transformed kernels."""

    size: int
    arenas: list[Array | None]
    whole: Array
    gradients: Array
    sums: Array
    kept: Array
    filters: Array
    counter: Array

    @property
    def nbytes(self) -> int:
        shared = (self.whole, self.gradients, self.sums, self.kept, self.filters)
        return sum(array.nbytes for array in (*self.arenas, *shared) if array is not None)

    def arena(self, worker: int) -> Array:
        """This worker's, zero around its planes, where nothing is ever written."""
        found = self.arenas[worker]
        if found is None:
            found = self.arenas[worker] = aligned(self.size)
        return found


class _Workspaces:
    """Free workspaces, for all networks of equal plans: runs take turns, and a class that trains the same network needs
    one or two. The longest unused go where all of them take more than WORKSPACES bytes."""

    def __init__(self) -> None:
        self._free: list[tuple[bytes, _Workspace]] = []
        self._lock = threading.Lock()

    def take(self, key: bytes) -> _Workspace | None:
        with self._lock:
            for index in range(len(self._free) - 1, -1, -1):
                if self._free[index][0] == key:
                    return self._free.pop(index)[1]
            return None

    def give(self, key: bytes, workspace: _Workspace) -> None:
        with self._lock:
            self._free.append((key, workspace))
            while len(self._free) > 1 and sum(each.nbytes for _, each in self._free) > WORKSPACES:
                self._free.pop(0)

    def drop(self, key: bytes) -> None:
        with self._lock:
            self._free = [(each, workspace) for each, workspace in self._free if each != key]


_workspaces = _Workspaces()


class Fast:
    """Chunks of images through the table of layers, by the thread pool."""

    name = "fast"
    pace = 1e11
    reason = None

    def __init__(self, network: Network, plan: Plan):
        self.network = network
        self.plan = plan
        work = sum(layer.op.multiply_adds(network.given_shapes(layer)) for layer in network.layers.values())
        self.slice = SLICE * max(1, min(8, int(SLICED / SLICE / max(1, work))))
        self._still, self._ones = np.zeros(LANES, np.float32), np.ones(LANES, np.float32)
        tables = plan.table.tobytes() + (plan.single.tobytes() if plan.single is not None else b"")
        self._key = hashlib.sha256(tables).digest()
        self._known: tuple[Split | None, Array, int] = (None, np.zeros(0, np.uint8), 1)

    def learn(self, parameters: Arrays, split: Split, indices: Array, draws: Draws) -> Pass:
        if len(self.plan.segments) > 1 and -(-len(indices) // LANES) * self.plan.arena > TOGETHER:
            return Readable(self.network, "too large a batch").learn(parameters, split, indices, draws)
        keys = np.array([Dropout.key(draws(layer)) for layer in self.plan.dropouts], np.uint64)
        return self._work(parameters, split, indices, keys, training=True)

    def evaluate(self, parameters: Arrays, split: Split, indices: Array) -> Pass:
        return self._work(parameters, split, indices, np.zeros(len(self.plan.dropouts), np.uint64), training=False)

    def _work(self, parameters: Arrays, split: Split, indices: Array, keys: Array, training: bool) -> Pass:
        plan, count, answers = self.plan, len(indices), self.network.layers[self.network.output].shape
        single = plan.single is not None and count <= FEW
        table, lanes = (plan.single, 1) if single else (plan.table, LANES)
        chunks = -(-count // lanes)
        shards, rounds = plan.shards(chunks), plan.rounds(chunks) if training else [(0, chunks)]
        flat = FlatParams.of(parameters, plan.places).vectors[""]
        targets = split.targets[indices]
        classes, factor = classes_of(targets, (count, *answers)), self._factor(targets)
        named = targets if targets.ndim == 1 else classes
        numbers = NO_NUMBERS
        if targets.ndim > 1:
            numbers = targets.reshape(count, -1).astype(np.float32).astype(np.float64)
        pool = thread_pool()
        cut = training and len(plan.segments) > 1
        gradient = buffer_pool.take(plan.places.size if training else 0)
        workspace = self._take_workspace(pool.size, shards, rounds[0][1] if training else 0, chunks if cut else 0)
        weights = Weights(flat, workspace.filters, keys, self._still, self._ones)
        batch = Batch(
            *self._images(split),
            SHADES,
            indices,
            np.full(count, -1) if named is None else named.astype(np.int64),
            numbers,
            factor,
        )
        found = Found(
            workspace.gradients[:shards],
            workspace.sums[:shards],
            workspace.kept,
            np.empty(chunks),
            np.empty(chunks, np.int64),
        )

        def run(kernel: Kernel, workers: int, *given: Any, whole: bool = False) -> None:
            workspace.counter[0] = 0

            def task(worker: int) -> None:
                arena = workspace.whole if whole else workspace.arena(worker)
                kernel.compiled(table, workspace.counter, arena, weights, *given)

            pool.run(task, workers)

        try:
            if plan.filters and not single:
                run(prepare, pool.size, plan.transforms)
            for span in rounds:
                for ways in self._ways(training):
                    run(work, shards, batch, found, span, plan.arena if cut else 0, *ways, training, whole=cut)
                if training:
                    gathered = (found, plan.gathers, span, min(lanes, count), gradient)
                    run(gather, plan.places.learned.size // PART, *gathered)
            if training and plan.places.learned is not plan.places:
                self._run_on(table, flat, found.sums, count, gradient)
        finally:
            _workspaces.give(self._key, workspace)
        loss = math.fsum(found.losses.tolist()) * factor
        right = None if classes is None else int(found.rights.sum())
        return Pass(loss, right, gradient=FlatParams(plan.places, {"": gradient}) if training else None)

    def _ways(self, training: bool) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        """Through which rows the batch goes forward and backward at a time."""
        none = (0, 0)
        first, last = self.plan.segments[0], self.plan.segments[-1]
        if not training:
            yield (first[0], last[1]), none
            return
        for rows in self.plan.segments[:-1]:
            yield rows, none
        yield last, last
        for rows in self.plan.segments[-2::-1]:
            yield none, rows

    def _run_on(self, table: Any, flat: Array, sums: Array, count: int, gradient: Array) -> None:
        """What is not learned stays in the gradient's last numbers as it is, but running statistics move towards those
        of the batch."""
        learned = self.plan.places.learned.size
        gradient[learned:] = flat[learned:]
        totals = sums.sum(0)
        for layer, index in self.plan.norms:
            row, momentum = table[index], layer.op.options["momentum"]
            channels, cells = int(row["C"]), count * int(row["H"] * row["W"])
            mean, square = totals[row["sums"] :][: SUMS * channels].reshape(channels, SUMS).T[:2] / cells
            variance = np.maximum(square - mean * mean, 0) * (cells / max(1, cells - 1))
            for place, batch in ((row["mean"], mean), (row["var"], variance)):
                here = slice(place, place + channels)
                gradient[here] = (1 - momentum) * flat[here].astype(np.float64) + momentum * batch

    def _factor(self, targets: Array) -> float:
        """What an element's loss counts in the loss of these targets: infinity where none counts in their mean."""
        loss = self.network.loss.op
        count = loss.averaged(targets)
        if count is None:
            return 0.5 if loss.options["reduction"] == "half_sum" else 1.0
        return 1 / count if count else math.inf

    def release(self) -> None:
        """Give back the workspaces, which the next pass will make anew."""
        _workspaces.drop(self._key)
        buffer_pool.clear()

    def _images(self, split: Split) -> tuple[Array, int]:
        """All images of a split as flat bytes, and how many make a number."""
        known, images, octets = self._known
        if known is not split:
            octets = 1 if split.images.dtype == np.uint8 else 4
            numbers = split.images if octets == 1 else split.images.astype(np.float32)
            images = np.ascontiguousarray(numbers).reshape(-1).view(np.uint8)
            images.flags.writeable = False
            self._known = (split, images, octets)
        return images, octets

    def _take_workspace(self, workers: int, shards: int, chunks: int, together: int) -> _Workspace:
        """A free workspace, or a new one: a replay may be under way beside the training."""
        plan = self.plan
        workspace = _workspaces.take(self._key)
        if workspace is None or len(workspace.arenas) < workers:
            workspace = _Workspace(
                plan.arena,
                [None] * workers,
                aligned(0),
                aligned(0, plan.share),
                np.zeros((0, plan.sums)),
                aligned(0, plan.kept),
                aligned(plan.filters),
                np.zeros(1, np.int64),
            )
        if len(workspace.gradients) < shards:
            workspace.gradients, workspace.sums = aligned(shards, plan.share), np.zeros((shards, plan.sums))
        if workspace.whole.size < together * plan.arena:
            workspace.whole = aligned(together * plan.arena)
        if len(workspace.kept) < chunks:
            workspace.kept = aligned(chunks, plan.kept)
        return workspace


def flat_update(
    optimizer: Optimizer, parameters: Arrays, state: Arrays, gradient: FlatParams, step: int
) -> tuple[FlatParams, FlatParams]:
    """The parameters and the optimizer's state after the `step`-th update, by the optimizer's own kernels."""
    norm = optimizer.norm(gradient[name] for name in gradient.places.learned)
    places, suffixes = gradient.places, tuple(f".{part}" for part in optimizer.state)
    w, dw, count = FlatParams.of(parameters, places).vectors[""], gradient.vectors[""], places.learned.size
    old = FlatParams.of(state, places.learned, suffixes).vectors
    moved = buffer_pool.take(w.size)
    moved[count:] = dw[count:]
    left = {suffix: buffer_pool.take(count) for suffix in suffixes}

    def move(first: int, last: int) -> None:
        here = slice(first, last)
        before, after = ({suffix[1:]: vectors[suffix][here] for suffix in suffixes} for vectors in (old, left))
        optimizer.move(w[here], optimizer.clipped(dw[here], norm), before, step, moved[here], after)

    in_parts(count, move)
    return FlatParams(places, {"": moved}), FlatParams(places.learned, left)


def in_parts(count: int, task: Callable[[int, int], Any]) -> None:
    """task(first, last) of numbers 0 to count, by the thread pool where they are many."""
    parts = min(thread_pool().size, count // PART)
    if parts <= 1:
        task(0, count)
        return
    left = iter([(part * count // parts, (part + 1) * count // parts) for part in range(parts)])
    lock = threading.Lock()

    def work(_: int) -> None:
        while True:
            with lock:
                part = next(left, None)
            if part is None:
                return
            task(*part)

    thread_pool().run(work, parts)


Backend = Readable | Fast


def backend_of(network: Network, dataset: Dataset) -> Backend:
    """The fast path where network and targets are what it knows."""
    made = plan(network)
    if isinstance(made, str):
        return Readable(network, made)
    return Fast(network, made)
