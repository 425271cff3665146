"""PyTorch's exported programs (.pt2): the graph's JSON and the raw bytes of its weights. No pickle in them is read.

The graph is one of `aten` operations. Each is written as the ONNX operation of the same meaning, so that there is one
vocabulary for `convert`. Source: PyTorch's torch/_export/serde/schema.py and torch/export/pt2_archive.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.formats import json as strict_json
from app.formats.archive import Archive
from app.problems import Problem
from app.services.imports.source import FileError, Graph, Node, in_order
from app.services.imports.torch_file import Storage, TensorView, read_storage, read_view

Array = np.ndarray
Writer = Callable[["Program", str, Mapping[str, Any], str], Node | None]

GRAPH, WEIGHTS, CONSTANTS = "models/model.json", "data/weights/", "data/constants/"
#: Bytes of the graph's JSON; a node takes about one thousand.
MOST = 16 << 20
#: torch.dtype, as the schema counts them.
KINDS = {
    1: "ByteStorage",
    2: "CharStorage",
    3: "ShortStorage",
    4: "IntStorage",
    5: "LongStorage",
    6: "HalfStorage",
    7: "FloatStorage",
    8: "DoubleStorage",
    12: "BoolStorage",
    13: "BFloat16Storage",
}
PREFIX = "torch.ops.aten."


@dataclass(frozen=True)
class Value:
    """A tensor of the graph, by name."""

    name: str


@dataclass
class Program:
    """The graph as it is read: shapes by value (0 for a size that is not said), and numbers that nodes bring along."""

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    tensors: dict[str, Array] = field(default_factory=dict)

    def constant(self, name: str, numbers: Any) -> str:
        self.tensors[name] = np.asarray(numbers)
        return name


def read_pt2(archive: Archive) -> Graph:
    """The program's graph with its weights; FileError where it is damaged, or its weights are pickled."""
    path = next(name for name in archive.names if name.endswith(GRAPH))
    root = path.removesuffix(GRAPH)
    order = archive.read(f"{root}byteorder").strip() if f"{root}byteorder" in archive.names else b"little"
    if order != b"little":
        raise FileError("the file's numbers are big-endian, which is not read")
    try:
        return _graph(_json(archive, path, MOST), archive, root)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError, StopIteration) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path} is not written as torch.export does: {str(error)[:80]}") from None


def _json(archive: Archive, name: str, most: int) -> Any:
    try:
        return strict_json.decode(archive.read(name, most), names=2 * archive.bounds.items)
    except Problem as problem:
        raise FileError(f"{name}: {problem.detail}") from None


def _graph(document: Any, archive: Archive, root: str) -> Graph:
    graph, signature = document["graph_module"]["graph"], document["graph_module"]["signature"]
    bounds = archive.bounds
    if max(len(graph["nodes"]), len(signature["input_specs"])) > bounds.items:
        raise FileError(f"the graph has more than {bounds.items} nodes or inputs")
    program = Program({name: _sizes(meta["sizes"]) for name, meta in graph["tensor_values"].items()})
    stored = {**_weights(archive, f"{root}{WEIGHTS}"), **_weights(archive, f"{root}{CONSTANTS}")}
    names, inputs = _inputs(signature["input_specs"], program, stored)
    nodes = []
    for item in graph["nodes"]:
        node = _node(item, program, names)
        if node is not None:
            nodes.append(node)
    outputs = [each["user_output"]["arg"]["as_tensor"] for each in signature["output_specs"] if "user_output" in each]
    tensors = {**stored, **program.tensors}
    ordered = in_order(nodes, {*tensors, *inputs, ""})
    return Graph(ordered, tensors, inputs, tuple(str(each["name"]) for each in outputs))


def _sizes(said: Any) -> tuple[int, ...]:
    return tuple(int(each.get("as_int", 0)) for each in said)


