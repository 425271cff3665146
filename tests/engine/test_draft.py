"""A network while it is put together: figures, reasons and ways out, at the layer."""

from __future__ import annotations

from typing import Any

import pytest

from engine.draft import Draft, DraftLayer, Fix, Misfit, draft
from engine.layers import NetworkError
from engine.models import MODELS
from engine.network import Network

Document = dict[str, Any]


def conv(name: str, **settings: Any) -> Document:
    return {"name": name, "op": "conv2d", "settings": {"out": 8, "kernel_size": 3, **settings}}


def pool(name: str) -> Document:
    return {"name": name, "op": "max_pool2d", "settings": {"kernel_size": 2}}


def of(*layers: Document, input: tuple[int, ...] = (1, 28, 28), loss: Any = "cross_entropy") -> Draft:
    return draft({"input": list(input), "layers": list(layers), "loss": loss})


def named(found: Draft, name: str) -> DraftLayer:
    return next(layer for layer in found.layers if layer.name == name)


def misfit(found: Draft, name: str) -> Misfit:
    why = named(found, name).misfit
    assert why is not None and named(found, name).state == "misfit"
    return why


@pytest.mark.parametrize("name", MODELS)
def test_a_preset_fits_and_has_the_figures_of_its_network(name: str) -> None:
    found = draft(MODELS[name].document)
    assert found.whole and found.loss is None
    assert [layer.figures for layer in found.layers] == Network.from_document(MODELS[name].document).shapes()


def test_a_layer_says_how_its_figures_come_about() -> None:
    found = of(conv("conv1"), pool("pool1"), conv("conv2", padding=1))
    second = named(found, "conv2")
    assert second.kernel == "8 of 3×3" and named(found, "pool1").kernel == "2×2"
    assert second.arithmetic.output == "(13 + 1 + 1 - 3) / 1 + 1 = 13"
    assert second.arithmetic.parameters == "8·8·3·3 + 8 = 584"
    assert second.arithmetic.sees == "4 + (3 - 1)·2 = 8"
    assert second.arithmetic.products == "13·13·8·72 = 97,344"
    assert second.window is not None and second.window.start == (-1, -1) and second.window.size == (3, 3)


def test_an_output_that_is_rounded_says_to_what() -> None:
    found = of(conv("conv1", stride=2, padding=1))
    assert named(found, "conv1").arithmetic.output == "(28 + 1 + 1 - 3) / 2 + 1 = 14.50, rounded to 14×14"


def test_a_window_that_hangs_over_says_by_how_much_and_how_to_make_it_fit() -> None:
    found = of(conv("conv1"), conv("conv3", stride=3), {"name": "relu3", "op": "relu"}, input=(1, 9, 9))
    why = misfit(found, "conv3")
    assert why.detail.startswith("conv3: the window does not fit: (7 - 3) / 3 + 1 = 2.33")
    assert why.sentence == "three windows of 3, three apart, need nine cells. There are seven."
    assert why.span is not None and (why.span.size, why.span.kernel, why.span.stride) == (7, 3, 3)
    assert why.fixes[0] == Fix("stride 2", "stride", "(7 - 3) / 2 + 1 = 3", (8, 3, 3), {**why.fixes[0].network})
    assert [fix.words for fix in why.fixes] == ["stride 2", "stride 4", "padding 1", "kernel 4"]
    waiting = named(found, "relu3")
    assert (waiting.state, waiting.waits_for, waiting.figures) == ("waits", "conv3", None)
    assert not found.whole and found.network is not None and list(found.network.layers) == ["conv1"]


def test_the_only_window_too_many_is_told_in_the_singular() -> None:
    assert misfit(of(conv("a", kernel_size=31)), "a").sentence == "one window spans 31 cells. There are 28."


LINEAR = {"name": "fc", "op": "linear", "settings": {"out": 10}}
FLAT = {"name": "flat", "op": "flatten"}


