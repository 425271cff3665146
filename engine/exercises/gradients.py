"""The way back through a convolution: deltas, weights, biases."""

from __future__ import annotations

import numpy as np

from engine.exercises.answers import Array
from engine.exercises.forward import ACROSS, DOWN, KERNEL, SWAPPED, TURNED, image
from engine.exercises.item import Calculation, Draw, Hint, Item, Wrong, family, hints_of, told, written
from engine.ops import OPS

#: Where a weight's delta stands in dx's sentence, with the stride and without.
ROWS, COLUMNS = "(h+p-d*u)/s", "(k+q-e*v)/t"


def _delta(
    op_settings: dict[str, int], w: Array, dy: Array, size: tuple[int, int], row: int, column: int
) -> Calculation:
    op = OPS["conv2d"](**op_settings)
    return Calculation.of(op, {"x": np.zeros((1, 1, *size)), "w": w, "dy": dy}, "dx", 0, 0, row, column)


def _input_gradient(
    settings: dict[str, int], w: Array, dy: Array, size: tuple[int, int], row: int, column: int
) -> Item:
    dx = _delta(settings, w, dy, size, row, column)
    stride, padding = settings.get("stride", 1), settings.get("padding", 0)
    found = dx.explain()
    there = [term for term in found.terms if all(found.reads[k].inside for k in term.reads)]
    wrongs = [
        told("flip", dx.edited(KERNEL, TURNED)),
        told("mirrored", dx.edited(KERNEL, ACROSS)),
        told("mirrored", dx.edited(KERNEL, DOWN)),
    ]
    if len(there) > 1:  # a corner cannot show it: one weight alone counts there
        wrongs.append(told("transposed", dx.edited(KERNEL, SWAPPED)))
    if row != column:
        wrongs.append(told("place_swapped", dx.at(0, 0, column, row)))
    if len(there) > 1:
        wrongs.append(Wrong("one_product", there[0].value))
    if stride == 1 and padding == 0:
        wrongs.append(told("padding", _unpadded(dx), "At the rim some outputs do not exist. What stands for them?"))
    if padding:
        wrongs.append(
            told("padding", dx.under(p=0, q=0), "Count rows of the image, not of its frame. Where does the padding go?")
        )
    if stride > 1:
        words = "Neighbouring deltas came from windows a stride apart. What lies between them?"
        wrongs.append(told("stride", dx.under(s=1, t=1), words))
    means = f"with stride {stride}" if stride > 1 else f"with padding {padding}" if padding else "without padding"
    first = "Which outputs read this pixel, and through which weight did each of them?"
    return Item(
        f"A convolution {means} has the kernel w, and δ has arrived at its output. What is the gradient of the input "
        f"in row {row}, column {column}?",
        dx.value,
        tuple(wrongs),
        hints_of(first, dx),
        op="conv2d",
        settings=settings,
        tensors={"w": w, "dy": dy},
        calculation=dx,
        shape=size,
    )


def _unpadded(dx: Calculation) -> Calculation:
    """The turned kernel's window begins at δ[h,k]: nothing stands around δ."""
    moved = dx.edited(ROWS, "(h+p-d*u)/s+U-1")
    return moved.edited(COLUMNS, "(k+q-e*v)/t+V-1")


@family(
    "input_gradient",
    "The gradient of one input",
    "number",
    10,
    lambda: _input_gradient({}, image("1 2/-1 3"), image("-3 -1 -2/-3 3 -3/0 2 1"), (4, 4), 1, 2),
)
def input_gradient(draw: Draw) -> Item:
    """At a corner, at an edge or inside."""
    padding = draw.integer(0, 1)
    kernel, out = (3, 4) if padding else (2, 3)
    row, column = draw.integer(0, 3), draw.integer(0, 3)
    settings = {"padding": padding} if padding else {}
    return _input_gradient(settings, draw.array(1, 1, kernel, kernel), draw.array(1, 1, out, out), (4, 4), row, column)


@family(
    "strided_gradient",
    "The gradient of one input, with a stride",
    "number",
    11,
    lambda: _input_gradient(
        {"stride": 2}, image("3 -2 3/2 -3 3/2 -3 -3"), image("2 3 -1/-2 -3 -1/-2 -3 -3"), (7, 7), 2, 4
    ),
)
def strided_gradient(draw: Draw) -> Item:
    row, column = draw.one([(2, 4), (4, 2), (2, 2), (4, 4), (0, 2), (2, 0), (2, 6), (6, 4)])
    return _input_gradient({"stride": 2}, draw.array(1, 1, 3, 3), draw.array(1, 1, 3, 3), (7, 7), row, column)


def _weights(x: Array, dy: Array) -> Calculation:
    size = [have - of + 1 for have, of in zip(x.shape[2:], dy.shape[2:], strict=True)]
    return Calculation.of(OPS["conv2d"](), {"x": x, "w": np.zeros((1, 1, *size)), "dy": dy}, "dw")


DELTA = "dy[n,g|o,i,j]"