def _inputs(
    specs: Any, program: Program, stored: Mapping[str, Array]
) -> tuple[dict[str, str], dict[str, tuple[int, ...]]]:
    """What the graph calls each weight and what the file does; the inputs proper with their shapes."""
    names: dict[str, str] = {}
    inputs: dict[str, tuple[int, ...]] = {}
    for spec in specs:
        (kind, said), *_ = spec.items()
        if kind == "user_input":
            if "as_tensor" in said["arg"]:
                name = str(said["arg"]["as_tensor"]["name"])
                inputs[name] = program.shapes[name]
            continue
        given = next((said[each] for each in (f"{kind}_name", "tensor_constant_name") if each in said), None)
        if not isinstance(given, str) or given not in stored:
            raise FileError(f"the graph reads the {kind.replace('_', ' ')} {str(given)[:80]!r}, which is not stored")
        names[str(said["arg"]["name"])] = given
        program.shapes[given] = stored[given].shape
    return names, inputs


def _weights(archive: Archive, folder: str) -> dict[str, Array]:
    """Tensors by name, as the folder's list describes them."""
    lists = [name for name in archive.names if name.startswith(folder) and name.endswith("_config.json")]
    found: dict[str, Array] = {}
    storages: dict[Storage, Array] = {}
    for each in lists:
        for name, said in _json(archive, each, MOST)["config"].items():
            if said["use_pickle"]:
                raise FileError(f"{name[:80]} is stored as a pickle, which is not read")
            meta, path = said["tensor_meta"], str(said["path_name"])
            if meta["dtype"] not in KINDS:
                raise FileError(
                    f"{name[:80]} has the data type {str(meta['dtype'])[:20]} of PyTorch, which is not read"
                )
            content = archive.read(folder + path) if all(path != known.key for known in storages) else None
            storage = next((known for known in storages if known.key == path), None)
            if content is not None:
                kind = KINDS[meta["dtype"]]
                storage = Storage(path, kind, len(content) // read_storage(Storage(path, kind, 0), b"").itemsize)
                storages[storage] = read_storage(storage, content)
            assert storage is not None
            if storage.kind != KINDS[meta["dtype"]]:
                raise FileError(f"{name[:80]}: its storage {path[:80]} is of another type")
            sizes, strides = _sizes(meta["sizes"]), _sizes(meta["strides"])
            if len(sizes) != len(strides) or len(sizes) > 8:
                raise FileError(f"{name[:80]} has {len(sizes)} sizes and {len(strides)} strides")
            view = TensorView(storage, int(meta["storage_offset"].get("as_int", 0)), sizes, strides)
            found[name] = read_view(name, view, storages[storage], archive.bounds)
    return found


# nodes --------------------------------------------------------------------------------------------------------------


def _node(item: Any, program: Program, names: Mapping[str, str]) -> Node | None:
    """The ONNX node of an aten operation; None for one that makes no tensor."""
    outputs = [each for each in item["outputs"] if "as_tensor" in each]
    if not outputs:
        return None
    target = str(item["target"])
    arguments = {str(each["name"]): _argument(each["arg"], names) for each in item["inputs"]}
    output = str(outputs[0]["as_tensor"]["name"])
    op = target.removeprefix(PREFIX).partition(".")[0]
    write = ATEN.get(op) if target.startswith(PREFIX) else None
    node = write(program, op, arguments, output) if write else None
    if node is not None:
        return node
    given = tuple(each.name for each in arguments.values() if isinstance(each, Value))
    return Node(target.removeprefix("torch.ops."), output, given, (output,))


def _argument(said: Any, names: Mapping[str, str]) -> Any:
    (kind, value), *_ = said.items()
    match kind:
        case "as_tensor":
            return Value(names.get(value["name"], str(value["name"])))
        case "as_tensors":
            return [Value(names.get(each["name"], str(each["name"]))) for each in value]
        case "as_none":
            return None
        case "as_sym_int":
            return value.get("as_int", -1)
        case "as_sym_ints":
            return [each.get("as_int", -1) for each in value]
        case _:
            return value


ATEN: dict[str, Writer] = {}


def aten(*names: str) -> Callable[[Writer], Writer]:
    def register(function: Writer) -> Writer:
        ATEN.update(dict.fromkeys(names, function))
        return function

    return register


def _made(op: str, output: str, inputs: list[Any], **attributes: Any) -> Node:
    given = [each.name if isinstance(each, Value) else each or "" for each in inputs]
    while given and not given[-1]:
        given.pop()
    kept = {name: value for name, value in attributes.items() if value is not None}
    return Node(op, output, tuple(given), (output,), {**kept, "version": 21})


def _simple(onnx: str, **names: str) -> Writer:
    """The same operation under another name; `names` are its attributes, and what PyTorch calls them."""

    def write(program: Program, op: str, given: Mapping[str, Any], output: str) -> Node:
        source = given.get("self", given.get("input"))
        return _made(onnx, output, [source], **{theirs: given.get(ours) for theirs, ours in names.items()})

    return write


ATEN |= {
    **dict.fromkeys(("relu", "relu_"), _simple("Relu")),
    "relu6": lambda program, op, given, output: _made("Clip", output, [given["self"]], min=0.0, max=6.0),
    "hardtanh": lambda program, op, given, output: _made(
        "Clip", output, [given["self"]], min=float(given.get("min_val", -1)), max=float(given.get("max_val", 1))
    ),
    "leaky_relu": _simple("LeakyRelu", alpha="negative_slope"),
    "sigmoid": _simple("Sigmoid"),
    "tanh": _simple("Tanh"),
    "silu": _simple("Silu"),
    "mish": _simple("Mish"),
    "hardswish": _simple("HardSwish"),
    "hardsigmoid": lambda program, op, given, output: _made(
        "HardSigmoid", output, [given["self"]], alpha=1 / 6, beta=0.5
    ),
    "gelu": _simple("Gelu", approximate="approximate"),
    "selu": _simple("Selu"),
    "celu": _simple("Celu", alpha="alpha"),
    "neg": _simple("Neg"),
    "exp": _simple("Exp"),
    "sqrt": _simple("Sqrt"),
    "abs": _simple("Abs"),
    "dropout": _simple("Dropout", ratio="p"),
    "feature_dropout": _simple("Dropout", ratio="p"),
    "softmax": _simple("Softmax", axis="dim"),
    "_softmax": _simple("Softmax", axis="dim"),
    "log_softmax": _simple("LogSoftmax", axis="dim"),
    "_log_softmax": _simple("LogSoftmax", axis="dim"),
    **dict.fromkeys(
        ("clone", "contiguous", "alias", "detach", "lift_fresh_copy", "to", "_to_copy"), _simple("Identity")
    ),
    "prelu": lambda program, op, given, output: _made("PRelu", output, [given["self"], given["weight"]]),
    "_prelu_kernel": lambda program, op, given, output: _made("PRelu", output, [given["self"], given["weight"]]),
}


@aten("elu")
def _elu(program: Program, op: str, given: Mapping[str, Any], output: str) -> Node | None:
    if given.get("scale", 1) != 1 or given.get("input_scale", 1) != 1:
        return None
    return _made("Elu", output, [given["self"]], alpha=float(given.get("alpha", 1)))


@aten("softplus")
def _softplus(program: Program, op: str, given: Mapping[str, Any], output: str) -> Node | None:
    return _made("Softplus", output, [given["self"]]) if given.get("beta", 1) == 1 else None


@aten("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "convolution")
def _convolution(program: Program, op: str, given: Mapping[str, Any], output: str) -> Node:
    weight = given["weight"]
    rank = len(program.shapes[weight.name]) - 2
    padding = given.get("padding", 0)
    if isinstance(padding, str):
        pads: dict[str, Any] = {"auto_pad": {"same": "SAME_UPPER", "valid": "VALID"}.get(padding)}
    else:
        pads = {"pads": [*_each(padding, rank), *_each(padding, rank)]}
    turned = given.get("transposed", op.startswith("conv_transpose"))
    return _made(
        "ConvTranspose" if turned else "Conv",
        output,
        [given["input"], weight, given.get("bias")],
        strides=_each(given.get("stride", 1), rank),
        dilations=_each(given.get("dilation", 1), rank),
        output_padding=_each(given.get("output_padding", 0), rank),
        group=given.get("groups", 1),
        **pads,
    )


def _each(value: Any, rank: int) -> list[int]:
    """One number for all axes, or one for each."""
    values = list(value) if isinstance(value, list) else [value]
    return values * rank if len(values) == 1 else values


@aten("linear", "addmm", "mm", "matmul")
def _linear(program: Program, op: str, given: Mapping[str, Any], output: str) -> Node:
    if "weight" in given:
        return _made("Gemm", output, [given["input"], given["weight"], given.get("bias")], transB=1)
    if "mat1" in given:
        return _made("Gemm", output, [given["mat1"], given["mat2"], given["self"]])
    return _made("MatMul", output, [given["self"], given.get("mat2", given.get("other"))])


@aten("t", "permute", "transpose")
def _transpose(program: Program, op: str, given: Mapping[str, Any], output: str) -> Node:
    order = list(range(len(program.shapes[given["self"].name])))
    if "dims" in given:
        order = list(given["dims"])
    else:
        a, b = (given.get("dim0", 0), given.get("dim1", 1))
        order[a], order[b] = order[b], order[a]
    return _made("Transpose", output, [given["self"]], perm=order)


@aten("max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices", "avg_pool1d", "avg_pool2d", "avg_pool3d")
def _pool(program: Program, op: str, given: Mapping[str, Any], output: str) -> Node | None:
    rank = len(program.shapes[given["self"].name]) - 2
    if given.get("divisor_override"):
        return None
    padding, kernel = _each(given.get("padding", 0), rank), _each(given["kernel_size"], rank)
    mean = op.startswith("avg")
    return _made(
        "AveragePool" if mean else "MaxPool",
        output,
        [given["self"]],
        kernel_shape=kernel,
        strides=_each(given.get("stride") or kernel, rank),
        pads=[*padding, *padding],
        dilations=None if mean else _each(given.get("dilation", 1), rank),
        ceil_mode=int(given.get("ceil_mode", False)),
        count_include_pad=int(given.get("count_include_pad", True)) if mean else None,
    )


@aten("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool2d")
def _adaptive(program: Program, op: str, given: Mapping[str, Any], output: str) -> Node | None:
    """Windows that lie side by side, where the sizes divide."""
    shape, wanted = program.shapes[given["self"].name][2:], given["output_size"]
    pool = "MaxPool" if op == "adaptive_max_pool2d" else "AveragePool"
    if all(size == 1 for size in wanted):
        return _made(f"Global{pool}", output, [given["self"]])
    if any(size < 1 or whole < size or whole % size for whole, size in zip(shape, wanted, strict=True)):
        return None
    kernel = [whole // size for whole, size in zip(shape, wanted, strict=True)]
    return _made(pool, output, [given["self"]], kernel_shape=kernel, strides=kernel)


@aten("mean")
def _mean(program: Program, op: str, given: Mapping[str, Any], output: str) -> Node | None:
    axes = given.get("dim")
    if not axes:
        return None
    return _made("ReduceMean", output, [given["self"]], axes=list(axes), keepdims=int(given.get("keepdim", False)))


@aten("batch_norm", "_native_batch_norm_legit_no_training")
def _batch_norm(program: Program, op: str, given: Mapping[str, Any], output: str) -> Node | None:
    mean, var = given.get("running_mean"), given.get("running_var")
    if mean is None or var is None:
        return None
    channels = program.shapes[mean.name][0]
    weight = given.get("weight") or program.constant(f"{output}.weight", np.ones(channels, np.float32))
    bias = given.get("bias") or program.constant(f"{output}.bias", np.zeros(channels, np.float32))
    return _made(
        "BatchNormalization",
        output,
        [given["input"], weight, bias, mean, var],
        epsilon=float(given.get("eps", 1e-5)),
        momentum=1 - float(given.get("momentum", 0.1)),
    )


@aten("group_norm")
def _group_norm(program: Program, op: str, given: Mapping[str, Any], output: str) -> Node | None:
    inputs = [given["input"], given.get("weight"), given.get("bias")]
    return _made(
        "GroupNormalization", output, inputs, num_groups=given["num_groups"], epsilon=float(given.get("eps", 1e-5))
    )


@aten("layer_norm")
def _layer_norm(program: Program, op: str, given: Mapping[str, Any], output: str) -> Node:
    inputs = [given["input"], given.get("weight"), given.get("bias")]
    axis = -len(given["normalized_shape"])
    return _made("LayerNormalization", output, inputs, axis=axis, epsilon=float(given.get("eps", 1e-5)))


@aten("instance_norm")
def _instance_norm(program: Program, op: str, given: Mapping[str, Any], output: str) -> Node | None:
    if not given.get("use_input_stats", True):
        return None
    inputs = [given["input"], given.get("weight"), given.get("bias")]
    return _made("InstanceNormalization", output, inputs, epsilon=float(given.get("eps", 1e-5)))


@aten("flatten")
def _flatten(program: Program, op: str, given: Mapping[str, Any], output: str) -> Node | None:
    rank = len(program.shapes[given["self"].name])
    if given.get("end_dim", -1) % rank != rank - 1:
        return None
    return _made("Flatten", output, [given["self"]], axis=given.get("start_dim", 0))


@aten("view", "reshape", "_unsafe_view", "squeeze", "unsqueeze")
def _reshape(program: Program, op: str, given: Mapping[str, Any], output: str) -> Node:
    size = given.get("size", given.get("shape"))
    if size is None:
        size = [-1, *program.shapes[output][1:]]
    shape = program.constant(f"{output}.shape", np.array([-1, *size[1:]], np.int64))
    return _made("Reshape", output, [given["self"], shape])


@aten("cat", "concat")
def _cat(program: Program, op: str, given: Mapping[str, Any], output: str) -> Node:
    return _made("Concat", output, list(given["tensors"]), axis=given.get("dim", 0))


@aten("add", "add_", "sub", "mul", "div")
def _arithmetic(program: Program, op: str, given: Mapping[str, Any], output: str) -> Node | None:
    other = given.get("other")
    if given.get("alpha", 1) != 1 or given.get("rounding_mode"):
        return None
    if not isinstance(other, Value):
        other = program.constant(f"{output}.other", np.float32(other))
    return _made(op.rstrip("_").capitalize(), output, [given["self"], other])


@aten("pad", "constant_pad_nd")
def _pad(program: Program, op: str, given: Mapping[str, Any], output: str) -> Node | None:
    pairs = given["pad"]
    rank = len(program.shapes[given["self"].name])
    before = [*[0] * (rank - len(pairs) // 2), *pairs[-2::-2]]
    after = [*[0] * (rank - len(pairs) // 2), *pairs[::-2]]
    mode, value = given.get("mode", "constant"), given.get("value") or 0.0
    return _made("Pad", output, [given["self"]], pads=[*before, *after], mode=mode, value=float(value))


@aten("upsample_nearest1d", "upsample_nearest2d")
def _upsample(program: Program, op: str, given: Mapping[str, Any], output: str) -> Node:
    before, after = program.shapes[given.get("input", given.get("self")).name][2:], program.shapes[output][2:]
    scales = [1.0, 1.0, *(b / a if a else math.nan for a, b in zip(before, after, strict=True))]
    return _made("Upsample", output, [given.get("input", given.get("self"))], scales=scales, mode="nearest")
