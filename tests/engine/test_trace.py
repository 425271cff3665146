"""Any number explains itself: the stored number, the terms that add up to it, and places that lead on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.formula import Explanation
from engine.network import Network
from engine.ops import OPS
from engine.ops.conv2d import Conv2d
from engine.ops.pool import MaxPool2d
from engine.trace import Place, PlaceError, Trace, explain
from engine.train import Trainer
from tests.engine.tools import around, digits, network, trainer

ROUNDING = 1e-5
KINDS = ("y", "dx", "dw", "db", "w_next", "b_next")


@pytest.fixture(scope="module")
def trained() -> Trainer:
    """Thirty float32 steps of classroom."""
    run = trainer(batch_size=4)
    for _ in range(30):
        run.step_once()
    return run


def places(trace: Trace, kinds: tuple[str, ...], count: int, seed: int = 0) -> Iterator[Place]:
    """Random places, `count` of each kind, where the kind is."""
    rng = np.random.default_rng(seed)
    for kind in kinds:
        layers = [layer for layer, tensor in trace if tensor == kind and layer not in ("input", "target")]
        for layer in rng.choice(layers, count):
            shape = trace[layer, kind].shape
            yield Place(str(layer), kind, tuple(int(rng.integers(size)) for size in shape), trace.step)


def holds(trace: Trace, place: Place, explanation: Explanation, run: Trainer | None = None) -> bool:
    """The value is the tensor's, the terms and a small remainder add up to it, the reads are what stands there, in
    earlier steps of the run, too."""
    values = [term.value for term in explanation.terms]
    size = math.fsum(map(abs, values))
    if explanation.value != float(trace[place.layer, place.tensor][place.index]) or explanation.pages != 1:
        return False
    if math.fsum([*values, explanation.remainder]) != pytest.approx(explanation.value, rel=1e-15, abs=1e-300):
        return False
    products = all(
        math.prod(term.factors) == pytest.approx(term.value, rel=1e-12, abs=1e-300) for term in explanation.terms
    )
    return (
        products
        and abs(explanation.remainder) <= ROUNDING * size
        and all(
            float(at(trace, read.tensor, read.index, place.step, run)) == read.value
            for read in explanation.reads
            if read.inside
        )
    )


def at(trace: Trace, tensor: str, index: tuple[int, ...], own: int | None, run: Trainer | None) -> Any:
    """What stands at a read of a place of step `own`."""
    place = Place.parse(tensor)
    if place.step not in (None, own):
        assert run is not None and place.step is not None
        trace = run.trace(place.step)
    return trace[place.layer, place.tensor][index]


def whole(trace: Trace, place: Place) -> Explanation:
    return explain(trace, place, per_page=10**6)


@pytest.mark.parametrize("step", [1, 17, 30])
def test_hundreds_of_random_places_in_float32_training_explain_themselves(trained: Trainer, step: int) -> None:
    trace = trained.trace(step)
    for place in places(trace, KINDS, 25, seed=step):
        assert holds(trace, place, whole(trace, place), trained), place


@pytest.mark.parametrize(
    "optimizer",
    [
        {"name": "sgd", "learning_rate": 0.1, "weight_decay": 0.01},
        {"name": "momentum", "learning_rate": 0.05, "dampening": 0.1, "weight_decay": 0.01},
        {"name": "adam", "learning_rate": 0.01, "weight_decay": 0.01},
        {"name": "nesterov", "learning_rate": 0.03},
        {"name": "adamw"},
        {"name": "rmsprop", "learning_rate": 0.001, "momentum": 0.5, "centered": True, "weight_decay": 0.01},
        {"name": "adagrad", "lr_decay": 0.1, "initial_accumulator_value": 0.1},
    ],
)
def test_every_tensor_of_a_step_explains_itself_with_every_optimizer(optimizer: dict[str, Any]) -> None:
    run = trainer(optimizer=optimizer, batch_size=2)
    for _ in range(3):
        run.step_once()
    image = digits(2).splits["train"].batch(slice(0, 1))
    for trace in (run.trace(3), run.trace(1), run.trace(0), run.trace_of(*image)):
        for layer in ("input", "target", *run.network.layers, "loss"):
            for place in places_of(trace, layer):
                assert holds(trace, place, whole(trace, place), run), place


def places_of(trace: Trace, layer: str) -> Iterator[Place]:
    """The middle of each of a layer's tensors."""
    for tensor in trace.tensors(layer):
        yield Place(layer, tensor, tuple(size // 2 for size in trace[layer, tensor].shape))


def holds_everywhere(net: Network) -> None:
    """Every tensor of a learning pass in float64 explains itself, and the terms add up."""
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(2, *net.input_shape)), rng.random((2, *net.layers[net.output].shape))
    parameters = net.initial(3, np.float64)
    values = net.forward(parameters, x, target, draws=lambda layer: np.random.default_rng(1))
    net.backward(parameters, values, training=True)
    trace = Trace(net, values, parameters, training=True)
    for layer in ("input", "target", *net.layers, "loss"):
        for place in places_of(trace, layer):
            found = whole(trace, place)
            assert holds(trace, place, found), place
            assert abs(found.remainder) <= 1e-12 * math.fsum(abs(term.value) for term in found.terms)


@pytest.mark.parametrize("name", sorted(name for name, kind in OPS.items() if not kind.is_loss))
def test_every_op_explains_itself_in_a_network(name: str) -> None:
    holds_everywhere(around(OPS[name]))


@pytest.mark.parametrize("loss", ["mse_loss", "bce_with_logits"])
def test_layers_with_odd_settings_explain_themselves_in_a_graph(loss: str) -> None:
    net = network(
        {
            "op": "conv2d",
            "name": "left",
            "out": 2,
            "kernel_size": 3,
            "padding": [1, 0, 2, 0],
            "stride": [1, 2],
            "groups": 2,
            "inputs": ["input"],
        },
        {
            "op": "conv2d",
            "name": "right",
            "out": 2,
            "kernel_size": 3,
            "padding": [1, 0, 2, 0],
            "stride": [1, 2],
            "flip_kernel": True,
            "inputs": ["input"],
        },
        {"op": "sigmoid", "inputs": ["left"]},
        {"op": "add", "name": "sum", "inputs": ["sigmoid3", "left"]},
        {"op": "concat", "name": "all", "inputs": ["sum", "right", "left"]},
        {"op": "batch_norm"},
        {"op": "avg_pool2d", "kernel_size": 2, "padding": 1, "count_include_pad": False},
        {"op": "dropout"},
        {
            "op": "conv_transpose2d",
            "out": 2,
            "kernel_size": 3,
            "stride": 2,
            "groups": 2,
            "padding": [0, 1, 0, 0],
            "output_padding": 1,
        },
        {"op": "lp_pool2d", "kernel_size": 2},
        {"op": "max_pool2d", "kernel_size": 2},
        {"op": "global_avg_pool"},
        {"op": "flatten"},
        {"op": "linear", "out": 3},
        {"op": "softmax"},
        input=(2, 6, 7),
        loss=loss,
    )
    assert {reader for reader, tensor in net.consumers["left"]} == {"sigmoid3", "sum", "all"}
    holds_everywhere(net)


def test_a_weights_gradient_is_grouped_by_sample_and_paged(trained: Trainer) -> None:
    trace = trained.trace(20)
    found = explain(trace, Place.parse("conv1/dw/3,0,1,1"))
    assert (found.terms_total, len(found.terms), found.pages) == (4 * 26 * 26, 20, math.ceil(4 * 26 * 26 / 20))
    assert [(group.letter, group.at, group.count) for group in found.groups] == [("n", k, 676) for k in range(4)]
    parts = [*(group.value for group in found.groups), found.remainder]
    assert math.fsum(parts) == pytest.approx(found.value, rel=1e-12)
    share = explain(trace, Place.parse("conv1/dw/3,0,1,1"), group=3, per_page=1000)
    assert math.fsum(term.value for term in share.terms) == pytest.approx(found.groups[3].value, rel=1e-9)
    assert all(term.at["n"] == 3 for term in share.terms)


def test_the_trail_leads_from_any_delta_back_to_images_labels_and_drawn_weights(trained: Trainer) -> None:
    """Opening the first factors again and again ends at what nothing made, within one step and through earlier ones."""
    rng = np.random.default_rng(2)
    ends = set()
    for start in places(trained.trace(3), ("dx", "dw", "w_next"), 12, seed=9):
        trace, place = trained.trace(3), start
        for _ in range(200):
            found = explain(trace, place)
            inside = [read for read in found.reads if read.inside]
            if not inside:
                break
            read = inside[int(rng.integers(len(inside)))]
            place = replace(Place.parse(read.tensor), index=read.index)
            if place.step is not None:
                trace = trained.trace(place.step)
        else:
            raise AssertionError(f"the trail from {start} does not end")
        ends.add((place.layer, place.tensor) if place.layer in ("input", "target") else place.tensor)
    assert ("input", "y") in ends and ends <= {("input", "y"), ("target", "y"), "w", "b", "w.v", "b.v"} | ends
    assert ends & {"w", "b", "w.v", "b.v"}


def test_a_weight_is_what_the_step_before_left_or_what_was_drawn(trained: Trainer) -> None:
    place = Place.parse("conv2/w/3,1,2,0")
    later = explain(trained.trace(9), place)
    assert [read.tensor for read in later.reads] == ["conv2/w_next@8"]
    assert later.value == float(trained.trace(8)["conv2", "w_next"][place.index])
    for tensor in ("w", "w.v"):
        assert np.array_equal(trained.trace(9)["conv2", tensor], trained.trace(8)["conv2", f"{tensor}_next"])
    first = explain(trained.trace(1), place)
    assert not first.reads and first.sentence == "w: drawn evenly between −0.118 and 0.118, from seed 7"
    assert explain(trained.trace(1), Place.parse("conv2/w.v/3,1,2,0")).sentence == "v: starts at zero"


def test_reads_are_named_by_what_is_stored(trained: Trainer) -> None:
    trace = trained.trace(5)
    tensors = {read.tensor for read in whole(trace, Place.parse("conv2/y/0,1,2,3")).reads}
    assert tensors == {"pool1/y", "conv2/w", "conv2/b"}
    opened = tuple(int(k) for k in np.argwhere(trace["conv2", "y"] > 0)[0])
    tensors = {read.tensor for read in whole(trace, Place("conv2", "dy", opened)).reads}
    assert tensors == {"pool2/dx", "conv2/y"}
    assert trace["conv2", "dy"] is trace["relu2", "dx"] and trace["conv2", "x"] is trace["pool1", "y"]


def test_the_first_delta_is_probability_minus_label_over_the_batch(trained: Trainer) -> None:
    trace = trained.trace(4)
    label = int(trace["target", "y"][2])
    found = explain(trace, Place("loss", "dx", (2, label)))
    assert found.equation.text == "dx[n,k] = (p[n,k] - t[n,k]) / 4"
    p = float(trace["loss", "p"][2, label])
    assert [(read.tensor, read.value) for read in found.reads] == [("loss/p", p), ("loss/t", 1.0)]
    assert [term.factors for term in found.terms] == [[p - 1, 1 / 4]]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("conv1/dx/0,3,5,5@120", Place("conv1", "dx", (0, 3, 5, 5), 120)),
        ("loss/y", Place("loss", "y")),
        ("loss/y@3", Place("loss", "y", (), 3)),
        ("fc/w.v_next/0,1", Place("fc", "w.v_next", (0, 1))),
    ],
)
def test_a_place_is_one_string(text: str, place: Place) -> None:
    assert Place.parse(text) == place
    assert str(place) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "conv1",
        "conv1/",
        "conv1/y/",
        "conv1/y/0,,1",
        "conv1/y/-1",
        "conv1/y/0@",
        "a/b/0/1",
        "conv1/y/0,1.5",
        "conv1/y@1/0@2",
        "../y/0",
        "conv1/y/٣",
        "conv1/y/" + "9" * 5000,
        "conv1/y@" + "9" * 5000,
        "conv1/y/0@" + "9" * 5000,
    ],
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(PlaceError, match="is no place"):
        Place.parse(text)


