"""The way forward: one output of a convolution."""

from __future__ import annotations

import numpy as np

from engine.exercises.answers import Array
from engine.exercises.item import Calculation, Draw, Hint, Item, Wrong, family, hints_of, told, written
from engine.ops import OPS

KERNEL = "w[g|o,c,u,v]"
TURNED, DOWN, ACROSS, SWAPPED = (
    "w[g|o,c,U-1-u,V-1-v]",
    "w[g|o,c,U-1-u,v]",
    "w[g|o,c,u,V-1-v]",
    "w[g|o,c,v,u]",
)


def image(rows: str) -> Array:
    """One image with one channel, ``1 2/3 4``, or several channels with ; between."""
    channels = [[list(map(float, row.split())) for row in channel.split("/")] for channel in rows.split(";")]
    return np.array([channels])


def _cell(x: Array, w: Array, b: float) -> Item:
    op = OPS["conv2d"]()
    y = Calculation.of(op, {"x": x, "w": w, "b": np.array([b])}, "y", 0, 0, 0, 0)
    return Item(
        "One output of a convolution (a cross-correlation, as networks compute it): what is y?",
        y.value,
        (
            told("no_bias", y.edited(" + b[g|o]", "")),
            told(
                "flip",
                y.edited(KERNEL, TURNED),
                "A network's kernel lies as it is. Which weight meets the first pixel?",
            ),
            told("transposed", y.edited(KERNEL, SWAPPED)),
            told("mirrored", y.edited(KERNEL, ACROSS), "The kernel lies left to right as it is written."),
            told("mirrored", y.edited(KERNEL, DOWN), "The kernel lies top to bottom as it is written."),
        ),
        hints_of("Which weight meets the pixel in the top left corner?", y),
        op=op.name,
        tensors=y.arrays,
        calculation=y,
    )


@family(
    "forward_cell",
    "One output of a convolution",
    "number",
    1,
    lambda: _cell(image("1 3 1/2 1 0/3 0 0"), image("0 2 0/-2 2 2/0 -1 -2"), -3),
)
def forward_cell(draw: Draw) -> Item:
    return _cell(draw.array(1, 1, 3, 3, low=0), draw.array(1, 1, 3, 3), draw.one([-3, -2, -1, 1, 2, 3]))


def _true(x: Array, w: Array, row: int, column: int) -> Item:
    settings = {"padding": 1, "flip_kernel": True}
    y = Calculation.of(OPS["conv2d"](**settings), {"x": x, "w": w}, "y", 0, 0, row, column)
    return Item(
        f"A true convolution turns the kernel by 180° first. With padding 1, what is S({row}, {column})?",
        y.value,
        (
            told("flip", y.edited(TURNED, KERNEL), "A true convolution turns the kernel first."),
            told("mirrored", y.edited(TURNED, ACROSS)),
            told("mirrored", y.edited(TURNED, DOWN)),
            told("place_swapped", y.at(0, 0, column, row)),
        ),
        hints_of("Turned by 180°, which weight lies in the top left corner?", y),
        op="conv2d",
        settings=settings,
        tensors=y.arrays,
        calculation=y,
    )


@family(
    "true_convolution",
    "One output of a true convolution",
    "number",
    2,
    lambda: _true(image("1 2 3/4 5 6/7 8 9"), image("-1 -2 -1/0 0 0/1 2 1"), 0, 1),
)
def true_convolution(draw: Draw) -> Item:
    row, column = draw.one([(0, 1), (1, 0), (1, 2), (2, 1)])
    return _true(draw.array(1, 1, 3, 3, low=0, high=5), draw.array(1, 1, 3, 3), row, column)


def _channels(x: Array, w: Array, b: float, settings: dict[str, int], row: int, column: int) -> Item:
    y = Calculation.of(OPS["conv2d"](**settings), {"x": x, "w": w, "b": np.array([b])}, "y", 0, 0, row, column)
    count = x.shape[1]
    alone = [y.reading(x=x * (np.arange(count) == c)[:, None, None]) for c in range(count)]
    per_channel = y.edited(" + b[g|o]", f" + {count}*b[g|o]")
    wrongs = [
        told("channels_not_summed", alone[0]),
        told("no_bias", y.edited(" + b[g|o]", "")),
        told("bias_per_channel", per_channel),
        told("flip", y.edited(KERNEL, TURNED), "A network's kernel lies as it is. Which weight meets the first pixel?"),
    ]
    if row != column:
        wrongs.append(told("place_swapped", y.at(0, 0, column, row)))
    return Item(
        f"A kernel reads {count} channels with padding {settings['padding']} and stride {settings['stride']}. "
        f"What is y in row {row}, column {column}?",
        y.value,
        tuple(wrongs),
        hints_of("Where does this window begin? Count the padding and the stride.", y),
        op="conv2d",
        settings=settings,
        tensors=y.arrays,
        calculation=y,
    )


