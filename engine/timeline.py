"""The timeline of a pass: what happens in which order, what every phase reads, and how its window moves. No values.

A phase is one tensor whose cells are visited one after the other: forward layer by layer, the loss, then backward layer
by layer (delta of the input, gradients of the parameters), then the update.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from engine.formula import Axis, Equation, Program, Tensors
from engine.layers import Layer
from engine.network import Network
from engine.ops.base import Op, Shape, Words, describe, letters, outline
from engine.optimizers import RULES, Optimizer

#: The delta, as the timeline bar writes it.
DELTA = "δ"


@dataclass(frozen=True)
class Local:
    """The sentences of one layer or of one parameter's update, with what they need besides arrays.

    `public` maps a name in the sentences to the layer's name for it, where they differ ("v" is "w.v").
    """

    layer: str
    program: Program
    numbers: Mapping[str, float]
    extents: Mapping[str, Shape]
    shapes: Mapping[str, Shape]  # of what is given
    public: Mapping[str, str]

    @cached_property
    def outline(self) -> Tensors:
        """Shapes and counts."""
        return outline(self.program, self.shapes, self.numbers, self.extents)

    def counts(self, letters: tuple[str, ...]) -> dict[str, int]:
        """How many each of these letters counts."""
        return {letter: self.outline.count(letter) for letter in letters}


def layer_program(
    network: Network, layer: Layer, batch: int, training: bool = False, target: Shape | None = None
) -> Local:
    """An op's sentences and those of its gradients, for a batch; `learning` draws random tensors."""
    op = layer.op if training else layer.inference_op
    shapes = network.given_shapes(layer, batch)
    if op.is_loss:
        shapes["target"] = target or op.target_shape(shapes["x"])
    wrt = tuple(name[1:] for name in op.gradients if name[1:] in shapes)
    extents = op.extents(shapes)
    program = network.said(layer, op.program(shapes).gradients(wrt))
    return Local(layer.name, program, op.numbers(shapes), extents, {**shapes, "dy": extents["y"]}, {})


def update_program(layer: Layer, parameter: str, optimizer: Optimizer, update: int) -> Local:
    """The optimizer's sentences for one parameter at its `update`-th update."""
    shape = layer.parameters[parameter]
    program = optimizer.program(parameter, len(shape))
    own = (parameter, f"d{parameter}", f"{parameter}_next")
    public = {name: f"{parameter}.{name}" for name in (*program.given, *program.names) if name not in own}
    return Local(
        layer.name,
        program,
        {name: n for name, n in optimizer.numbers(max(1, update)).items() if name not in program.names},
        {name: shape if program.letters(name)[0] else () for name in program.names},
        {name: () if name in optimizer.whole else shape for name in program.given},
        public,
    )


def counts_images(layer: Layer, program: Program, tensor: str) -> bool:
    """Whether the first axis of a layer's tensor counts images: not that of a parameter, nor of a batch's mean."""
    if tensor.split(".")[0].removesuffix("_next") in layer.parameters or tensor in {f"d{w}" for w in layer.parameters}:
        return False
    return tensor not in program.names or "n" in program.letters(tensor)[0]


@cache
def sum_program(rank: int, count: int) -> tuple[Program, tuple[str, ...]]:
    """The delta of a layer that several others read, and the names of its summands."""
    at = letters(rank)
    names = tuple(f"d{k}" for k in range(1, count + 1))
    return Program(" ".join(name + at for name in names), f"dy{at} = " + " + ".join(name + at for name in names)), names


@dataclass(frozen=True)
class LayerInfo:
    name: str
    op: str
    title: str
    inputs: tuple[str, ...]
    shape: Shape  # without the batch
    parameters: Mapping[str, Shape]
    view: bool  # the same numbers as its input's under other indices


@dataclass(frozen=True)
class TensorInfo:
    shape: Shape  # with the batch
    kind: str  # "value", "weight", "gradient", "index"
    title: str
    whole: bool = False  # no axis counts images: it belongs to the batch as a whole, or to the network


@dataclass(frozen=True)
class PhaseScatter:
    """The phase's sum from the side of one cell that is read; see engine.formula.Scatter."""

    free: Mapping[str, int]
    bound: Mapping[str, int]
    axes: tuple[Axis, ...]
    target: tuple[Axis, ...]
    factor: str  # in the sentence
    stamp: tuple[Axis, ...]


