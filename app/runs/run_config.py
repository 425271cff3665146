"""What POST /api/runs asks for, made into a plan: what is left out takes the model's defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field, StringConstraints

from app.datasets import MNIST, Datasets
from app.datasets.packages import PACKAGES
from app.http.engine_errors import as_problems
from app.http.request_body import TENSOR, Natural, Positive, RequestModel, either
from app.limits import Limits
from app.problems import Problem, invalid, over_limit
from app.runs import inspect
from app.runs.registry import RunRegistry
from app.runs.run import RunConfig
from app.services import networks
from app.services.imports.models import Imports
from app.services.networks import NetworkChoice
from engine.data import Dataset, from_arrays
from engine.models import MODELS, Model
from engine.network import Network
from engine.ops.base import ShapeError
from engine.optimizers import OPTIMIZERS, Optimizer
from engine.schedules import SCHEDULES, Schedule, schedule_from
from engine.settings import said, settings_schema
from engine.slips import SLIPS, Slip, SlipError
from engine.trace import PlaceError
from engine.train import batches, check_dataset, optimizer_from

#: What a network takes that brings no defaults of its own.
USUAL = MODELS["classroom"].defaults


class GivenData(RequestModel):
    model_config = ConfigDict(json_schema_extra={"required": ["x", "target"]})

    x: Any = Field(default=None, description="images (N, C, H, W), nested lists", json_schema_extra=TENSOR)
    target: Any = Field(
        default=None, description="N class numbers, or values for each output", json_schema_extra=TENSOR
    )
    x_test: Any = Field(
        default=None,
        description="images to test on; default: one in ten of x, drawn by the seed, where there are 50 or more",
        json_schema_extra=TENSOR,
    )
    target_test: Any = Field(default=None, description="their targets", json_schema_extra=TENSOR)


def _named_schema(kind: type[Optimizer] | type[Schedule]) -> dict[str, Any]:
    schema = settings_schema(kind.settings)
    properties = {"name": {"const": kind.name}, **schema["properties"]}
    return {**schema, "title": kind.name, "properties": properties, "required": ["name", *schema["required"]]}


#: One line that a list has room for.
RunName = Annotated[str, StringConstraints(strip_whitespace=True, max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$")]
NO_NAME: dict[str, Any] = {"title": "settings alone", "type": "object", "not": {"required": ["name"]}}


class StartFields(RequestModel):
    """Where another run stands."""

    run: str = Field(description="a run of this server", examples=["welcome"])
    step: Natural | None = Field(default=None, description="the parameters of this step; default: the newest")
    edits: inspect.EditList = Field(default=[], description="parameters set by hand, later ones last")


class RunFields(NetworkChoice):
    """A run to be. Everything but the network has a default."""

    model_config = ConfigDict(
        json_schema_extra=either(("network",), ("model",), ("imported",), ("from",)), populate_by_name=True
    )

    imported: str | None = Field(
        default=None, description="in place of network: an imported model, with its parameters; or `from`"
    )
    from_: StartFields | None = Field(
        default=None,
        alias="from",
        description="in place of network: the network of another run, and the parameters it has",
    )
    model: networks.TrainableField = None
    dataset: str | GivenData | None = Field(
        default=None,
        description="a name of GET /api/datasets, or images and targets; default: the model's own, else mnist",
    )
    optimizer: dict[str, Any] | None = Field(
        default=None,
        description="name and settings, as GET /api/optimizers lists them; the model's own, where no name is given",
        json_schema_extra={"anyOf": [*map(_named_schema, OPTIMIZERS.values()), NO_NAME, {"type": "null"}]},
        examples=[{"name": "momentum", "learning_rate": 0.05}],
    )
    schedule: dict[str, Any] | None = Field(
        default=None,
        description="of the learning rate, counted in updates: name and settings, as GET /api/optimizers lists them; "
        "default: the model's own, else constant",
        json_schema_extra={"anyOf": [*map(_named_schema, SCHEDULES.values()), {"type": "null"}]},
        examples=[{"name": "cosine"}],
    )
    max_norm: Annotated[float, Field(gt=0, le=1e12)] | None = Field(
        default=None,
        description="the largest norm of all gradients together: where it is larger, they are scaled down to it",
    )
    batch_size: Positive | None = Field(default=None, description="images in a minibatch")
    shuffle: bool | None = Field(
        default=None, description="whether every epoch has an order of its own; default: the model's, else true"
    )
    drop_last: bool | None = Field(
        default=None, description="leave out an epoch's last minibatch where it is smaller; default: false"
    )
    shift: Annotated[int, Field(ge=0, le=64)] | None = Field(
        default=None,
        description="pixels by which each training image is moved at most, up or down and to the side, zeros coming "
        "in; default: 0",
    )
    seed: Natural | None = Field(default=None, description="of the first weights, the shuffling and the dropout")
    steps: Positive | None = Field(default=None, description="updates to make; or give epochs")
    epochs: Positive | None = Field(default=None, description="times to see every image; default: the model's, else 1")
    parameters: networks.Parameters = None
    slip: str | None = Field(
        default=None,
        description="a slip of GET /api/slips to train with: the same network with one sentence of its backward pass "
        "edited, by the readable path",
        json_schema_extra={"anyOf": [{"type": "string", "enum": list(SLIPS)}, {"type": "null"}]},
    )
    start: bool = Field(default=True, description="whether to begin at once")
    name: RunName = Field(default="", description="what to call it in the list of runs")
    owner: RunName = Field(default="", description="a nickname of whoever makes it, shown beside it")


@dataclass(frozen=True)
class Start:
    """A network and parameters that stand somewhere, in place of a document; `dataset` is what they learned from."""

    network: Network
    parameters: Mapping[str, np.ndarray]
    title: str
    model: str | None = None
    dataset: Dataset | None = None


def start_from(asked: RunFields, runs: RunRegistry, imports: Imports, limits: Limits) -> Start | None:
    """What `imported` or `from` name; None where the body brings a network of its own. 422 where it names several."""
    named = {"network": asked.network, "model": asked.model, "imported": asked.imported, "from": asked.from_}
    given = [name for name, value in named.items() if value is not None]
    if len(given) > 1:
        raise invalid(f"expected one of {', '.join(named)}, got {' and '.join(given)}", [given[-1]])
    if asked.imported is not None:
        found = imports.get(asked.imported)
        if found.result.network is None:
            rows = found.result.rows
            missing = next(row for row in rows if row.state == "missing")
            raise invalid(f"{found.name}: {missing.source} is missing: {missing.detail}", ["imported"])
        with as_problems("imported"):
            network = Network.from_document(found.result.network)
            return Start(network, {**network.initial(0), **found.result.parameters}, found.name)
    if asked.from_ is not None:
        run = runs.get(asked.from_.run)
        edits = inspect.edits_of(run, asked.from_.edits, limits, ["from", "edits"])
        try:
            with as_problems("from"):
                parameters = run.trainer.parameters_at(asked.from_.step, edits)
        except PlaceError as error:
            raise invalid(str(error.args[0]), ["from", "edits"]) from None
        return Start(run.config.network, parameters, run.config.title, run.config.model, run.config.dataset)
    return None


def config_of(asked: RunFields, datasets: Datasets, limits: Limits, start: Start | None = None) -> RunConfig:
    """A plan in which everything fits; 422 with what does not, 413 with the limit that it exceeds."""
    if start and start.model and asked.model is None:
        model: Model | None = MODELS.get(start.model)
    else:
        model = None if start else networks.model_of(asked)
    network = start.network if start else networks.network_of(asked)
    networks.check_parameters(asked, network, limits)
    own_defaults = None if start or asked.network is None else asked.network.defaults
    defaults = (model and model.defaults) or {
        **USUAL,
        **(own_defaults.model_dump(exclude_none=True) if own_defaults else {}),
    }
    if start and start.dataset and asked.dataset is None:
        dataset = start.dataset
    else:
        dataset = _dataset(asked, network, model, datasets, limits)
    train = dataset.splits["train"]
    if asked.batch_size is not None and asked.batch_size > len(train):
        raise invalid(
            f"expected at most {len(train)}, as many as there are images, got {asked.batch_size}",
            ["batch_size"],
        )
    batch_size = asked.batch_size or min(defaults["batch_size"], len(train))
    if batch_size > limits.batch_size:
        raise over_limit(
            "batch_size",
            limits.batch_size,
            f"minibatches of {batch_size}; at most {limits.batch_size} are taken",
            ["batch_size"],
        )
    network = network.slipped(_slip(asked.slip))
    cost = networks.check_cost(network, batch_size, limits, limits.step_multiply_adds, "step_multiply_adds", passes=3)
    feed = {
        name: defaults.get(name, usual) if getattr(asked, name) is None else getattr(asked, name)
        for name, usual in (("shuffle", True), ("drop_last", False), ("shift", 0))
    }
    try:
        check_dataset(network, dataset, batch_size, feed["drop_last"])
    except ShapeError as error:
        raise invalid(str(error), ["dataset"]) from None
    steps = _steps(asked, defaults, batches(len(train), batch_size, feed["drop_last"]), limits)
    max_norm = asked.max_norm or defaults.get("max_norm")
    optimizer = _optimizer(asked, defaults["optimizer"]).under(_schedule(asked, defaults), max_norm).over(steps)
    cost += _slip_cost(network, optimizer, batch_size, limits)
    _check_memory(network, optimizer, batch_size, limits)
    own: Any = asked.parameters
    if own is None:
        own = start.parameters if start else networks.own_parameters(asked)
    return RunConfig(
        title=start.title if start else _title(asked, model),
        model=start.model if start else asked.model,
        network=network,
        cost=cost,
        dataset=dataset,
        optimizer=optimizer,
        batch_size=batch_size,
        name=asked.name,
        seed=defaults["seed"] if asked.seed is None else asked.seed,
        steps=steps,
        **feed,
        parameters=None if own is None else networks.parameters_of(network, own, "float32", limits),
        nickname=asked.owner,
        data_bytes=datasets.own_bytes(dataset),
    )


def _slip(name: str | None) -> Slip | None:
    if name is not None and name not in SLIPS:
        raise invalid(f"there is no slip {name[:40]!r}; there are: {', '.join(SLIPS)}", ["slip"])
    return None if name is None else SLIPS[name]


def _slip_cost(network: Network, optimizer: Optimizer, batch_size: int, limits: Limits) -> float:
    """What a step of the slip's sentences takes beside the kernels; 422 where it does not show, 413 over a limit."""
    try:
        cost = network.check_slip(batch_size, optimizer)
    except SlipError as error:
        raise invalid(str(error), ["slip"]) from None
    if cost > (most := limits.step_multiply_adds):
        detail = f"the slip's sentences take the work of {cost:.0f} multiply-adds; at most {most:.0f} are taken"
        raise over_limit("step_multiply_adds", most, detail, ["slip"])
    return cost


