"""The bug lab: the network in which each slip shows, and what came of training it with the slip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from engine.models import MODELS
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.settings import SettingError
from engine.slips import SLIPS, Slip, SlipError

MODEL = MODELS["classroom"]
BATCH: int = MODEL.defaults["batch_size"]
SEED: int = MODEL.defaults["seed"]
#: How long both networks were trained, and on how many test images they were tried.
STEPS, IMAGES = 300, 2000


@dataclass(frozen=True)
class Bed:
    """A network and its optimizer, as documents. `name` says in words how it differs from the classroom's network."""

    name: str
    network: dict[str, Any]
    optimizer: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What came of training: the share of the test images that was told right with the slip, and `right` without."""

    network: str
    steps: int
    images: int
    accuracy: float
    right: float


def _beds() -> Iterator[Bed]:
    """The classroom's network, then others like it, each with one thing that the classroom's has not."""
    layers, optimizer = MODEL.document["layers"], MODEL.defaults["optimizer"]
    adam = {"name": "adam", "learning_rate": 0.001}

    def changed(name: str, made: list[dict[str, Any]]) -> Bed:
        return Bed(name, {**MODEL.document, "layers": made}, optimizer)

    yield changed("the classroom's network", layers)
    yield changed(
        "the classroom's network with average pools",
        [{**layer, "op": "avg_pool2d"} if layer["op"] == "max_pool2d" else layer for layer in layers],
    )
    norms = {"conv1": "norm1", "conv2": "norm2"}
    yield changed(
        "the classroom's network with batch norm after each convolution",
        [
            each
            for layer in layers
            for each in (
                layer,
                *([{"name": norms[layer["name"]], "op": "batch_norm"}] if layer["name"] in norms else []),
            )
        ],
    )
    yield changed(
        "the classroom's network with dropout before its last layer",
        [*layers[:-1], {"name": "dropout", "op": "dropout", "settings": {"p": 0.5}}, layers[-1]],
    )
    yield Bed("the classroom's network with Adam", MODEL.document, adam)
    yield changed(
        "the classroom's network with padded convolutions",
        [
            {**layer, "settings": {**layer["settings"], "padding": 1}} if layer["op"] == "conv2d" else layer
            for layer in layers
        ],
    )


BEDS: dict[str, Bed] = {bed.name: bed for bed in _beds()}


def trained(bed: Bed, slip: Slip | None) -> tuple[Network, Any]:
    """The network, with the slip, and its optimizer. SlipError where the slip does not show in it."""
    options = {key: value for key, value in bed.optimizer.items() if key != "name"}
    optimizer = OPTIMIZERS[bed.optimizer["name"]](**options)
    network = Network.from_document(bed.network).slipped(slip)
    network.check_slip(BATCH, optimizer)
    return network, optimizer


#: Slips whose sentences are in the classroom's network, where they compute the right numbers all the same.
PADDED = {"dw_unpadded"}


@cache
def bed_of(name: str) -> Bed:
    """The first network in which the slip of that name shows. KeyError where there is none."""
    for bed in list(BEDS.values())[-1 if name in PADDED else 0 :]:
        try:
            trained(bed, SLIPS[name])
        except (SlipError, SettingError):
            continue
        return bed
    raise KeyError(name)


#: The share of the test images that is told right without a slip, by network; and with each slip in its own network.
#: Made by `python -m tests.benchmarks.slips`.
RIGHT: dict[str, float] = {
    "the classroom's network": 0.9355,
    "the classroom's network with average pools": 0.9165,
    "the classroom's network with batch norm after each convolution": 0.9475,
    "the classroom's network with dropout before its last layer": 0.933,
    "the classroom's network with Adam": 0.886,
    "the classroom's network with padded convolutions": 0.934,
}
ACCURACY: dict[str, float] = {
    "dx_not_turned": 0.933,
    "dx_upside_down": 0.931,
    "dx_mirrored": 0.926,
    "dx_transposed": 0.9305,
    "dx_reversed": 0.856,
    "dx_one_channel": 0.927,
    "dx_one_window": 0.938,
    "dx_shifted": 0.77,
    "dw_turned": 0.618,
    "dw_mirrored": 0.837,
    "dw_transposed": 0.8745,
    "dw_delta_turned": 0.682,
    "dw_unpadded": 0.825,
    "dw_mean": 0.8085,
    "dw_last_image": 0.34,
    "dw_zero": 0.77,
    "first_frozen": 0.9215,
    "db_zero": 0.9315,
    "db_mean": 0.93,
    "linear_reversed": 0.0875,
    "pool_corner": 0.915,
    "pool_spread": 0.925,
    "pool_everywhere": 0.926,
    "pool_ties": 0.9285,
    "pool_no_delta": 0.1025,
    "average_sum": 0.9245,
    "gate_forgotten": 0.0875,
    "gate_on_delta": 0.1025,
    "mask_forgotten": 0.1025,
    "norm_mean": 0.8665,
    "norm_spread": 0.946,
    "target_forgotten": 0.0875,
    "loss_sum": 0.1095,
    "loss_twice": 0.568,
    "update_sign": 0.0875,
    "rate_twice": 0.5535,
    "momentum_forgotten": 0.849,
    "correction_forgotten": 0.942,
}


def outcome(name: str) -> Outcome:
    """What came of training with the slip of that name."""
    bed = bed_of(name).name
    return Outcome(bed, STEPS, IMAGES, ACCURACY[name], RIGHT[bed])
