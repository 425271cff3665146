"""Settings: what is taken, in which form it is kept, and what is refused with its place."""

from __future__ import annotations

import math
from typing import Any

import pytest

from engine.ops import OPS
from engine.optimizers import OPTIMIZERS, Optimizer
from engine.settings import SettingError, settings_schema


@pytest.mark.parametrize(
    ("op", "given", "kept"),
    [
        ("conv2d", {"stride": 2}, {"stride": (2, 2), "padding": (0, 0, 0, 0), "flip_kernel": False}),
        ("conv2d", {"stride": [1, 3], "padding": [1, 2]}, {"stride": (1, 3), "padding": (1, 1, 2, 2)}),
        ("conv2d", {"padding": [1, 2, 3, 4], "dilation": 2.0}, {"padding": (1, 2, 3, 4), "dilation": (2, 2)}),
        ("conv2d", {"padding": "full"}, {"padding": "full"}),
        ("max_pool2d", {"kernel_size": 3, "stride": None}, {"kernel_size": (3, 3), "stride": None}),
        ("avg_pool2d", {"kernel_size": 3, "divisor_override": -2}, {"divisor_override": -2}),
        ("softmax", {"axis": -1}, {"axis": -1}),
        ("dropout", {"p": 1}, {"p": 1.0}),
    ],
)
def test_settings_are_kept_in_one_form(op: str, given: dict[str, Any], kept: dict[str, Any]) -> None:
    options = OPS[op](**given).options
    assert {name: options[name] for name in kept} == kept