def test_the_reads_of_a_place_with_a_step_lead_on_within_that_step(trained: Trainer) -> None:
    """Else they would be looked up in the pass from which the place was opened, where other weights stand."""
    steps = {
        name: {read.tensor for read in explain(trained.trace(4), Place.parse(name)).reads}
        for name in ("conv1/w_next@4/0,0,0,0", "conv1/w_next/0,0,0,0", "conv1/w@4/0,0,0,0")
    }
    assert [*steps.values()] == [{"conv1/w@4", "conv1/w.v_next@4"}, {"conv1/w", "conv1/w.v_next"}, {"conv1/w_next@3"}]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gradient_of_the_loss_for_itself_is_one_in_the_dtype_of_the_pass(dtype: type) -> None:
    net = network({"op": "flatten"}, {"op": "linear", "out": 3})
    parameters = net.initial(0, dtype)
    values = net.forward(parameters, np.ones((2, 1, 6, 6), dtype), np.array([0, 1]))
    net.backward(parameters, values, training=False)
    trace = Trace(net, values, parameters)
    for array in (trace["loss", "dy"], trace.sample("loss", "dy", 1)):
        assert array.dtype == dtype and array.shape == () and array == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("conv9/y/0,0,0,0", "there is no layer conv9"),
        ("conv1/q/0", "conv1 has no tensor q"),
        ("conv1/y/0,0,0", r"shape \[4, 8, 26, 26\]"),
        ("conv1/y/0,0,26,0", "no index"),
        ("relu1/w/0", "no tensor w"),
        ("input/x/0", "no layer input|no tensor"),
        ("loss/w/0", "no tensor"),
    ],
)
def test_a_place_where_nothing_stands_is_refused(trained: Trainer, text: str, words: str) -> None:
    with pytest.raises(PlaceError, match=words):
        explain(trained.trace(2), Place.parse(text))


