"""Training, one minibatch at a time, such that any earlier step can be had again bit for bit.

A step is a pure function of the state before it and the step's number: the order of the images and the dropout masks
come from generators seeded by (seed, purpose, counter), never from a stream that moves on. So a snapshot is only the
parameters and the optimizer's state, replay is calling the same function again, and looking changes nothing.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.backends import Draws, Pass, backend_of, flat_update
from engine.data import Dataset, Split
from engine.edits import Edit, edited
from engine.kernels import put_compiler_away
from engine.layers import Layer
from engine.network import Key, Network, Values
from engine.ops.base import ShapeError
from engine.optimizers import Optimizer, optimizer_from
from engine.trace import PlaceError, Trace, gradient_norm

__all__ = ["Checkpoint", "HistoryError", "Metrics", "State", "Trainer", "batches", "check_dataset", "optimizer_from"]

Array = np.ndarray

#: Purposes of the seeded generators; 0 draws the first parameters (Network.initial).
SHUFFLING, DROPOUT, SHIFTING = 1, 2, 3

#: A replay never runs more steps than this, and no more snapshots than that are kept, however small they are: together
#: the last 10,000 steps, six epochs of MNIST.
REPLAY_STEPS, SNAPSHOTS = 64, 160
#: Fewer are never kept, however large they are.
LEAST_KEPT = 4
#: Nor does it take a core for longer than about this.
REPLAY_SECONDS = 2.0


class HistoryError(LookupError):
    """A step outside the history that is kept."""


@dataclass(frozen=True)
class State:
    """After `step` updates: parameters "conv1/w" and optimizer state "conv1/w.v". Its arrays never change."""

    step: int
    parameters: Mapping[str, Array]
    optimizer: Mapping[str, Array]

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for arrays in (self.parameters, self.optimizer) for array in arrays.values())


@dataclass(frozen=True)
class Checkpoint:
    """All that training goes on from: the last state, the one before it (so that the last step can still be looked
    at), and which optimizer makes the updates from which one on."""

    before: State
    state: State
    optimizers: tuple[tuple[int, Optimizer], ...]


@dataclass(frozen=True)
class Metrics:
    """Of a step's minibatch, in the forward pass before its update; accuracy is None where there are no classes."""

    step: int
    loss: float
    accuracy: float | None


@dataclass(frozen=True)
class Series:
    """A number at several steps."""

    steps: list[int]
    values: list[float]


@dataclass(frozen=True)
class Trouble:
    """Why a run no longer learns: `kind` is "diverged" (a number that is none) or "dead" (a layer that answers zero
    to every image of a minibatch, so that no gradient passes). `tensor` of `layer` is the first such one in the pass of
    minibatch `step`; `largest` is the largest finite parameter that the pass used."""

    kind: str
    layer: str
    tensor: str
    step: int
    largest: float


def update(network: Network, optimizer: Optimizer, state: State, values: Mapping[Key, Array]) -> State:
    """The state after the gradients in `values` have moved what is learned; buffers are as the pass left them."""
    parameters, moved = {}, {}
    norm = gradient_norm(network, optimizer, values)
    for name, w in state.parameters.items():
        layer, tensor = name.split("/")
        if tensor in network.layers[layer].op.buffers:
            parameters[name] = values[layer, f"{tensor}_next"]
            continue
        own = {part: state.optimizer[f"{name}.{part}"] for part in optimizer.state}
        parameters[name], left = optimizer.update(w, values[layer, f"d{tensor}"], own, state.step + 1, norm)
        moved.update({f"{name}.{part}": array for part, array in left.items()})
    return State(state.step + 1, parameters, moved)


def draws(network: Network, seed: int, step: int) -> Draws:
    """The generator of each layer's random tensors in the pass whose update is the `step`-th."""

    def of(layer: Layer) -> np.random.Generator:
        return np.random.default_rng(
            [seed, DROPOUT, list(network.layers).index(layer.name), layer.op.options.get("seed", 0), step]
        )

    return of


def check_dataset(network: Network, dataset: Dataset, batch_size: int, drop_last: bool = False) -> None:
    """Refuse, with a ShapeError, images or targets that the network cannot take, wherever they stand, and minibatches
    (an epoch's last one may be smaller) that it cannot learn from."""
    rest = 0 if drop_last else len(dataset.splits["train"]) % batch_size
    for count in {batch_size, rest or batch_size}:
        network.check_training(count)
    for name, split in dataset.splits.items():
        try:
            network.check_batch(*split.batch(slice(0, 1)))
            network.check_target(split.targets, len(split))
        except ShapeError as error:
            raise ShapeError(f"{dataset.name}/{name}: {error}") from None


