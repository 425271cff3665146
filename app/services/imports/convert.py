"""A graph of another framework in this project's operators, node by node.

`NODES` says how each operation is written here; what is not in it is named, with what comes nearest. Adding an
operation is one function with its name.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from app.services.imports.nearest import KEEPS_SHAPE, LEAVE_OUT, nearest
from app.services.imports.source import Bounds, FileError, Graph, Node
from engine.layers import LONGEST_NAME, RESERVED, Layer, NetworkError, input_shape_of, is_layer_name, read_layer
from engine.ops import OPS

Array = np.ndarray
Shape = tuple[int, ...]
State = Literal["as_is", "moved", "guessed", "missing"]


@dataclass
class Row:
    """What became of one thing in the file."""

    source: str
    layer: str | None = None
    op: str | None = None
    shape: Shape | None = None
    parameters: int = 0
    state: State = "as_is"
    detail: str = ""
    nearest: tuple[str, ...] = ()


@dataclass
class Guess:
    """Something that the file does not say: what was taken, why, and what else fits."""

    what: str
    why: str
    value: Any
    alternatives: tuple[Any, ...] = ()


@dataclass
class Result:
    """A network document, or None while something is missing; parameters by the network's own names."""

    network: dict[str, Any] | None
    parameters: dict[str, Array]
    rows: list[Row]
    guesses: list[Guess]
    tensors: int  # how many learned tensors the file holds, and how many of them found their place
    placed: int


class Unsupported(Exception):
    """A node that this project has nothing for. Without `nearest`, what comes nearest is looked up."""

    def __init__(self, detail: str, nearest: Iterable[str] | None = None) -> None:
        super().__init__(detail)
        self.nearest = None if nearest is None else tuple(nearest)


@dataclass
class Builder:
    """The network so far: layers, shapes by layer, and whose layer each value of the graph is."""

    layers: list[dict[str, Any]] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    made: dict[str, Layer] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Array] = field(default_factory=dict)
    parameters: dict[str, Array] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    readers: Counter[str] = field(default_factory=Counter)  # how many nodes read a value
    waiting: dict[str, str] = field(default_factory=dict)  # values whose shape a missing layer leaves open
    grouped: dict[str, int] = field(default_factory=dict)  # values laid out by so many groups, for an instance norm
    row: bool = False  # the file's images have one axis of space; here they are planes of height 1

    def add(
        self,
        op: str,
        inputs: list[str],
        settings: Mapping[str, Any],
        hint: str = "",
        parameters: Mapping[str, Array] | None = None,
    ) -> str:
        """A layer behind these layers; its name. Unsupported where it does not fit, with the arithmetic."""
        name = self.free_name(hint or op)
        known = {**OPS[op].layer_settings, **OPS[op].settings}
        item = {"name": name, "op": op, "settings": {k: v for k, v in settings.items() if k in known}, "inputs": inputs}
        try:
            layer = read_layer(item, ["layers", len(self.layers)], self.shapes, inputs[0])
        except NetworkError as error:
            raise Unsupported(str(error)) from None
        for tensor, array in (parameters or {}).items():
            if tensor not in layer.parameters:
                raise Unsupported(f"{name} has no parameter {tensor}")
            if layer.parameters[tensor] != array.shape:
                expected = list(layer.parameters[tensor])
                raise Unsupported(f"{name}/{tensor} has shape {list(array.shape)}, expected {expected}")
            self.parameters[f"{name}/{tensor}"] = np.ascontiguousarray(array, np.float32)
        self.layers.append(item)
        self.shapes[name] = layer.shape
        self.made[name] = layer
        return name

    def free_name(self, hint: str) -> str:
        plain = layer_name(hint)
        name, count = plain, 2
        while name in self.shapes or name in RESERVED:
            name, count = f"{plain}_{count}", count + 1
        return name

    def source(self, value: str) -> str:
        """The layer that makes a value; Unsupported for a constant, and for what a missing layer should make."""
        if value in self.waiting:
            raise Unsupported(f"waits for {self.waiting[value]}", ())
        if value in self.grouped:
            raise Unsupported("channels laid out by groups are read by a norm only")
        if value not in self.values:
            raise Unsupported(f"{value[:80]!r} is a constant, where a layer's output is expected")
        return self.values[value]

    def constant(self, value: str) -> Array:
        if value in self.waiting:
            raise Unsupported(f"waits for {self.waiting[value]}", ())
        if value not in self.constants:
            raise Unsupported(f"{value[:80]!r} is computed, where numbers of the file are expected")
        self.used.add(value)
        return self.constants[value]


def _wait(build: Builder, values: Iterable[str]) -> None:
    """Unsupported for what a missing layer should make."""
    for value in values:
        if value in build.waiting:
            build.source(value)


def layer_name(hint: str) -> str:
    """A name that this project takes, as near to the given one as can be."""
    if is_layer_name(hint):
        return hint
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", hint.rsplit("::", 1)[-1])
    return re.sub(r"\.{2,}", ".", plain).strip("_.-")[: LONGEST_NAME - 4].rstrip(".") or "layer"


