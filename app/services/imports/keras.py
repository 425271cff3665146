"""Models of Keras: their configuration as a graph, in the order of axes that this project has.

The configuration is plain JSON: in TensorFlow.js's model.json, in a .keras archive and in an .h5 file. Nothing in it is
ever run. Keras counts channels last; kernels are turned to OIHW, and the rows of a dense layer behind a flattening are
put in the order of maps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.services.imports.source import FileError, Graph, Node

Array = np.ndarray
Shape = tuple[int, ...]

#: What Keras calls an activation, and ONNX.
ACTIVATIONS = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softmax": "Softmax",
    "elu": "Elu",
    "selu": "Selu",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "gelu": "Gelu",
    "silu": "Silu",
    "swish": "Silu",
    "mish": "Mish",
    "hard_silu": "HardSwish",
    "hard_swish": "HardSwish",
    "log_softmax": "LogSoftmax",
    "celu": "Celu",
    "leaky_relu": "LeakyRelu",
    "hard_sigmoid": "HardSigmoid",
    "relu6": "Clip",
}
#: Weights of a layer in the order in which Keras keeps them without names.
ORDER = {
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "PReLU": ("alpha",),
    "DepthwiseConv2D": ("depthwise_kernel", "bias"),
    "SeparableConv2D": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "GroupNormalization": ("gamma", "beta"),
    "LayerNormalization": ("gamma", "beta"),
}
#: One layer's weights by their own names.
Find = Callable[[str, str], Mapping[str, Array]]


@dataclass
class _Writer:
    find: Find
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, Array] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)  # of values, channels last, 0 where it is not known
    rows: dict[str, Shape] = field(default_factory=dict)  # the maps of which a value is the flattened row
    outputs: dict[str, str] = field(default_factory=dict)  # of layers
    unknown: bool = False  # whether a layer before has a shape that nothing here says

    def node(self, op: str, name: str, inputs: list[str], **attributes: Any) -> str:
        self.nodes.append(Node(op, name, tuple(inputs), (f"{name}:out",), attributes))
        return f"{name}:out"

    def tensor(self, name: str, array: Array) -> str:
        self.tensors[name] = np.ascontiguousarray(array, np.float32)
        return name


def keras_graph(config: Any, find: Find) -> Graph:
    """The graph of a model's configuration, {"class_name", "config"}; FileError where it is no model of layers."""
    layers, output = _listed(config)
    build = _Writer(find)
    inputs: dict[str, Shape] = {}
    last = ""
    for position, (kind, name, settings, sources) in enumerate(layers):
        shape = _batch_shape(settings)
        if kind == "InputLayer" or (position == 0 and not sources and shape is not None):
            if shape is None:
                raise FileError(f"{name}: the shape of the input is not said")
            inputs[name] = _first(shape)
            build.shapes[name] = shape
            build.outputs[name] = name
            last = name
            if kind == "InputLayer":
                continue
            sources = [name]
        elif position == 0 and not sources:
            raise FileError(f"{name}: the model has no input layer and no input shape")
        given = [build.outputs.get(each, "") for each in sources] if sources else [last]
        if not all(given):
            raise FileError(f"{name} reads a layer that does not come before it")
        value = f"{name}#" if name in inputs else name  # a first layer that names the input's shape itself
        last = build.outputs[name] = _layer(build, kind, value, settings, given)
    if not build.nodes:
        raise FileError("the model has no layers")
    return Graph(tuple(build.nodes), build.tensors, inputs, (build.outputs.get(output, last),))


def _listed(config: Any) -> tuple[list[tuple[str, str, Mapping[str, Any], list[str]]], str]:
    """Class, name, settings and sources of each layer, and the layer whose output is the model's."""
    inner = config.get("config") if isinstance(config, dict) else None
    layers = inner if isinstance(inner, list) else inner.get("layers") if isinstance(inner, dict) else None
    if not isinstance(layers, list):
        raise FileError("expected a Keras model: a configuration with a list of layers")
    functional = isinstance(inner, dict) and "output_layers" in inner
    found: list[tuple[str, str, Mapping[str, Any], list[str]]] = []
    for number, each in enumerate(layers):
        settings = each.get("config") if isinstance(each, dict) else None
        if not isinstance(settings, dict) or not isinstance(each.get("class_name"), str):
            raise FileError(f"layer {number}: expected class_name and config")
        name = str(settings.get("name") or each.get("name") or f"layer{number}")[:200]
        sources = _sources(each.get("inbound_nodes")) if functional else []
        found.append((each["class_name"], name, settings, sources))
    names = [name for _, name, _, _ in found]
    if len(set(names)) != len(names):
        raise FileError("two layers have the same name")
    outputs = _sources([inner["output_layers"]]) if functional and isinstance(inner, dict) else []
    if functional and len(outputs) != 1:
        raise FileError(f"expected one output, got {len(outputs)}")
    return found, outputs[0] if outputs else ""


