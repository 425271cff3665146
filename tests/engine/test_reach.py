"""What a number reaches and sees, and what did not matter, beside brute force in float64."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from engine.network import Key, Network, Values
from engine.ops import OPS
from engine.reach import inert, reach
from engine.trace import Place, PlaceError, Trace
from tests.engine.graphs import GRAPHS
from tests.engine.tools import around, network, trainer

#: A nudge that no gate or winner of these passes answers to, and whose effect float64 shows.
NUDGE = 1e-6


def pass_of(net: Network, training: bool = False, batch: int = 1, seed: int = 0) -> Trace:
    """A float64 pass of random images."""
    rng = np.random.default_rng(seed)
    parameters = net.initial(3, np.float64)
    x = rng.normal(size=(batch, *net.input_shape))
    shape = net.loss.op.target_shape((batch, *net.layers[net.output].shape))
    target = np.zeros(shape, np.int64) if len(shape) == 1 else rng.normal(size=shape)
    draws = (lambda layer: np.random.default_rng(5)) if training else None
    values = net.forward(parameters, x, target, draws)
    net.backward(parameters, values, training=training)
    return Trace(net, values, parameters, training=training)


@pytest.fixture(scope="module")
def classroom() -> Trace:
    """A trained classroom in float64, and the first test image."""
    run = trainer(batch_size=32)
    for _ in range(60):
        run.step_once()
    net, (x, target) = run.network, run.dataset.splits["test"].batch(slice(3, 4))
    parameters = {name: array.astype(np.float64) for name, array in run.parameters.items()}
    values = net.forward(parameters, x.astype(np.float64), target)
    net.backward(parameters, values, training=False)
    return Trace(net, values, parameters)


def moved(trace: Trace, place: Place, by: float) -> Values:
    net = trace.network
    draws = (lambda layer: np.random.default_rng(5)) if trace.training else None
    parameters = {name: trace[_key(name)].copy() for name in net.parameter_shapes}
    x = trace["input", "y"].copy()
    array = x if place.layer == "input" else parameters[f"{place.layer}/{place.tensor}"]
    array[place.index] += by
    return net.forward(parameters, x, trace["target", "y"], draws)


def _key(name: str) -> Key:
    layer, _, tensor = name.rpartition("/")
    return layer, tensor


def places(trace: Trace, count: int) -> Iterator[Place]:
    """Pixels and parameters at random."""
    rng = np.random.default_rng(1)
    keys = [("input", "y"), *(_key(name) for name in trace.network.learned)]
    for key in keys:
        for _ in range(count):
            yield Place(*key, tuple(int(rng.integers(n)) for n in trace[key].shape))


def wrong_cells(trace: Trace, place: Place) -> dict[Key, int]:
    """Cells of layers' outputs whose mask is not what moving the number shows."""
    found = reach(trace, place, "forward")
    base, after = moved(trace, place, 0.0), moved(trace, place, NUDGE)
    wrong = {}
    for key, values in base.items():
        if key[1] == "y" and key[0] not in ("input", "target", "loss"):
            mask = found[key].mask if key in found else np.zeros(values.shape, np.uint8)
            moves = values != after[key]
            # a number so far down that float64 rounds it away may stand still
            lost = (mask == 2) & ~moves & (np.abs(values) > 1e-3)
            count = np.count_nonzero(moves & (mask != 2)) + np.count_nonzero(lost)
            if count:
                wrong[key] = int(count)
    return wrong


def test_classroom_moves_where_moving_a_number_shows_it(classroom: Trace) -> None:
    assert not {str(place): wrong for place in places(classroom, 12) if (wrong := wrong_cells(classroom, place))}


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_a_graph_moves_where_moving_a_number_shows_it(graph: dict) -> None:
    trace = pass_of(Network.from_document(graph))
    assert not {str(place): wrong for place in places(trace, 3) if (wrong := wrong_cells(trace, place))}


@pytest.mark.parametrize("name", [op.name for op in OPS.values() if not op.is_loss])
def test_every_operator_carries_reach(name: str) -> None:
    """Forwards as moving shows it; backwards is the same relation, seen from the other end."""
    trace = pass_of(around(OPS[name]))
    pixel = Place("input", "y", (0, 0, 2, 3))
    assert not wrong_cells(trace, pixel)
    forward = reach(trace, pixel, "forward")
    for cell in np.argwhere(forward["last", "y"].mask)[:2]:
        back = reach(trace, Place("last", "y", tuple(map(int, cell))), "backward")
        assert back["input", "y"].mask[pixel.index] == forward["last", "y"].mask[tuple(cell)]


