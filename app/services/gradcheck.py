"""Gradients checked: central differences beside them, and what a client's own wrong one looks like. For the pool."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from pydantic import Field

from app.formats import numpy_text
from app.http.request_body import TENSORS
from app.limits import Limits
from app.problems import Loc, invalid
from app.services import networks
from app.services.networks import PassFields
from app.services.op_calls import Arrays, Call, OpFields, call_of
from engine.diagnose import diagnose
from engine.gradcheck import (
    LOOSE,
    TOLERANCE,
    Comparison,
    Difference,
    Nudge,
    ahead_of,
    apart,
    around,
    compare,
    corner,
    nearest,
)
from engine.layers import Layer
from engine.network import Network
from engine.ops.base import Op
from engine.trace import Trace
from engine.train import Draws

#: A forward pass of the smallest op costs as much time as so many multiply-adds.
CALL = 50_000
#: The most corners of the right gradients that are looked at where ties and kinks leave a choice.
CORNERS = 100
#: Mistakes are tried out only where this many passes are within the limit of multiply-adds.
TRIES = 3000

OwnOfOp = Field(
    default=None,
    description="your own gradients by name, to be compared: dx, dw, db; in .npz as members of these names; or text, "
    "as NumPy prints them",
    json_schema_extra=TENSORS,
)
OwnOfNetwork = Field(
    default=None,
    description="your own gradients by the parameters' names (`conv1/w` or `conv1.weight`), to be compared",
    json_schema_extra=TENSORS,
)


class CheckFields(OpFields):
    gradients: dict[str, Any] | None = OwnOfOp
    layout: Literal["NCHW", "NHWC"] = Field(
        default="NCHW",
        description="of all that is sent. NHWC: images (N, H, W, C), kernels (height, width, in, out), biases of any "
        "shape with one axis longer than 1. The answer is in NCHW.",
    )
    echo: bool = Field(default=False, description="also answer with the call's own tensors, in NCHW")


class NetworkCheckFields(PassFields):
    gradients: dict[str, Any] | None = OwnOfNetwork


@dataclass(frozen=True)
class Report:
    """Every gradient beside its differences, and every gradient that was given beside the right one."""

    found: dict[str, Comparison]
    given: dict[str, dict[str, Any]]
    tolerance: float
    echo: Arrays = field(default_factory=dict)

    def arrays(self) -> Arrays:
        """As members of an .npz: `dx`, `dx_numeric`."""
        named = {name: each.analytic for name, each in self.found.items()}
        return named | {f"{name}_numeric": each.numeric for name, each in self.found.items()}

    def document(self, arrays: bool) -> dict[str, Any]:
        agrees = all(each.difference.agrees(self.tolerance) for each in self.found.values())
        rest = {
            "agrees": agrees and all(each["agrees"] for each in self.given.values()),
            "tolerance": self.tolerance,
            "tensors": {name: self._compared(name, each, arrays) for name, each in self.found.items()},
        }
        given = {"gradients": self.given} if self.given else {}
        return rest | given | ({"given": self.echo} if arrays and self.echo else {})

    def _compared(self, name: str, found: Comparison, arrays: bool) -> dict[str, Any]:
        values = {"analytic": found.analytic, "numeric": found.numeric} if arrays else {}
        kinks = [
            {
                "place": _place(name, kink.index),
                "kind": "tie" if kink.tie else "kink",
                "detail": kink.words,
                "analytic": kink.analytic,
                "below": kink.below,
                "above": kink.above,
                "low": kink.low,
                "high": kink.high,
            }
            for kink in found.kinks
        ]
        count = {"elements": found.analytic.size, "checked": found.checked}
        return {**_difference(name, found.difference, self.tolerance), **count, "kinks": kinks, **values}


def _difference(name: str, found: Difference, tolerance: float) -> dict[str, Any]:
    place = None if found.index is None else _place(name, found.index)
    return {
        "agrees": found.agrees(tolerance),
        "largest_absolute": found.absolute,
        "largest_relative": found.relative,
        "place": place,
    }


def _place(name: str, index: tuple[int, ...]) -> str:
    return f"{name}/{','.join(map(str, index))}" if index else name


def places(cost: float, calls: int, limits: Limits) -> int:
    """How many places of a tensor are checked, with two passes of this cost and so many ops for each."""
    affordable = limits.multiply_adds / (2 * (cost + calls * CALL))
    return max(1, min(limits.checked_places, int(affordable)))


# operators ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Own:
    """A gradient that was given; `grain` is how far its numbers may be off because they were printed."""

    values: np.ndarray
    grain: float = 0.0


def check_of(name: str, asked: CheckFields, limits: Limits) -> tuple[Call, dict[str, Own]]:
    """The call, and the gradients to compare. Members of an .npz that are named as gradients are these."""
    own = {key: _read(value, ["gradients", key]) for key, value in (asked.gradients or {}).items()}
    grains = {key: numpy_text.grain(value) for key, value in (asked.gradients or {}).items() if isinstance(value, str)}
    tensors = {key: _read(value, ["tensors", key]) for key, value in asked.tensors.items()}
    if asked.layout == "NHWC":
        own, tensors = channels_first(own, "gradients", limits), channels_first(tensors, "tensors", limits)
    for key in [key for key in tensors if key != "dy" and key[:1] == "d" and key[1:] in tensors and key not in own]:
        own[key] = tensors.pop(key)
    call = call_of(name, asked.model_copy(update={"tensors": tensors}), limits)
    if "dy" not in call.arrays and not call.op.is_loss:
        raise invalid("dy is missing: the gradient of the loss with respect to y", ["tensors", "dy"])
    given = {
        key: Own(networks.tensor(value, ["gradients", key], "float64", limits), grains.get(key, 0.0))
        for key, value in own.items()
    }
    return call, given


def _read(value: Any, loc: Loc) -> Any:
    """Lists of numbers, of text too."""
    return numpy_text.lists(value, loc) if isinstance(value, str) else value


def channels_first(given: Mapping[str, Any], where: str, limits: Limits) -> Arrays:
    """Images, kernels and biases of NHWC and HWIO in NCHW and OIHW; 422 where one has another number of axes."""
    found = {}
    for name, value in given.items():
        array = networks.tensor(value, [where, name], "float64", limits)
        parameter = name.removeprefix("d")
        if array.ndim == 4 and parameter == "w":
            array = array.transpose(3, 2, 0, 1)
        elif parameter != "w" and array.ndim == 4 and max(array.shape[:3]) == 1 and parameter not in ("x", "y"):
            array = array.reshape(-1)
        elif array.ndim == 4:
            array = array.transpose(0, 3, 1, 2)
        elif array.ndim > 2 and where == "tensors":
            axes = "(height, width, in, out)" if parameter == "w" else "(N, H, W, C)"
            raise invalid(f"{name} has {array.ndim} axes {list(array.shape)}, expected 4: {axes}", [where, name])
        elif array.ndim == 2 and 1 in array.shape and parameter not in ("x", "y", "w"):
            array = array.reshape(-1)
        found[name] = np.ascontiguousarray(array)
    return found


def report_of(call: Call, given: Mapping[str, Own], limits: Limits, echo: bool = False) -> Report:
    op, made = call.op, call.backward()
    results = call.forward()
    exact = {
        key: array.astype(np.float64) if array.dtype.kind == "f" else array
        for key, array in {**results, **call.arrays}.items()
    }
    dy = exact.get("dy", np.ones(()))
    inputs = {key: array for key, array in exact.items() if key in call.arrays and key != "dy"}

    def evaluate(key: str, array: np.ndarray) -> Arrays:
        return op.forward({**inputs, key: array})

    slopes = {key: array for key, array in made.items() if key not in results}
    most = max(1, places(call.cost, 1, limits) // max(1, len(slopes)))
    found = {key: compare(key[1:], exact[key[1:]], slope, dy, evaluate, most) for key, slope in slopes.items()}

    def toward(key: str, direction: np.ndarray) -> np.ndarray:
        at = exact[key[1:]]
        return corner(op, {**exact, "dy": dy}, {key[1:]: ahead_of(at, direction)})[key]

    corners = _corners(call.cost, limits)
    tried = (op, exact) if call.cost * TRIES <= limits.multiply_adds else (None, None)
    tolerance = _tolerance(slopes)
    choice = Choice(toward, corners)
    judged = {key: _judged(key, array, found, tolerance, choice, *tried) for key, array in given.items()}
    return Report(found, judged, tolerance, call.arrays if echo else {})


@dataclass(frozen=True)
class Choice:
    """What ties and kinks leave open: `toward(name, direction)` is the right gradient that goes farthest there."""

    toward: Callable[[str, np.ndarray], np.ndarray]
    corners: int

    def nearest(self, name: str, given: np.ndarray, analytic: np.ndarray) -> np.ndarray:
        """The right gradient that comes nearest to the given one."""
        most = min(self.corners, max(10, round((3e9 / max(1, given.size)) ** (1 / 3))))  # its work grows with the cube
        return nearest(given, analytic, lambda direction: self.toward(name, direction), most)


def _corners(cost: float, limits: Limits) -> int:
    """How many corners are affordable, each of about ten passes of this cost."""
    return max(2, min(CORNERS, int(limits.multiply_adds / (10 * (cost + CALL)))))


def _tolerance(slopes: Arrays) -> float:
    """As close as gradients of this kind of number come to differences in float64."""
    return LOOSE if any(slope.dtype == np.float32 for slope in slopes.values()) else TOLERANCE


def _judged(
    name: str,
    own: Own,
    found: Mapping[str, Comparison],
    tolerance: float,
    choice: Choice,
    op: Op | None,
    tensors: Mapping[str, np.ndarray] | None,
    tensor: str = "",
) -> dict[str, Any]:
    """A gradient that was given beside the right one; `tensor` is its name in the op, where that is another."""
    if name not in found:
        raise invalid(f"there is no gradient {name!r} here; there are: {', '.join(found)}", ["gradients", name])
    right, given = found[name], own.values
    if given.shape == right.analytic.shape:
        difference = apart(given, right.analytic)
        said = _difference(name, difference, tolerance) | _beside(given, right.analytic, difference)
        if difference.agrees(tolerance) or difference.absolute <= 1.001 * own.grain:
            return {**said, "agrees": True, "first": None, "looks_like": None, "guess": None}
        said["first"] = _first(name, given, right.analytic, max(tolerance, own.grain / _scale(right.analytic)))
        if apart(given, choice.nearest(name, given, right.analytic)).agrees(tolerance):
            words = f"{name} differs at kinks and ties only, and there all shares add up to what flowed in"
            return {**said, "agrees": True, "first": None, "looks_like": "kink", "guess": words}
    else:
        nothing = ("largest_absolute", "largest_relative", "place", "given", "expected", "first")
        said = {"agrees": False, **dict.fromkeys(nothing)}
    why = diagnose(tensor or name, given, right.analytic, op, tensors)
    return {**said, "looks_like": why and why.kind, "guess": why and why.words}


def _beside(given: np.ndarray, right: np.ndarray, difference: Difference) -> dict[str, Any]:
    """Both numbers where they differ most."""
    at = difference.index
    return {"given": None, "expected": None} if at is None else {"given": given[at], "expected": right[at]}


def _scale(right: np.ndarray) -> float:
    return float(np.abs(right).max(initial=0.0)) or 1.0


def _first(name: str, given: np.ndarray, right: np.ndarray, tolerance: float) -> dict[str, Any] | None:
    """Both numbers at the first place, in reading order, at which they part; None where none does alone."""
    with np.errstate(invalid="ignore"):
        off = ~(np.abs(given - right) <= tolerance * _scale(right))
    if not off.any():
        return None
    at = tuple(int(index) for index in np.argwhere(off)[0])
    return {"place": _place(name, at), "given": given[at], "expected": right[at]}


# networks -----------------------------------------------------------------------------------------------------------


def network_check_of(asked: NetworkCheckFields, limits: Limits) -> tuple[Trace, Draws | None, Arrays]:
    """The pass, what it drew, and the gradients to compare. Members of an .npz that are named `conv1/dw` are these."""
    network = networks.network_of(asked)
    parameters, own = dict(asked.parameters or {}), dict(asked.gradients or {})
    for name in [name for name in parameters if _parameter_of(name) in network.parameter_shapes]:
        own[_parameter_of(name)] = parameters.pop(name)
    given = _own_gradients(network, own, limits)
    trace = networks.trace_of(asked.model_copy(update={"parameters": parameters or None}), limits)
    return trace, asked.draws(network), given


def network_report(trace: Trace, draws: Draws | None, own: Arrays, limits: Limits) -> Report:
    """Every parameter's gradient, and that of the images, `x`."""
    network = trace.network
    x, target = trace["input", "y"].astype(np.float64), trace["target", "y"]
    if target.dtype.kind == "f":
        target = target.astype(np.float64)
    parameters = {name: trace[networks.parameter_key(name)].astype(np.float64) for name in network.parameter_shapes}
    learned = {name: array for name, array in parameters.items() if networks.gradient_key(name) in trace}

    def evaluate(name: str, array: np.ndarray) -> Arrays:
        moved = {**parameters, name: array}
        values = network.forward(moved, array if name == "x" else x, target, draws)
        positions = {"/".join(key): value for key, value in values.items() if value.dtype.kind in "iu"}
        return {**positions, "y": values["loss", "y"]}

    cost = len(x) * network.work
    most = max(1, places(cost, len(network.layers) + 1, limits) // (len(learned) + 1))

    def gradients(nudge: Nudge) -> Arrays:
        moved = {name: nudge(array) if name in learned else array for name, array in parameters.items()}
        values = network.forward(moved, nudge(x), target, draws)
        values = {key: nudge(array) if array.dtype.kind == "f" else array for key, array in values.items()}
        network.backward(moved, values, training=trace.training)
        return {name: values[_key(network, name)] for name in at}

    one, at = np.ones(()), {**learned, "x": x}
    close = around(gradients)
    found = {
        name: compare(name, array, trace[_key(network, name)], one, evaluate, most, close[name])
        for name, array in at.items()
    }

    def toward(name: str, direction: np.ndarray) -> np.ndarray:
        moved = {**parameters, name: ahead_of(at[name], direction)}
        ahead = network.forward(moved, moved.get("x", x), target, draws)

        def turned(layer: Layer, op: Op, tensors: Arrays) -> Arrays:
            there = network.local(layer, ahead, moved)
            return corner(op, tensors, {key: there[key] for key in tensors if f"d{key}" in op.gradients})

        values = network.forward(parameters, x, target, draws)
        network.backward(parameters, values, training=trace.training, instead=turned)
        return values[_key(network, name)]

    choice = Choice(toward, _corners(cost, limits))
    tolerance = _tolerance({"x": trace["input", "y"]})
    judged = {}
    for name, array in own.items():
        layer, _, tensor = name.rpartition("/")
        op = tensors = None
        if layer and cost * TRIES <= limits.multiply_adds:
            found_in = network.layers[layer]
            op, tensors = found_in.op if trace.training else found_in.inference_op, _local(trace, layer)
        judged[name] = _judged(name, Own(array), found, tolerance, choice, op, tensors, f"d{tensor}")
    if cost * TRIES <= limits.multiply_adds:
        for name, words in _handed_on(trace, parameters, x, target, draws, own, judged).items():
            judged[name] |= {"looks_like": "left_out", "guess": words}
    return Report(found, judged, tolerance)


def _handed_on(
    trace: Trace,
    parameters: Arrays,
    x: np.ndarray,
    target: np.ndarray,
    draws: Draws | None,
    own: Arrays,
    judged: Mapping[str, Mapping[str, Any]],
) -> dict[str, str]:
    """Of the gradients that are like nothing known so far, those that come out when a layer's own slope is left out."""
    network, words = trace.network, {}
    strange = [name for name, said in judged.items() if not said["agrees"] and said["looks_like"] is None]
    for layer in network.layers.values() if strange else ():
        if layer.op.gradients != ("dx",) or network.given_shapes(layer)["x"][1:] != layer.shape:
            continue
        values = network.forward(parameters, x, target, draws)

        def past(each: Layer, op: Op, tensors: Arrays, skipped: str = layer.name) -> Arrays | None:
            return {"dx": tensors["dy"]} if each.name == skipped else None

        network.backward(parameters, values, training=trace.training, instead=past)
        for name in strange:
            if apart(own[name], values[_key(network, name)]).agrees(LOOSE):
                words[name] = f"{name} comes out so when {layer.name} hands its dy on as it is, its own slope left out"
    return words


def _key(network: Network, name: str) -> tuple[str, str]:
    """Where a trace holds the gradient of a parameter, or of the images."""
    return network.resolve("input", "dy") if name == "x" else networks.gradient_key(name)


def _local(trace: Trace, layer: str) -> Arrays:
    op = trace.network.layers[layer].op
    names = [name for name in (*op.tensors, *op.results, *op.saved, "dy") if (layer, name) in trace]
    arrays = {name: trace[layer, name] for name in names}
    return {name: array.astype(np.float64) if array.dtype.kind == "f" else array for name, array in arrays.items()}


def _own_gradients(network: Network, given: Mapping[str, Any], limits: Limits) -> Arrays:
    named = {}
    for name, value in given.items():
        own = "x" if name == "x" else network.own_name(name)
        if own not in (*network.learned, "x"):
            known = ", ".join((*network.learned, "x"))
            raise invalid(f"there is no gradient {name[:80]!r} here; there are: {known}", ["gradients", name])
        if own in named:
            raise invalid(f"{own} is given twice, under two names", ["gradients", name])
        named[own] = networks.tensor(value, ["gradients", name], "float64", limits)
    return named


def _parameter_of(gradient: str) -> str:
    """conv1/w of conv1/dw; of any other name, no parameter's."""
    layer, _, tensor = gradient.rpartition("/")
    return f"{layer}/{tensor[1:]}" if tensor[:1] == "d" else ""