def _sources(value: Any) -> list[str]:
    """The layers that are named in a node: ["name", 0, 0, {}] of Keras 2, or keras_history of Keras 3."""
    found: list[str] = []
    stack = [(value, 0)]
    while stack:
        each, depth = stack.pop()
        if depth > 12 or len(found) > 1000:
            raise FileError("the connections of the layers are nested too deeply")
        if isinstance(each, dict):
            history = each.get("keras_history")
            if isinstance(history, list) and history and isinstance(history[0], str):
                found.append(history[0])
            else:
                stack += [(inner, depth + 1) for inner in reversed(list(each.values()))]
        elif isinstance(each, list):
            if len(each) >= 3 and isinstance(each[0], str) and all(isinstance(n, int) for n in each[1:3]):
                found.append(each[0])
            else:
                stack += [(inner, depth + 1) for inner in reversed(each)]
    return found


def _batch_shape(settings: Mapping[str, Any]) -> Shape | None:
    shape = settings.get("batch_shape") or settings.get("batch_input_shape")
    if not isinstance(shape, list) or len(shape) not in (2, 3, 4):
        return None
    sizes = [0 if n is None else n for n in shape[1:]]
    if any(not isinstance(n, int) or not 0 <= n < 2**16 for n in sizes):
        raise FileError(f"the shape of the input is {shape}"[:200])
    return (*sizes, 1) if len(sizes) == 2 else tuple(sizes)


def _first(shape: Shape) -> Shape:
    """With the batch, and channels first."""
    return (0, shape[-1], *shape[:-1]) if len(shape) == 3 else (0, *shape)


def _layer(build: _Writer, kind: str, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
    if settings.get("data_format") == "channels_first":
        raise FileError(f"{name}: channels first is not read; Keras itself runs it on few machines")
    writer = LAYERS.get(kind)
    if writer is None:  # a node that nothing here is like: it is named in the list of layers
        build.unknown = True
        made = build.node(kind, name, given)
        build.shapes[made] = build.shapes.get(given[0], ())
    else:
        made = writer(build, name, settings, given)
        build.shapes.setdefault(made, build.shapes.get(given[0], ()))
    activation = settings.get("activation") if kind != "Activation" else None
    return _activated(build, f"{name}_activation", activation, made)


def _activated(build: _Writer, name: str, activation: Any, value: str) -> str:
    if isinstance(activation, dict):
        activation = activation.get("config") if isinstance(activation.get("config"), str) else activation.get("name")
    if activation in (None, "linear"):
        return value
    op = ACTIVATIONS.get(str(activation), str(activation)[:60])
    attributes = {"LeakyRelu": {"alpha": 0.2}, "Clip": {"min": 0.0, "max": 6.0}}.get(op, {})
    made = build.node(op, name, [value], **attributes)
    build.shapes[made] = build.shapes[value]
    if value in build.rows:
        build.rows[made] = build.rows[value]
    return made


def _weights(build: _Writer, kind: str, name: str, *wanted: str) -> list[Array | None]:
    found = build.find(name.removesuffix("#"), kind)
    arrays = [found.get(each) for each in wanted]
    if arrays[0] is None:
        raise FileError(f"{name}: the file has no {wanted[0]} for it")
    return arrays


def _two(value: Any, name: str) -> list[int]:
    pair = [value, value] if isinstance(value, int) else value
    if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(n, int) and 0 < n < 2**12 for n in pair):
        raise FileError(f"{name}: expected one or two sizes, got {value!r}"[:200])
    return pair