def convert(graph: Graph, answers: Mapping[str, Any]) -> Result:
    """The network of a graph. `answers` say, by a node's title, what to take for one that is missing: the name of an
    operator that needs no settings, or "leave_out"."""
    build = Builder(constants=dict(graph.tensors))
    build.readers.update(name for node in graph.nodes for name in node.inputs)
    build.readers.update(graph.outputs)
    inputs = dict(graph.inputs)
    if len(inputs) != 1:
        kinds = ", ".join(dict.fromkeys(node.op for node in graph.nodes))
        raise FileError(
            f"expected a graph with one input, got {len(inputs)}: {', '.join(inputs)[:200]} (of {kinds[:200]})"
        )
    (name, shape), *_ = inputs.items()
    if len(shape) not in (2, 3, 4):
        kinds = ", ".join(dict.fromkeys(node.op for node in graph.nodes))
        raise FileError(
            f"the input has {len(shape)} axes {list(shape)[:9]}, for {kinds[:200]}; expected [N, features], "
            "[N, C, length] or [N, C, height, width]"
        )
    build.values[name], build.row = "input", len(shape) == 3
    found, guesses = _input_shape(shape, answers)
    try:
        build.shapes["input"] = input_shape_of(found)
    except NetworkError as error:
        raise FileError(f"input: {error.detail}") from None
    for node in graph.nodes:
        _node(build, node, answers)
    output = graph.outputs[0] if graph.outputs else ""
    if len(graph.outputs) != 1:
        build.rows.append(
            Row("outputs", state="missing", detail=f"expected one output, got {len(graph.outputs)}", nearest=())
        )
    learned = {name for name, array in graph.tensors.items() if array.dtype.kind == "f" and array.ndim}
    return _result(build, build.values.get(output), guesses, len(learned), len(learned & build.used))


def _input_shape(shape: Shape, answers: Mapping[str, Any]) -> tuple[Shape, list[Guess]]:
    """One image's, without the batch; sizes that the file leaves open are guessed, and said."""
    given = answers.get("input")
    if given is not None:
        if not (
            isinstance(given, list) and len(given) in (1, 3) and all(type(n) is int and 0 < n < 2**16 for n in given)
        ):
            raise FileError("input: expected [channels, height, width] or [features]")
        return tuple(given), []
    image = shape[1:]
    if len(shape) == 3:
        image = (shape[1] or 1, 1, shape[2] or 64)
        why = f"each image is a row of {shape[2] or 'any'} places in {image[0]} channels: a plane of height 1"
        return image, [Guess("input", why, list(image))]
    if all(image):
        return image, []
    channels = image[0] or 1
    size = 28 if channels == 1 else 32
    found = (channels, *(n or size for n in image[1:]))
    why = "the file leaves the size of its input open"
    return found, [Guess("input", why, list(found), ([channels, 28, 28], [channels, 32, 32], [channels, 224, 224]))]


def _result(build: Builder, last: str | None, guesses: list[Guess], tensors: int, placed: int) -> Result:
    if last == "input" or last is None:
        if not any(row.state == "missing" for row in build.rows):
            build.rows.append(Row("output", state="missing", detail="no layer makes the output"))
        return Result(None, {}, build.rows, guesses, tensors, placed)
    _drop_unread(build, last)
    _without_softmax(build, last)
    if any(row.state == "missing" for row in build.rows):
        return Result(None, build.parameters, build.rows, guesses, tensors, placed)
    classes = len(build.made[build.layers[-1]["name"]].shape) == 1
    network = {
        "input": list(build.shapes["input"]),
        "layers": build.layers,
        "loss": "cross_entropy" if classes else "mse_loss",
    }
    return Result(network, build.parameters, build.rows, guesses, tensors, placed)


def _drop_unread(build: Builder, last: str) -> None:
    """Layers that lead nowhere, and those behind the output."""
    needed = {last}
    for item in reversed(build.layers):
        if item["name"] in needed:
            needed |= set(item["inputs"])
    gone = [item["name"] for item in build.layers if item["name"] not in needed]
    build.layers[:] = [item for item in build.layers if item["name"] in needed]
    for name in gone:
        for key in [key for key in build.parameters if key.rpartition("/")[0] == name]:
            del build.parameters[key]
        for row in build.rows:
            if row.layer == name:
                row.layer, row.state, row.detail = None, "moved", "left out: it leads to no output"
    at = next(k for k, item in enumerate(build.layers) if item["name"] == last)
    build.layers.append(build.layers.pop(at))


def _without_softmax(build: Builder, last: str) -> None:
    """The probabilities belong to the loss here: cross_entropy takes scores."""
    item = build.layers[-1]
    if item["op"] in ("softmax", "log_softmax") and len(build.layers) > 1 and len(build.shapes[last]) == 1:
        before = item["inputs"][0]
        if before != "input" and sum(before in each["inputs"] for each in build.layers) == 1:
            build.layers.pop()
            for row in build.rows:
                if row.layer == last:
                    row.layer, row.state = None, "moved"
                    row.detail = "part of the loss: cross_entropy takes the scores and gives the probabilities p"
            at = next(k for k, each in enumerate(build.layers) if each["name"] == before)
            build.layers.append(build.layers.pop(at))


def _node(build: Builder, node: Node, answers: Mapping[str, Any]) -> None:
    row = Row(node.title)
    try:
        found = _folded(build, node)
        if found is not None:
            build.constants[node.outputs[0]] = found
            return
        chosen = answers.get(node.title)
        if chosen is not None:
            _chosen(build, node, row, chosen)
        elif node.op in NODES:
            NODES[node.op](build, node, row)
        else:
            raise Unsupported(f"there is no operator like {node.op} here")
    except Unsupported as error:
        names, far = nearest(_with_ends(build, node)) if error.nearest is None else (error.nearest, "")
        row.state, row.nearest = "missing", names
        row.detail = f"{error}; {far}" if far else str(error)
        _pass_on(build, node)
    build.rows.append(row)