def _check_memory(network: Network, optimizer: Optimizer, batch_size: int, limits: Limits) -> None:
    """413 for what the run would hold in the end: states to look back to, passes, and the step under way."""
    parameters = 4 * network.size
    state = parameters * (1 + len(optimizer.state))
    outputs = 4 * batch_size * sum(math.prod(layer.shape) for layer in network.layers.values())
    needed = (
        max(limits.history_bytes, 4 * state)  # the engine keeps four states at the least
        + limits.trace_bytes
        + limits.pass_bytes
        + 2 * state
        + parameters
        + 4 * outputs  # tensors and their gradients, of this step and of one that is looked at
    )
    if needed > limits.run_bytes:
        raise over_limit(
            "run_bytes", limits.run_bytes, f"the run would need {needed} bytes; at most {limits.run_bytes} are given"
        )


def _title(asked: RunFields, model: Model | None) -> str:
    if model:
        return model.title
    return (asked.network and asked.network.title) or "Own network"


def _dataset(asked: RunFields, network: Network, model: Model | None, datasets: Datasets, limits: Limits) -> Dataset:
    if isinstance(asked.dataset, str):
        try:
            return datasets.get(asked.dataset)
        except Problem as problem:
            raise invalid(problem.detail, ["dataset"]) from None
    if asked.dataset is not None:
        given = asked.dataset
        train = _given(network, given.x, given.target, "", limits)
        test = None
        if given.x_test is not None or given.target_test is not None:
            test = _given(network, given.x_test, given.target_test, "_test", limits)
        with as_problems("dataset"):
            made = from_arrays(*train, test=test, seed=asked.seed or 0)
        bytewise = [name for name in ("x", "x_test") if networks.are_bytes(getattr(given, name))]
        noted = tuple(f"{name}: bytes were divided by 255" for name in bytewise if len(network.input_shape) == 3)
        return replace(made, notes=(*made.notes, *noted))
    if asked.network and asked.network.example and isinstance(asked.network.example, dict):
        example = asked.network.example
        return from_arrays(*_given(network, example.get("x"), example.get("target"), "", limits))
    if model and model.example:
        images = networks.images(network, model.example["x"], ["model", "x"], "float32", limits)
        target = networks.targets(network, model.example["target"], images, ["model", "target"], "float32", limits)
        return from_arrays(images, target, model.name)
    usual = (model and model.dataset) or MNIST
    try:
        return datasets.get(usual)
    except Problem as problem:
        if usual in PACKAGES:
            words = f"{problem.detail}. `python3 -m app data add {usual}` brings it, where the server runs"
            raise invalid(words, ["dataset"]) from None
        there = ", ".join(datasets.names()) or "none"
        raise invalid(f"{problem.detail}; name another in `dataset`; there are: {there}", ["dataset"]) from None