def _windows(
    build: _Writer, name: str, settings: Mapping[str, Any], source: str, size: list[int], strides: list[int]
) -> tuple[dict[str, Any], Shape]:
    """Attributes of windows that slide, and the plane behind them."""
    same = settings.get("padding", "valid") == "same"
    dilation = _two(settings.get("dilation_rate", 1), name)
    plane = build.shapes.get(source, ())[:-1]
    sizes = []
    for length, extent, stride, spread in zip(plane, size, strides, dilation, strict=False):
        reach = spread * (extent - 1) + 1
        sizes.append(0 if not length else -(-length // stride) if same else (length - reach) // stride + 1)
    attributes = {"strides": strides, "dilations": dilation, "auto_pad": "SAME_UPPER" if same else "VALID"}
    return attributes, tuple(sizes)


def _conv(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
    w, b = _weights(build, "Conv2D", name, "kernel", "bias")
    assert w is not None
    if w.ndim != 4:
        raise FileError(f"{name}: a kernel of {list(w.shape)}; expected [height, width, in, out]")
    return _convolution(build, name, settings, given, w.transpose(3, 2, 0, 1), b, int(settings.get("groups") or 1))


def _depthwise(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
    found = build.find(name.removesuffix("#"), "DepthwiseConv2D")
    w, b = found.get("depthwise_kernel", found.get("kernel")), found.get("bias")
    if w is None or w.ndim != 4:
        raise FileError(f"{name}: the file has no depthwise kernel for it")
    height, width, channels, times = w.shape
    turned = w.transpose(2, 3, 0, 1).reshape(channels * times, 1, height, width)
    return _convolution(build, name, settings, given, turned, b, channels)


def _convolution(
    build: _Writer,
    name: str,
    settings: Mapping[str, Any],
    given: list[str],
    w: Array,
    b: Array | None,
    groups: int,
) -> str:
    size = list(w.shape[2:])
    attributes, plane = _windows(build, name, settings, given[0], size, _two(settings.get("strides", 1), name))
    inputs = [given[0], build.tensor(f"{name}.weight", w)]
    if b is not None:
        inputs.append(build.tensor(f"{name}.bias", b))
    made = build.node("Conv", name, inputs, kernel_shape=size, group=groups, **attributes)
    build.shapes[made] = (*plane, len(w))
    return made


def _dense(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
    w, b = _weights(build, "Dense", name, "kernel", "bias")
    assert w is not None
    if w.ndim != 2:
        raise FileError(f"{name}: a kernel of {list(w.shape)}; expected [in, out]")
    maps = build.rows.get(given[0])
    if maps is not None:
        fits = 0 not in maps and np.prod(maps) == len(w)
        if not fits and build.unknown:  # in which order its rows count, only the layer that is missing says
            return build.node("Dense", name, given)
        if not fits:
            raise FileError(f"{name}: {len(w)} rows do not go with flattened maps of {list(maps)}")
        w = w.reshape(*maps, -1).transpose(2, 0, 1, 3).reshape(len(w), -1)
    inputs = [given[0], build.tensor(f"{name}.weight", w.T)]
    if b is not None:
        inputs.append(build.tensor(f"{name}.bias", b))
    made = build.node("Gemm", name, inputs, transB=1)
    build.shapes[made] = (w.shape[1],)
    return made


def _pool(op: str) -> Callable[[_Writer, str, Mapping[str, Any], list[str]], str]:
    def write(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
        size = _two(settings.get("pool_size", 2), name)
        strides = _two(settings.get("strides") or size, name)
        attributes, plane = _windows(build, name, settings, given[0], size, strides)
        attributes.pop("dilations")
        made = build.node(op, name, given, kernel_shape=size, **attributes)
        build.shapes[made] = (*plane, build.shapes[given[0]][-1])
        return made

    return write


def _global_pool(op: str) -> Callable[[_Writer, str, Mapping[str, Any], list[str]], str]:
    def write(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
        made = build.node(op, name, given)
        channels = build.shapes[given[0]][-1:]
        if settings.get("keepdims"):
            build.shapes[made] = (1, 1, *channels)
            return made
        made = build.node("Flatten", f"{name}_flatten", [made])
        build.shapes[made] = channels
        return made

    return write


def _transposed(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
    """A convolution turned round. "same" gives stride times as many places, the odd cell cut at the far side."""
    w, b = _weights(build, "Conv2DTranspose", name, "kernel", "bias")
    assert w is not None
    if (
        w.ndim != 4
        or settings.get("output_padding") is not None
        or _two(settings.get("dilation_rate", 1), name) != [1, 1]
    ):
        raise FileError(f"{name}: a transposed convolution with dilation or output_padding is not read")
    size, strides = list(w.shape[:2]), _two(settings.get("strides", 1), name)
    same = settings.get("padding", "valid") == "same"
    cut = [max(extent - stride, 0) if same else 0 for extent, stride in zip(size, strides, strict=True)]
    more = [max(stride - extent, 0) for extent, stride in zip(size, strides, strict=True)]
    pads = [*(each // 2 for each in cut), *(each - each // 2 for each in cut)]
    inputs = [given[0], build.tensor(f"{name}.weight", w.transpose(3, 2, 0, 1))]
    if b is not None:
        inputs.append(build.tensor(f"{name}.bias", b))
    made = build.node("ConvTranspose", name, inputs, strides=strides, pads=pads, output_padding=more)
    plane = [
        length and ((length - 1) * stride + extent + extra - gone)
        for length, stride, extent, extra, gone in zip(
            build.shapes[given[0]][:-1], strides, size, more, cut, strict=False
        )
    ]
    build.shapes[made] = (*plane, w.shape[2])
    return made


def _separable(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
    """A depthwise convolution and one of 1 x 1 behind it."""
    depthwise, pointwise, b = _weights(build, "SeparableConv2D", name, "depthwise_kernel", "pointwise_kernel", "bias")
    if depthwise is None or pointwise is None or depthwise.ndim != 4 or pointwise.ndim != 4:
        raise FileError(f"{name}: expected a depthwise and a pointwise kernel")
    height, width, channels, times = depthwise.shape
    turned = depthwise.transpose(2, 3, 0, 1).reshape(channels * times, 1, height, width)
    first = _convolution(build, f"{name}_depthwise", settings, given, turned, None, channels)
    return _convolution(build, name, {}, [first], pointwise.transpose(3, 2, 0, 1), b, 1)


def _zero_padding(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
    padding = settings.get("padding", 1)
    pairs: Any = [padding] * 2 if isinstance(padding, int) else padding
    listed: list[Any] = pairs if isinstance(pairs, list) else []
    pairs = [[each] * 2 if isinstance(each, int) else each for each in listed]
    if len(pairs) != 2 or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(n, int) and 0 <= n < 2**12 for n in pair)
        for pair in pairs
    ):
        raise FileError(f"{name}: expected padding of rows and columns, got {padding!r}"[:200])
    (top, bottom), (left, right) = pairs
    made = build.node("Pad", name, given, pads=[0, 0, top, left, 0, 0, bottom, right])
    height, width, channels = build.shapes[given[0]]
    build.shapes[made] = (height and height + top + bottom, width and width + left + right, channels)
    return made


def _upsampling(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
    down, across = _two(settings.get("size", 2), name)
    mode = settings.get("interpolation", "nearest")
    made = build.node("Upsample", name, given, scales=[1.0, 1.0, float(down), float(across)], mode=mode)
    height, width, channels = build.shapes[given[0]]
    build.shapes[made] = (height * down, width * across, channels)
    return made


def _prelu(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
    (slope,) = _weights(build, "PReLU", name, "alpha")
    assert slope is not None
    if slope.ndim > 1 and slope.size != slope.shape[-1]:
        raise FileError(f"{name}: slopes of {list(slope.shape)}; one a channel are read (shared_axes=[1, 2])")
    made = build.node("PRelu", name, [given[0], build.tensor(f"{name}.weight", slope.reshape(-1))])
    build.shapes[made] = build.shapes[given[0]]
    return made


def _rescaling(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
    """Times a number, plus another."""
    scale, shift = (np.array(settings.get(each, usual), np.float32) for each, usual in (("scale", 1), ("offset", 0)))
    made = build.node("Mul", name, [given[0], build.tensor(f"{name}.scale", scale)])
    if shift.any():
        made = build.node("Add", f"{name}_offset", [made, build.tensor(f"{name}.offset", shift)])
    build.shapes[made] = build.shapes[given[0]]
    return made


def _norm(op: str) -> Callable[[_Writer, str, Mapping[str, Any], list[str]], str]:
    def write(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
        found = build.find(name.removesuffix("#"), op)
        inputs = [given[0]]
        for part, usual in (("gamma", 1.0), ("beta", 0.0)):
            channels = build.shapes[given[0]][-1]
            inputs.append(build.tensor(f"{name}.{part}", found.get(part, np.full(channels, usual))))
        groups = settings.get("groups", 1)
        channels = build.shapes[given[0]][-1]
        attributes = {"num_groups": channels if groups == -1 else groups} if op == "GroupNormalization" else {}
        made = build.node(op, name, inputs, epsilon=float(settings.get("epsilon", 1e-3)), **attributes)
        build.shapes[made] = build.shapes[given[0]]
        return made

    return write


def _flatten(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
    maps = build.shapes.get(given[0], ())
    made = build.node("Flatten", name, given)
    build.shapes[made] = (int(np.prod(maps)),)
    if len(maps) == 3:
        build.rows[made] = maps
    return made


def _batch_norm(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
    wanted = ("moving_mean", "moving_variance", "gamma", "beta")
    mean, variance, gamma, beta = _weights(build, "BatchNormalization", name, *wanted)
    assert mean is not None
    if variance is None:
        raise FileError(f"{name}: the file has no moving_variance for it")
    parts = {
        "weight": np.ones_like(mean) if gamma is None else gamma,
        "bias": np.zeros_like(mean) if beta is None else beta,
        "mean": mean,
        "var": variance,
    }
    inputs = [given[0], *(build.tensor(f"{name}.{part}", array) for part, array in parts.items())]
    return build.node("BatchNormalization", name, inputs, epsilon=float(settings.get("epsilon", 1e-3)))


def _passed_on(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
    made = build.node("Identity", name, given[:1])
    build.shapes[made] = build.shapes[given[0]]
    if given[0] in build.rows:
        build.rows[made] = build.rows[given[0]]
    return made


def _dropout(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
    made = build.node("Dropout", name, given[:1], ratio=float(settings.get("rate", 0.5)))
    if given[0] in build.rows:
        build.rows[made] = build.rows[given[0]]
    return made


def _activation(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
    return _activated(build, name, settings.get("activation"), given[0])


def _named(op: str, **names: tuple[str, float]) -> Callable[[_Writer, str, Mapping[str, Any], list[str]], str]:
    """An activation that is a layer: attribute=(its name in Keras, its default)."""

    def write(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
        attributes = {ours: float(settings.get(theirs, default)) for ours, (theirs, default) in names.items()}
        made = build.node(op, name, given, **attributes)
        build.shapes[made] = build.shapes[given[0]]
        if given[0] in build.rows:
            build.rows[made] = build.rows[given[0]]
        return made

    return write


def _relu(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
    slope, most = settings.get("negative_slope") or 0, settings.get("max_value")
    if settings.get("threshold"):
        raise FileError(f"{name}: a ReLU with a threshold is not read")
    if most is not None and slope:
        raise FileError(f"{name}: a leaky ReLU cut at {most} is not read")
    if most is not None:
        made = build.node("Clip", name, given, min=0.0, max=float(most))
        build.shapes[made] = build.shapes[given[0]]
        return made
    op = "LeakyRelu" if slope else "Relu"
    return _named(op, **({"alpha": ("negative_slope", 0.0)} if slope else {}))(build, name, settings, given)


def _joined(op: str, **attributes: Any) -> Callable[[_Writer, str, Mapping[str, Any], list[str]], str]:
    def write(build: _Writer, name: str, settings: Mapping[str, Any], given: list[str]) -> str:
        made = build.node(op, name, given, **attributes)
        shapes = [build.shapes[each] for each in given]
        channels = sum(shape[-1] for shape in shapes) if op == "Concat" else shapes[0][-1]
        build.shapes[made] = (*shapes[0][:-1], channels)
        return made

    return write


LAYERS: dict[str, Callable[[_Writer, str, Mapping[str, Any], list[str]], str]] = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "Dense": _dense,
    "MaxPooling2D": _pool("MaxPool"),
    "AveragePooling2D": _pool("AveragePool"),
    "GlobalAveragePooling2D": _global_pool("GlobalAveragePool"),
    "GlobalMaxPooling2D": _global_pool("GlobalMaxPool"),
    "Conv2DTranspose": _transposed,
    "SeparableConv2D": _separable,
    "ZeroPadding2D": _zero_padding,
    "UpSampling2D": _upsampling,
    "PReLU": _prelu,
    "Rescaling": _rescaling,
    "GroupNormalization": _norm("GroupNormalization"),
    "LayerNormalization": _norm("LayerNormalization"),
    "Flatten": _flatten,
    "BatchNormalization": _batch_norm,
    "Dropout": _dropout,
    "SpatialDropout2D": _passed_on,
    "GaussianNoise": _passed_on,
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _named("LeakyRelu", alpha=("negative_slope", 0.3)),
    "ELU": _named("Elu", alpha=("alpha", 1.0)),
    "Softmax": _named("Softmax"),
    "Add": _joined("Add"),
    "Concatenate": _joined("Concat", axis=1),
}


def by_suffix(tensors: Mapping[str, Array]) -> Find:
    """Weights named `conv2d/kernel`, perhaps with words before and `:0` behind."""
    held: dict[str, dict[str, Array]] = {}
    for name, array in tensors.items():
        words = re.sub(r":\d+$", "", name).split("/")
        for word in words[:-1]:
            held.setdefault(word, {})[words[-1]] = array
    return lambda name, kind: held.get(name, {})


def by_order(groups: Mapping[str, Sequence[Array]]) -> Find:
    """Weights without names of their own, in Keras's order."""

    def find(name: str, kind: str) -> Mapping[str, Array]:
        names = ORDER.get(kind, ("kernel", "bias"))
        return dict(zip(names, groups.get(name, ()), strict=False))

    return find
