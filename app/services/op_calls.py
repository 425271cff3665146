"""Stand-alone calls of operators and optimizers: tensors checked against the op's contract and the limits, then
computed or explained. For the pool."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from app.formats import documents
from app.http.engine_errors import as_problems
from app.http.request_body import TENSORS, Typed
from app.limits import Limits
from app.problems import invalid, missing, over_limit
from app.services import networks
from engine import formula
from engine.formula import FormulaError, Program, Tensors
from engine.ops import OPS
from engine.ops.base import Op, Shape, ShapeError
from engine.optimizers import OPTIMIZERS, Optimizer
from engine.schedules import Schedule
from engine.settings import settings_schema
from engine.timeline import Timeline, call_timeline
from engine.trace import Place, PlaceError

Arrays = dict[str, np.ndarray]


#: Layers that one layer can read: the letters there are.
MOST_READ = 26


class OpFields(Typed):
    settings: dict[str, Any] = Field(
        default={}, description="the operator's settings; what is left out takes its default"
    )
    tensors: dict[str, Any] = Field(
        description="by name, nested lists, NCHW", json_schema_extra={**TENSORS, "minProperties": 1}
    )


class OpPlaceFields(OpFields):
    place: str = Field(description="tensor/index of the number to explain", examples=["dx/0,0,1,2"])


class OptimizerFields(OpFields):
    """`step` among the tensors counts the updates already made (0-d, default 0)."""

    settings: dict[str, Any] = Field(
        default={},
        description="the optimizer's settings; what is left out takes its default",
        examples=[{"learning_rate": 0.1}],
    )
    tensors: dict[str, Any] = Field(
        description="the parameter `w`, its gradient `dw` and the state, all of one shape",
        json_schema_extra={**TENSORS, "required": ["w", "dw"]},
    )


class OptimizerPlaceFields(OptimizerFields):
    place: str = Field(description="tensor/index of the number to explain", examples=["w_next/0,1"])


# operators ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """An operator with settings and tensors that fit together."""

    op: Op
    arrays: Arrays
    extents: Mapping[str, Shape]

    @property
    def shapes(self) -> dict[str, Shape]:
        return {name: array.shape for name, array in self.arrays.items()}

    @property
    def cost(self) -> float:
        """Of one pass, in multiply-adds."""
        return self.op.work({name: shape for name, shape in self.shapes.items() if name != "dy"})

    @property
    def elements(self) -> int:
        """Numbers given and made in one pass."""
        return sum(map(math.prod, {**self.shapes, **self.extents}.values()))

    def forward(self) -> Arrays:
        """Every result; running statistics under their old names, as the next call takes them."""
        return {self._public(name): array for name, array in self._results().items()}

    def _results(self) -> Arrays:
        with as_problems("tensors"):
            return self.op.forward({name: array for name, array in self.arrays.items() if name != "dy"})

    def _public(self, name: str) -> str:
        return next((buffer for buffer in self.op.buffers if name == f"{buffer}_next"), name)

    def backward(self) -> Arrays:
        """Every result of forward and every gradient."""
        return {self._public(name): array for name, array in self._pass().items()}

    def _pass(self) -> Arrays:
        if "dy" not in self.arrays and not self.op.is_loss:
            raise invalid("dy is missing: the gradient of the loss with respect to y", ["tensors", "dy"])
        results = self._results()
        with as_problems("tensors"):
            return {**results, **self.op.backward({**self.arrays, **results})}

    def timeline(self) -> Timeline:
        """What happens in the call, in which order: its results and, with `dy`, its gradients."""
        shapes = {name: shape for name, shape in self.shapes.items() if name != "dy"}
        with as_problems("tensors"):
            return call_timeline(self.op, shapes, "dy" in self.arrays or self.op.is_loss)

    def explain(self, place: str, paging: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
        name, index = _place(place)
        if name in self.op.buffers:
            name = f"{name}_next"
        if name in self.arrays:
            raise invalid(f"{name} is given: nothing makes it", ["place"])
        backward = "dy" in self.arrays or self.op.is_loss
        made = self._pass() if backward else self._results()
        with as_problems("place"):
            program = self.op.program(self.shapes)
            if backward:
                program = program.gradients(
                    tuple(gradient[1:] for gradient in self.op.gradients if gradient[1:] in self.arrays)
                )
            arrays = {
                key: array for key, array in {**self.arrays, **made}.items() if key in (*program.given, *program.names)
            }
            if "dy" in program.given:
                arrays.setdefault("dy", np.ones(()))
            tensors = Tensors(program, arrays, self.op.numbers(self.shapes), self.extents)
            return _explained(tensors, name, index, place, paging, limits)


def call_of(name: str, asked: OpFields, limits: Limits) -> Call:
    """The call, checked; nothing is computed yet. 404 for an unknown op, 422 for a misfit, 413 over a limit."""
    if name not in OPS:
        raise missing(f"there is no operator {name[:40]!r}; there are: {', '.join(OPS)}")
    kind = OPS[name]
    with as_problems("settings"):
        op = kind(**asked.settings)
    arrays = {
        key: networks.tensor(value, ["tensors", key], asked.dtype, limits) for key, value in asked.tensors.items()
    }
    known = {**kind.tensors, "dy": None}
    for key in arrays:
        if key not in known:
            raise invalid(f"{name} has no tensor {key!r}; it takes {', '.join(known)}", ["tensors", key])
    for key, spec in kind.tensors.items():
        if key not in arrays and not spec.optional:
            raise invalid(f"{key} is missing: {spec.description}", ["tensors", key])
    shapes = {key: array.shape for key, array in arrays.items() if key != "dy"}
    with as_problems("tensors"):
        extents = op.extents(shapes)
    if "dy" in arrays and arrays["dy"].shape != tuple(extents["y"]):
        raise invalid(
            f"dy has shape {list(arrays['dy'].shape)}, expected that of y, {list(extents['y'])}",
            ["tensors", "dy"],
        )
    elements = max(map(math.prod, extents.values()))
    if elements > limits.elements:
        raise over_limit(
            "elements",
            limits.elements,
            f"{elements} elements; at most {limits.elements} are computed",
            ["settings"],
        )
    call = Call(op, arrays, extents)
    passes = 3 if "dy" in arrays or op.is_loss else 1
    for limit, asked_for, what in (
        ("scratch", op.scratch(shapes), "{} elements are needed on the way"),
        ("multiply_adds", passes * call.cost, "the work of {} multiply-adds"),
    ):
        if asked_for > (most := getattr(limits, limit)):
            raise over_limit(limit, most, f"{what.format(round(asked_for))}; at most {most} are taken", ["tensors"])
    return call


def shapes_of(arrays: Arrays) -> dict[str, list[int]]:
    return {name: list(array.shape) for name, array in arrays.items()}


def describe_op(kind: type[Op]) -> dict[str, Any]:
    """An operator as GET /api/ops lists it, with the sentences for its usual rank."""
    op = kind(**kind.example_settings)
    shapes = {name: array.shape for name, array in kind.example(np.random.default_rng(0)).items()}
    program = op.program(shapes)
    whole = program.gradients(tuple(name[1:] for name in kind.gradients if name[1:] in shapes))
    return {
        "name": kind.name,
        "title": kind.title,
        "sentences": [whole.sentence(name) for name in whole.names],
        "equations": {name: documents.plain(whole.equation(name)) for name in whole.names},
        "tensors": {
            name: {"description": spec.description, "optional": spec.optional} for name, spec in kind.tensors.items()
        },
        "settings": settings_schema(kind.settings),
        "layer_settings": settings_schema({**kind.layer_settings, **kind.settings}),
        "results": [*kind.results, *kind.buffers],
        "gradients": list(kind.gradients),
        "loss": kind.is_loss,
        "inputs": None if kind.is_loss else dict(zip(("least", "most"), _reads(op), strict=True)),
    }


def _reads(op: Op) -> tuple[int, int]:
    """From how many to how many others a network's layer of this op may read."""
    taken = []
    for count in range(1, MOST_READ + 1):
        try:
            op.reading(count)
        except ShapeError:
            continue
        taken.append(count)
    return taken[0], taken[-1]