def _pass_on(build: Builder, node: Node) -> None:
    """What keeps its input's shape hands it on, so that later layers can be looked at; they wait behind all others."""
    known = [build.values[name] for name in node.inputs if name in build.values]
    for name in node.outputs:
        if node.op in KEEPS_SHAPE and len(known) == 1:
            build.values[name] = known[0]
        else:
            build.waiting[name] = build.waiting.get(node.inputs[0], node.title) if node.inputs else node.title


def _chosen(build: Builder, node: Node, row: Row, chosen: Any) -> None:
    source = next((build.values[name] for name in node.inputs if name in build.values), None)
    if source is None:
        raise Unsupported("it reads no layer's output")
    if chosen == LEAVE_OUT:
        build.values[node.outputs[0]] = source
        row.state, row.detail = "guessed", "left out, as chosen"
        return
    if not isinstance(chosen, str) or chosen not in OPS or OPS[chosen].is_loss:
        raise FileError(f"{node.title[:80]}: there is no operator {str(chosen)[:40]!r} to take its place")
    _place(build, node, row, build.add(chosen, [source], {}, chosen))
    row.state, row.detail = "guessed", f"{chosen} in place of {node.op}, as chosen"


def _place(build: Builder, node: Node, row: Row, name: str) -> None:
    """The layer that stands for a node's first output."""
    build.values[node.outputs[0]] = name
    layer = build.made[name]
    row.layer, row.op, row.shape = name, layer.op.name, layer.shape
    row.parameters = sum(int(np.prod(shape)) for shape in layer.learned.values())


# constants ----------------------------------------------------------------------------------------------------------


#: Numbers that one node may make of others; an exporter leaves shapes, scales and kernels behind.
FOLDED = Bounds.elements


def _folded(build: Builder, node: Node) -> Array | None:
    """What is computed from numbers of the file alone, or from a shape: small things that exporters leave behind."""
    if node.op == "Shape" and node.inputs[0] in build.values:
        return np.array([-1, *build.shapes[build.values[node.inputs[0]]]], np.int64)
    if any(name and name not in build.constants for name in node.inputs) or node.op not in FOLDING:
        return None
    given = [build.constants[name] for name in node.inputs if name]
    if _folded_size(node.op, given) > FOLDED:
        raise Unsupported(f"more than {FOLDED:,} numbers of the file are not computed with", ())
    try:
        result = FOLDING[node.op](given, node.attributes)
    except (ValueError, IndexError, TypeError, KeyError, OverflowError):
        return None
    if result is not None:
        build.used.update(name for name in node.inputs if name)
    return result


def _folded_size(op: str, given: list[Array]) -> int:
    """How many numbers a node would make at most, before it does."""
    if op == "Gather" and len(given) == 2:
        return given[0].size * given[1].size
    if op in ("Mul", "Add", "Div"):
        try:
            return math.prod(np.broadcast_shapes(*(array.shape for array in given)))
        except ValueError:
            return 0
    return sum(array.size for array in given)


def _slice(given: list[Array], attributes: Mapping[str, Any]) -> Array | None:
    if len(given) < 3:
        return None
    axes = given[3].tolist() if len(given) > 3 else list(range(given[1].size))
    steps = given[4].tolist() if len(given) > 4 else [1] * given[1].size
    cut: list[slice] = [slice(None)] * given[0].ndim
    for axis, start, stop, step in zip(axes, given[1].tolist(), given[2].tolist(), steps, strict=True):
        cut[axis] = slice(start, stop, step)
    return given[0][tuple(cut)]


def _filled(given: list[Array], attributes: Mapping[str, Any]) -> Array | None:
    value = attributes.get("value")
    shape = [int(n) for n in given[0].tolist()]
    if any(n < 0 for n in shape) or np.prod(shape, dtype=float) > Bounds.elements:
        raise Unsupported(
            f"numbers of shape {shape} are more than the {Bounds.elements:,} of one tensor that are taken", ()
        )
    return np.full(shape, 0.0 if value is None else value.reshape(-1)[0], np.float32 if value is None else value.dtype)


def _unsqueezed(given: list[Array], attributes: Mapping[str, Any]) -> Array:
    axes = given[1].tolist() if len(given) > 1 else attributes["axes"]
    array = given[0]
    for axis in sorted(axes):
        array = np.expand_dims(array, axis)
    return array


FOLDING: dict[str, Callable[[list[Array], Mapping[str, Any]], Array | None]] = {
    "Identity": lambda given, _: given[0],
    "Cast": lambda given, _: given[0],
    "Gather": lambda given, at: np.take(given[0], given[1].astype(np.int64), axis=at.get("axis", 0)),
    "Unsqueeze": _unsqueezed,
    "Squeeze": lambda given, _: np.squeeze(given[0]),
    "Concat": lambda given, at: np.concatenate(given, axis=at["axis"]),
    "Transpose": lambda given, at: np.transpose(given[0], at.get("perm")),
    "Reshape": lambda given, _: given[0].reshape([int(n) for n in given[1]]),
    "ConstantOfShape": _filled,
    "Slice": _slice,
    "Mul": lambda given, _: given[0] * given[1],
    "Add": lambda given, _: given[0] + given[1],
    "Div": lambda given, _: given[0] // given[1] if given[0].dtype.kind in "iu" else given[0] / given[1],
}