def batches(images: int, batch_size: int, drop_last: bool = False) -> int:
    """Minibatches of an epoch."""
    return images // batch_size if drop_last else -(-images // batch_size)


def shifted(images: Array, by: Array) -> Array:
    """Images (N, C, H, W), the n-th moved by[0, n] rows down and by[1, n] columns to the right; zeros come in."""
    moved = np.zeros_like(images)
    height, width = images.shape[2:]
    for image, left, down, right in zip(images, moved, *by.tolist(), strict=True):
        left[:, max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)] = image[
            :, max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)
        ]
    return moved


def _check_index(key: Key, shape: tuple[int, ...], index: tuple[int, ...]) -> None:
    if len(index) != len(shape) or any(not 0 <= i < size for i, size in zip(index, shape, strict=True)):
        raise PlaceError(f"{key[0]}/{key[1]} has shape {list(shape)}, there is no index {list(index)} in it")


class Trainer:
    """Trains one network. One thread calls `step_once`; any thread may look at any time."""

    def __init__(
        self,
        network: Network,
        dataset: Dataset,
        optimizer: Optimizer,
        batch_size: int = 32,
        seed: int = 7,
        parameters: Mapping[str, Array] | None = None,
        history_bytes: int = 24 * 2**20,
        trace_bytes: int = 24 * 2**20,
        *,
        shuffle: bool = True,
        drop_last: bool = False,
        shift: int = 0,
    ):
        """`shuffle`: another order of the images in every epoch; `drop_last`: leave out an epoch's last minibatch where
        it is smaller; `shift`: move each image by up to so many pixels, up or down and to the side, zeros coming in."""
        if not 1 <= batch_size <= len(dataset.splits["train"]):
            raise ValueError(f"batch_size {batch_size}: expected 1 to {len(dataset.splits['train'])}")
        self.network = network
        self.dataset = dataset
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle, self.drop_last, self.shift = shuffle, drop_last, shift
        self.given = parameters is not None
        first = network.initial(seed) if parameters is None else network.parameters_from(parameters)
        state = {
            f"{name}.{part}": array for name in network.learned for part, array in optimizer.start(first[name]).items()
        }
        self._optimizers = [(1, optimizer)]  # from which update on
        self._state = State(0, first, state)
        self._before = self._state
        self.backend = backend_of(network, dataset)
        self._pass_of = (0, Pass(0.0, None))  # what came of the last step
        self._snapshots: OrderedDict[int, State] = OrderedDict({0: self._state})
        self._interval = 1
        work = max(1.0, 3 * batch_size * network.work)
        self._longest = min(REPLAY_STEPS, REPLAY_SECONDS * self.backend.pace / work)
        self._capacity = min(SNAPSHOTS, max(LEAST_KEPT, history_bytes // max(1, self._state.nbytes)))
        self._traces: OrderedDict[int, Trace] = OrderedDict()
        self._trace_bytes = trace_bytes
        self._orders: dict[int, Array] = {}
        self._lock = threading.Lock()
        check_dataset(network, dataset, batch_size, drop_last)

    # time -----------------------------------------------------------------------------------------------------------

    @property
    def step(self) -> int:
        """Finished updates."""
        return self._state.step

    @property
    def steps_per_epoch(self) -> int:
        return batches(len(self.dataset.splits["train"]), self.batch_size, self.drop_last)

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return self.step // self.steps_per_epoch

    @property
    def position(self) -> int:
        """Images seen in this epoch."""
        return min(self.step % self.steps_per_epoch * self.batch_size, len(self.dataset.splits["train"]))

    @property
    def parameters(self) -> dict[str, Array]:
        """Read-only, of the last finished step."""
        views = {name: array.view() for name, array in self._state.parameters.items()}
        for view in views.values():
            view.flags.writeable = False
        return views

    @property
    def optimizer(self) -> Optimizer:
        return self._optimizers[-1][1]

    @property
    def learning_rate(self) -> float:
        return float(self.optimizer.options["learning_rate"])

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        """Takes effect with the next step; replays keep to what was in force then."""
        with self._lock:
            following = self._state.step + 1
            earlier = [each for each in self._optimizers if each[0] < following]
            self._optimizers = [*earlier, (following, self.optimizer.with_rate(value))]

    def _optimizer_at(self, step: int) -> Optimizer:
        """The optimizer that made, or would make, the `step`-th update, with the network's slip where it has one."""
        found = next(optimizer for first, optimizer in reversed(self._optimizers) if first <= max(1, step))
        return self.network.slip.optimizer(found) if self.network.slip else found

    def checkpoint(self) -> Checkpoint:
        """Of this moment. Its arrays never change, so it costs next to nothing."""
        with self._lock:
            return Checkpoint(self._before, self._state, tuple(self._optimizers))

    @property
    def snapshots(self) -> tuple[State, ...]:
        """From which earlier steps are had again, oldest first."""
        with self._lock:
            return tuple(self._snapshots.values())

    def restore(self, checkpoint: Checkpoint, snapshots: Iterable[State] = ()) -> None:
        """Go on from a checkpoint of an equal trainer, bit for bit as that one would have. The history is that of the
        `snapshots` it had then; without them it begins there, or with the first step where that is near."""
        with self._lock:
            self._before, self._state = checkpoint.before, checkpoint.state
            self._optimizers = list(checkpoint.optimizers)
            self._pass_of = (0, Pass(0.0, None))
            near = [self._snapshots[0]] if 0 in self._snapshots and self._state.step <= self._longest else []
            kept = {state.step: state for state in (*(snapshots or near), self._before, self._state)}
            self._snapshots = OrderedDict(sorted(kept.items()))
            self._traces.clear()

    @property
    def least_bytes(self) -> int:
        """Of what is always kept: the fewest states to look back to, the one before the last step and the last."""
        return (LEAST_KEPT + 2) * self._state.nbytes

    @property
    def nbytes(self) -> int:
        """Of all that is kept for looking back."""
        with self._lock:
            states = [*self._snapshots.values(), self._before, self._state]
            return sum(state.nbytes for state in states) + sum(trace.nbytes for trace in self._traces.values())

    # steps ----------------------------------------------------------------------------------------------------------

    def indices(self, step: int) -> Array:
        """Which training images the `step`-th update learns from, counted from 1."""
        epoch, place = divmod(step - 1, self.steps_per_epoch)
        order = self._order(epoch)
        return order[place * self.batch_size : (place + 1) * self.batch_size].astype(np.int64)

    def _order(self, epoch: int) -> Array:
        """The order of the training images in an epoch; those of the last two that were asked for are kept."""
        orders = self._orders
        if epoch not in orders:
            order = np.arange(len(self.dataset.splits["train"]))
            if self.shuffle:
                order = np.random.default_rng([self.seed, SHUFFLING, epoch]).permutation(len(order))
            order = order.astype(np.min_scalar_type(len(order)))  # a class has one of these each
            self._orders = orders = {**dict(list(orders.items())[-1:]), epoch: order}
        return orders[epoch]

    def _minibatch(self, step: int) -> tuple[Split, Array]:
        """What the `step`-th update learns from: images and the indices of its own among them."""
        split, indices = self.dataset.splits["train"], self.indices(step)
        if not self.shift:
            return split, indices
        rng = np.random.default_rng([self.seed, SHIFTING, step])
        images = shifted(split.images[indices], rng.integers(-self.shift, self.shift + 1, (2, len(indices))))
        return Split(images, split.targets[indices]), np.arange(len(indices))

    def _advance(self, state: State) -> tuple[State, Metrics, Pass]:
        """The state after one more update, what its minibatch gave, and the pass itself. Training and replays go
        through here alone."""
        step = state.step + 1
        (split, indices), optimizer = self._minibatch(step), self._optimizer_at(step)
        passed = self.backend.learn(state.parameters, split, indices, draws(self.network, self.seed, step))
        if passed.gradient is None:
            after = update(self.network, optimizer, state, passed.values)
        else:
            after = State(step, *flat_update(optimizer, state.parameters, state.optimizer, passed.gradient, step))
        right = None if passed.right is None else passed.right / len(indices)
        return after, Metrics(step, passed.loss, right), passed

    def _tensors(self, state: State, known: Values) -> Values:
        """Every tensor of the pass that follows `state`, of which some are known: the rest is derived by the readable
        kernels from the same parameters, batch and masks."""
        step = state.step + 1
        if ("loss", "y") in known:
            values = dict(known)
            self.network.image_gradient(state.parameters, values, training=True)
            return values
        split, indices = self._minibatch(step)
        x, target = split.batch(indices)
        values = self.network.forward(state.parameters, x, target, draws(self.network, self.seed, step))
        self.network.backward(state.parameters, values, training=True)
        return values | known

    def step_once(self) -> Metrics:
        """Learn from the next minibatch."""
        state, metrics, passed = self._advance(self._state)
        with self._lock:
            self._before, self._state = self._state, state
            first = not self._pass_of[0]
            self._pass_of = (state.step, passed)
            self._keep(state)
        if first:
            put_compiler_away()
        return metrics

    def _keep(self, state: State) -> None:
        """Remember every `interval`-th state. When there is no more room, every second one goes, until a replay would
        become too long; then the oldest go."""
        if state.step % self._interval:
            return
        self._snapshots[state.step] = state
        self._thin()

    def _thin(self) -> None:
        while len(self._snapshots) > self._capacity:
            if 2 * self._interval <= self._longest:
                self._interval *= 2
                for step in [step for step in self._snapshots if step % self._interval]:
                    del self._snapshots[step]
            else:
                self._snapshots.popitem(last=False)

    def keep_within(self, history_bytes: int, trace_bytes: int) -> None:
        """Bounds of what is kept for looking back, from now on; what is beyond them goes. Four states stay."""
        with self._lock:
            self._capacity = min(SNAPSHOTS, max(LEAST_KEPT, history_bytes // max(1, self._state.nbytes)))
            self._trace_bytes = trace_bytes
            self._thin()
            self._forget_traces()

    def _forget_traces(self) -> None:
        """The oldest go; the newest stays where anything may."""
        least = min(1, self._trace_bytes)
        while len(self._traces) > least and sum(kept.nbytes for kept in self._traces.values()) > self._trace_bytes:
            self._traces.popitem(last=False)

    # looking --------------------------------------------------------------------------------------------------------

    @property
    def history(self) -> tuple[int, int]:
        """The first and the last step whose trace can be had."""
        with self._lock:
            first = next(iter(self._snapshots))
            return (first + 1 if first else 0, self._state.step)

    def _state_at(self, step: int) -> State:
        """The state after `step` updates, replayed from the nearest snapshot before it."""
        with self._lock:
            kept = {**self._snapshots, self._before.step: self._before, self._state.step: self._state}
            nearest = max((each for each in kept if each <= step), default=None)
            if nearest is None or step > self._state.step:
                raise HistoryError(f"step {step} is outside the history, {min(kept)} to {self._state.step}")
            state = kept[nearest]
        while state.step < step:
            state = self._advance(state)[0]
        return state

    def at_hand(self, step: int) -> bool:
        """Whether a step's trace has been derived already."""
        return step in self._traces

    def trace(self, step: int) -> Trace:
        """The pass whose update was the `step`-th; step 0 is the first minibatch's pass without its update."""
        first, last = self.history
        if not first <= step <= last:
            raise HistoryError(f"step {step} is outside the history, {first} to {last}")
        with self._lock:
            if step in self._traces:
                self._traces.move_to_end(step)
                return self._traces[step]
            (known, passed), before, after = self._pass_of, self._before, self._state
        if not step or step != known:
            before = self._state_at(max(0, step - 1))
            after, _, passed = self._advance(before)
        values = self._tensors(before, passed.values)
        optimizer = self._optimizer_at(step)
        trace = Trace(
            self.network,
            values,
            before.parameters,
            step=step,
            training=True,
            optimizer=optimizer if step else None,
            state=before.optimizer if step else {},
            update=step,
            moved=after.parameters if step else {},
            left=after.optimizer if step else {},
            previous=step - 1 if step > 1 else None,
            origin=None if self.given else self.seed,
        )
        with self._lock:
            self._traces[step] = trace
            self._forget_traces()
        return trace

    def trace_of(self, x: Array, target: Array, step: int | None = None, edits: Sequence[Edit] = ()) -> Trace:
        """Images (N, C, H, W) and their targets through the parameters left by update `step` (default: the last):
        forward, backward and the update that they would make. Nothing is learned, nothing dropped out. `edits` sets
        numbers by hand first; PlaceError where one does not fit."""
        state = self._state if step is None else self._state_at(step)
        optimizer = self._optimizer_at(state.step + 1)
        by_hand = edited(self.network, edits, len(x))
        state = State(state.step, by_hand.parameters(state.parameters), state.optimizer)
        x = by_hand(("input", "y"), np.ascontiguousarray(x, np.float32))
        values = self.network.forward(state.parameters, x, target, edits=by_hand.results)
        self.network.backward(state.parameters, values, training=False)
        after = update(self.network, optimizer, state, values)
        made = state.step
        return Trace(
            self.network,
            values,
            state.parameters,
            by_hand=by_hand,
            step=made,
            training=False,
            optimizer=optimizer,
            state=state.optimizer,
            update=made + 1,
            moved=after.parameters,
            left=after.optimizer,
            previous=made or None,
            origin=None if self.given else self.seed,
        )

    def series(self, key: Key, index: tuple[int, ...], points: int, first: int = 0, last: int | None = None) -> Series:
        """A parameter, its gradient or its optimizer's state by step, as traces of these steps have them (`w` is what
        the step's forward pass read): at most so many steps, evenly chosen where they are near a snapshot, the
        newest always; thinned, never interpolated. HistoryError outside the history, PlaceError for other tensors."""
        _check_index(key, self._series_shape(key), index)
        steps, values = [], []
        for step, state in self._states(points, first, last, before=True):
            if step or "/".join(key) in state.parameters or "/".join(key) in state.optimizer:
                steps.append(step)
                values.append(self._number(state, key, index))
        return Series(steps, values)

    def _series_shape(self, key: Key) -> tuple[int, ...]:
        layer, tensor = key
        state, name = self._state, f"{layer}/{tensor.removesuffix('_next')}"
        if name in state.parameters or name in state.optimizer:
            return (state.parameters if name in state.parameters else state.optimizer)[name].shape
        if tensor.startswith("d") and f"{layer}/{tensor[1:]}" in self.network.learned:
            return state.parameters[f"{layer}/{tensor[1:]}"].shape
        raise PlaceError(f"{layer}/{tensor} belongs to no parameter; of other tensors, name a pass")

    def series_of(
        self,
        x: Array,
        target: Array,
        key: Key,
        index: tuple[int, ...],
        points: int,
        first: int = 0,
        last: int | None = None,
    ) -> Series:
        """The same of any tensor of an image's pass through the parameters that each step left."""
        steps, values = [], []
        for step, _ in self._states(points, first, last, before=False):
            trace = self.trace_of(x, target, step)
            if key not in trace:
                raise PlaceError(f"a pass has no tensor {key[0]}/{key[1]}")
            _check_index(key, trace[key].shape, index)
            steps.append(step)
            values.append(float(trace[key][index]))
        return Series(steps, values)

    def _number(self, state: State, key: Key, index: tuple[int, ...]) -> float:
        if key[1].endswith("_next"):
            state, key = self._advance(state)[0], (key[0], key[1].removesuffix("_next"))
        name = "/".join(key)
        if name in state.parameters:
            return float(state.parameters[name][index])
        if name in state.optimizer:
            return float(state.optimizer[name][index])
        return float(self._advance(state)[2].values[key][index])

    def _states(self, points: int, first: int, last: int | None, before: bool) -> Iterator[tuple[int, State]]:
        """Steps and the states before (or after) their updates, oldest first, each replayed from the nearest that is
        at hand."""
        low, high = self.history
        first, last = max(first, low), high if last is None else min(last, high)
        if first > last:
            raise HistoryError(f"steps {first} to {last} are outside the history, {low} to {high}")
        with self._lock:
            kept = {**self._snapshots, self._before.step: self._before, self._state.step: self._state}
        back = 1 if before else 0
        near = sorted({min(max(step + back, first), last) for step in kept if first <= step + back <= last} | {last})
        if last - first < max(points, len(near)) or last - first <= 2 * self._longest:
            near = list(range(first, last + 1))
        chosen = [near[k] for k in np.unique(np.linspace(0, len(near) - 1, min(points, len(near))).round().astype(int))]
        state = None
        for step in chosen:
            wanted = max(0, step - back)
            nearest = max((each for each in kept if each <= wanted), default=None)
            if nearest is None:
                raise HistoryError(f"step {step} is outside the history, {low} to {high}")
            if state is None or state.step < nearest or state.step > wanted:
                state = kept[nearest]
            while state.step < wanted:
                state = self._advance(state)[0]
            yield step, state

    def parameters_at(self, step: int | None = None, edits: Sequence[Edit] = ()) -> dict[str, Array]:
        """The parameters that update `step` left (default: the last), with numbers set by hand. PlaceError for an edit
        of anything else."""
        state = self._state if step is None else self._state_at(step)
        for edit in edits:
            if f"{edit.place.layer}/{edit.place.tensor}" not in state.parameters:
                raise PlaceError(f"{edit.place} is no parameter")
        return edited(self.network, edits).parameters(state.parameters)

    def loss_after(self, trace: Trace) -> float | None:
        """The loss of a pass's own images through the parameters that its update would leave; None without one."""
        if trace.optimizer is None:
            return None
        after = {}
        for name in self._state.parameters:
            layer, tensor = name.split("/")
            moved = (layer, f"{tensor}_next")
            after[name] = trace[moved if moved in trace else (layer, tensor)]
        values = self.network.forward(after, trace["input", "y"], trace["target", "y"])
        return float(values["loss", "y"])

    def trouble(self) -> Trouble | None:
        """What is wrong with the pass of the last minibatch through the parameters before its update, if anything is:
        the first tensor, in the order of time, with a number that is not finite; else the first layer whose answer is
        all zero though what it reads is not, and before which no gradient arrives."""
        step, state = self._state.step, self._before
        split, indices = self._minibatch(max(1, step))
        x, target = split.batch(indices)
        with np.errstate(all="ignore"):
            values = self.network.forward(state.parameters, x, target)
        finite = [array[np.isfinite(array)] for array in state.parameters.values()]
        largest = max((float(np.abs(array).max()) for array in finite if array.size), default=0.0)
        for name, array in state.parameters.items():
            if not np.isfinite(array).all():
                layer, tensor = name.split("/")
                return Trouble("diverged", layer, tensor, step - 1, largest)
        for (layer, tensor), array in values.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                return Trouble("diverged", layer, tensor, step, largest)
        for name, found in self.network.layers.items():
            read = any(values[source, "y"].any() for source in found.inputs)
            if read and not values[name, "y"].any() and self._nothing_reaches(name, state, values):
                return Trouble("dead", name, "y", step, largest)
        return None

    def _nothing_reaches(self, name: str, state: State, values: Values) -> bool:
        """Whether the gradient of every parameter up to a layer is exactly zero, and there are such parameters."""
        with np.errstate(all="ignore"):
            self.network.backward(state.parameters, values, training=False)
        names = list(self.network.layers)
        before = names[: names.index(name) + 1]
        gradients = [
            values[layer, f"d{tensor}"]
            for layer in before
            for tensor in self.network.layers[layer].learned
            if (layer, f"d{tensor}") in values
        ]
        return bool(gradients) and not any(gradient.any() for gradient in gradients)

    def predict(self, x: Array) -> tuple[Array, Values]:
        """The loss's reading of the last layer (probabilities, for cross-entropy), and every layer's y."""
        values = self.network.forward(self._state.parameters, np.ascontiguousarray(x, np.float32))
        answers = self.network.loss.op.answer(values[self.network.output, "y"])
        return answers, {key: value for key, value in values.items() if key[1] == "y"}

    def evaluate(self, split: str = "test", limit: int | None = None) -> tuple[float, float | None]:
        """Loss and accuracy over a split (or its first `limit` images) with the parameters of this moment, as if it
        were one batch: a loss that is a sum is added up."""
        slices = self.evaluation(split, limit)
        while True:
            try:
                next(slices)
            except StopIteration as end:
                found: tuple[float, float | None] = end.value
                return found

    def evaluation(self, split: str, limit: int | None = None) -> Generator[None, None, tuple[float, float | None]]:
        """The same, slice by slice, so that others have their turns between two: the value is returned at the end."""
        parameters, data = self._state.parameters, self.dataset.splits[split]
        count = len(data) if limit is None else min(limit, len(data))
        total, averaged, right = 0.0, 0, 0
        classes = True
        for start in range(0, count, self.backend.slice):
            indices = np.arange(start, min(start + self.backend.slice, count))
            judged = self.backend.evaluate(parameters, data, indices)
            counted = self.network.loss.op.averaged(data.targets[indices])
            if counted != 0:
                total += judged.loss * (counted or 1)
            averaged += counted or 0
            classes = classes and judged.right is not None
            right += judged.right or 0
            yield
        return total / (averaged or 1), right / count if classes else None
