"""The one contract of an op: a sentence, settings, shapes, kernels, words.

A new op is one new file in this folder. The same class answers a stand-alone call (tensors given) and is a network's
layer (parameters drawn from `layer_settings`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from engine.formula import Program, Tensors
from engine.settings import Setting, read_settings

Array = np.ndarray
Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

#: What reading or writing a tensor's element takes at most, functions such as exp included, in multiply-adds.
ELEMENT_WORK = 20


class ShapeError(ValueError):
    """Shapes that do not fit together; the message says what was expected and what was got."""


@dataclass(frozen=True)
class TensorSpec:
    """A tensor that an op is given: what it is, and whether it may be left out."""

    description: str
    optional: bool = False


@dataclass(frozen=True)
class Words:
    """What a tensor is, in one short sentence for the step view's head and one or two for the card.

    ``{c}`` stands for how many the letter c counts, ``{window}`` for the cells of a window, ``{terms}`` for the
    terms of one element, ``{c:maps}`` for the count with its noun; a capital first letter starts a sentence. Small
    counts are spelled out.
    """

    head: str
    note: str = ""


class Op:
    name: ClassVar[str]
    title: ClassVar[str]
    settings: ClassVar[dict[str, Setting]] = {}
    tensors: ClassVar[dict[str, TensorSpec]] = {"x": TensorSpec("the input, any shape")}
    inputs: tuple[str, ...] = ("x",)  # the tensors that a network's layer reads from others
    results: ClassVar[tuple[str, ...]] = ("y",)
    gradients: ClassVar[tuple[str, ...]] = ("dx",)
    saved: ClassVar[tuple[str, ...]] = ()  # what forward keeps for backward: results or intermediates
    buffers: ClassVar[tuple[str, ...]] = ()  # parameters that are not learned: forward leaves "<name>_next"
    indexes: ClassVar[tuple[str, ...]] = ()  # results that hold positions, not values
    drawn: ClassVar[tuple[str, ...]] = ()  # random tensors that a network draws for its layer
    layer_settings: ClassVar[dict[str, Setting]] = {}
    torch_names: ClassVar[dict[str, str]] = {"weight": "w", "bias": "b"}
    torch_only: ClassVar[tuple[str, ...]] = ()  # what PyTorch's layer keeps besides, of no use here
    torch: ClassVar[str] = ""  # how PyTorch writes it: settings and inputs by name, `{self}` is the module
    words: ClassVar[dict[str, Words]] = {}
    labels: ClassVar[
        dict[str, str]
    ] = {}  # names of phases on the timeline bar, where the layer's own name would mislead
    is_loss: ClassVar[bool] = False
    is_view: ClassVar[bool] = False  # y has x's numbers under other indices
    example_settings: ClassVar[dict[str, Any]] = {}
    example_shapes: ClassVar[dict[str, Shape]] = {"x": (1, 2, 4, 4)}

    def __init__(self, /, **settings: Any):
        self.options = read_settings(self.settings, settings)

    @classmethod
    def as_layer(cls, /, **settings: Any) -> Op:
        """The op as a network's layer: settings such as `out` and `kernel_size` stand in for the weights."""
        values = read_settings({**cls.layer_settings, **cls.settings}, settings)
        op = cls(**{name: settings[name] for name in settings if name in cls.settings})
        op.options.update(values)
        return op

    # sentence -------------------------------------------------------------------------------------------------------

    def program(self, shapes: Shapes) -> Program:
        """The sentences for tensors of these shapes; a loss leaves ``dy`` out (1) unless it is among them."""
        raise NotImplementedError

    def numbers(self, shapes: Shapes) -> dict[str, float]:
        """The numbers that the sentences name, and the capitals that no shape gives."""
        return {}

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        """The shapes of the results, or ShapeError."""
        return {"y": shapes["x"]}

    # kernels --------------------------------------------------------------------------------------------------------

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Every result, in the dtype of x, and named intermediates that are worth keeping."""
        raise NotImplementedError

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        """The gradients named in `wrt` (all that the given tensors allow, by default).

        `tensors` holds the inputs, the results of forward and ``dy``.
        """
        raise NotImplementedError

    def wanted(self, tensors: Mapping[str, Any], wrt: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """The gradients to compute: those asked for whose tensor is given. The loops trust dy to be shaped as y."""
        if "y" in tensors and "dy" in tensors and np.shape(tensors["dy"]) != np.shape(tensors["y"]):
            raise ShapeError(
                f"dy has shape {list(np.shape(tensors['dy']))}, expected that of y, {list(np.shape(tensors['y']))}"
            )
        return tuple(name for name in self.gradients if name[1:] in tensors and (wrt is None or name in wrt))

    # as a layer -----------------------------------------------------------------------------------------------------

    def parameters(self, shapes: Shapes) -> dict[str, Shape]:
        """The shapes of the layer's parameters for these inputs."""
        return {}

    def initial(self, name: str, shapes: Shapes, rng: np.random.Generator) -> Array:
        """A parameter's first value, float64; `shapes` holds those of all the layer's parameters."""
        raise NotImplementedError

    def origin(self, name: str, shapes: Shapes, seed: int) -> str:
        """Where a parameter's first value came from, in words."""
        raise NotImplementedError

    def draw(self, shapes: Shapes, rng: np.random.Generator | None) -> dict[str, Array]:
        """The layer's random tensors for one training pass; without a generator, what takes their place at rest."""
        return {}

    def reading(self, count: int) -> Op:
        """The op for a layer that reads so many others; ShapeError when it cannot."""
        if count != len(self.inputs):
            raise ShapeError(f"expected {len(self.inputs)} names of layers")
        return self

    def inference(self) -> Op:
        """The op as it works when nothing is learned."""
        return self

    def check_fit(self, shapes: Shapes) -> None:
        """Refuse, in a network, what a stand-alone call would round down."""

    def torch_module(self, shapes: Shapes) -> str:
        """What holds the layer's parameters in PyTorch, as "nn.Linear(400, 10)"; "" where it has none."""
        return ""

    def torch_call(self, shapes: Shapes, names: Mapping[str, str]) -> str:
        """The layer in PyTorch, applied to inputs of these names; "" where PyTorch has nothing like it."""
        return self.torch.format(**{**self.options, **names})

    def arithmetic(self, shapes: Shapes) -> str:
        """How the output's size comes about, with its numbers; "" where there is nothing to reckon."""
        return ""

    def multiply_adds(self, shapes: Shapes) -> int:
        """Multiplications with an addition in one forward pass."""
        return 0

    def work(self, shapes: Shapes) -> float:
        """What a forward pass takes at most, in multiply-adds of a long loop (about a nanosecond each): for limits."""
        elements = sum(math.prod(shape) for shape in (*shapes.values(), *self.extents(shapes).values()))
        return float(self.multiply_adds(shapes) + ELEMENT_WORK * elements)

    def scratch(self, shapes: Shapes) -> int:
        """Elements of the largest array that the kernels make for themselves."""
        return 0

    def answer(self, x: Array) -> Array:
        """A loss's reading of the network's last layer: its prediction."""
        return x

    def check_target(self, x: Shape, target: Array) -> None:
        """Refuse, in a loss, targets that cannot be meant for a last layer of this shape."""
        self.extents({"x": x, "target": target.shape})

    def averaged(self, target: Array) -> int | None:
        """Over how many targets a loss is the mean; None where it is a sum."""
        raise NotImplementedError

    def target_shape(self, x: Shape) -> Shape:
        """A loss's usual target for a last layer of this shape."""
        return x

    # words ----------------------------------------------------------------------------------------------------------

    def wording(self, tensor: str, counts: Mapping[str, int]) -> str:
        """The key of `words` for this tensor when letters count so many."""
        return tensor

    def told(self, counts: Mapping[str, int]) -> Mapping[str, int]:
        """Counts that the words name and that no letter counts."""
        return {}

    @classmethod
    def example(cls, rng: np.random.Generator) -> dict[str, Array]:
        """Small tensors with which a call succeeds, float64."""
        return {name: np.round(rng.uniform(-1, 1, shape), 2) for name, shape in cls.example_shapes.items()}