# nodes --------------------------------------------------------------------------------------------------------------

Writer = Callable[[Builder, Node, Row], None]
NODES: dict[str, Writer] = {}


def writes(*names: str) -> Callable[[Writer], Writer]:
    def register(function: Writer) -> Writer:
        NODES.update(dict.fromkeys(names, function))
        return function

    return register


def _hint(node: Node, tensor: str = "") -> str:
    """A layer's name: that of its weights without their own part, or the node's."""
    for ending in (".weight", "/weight", "_w", "_weight", "_W"):
        if tensor.endswith(ending) and len(tensor) > len(ending):
            return tensor.removesuffix(ending)
    return node.name.rsplit("/", 1)[-1] or node.op


def _plane(build: Builder, node: Node) -> None:
    shape = build.shapes[build.source(node.inputs[0])]
    if len(shape) != 3:
        raise Unsupported(f"{node.op} over {len(shape) - 1} axes; expected [channels, height, width]")


def _axis(build: Builder, source: str, axis: int) -> int:
    """An axis of the file's batch as it counts here, from the front."""
    rank = len(build.shapes[source]) + 1
    if build.row and rank == 4:
        axis %= 3
        return axis + (axis == 2)
    return axis % rank


def _pads(node: Node) -> Any:
    auto = node.attributes.get("auto_pad", "NOTSET") or "NOTSET"
    if auto == "SAME_UPPER":
        return "same"
    if auto == "VALID":
        return 0
    if auto != "NOTSET":
        raise Unsupported(f"the padding {auto} puts the odd cell first, which is not done here")
    pads = list(node.attributes.get("pads") or [0] * 4)
    if len(pads) == 2:
        pads = [0, pads[0], 0, pads[1]]
    if len(pads) != 4 or min(pads) < 0:
        raise Unsupported(f"the padding {pads} is not done here")
    return [pads[0], pads[2], pads[1], pads[3]]


def _pair(node: Node, name: str, default: int = 1) -> list[int]:
    values = list(node.attributes.get(name) or [default] * 2)
    if len(values) == 1:
        values = [default, *values]
    if len(values) != 2:
        raise Unsupported(f"{node.op} over {len(values)} axes; expected 2")
    return values


def _geometry(node: Node) -> dict[str, Any]:
    return {"stride": _pair(node, "strides"), "padding": _pads(node), "dilation": _pair(node, "dilations")}


def _weighted(build: Builder, node: Node, row: Row, op: str, w: Array, out: int, settings: dict[str, Any]) -> None:
    parameters = {"w": w}
    if len(node.inputs) > 2 and node.inputs[2]:
        parameters["b"] = build.constant(node.inputs[2])
    settings = {**settings, "out": out, "bias": "b" in parameters}
    name = build.add(op, [build.source(node.inputs[0])], settings, _hint(node, node.inputs[1]), parameters)
    _place(build, node, row, name)


def _kernel(build: Builder, node: Node) -> Array:
    """The kernel's numbers; one of a single axis as one row."""
    w = build.constant(node.inputs[1])
    if w.ndim == 3:
        w = w[:, :, None, :]
    if w.ndim != 4:
        raise Unsupported(f"{node.op} over {w.ndim - 2} axes; expected one or two")
    return w


@writes("Conv")
def _conv(build: Builder, node: Node, row: Row) -> None:
    _plane(build, node)
    w = _kernel(build, node)
    settings = {
        **_geometry(node),
        "kernel_size": list(w.shape[2:]),
        "groups": node.attributes.get("group", 1),
        "rounding": "floor",
    }
    _weighted(build, node, row, "conv2d", w, w.shape[0], settings)


@writes("ConvTranspose")
def _conv_transpose(build: Builder, node: Node, row: Row) -> None:
    _plane(build, node)
    if node.attributes.get("output_shape"):
        raise Unsupported("an output_shape that is said is not taken here")
    w, groups = _kernel(build, node), node.attributes.get("group", 1)
    settings = {
        **_geometry(node),
        "output_padding": _pair(node, "output_padding", 0),
        "kernel_size": list(w.shape[2:]),
        "groups": groups,
    }
    _weighted(build, node, row, "conv_transpose2d", w, w.shape[1] * groups, settings)


@writes("Gemm")
def _gemm(build: Builder, node: Node, row: Row) -> None:
    at = node.attributes
    if at.get("transA") or len(build.shapes[build.source(node.inputs[0])]) != 1:
        raise Unsupported("expected one row of features for each image")
    w = build.constant(node.inputs[1])
    w = (w if at.get("transB") else w.T) * np.float32(at.get("alpha", 1.0))
    parameters = {"w": w}
    if len(node.inputs) > 2 and node.inputs[2]:
        b = build.constant(node.inputs[2]) * np.float32(at.get("beta", 1.0))
        if b.size not in (1, len(w)):
            raise Unsupported(f"a bias of shape {list(b.shape)} is not taken for {len(w)} outputs")
        parameters["b"] = np.broadcast_to(b.reshape(-1), (len(w),))
    settings = {"out": len(w), "bias": "b" in parameters}
    name = build.add("linear", [build.source(node.inputs[0])], settings, _hint(node, node.inputs[1]), parameters)
    _place(build, node, row, name)


@writes("MatMul")
def _matmul(build: Builder, node: Node, row: Row) -> None:
    w = build.constant(node.inputs[1])
    source = build.source(node.inputs[0])
    if w.ndim != 2 or len(build.shapes[source]) != 1:
        raise Unsupported("expected one row of features for each image, times a matrix")
    name = build.add("linear", [source], {"out": w.shape[1], "bias": False}, _hint(node, node.inputs[1]), {"w": w.T})
    _place(build, node, row, name)


