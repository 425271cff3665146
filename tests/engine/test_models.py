"""The presets; "tiny" reproduces the derivatives of "Backpropagation mechanics for a CNN", part I."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from engine.data import from_arrays
from engine.models import MODELS
from engine.network import Key, Network
from engine.ops.base import Array
from engine.trace import Place, Trace, explain
from engine.train import Trainer, optimizer_from
from tests.engine.tools import trainer

TINY = MODELS["tiny"]


def pass_of(w: Array, w_fc: float, i: Array, t: float, rate: float = 0.25) -> tuple[Trace, dict[Key, Array]]:
    """tiny's first step on one image, and what the article's formulas give, its slips corrected."""
    c = np.array(
        [
            [
                i[2 * a, 2 * b] * w[1, 1]
                + i[2 * a + 1, 2 * b] * w[0, 1]
                + i[2 * a, 2 * b + 1] * w[1, 0]
                + i[2 * a + 1, 2 * b + 1] * w[0, 0]
                for b in (0, 1)
            ]
            for a in (0, 1)
        ]
    )
    a, b = (int(k) for k in np.unravel_index(c.argmax(), c.shape))
    r_p, r_fc = float(c[a, b]), w_fc * float(c[a, b])
    to_filter = (t - r_fc) * -w_fc
    i00, i01, i10, i11 = i[2 * a, 2 * b], i[2 * a, 2 * b + 1], i[2 * a + 1, 2 * b], i[2 * a + 1, 2 * b + 1]
    dw = np.array([[to_filter * i11, to_filter * i10], [to_filter * i01, to_filter * i00]])
    expected: dict[Key, Array] = {
        ("conv", "y"): c[None, None],
        ("pool", "y"): np.array([[[[r_p]]]]),
        ("fc", "y"): np.array([[r_fc]]),
        ("loss", "y"): np.array((t - r_fc) ** 2 / 2),
        ("fc", "dw"): np.array([[(t - r_fc) * -r_p]]),
        ("pool", "dx"): np.where(c == r_p, to_filter, 0.0)[None, None],
        ("conv", "dw"): dw[None, None],
        ("conv", "w_next"): (w - rate * dw)[None, None],
        ("fc", "w_next"): np.array([[w_fc + rate * (t - r_fc) * r_p]]),
    }
    run = Trainer(
        Network.from_document(TINY.document),
        from_arrays(i[None, None], np.array([[t]])),
        optimizer_from({"name": "sgd", "learning_rate": rate}),
        1,
        parameters={"conv/w": w[None, None], "fc/w": np.array([[w_fc]])},
    )
    run.step_once()
    return run.trace(1), expected


def test_tiny_reproduces_every_derivative_of_its_article_with_its_own_numbers() -> None:
    assert TINY.parameters is not None and TINY.example is not None
    w, w_fc = np.array(TINY.parameters["conv/w"])[0, 0], TINY.parameters["fc/w"][0][0]
    trace, expected = pass_of(w, w_fc, np.array(TINY.example["x"], float)[0, 0], TINY.example["target"][0][0])
    for key, value in expected.items():
        assert np.array_equal(trace[key], np.asarray(value, np.float32)), key
    assert trace["pool", "indices"].item() == 2, "c10 wins, as the article assumes"
    assert trace["conv", "y"].tolist() == [[[[0.75, 1.0], [3.5, 1.0]]]]
    assert trace["conv", "dw"].tolist() == [[[[0.75, 0.375], [1.125, 0.75]]]]


@pytest.mark.parametrize("seed", range(8))
def test_tiny_reproduces_the_article_with_any_numbers_whichever_cell_wins(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trace, expected = pass_of(rng.normal(size=(2, 2)), rng.normal(), rng.normal(size=(4, 4)), rng.normal())
    for key, value in expected.items():
        np.testing.assert_allclose(trace[key], value, rtol=2e-5, atol=1e-6, err_msg=str(key))


def test_one_of_tinys_products_is_the_articles_c10() -> None:
    assert TINY.parameters is not None and TINY.example is not None
    w, i = np.array(TINY.parameters["conv/w"])[0, 0], np.array(TINY.example["x"], float)[0, 0]
    trace, _ = pass_of(w, TINY.parameters["fc/w"][0][0], i, 1)
    found = explain(trace, Place("conv", "y", (0, 0, 1, 0)))
    assert {tuple(term.factors) for term in found.terms} == {
        (i[2, 0], w[1, 1]),
        (i[3, 0], w[0, 1]),
        (i[2, 1], w[1, 0]),
        (i[3, 1], w[0, 0]),
    }


def test_tiny_learns_its_one_example_with_its_defaults() -> None:
    assert TINY.example is not None
    x, target = (np.array(TINY.example[name], float) for name in ("x", "target"))
    run = Trainer(
        Network.from_document(TINY.document),
        from_arrays(x, target),
        optimizer_from(TINY.defaults["optimizer"]),
        TINY.defaults["batch_size"],
        parameters=TINY.parameters,
    )
    losses = [run.step_once().loss for _ in range(TINY.defaults["steps"])]
    assert losses[0] == 0.28125 and losses[-1] < losses[0] / 10
    assert all(after < before for before, after in pairwise(losses))


@pytest.mark.parametrize("name", [name for name in sorted(MODELS) if MODELS[name].document["input"] == [1, 28, 28]])
def test_a_preset_learns_digits_with_its_own_optimizer(name: str) -> None:
    run = trainer(name)
    losses = [run.step_once().loss for _ in range(24)]
    assert np.mean(losses[-4:]) < np.mean(losses[:4])


COUNTS = {
    "classroom": 5_258,
    "seed": 1_134_426,
    "alexnet": 61_100_840,
    "vgg16": 138_357_544,
    "googlenet": 6_624_904,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "densenet121": 7_978_856,
}


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_a_preset_has_the_published_number_of_parameters(name: str) -> None:
    found = Network.from_document(MODELS[name].document).shapes()
    assert sum(layer.parameters for layer in found) == COUNTS[name]
    assert found[-1].shape == ((10,) if MODELS[name].defaults else (1000,))


@pytest.mark.parametrize("name", [name for name in sorted(MODELS) if name.startswith("golf-")])
def test_what_a_golf_preset_learns_is_no_more_than_its_name_says(name: str) -> None:
    network = Network.from_document(MODELS[name].document)
    assert sum(math.prod(network.parameter_shapes[each]) for each in network.learned) <= int(name.removeprefix("golf-"))


def test_the_experiment_has_the_published_layers() -> None:
    """The table of seed 001."""
    found = {
        layer.name: (layer.shape, layer.parameters) for layer in Network.from_document(MODELS["seed"].document).shapes()
    }
    table = ("conv1", "pool1", "conv2", "conv3", "pool2", "drop1", "flatten", "fc1", "fc2")
    assert [found[name] for name in table] == [
        ((16, 28, 28), 80),
        ((16, 14, 14), 0),
        ((128, 12, 12), 18_560),
        ((256, 10, 10), 295_168),
        ((256, 5, 5), 0),
        ((256, 5, 5), 0),
        ((6400,), 0),
        ((128,), 819_328),
        ((10,), 1_290),
    ]


@pytest.mark.parametrize(
    ("name", "layer", "shape", "field"),
    [
        ("alexnet", "pool5", (256, 6, 6), 195),
        ("vgg16", "pool5", (512, 7, 7), 212),
        ("googlenet", "inception5b", (1024, 7, 7), None),
        ("resnet18", "layer4_2_relu", (512, 7, 7), 435),
        ("resnet50", "layer4_3_relu", (2048, 7, 7), 427),
        ("densenet121", "last_relu", (1024, 7, 7), None),
    ],
)
def test_the_last_maps_of_a_great_network_are_those_of_the_article(
    name: str, layer: str, shape: tuple[int, ...], field: int | None
) -> None:
    """Receptive fields as Araujo, Norris and Sim, "Computing receptive fields", 2019, have them, but for ResNet-50:
    here its blocks step in their 3 x 3 convolution."""
    found = next(each for each in Network.from_document(MODELS[name].document).shapes() if each.name == layer)
    assert found.shape == shape
    if field is not None:
        assert found.receptive_field.size == (field, field) and found.receptive_field.stride == (32, 32)


#: Layer, maps (or numbers), their side and what is learned there, as the articles' tables have them.
TABLES: dict[str, list[tuple[str, int, int | None, int]]] = {
    "alexnet": [
        ("conv1", 64, 55, 23_296),
        ("pool1", 64, 27, 0),
        ("conv2", 192, 27, 307_392),
        ("pool2", 192, 13, 0),
        ("conv3", 384, 13, 663_936),
        ("conv4", 256, 13, 884_992),
        ("conv5", 256, 13, 590_080),
        ("pool5", 256, 6, 0),
        ("fc6", 4096, None, 37_752_832),
        ("fc7", 4096, None, 16_781_312),
        ("fc8", 1000, None, 4_097_000),
    ],
    "vgg16": [
        ("pool1", 64, 112, 0),
        ("pool2", 128, 56, 0),
        ("pool3", 256, 28, 0),
        ("pool4", 512, 14, 0),
        ("pool5", 512, 7, 0),
        ("fc6", 4096, None, 102_764_544),
        ("fc7", 4096, None, 16_781_312),
        ("fc8", 1000, None, 4_097_000),
    ],
    "googlenet": [
        ("pool1", 64, 56, 0),
        ("pool2", 192, 28, 0),
        ("inception3a", 256, 28, 0),
        ("inception3b", 480, 28, 0),
        ("pool3", 480, 14, 0),
        ("inception4a", 512, 14, 0),
        ("inception4b", 512, 14, 0),
        ("inception4c", 512, 14, 0),
        ("inception4d", 528, 14, 0),
        ("inception4e", 832, 14, 0),
        ("pool4", 832, 7, 0),
        ("inception5a", 832, 7, 0),
        ("inception5b", 1024, 7, 0),
    ],
    "resnet18": [
        ("stem_pool", 64, 56, 0),
        ("layer1_2_add", 64, 56, 0),
        ("layer2_2_add", 128, 28, 0),
        ("layer3_2_add", 256, 14, 0),
        ("layer4_2_add", 512, 7, 0),
        ("fc", 1000, None, 513_000),
    ],
    "resnet50": [
        ("stem_pool", 64, 56, 0),
        ("layer1_3_add", 256, 56, 0),
        ("layer2_4_add", 512, 28, 0),
        ("layer3_6_add", 1024, 14, 0),
        ("layer4_3_add", 2048, 7, 0),
        ("fc", 1000, None, 2_049_000),
    ],
    "densenet121": [
        ("stem_pool", 64, 56, 0),
        ("transition1_relu", 256, 56, 0),
        ("transition1_pool", 128, 28, 0),
        ("transition2_relu", 512, 28, 0),
        ("transition2_pool", 256, 14, 0),
        ("transition3_relu", 1024, 14, 0),
        ("transition3_pool", 512, 7, 0),
        ("last_relu", 1024, 7, 0),
        ("fc", 1000, None, 1_025_000),
    ],
}


@pytest.mark.parametrize("name", sorted(TABLES))
def test_the_layers_of_a_great_network_at_its_full_size_are_those_of_its_article(name: str) -> None:
    found = {layer.name: layer for layer in Network.from_document(MODELS[name].document).shapes()}
    for layer, maps, side, learned in TABLES[name]:
        shape = (maps,) if side is None else (maps, side, side)
        assert (found[layer].shape, found[layer].parameters) == (shape, learned), layer


def test_the_layers_of_classroom_and_lenet5_are_those_of_the_texts() -> None:
    classroom = [layer["name"] for layer in MODELS["classroom"].document["layers"]]
    assert classroom == ["conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "flatten", "linear"]
    shapes = {layer.name: layer.shape for layer in Network.from_document(MODELS["lenet5"].document).shapes()}
    assert [shapes[name] for name in ("conv1", "pool1", "conv2", "pool2", "fc1", "fc2", "fc3")] == [
        (6, 28, 28),
        (6, 14, 14),
        (16, 10, 10),
        (16, 5, 5),
        (120,),
        (84,),
        (10,),
    ]
