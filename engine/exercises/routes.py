"""Where deltas go: pools, gates and masks."""

from __future__ import annotations

import numpy as np

from engine.exercises.answers import Array
from engine.exercises.forward import image
from engine.exercises.item import Calculation, Draw, Hint, Item, Wrong, family, hints_of, table, told, written
from engine.ops import OPS

HEARD = "[n,c,(h+p-d*u)/s,(k+q-e*v)/t]"
WON = f"indices{HEARD} == h*K + k"


def _last(dx: Calculation) -> Calculation:
    """With the windows searched backwards: the last winner of a tie."""
    return dx.edited("d*u", "d*(U-1-u)", "indices").edited("e*v", "e*(V-1-v)", "indices")


def _max_route(x: Array, dy: Array, kernel: int, stride: int) -> Item:
    op = OPS["max_pool2d"](kernel_size=kernel, stride=stride)
    dx = Calculation.of(op, {"x": x, "dy": dy}, "dx")
    kinds = [
        ("tie_to_all", dx.edited(WON, f"y{HEARD} == x[n,c,h,k]")),
        ("other_winner", _last(dx)),
        ("other_winner", dx.edited("x[n,c", "-x[n,c", "indices")),
        ("winner_ignored", dx.edited(f" * ({WON})", "")),
        ("winner_ignored", dx.edited(f" * ({WON})", " / (U*V)")),
    ]
    words = {1: "In a tie the first in reading order wins."}
    wrongs = [Wrong(name, each.tensor[0, 0], words.get(k, "")) for k, (name, each) in enumerate(kinds)]
    if stride < kernel:
        wrongs.append(Wrong("overwritten", _overwritten(dx, kernel, stride), "A pixel may win in several windows."))
    first = written(dy[0, 0, 0, 0])
    window = "rows " + " and ".join(map(str, range(kernel))) if kernel == 2 else f"rows 0 to {kernel - 1}"
    return Item(
        f"A max pool has windows of {kernel} × {kernel} and stride {stride}; in a tie the first in reading order wins. "
        "δ has arrived at its output. Write the gradient of its input.",
        dx.tensor[0, 0],
        tuple(wrongs),
        (
            Hint("Which value of each window went forward?", ("dy/0,0,0,0",)),
            Hint(f"The first window reads {window} and as many columns. Its largest value takes all of {first}."),
            Hint(f"The largest value of the first window is {written(x[0, 0, :kernel, :kernel].max())}."),
        ),
        op=op.name,
        settings={"kernel_size": kernel, "stride": stride},
        tensors={"x": x, "dy": dy},
        shape=x.shape[2:],
        solution="Each delta goes to the winner of its window, and every other cell of it gets 0.",
    )


def _overwritten(dx: Calculation, kernel: int, stride: int) -> Array:
    """What remains where each window writes = in place of +=."""
    x, dy = dx.arrays["x"][0, 0], dx.arrays["dy"][0, 0]
    left = np.zeros_like(x)
    for i, j in np.ndindex(dy.shape):
        window = x[stride * i :, stride * j :][:kernel, :kernel]
        row, column = np.unravel_index(window.argmax(), window.shape)
        left[stride * i + row, stride * j + column] = dy[i, j]
    return left


@family(
    "max_route",
    "Where a max pool sends the delta",
    "grid",
    6,
    lambda: _max_route(image("1 5 2 2/3 0 2 1/4 1 0 6/2 4 3 1"), image("3 -1/2 -4"), 2, 2),
)
def max_route(draw: Draw) -> Item:
    """With ties, and half of the time with windows that overlap."""
    size, kernel, stride = draw.one([(4, 2, 2), (3, 2, 1)])
    dy = np.array([[[[float(draw.one([-4, -3, -2, -1, 1, 2, 3, 4])) for _ in range(2)] for _ in range(2)]]])
    return _max_route(draw.array(1, 1, size, size, low=0, high=5), dy, kernel, stride)


@family("winner", "Which cell wins?", "cell", 6)
def winner(draw: Draw) -> Item:
    x = draw.array(1, 1, 5, 5, low=0, high=6)
    i, j = draw.one([(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)])
    op = OPS["max_pool2d"](kernel_size=3, stride=1)
    indices = Calculation.of(op, {"x": x}, "indices", 0, 0, i, j)

    def place(each: Calculation) -> tuple[int, int]:
        row, column = divmod(int(each.value), 5)
        return row, column

    last = indices.edited("d*u", "d*(U-1-u)").edited("e*v", "e*(V-1-v)")
    row, column = np.unravel_index(x[0, 0].argmax(), (5, 5))
    right = place(indices)
    return Item(
        f"A max pool has windows of 3 × 3 and stride 1. Which cell of x takes the delta of the output in row {i}, "
        f"column {j}? In a tie the first in reading order wins.",
        right,
        (
            Wrong("other_winner", place(last), "In a tie the first in reading order wins."),
            Wrong("other_winner", place(indices.edited("x[n,c", "-x[n,c")), "A max pool hands on the largest value."),
            Wrong("place_swapped", place(indices.at(0, 0, j, i))),
            Wrong("fixed_corner", (i, j)),
            Wrong("exchanged", (int(row), int(column)), "Does this window read that cell?"),
        ),
        (
            Hint(
                "Which nine cells does this window read?", tuple(f"x/0,0,{i + u},{j + v}" for u, v in ((0, 0), (2, 2)))
            ),
            Hint(f"It reads {table(x[0, 0, i : i + 3, j : j + 3])}."),
            Hint(f"The largest of them is {written(x[0, 0, i : i + 3, j : j + 3].max())}. Take the first one."),
        ),
        op=op.name,
        settings={"kernel_size": 3, "stride": 1},
        tensors={"x": x},
        shape=(5, 5),
        solution=f"Row {right[0]}, column {right[1]} holds the largest value of the window, and it is the first to.",
    )