def test_a_trace_cannot_be_changed(trained: Trainer) -> None:
    trace = trained.trace(2)
    for array in trace.values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_one_image_of_a_batch_keeps_its_axis_and_weights_stay_whole(trained: Trainer) -> None:
    trace = trained.trace(2)
    assert np.array_equal(trace.sample("conv1", "y", 3), trace["conv1", "y"][3:4])
    for tensor in ("w", "dw", "w_next", "w.v"):
        assert trace.sample("conv1", tensor, 3).shape == (8, 1, 3, 3)
    assert trace.sample("loss", "y", 3).shape == () and trace.sample("loss", "z", 3).shape == (1,)
    with pytest.raises(PlaceError, match="0 to 3"):
        trace.sample("conv1", "y", 4)


# Wrong passes that the check must catch.


def wrong(monkeypatch: pytest.MonkeyPatch, kind: Any, method: str, change: Any) -> Trace:
    """A float32 pass in which one op's kernels break a rule."""
    right = getattr(kind, method)
    monkeypatch.setattr(kind, method, lambda self, *given: change(self, right(self, *given)))
    net = Network.from_document(
        {
            "input": [1, 6, 6],
            "layers": [
                {"name": "conv1", "op": "conv2d", "settings": {"out": 2, "kernel_size": 3, "flip_kernel": True}},
                {"name": "pool1", "op": "max_pool2d", "settings": {"kernel_size": 2}},
                {"name": "flatten", "op": "flatten"},
                {"name": "linear", "op": "linear", "settings": {"out": 3}},
            ],
        }
    )
    parameters = net.initial(0)
    x = np.random.default_rng(0).random((4, 1, 6, 6)).astype(np.float32)
    values = net.forward(parameters, x, np.array([0, 1, 2, 0]))
    net.backward(parameters, values, training=False)
    return Trace(net, values, parameters)