#: Rossi's example: a padded image of three channels, two kernels, stride 2; his first kernel.
COLOURS = image(
    "2 0 0 0 0/2 2 2 1 0/2 1 1 2 2/1 1 1 2 2/0 0 1 0 0;"
    "1 1 1 2 1/1 2 1 0 0/1 2 0 2 1/2 0 1 1 1/1 1 1 2 2;"
    "0 0 0 2 0/2 1 1 1 2/1 1 2 0 2/1 2 1 2 0/0 0 0 2 1"
)
FILTER = image("1 -1 0/1 1 1/0 1 1;1 1 0/-1 -1 1/1 -1 -1;1 -1 1/-1 0 1/1 1 1")


@family(
    "channels",
    "One output of several channels",
    "number",
    4,
    lambda: _channels(COLOURS, FILTER, 1, {"padding": 1, "stride": 2}, 2, 0),
)
def channels(draw: Draw) -> Item:
    x, w = draw.array(1, 3, 5, 5, low=0, high=2), draw.array(1, 3, 3, 3, low=-1, high=1)
    row, column = draw.one([(0, 0), (0, 1), (1, 0), (1, 2), (2, 1), (0, 2), (2, 0), (2, 2)])
    return _channels(x, w, draw.one([-2, -1, 1, 2]), {"padding": 1, "stride": 2}, row, column)


@family("shift_input", "Shift the input by one", "number", 5)
def shift_input(draw: Draw) -> Item:
    """Equivariance: the output moves as the input does."""
    down, right, words = draw.one([(0, 1, "one column to the right"), (1, 0, "one row down")])
    x, w = draw.array(1, 1, 6, 6, low=0), draw.array(1, 1, 2, 2)
    op = OPS["conv2d"]()
    y = Calculation.of(op, {"x": x, "w": w}, "y").tensor
    row, column = draw.one([(1, 2), (2, 1), (2, 3), (3, 2)])
    wrongs = [
        Wrong("not_moved", float(y[0, 0, row, column])),
        Wrong("other_way", float(y[0, 0, row + down, column + right])),
        Wrong("place_swapped", float(y[0, 0, row - right, column - down])),
    ]
    return Item(
        f"This y came from an input x. Now x moves {words}, and nothing else changes. What does y hold then in row "
        f"{row}, column {column}?",
        float(y[0, 0, row - down, column - right]),
        tuple(wrongs),
        hints_of(
            "The same kernel meets the same pixels one place further on. Which cell of y was made of them before?",
            Calculation.of(op, {"x": np.roll(x, (down, right), (2, 3)), "w": w}, "y", 0, 0, row, column),
        ),
        op=op.name,
        tensors={"y": y},
        solution=f"y moves with x: what stood in row {row - down}, column {column - right} is now in row {row}, "
        f"column {column}.",
    )


def _described(weights: list[tuple[int, int, int]]) -> str:
    """What a kernel does, in words, by (row, column, weight)."""
    names = {
        (0, 0): "its upper left neighbour", (0, 1): "its upper neighbour", (0, 2): "its upper right neighbour",
        (1, 0): "its left neighbour", (1, 1): "the pixel itself", (1, 2): "its right neighbour",
        (2, 0): "its lower left neighbour", (2, 1): "its lower neighbour", (2, 2): "its lower right neighbour",
    }  # fmt: skip
    return " plus ".join(f"{written(weight)} times {names[row, column]}" for row, column, weight in weights)


@family("design_kernel", "Design a kernel", "grid", 1)
def design_kernel(draw: Draw) -> Item:
    places = [(row, column) for row in range(3) for column in range(3)]
    chosen = draw.shuffled(places)[: draw.integer(2, 3)]
    weights = [(*place, draw.one([-3, -2, 2, 3, 4])) for place in sorted(chosen)]
    kernel = np.zeros((3, 3))
    for row, column, weight in weights:
        kernel[row, column] = weight
    wrongs = [
        Wrong("flip", kernel[::-1, ::-1], "The weight for the right neighbour stands at the right."),
        Wrong("transposed", kernel.T),
        Wrong("mirrored", kernel[::-1]),
        Wrong("mirrored", kernel[:, ::-1]),
        Wrong("sign", -kernel, "A positive weight adds the pixel."),
    ]
    row, column, weight = weights[0]
    return Item(
        f"Write a 3 × 3 kernel (padding 1, not turned) whose output at every pixel is {_described(weights)}.",
        kernel,
        tuple(wrongs),
        (
            Hint("The middle weight meets the pixel itself. Which weight meets the pixel above it?"),
            Hint(f"{len(weights)} of the nine weights are not 0."),
            Hint(f"The weight in row {row}, column {column} is {written(weight)}."),
        ),
        shape=(3, 3),
        solution="Each weight stands where the pixel lies that it is for, seen from the middle.",
    )