def _kernel_gradient(x: Array, dy: Array) -> Item:
    dw = _weights(x, dy)
    right, count = dw.tensor[0, 0], float(dy[0, 0].size)
    turned = dw.edited(DELTA, "dy[n,g|o,I-1-i,J-1-j]").tensor[0, 0]
    wrongs = [
        Wrong("flip", turned, "Here nothing turns: δ lies over x as it is. Which pixel did this weight meet first?"),
        Wrong("transposed", right.T),
        Wrong("mean_not_sum", right / count, "One weight hears from all its outputs. Does anything divide here?"),
        Wrong("sign", -right),
    ]
    return Item(
        "δ has arrived at the output of a convolution without padding. Write the gradient of its kernel.",
        right,
        tuple(wrongs),
        hints_of("The weight in row 0, column 0 met which pixels of x?", dw.at(0, 0, 0, 0)),
        op="conv2d",
        tensors={"x": x, "dy": dy},
        calculation=dw.at(0, 0, 0, 0),
        shape=right.shape,
    )


@family(
    "kernel_gradient",
    "The gradient of a kernel",
    "grid",
    9,
    lambda: _kernel_gradient(image("4 3 3/1 3 4/0 2 1"), image("-3 -3/-2 -2")),
)
def kernel_gradient(draw: Draw) -> Item:
    return _kernel_gradient(draw.array(1, 1, 3, 3, low=0, high=4), draw.array(1, 1, 2, 2))


@family("weight_gradient", "The gradient of one weight", "number", 9)
def weight_gradient(draw: Draw) -> Item:
    x, dy = draw.array(1, 1, 4, 4, low=0, high=4), draw.array(1, 1, 2, 2)
    row, column = draw.one([(0, 1), (1, 0), (1, 2), (2, 1), (2, 0), (0, 2)])
    dw = _weights(x, dy).at(0, 0, row, column)
    terms = dw.explain().terms
    return Item(
        f"δ has arrived at the output of a convolution without padding, whose kernel is 3 × 3. What is the gradient of "
        f"the weight in row {row}, column {column}?",
        dw.value,
        (
            told(
                "flip", dw.edited(DELTA, "dy[n,g|o,I-1-i,J-1-j]"), "δ lies over x as it is. Which pixel meets which δ?"
            ),
            told("transposed", dw.edited(DELTA, "dy[n,g|o,j,i]")),
            told("mirrored", dw.edited(DELTA, "dy[n,g|o,I-1-i,j]")),
            told("mirrored", dw.edited(DELTA, "dy[n,g|o,i,J-1-j]")),
            told("place_swapped", dw.at(0, 0, column, row)),
            told("dy_ignored", dw.edited(f"{DELTA} * ", "")),
            Wrong("mean_not_sum", dw.value / dy.size, "Does anything divide here?"),
            Wrong("one_product", terms[0].value),
        ),
        hints_of("Which pixel did this weight meet in the first output?", dw),
        op="conv2d",
        tensors={"x": x, "dy": dy},
        calculation=dw,
    )


@family("bias_gradient", "The gradient of a bias", "number", 9)
def bias_gradient(draw: Draw) -> Item:
    dy = draw.array(2, 2, 2, 2)
    x, w = np.zeros((2, 1, 3, 3)), np.zeros((2, 1, 2, 2))
    o = draw.integer(0, 1)
    db = Calculation.of(OPS["conv2d"](), {"x": x, "w": w, "b": np.zeros(2), "dy": dy}, "db", o)
    return Item(
        f"δ of a batch of two images has arrived at a convolution of two kernels. What is the gradient of the bias of "
        f"kernel {o}?",
        db.value,
        (
            Wrong("mean_not_sum", db.value / 2, "A mean loss has divided already, and it stands in δ."),
            Wrong("mean_not_sum", db.value / 8),
            told("overwritten", db.reading(dy=dy * np.array([1.0, 0]).reshape(2, 1, 1, 1)), "A batch has more images."),
            told("exchanged", db.at(1 - o), "Whose deltas are these? Each kernel has a map of its own."),
            Wrong("not_summed", float(dy.sum()), "Each kernel has a bias of its own."),
            Wrong("dy_ignored", 8.0),
        ),
        hints_of("Which outputs was this bias added to?", db),
        op="conv2d",
        tensors={"dy": dy},
        calculation=db,
    )


@family("inserted_zeros", "Zeros between the deltas", "grid", 11)
def inserted_zeros(draw: Draw) -> Item:
    stride = draw.integer(2, 3)
    dy = draw.array(2, 2, low=1, high=9)
    side = stride + 1
    right = np.zeros((side, side))
    right[::stride, ::stride] = dy
    packed, gathered = np.zeros((side, side)), np.zeros((side, side))
    packed[:2, :2] = dy
    gathered[-2:, -2:] = dy
    repeated = np.repeat(np.repeat(dy, stride, 0), stride, 1)[:side, :side]
    return Item(
        f"A convolution has stride {stride}. On the way back zeros go between its deltas, so that each stands where "
        f"its window began. Write δ spread out over {side} × {side} cells, without the rings around it.",
        right,
        (
            Wrong("stride", packed, "Neighbouring deltas came from windows a stride apart."),
            Wrong("stride", gathered, "The first window began at the first row."),
            Wrong("scale", repeated, "Each delta came from one window. Between two windows nothing began."),
            Wrong("transposed", right.T),
        ),
        (
            Hint("In which row did the second window begin?", ("dy/1,0",)),
            Hint(f"Between two neighbouring deltas lie {stride} − 1 rows and columns of zeros."),
            Hint(f"The first delta, {written(dy[0, 0])}, stays in row 0, column 0."),
        ),
        settings={"stride": stride},
        tensors={"dy": dy},
        shape=right.shape,
        solution=f"Window (i, j) began in row {stride}·i, column {stride}·j; there stands its delta.",
    )