def _simple(op: str, **names: tuple[str, Any]) -> Writer:
    """An operator of the same meaning; `names` are settings, and the attributes they come from with their defaults."""

    def write(build: Builder, node: Node, row: Row) -> None:
        settings = {ours: node.attributes.get(theirs, default) for ours, (theirs, default) in names.items()}
        source = build.source(node.inputs[0])
        _place(build, node, row, build.add(op, [source], settings, _hint(node)))

    return write


NODES |= {
    "Relu": _simple("relu"),
    "LeakyRelu": _simple("leaky_relu", negative_slope=("alpha", 0.01)),
    "Sigmoid": _simple("sigmoid"),
    "Tanh": _simple("tanh"),
    "Elu": _simple("elu", alpha=("alpha", 1.0)),
    "Softplus": _simple("softplus"),
    "HardSwish": _simple("hardswish"),
    "Silu": _simple("silu"),
    "GlobalAveragePool": _simple("global_avg_pool"),
    "GlobalMaxPool": _simple("global_max_pool"),
    "Dropout": _simple("dropout", p=("ratio", 0.5)),
}


def _scaled(build: Builder, node: Node, row: Row, source: str, scale: float, detail: str) -> None:
    """A layer times one number: a batch norm of mean 0 and variance 1, which does just that."""
    shape = build.shapes[source]
    zeros, ones = np.zeros(shape[0], np.float32), np.ones(shape[0], np.float32)
    parameters = {"gamma": ones * np.float32(scale), "beta": zeros, "running_mean": zeros, "running_var": ones}
    _place(build, node, row, build.add("batch_norm", [source], {"eps": 0.0}, _hint(node), parameters))
    row.state, row.detail = "moved", detail


@writes("Selu")
def _selu(build: Builder, node: Node, row: Row) -> None:
    alpha, gamma = node.attributes.get("alpha", 1.67326324), node.attributes.get("gamma", 1.05070098)
    source = build.add("elu", [build.source(node.inputs[0])], {"alpha": alpha}, f"{_hint(node)}_elu")
    detail = f"an elu of {alpha:.4f} and a scale of {gamma:.4f}, written as a batch norm of mean 0, variance 1"
    _scaled(build, node, row, source, gamma, detail)


@writes("Neg")
def _neg(build: Builder, node: Node, row: Row) -> None:
    detail = "a scale of -1, written as a batch norm of mean 0, variance 1"
    _scaled(build, node, row, build.source(node.inputs[0]), -1.0, detail)


@writes("Celu")
def _celu(build: Builder, node: Node, row: Row) -> None:
    if node.attributes.get("alpha", 1.0) != 1:
        raise Unsupported(f"a CELU of {node.attributes['alpha']:g} is not done here; one of 1 is an elu")
    _place(build, node, row, build.add("elu", [build.source(node.inputs[0])], {"alpha": 1.0}, _hint(node)))


@writes("Clip")
def _clip(build: Builder, node: Node, row: Row) -> None:
    least, most = (_end(build, node, k, name) for k, name in ((1, "min"), (2, "max")))
    if least != 0 or most != np.inf:
        raise Unsupported(f"a cut at {least:g} and {most:g} is not done here")
    _place(build, node, row, build.add("relu", [build.source(node.inputs[0])], {}, _hint(node)))


def _with_ends(build: Builder, node: Node) -> Node:
    """A Clip with its ends among the attributes, as it is compared; any other node as it is."""
    if node.op != "Clip":
        return node
    try:
        ends = {name: _end(build, node, k, name) for k, name in ((1, "min"), (2, "max"))}
    except Unsupported:
        return node
    return replace(node, attributes={**node.attributes, **ends})


def _end(build: Builder, node: Node, input: int, name: str) -> float:
    """One end of a Clip, which newer files keep among the inputs."""
    if len(node.inputs) > input and node.inputs[input]:
        return float(build.constant(node.inputs[input]).reshape(-1)[0])
    value = node.attributes.get(name)
    return float(value) if value is not None else (-np.inf if name == "min" else np.inf)


@writes("Gelu")
def _gelu(build: Builder, node: Node, row: Row) -> None:
    if node.attributes.get("approximate", "none") not in ("", "none"):
        raise Unsupported("the GELU here is that of erf", ("gelu",))
    _place(build, node, row, build.add("gelu", [build.source(node.inputs[0])], {}, _hint(node)))


@writes("PRelu")
def _prelu(build: Builder, node: Node, row: Row) -> None:
    source = build.source(node.inputs[0])
    slope = build.constant(node.inputs[1])
    channels = build.shapes[source][0]
    if slope.size not in (1, channels):
        raise Unsupported(f"{slope.size} slopes do not go with {channels} channels")
    each = np.broadcast_to(slope.reshape(-1), (channels,))
    _place(build, node, row, build.add("prelu", [source], {}, _hint(node, node.inputs[1]), {"slope": each}))


@writes("Softmax", "LogSoftmax")
def _softmax(build: Builder, node: Node, row: Row) -> None:
    source = build.source(node.inputs[0])
    axis = _axis(build, source, node.attributes.get("axis", 1 if node.attributes.get("version", 13) < 13 else -1))
    if axis == 0:
        raise Unsupported("a softmax over the images of a batch is not done here")
    op = "softmax" if node.op == "Softmax" else "log_softmax"
    _place(build, node, row, build.add(op, [source], {"axis": axis}, _hint(node)))