@pytest.mark.parametrize(
    ("layers", "name", "first"),
    [
        ([conv("a"), LINEAR], "fc", "flatten before it"),
        ([FLAT, conv("a")], "a", "before flat"),
        ([conv("a", groups=3)], "a", "groups 1"),
        ([conv("a", stride=0)], "a", "stride 1"),
        ([conv("a"), {"name": "b", "op": "conv2d"}], "b", "maps 8"),
        ([conv("a"), conv("a")], "a", "call it a_1"),
        ([conv("a"), {"name": "b", "op": "nothing"}], "b", "leave out b"),
        ([conv("a"), conv("b"), {"name": "c", "op": "relu", "inputs": ["a"]}], "b", "leave out b"),
        (
            [conv("a", padding=1), conv("b", padding=1, out=16), {"name": "s", "op": "add", "inputs": ["b", "a"]}],
            "s",
            "a with 16 maps",
        ),
        (
            [
                conv("a", padding=1),
                conv("b", padding=1, out=16, stride=2),
                {"name": "s", "op": "add", "inputs": ["b", "a"]},
            ],
            "s",
            "1 × 1 convolution of a",
        ),
    ],
)
def test_the_smallest_change_comes_first(layers: list[Document], name: str, first: str) -> None:
    found = of(*layers)
    why = next(layer.misfit for layer in found.layers if layer.misfit)
    assert why is not None and next(layer for layer in found.layers if layer.misfit).name == name
    assert why.fixes[0].words == first


def test_a_skip_over_a_smaller_map_is_brought_to_its_size() -> None:
    found = of(conv("a", padding=1), conv("b", out=16), {"name": "s", "op": "add", "inputs": ["b", "a"]})
    assert [fix.words for fix in misfit(found, "s").fixes] == [
        "3 × 3 convolution of a",
        "3 × 3 transposed convolution of b",
        "leave out s",
    ]


BROKEN = [
    [conv("a", stride=2, kernel_size=4, padding=0), conv("b", stride=3), {"name": "c", "op": "relu"}],
    [conv("a"), pool("p"), conv("b", dilation=7, kernel_size=3), FLAT],
    [conv("a"), {"name": "b", "op": "group_norm", "settings": {"groups": 3}}],
    [conv("a"), {"name": "j", "op": "concat", "inputs": ["a", "input"]}],
    [conv("a"), {"name": "b", "op": "avg_pool2d", "settings": {"kernel_size": 30}}],
    [conv("a"), {"name": "s", "op": "add", "inputs": ["a"]}],
]


@pytest.mark.parametrize("layers", BROKEN)
def test_every_fix_keeps_its_word(layers: list[Document]) -> None:
    why = next(layer.misfit for layer in of(*layers).layers if layer.misfit)
    assert why is not None and why.fixes
    wrong = next(layer.name for layer in of(*layers).layers if layer.misfit)
    for fix in why.fixes:
        after = draft(fix.network)
        there = [layer for layer in after.layers if layer.name == wrong]
        assert all(layer.state == "fits" for layer in there)
        assert [layer.figures.shape for layer in there if layer.figures] == [fix.shape] * len(there)


def test_a_loss_that_cannot_read_the_last_layer_has_ways_out_too() -> None:
    found = of(conv("a"))
    assert found.loss is not None and not found.whole
    assert found.loss.fixes[0].words == "flatten and fully connected at the end"
    assert all(draft(fix.network).whole for fix in found.loss.fixes)


def test_what_is_no_list_of_layers_is_refused_with_its_place() -> None:
    with pytest.raises(NetworkError) as refused:
        draft({"input": [1, 2], "layers": []})
    assert refused.value.loc == ["input"]
    with pytest.raises(NetworkError) as refused:
        draft({"input": [1, 2, 2], "layers": {}})
    assert refused.value.loc == ["layers"]


def test_an_empty_network_waits_for_its_first_layer() -> None:
    found = of()
    assert not found.whole and found.network is None and found.loss is not None