@dataclass(frozen=True)
class PhaseRead:
    name: str  # in the sentence
    tensor: str  # "layer/tensor"
    kind: str
    role: str
    joint: str
    axes: tuple[Axis | None, ...]
    scatter: PhaseScatter | None


@dataclass(frozen=True)
class Phase:
    place: str
    layer: str
    tensor: str
    part: str  # "forward", "loss", "backward", "update"
    label: str
    head: str
    note: str
    kind: str
    shape: Shape
    view: bool
    form: str
    sentence: str
    equation: Equation
    general: Equation
    free: Mapping[str, int]
    bound: Mapping[str, int]
    divisor: float | None  # of a sum or of each of its terms, where it is a number
    reads: tuple[PhaseRead, ...]
    steps: tuple[tuple[str, Equation], ...]


@dataclass(frozen=True)
class Timeline:
    layers: tuple[LayerInfo, ...]
    tensors: Mapping[str, TensorInfo]
    aliases: Mapping[str, str]
    phases: tuple[Phase, ...]


def timeline(network: Network, batch: int = 1, optimizer: Optimizer | None = None, training: bool = False) -> Timeline:
    """The timeline of a pass over `batch` images; with an optimizer it ends with the update."""
    return _Composer(network, batch, optimizer, training).timeline()


def call_timeline(op: Op, shapes: Mapping[str, Shape], backward: bool) -> Timeline:
    """The timeline of an op that is called by itself: its results, then its gradients. What is given to it and is no
    parameter lies in the layer `input`, under its own name: `input/x`, `input/dy`."""
    return _CallComposer(op, shapes, backward).timeline()