@pytest.mark.parametrize(
    ("kind", "method", "change", "place"),
    [
        (Conv2d, "forward", lambda op, found: {"y": found["y"] + np.float32(1e-4)}, "conv1/y/0,0,1,1"),
        (Conv2d, "forward", lambda op, found: {"y": found["y"][:, :, ::-1].copy()}, "conv1/y/0,0,0,0"),
        (Conv2d, "_kernel", lambda op, w: w[:, :, ::-1, ::-1].copy(), "conv1/y/0,0,0,0"),
        (Conv2d, "backward", lambda op, found: {**found, "db": found["db"] / 4}, "conv1/db/1"),
        (
            Conv2d,
            "backward",
            lambda op, found: {**found, "dw": found["dw"][:, :, ::-1, ::-1].copy()},
            "conv1/dw/0,0,0,0",
        ),
        (MaxPool2d, "backward", lambda op, found: {"dx": found["dx"] / 4}, "pool1/dx"),
    ],
)
def test_a_kernel_that_breaks_its_rule_is_caught_by_the_explanation(
    monkeypatch: pytest.MonkeyPatch, kind: Any, method: str, change: Any, place: str
) -> None:
    trace = wrong(monkeypatch, kind, method, change)
    where = Place.parse(place)
    if not where.index:
        where = replace(where, index=tuple(int(k) for k in np.argwhere(trace["pool1", "dx"])[0]))
    assert not holds(trace, where, whole(trace, where))


def test_the_check_itself_accepts_a_right_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = wrong(monkeypatch, Conv2d, "forward", lambda op, found: found)
    for place in places(trace, ("y", "dx", "dw", "db"), 20):
        assert holds(trace, place, whole(trace, place)), place


def test_a_term_left_out_would_be_caught(trained: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    trace, place = trained.trace(2), Place.parse("conv1/y/0,3,9,9")
    found = whole(trace, place)
    assert holds(trace, place, found)
    assert not holds(trace, place, replace(found, terms=found.terms[:-1]))