def _pool(build: Builder, node: Node, **more: Any) -> dict[str, Any]:
    _plane(build, node)
    return {
        "kernel_size": _pair(node, "kernel_shape"),
        "stride": _pair(node, "strides"),
        "padding": _pads(node),
        "ceil_mode": bool(node.attributes.get("ceil_mode", 0)),
        **more,
    }


@writes("MaxPool")
def _max_pool(build: Builder, node: Node, row: Row) -> None:
    settings = _pool(build, node, dilation=_pair(node, "dilations"))
    if node.attributes.get("storage_order"):
        raise Unsupported("positions counted down the columns are not taken")
    _place(build, node, row, build.add("max_pool2d", [build.source(node.inputs[0])], settings, _hint(node)))


@writes("AveragePool")
def _average_pool(build: Builder, node: Node, row: Row) -> None:
    settings = _pool(build, node, count_include_pad=bool(node.attributes.get("count_include_pad", 0)))
    if _pair(node, "dilations") != [1, 1]:
        raise Unsupported("a mean over cells that lie apart is not done here")
    _place(build, node, row, build.add("avg_pool2d", [build.source(node.inputs[0])], settings, _hint(node)))


@writes("LpPool")
def _lp_pool(build: Builder, node: Node, row: Row) -> None:
    settings = _pool(build, node, norm_type=node.attributes.get("p", 2))
    if settings["padding"] not in (0, [0, 0, 0, 0]):
        raise Unsupported("an LP pool with padding is not done here")
    _place(build, node, row, build.add("lp_pool2d", [build.source(node.inputs[0])], settings, _hint(node)))


@writes("BatchNormalization")
def _batch_norm(build: Builder, node: Node, row: Row) -> None:
    gamma, beta, mean, var = (build.constant(name) for name in node.inputs[1:5])
    settings = {
        "eps": node.attributes.get("epsilon", 1e-5),
        "momentum": 1 - node.attributes.get("momentum", 0.9),  # ONNX keeps so much of the old one
    }
    parameters = {"gamma": gamma, "beta": beta, "running_mean": mean, "running_var": var}
    name = build.add("batch_norm", [build.source(node.inputs[0])], settings, _hint(node, node.inputs[1]), parameters)
    _place(build, node, row, name)


@writes("Flatten")
def _flatten(build: Builder, node: Node, row: Row) -> None:
    if node.attributes.get("axis", 1) != 1:  # the images are one axis, so the others begin at 1
        raise Unsupported("flattening from another axis than the first is not done here")
    _flattened(build, node, row)


def _flattened(build: Builder, node: Node, row: Row) -> None:
    source = build.source(node.inputs[0])
    if len(build.shapes[source]) == 1 and source != "input":
        build.values[node.outputs[0]] = source
        row.detail = "it changes nothing here"
        return
    _place(build, node, row, build.add("flatten", [source], {}, _hint(node)))