class _Composer:
    network: Any

    def __init__(self, network: Network, batch: int, optimizer: Optimizer | None, training: bool):
        self.network = network
        self.batch = batch
        self.optimizer = optimizer
        self.training = training
        self.ops = {
            layer.name: layer.op if training else layer.inference_op
            for layer in (*network.layers.values(), network.loss)
        }
        self.locals = {
            layer.name: layer_program(network, layer, batch, training)
            for layer in (*network.layers.values(), network.loss)
        }

    def timeline(self) -> Timeline:
        tensors: dict[str, TensorInfo] = {}
        phases = []
        for phase, others in self._phases():
            phases.append(phase)
            tensors[phase.place] = TensorInfo(
                phase.shape, phase.kind, self._title(phase.layer, phase.tensor), self._whole(phase.layer, phase.tensor)
            )
            tensors.update(others)
        return Timeline(self._layers(), {**self._given(), **tensors}, self._aliases(), tuple(phases))

    def _layers(self) -> tuple[LayerInfo, ...]:
        layers = [LayerInfo("input", "", "Input", (), self.network.input_shape, {}, False)]
        for layer in (*self.network.layers.values(), self.network.loss):
            layers.append(
                LayerInfo(
                    layer.name,
                    layer.op.name,
                    layer.op.title,
                    layer.inputs,
                    layer.shape,
                    dict(layer.parameters),
                    layer.op.is_view,
                )
            )
        return tuple(layers)

    def _given(self) -> dict[str, TensorInfo]:
        """What no phase makes: the images, the targets, the parameters, the optimizer's state, random tensors."""
        given = {
            "input/y": TensorInfo((self.batch, *self.network.input_shape), "value", self._title("input", "y")),
            "target/y": TensorInfo(self.locals["loss"].shapes["target"], "value", self._title("target", "y")),
        }
        for layer in self.network.layers.values():
            for name, shape in layer.parameters.items():
                given[f"{layer.name}/{name}"] = TensorInfo(shape, "weight", self._title(layer.name, name), True)
                for state in self.optimizer.state if self.optimizer and name in layer.learned else ():
                    tensor = f"{name}.{state}"
                    given[f"{layer.name}/{tensor}"] = TensorInfo(shape, "weight", self._title(layer.name, tensor), True)
                for part in self.optimizer.whole if self.optimizer and name in layer.learned else ():
                    tensor = f"{name}.{part}"
                    given[f"{layer.name}/{tensor}"] = TensorInfo((), "gradient", self._title(layer.name, tensor), True)
            for name in layer.op.drawn:
                given[f"{layer.name}/{name}"] = TensorInfo(
                    self.locals[layer.name].shapes[name], "value", self._title(layer.name, name)
                )
        return given

    def _aliases(self) -> dict[str, str]:
        aliases = {}
        for name, local in self.locals.items():
            for tensor in (*local.program.given, *local.program.names):
                key = self.network.resolve(name, tensor)
                if key != (name, tensor):
                    aliases[f"{name}/{tensor}"] = "/".join(key)
        if self.network.resolve("input", "dy") != ("input", "dy"):
            aliases["input/dy"] = "/".join(self.network.resolve("input", "dy"))
        return aliases

    # phases ---------------------------------------------------------------------------------------------------------

    def _phases(self) -> Iterator[tuple[Phase, dict[str, TensorInfo]]]:
        """In the order of time, each with the tensors that lead to it."""
        layers = list(self.network.layers.values())
        for layer in layers:
            yield self._of_op(layer, "y", "forward")
        loss = self.network.loss
        for tensor in sorted(loss.op.results, key=lambda name: name == "y"):
            yield self._of_op(loss, tensor, "loss")
        yield self._of_op(loss, f"d{loss.op.inputs[0]}", "backward")
        for layer in reversed(layers):
            if self.network.resolve(layer.name, "dy") == (layer.name, "dy"):
                yield self._of_sum(layer.name)
            for tensor in layer.op.gradients:
                if tensor in self.locals[layer.name].program.names:
                    yield self._of_op(layer, tensor, "backward")
        if self.network.resolve("input", "dy") == ("input", "dy"):
            yield self._of_sum("input")
        for layer in layers if self.optimizer else ():
            for parameter in layer.parameters:
                if parameter in layer.learned:
                    yield self._of_update(layer, parameter)
                elif self.training:
                    yield self._of_op(layer, f"{parameter}_next", "update")

    def _of_op(self, layer: Layer, tensor: str, part: str) -> tuple[Phase, dict[str, TensorInfo]]:
        local = self.locals[layer.name]
        free, bound = local.program.letters(tensor)
        words = describe(self.ops[layer.name], tensor, local.counts(free), local.counts(bound))
        own = (*layer.op.results, *(f"d{name}" for name in local.shapes))
        return self._phase(local, tensor, part, self._label(layer, tensor, part), words, own, layer.op.is_view)

    def _of_update(self, layer: Layer, parameter: str) -> tuple[Phase, dict[str, TensorInfo]]:
        assert self.optimizer is not None
        local = update_program(layer, parameter, self.optimizer, 1)
        later = self.optimizer.numbers(2)
        changing = {name for name, value in local.numbers.items() if later[name] != value}
        local = replace(
            local, numbers={name: value for name, value in local.numbers.items() if name not in changing | {"lr"}}
        )
        words = self.optimizer.words.get("next", Words(""))
        return self._phase(local, f"{parameter}_next", "update", "update", words, (), False)

    def _of_sum(self, name: str) -> tuple[Phase, dict[str, TensorInfo]]:
        """The delta of a layer that several others read."""
        shape = (self.batch, *(self.network.input_shape if name == "input" else self.network.layers[name].shape))
        program, summands = sum_program(len(shape), len(self.network.consumers[name]))
        sources = dict(zip(summands, self.network.consumers[name], strict=True))
        local = Local(name, program, {}, {"dy": shape}, dict.fromkeys(summands, shape), {})
        words = Words("what every reader sends back is added up", "Each layer that read these values adds its delta.")
        return self._phase(
            local,
            "dy",
            "backward",
            f"{name} {DELTA}",
            words,
            (),
            False,
            lambda read: (sources[read][0], f"d{sources[read][1]}"),
        )

    def _phase(
        self,
        local: Local,
        tensor: str,
        part: str,
        label: str,
        words: Words,
        own: tuple[str, ...],
        view: bool,
        source: Callable[[str], tuple[str, str]] | None = None,
    ) -> tuple[Phase, dict[str, TensorInfo]]:
        program = local.program

        def place_of(name: str) -> str:
            key = source(name) if source else self.network.resolve(local.layer, local.public.get(name, name))
            return "/".join(key)

        def equation(name: str) -> Equation:
            return program.equation(name, local.numbers, local.outline.sizes)

        def kind(name: str) -> str:
            return "gradient" if source else self._kind(local, name)

        free, bound = program.letters(tensor)
        ungrouped = {letter for letter in free if local.numbers.get(letter.upper()) == 1}
        reads = tuple(
            PhaseRead(
                window.tensor,
                place_of(window.tensor),
                kind(window.tensor),
                window.role,
                window.joint,
                tuple(axis and _without(axis, ungrouped) for axis in window.axes),
                self._scatter(local, tensor, window.tensor) if window.role == "factor" and not view else None,
            )
            for window in program.windows(tensor, {**local.outline.sizes, **local.numbers})
        )
        leaned = _leads_to(local, tensor, stop=own)
        others = {
            place_of(name): TensorInfo(
                local.outline.shape(name),
                kind(name),
                self._title(local.layer, local.public.get(name, name)),
                self._whole(local.layer, local.public.get(name, name)),
            )
            for name in (*leaned, *(name for name in program.reads(tensor) if name in program.names))
        }
        phase = Phase(
            place=f"{local.layer}/{tensor}",
            layer=local.layer,
            tensor=tensor,
            part=part,
            label=label,
            head=words.head,
            note=words.note,
            kind=kind(tensor),
            shape=local.outline.shape(tensor),
            view=view,
            form=program.form(tensor),
            sentence=program.sentence(tensor),
            equation=equation(tensor),
            general=program.equation(tensor),
            bound=local.counts(bound),
            reads=reads,
            divisor=program.divisor(tensor, {**local.outline.sizes, **local.numbers}),
            free=local.counts(tuple(letter for letter in free if letter not in ungrouped)),
            steps=tuple((name, equation(name)) for name in leaned),
        )
        return phase, others

    def _scatter(self, local: Local, tensor: str, read: str) -> PhaseScatter | None:
        found = local.program.scatter(tensor, read, {**local.outline.sizes, **local.numbers})
        if found is None:
            return None
        ungrouped = {letter for letter in found.free if local.numbers.get(letter.upper()) == 1}

        def plain(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
            return tuple(_without(axis, ungrouped) for axis in axes)

        return PhaseScatter(
            local.counts(tuple(letter for letter in found.free if letter not in ungrouped)),
            local.counts(found.bound),
            plain(found.axes),
            plain(found.target),
            found.factor,
            plain(found.stamp),
        )

    def _kind(self, local: Local, name: str) -> str:
        layer = self.network.layer(local.layer) if local.layer != "input" else None
        public = local.public.get(name, name)
        if layer is not None and public.split(".")[0].removesuffix("_next") in layer.parameters:
            return "weight"
        if layer is not None and name in layer.op.indexes:
            return "index"
        is_gradient = name[:1] == "d" and name[1:] in (*local.program.given, *local.program.names, "y")
        return "gradient" if is_gradient or layer is None else "value"

    def _whole(self, layer: str, tensor: str) -> bool:
        if layer == "input" or tensor == "dy":
            return layer == "loss"
        return not counts_images(self.network.layer(layer), self.locals[layer].program, tensor)

    def _label(self, layer: Layer, tensor: str, part: str) -> str:
        """The short name on the timeline bar."""
        if part == "update":
            return "update"
        if tensor in layer.op.labels:
            return layer.op.labels[tensor]
        if part != "backward":
            return layer.name
        if tensor[1:] in layer.parameters:
            return tensor[1:]
        return f"{layer.name} {DELTA}" if layer.parameters else layer.name

    def _title(self, layer: str, tensor: str) -> str:
        """What a tensor is, as the card says it before the index."""
        if (layer, tensor) in TITLES:
            return TITLES[layer, tensor]
        if layer in ("input", "target"):
            return f"gradient of the loss for {layer}"
        found = self.network.layer(layer)
        base = tensor.split(".")[0].removesuffix("_next")
        if base in found.parameters:
            noun = NOUNS.get(base, base)
            if "." in tensor:
                state = tensor.split(".")[1]
                after = " after the update" if state.endswith("_next") else ""
                letter = state.removesuffix("_next")
                if letter in RULES:
                    return RULES[letter]
                return f"{(self.optimizer and self.optimizer.nouns.get(letter)) or letter} of {layer}’s {noun}{after}"
            return f"{noun} of {layer}" + (" after the update" if tensor.endswith("_next") else "")
        if tensor[:1] == "d" and tensor[1:] in found.parameters:
            noun = NOUNS.get(tensor[1:], tensor[1:])
            return f"gradient of the loss for {layer}’s {noun}"
        if tensor[:1] == "d" and tensor[1:] in found.op.inputs:
            return f"gradient of the loss for {self._seen(found.inputs[found.op.inputs.index(tensor[1:])])}"
        if tensor == "dy":
            return f"gradient of the loss for {self._seen(layer)}"
        if tensor == "y":
            return f"output of {layer}"
        words = found.op.words.get(tensor)
        return f"{tensor}: {words.head}" if words and "{" not in words.head else f"{tensor} of {layer}"

    def _seen(self, name: str) -> str:
        """The layer whose numbers a view shows under other indices: that is the one on the stage."""
        while name != "input" and (layer := self.network.layer(name)).op.is_view:
            name = layer.inputs[0]
        return name


class _Alone:
    """An op as the network that a composer reads: one layer, nothing before it and nothing behind."""

    def __init__(self, op: Op, shapes: Mapping[str, Shape], extents: Mapping[str, Shape]):
        outside = {*op.inputs, *op.drawn, "target", "dy"}
        self.given = {name: shape for name, shape in shapes.items() if name in outside}
        parameters = {name: shape for name, shape in shapes.items() if name not in outside}
        self.input_shape = tuple(shapes[op.inputs[0]][1:])
        self.inputs = dict.fromkeys(op.inputs, "input")
        self.loss = Layer(op.name, op, tuple(self.inputs.values()), tuple(extents["y"][1:]), parameters)
        self.layers: dict[str, Layer] = {}

    def layer(self, name: str) -> Layer:
        return self.loss

    def resolve(self, layer: str, tensor: str) -> tuple[str, str]:
        return ("input", tensor) if tensor in self.given or tensor == "dy" else (layer, tensor)


class _CallComposer(_Composer):
    def __init__(self, op: Op, shapes: Mapping[str, Shape], backward: bool):
        extents = op.extents(shapes)
        program = op.program(shapes)
        if backward:
            program = program.gradients(tuple(name[1:] for name in op.gradients if name[1:] in shapes))
        self.network = _Alone(op, shapes, extents)
        self.batch, self.optimizer, self.training, self.backward = 1, None, True, backward
        self.ops = {op.name: op}
        given = {**shapes, "dy": extents["y"]} if backward else shapes
        self.locals = {op.name: Local(op.name, program, op.numbers(shapes), extents, given, {})}

    def _layers(self) -> tuple[LayerInfo, ...]:
        layer = self.network.loss
        given = LayerInfo("input", "", "Input", (), self.network.input_shape, {}, False)
        return given, LayerInfo(
            layer.name, layer.op.name, layer.op.title, layer.inputs, layer.shape, dict(layer.parameters), False
        )

    def _given(self) -> dict[str, TensorInfo]:
        layer = self.network.loss
        (local,) = self.locals.values()
        made = {}
        for name, shape in local.shapes.items():
            spec = layer.op.tensors.get(name)
            title = spec.description if spec else "gradient of the loss for the result"
            learned = name in layer.parameters
            kind = "weight" if learned else self._kind(local, name)
            made["/".join(self.network.resolve(layer.name, name))] = TensorInfo(shape, kind, title, learned)
        return made

    def _aliases(self) -> dict[str, str]:
        (local,) = self.locals.values()
        outside = [name for name in local.shapes if self.network.resolve(local.layer, name)[0] == "input"]
        return {f"{local.layer}/{name}": f"input/{name}" for name in outside}

    def _phases(self) -> Iterator[tuple[Phase, dict[str, TensorInfo]]]:
        layer = self.network.loss
        (local,) = self.locals.values()
        for tensor in sorted(layer.op.results, key=lambda name: name == "y") if layer.op.is_loss else ("y",):
            yield self._of_op(layer, tensor, "loss" if layer.op.is_loss else "forward")
        for tensor in layer.op.gradients if self.backward else ():
            if tensor in local.program.names:
                yield self._of_op(layer, tensor, "backward")


NOUNS = {"w": "weight", "b": "bias", "running_mean": "running mean", "running_var": "running variance"}
TITLES = {
    ("input", "y"): "input",
    ("target", "y"): "target",
    ("loss", "y"): "loss",
    ("loss", "p"): "probability",
    ("loss", "t"): "target probability",
}


def _without(axis: Axis, letters: set[str]) -> Axis:
    return replace(axis, letters={letter: factor for letter, factor in axis.letters.items() if letter not in letters})


def _leads_to(local: Local, tensor: str, stop: tuple[str, ...]) -> list[str]:
    """The said names that a sentence leans on, in their order; those in `stop` are phases of their own."""
    program = local.program
    found: set[str] = set()
    waiting = [tensor]
    while waiting:
        reads = program.reads(waiting.pop())
        fresh = {name for name in reads if name in program.names and name not in found and name not in stop}
        found |= fresh
        waiting += fresh
    return [name for name in program.names if name in found and name != tensor]