SPELLED = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
).split()


class Count(int):
    """A count as words write it: "{u}" is nine, "{o:maps}" is one map or sixteen maps."""

    def __format__(self, noun: str) -> str:
        spelled = SPELLED[self] if self < len(SPELLED) else str(int(self))
        return f"{spelled} {noun.removesuffix('s') if self == 1 else noun}" if noun else spelled


class FirstCount(Count):
    """The same at the start of a sentence."""

    def __format__(self, noun: str) -> str:
        return super().__format__(noun).capitalize()


def describe(op: Op, tensor: str, free: Mapping[str, int], bound: Mapping[str, int]) -> Words:
    """The op's words for one tensor, with the counts put in."""
    counts = {**free, **bound}
    chosen = op.words.get(op.wording(tensor, counts), Words(""))
    terms = math.prod(bound.values())
    counts |= {"terms": terms, "each": terms // bound.get("n", 1), "window": counts.get("u", 1) * counts.get("v", 1)}
    counts |= op.told(counts)
    names: dict[str, Count] = {name: Count(count) for name, count in counts.items()}
    names |= {name.capitalize(): FirstCount(count) for name, count in counts.items()}
    return Words(chosen.head.format_map(names), chosen.note.format_map(names))


LETTERS = "ncijklabdfghoqrsuv"


def letters(rank: int) -> str:
    """The index of a tensor of any rank: "" or "[n,c,i,j]"."""
    if rank > len(LETTERS):
        raise ShapeError(f"x has {rank} axes; at most {len(LETTERS)} are taken")
    return f"[{','.join(LETTERS[:rank])}]" if rank else ""


def shapes_of(tensors: Mapping[str, Array]) -> dict[str, Shape]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def outline(program: Program, shapes: Shapes, numbers: Mapping[str, float], extents: Shapes) -> Tensors:
    """A program's tensors without values: shapes and counts only."""
    empty = {name: np.broadcast_to(np.float64(0), shape) for name, shape in shapes.items()}
    return Tensors(program, empty, numbers, extents)


def need_rank(shapes: Shapes, name: str, rank: int, axes: str) -> Shape:
    shape = shapes[name]
    if len(shape) != rank:
        raise ShapeError(f"{name} has {len(shape)} axes {list(shape)}, expected {rank}: {axes}")
    if 0 in shape:
        raise ShapeError(f"{name} is empty: {list(shape)}")
    return shape