@pytest.mark.parametrize(
    ("kind", "defaults"),
    [
        (OPS["conv2d"], {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "flip_kernel": False}),
        (OPS["conv_transpose2d"], {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1}),
        (OPS["max_pool2d"], {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False}),
        (
            OPS["avg_pool2d"],
            {"stride": None, "padding": 0, "ceil_mode": False, "count_include_pad": True, "divisor_override": None},
        ),
        (OPS["lp_pool2d"], {"norm_type": 2, "stride": None, "ceil_mode": False}),
        (OPS["leaky_relu"], {"negative_slope": 0.01}),
        (OPS["elu"], {"alpha": 1}),
        (OPS["dropout"], {"p": 0.5}),
        (OPS["softmax"], {"axis": 1}),
        (OPS["log_softmax"], {"axis": 1}),
        (OPS["concat"], {"axis": 1}),
        (OPS["batch_norm"], {"training": True, "momentum": 0.1, "eps": 1e-5}),
        (OPS["mse_loss"], {"reduction": "mean"}),
        (OPS["bce_with_logits"], {"reduction": "mean"}),
        (OPS["cross_entropy"], {"reduction": "mean", "label_smoothing": 0, "ignore_index": None}),
        (OPTIMIZERS["sgd"], {"weight_decay": 0}),
        (OPTIMIZERS["momentum"], {"dampening": 0, "weight_decay": 0}),
        (OPTIMIZERS["adam"], {"betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0}),
        (OPTIMIZERS["adamw"], {"betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01}),
        (OPTIMIZERS["rmsprop"], {"alpha": 0.99, "eps": 1e-8, "momentum": 0, "centered": False, "weight_decay": 0}),
        (OPTIMIZERS["adagrad"], {"lr_decay": 0, "initial_accumulator_value": 0, "eps": 1e-10, "weight_decay": 0}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_is_left_out_has_the_value_that_is_published(kind: Any, defaults: dict[str, Any]) -> None:
    needed = {"kernel_size": [2, 3]} if "kernel_size" in kind.settings else {}
    assert kind(**needed).options == kind(**needed, **defaults).options


@pytest.mark.parametrize(
    ("op", "given", "loc", "words"),
    [
        ("conv2d", {"stride": 0}, ["stride"], "from 1 to 4096"),
        ("conv2d", {"stride": True}, ["stride"], "got true"),
        ("conv2d", {"stride": 1.5}, ["stride"], "whole number"),
        ("conv2d", {"stride": "2"}, ["stride"], "got '2'"),
        ("conv2d", {"stride": [1, 2, 3]}, ["stride"], "got 3 values"),
        ("conv2d", {"stride": [1, True]}, ["stride"], "got true"),
        ("conv2d", {"stride": math.nan}, ["stride"], "got nan"),
        ("conv2d", {"stride": math.inf}, ["stride"], "got inf"),
        ("conv2d", {"stride": None}, ["stride"], "got null"),
        ("conv2d", {"padding": -1}, ["padding"], "from 0"),
        ("conv2d", {"padding": "wide"}, ["padding"], "valid, same, full"),
        ("conv2d", {"padding": [1] * 3}, ["padding"], "got 3"),
        ("max_pool2d", {"kernel_size": 2, "padding": "full"}, ["padding"], "valid, same, got 'full'"),
        ("conv2d", {"groups": 10**9}, ["groups"], "to 4096"),
        ("conv2d", {"flip_kernel": 1}, ["flip_kernel"], "true or false"),
        ("conv2d", {"out": 3}, ["out"], "no such setting; known: stride"),
        ("max_pool2d", {}, ["kernel_size"], "is needed"),
        ("avg_pool2d", {"kernel_size": 2, "divisor_override": 0}, ["divisor_override"], "other than 0"),
        ("mse_loss", {"reduction": ["mean"]}, ["reduction"], "one of mean"),
        ("dropout", {"p": 1.1}, ["p"], "from 0 to 1"),
        ("dropout", {"p": math.nan}, ["p"], "got nan"),
        ("dropout", {"p": False}, ["p"], "got false"),
        (
            "dropout",
            {"p": {"a": [True, None, *range(20)]}},
            ["p"],
            r"got \{'a': \[true, null, 0, 1, 2, 3, 4, 5, \.\.\.\]\}",
        ),
        ("dropout", {"p": "x" * 1000}, ["p"], r"got 'x{79}\.\.\.$"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_with_its_name(
    op: str, given: dict[str, Any], loc: list[str], words: str
) -> None:
    with pytest.raises(SettingError, match=words) as caught:
        OPS[op](**given)
    assert caught.value.loc == loc


@pytest.mark.parametrize("name", ["self", "cls", "settings", "known", "kind"])
def test_an_unknown_setting_is_refused_whatever_pythons_own_names_are(name: str) -> None:
    makers: list[Any] = [*OPS.values(), *OPTIMIZERS.values(), *(kind.as_layer for kind in OPS.values())]
    for make in makers:
        with pytest.raises(SettingError, match="there is no such setting") as caught:
            make(**{name: 1})
        assert caught.value.loc == [name]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"betas": [0.9]}, "expected 2 numbers"),
        ({"betas": [0.9, 1.0]}, "below 1"),
        ({"betas": 0.9}, "expected 2 numbers"),
        ({"eps": -1}, "from 0"),
        ({"learning_rate": math.inf}, "got inf"),
    ],
)
def test_an_optimizers_settings_are_checked_too(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        OPTIMIZERS["adam"](**given)


@pytest.mark.parametrize("name", sorted(OPS))
def test_the_schema_of_an_op_names_every_setting_with_a_default_its_op_takes(name: str) -> None:
    kind = OPS[name]
    schema = settings_schema(kind.settings)
    assert schema["additionalProperties"] is False and schema["properties"].keys() == kind.settings.keys()
    defaults = {key: each["default"] for key, each in schema["properties"].items() if "default" in each}
    assert set(schema["required"]) == kind.settings.keys() - defaults.keys()
    kind(**{**kind.example_settings, **defaults})
    assert all(each["description"] for each in schema["properties"].values())


@pytest.mark.parametrize("kind", OPTIMIZERS.values(), ids=list(OPTIMIZERS))
def test_an_optimizer_names_a_rate_to_begin_with(kind: type[Optimizer]) -> None:
    rate = settings_schema(kind.settings)["properties"]["learning_rate"]["examples"][0]
    # Adadelta's step has the size of those before it: its rate only scales them
    assert rate == 1 if kind.name == "adadelta" else 0 < rate <= 0.1
