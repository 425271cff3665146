"""The timeline of a pass: phases in the order of time, what they read, in words that count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.data import from_arrays
from engine.models import MODELS
from engine.network import Network
from engine.ops import OPS
from engine.optimizers import OPTIMIZERS
from engine.timeline import Phase, Timeline
from engine.trace import Place, Trace, explain, timeline
from tests.engine.tools import network, trainer


def of(model: str, batch: int = 1, optimizer: str = "momentum") -> Timeline:
    return timeline(Network.from_document(MODELS[model].document), batch, OPTIMIZERS[optimizer](learning_rate=0.03))


CLASSROOM = of("classroom")
PHASES = {phase.place: phase for phase in CLASSROOM.phases}


def test_phases_follow_the_order_of_time() -> None:
    assert [phase.place for phase in CLASSROOM.phases] == [
        "conv1/y",
        "relu1/y",
        "pool1/y",
        "conv2/y",
        "relu2/y",
        "pool2/y",
        "flatten/y",
        "linear/y",
        "loss/p",
        "loss/y",
        "loss/dx",
        "linear/dx",
        "linear/dw",
        "linear/db",
        "flatten/dx",
        "pool2/dx",
        "relu2/dx",
        "conv2/dx",
        "conv2/dw",
        "conv2/db",
        "pool1/dx",
        "relu1/dx",
        "conv1/dx",
        "conv1/dw",
        "conv1/db",
        "conv1/w_next",
        "conv1/b_next",
        "conv2/w_next",
        "conv2/b_next",
        "linear/w_next",
        "linear/b_next",
    ]
    parts = [phase.part for phase in CLASSROOM.phases]
    assert parts == ["forward"] * 8 + ["loss"] * 2 + ["backward"] * 15 + ["update"] * 6


def test_labels_are_those_of_the_score_bar() -> None:
    labels = [phase.label for phase in CLASSROOM.phases if not phase.view and phase.part != "update"]
    assert labels == [
        "conv1",
        "relu1",
        "pool1",
        "conv2",
        "relu2",
        "pool2",
        "linear",
        "softmax",
        "loss",
        "softmax",
        "linear δ",
        "w",
        "b",
        "pool2",
        "relu2",
        "conv2 δ",
        "w",
        "b",
        "pool1",
        "relu1",
        "conv1 δ",
        "w",
        "b",
    ]
    assert {phase.label for phase in CLASSROOM.phases if phase.part == "update"} == {"update"}


def test_a_phase_says_everything_a_drawing_needs() -> None:
    forward, delta, gradient = PHASES["conv2/y"], PHASES["conv2/dx"], PHASES["conv2/dw"]
    assert (forward.kind, delta.kind, PHASES["conv2/w_next"].kind) == ("value", "gradient", "weight")
    assert forward.free == {"n": 1, "o": 16, "i": 11, "j": 11} and forward.bound == {"c": 8, "u": 3, "v": 3}
    assert forward.equation.text == "y[o,i,j] = sum[c,u,v](x[c,i+u,j+v] * w[o,c,u,v]) + b[o]"
    assert delta.equation.text == "dx[c,h,k] = sum[o,u,v](dy[o,h-u,k-v] * w[o,c,u,v])"
    assert gradient.equation.text == "dw[o,c,u,v] = sum[i,j](dy[o,i,j] * x[c,i+u,j+v])"
    assert [(read.name, read.tensor, read.kind, read.role) for read in delta.reads] == [
        ("dy", "relu2/dx", "gradient", "factor"),
        ("w", "conv2/w", "weight", "factor"),
    ]
    turned = delta.reads[0].axes
    assert [axis and (axis.pitch, axis.offset, axis.letters) for axis in turned] == [
        (1, 0, {"n": 1}),
        (1, 0, {"o": 1}),
        (1, 0, {"h": 1, "u": -1}),
        (1, 0, {"k": 1, "v": -1}),
    ]
    assert PHASES["pool2/dx"].reads[1].kind == "index" and PHASES["pool2/y"].form == "max"
    assert [name for name, _ in PHASES["loss/p"].steps] == ["top", "e", "z"]
    assert [name for name, _ in PHASES["conv1/w_next"].steps] == ["v_next"]


@pytest.mark.parametrize(
    ("place", "head", "note"),
    [
        (
            "conv1/y",
            "the kernel looks at nine pixels and writes one number",
            "Nine pixels, each times its weight, plus the bias.",
        ),
        (
            "conv2/y",
            "eight maps, eight kernels, one sum",
            "72 products, grouped by the map they come from. Open a map to see its nine.",
        ),
        (
            "conv2/dx",
            "the gradient of its input. The kernel is turned by 180°.",
            "At most nine outputs in each of sixteen maps read this cell. "
            "The minus signs in δ’s index turn the kernel.",
        ),
        (
            "conv2/dw",
            "the gradient of one weight. The delta lies over the input.",
            "One weight is used 121 times in every image, and hears from 121 deltas of each.",
        ),
        (
            "pool1/dx",
            "the winner takes the whole gradient, the others get zero",
            "Only the largest of four values reached the output, so only it can change the error. "
            "In a tie the first in reading order wins.",
        ),
    ],
)
def test_heads_and_notes_count_in_words(place: str, head: str, note: str) -> None:
    assert (PHASES[place].head, PHASES[place].note) == (head, note)


def test_words_are_singular_for_one_and_turn_with_a_flipped_kernel() -> None:
    tiny = {phase.place: phase for phase in of("tiny").phases}
    assert tiny["fc/dx"].note == "One delta, each times the weight it came through."
    assert "turned by 180°" in tiny["conv/y"].head and "lies as it is" in tiny["conv/dx"].head


def test_every_phase_of_every_op_has_a_head() -> None:
    for kind in OPS.values():
        op = kind(**kind.example_settings)
        wanted = {"y"} | {name for name in op.gradients if name[1:] in op.tensors}
        assert wanted <= {key.split(" ")[0] for key in kind.words}, kind.name


@pytest.mark.parametrize(
    ("model", "optimizer"),
    [
        *(("tiny", name) for name in sorted(OPTIMIZERS)),
        *((name, "adam") for name in sorted(MODELS) if MODELS[name].defaults and name not in ("tiny", "seed")),
    ],
)
def test_the_score_and_the_trace_speak_of_the_same_tensors(model: str, optimizer: str) -> None:
    preset = MODELS[model]
    options: dict[str, Any] = {"optimizer": {"name": optimizer, "learning_rate": 0.01}, "batch_size": 1}
    if preset.example:
        x, target = (np.array(preset.example[name], float) for name in ("x", "target"))
        options |= {"dataset": from_arrays(x, target), "parameters": preset.parameters}
    run = trainer(model, **options)
    run.step_once()
    trace = run.trace(1)
    found = timeline(run.network, 1, run.optimizer, training=True)
    for name, info in found.tensors.items():
        layer, tensor = name.split("/")
        assert trace[layer, tensor].shape == info.shape, name
        assert info.kind in ("value", "weight", "gradient", "index") and info.title
    for alias, name in found.aliases.items():
        assert "/".join(run.network.resolve(*alias.split("/"))) == name and name in found.tensors
    for phase in found.phases:
        agrees(trace, phase)


def agrees(trace: Trace, phase: Phase) -> None:
    """What the windows say is read at the last place is what its explanation reads."""
    assert phase.shape == trace[phase.layer, phase.tensor].shape
    index = tuple(size - 1 for size in phase.shape)
    explanation = explain(trace, Place(phase.layer, phase.tensor, index), per_page=10**6)
    at = {letter: count - 1 for letter, count in phase.free.items()}
    seen = set()
    for read in phase.reads:
        if None in read.axes:
            continue
        shape = trace[read.tensor.split("/")[0], read.tensor.split("/")[1]].shape
        for cell in np.ndindex(*phase.bound.values()):
            letters = {**at, **dict(zip(phase.bound, cell, strict=True))}
            positions = [
                (axis.offset + sum(factor * letters[name] for name, factor in axis.letters.items())) / axis.pitch
                for axis in read.axes
                if axis
            ]
            if all(
                position == int(position) and 0 <= position < size
                for position, size in zip(positions, shape, strict=True)
            ):
                seen.add((read.tensor, tuple(int(position) for position in positions)))
    told = {(read.tensor, read.index) for read in explanation.reads if read.inside}
    assert told <= seen, phase.place
    if phase.form == "sum":
        assert {tensor for tensor, _ in seen - told} <= {"loss/p"}, phase.place


def test_a_layer_that_several_read_has_a_phase_that_adds_up() -> None:
    net = network(
        {"op": "relu", "name": "a", "inputs": ["input"]},
        {"op": "tanh", "name": "b", "inputs": ["a"]},
        {"op": "add", "name": "c", "inputs": ["a", "b"]},
        {"op": "flatten"},
        {"op": "linear", "out": 2},
    )
    phases = {phase.place: phase for phase in timeline(net).phases}
    assert [read.tensor for read in phases["a/dy"].reads] == ["b/dx", "c/da"]
    assert list(phases).index("a/dy") > list(phases).index("b/dx")
    assert phases["a/dy"].equation.text == "dy[c,i,j] = d1[c,i,j] + d2[c,i,j]"


def test_without_an_optimizer_the_score_ends_with_the_last_gradient() -> None:
    found = timeline(Network.from_document(MODELS["classroom"].document))
    assert found.phases[-1].place == "conv1/db"
    assert not any("next" in name for name in found.tensors)


def test_titles_name_what_a_number_is() -> None:
    titles = {name: info.title for name, info in CLASSROOM.tensors.items()}
    assert titles["conv2/dx"] == "gradient of the loss for pool1"
    assert titles["linear/dx"] == titles["flatten/dx"] == "gradient of the loss for pool2"
    assert titles["conv2/y"] == "output of conv2" and titles["conv2/dw"] == "gradient of the loss for conv2’s weight"
    assert titles["conv2/w_next"] == "weight of conv2 after the update" and titles["loss/p"] == "probability"
    assert titles["conv2/w.v"] == "velocity of conv2’s weight"
    adam = timeline(Network.from_document(MODELS["tiny"].document), optimizer=OPTIMIZERS["adam"]())
    named = {name: info.title for name, info in adam.tensors.items()}
    assert named["conv/w.v_next"] == "mean squared gradient of conv’s weight after the update"


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"kernel_size": 3}, "nine outputs"),
        ({"kernel_size": 3, "stride": 2}, "four outputs"),
        ({"kernel_size": 3, "stride": 2, "dilation": 2}, "nine outputs"),
        ({"kernel_size": 1}, "one output"),
        ({"kernel_size": 1, "stride": 2}, "one output"),
    ],
)
def test_words_count_the_outputs_that_read_a_cell(settings: dict[str, Any], count: str) -> None:
    first = {"name": "first", "op": "conv2d", "out": 2, "kernel_size": 3, "padding": 1}
    second = {"name": "second", "op": "conv2d", "out": 4, **settings}
    flat = {"name": "flat", "op": "flatten"}
    found = timeline(network(first, second, flat, input=(1, 9, 9)), 1)
    [phase] = [phase for phase in found.phases if phase.place == "second/dx"]
    assert f"At most {count} in each of four maps" in phase.note
    assert ("zeros stand between" in phase.note) == (settings.get("stride", 1) > 1 and settings["kernel_size"] > 1)
    assert ("turned" in phase.head) == (settings["kernel_size"] > 1)


def test_titles_of_intermediates_say_what_they_are() -> None:
    assert CLASSROOM.tensors["loss/z"].title == "z: the sum of all shares"
