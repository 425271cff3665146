"""Networks and their tensors as clients write them, checked against the limits before anything is allocated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from app.formats import json
from app.http.engine_errors import as_problems
from app.http.request_body import TENSOR, TENSORS, DType, Natural, Positive, RequestModel, Typed, at_most, either
from app.limits import Limits
from app.problems import Loc, invalid, over_limit
from engine.layers import LAYER_NAME, LONGEST_NAME, RESERVED
from engine.models import MODELS, Model
from engine.network import Network
from engine.ops import OPS
from engine.ops.base import ShapeError
from engine.settings import settings_schema
from engine.trace import Trace
from engine.train import Draws, draws

#: Images of numbers from 0 to beyond it are taken for pixels that were not divided.
BYTES = 31


def _settings_by_op(losses: bool) -> dict[str, Any]:
    """In words of JSON Schema: `settings` are those of the operator that `op` names."""
    known = {
        op.name: settings_schema({**op.layer_settings, **op.settings}) for op in OPS.values() if op.is_loss == losses
    }
    return {
        "oneOf": [
            {
                "title": name,
                "properties": {"op": {"const": name}, "settings": settings},
                "required": ["op", "settings"] if settings["required"] else ["op"],
            }
            for name, settings in known.items()
        ]
    }


class LayerFields(RequestModel):
    model_config = ConfigDict(json_schema_extra=_settings_by_op(losses=False))

    name: str = Field(
        description="how places name the layer; `input`, `target` and `loss` are taken",
        examples=["conv1"],
        json_schema_extra={
            "pattern": f"^{LAYER_NAME.pattern}$",
            "maxLength": LONGEST_NAME,
            "not": {"enum": list(RESERVED)},
        },
    )
    op: str = Field(description="an operator of GET /api/ops that is no loss", examples=["conv2d"])
    settings: dict[str, Any] = Field(
        default={},
        description="the operator's settings; `out`, `kernel_size`, `bias` stand in for weights",
        examples=[{"out": 8, "kernel_size": 3}],
    )
    inputs: Annotated[list[str] | None, at_most("layers", "network", "layers")] = Field(
        default=None, description="the layers it reads, or `input`; default: the layer before"
    )


class LossFields(RequestModel):
    model_config = ConfigDict(json_schema_extra=_settings_by_op(losses=True))

    op: str = Field(description="a loss of GET /api/ops", examples=["cross_entropy"])
    settings: dict[str, Any] = Field(default={}, description="the loss's settings")


LOSSES = [op.name for op in OPS.values() if op.is_loss]
#: Of an image, at most.
AXES = 8


def _few_axes(given: Any) -> Any:
    """Before any of them is looked at."""
    if isinstance(given, list) and not 1 <= len(given) <= AXES:
        raise PydanticCustomError("axes", f"expected 1 to {AXES} axes, got {len(given)}")
    return given


class DefaultFields(RequestModel):
    """The settings that train a network well."""

    optimizer: dict[str, Any] | None = Field(default=None, description="name and settings")
    schedule: dict[str, Any] | None = Field(default=None, description="of the learning rate: name and settings")
    max_norm: Annotated[float, Field(gt=0, le=1e12)] | None = Field(
        default=None, description="the largest norm of all gradients together"
    )
    batch_size: Positive | None = Field(default=None, description="images in a minibatch")
    shuffle: bool | None = Field(default=None, description="another order of the images in every epoch")
    drop_last: bool | None = Field(default=None, description="leave out an epoch's last minibatch where it is smaller")
    shift: Annotated[int, Field(ge=0, le=64)] | None = Field(
        default=None, description="pixels by which training images are moved at most"
    )
    seed: Natural | None = Field(default=None, description="of all that is drawn")
    steps: Positive | None = Field(default=None, description="updates to make")
    epochs: Positive | None = Field(default=None, description="times to see every image")


class NetworkFields(RequestModel):
    """A network document. What GET /api/models answers can be sent back as it is."""

    input: Annotated[list[Positive], BeforeValidator(_few_axes)] = Field(
        description="[channels, height, width] of one image",
        examples=[[1, 28, 28]],
        json_schema_extra={
            "items": {"type": "integer", "minimum": 1, "maximum": 2**16},
            "anyOf": [{"minItems": count, "maxItems": count} for count in (1, 3)],
        },
    )
    layers: Annotated[list[LayerFields], at_most("layers", "network", "layers")] = Field(
        description="each after the layers that it reads; the last one feeds the loss",
        json_schema_extra={"minItems": 1},
    )
    loss: Annotated[str, Field(json_schema_extra={"enum": LOSSES})] | LossFields = Field(
        default="cross_entropy", description="name, or op and settings"
    )
    parameters: Any = Field(
        default=None, description="values by name (`conv1/w`), nested lists", json_schema_extra=TENSORS
    )
    example: Any = Field(
        default=None, description="x and target, for calls that are given none", json_schema_extra=TENSORS
    )
    name: str | None = Field(default=None, description="not read")
    title: str | None = Field(default=None, description="what to call it")
    summary: str | None = Field(default=None, description="not read")
    button: str | None = Field(default=None, description="not read")
    defaults: DefaultFields | None = Field(default=None, description="of a run, for what it leaves out")

    def document(self) -> dict[str, Any]:
        """What the engine reads."""
        return self.model_dump(include={"input", "layers", "loss"}, exclude_none=True)


NetworkField = Annotated[NetworkFields | None, Field(description="a network document; or give `model`")]
ModelField = Annotated[
    Annotated[str, Field(json_schema_extra={"enum": list(MODELS)})] | None,
    Field(description="a preset of GET /api/models; or give `network`", examples=["tiny"]),
]
TRAINABLE = [name for name, model in MODELS.items() if model.defaults]
TrainableField = Annotated[
    Annotated[str, Field(json_schema_extra={"enum": TRAINABLE})] | None,
    Field(description="a preset of GET /api/models that has `defaults`; or give `network`", examples=["tiny"]),
]
Parameters = Annotated[
    dict[str, Any] | None,
    Field(
        description="values by name: `conv1/w`, or PyTorch's `conv1.weight`; nested lists",
        json_schema_extra=TENSORS,
    ),
]


class NetworkChoice(RequestModel):
    model_config = ConfigDict(json_schema_extra=either(("network",), ("model",)))

    network: NetworkField = None
    model: ModelField = None

    @classmethod
    def arranged(cls, document: Any) -> Any:
        """A network document in place of the body is its `network`, but for what is a field of the body."""
        if not isinstance(document, dict) or "layers" not in document or document.keys() & {"network", "model"}:
            return document
        inner = {name for name in NetworkFields.model_fields if name in document and name not in cls.model_fields}
        rest = {name: value for name, value in document.items() if name not in inner}
        return {**rest, "network": {name: document[name] for name in inner}}


class PassFields(NetworkChoice, Typed):
    model: TrainableField = None
    parameters: Parameters = None
    seed: Natural | None = Field(default=None, description="draws the parameters, where none are given; default 0")
    x: Any = Field(
        default=None,
        description="images (N, C, H, W), or one (C, H, W); default: the model's example",
        json_schema_extra=TENSOR,
    )
    target: Any = Field(
        default=None,
        description="N class numbers, or values for each output; default: the model's example",
        json_schema_extra=TENSOR,
    )
    training: bool = Field(
        default=True,
        description="layers work as in training: batch_norm by the batch's own mean and variance, dropout with "
        "the mask that its seed draws; false: as a trained network is used",
    )

    def draws(self, network: Network) -> Draws | None:
        """The generators of random tensors, those of a run's first step; none at rest."""
        return draws(network, self.seed or 0, 1) if self.training else None


