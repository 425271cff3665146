"""The fast path gives what the readable kernels give, in float64, whatever the geometry, the batch and the threads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine import backends
from engine.backends import Fast, Readable, backend_of
from engine.data import Split, from_arrays
from engine.fast import pointwise as cells_of
from engine.fast import step
from engine.fast import thread_pool as pools
from engine.fast.activation import CURVES
from engine.fast.flat_params import BufferPool
from engine.fast.plan import SHARDS
from engine.fast.simd import LANES
from engine.fast.step import CONV, WINOGRAD
from engine.fast.winograd import POINTS, matrices
from engine.kernels import _sources
from engine.layers import NetworkError
from engine.models import MODELS
from engine.network import Network, Values
from engine.ops.base import Array, ShapeError
from engine.optimizers import OPTIMIZERS
from engine.train import draws
from tests.engine.tools import digits, network, trainer

DIRECT, WINOGRADS = 1e-6, 1e-5
SEED = 5
DIGITS = digits()
few = settings(max_examples=40, deadline=None)
small = st.integers(1, 3)
pair = st.tuples(small, small).map(list)


def batch_for(net: Network, count: int, seed: int = 3) -> Split:
    rng = np.random.default_rng(seed)
    classes = net.layers[net.output].shape[0]
    return Split(rng.normal(size=(count, *net.input_shape)).astype(np.float32), rng.integers(0, classes, count))


def fast_of(net: Network) -> Fast:
    path = backend_of(net, from_arrays(*vars(batch_for(net, 1)).values()))
    assert isinstance(path, Fast), path.reason
    return path


def exact(net: Network, parameters: Mapping[str, Array], split: Split, dtype: type) -> Values:
    """A learning pass by the readable kernels."""
    x, target = split.batch(slice(None), dtype)
    numbers: dict[str, Array] = {name: array.astype(dtype) for name, array in parameters.items()}
    values = net.forward(numbers, x, target, draws(net, SEED, 1))
    net.backward(numbers, values, training=True)
    return values


def distances(net: Network, split: Split, of_layer: bool = False) -> tuple[float, float]:
    """The largest difference of a parameter's gradient from float64, in parts of its tensor's largest (or its layer's):
    that of the fast path, and that of the readable kernels in float32."""
    parameters = net.initial(SEED)
    passed = fast_of(net).learn(parameters, split, np.arange(len(split)), draws(net, SEED, 1))
    values, rough = exact(net, parameters, split, np.float64), exact(net, parameters, split, np.float32)
    assert passed.loss == pytest.approx(float(values["loss", "y"]), rel=1e-6, nan_ok=True)
    assert passed.right == np.count_nonzero(values[net.output, "y"].argmax(1) == split.targets)
    largest = {
        key: max(
            float(np.abs(values[other]).max())
            for other in passed.values
            if other == key or (of_layer and other[0] == key[0])
        )
        for key in passed.values
    }
    fast, readable = (
        max(float(np.abs(found[key] - values[key]).max()) / max(largest[key], 1e-30) for key in passed.values)
        for found in (passed.values, rough)
    )
    return fast, readable


def agrees(net: Network, count: int) -> bool:
    """Within a few times DIRECT, or as good as float32 is: the one number of a small tensor may itself be what is left
    of much larger terms."""
    fast, readable = distances(net, batch_for(net, count), of_layer=True)
    return fast <= max(4 * DIRECT, 4 * readable)


@pytest.fixture
def threads() -> Iterator[Any]:
    """use_threads, for this test alone."""
    before = pools.thread_pool().size
    yield pools.use_threads
    pools.use_threads(before)


@pytest.mark.parametrize("name", ["classroom", "lenet5"])
@pytest.mark.parametrize("count", [1, 3, LANES, LANES + 5, 3 * LANES])
def test_the_gradients_of_a_preset_are_those_of_float64(name: str, count: int) -> None:
    net = Network.from_document(MODELS[name].document)
    train = digits(count, seed=count).splits["train"]
    assert distances(net, train)[0] <= DIRECT


@few
@given(
    stride=pair,
    padding=st.one_of(
        st.integers(0, 2),
        st.sampled_from(["valid", "same", "full"]),
        st.lists(st.integers(0, 2), min_size=4, max_size=4),
    ),
    dilation=pair,
    groups=small,
    flip=st.booleans(),
    bias=st.booleans(),
    channels=small,
    share=small,
    out=st.integers(1, 3),
    kernel=pair,
    plane=st.tuples(st.integers(3, 9), st.integers(3, LANES + 5)),
    relu=st.booleans(),
    rounding=st.sampled_from(["exact", "floor"]),
    batch=st.sampled_from([1, 5, LANES + 1]),
)
def test_a_convolution_of_any_geometry_sends_back_what_the_readable_one_does(
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    flip: bool,
    bias: bool,
    channels: int,
    share: int,
    out: int,
    kernel: Any,
    plane: Any,
    relu: bool,
    rounding: str,
    batch: int,
) -> None:
    """The second of two convolutions: its dx reaches the first one's weights."""
    layers: list[dict[str, Any]] = [
        {"op": "conv2d", "out": groups * channels, "kernel_size": 2},
        {
            "op": "conv2d",
            "out": groups * share,
            "kernel_size": kernel,
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "groups": groups,
            "flip_kernel": flip,
            "rounding": rounding,
            "bias": bias,
        },
        *([{"op": "relu"}] if relu else []),
        {"op": "flatten"},
        {"op": "linear", "out": out + 1},
    ]
    try:
        net = network(*layers, input=(2, *plane))
    except NetworkError:
        assume(False)
    assert agrees(net, batch)


@few
@given(
    stride=pair,
    padding=st.one_of(st.integers(0, 2), st.sampled_from(["valid", "same"])),
    extra=st.tuples(st.integers(0, 1), st.integers(0, 1)).map(list),
    dilation=pair,
    groups=small,
    bias=st.booleans(),
    channels=small,
    share=small,
    kernel=pair,
    plane=st.tuples(st.integers(3, 6), st.integers(3, 6)),
    batch=st.sampled_from([1, LANES + 1]),
    before=st.sampled_from([[], [{"op": "relu"}], [{"op": "batch_norm"}, {"op": "tanh"}]]),
)
def test_a_transposed_convolution_of_any_geometry_sends_back_what_the_readable_one_does(
    stride: Any,
    padding: Any,
    extra: Any,
    dilation: Any,
    groups: int,
    bias: bool,
    channels: int,
    share: int,
    kernel: Any,
    plane: Any,
    batch: int,
    before: Any,
) -> None:
    layer = {
        "op": "conv_transpose2d",
        "out": groups * share,
        "kernel_size": kernel,
        "stride": stride,
        "padding": padding,
        "output_padding": extra,
        "dilation": dilation,
        "groups": groups,
        "bias": bias,
    }
    last: list[dict[str, Any]] = [{"op": "relu"}, {"op": "flatten"}, {"op": "linear", "out": 3}]
    first = {"op": "conv2d", "out": groups * channels, "kernel_size": 2}
    try:
        net = network(first, *before, layer, *last, input=(2, *plane))
        net.check_training(batch)
    except (NetworkError, ShapeError):
        assume(False)
    assert agrees(net, batch)


LARGER: dict[str, list[dict[str, Any]]] = {
    "upsampling": [{"op": "upsample2d", "scale": [2, 3]}, {"op": "conv2d", "out": 2, "kernel_size": 3}],
    "transposed twice": [
        {"op": "conv_transpose2d", "out": 3, "kernel_size": 2, "stride": 2},
        {"op": "conv_transpose2d", "out": 2, "kernel_size": 3, "stride": 2},
    ],
    "transposed after Winograd": [
        {"op": "conv2d", "out": 16, "kernel_size": 1},
        {"op": "conv2d", "out": 16, "kernel_size": 3, "padding": "full"},
        {"op": "conv_transpose2d", "out": 2, "kernel_size": 3, "stride": 2},
    ],
    "norm pool": [
        {"op": "conv2d", "out": 3, "kernel_size": 2},
        {"op": "lp_pool2d", "kernel_size": 2},
        {"op": "relu"},
        {"op": "lp_pool2d", "kernel_size": [1, 2], "stride": 1, "norm_type": 3.5},
    ],
    "norm pool of cut windows": [
        {"op": "tanh"},
        {"op": "conv2d", "out": 3, "kernel_size": 2},
        {"op": "lp_pool2d", "kernel_size": 3, "stride": 2, "norm_type": 1, "ceil_mode": True},
        {"op": "lp_pool2d", "kernel_size": 2, "norm_type": 0.5},
    ],
}


@pytest.mark.parametrize("name", LARGER)
@pytest.mark.parametrize("batch", [1, LANES + 3])
def test_maps_may_become_larger_or_be_pooled_by_a_norm(name: str, batch: int) -> None:
    first = {"op": "conv2d", "out": 3, "kernel_size": 1}
    net = network(first, *LARGER[name], {"op": "flatten"}, {"op": "linear", "out": 3}, input=(2, 8, 9))
    fast, readable = distances(net, batch_for(net, batch), of_layer=True)
    assert fast <= max(WINOGRADS if "Winograd" in name else 4 * DIRECT, 4 * readable)


def test_no_cell_is_computed_that_the_next_layers_windows_do_not_reach() -> None:
    """Of 26x26 and 11x11 values the two pools of "classroom" let through what comes of 24x24 and 10x10."""
    table = fast_of(Network.from_document(MODELS["classroom"].document)).plan.table
    assert [row["I"] for row in table if row["op"] == CONV] == [24, 10]


@few
@given(
    size=pair,
    stride=st.none() | pair,
    padding=st.integers(0, 1),
    dilation=pair,
    ceil=st.booleans(),
    relu=st.booleans(),
    plane=st.tuples(st.integers(4, 9), st.integers(4, 2 * LANES + 5)),
    batch=st.sampled_from([1, 5]),
)
def test_pooling_of_any_geometry_sends_each_delta_to_its_winner(
    size: Any, stride: Any, padding: int, dilation: Any, ceil: bool, relu: bool, plane: Any, batch: int
) -> None:
    layers: list[dict[str, Any]] = [
        {"op": "conv2d", "out": 2, "kernel_size": 2},
        *([{"op": "relu"}] if relu else []),
        {
            "op": "max_pool2d",
            "kernel_size": size,
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "ceil_mode": ceil,
        },
        {"op": "flatten"},
        {"op": "linear", "out": 3},
    ]
    try:
        net = network(*layers, input=(1, *plane))
    except NetworkError:
        assume(False)
    assert agrees(net, batch)


@pytest.mark.parametrize("width", [2, 2 * LANES, 2 * LANES + 3])
@pytest.mark.parametrize("relu", [False, True])
def test_pooling_by_halves_sends_each_delta_to_its_winner(width: int, relu: bool) -> None:
    net = network(
        {"op": "conv2d", "out": 2, "kernel_size": 3, "padding": "same"},
        *([{"op": "relu"}] if relu else []),
        {"op": "max_pool2d", "kernel_size": 2},
        {"op": "conv2d", "out": 2, "kernel_size": [1, 3], "padding": "full"},
        {"op": "flatten"},
        {"op": "linear", "out": 3},
        input=(1, 7, width),
    )
    assert agrees(net, 1) and agrees(net, 5)


@pytest.mark.parametrize(
    "layers",
    [
        [{"op": "flatten"}, {"op": "linear", "out": 37}, {"op": "relu"}, {"op": "linear", "out": 4, "bias": False}],
        [
            {"op": "relu"},
            {"op": "conv2d", "out": 3, "kernel_size": 3},
            {"op": "dropout"},
            {"op": "relu"},
            {"op": "flatten"},
            {"op": "dropout", "p": 0.3, "seed": 4},
            {"op": "linear", "out": 5},
        ],
        [
            {"op": "conv2d", "out": 5, "kernel_size": 1},
            {"op": "conv2d", "out": 4, "kernel_size": [1, 5]},
            {"op": "conv2d", "out": 7, "kernel_size": [4, 1]},
            {"op": "relu"},
            {"op": "relu"},
            {"op": "flatten"},
            {"op": "relu"},
            {"op": "linear", "out": 3},
        ],
        [
            {"op": "max_pool2d", "kernel_size": 2},
            {"op": "dropout", "p": 1},
            {"op": "flatten"},
            {"op": "linear", "out": 3},
        ],
        [
            {"op": "conv2d", "out": 3, "kernel_size": 2},
            {"op": "conv2d", "out": 2, "kernel_size": 2, "stride": [1, 2]},
            {"op": "flatten"},
            {"op": "linear", "out": 3},
        ],
    ],
    ids=["two linear layers", "dropout", "kernels of every shape", "nothing is kept", "strides across"],
)
@pytest.mark.parametrize("batch", [1, LANES + 3])
def test_every_op_of_the_table_sends_back_what_the_readable_one_does(layers: list[dict[str, Any]], batch: int) -> None:
    net = network(*layers, input=(2, 6, 7))
    assert agrees(net, batch)


def test_the_gradients_of_linear_layers_are_those_of_the_whole_batch_however_many_legs_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.fast.plan.KEPT", 1)
    net = network(
        {"op": "conv2d", "out": 3, "kernel_size": 3}, {"op": "flatten"}, {"op": "linear", "out": 4}, input=(1, 8, 7)
    )
    count = (SHARDS + 1) * LANES + 5
    assert fast_of(net).plan.rounds(-(-count // LANES)) == [(0, SHARDS), (SHARDS, 2)]
    assert agrees(net, count)


@pytest.mark.parametrize("before", [[], [{"op": "relu"}]], ids=["", "after a ReLU"])
@pytest.mark.parametrize(
    ("plane", "settings", "tile"),
    [
        ((12, 12), {}, 5),
        ((6, 11), {"padding": [1, 0, 0, 1], "flip_kernel": True}, 5),
        ((8, 7), {}, 0),
        ((4, 8), {"padding": "same", "bias": False}, 4),
        ((13, 8), {"padding": "full", "flip_kernel": True}, 5),
    ],
)
def test_winograds_convolution_sends_back_what_the_readable_one_does(
    plane: tuple[int, int], settings: dict[str, Any], tile: int, before: list[dict[str, Any]]
) -> None:
    net = network(
        {"op": "conv2d", "out": 2 * LANES, "kernel_size": 1},
        *before,
        {"op": "conv2d", "out": 21, "kernel_size": 3, **settings},
        {"op": "relu"},
        {"op": "flatten"},
        {"op": "linear", "out": 3},
        input=(2, *plane),
    )
    table = fast_of(net).plan.table
    assert [row["m"] for row in table if row["op"] == WINOGRAD] == ([tile] if tile else [])
    assert distances(net, batch_for(net, LANES + 3))[0] <= WINOGRADS
    assert agrees(net, 1), "an image by itself goes without the transforms"


@pytest.mark.parametrize("m", sorted(POINTS))
def test_the_matrices_of_every_tile_are_a_correlation(m: int) -> None:
    n = m + 2
    a, b, g = matrices(m)
    x, w = np.random.default_rng(m).normal(size=n), np.random.default_rng(m).normal(size=3)
    assert a @ ((g @ w) * (b @ x)) == pytest.approx(np.correlate(x, w), abs=1e-13)


@pytest.mark.parametrize(
    "layers",
    [
        [{"op": "conv2d", "out": 2, "kernel_size": 2}, {"op": "relu"}],
        [{"op": "conv2d", "out": 2, "kernel_size": 2}, {"op": "relu"}, {"op": "max_pool2d", "kernel_size": 2}],
        [{"op": "conv2d", "out": 2, "kernel_size": 2}, {"op": "relu"}, {"op": "max_pool2d", "kernel_size": 3}],
        [{"op": "conv2d", "out": 2, "kernel_size": 2}, {"op": "dropout", "p": 0}, {"op": "relu"}],
        [{"op": "flatten"}, {"op": "linear", "out": 5}, {"op": "relu"}],
    ],
    ids=["convolution", "halves", "pool", "alone", "linear"],
)
@pytest.mark.parametrize("batch", [1, 5])
def test_a_relu_sends_nothing_back_where_it_is_given_exactly_zero(layers: list[dict[str, Any]], batch: int) -> None:
    """PyTorch's convention, on both paths."""
    net = network(*layers, {"op": "flatten"}, {"op": "linear", "out": 3}, input=(1, 7, 7))
    first, split = next(layer.name for layer in net.layers.values() if layer.parameters), batch_for(net, batch)
    parameters = {name: array * (name.split("/")[0] != first) for name, array in net.initial(SEED).items()}
    fast = fast_of(net).learn(parameters, split, np.arange(batch), draws(net, SEED, 1)).values
    for found in (fast, exact(net, parameters, split, np.float32)):
        assert not found[first, "dw"].any() and not found[first, "db"].any()


@pytest.mark.parametrize(
    "pool",
    [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2}, {"kernel_size": [1, 3]}],
    ids=["halves", "overlapping", "side by side"],
)
@pytest.mark.parametrize("batch", [1, 5])
def test_of_equal_values_the_first_of_a_window_alone_is_sent_its_delta(pool: dict[str, Any], batch: int) -> None:
    """The convolution hands on the first channel, of few different values; the second one's weights hear which won."""
    net = network(
        {"op": "conv2d", "out": 2, "kernel_size": 1},
        {"op": "max_pool2d", **pool},
        {"op": "flatten"},
        {"op": "linear", "out": 3},
        input=(2, 8, 2 * LANES + 7),
    )
    split = batch_for(net, batch)
    split.images[:, 0] = np.round(split.images[:, 0])
    parameters = {**net.initial(SEED), "conv2d1/w": np.array([1, 0, 1, 0], np.float32).reshape(2, 2, 1, 1)}
    found = fast_of(net).learn(parameters, split, np.arange(batch), draws(net, SEED, 1)).values
    values = exact(net, parameters, split, np.float64)
    for name in ("dw", "db"):
        expected = values["conv2d1", name]
        assert np.abs(found["conv2d1", name] - expected).max() <= 4 * DIRECT * np.abs(expected).max()


@pytest.mark.parametrize("settings", [{"label_smoothing": 0.2}, {"reduction": "sum"}, {"ignore_index": 1}])
def test_the_settings_of_the_loss_are_kept_to(settings: dict[str, Any]) -> None:
    net = network({"op": "flatten"}, {"op": "linear", "out": 4}, loss={"op": "cross_entropy", "settings": settings})
    assert agrees(net, 1) and agrees(net, LANES + 3)


def test_a_batch_in_which_every_target_is_ignored_has_no_mean_and_moves_nothing() -> None:
    settings = {"ignore_index": 2, "label_smoothing": 0.1}
    net = network({"op": "flatten"}, {"op": "linear", "out": 4}, loss={"op": "cross_entropy", "settings": settings})
    images = batch_for(net, 5).images
    passed = fast_of(net).learn(net.initial(SEED), Split(images, np.full(5, 2)), np.arange(5), draws(net, SEED, 1))
    assert np.isnan(passed.loss) and not any(array.any() for array in passed.values.values())


@pytest.mark.parametrize(
    ("loss", "settings"),
    [
        ("cross_entropy", {"label_smoothing": 0.3}),
        ("mse_loss", {}),
        ("mse_loss", {"reduction": "sum"}),
        ("mse_loss", {"reduction": "half_sum"}),
        ("bce_with_logits", {}),
        ("bce_with_logits", {"reduction": "sum"}),
    ],
)
@pytest.mark.parametrize("batch", [1, LANES + 3])
@pytest.mark.parametrize("one_hot", [False, True])
def test_targets_may_be_numbers_for_every_output(
    loss: str, settings: dict[str, Any], batch: int, one_hot: bool
) -> None:
    net = network({"op": "flatten"}, {"op": "linear", "out": 4}, loss={"op": loss, "settings": settings})
    rng = np.random.default_rng(8)
    shares = rng.uniform(size=(batch, 4)).astype(np.float32)
    targets = np.eye(4, dtype=np.int64)[rng.integers(0, 4, batch)] if one_hot else shares / shares.sum(1, keepdims=True)
    split, parameters = Split(batch_for(net, batch).images, targets), net.initial(SEED)
    passed = fast_of(net).learn(parameters, split, np.arange(batch), draws(net, SEED, 1))
    values = exact(net, parameters, split, np.float64)
    assert passed.loss == pytest.approx(float(values["loss", "y"]), rel=1e-6, nan_ok=True)
    assert passed.right == (
        np.count_nonzero(values[net.output, "y"].argmax(1) == targets.argmax(1)) if one_hot else None
    )
    for key, found in passed.values.items():
        assert np.abs(found - values[key]).max() <= DIRECT * np.abs(values[key]).max()


@pytest.mark.parametrize("batch", [1, LANES + 3])
def test_every_value_of_a_map_may_have_a_target(batch: int) -> None:
    """As an image that is to be drawn again."""
    net = network(
        {"op": "conv2d", "out": 3, "kernel_size": 3, "padding": 1},
        {"op": "tanh"},
        {"op": "conv2d", "out": 2, "kernel_size": 3, "padding": 1, "stride": [2, 1]},
        input=(2, 6, 7),
        loss="mse_loss",
    )
    rng = np.random.default_rng(8)
    images, targets = (rng.normal(size=(batch, *shape)).astype(np.float32) for shape in ((2, 6, 7), (2, 3, 7)))
    split, parameters = Split(images, targets), net.initial(SEED)
    passed = fast_of(net).learn(parameters, split, np.arange(batch), draws(net, SEED, 1))
    values = exact(net, parameters, split, np.float64)
    assert passed.right is None and passed.loss == pytest.approx(float(values["loss", "y"]), rel=1e-6)
    for key, found in passed.values.items():
        assert np.abs(found - values[key]).max() <= 2 * DIRECT * np.abs(values[key]).max()


ACTIVATIONS: dict[str, dict[str, Any]] = {name: {} for name in CURVES} | {
    "leaky_relu": {"negative_slope": 0.2},
    "elu": {"alpha": 0.7},
    "softmax": {},
    "log_softmax": {},
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("batch", [1, LANES + 3])
def test_every_activation_sends_back_what_the_readable_one_does(name: str, batch: int) -> None:
    """On maps, wider than a vector and between strides, and on a flat row."""
    layer = {"op": name, **ACTIVATIONS[name]}
    net = network(
        {"op": "conv2d", "out": 3, "kernel_size": 2, "stride": [2, 1]},
        {**layer, "name": "a"},
        {"op": "conv2d", "out": 3, "kernel_size": 3, "padding": 1},
        {"op": "relu"},
        {**layer, "name": "b"},
        {"op": "flatten"},
        {"op": "linear", "out": 7},
        {**layer, "name": "c"},
        {"op": "linear", "out": 3},
        input=(2, 6, LANES + 3),
    )
    assert agrees(net, batch)


@pytest.mark.parametrize("axis", [1, 2, -1])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_shares_may_add_up_along_any_axis_of_an_image(name: str, axis: int) -> None:
    net = network(
        {"op": "conv2d", "out": 3, "kernel_size": 2},
        {"op": name, "axis": axis},
        {"op": "flatten"},
        {"op": "linear", "out": 3},
        input=(2, 5, 7),
    )
    assert agrees(net, 1) and agrees(net, LANES + 3)


NORMS: dict[str, list[dict[str, Any]]] = {
    "maps": [
        {"op": "conv2d", "out": 3, "kernel_size": 2, "stride": [2, 1], "bias": False},
        {"op": "batch_norm"},
        {"op": "relu"},
        {"op": "conv2d", "out": 4, "kernel_size": 3, "padding": 1},
        {"op": "batch_norm", "eps": 0.1, "momentum": 0.3},
        {"op": "sigmoid"},
    ],
    "a row": [
        {"op": "flatten"},
        {"op": "linear", "out": 7},
        {"op": "batch_norm"},
        {"op": "relu"},
        {"op": "linear", "out": 5},
        {"op": "batch_norm"},
    ],
    "the input": [{"op": "batch_norm"}, {"op": "conv2d", "out": 3, "kernel_size": 3}],
    "fixed": [
        {"op": "conv2d", "out": 3, "kernel_size": 2},
        {"op": "batch_norm", "training": False},
        {"op": "relu"},
        {"op": "conv2d", "out": 2, "kernel_size": 2},
        {"op": "batch_norm", "training": False},
    ],
    "groups": [
        {"op": "conv2d", "out": 6, "kernel_size": 2, "stride": [2, 1]},
        {"op": "group_norm", "groups": 3},
        {"op": "relu"},
        {"op": "conv2d", "out": 4, "kernel_size": 3, "padding": 1},
        {"op": "group_norm", "groups": 1, "eps": 0.1},
        {"op": "flatten"},
        {"op": "linear", "out": 6},
        {"op": "group_norm", "groups": 2},
    ],
    "given numbers": [
        {"op": "normalize", "mean": [0.1, -0.2], "deviation": [0.3, 2]},
        {"op": "conv2d", "out": 3, "kernel_size": 3, "padding": 1},
        {"op": "normalize", "mean": [0.5], "deviation": [0.25]},
        {"op": "relu"},
    ],
    "a shortcut": [
        {"op": "conv2d", "name": "a", "out": 3, "kernel_size": 3, "padding": 1},
        {"op": "batch_norm", "name": "an"},
        {"op": "relu", "name": "ar"},
        {"op": "conv2d", "name": "b", "out": 3, "kernel_size": 3, "padding": 1},
        {"op": "batch_norm", "name": "bn"},
        {"op": "add", "name": "s", "inputs": ["bn", "ar"]},
        {"op": "relu"},
    ],
}


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("batch", [2, LANES - 1, SHARDS * LANES + 3])
def test_a_norm_sends_back_what_the_readable_one_does_and_its_statistics_run(name: str, batch: int) -> None:
    net = network(*NORMS[name], {"op": "flatten"}, {"op": "linear", "out": 3}, input=(2, 6, 7))
    split = batch_for(net, batch)
    assert agrees(net, batch)
    parameters = net.initial(SEED)
    passed = fast_of(net).learn(parameters, split, np.arange(batch), draws(net, SEED, 1))
    values = exact(net, parameters, split, np.float64)
    unlearned = [name for name in net.parameter_shapes if name not in net.learned]
    for layer, tensor in (name.split("/") for name in unlearned):
        expected = values[layer, f"{tensor}_next"]
        assert np.abs(passed.values[layer, f"{tensor}_next"] - expected).max() <= DIRECT * np.abs(expected).max()


@pytest.mark.parametrize("name", ["small-resnet", "small-densenet", "small-mobilenet"])
def test_a_preset_with_batch_norm_agrees_with_the_readable_kernels(name: str) -> None:
    net = Network.from_document(MODELS[name].document)
    fast, readable = distances(net, digits(2 * LANES + 3).splits["train"], of_layer=True)
    assert fast <= max(4 * DIRECT, 4 * readable)


def test_a_run_with_batch_norm_goes_on_as_through_the_readable_kernels() -> None:
    """Parameters, running statistics and answers at rest."""
    runs = [trainer("small-resnet", batch_size=20) for _ in range(2)]
    runs[1].backend = Readable(runs[1].network, "to compare")
    metrics = [[run.step_once().loss for _ in range(4)] for run in runs]
    assert metrics[0] == pytest.approx(metrics[1], rel=1e-3)
    for name, array in runs[0].parameters.items():
        assert array == pytest.approx(runs[1].parameters[name], rel=2e-2, abs=2e-3), name
    assert runs[0].evaluate() == pytest.approx(runs[1].evaluate(), rel=1e-2)


def test_a_batch_whose_tensors_are_too_many_at_once_is_left_to_the_readable_kernels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, other = (trainer("small-resnet", batch_size=20) for _ in range(2))
    monkeypatch.setattr("engine.backends.TOGETHER", 1)
    other.backend = Readable(other.network, "to compare")
    assert [run.step_once() for _ in range(2)] == [other.step_once() for _ in range(2)]


@pytest.mark.parametrize(
    ("layers", "loss", "reason"),
    [
        ([{"op": "softmax", "axis": 0}], "cross_entropy", "softmax along the images"),
        (
            [{"op": "conv2d", "out": 1, "kernel_size": [6, 1]}, {"op": "add", "inputs": ["input", "conv2d1"]}],
            "cross_entropy",
            "adds different shapes",
        ),
    ],
)
def test_what_the_fast_path_does_not_know_is_left_to_the_readable_kernels_with_its_reason(
    layers: list[dict[str, Any]], loss: Any, reason: str
) -> None:
    net = network(*layers, {"op": "flatten"}, {"op": "linear", "out": 3}, loss=loss)
    split = batch_for(net, 4)
    path = backend_of(net, from_arrays(split.images, split.targets))
    assert isinstance(path, Readable) and reason in path.reason


@pytest.mark.parametrize(
    ("model", "batch"),
    [
        *(("lenet5", batch) for batch in (1, 3, 20, 96)),
        ("small-inception", 20),
        ("small-resnet", 50),
        ("small-resnet", 3),
    ],
)
def test_the_number_of_threads_changes_no_bit(threads: Any, model: str, batch: int) -> None:
    left = []
    for count in (1, 2, 3):
        threads(count)
        run = trainer(model, batch_size=batch)
        metrics = [run.step_once() for _ in range(8)]
        left.append((metrics, run.evaluate(), [array.tobytes() for array in run.parameters.values()]))
    assert left[0] == left[1] == left[2]


def test_what_a_batch_leaves_on_the_bench_reaches_no_other() -> None:
    net = Network.from_document(MODELS["lenet5"].document)
    used, split, parameters = fast_of(net), DIGITS.splits["train"], net.initial(SEED)
    for count in (LANES + 4, 1, LANES + 4):
        found = [path.learn(parameters, split, np.arange(count), draws(net, SEED, 1)) for path in (used, fast_of(net))]
        assert all(found[0].values[key].tobytes() == found[1].values[key].tobytes() for key in found[0].values)


def test_a_run_that_rests_holds_no_workspace_and_goes_on_as_one_that_did_not() -> None:
    free = backends._workspaces
    rested, other = trainer("lenet5", batch_size=20), trainer("lenet5", batch_size=20)
    assert isinstance(rested.backend, Fast) and isinstance(other.backend, Fast)
    for _ in range(3):
        assert rested.step_once() == other.step_once()
        assert [key for key, _ in free._free].count(rested.backend._key) == 1  # runs of equal networks share it
        rested.backend.release()
        assert free.take(other.backend._key) is None


def test_free_workspaces_have_a_bound_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    free = backends._Workspaces()
    monkeypatch.setattr(backends, "_workspaces", free)
    monkeypatch.setattr(backends, "WORKSPACES", 1)
    for model in ("classroom", "lenet5"):
        learner = trainer(model, batch_size=20)
        learner.step_once()
        assert isinstance(learner.backend, Fast) and [key for key, _ in free._free] == [learner.backend._key]


def test_the_memory_of_a_vector_is_used_again_when_nobody_looks_at_it_and_not_before() -> None:
    buffer_pool, size = BufferPool(), BufferPool.least
    vector = buffer_pool.take(size)
    part = vector[5:].reshape(-1, 1)
    del vector
    part[:] = 3
    other = buffer_pool.take(size)
    assert not np.shares_memory(part, other) and other.shape == (size,) and (part == 3).all()
    place = part.ctypes.data
    del part
    assert buffer_pool.take(size + 1)[5:].ctypes.data != place == buffer_pool.take(size)[5:].ctypes.data
    most = [buffer_pool.take(BufferPool.most // 2) for _ in range(3)]
    del most
    assert sum(room.size for room in buffer_pool._rooms) <= BufferPool.most


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_moves_flat_vectors_as_it_moves_arrays(name: str) -> None:
    run = trainer(optimizer={"name": name, "learning_rate": 0.01})
    assert isinstance(run.backend, Fast)
    for _ in range(3):
        run.step_once()
    trace = run.trace(3)
    for parameter in run.parameters:
        layer, tensor = parameter.split("/")
        state = {part: trace[layer, f"{tensor}.{part}"] for part in run.optimizer.state}
        moved, left = run.optimizer.update(trace[layer, tensor], trace[layer, f"d{tensor}"], state, 3)
        assert moved.tobytes() == run.parameters[parameter].tobytes()
        assert all(
            array.tobytes() == run.checkpoint().state.optimizer[f"{parameter}.{part}"].tobytes()
            for part, array in left.items()
        )


def test_a_watched_step_agrees_with_what_was_computed_to_rounding() -> None:
    """Its tensors are the readable kernels', its parameters' gradients the fast path's own."""
    run = trainer("lenet5", batch_size=20)
    for _ in range(30):
        found = run.step_once()
    trace = run.trace(30)
    assert found.loss == pytest.approx(float(trace["loss", "y"]), rel=1e-6)
    for layer in [layer for layer in run.network.layers.values() if layer.parameters]:
        given = {name: trace[layer.name, name] for name in (*layer.op.inputs, *layer.parameters, "dy")}
        read = layer.op.backward(given, tuple(f"d{name}" for name in layer.parameters))
        for name, gradient in read.items():
            assert np.abs(gradient - trace[layer.name, name]).max() <= DIRECT * np.abs(gradient).max()


def test_images_of_bytes_and_of_numbers_are_the_same_images() -> None:
    net = Network.from_document(MODELS["classroom"].document)
    bytes_, path = DIGITS.splits["train"], backend_of(net, DIGITS)
    numbers = Split(bytes_.images.astype(np.float64) / 255, bytes_.targets)
    parameters, indices = net.initial(1), np.array([5, 80, 3])
    found = [path.learn(parameters, split, indices, draws(net, 1, 1)) for split in (bytes_, numbers)]
    assert found[0].loss == found[1].loss
    assert all(found[0].values[key].tobytes() == found[1].values[key].tobytes() for key in found[0].values)


def test_a_mistake_in_a_helper_thread_reaches_the_caller() -> None:
    def task(worker: int) -> None:
        if worker == 1:
            raise ZeroDivisionError("in the helper")

    pool = pools.ThreadPool(2)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="in the helper"):
            pool.run(task, 2)
    pool.run(lambda worker: None, 2)


def test_the_step_is_compiled_anew_when_any_of_the_rooms_loops_change() -> None:
    room = {path.stem for path in Path(step.__file__).parent.glob("*.py")} - {
        "__init__",
        "flat_params",
        "plan",
        "thread_pool",
    }
    assert room <= {Path(source).stem for source in _sources(step.work.compiled.py_func, set())}


POOLS: list[dict[str, Any]] = [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2}, {"kernel_size": [1, 3]}]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "layers",
    [
        *([{"op": "max_pool2d", **pool}] for pool in POOLS),
        *([{"op": "conv2d", "out": 2, "kernel_size": 1}, {"op": "relu"}, {"op": "max_pool2d", **p}] for p in POOLS),
        [{"op": "relu"}],
        [{"op": "dropout"}],
        [{"op": "conv2d", "out": 2, "kernel_size": 3, "stride": 2}],
    ],
)
@pytest.mark.parametrize("batch", [1, LANES + 3])
def test_what_is_not_finite_goes_on_as_through_the_readable_kernels(
    layers: list[dict[str, Any]], value: float, batch: int
) -> None:
    """One pixel of one image; the deltas then reach the first convolution's weights, where they are all not finite."""
    net = network(
        {"op": "conv2d", "out": 2, "kernel_size": 1},
        *layers,
        {"op": "flatten"},
        {"op": "linear", "out": 3},
        input=(2, 7, 7),
    )
    split = batch_for(net, batch)
    split.images[0, 1, 2, 3] = value
    parameters = net.initial(SEED)
    passed = fast_of(net).learn(parameters, split, np.arange(batch), draws(net, SEED, 1))
    values = exact(net, parameters, split, np.float32)
    assert passed.right == np.count_nonzero(values[net.output, "y"].argmax(1) == split.targets)
    finite = {key: np.isfinite(array) for key, array in passed.values.items()}
    assert finite.items() and {key: found.tolist() for key, found in finite.items()} == {
        key: np.isfinite(values[key]).tolist() for key in finite
    }


@pytest.mark.parametrize("halves", [0, 1])
@pytest.mark.parametrize("lanes", [1, LANES])
def test_the_first_nan_of_a_window_wins_and_is_sent_its_delta(lanes: int, halves: int) -> None:
    """Two windows of 2x2; as the readable pool and PyTorch's answer."""
    x = np.array([[1, np.nan, -np.inf, -np.inf], [np.nan, 2, -np.inf, -np.inf]], np.float32)
    table, arena = np.zeros(1, step.ROW), np.zeros(64 * LANES, np.float32)
    row = table[0]
    for name, value in {"C": 1, "H": 2, "W": 4, "O": 1, "I": 1, "J": 2, "U": 2, "V": 2, "s": 2, "t": 2}.items():
        row[name] = value
    row["d"] = row["e"] = 1
    row["halves"] = halves
    for number, plane in enumerate(("x", "y", "dx", "dy")):
        row[f"{plane}_at"], row[f"{plane}_h"], row[f"{plane}_w"] = number * 16 * LANES, 8 * LANES, lanes
    cells = arena.reshape(4, 2, 8 * LANES)
    cells[0, :, : 4 * lanes] = np.repeat(x, lanes, axis=1)
    cells[3, 0, : 2 * lanes] = np.repeat([3, 5], lanes)
    forward, backward = (
        (cells_of.single_max_pool_forward, cells_of.single_max_pool_backward)
        if lanes == 1
        else (cells_of.max_pool_forward, cells_of.max_pool_backward)
    )
    forward(row, arena)
    backward(row, arena)
    assert np.array_equal(cells[1, 0, : 2 * lanes], np.repeat([np.nan, -np.inf], lanes), equal_nan=True)
    expected = np.repeat([[0, 3, 5, 0], [0, 0, 0, 0]], lanes, axis=1)
    assert np.array_equal(cells[2, :, : 4 * lanes], expected)


GRAPHS: dict[str, list[dict[str, Any]]] = {
    "a shortcut": [
        {"op": "conv2d", "name": "a", "out": 3, "kernel_size": 3, "padding": 1},
        {"op": "relu", "name": "r"},
        {"op": "conv2d", "name": "b", "out": 3, "kernel_size": 3, "padding": 1},
        {"op": "add", "name": "s", "inputs": ["r", "b"]},
        {"op": "relu"},
        {"op": "global_avg_pool"},
    ],
    "branches side by side": [
        {"op": "conv2d", "name": "a", "out": 3, "kernel_size": 1, "inputs": ["input"]},
        {"op": "conv2d", "name": "b", "out": 2, "kernel_size": 3, "padding": 1, "inputs": ["input"]},
        {"op": "max_pool2d", "name": "m", "kernel_size": 3, "stride": 1, "padding": 1, "inputs": ["input"]},
        {"op": "relu", "name": "r", "inputs": ["b"]},
        {"op": "concat", "name": "c", "inputs": ["a", "r", "m"]},
        {"op": "conv2d", "out": 4, "kernel_size": [2, 3], "stride": [2, 1]},
        {"op": "avg_pool2d", "kernel_size": 2, "stride": 1, "padding": 1, "count_include_pad": False},
    ],
    "read by its own reader too": [
        {"op": "conv2d", "name": "a", "out": 2, "kernel_size": 3},
        {"op": "concat", "name": "c", "inputs": ["a", "a"]},
        {"op": "concat", "name": "d", "inputs": ["c", "a", "c"]},
        {"op": "conv2d", "name": "e", "out": 3, "kernel_size": 3, "padding": 1, "inputs": ["d"]},
        {"op": "conv2d", "name": "f", "out": 3, "kernel_size": 1, "stride": 2, "inputs": ["d"]},
        {"op": "avg_pool2d", "name": "g", "kernel_size": 2, "ceil_mode": True, "inputs": ["e"]},
        {"op": "add", "name": "h", "inputs": ["f", "g"]},
        {"op": "add", "name": "i", "inputs": ["h", "h"]},
    ],
    "flat branches": [
        {"op": "flatten", "name": "n"},
        {"op": "linear", "name": "a", "out": 7},
        {"op": "relu", "name": "r"},
        {"op": "linear", "name": "b", "out": 7, "inputs": ["r"]},
        {"op": "add", "name": "s", "inputs": ["r", "b"]},
        {"op": "concat", "name": "c", "inputs": ["s", "n"]},
    ],
    "averages": [
        {"op": "avg_pool2d", "kernel_size": [2, 1], "stride": 1},
        {"op": "conv2d", "out": 3, "kernel_size": 2},
        {"op": "avg_pool2d", "kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
        {"op": "conv2d", "out": 3, "kernel_size": 2},
        {"op": "avg_pool2d", "kernel_size": 1, "divisor_override": -3},
        {"op": "global_max_pool"},
    ],
}


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("batch", [1, LANES + 3])
def test_a_graph_sends_back_what_the_readable_kernels_do(name: str, batch: int) -> None:
    net = network(*GRAPHS[name], {"op": "flatten"}, {"op": "linear", "out": 3}, input=(2, 6, 7))
    assert agrees(net, batch)


def test_inception_agrees_with_the_readable_kernels() -> None:
    net = Network.from_document(MODELS["small-inception"].document)
    assert distances(net, digits(LANES + 3).splits["train"])[0] <= WINOGRADS