def _given(network: Network, x: Any, target: Any, part: str, limits: Limits) -> tuple[np.ndarray, np.ndarray]:
    """Images and targets of a body; `part` ends their names."""
    for name, value in (("x", x), ("target", target)):
        if value is None:
            raise invalid("expected images and targets", ["dataset", name + part])
    images = networks.pixels(network, x, ["dataset", f"x{part}"], limits)
    if len(images) > limits.images:
        words = f"{len(images)} images; at most {limits.images} are taken"
        raise over_limit("images", limits.images, words, ["dataset", f"x{part}"])
    return images, networks.targets(network, target, images, ["dataset", f"target{part}"], "float32", limits)


#: Members of an .npz that are data, and no parameters.
DATA = ("x", "target", "x_test", "target_test")


def with_data(asked: RunFields) -> RunFields:
    """Members of an .npz that are named as data belong to `dataset`, unless the network has parameters of their names;
    422 where the body gives a data set, too."""
    members = asked.parameters or {}
    given = {name: members[name] for name in DATA if name in members}
    if not given:
        return asked
    if asked.dataset is not None:
        raise invalid(f"a data set is given twice, in JSON and as the members {', '.join(given)}", ["dataset"])
    rest = {name: value for name, value in members.items() if name not in given}
    return asked.model_copy(update={"parameters": rest or None, "dataset": GivenData.model_construct(**given)})