def model_of(choice: NetworkChoice) -> Model | None:
    """The preset that is named; 422 unless exactly one of network and model is given."""
    if (choice.network is None) == (choice.model is None):
        given = "both" if choice.network else "neither"
        raise invalid(f"expected either network or model, got {given}", ["network"])
    if choice.model is None:
        return None
    if choice.model not in MODELS:
        raise invalid(f"there is no model {choice.model!r}; there are: {', '.join(MODELS)}", ["model"])
    return MODELS[choice.model]


def document_of(choice: NetworkChoice) -> Mapping[str, Any]:
    """The document, whether it makes a network or not."""
    model = model_of(choice)
    if model:
        return model.document
    assert choice.network is not None
    return choice.network.document()


def network_of(choice: NetworkChoice) -> Network:
    """The network, of any size: its shapes cost nothing."""
    with as_problems("network"):
        return Network.from_document(document_of(choice))


def check_parameters(choice: NetworkChoice, network: Network, limits: Limits) -> None:
    """Refuse, before any is drawn or read, more parameters than the limit."""
    count = sum(math.prod(network.parameter_shapes[name]) for name in network.learned)
    if count > limits.parameters:
        raise over_limit(
            "parameters",
            limits.parameters,
            f"{count} parameters; at most {limits.parameters} are taken",
            ["model"] if choice.model else ["network", "layers"],
        )


def own_parameters(choice: NetworkChoice) -> Any:
    """What comes with the preset or with the document, None when nothing does."""
    model = model_of(choice)
    return model.parameters if model else (choice.network and choice.network.parameters) or None


def parameters_of(
    network: Network, given: Any, dtype: DType, limits: Limits, loc: Loc = ("parameters",)
) -> dict[str, np.ndarray]:
    """Parameters by the network's own names, each with its shape; 422 with the name that does not fit."""
    if not isinstance(given, Mapping):
        raise invalid("expected an object of tensors by name", loc)
    arrays = {str(name): tensor(value, [*loc, str(name)], dtype, limits) for name, value in given.items()}
    with as_problems(*loc[:-1]):
        return network.parameters_from(arrays, np.dtype(dtype).type)


def tensor(value: Any, loc: Loc, dtype: str, limits: Limits) -> np.ndarray:
    return json.array(value, loc, np.dtype(dtype), rank=limits.rank, elements=limits.elements)