# optimizers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Update:
    """An optimizer with a parameter, its gradient, its state and the number of this update, from 1."""

    optimizer: Optimizer
    w: np.ndarray
    dw: np.ndarray
    state: Arrays
    number: int

    def step(self) -> Arrays:
        """The new parameter and the new state under the old names."""
        with as_problems("tensors"):
            w, state = self.optimizer.update(self.w, self.dw, self.state, self.number)
        return {"w": w, **state, "step": np.asarray(self.number, np.float64)}

    def explain(self, place: str, paging: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
        name, index = _place(place)
        made = self.step()
        with as_problems("place"):
            program = self.optimizer.program("w", self.w.ndim)
            if name in program.given:
                made_of_it = f"; the new one is {name}_next" if f"{name}_next" in program.names else ""
                raise invalid(f"{name} is given: nothing makes it{made_of_it}", ["place"])
            arrays = {"w": self.w, "dw": self.dw, **self.state}
            arrays.update({f"{key}_next": array for key, array in made.items()})
            arrays = {key: array for key, array in arrays.items() if key in (*program.given, *program.names)}
            extents = {key: self.w.shape if program.letters(key)[0] else () for key in program.names}
            tensors = Tensors(program, arrays, self.optimizer.numbers(self.number), extents)
            return _explained(tensors, name, index, place, paging, limits)


def update_of(name: str, asked: OpFields, limits: Limits) -> Update:
    """The update, checked; nothing is computed yet."""
    if name not in OPTIMIZERS:
        raise missing(f"there is no optimizer {name[:40]!r}; there are: {', '.join(OPTIMIZERS)}")
    kind = OPTIMIZERS[name]
    with as_problems("settings"):
        optimizer = kind(**asked.settings)
    arrays = {
        key: networks.tensor(value, ["tensors", key], asked.dtype, limits) for key, value in asked.tensors.items()
    }
    known = ("w", "dw", *optimizer.state, "step")
    for key, array in arrays.items():
        if key not in known:
            raise invalid(f"{name} has no tensor {key!r}; it takes {', '.join(known)}", ["tensors", key])
        if key != "step" and "w" in arrays and array.shape != arrays["w"].shape:
            raise invalid(
                f"{key} has shape {list(array.shape)}, expected that of w, {list(arrays['w'].shape)}",
                ["tensors", key],
            )
    for key in ("w", "dw"):
        if key not in arrays:
            raise invalid(f"{key} is missing", ["tensors", key])
    made = arrays.get("step", np.zeros(()))
    if made.ndim or not 0 <= float(made) <= 1e9 or float(made) != int(made):
        raise invalid("expected the number of updates already made, a whole number from 0", ["tensors", "step"])
    start = optimizer.start(arrays["w"])
    state = {key: arrays.get(key, first) for key, first in start.items()}
    moved = any(not np.array_equal(state[key], start[key]) for key in start)
    if moved and "step" not in arrays and optimizer.numbers(1) != optimizer.numbers(2):
        raise invalid(
            f"step is missing: how many updates {name} has made, to which this state belongs", ["tensors", "step"]
        )
    return Update(optimizer, arrays["w"], arrays["dw"], state, int(made) + 1)


def describe_optimizer(kind: type[Optimizer]) -> dict[str, Any]:
    return {**_described(kind, kind().program("w", 2)), "state": [*kind.state, "step"]}


def describe_schedule(kind: type[Schedule]) -> dict[str, Any]:
    return _described(kind, Program("", "\n".join(kind().sentences())))


def _described(kind: type[Optimizer] | type[Schedule], program: Program) -> dict[str, Any]:
    return {
        "name": kind.name,
        "title": kind.title,
        "sentences": [program.sentence(name) for name in program.names],
        "equations": {name: documents.plain(program.equation(name)) for name in program.names},
        "settings": settings_schema(kind.settings),
    }


# explanations -------------------------------------------------------------------------------------------------------


def _place(text: str) -> tuple[str, tuple[int, ...]]:
    """tensor/index, the layer left out."""
    try:
        place = Place.parse(f"op/{text}")
        if place.step is not None:
            raise PlaceError(text)
    except PlaceError:
        raise invalid(f"{text[:80]!r} is no place; expected tensor/index, as dx/0,0,1,2", ["place"]) from None
    return place.tensor, place.index


def _explained(
    tensors: Tensors, name: str, index: tuple[int, ...], place: str, paging: Mapping[str, Any], limits: Limits
) -> dict[str, Any]:
    known = (*tensors.program.given, *tensors.program.names)
    if name not in known:
        hint = f"; a gradient of {name[1:]} needs dy" if name[:1] == "d" and name[1:] in known else ""
        raise invalid(f"there is no tensor {name!r}; there are: {', '.join(known)}{hint}", ["place"])
    shape = tensors.shape(name)
    if len(index) != len(shape) or any(i >= size for i, size in zip(index, shape, strict=True)):
        raise FormulaError(f"{name} has shape {list(shape)}, there is no index {list(index)} in it")
    return documents.explanation(place, formula.explain(tensors, name, index, **paging))