def _optimizer(asked: RunFields, usual: dict[str, Any]) -> Optimizer:
    given = asked.optimizer or {}
    name = given.get("name", usual["name"])
    if not isinstance(name, str) or name not in OPTIMIZERS:
        raise invalid(f"there is no optimizer {name!r}; there are: {', '.join(OPTIMIZERS)}", ["optimizer", "name"])
    settings = {**usual, **given} if name == usual["name"] else {**given, "name": name}
    with as_problems("optimizer"):
        return optimizer_from(settings)


def _schedule(asked: RunFields, defaults: Any) -> Schedule:
    usual = defaults.get("schedule", {"name": "constant"})
    given = usual if asked.schedule is None else asked.schedule
    name = given.get("name")
    if not isinstance(name, str) or name not in SCHEDULES:
        raise invalid(f"there is no schedule {said(name)}; there are: {', '.join(SCHEDULES)}", ["schedule", "name"])
    with as_problems("schedule"):
        return schedule_from(given)


def _steps(asked: RunFields, defaults: Any, steps_per_epoch: int, limits: Limits) -> int:
    if asked.steps is not None and asked.epochs is not None:
        raise invalid("expected either steps or epochs, got both", ["steps"])
    if asked.steps is None and asked.epochs is None and "steps" in defaults:
        steps = int(defaults["steps"])
    else:
        steps = asked.steps or (asked.epochs or defaults.get("epochs", 1)) * steps_per_epoch
    if steps > limits.steps:
        raise over_limit("steps", limits.steps, f"{steps} steps; at most {limits.steps} are taken", ["steps"])
    return steps