@family("average_route", "What an average pool sends back", "number", 6)
def average_route(draw: Draw) -> Item:
    stride = draw.integer(1, 2)
    out = 3 if stride == 1 else 2
    dy = draw.array(1, 1, out, out, low=-6, high=6)
    row, column = draw.one([(0, 1), (1, 2), (2, 1), (1, 0), (2, 3), (3, 2)])
    op = OPS["avg_pool2d"](kernel_size=2, stride=stride)
    dx = Calculation.of(op, {"x": np.zeros((1, 1, 4, 4)), "dy": dy}, "dx", 0, 0, row, column)
    terms = [term for term in dx.explain().terms if term.value]
    wrongs = [
        told("sum_not_mean", dx.edited(" / (U*V)", ""), "Each of four made a quarter of the output."),
        told("mean_not_sum", dx.edited("(U*V)", "(U*V*U*V)"), "A quarter, once."),
        told("constant_lost", dx.edited("(U*V)", "U"), "How many cells has a window?"),
        Wrong("sign", -dx.value, "A mean rises when any of its numbers rises."),
    ]
    if len(terms) > 1:
        wrongs.append(Wrong("one_product", terms[0].value))
    if stride == 1:
        wrongs.append(told("place_swapped", dx.at(0, 0, column, row)))
    return Item(
        f"An average pool has windows of 2 × 2 and stride {stride}. δ has arrived at its output. What is the "
        "gradient of "
        f"its input in row {row}, column {column}?",
        dx.value,
        tuple(wrongs),
        hints_of("Which windows read this cell, and what part of each output did it make?", dx),
        op=op.name,
        settings={"kernel_size": 2, "stride": stride},
        tensors={"dy": dy},
        calculation=dx,
    )


GATE = "0 if x[n,c,i,j] <= 0 else dy[n,c,i,j]"


@family("relu_gate", "What passes ReLU's gate on the way back", "grid", 6)
def relu_gate(draw: Draw) -> Item:
    x = np.array([[[[float(value) for value in draw.shuffled([0, *(draw.integer(-4, 4) for _ in range(4))])]]]])
    dy = draw.array(1, 1, 1, 5, low=-4, high=4)
    dx = Calculation.of(OPS["relu"](), {"x": x, "dy": dy}, "dx", 0, 0, 0, 0)
    edits = [
        ("gate_ignored", "dy[n,c,i,j]", ""),
        ("gate_on_dy", "0 if dy[n,c,i,j] <= 0 else dy[n,c,i,j]", ""),
        ("gate_ignored", "0 if x[n,c,i,j] < 0 else dy[n,c,i,j]", "At exactly 0, is the gate open or shut?"),
        ("exchanged", "0 if x[n,c,i,j] <= 0 else x[n,c,i,j]", "That is what went forward. What goes back?"),
        ("passed_on", "0 if x[n,c,i,j] <= 0 else 1", "The gate is open or shut. What passes through it?"),
    ]
    return Item(
        "x went into ReLU, and δ has arrived at its output. Write the gradient of x.",
        dx.tensor[0, 0],
        tuple(Wrong(name, dx.edited(GATE, new).tensor[0, 0], words) for name, new, words in edits),
        (
            Hint("Which number set the gate?", ("x/0,0,0,0",)),
            Hint("Look at x alone: where it is positive the delta passes as it is, elsewhere nothing does."),
            Hint(f"The first x is {written(x.flat[0])}: the gate is {'open' if x.flat[0] > 0 else 'shut'} there."),
        ),
        op="relu",
        tensors={"x": x, "dy": dy},
        calculation=dx,
        shape=(1, 5),
    )


@family("dropout", "Through dropout and back", "grid", 12)
def dropout(draw: Draw) -> Item:
    p = draw.one([0.2, 0.25, 0.5, 0.6, 0.75])
    mask = np.array([[float(value) for value in draw.shuffled([1, 1, 0, draw.integer(0, 1)])]])
    dy = np.array([[float(draw.one([-4, -3, -2, -1, 1, 2, 3, 4])) for _ in range(4)]])
    dx = Calculation.of(OPS["dropout"](p=p), {"x": np.ones((1, 4)), "mask": mask, "dy": dy}, "dx", 0, 0)
    return Item(
        f"Dropout drops a share of {p:g} and divides what it keeps by the share that is kept. With this mask, δ has "
        "arrived at its output. Write the gradient of its input.",
        dx.tensor,
        (
            Wrong(
                "not_rescaled", dx.edited(" / kept", "").tensor, "What was kept grew on the way forward. By how much?"
            ),
            Wrong("mask_ignored", dx.edited(" * mask[n,c]", "").tensor),
            Wrong("not_rescaled", dx.edited(" / kept", " * kept").tensor, "Does what is kept grow or shrink?"),
            Wrong("exchanged", dx.edited(" / kept", " / (1 - kept)").tensor, "Divide by the share that is kept.")
            if p != 0.5
            else Wrong("passed_on", dy, "Some numbers were dropped, and the others were scaled."),
        ),
        (
            Hint(
                "What did dropout do to each number on the way forward? The same happens to its delta.", ("mask/0,0",)
            ),
            Hint(f"The share that is kept is 1 − {p:g}. A dropped number hears nothing."),
            Hint(f"A kept delta is divided by {1 - p:g}: a delta of 1 would become {written(1 / (1 - p))}."),
        ),
        2,
        op="dropout",
        settings={"p": p},
        tensors={"mask": mask, "dy": dy},
        calculation=dx,
        shape=(1, 4),
    )