def images(network: Network, value: Any, loc: Loc, dtype: str, limits: Limits) -> np.ndarray:
    """One image or a batch as (N, C, H, W); a single image may leave out N, and a channel of its own."""
    x = tensor(value, loc, dtype, limits)
    shape = network.input_shape
    if x.shape == shape or (len(shape) == 3 and shape[0] == 1 and x.shape == shape[1:]):
        x = x.reshape(1, *shape)
    if x.shape[1:] != shape:
        expected = ", ".join(map(str, shape))
        raise invalid(
            f"{'.'.join(map(str, loc))} has shape {list(x.shape)}, expected [{expected}] or [N, {expected}]",
            loc,
        )
    return x


def pixels(network: Network, value: Any, loc: Loc, limits: Limits) -> np.ndarray:
    """Images to learn from or to be looked at, as float32: an .npz's bytes are divided by 255. 422 for other numbers
    far beyond 1 and none below 0: they would be seen in nothing but bad answers."""
    x = images(network, value, loc, "float32", limits)
    if x.ndim == 4 and are_bytes(value):
        return x / np.float32(255)
    high = float(x.max(initial=0))
    if x.ndim == 4 and high > BYTES and x.min() >= 0:
        most = next((most for most in (255, 65_535) if high <= most), None)
        remedy = f"divide by {most}" if most else "divide by the largest that there may be"
        raise invalid(f"{'.'.join(map(str, loc))} holds numbers of 0 to {high:g}; pixels are 0 to 1: {remedy}", loc)
    return x


def are_bytes(value: Any) -> bool:
    """Whether numbers come as bytes of 0 to 255; zeros and ones are pixels already."""
    return isinstance(value, np.ndarray) and value.dtype == np.uint8 and bool((value > 1).any())


def targets(network: Network, value: Any, x: np.ndarray, loc: Loc, dtype: str, limits: Limits) -> np.ndarray:
    """Class numbers (N,) as whole numbers, or values for each output; for one image N may be left out."""
    array = tensor(value, loc, "float64", limits)
    outputs = network.layers[network.output].shape
    usual = network.loss.op.target_shape((len(x), *outputs))
    if len(x) == 1 and array.shape in (usual[1:], outputs):
        array = array.reshape(1, *array.shape)
    classes = array.ndim == len(usual) == 1
    if classes:
        if not (array == np.floor(array)).all() or np.abs(array).max() > 2**31:
            raise invalid(f"{'.'.join(map(str, loc))}: expected class numbers, whole and from 0", loc)
        array = array.astype(np.int64)
    else:
        array = array.astype(dtype)
    try:
        network.check_batch(x, array)
    except ShapeError as error:
        raise invalid(str(error), loc) from None
    return array


def check_cost(network: Network, batch: int, limits: Limits, most: float, name: str, passes: int = 1) -> float:
    """What so many passes over so many images take, in multiply-adds; 413 when it is too heavy or needs too much
    memory."""
    if network.scratch > limits.scratch:
        raise over_limit(
            "scratch",
            limits.scratch,
            f"a layer needs {network.scratch} elements on the way; at most {limits.scratch} are taken",
        )
    cost = passes * batch * network.work
    if cost > most:
        raise over_limit(name, most, f"the work of {cost:.0f} multiply-adds; at most {most:.0f} are taken")
    outputs = sum(math.prod(layer.shape) for layer in network.layers.values())
    elements = batch * (math.prod(network.input_shape) + outputs)
    if elements > limits.activations:
        raise over_limit(
            "activations",
            limits.activations,
            f"{elements} elements in all layers; at most {limits.activations} are taken",
        )
    return cost


def trace_of(asked: PassFields, limits: Limits) -> Trace:
    """The pass that is asked for, within the limits."""
    network = network_of(asked)
    check_parameters(asked, network, limits)
    model = model_of(asked)
    example = model.example if model else (asked.network.example if asked.network else None)
    given = {"x": asked.x, "target": asked.target}
    for name, value in given.items():
        if value is None and isinstance(example, dict):
            given[name] = example.get(name)
        if given[name] is None:
            raise invalid(f"{name} is missing", [name])
    x = images(network, given["x"], ["x"], asked.dtype, limits)
    target = targets(network, given["target"], x, ["target"], asked.dtype, limits)
    check_cost(network, len(x), limits, limits.multiply_adds, "multiply_adds", passes=3)
    kind = np.dtype(asked.dtype).type
    own = own_parameters(asked) if asked.parameters is None and asked.seed is None else asked.parameters
    if own is None:
        parameters = network.initial(asked.seed or 0, kind)
    else:
        parameters = parameters_of(network, own, asked.dtype, limits)
    with as_problems():
        if asked.training:
            network.check_training(len(x))
        values = network.forward(parameters, x, target, asked.draws(network))
        network.backward(parameters, values, training=asked.training)
    origin = (asked.seed or 0) if own is None else None
    return Trace(network, values, parameters, training=asked.training, origin=origin)


def parameter_key(parameter: str) -> tuple[str, str]:
    """Where a trace holds conv1/w."""
    layer, _, tensor = parameter.partition("/")
    return layer, tensor


def gradient_key(parameter: str) -> tuple[str, str]:
    """Where a trace holds its gradient, conv1/dw."""
    layer, tensor = parameter_key(parameter)
    return layer, f"d{tensor}"