def test_a_pixel_reaches_the_windows_that_hold_it(classroom: Trace) -> None:
    found = reach(classroom, Place.parse("input/y/0,0,12,15"), "forward")
    assert (found["conv1", "y"].reachable, found["conv1", "y"].box) == (72, ((0, 0, 10, 13), (0, 7, 12, 15)))
    assert (found["pool1", "y"].reachable, found["conv2", "y"].reachable) == (32, 256)
    assert (found["loss", "y"].reachable, found["loss", "y"].box) == (1, ((), ()))


def test_a_weight_reaches_every_place_where_it_is_used(classroom: Trace) -> None:
    found = reach(classroom, Place.parse("conv2/w/3,2,0,1"), "forward")
    assert (found["conv2", "y"].reachable, found["conv2", "y"].mask[0, 3].size) == (121, 121)
    assert ("conv1", "y") not in found


def test_a_corner_weight_of_a_padded_convolution_misses_the_rim() -> None:
    net = network(
        {"op": "conv2d", "out": 1, "kernel_size": 3, "padding": 1}, {"op": "flatten"}, {"op": "linear", "out": 3}
    )
    found = reach(pass_of(net), Place.parse("conv2d1/w/0,0,0,0"), "forward")["conv2d1", "y"]
    assert (found.reachable, found.box) == (25, ((0, 0, 1, 1), (0, 0, 5, 5)))


def test_a_batch_norm_in_training_reaches_the_whole_batch() -> None:
    net = network({"op": "batch_norm"}, {"op": "flatten"}, {"op": "linear", "out": 3})
    place = Place.parse("input/y/1,0,2,2")
    training = reach(pass_of(net, training=True, batch=3), place, "forward")["batch_norm1", "y"]
    inference_op = reach(pass_of(net, batch=3), place, "forward")["batch_norm1", "y"]
    assert (training.reachable, inference_op.reachable) == (3 * 36, 1)


def test_a_gradient_sees_back_through_both_passes(classroom: Trace) -> None:
    found = reach(classroom, Place.parse("conv1/dw/0,0,1,1"), "backward")
    assert found["relu1", "dx"].reachable == 676
    assert found["input", "y"].mask[0, 0, 1, 1] and ("loss", "p") in found


def test_an_update_is_not_part_of_reach(classroom: Trace) -> None:
    with pytest.raises(PlaceError, match="no tensor"):
        reach(classroom, Place.parse("conv1/w_next/0,0,1,1"), "backward")


@pytest.mark.parametrize("name", ["input/y", "conv1/w", "conv1/b", "conv2/w"])
def test_nudging_what_is_inert_leaves_the_loss_as_it_was(classroom: Trace, name: str) -> None:
    """And what is not inert moves it."""
    key = _key(name)
    found = inert(classroom, key)
    base = classroom["loss", "y"]
    rng = np.random.default_rng(2)
    cells = [tuple(map(int, cell)) for cell in rng.permutation(np.argwhere(np.ones(found.mask.shape)))[:120]]
    wrong = []
    for cell in cells:
        moves = any(moved(classroom, Place(*key, cell), by)["loss", "y"] != base for by in (NUDGE, -NUDGE))
        if moves == bool(found.mask[cell]):
            wrong.append(cell)
    assert not wrong
    assert sum(found.reasons.values()) == found.mask.sum()


def test_a_rim_that_a_stride_leaves_unread_is_inert() -> None:
    net = network({"op": "max_pool2d", "kernel_size": 2, "stride": 3}, {"op": "flatten"}, {"op": "linear", "out": 3})
    found = inert(pass_of(net), ("input", "y"))
    assert found.mask[0, 0, 2].all() and found.mask[0, 0, :, 5].all()
    assert found.reasons["unread"] == 20 and found.reasons["not_maximum"] == 36 - 20 - 4


def test_a_tied_loser_is_not_inert() -> None:
    """Moved up, it wins."""
    net = network({"op": "max_pool2d", "kernel_size": 2}, {"op": "flatten"}, {"op": "linear", "out": 3})
    trace = pass_of(net)
    x = np.ones_like(trace["input", "y"])
    parameters = {name: trace[_key(name)] for name in net.parameter_shapes}
    values = net.forward(parameters, x, np.zeros(1, np.int64))
    net.backward(parameters, values, training=False)
    assert not inert(Trace(net, values, parameters), ("input", "y")).mask.any()


def test_what_no_gradient_flows_through_is_refused_with_the_reason() -> None:
    net = network(
        {"op": "conv2d", "out": 2, "kernel_size": 3},
        {"op": "batch_norm", "name": "norm"},
        {"op": "flatten"},
        {"op": "linear", "out": 3},
    )
    with pytest.raises(PlaceError, match="norm/running_mean is held still"):
        inert(pass_of(net), ("norm", "running_mean"))