@writes("Reshape", "Squeeze", "View")
def _reshape(build: Builder, node: Node, row: Row) -> None:
    source = build.source(node.inputs[0])
    shape = build.shapes[source]
    if build.row and len(shape) == 3:
        shape = (shape[0], shape[2])  # as the file counts
    size = int(np.prod(shape))
    if node.op == "Squeeze":
        axes = build.constant(node.inputs[1]).tolist() if len(node.inputs) > 1 else node.attributes.get("axes", [])
        kept = [n for k, n in enumerate(shape, start=1) if k not in axes and k - len(shape) - 1 not in axes]
        wanted = kept if axes else [n for n in shape if n != 1]
    else:
        whole = [int(n) for n in build.constant(node.inputs[1]).tolist()]
        wanted = [shape[k] if n == 0 and k < len(shape) else n for k, n in enumerate(whole[1:])]
    if wanted.count(-1) == 1:
        rest = int(np.prod([n for n in wanted if n != -1]))
        wanted = [size // rest if n == -1 and rest and size % rest == 0 else n for n in wanted]
    if wanted == [size]:
        return _flattened(build, node, row)
    if tuple(wanted) == shape:
        build.values[node.outputs[0]] = source
        row.detail = "it changes nothing"
        return None
    if len(wanted) == 2 and len(shape) > 1 and shape[0] % wanted[0] == 0 and np.prod(wanted) == size:
        build.values[node.outputs[0]], build.grouped[node.outputs[0]] = source, wanted[0]
        row.state, row.detail = "moved", f"part of a group norm of {wanted[0]} groups"
        return None
    raise Unsupported(f"the shape {list(shape)} of an image cannot become {wanted} here; only a row of {size} can")


@writes("Identity", "Cast")
def _identity(build: Builder, node: Node, row: Row) -> None:
    build.values[node.outputs[0]] = build.source(node.inputs[0])
    row.detail = "it changes nothing"


@writes("Pad")
def _pad(build: Builder, node: Node, row: Row) -> None:
    """Zeros around the maps: part of a convolution behind them, or else a convolution that copies each channel."""
    at = node.attributes
    pads = build.constant(node.inputs[1]).tolist() if len(node.inputs) > 1 else list(at.get("pads") or [])
    if not any(pads):
        return _identity(build, node, row)
    filling = build.constant(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else at.get("value", 0.0)
    mode = at.get("mode") or "constant"
    if mode != "constant" or np.any(np.asarray(filling) != 0):
        what = f"padding by {mode}" if mode != "constant" else f"padding with {np.asarray(filling).reshape(-1)[0]:g}"
        raise Unsupported(f"{what} is not done here; a convolution pads with zeros")
    _plane(build, node)
    half = len(pads) // 2
    before, after = pads[2:half], pads[half + 2 :]
    if build.row:
        before, after = [0, *before], [0, *after]
    if len(before) != 2 or any(pads[:2]) or any(pads[half : half + 2]) or min(pads) < 0:
        raise Unsupported(f"the padding {pads} is not done here; zeros around height and width are")
    source = build.source(node.inputs[0])
    channels = build.shapes[source][0]
    settings = {
        "out": channels,
        "kernel_size": 1,
        "groups": channels,
        "bias": False,
        "padding": [before[0], after[0], before[1], after[1]],
    }
    ones = np.ones((channels, 1, 1, 1), np.float32)
    _place(build, node, row, build.add("conv2d", [source], settings, _hint(node), {"w": ones}))
    row.state = "moved"
    row.detail = "zeros around the maps, written as a convolution that multiplies each channel by 1"
    return None


@writes("Upsample", "Resize")
def _upsample(build: Builder, node: Node, row: Row) -> None:
    _plane(build, node)
    at, source = node.attributes, build.source(node.inputs[0])
    if at.get("mode", "nearest") != "nearest":
        raise Unsupported(f"{node.op} by {at['mode']} is not done here")
    shape = build.shapes[source]
    given = list(at.get("scales") or [])
    if not given and len(node.inputs) > 3 and node.inputs[3]:
        wanted = build.constant(node.inputs[3]).reshape(-1)[2:]
        given = [1, 1, *(wanted / np.array(shape[3 - len(wanted) :]))]
    elif not given:
        given = (
            build.constant(node.inputs[2 if node.op == "Resize" and len(node.inputs) > 2 else 1]).reshape(-1).tolist()
        )
    scales = [1.0] * (4 - len(given)) + [float(n) for n in given[2:]]
    if len(scales) != 2 or any(not n >= 1 or n != int(n) for n in scales) or any(n != 1 for n in given[:2]):
        raise Unsupported(f"a scale of {given[2:]} is not done here; whole numbers are")
    if at.get("coordinate_transformation_mode") == "align_corners":
        raise Unsupported("upsampling with corners on corners is not done here; repeating each cell is")
    settings = {"scale": [int(n) for n in scales]}
    _place(build, node, row, build.add("upsample2d", [source], settings, _hint(node)))


@writes("Add", "Sum")
def _add(build: Builder, node: Node, row: Row) -> None:
    computed = [name for name in node.inputs if name in build.values]
    given = [name for name in node.inputs if name not in build.values]
    _wait(build, given)
    if not given:
        if len(computed) == 1:
            return _identity(build, node, row)
        left = build.source(computed[0])
        for name in computed[1:]:
            right = build.source(name)
            if build.shapes[left] != build.shapes[right]:
                raise Unsupported(f"shapes {list(build.shapes[left])} and {list(build.shapes[right])} do not add up")
            left = build.add("add", [left, right], {}, _hint(node))
        return _place(build, node, row, left)
    if len(computed) == 1 and len(given) == 1:
        return _affine(build, node, row, 1.0, build.constant(given[0]))
    raise Unsupported("a sum of constants and layers is not done here")


@writes("Mul")
def _mul(build: Builder, node: Node, row: Row) -> None:
    computed = [name for name in node.inputs if name in build.values]
    given = [name for name in node.inputs if name not in build.values]
    _wait(build, given)
    gated = _gated(build, *computed) if len(computed) == 2 else None
    if gated is not None:
        row.detail = "x times its sigmoid"
        return _place(build, node, row, build.add("silu", [gated], {}, _hint(node)))
    if len(computed) != 1 or len(given) != 1:
        raise Unsupported(f"a product of {len(computed)} layers is not done here")
    return _affine(build, node, row, build.constant(given[0]), 0.0)


def _gated(build: Builder, a: str, b: str) -> str | None:
    """The layer x where the two values are x and its sigmoid: their product is SiLU, which exporters take apart."""
    reads = {each["name"]: each for each in build.layers}
    for x, gate in ((build.values[a], build.values[b]), (build.values[b], build.values[a])):
        if gate in reads and reads[gate]["op"] == "sigmoid" and reads[gate]["inputs"] == [x]:
            return x
    return None


@writes("Sub")
def _sub(build: Builder, node: Node, row: Row) -> None:
    _affine(build, node, row, 1.0, -build.constant(node.inputs[1]))


@writes("Div")
def _div(build: Builder, node: Node, row: Row) -> None:
    _affine(build, node, row, 1 / build.constant(node.inputs[1]), 0.0)


def _affine(build: Builder, node: Node, row: Row, scale: Any, shift: Any) -> None:
    """A scale and a shift of each channel: put into the layer before where that has room for it, else a batch norm of
    mean 0 and variance 1, which does just that."""
    source = build.source(next(name for name in node.inputs if name in build.values))
    shape = build.shapes[source]
    scale, shift = (_per_channel(value, shape, build.row, node) for value in (scale, shift))
    layer = build.made.get(source)
    room = build.readers[next(name for name in node.inputs if name in build.values)] == 1
    if layer is not None and room and layer.op.name == "linear" and (scale == 1).all():
        if layer.op.options["bias"]:
            build.parameters[f"{source}/b"] = build.parameters[f"{source}/b"] + shift
        else:
            _with_bias(build, source)
            build.parameters[f"{source}/b"] = shift
        row.state, row.detail = "moved", f"the bias of {source}"
        build.values[node.outputs[0]] = source
        return
    if layer is not None and room and layer.op.name in ("batch_norm", "group_norm"):
        for part in ("gamma", "beta"):
            build.parameters[f"{source}/{part}"] = build.parameters[f"{source}/{part}"] * scale
        build.parameters[f"{source}/beta"] = build.parameters[f"{source}/beta"] + shift
        row.state, row.detail = "moved", f"into the scale and shift of {source}"
        build.values[node.outputs[0]] = source
        return
    ones, zeros = np.ones(shape[0], np.float32), np.zeros(shape[0], np.float32)
    parameters = {"gamma": scale, "beta": shift, "running_mean": zeros, "running_var": ones}
    _place(build, node, row, build.add("batch_norm", [source], {"eps": 0.0}, _hint(node), parameters))
    row.state, row.detail = (
        "moved",
        "a scale and a shift of each channel, written as a batch norm of mean 0, variance 1",
    )


def _per_channel(value: Any, shape: Shape, row: bool, node: Node) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" or not (np.abs(array) <= np.finfo(np.float32).max).all():
        raise Unsupported(f"{node.op} with numbers that a float32 cannot hold")
    array = array.astype(np.float32)
    if row and len(shape) == 3 and array.ndim in (2, 3):
        array = array[..., None, :]
    wide = array.reshape((1,) * (len(shape) + 1 - array.ndim) + array.shape) if array.ndim <= len(shape) + 1 else array
    fits = wide.ndim == len(shape) + 1 and wide.shape[0] == 1 and all(n == 1 for n in wide.shape[2:])
    if not fits or wide.shape[1] not in (1, shape[0]):
        raise Unsupported(f"{node.op} with numbers of shape {list(array.shape)} is not done here; one a channel is")
    return np.broadcast_to(wide.reshape(-1), (shape[0],)).astype(np.float32)


def _with_bias(build: Builder, name: str) -> None:
    item = next(each for each in build.layers if each["name"] == name)
    item["settings"]["bias"] = True
    others = {key: shape for key, shape in build.shapes.items() if key != name}
    build.made[name] = read_layer(item, ["layers"], others, item["inputs"][0])


@writes("Concat")
def _concat(build: Builder, node: Node, row: Row) -> None:
    sources = [build.source(name) for name in node.inputs]
    axis = _axis(build, sources[0], node.attributes.get("axis", 1))
    if axis == 0:
        raise Unsupported("joining batches is not done here")
    if len(sources) == 1:
        return _identity(build, node, row)
    return _place(build, node, row, build.add("concat", sources, {"axis": axis}, _hint(node)))


@writes("InstanceNormalization")
def _instance_norm(build: Builder, node: Node, row: Row) -> None:
    """A group norm of a channel each, or of the groups that a reshape has laid out, as exporters write a group norm."""
    value = node.inputs[0]
    source = build.values.get(value) if value in build.grouped else build.source(value)
    assert source is not None
    _normalised_by_groups(build, node, row, source, build.grouped.get(value, build.shapes[source][0]))


@writes("GroupNormalization")
def _group_norm(build: Builder, node: Node, row: Row) -> None:
    _normalised_by_groups(build, node, row, build.source(node.inputs[0]), node.attributes.get("num_groups", 1))


def _normalised_by_groups(build: Builder, node: Node, row: Row, source: str, groups: int) -> None:
    channels = build.shapes[source][0]
    parameters = {}
    for name, input, usual in (("gamma", 1, 1.0), ("beta", 2, 0.0)):
        said = len(node.inputs) > input and node.inputs[input]
        given = build.constant(node.inputs[input]).reshape(-1) if said else np.full(channels, usual, np.float32)
        if len(given) == groups != channels and channels % groups == 0:  # before opset 21, one for each group
            given = given.repeat(channels // groups)
        parameters[name] = given
    settings = {"groups": groups, "eps": node.attributes.get("epsilon", 1e-5)}
    hint = _hint(node, node.inputs[1] if len(node.inputs) > 1 else "")
    _place(build, node, row, build.add("group_norm", [source], settings, hint, parameters))


@writes("LayerNormalization")
def _layer_norm(build: Builder, node: Node, row: Row) -> None:
    source = build.source(node.inputs[0])
    if len(build.shapes[source]) != 1 or node.attributes.get("axis", -1) not in (-1, 1):
        raise Unsupported(
            "a layer norm over maps learns a scale for each number; a group norm of one group learns one for each "
            "channel and is the same otherwise",
        )
    _group_norm(build, node, row)


@writes("ReduceMean")
def _reduce_mean(build: Builder, node: Node, row: Row) -> None:
    source = build.source(node.inputs[0])
    axes = build.constant(node.inputs[1]).tolist() if len(node.inputs) > 1 else node.attributes.get("axes", [])
    space = [3] if build.row else [2, 3]
    if len(build.shapes[source]) != 3 or sorted(_axis(build, source, axis) for axis in axes) != space:
        raise Unsupported("a mean over other axes than height and width is not done here")
    name = build.add("global_avg_pool", [source], {}, _hint(node))
    if not node.attributes.get("keepdims", 1):
        name = build.add("flatten", [name], {}, "flatten")
    _place(build, node, row, name)
