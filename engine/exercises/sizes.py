"""Sizes and counts: how large an output is, what fits, how many numbers a layer has, how far a cell sees."""

from __future__ import annotations

import math

import numpy as np

from engine.exercises.item import Calculation, Choice, Draw, Hint, Item, Wrong, family, told, written
from engine.formula import Program


def formula(sentence: str, **given: float) -> Calculation:
    """A sentence of numbers alone: ``size = (n - f)/s + 1``."""
    program = Program(" ".join(given), sentence)
    arrays = {name: np.array(float(value)) for name, value in given.items()}
    return Calculation(program, arrays, {}, {}, program.names[-1])


def counted(
    question: str,
    calculation: Calculation,
    wrongs: list[Wrong],
    hints: tuple[str, str, str],
    decimals: int | None = None,
) -> Item:
    """An item whose answer is a formula's."""
    return Item(
        question,
        calculation.value,
        tuple(wrongs),
        tuple(map(Hint, hints)),
        decimals,
        tensors=calculation.arrays,
        calculation=calculation,
    )


def _output_size(n: int, f: int, p: int, s: int) -> Item:
    size = formula("size = (n - f + 2*p)/s + 1", n=n, f=f, p=p, s=s)
    return counted(
        f"An input is {n} × {n}, the kernel {f} × {f}, the padding {p} on each side, the stride {s}. "
        "How many rows has the output?",
        size,
        [
            told("stride", size.edited("/s", "/1"), "Where does the next window begin?"),
            told("off_by_one", size.edited(" + 1", ""), "Count the first window too, before the first move."),
            told("padding", size.edited("2*p", "p"), "On how many sides does the padding lie?"),
            told("padding", size.edited(" + 2*p", ""), "The padding makes room. How many rows does the frame add?"),
        ],
        (
            "How far can the window move until it meets the far edge?",
            f"With its padding the input has {n} + {p} + {p} rows, and the first window takes {f} of them.",
            f"The window can move by {n} + 2·{p} − {f} = {n + 2 * p - f} rows, {s} at a time.",
        ),
        2,
    )


@family("output_size", "How large is the output?", "number", 3, lambda: _output_size(12, 4, 2, 3))
def output_size(draw: Draw) -> Item:
    f, p, s = draw.integer(2, 5), draw.integer(1, 2), draw.integer(2, 4)
    return _output_size(s * draw.integer(2, 6) + f - 2 * p, f, p, s)


@family("does_it_fit", "Which stride fits?", "choice", 3)
def does_it_fit(draw: Draw) -> Item:
    """Strides of which one alone divides the way that the window has."""
    f, p = draw.integer(2, 5), draw.integer(0, 2)
    way = draw.one([8, 9, 10, 14, 15, 16, 20, 21, 22, 25, 26, 27])
    n = way + f - 2 * p
    fitting = [s for s in range(2, 8) if way % s == 0]
    others = [s for s in range(2, 8) if way % s]
    right = draw.one(fitting)
    strides = sorted([right, *draw.shuffled(others)[:3]])
    wrongs = []
    for s in strides:
        if s != right:
            mistake = "padding" if (n - f) % s == 0 or (n - f + p) % s == 0 else "off_by_one"
            words = "The padding lies on both sides: does its frame divide too?" if mistake == "padding" else ""
            wrongs.append(
                Wrong(mistake, str(s), words or "Subtract the kernel first: the rest must divide by the stride.")
            )
    return Item(
        f"An input is {n} × {n}, the kernel {f} × {f}, the padding {p} on each side. With which stride does the last "
        "window end exactly at the edge?",
        str(right),
        tuple(wrongs),
        (
            Hint("How many steps of one row can the window make?"),
            Hint(f"With its padding the input has {n + 2 * p} rows. The first window takes {f}."),
            Hint(f"The rest is {n + 2 * p} − {f} = {way}. It must be a multiple of the stride."),
        ),
        tensors={"n": np.array(float(n)), "f": np.array(float(f)), "p": np.array(float(p))},
        choices=tuple(Choice(str(s), f"stride {s}") for s in strides),
        solution=f"({n} − {f} + 2·{p})/{right} + 1 = {way // right + 1}: a whole number only with stride {right}.",
    )


@family("parameters", "How many parameters?", "number", 4)
def parameters(draw: Draw) -> Item:
    c, o, f = draw.integer(2, 16), draw.integer(3, 32), draw.one([1, 3, 5, 7])
    h = draw.integer(8, 32)
    count = formula("count = o*c*f*f + o", o=o, c=c, f=f, h=h)
    return counted(
        f"A convolution has {o} kernels of {f} × {f} and reads {c} maps of {h} × {h}. How many numbers does it learn, "
        "with its biases?",
        count,
        [
            told("no_bias", count.edited(" + o", ""), "Each kernel has one number more than its weights."),
            told("bias_per_channel", count.edited(" + o", " + o*c")),
            told("channels_not_summed", count.edited("o*c*f*f", "o*f*f"), "A kernel is as deep as its input."),
            told("shape", count.edited("o*c*f*f + o", "o*c*h*h + o"), "The weights are shared by all places."),
        ],
        (
            "How deep is one kernel?",
            f"One kernel has {f} rows, {f} columns and {c} channels, and one bias.",
            f"One kernel holds {f}·{f}·{c} = {f * f * c} weights.",
        ),
    )


def _receptive_field(layers: list[tuple[str, int, int]]) -> Item:
    """`layers` are (word, kernel, stride)."""
    sizes = [f for _, f, _ in layers]
    jumps = [math.prod(s for *_, s in layers[:k]) for k in range(len(layers))]
    names = {f"f{k}": float(f) for k, f in enumerate(sizes)} | {f"j{k}": float(j) for k, j in enumerate(jumps)}
    field = formula("field = 1 + " + " + ".join(f"(f{k} - 1)*j{k}" for k in range(len(layers))), **names)
    unjumped = field.reading(**{f"j{k}": np.array(1.0) for k in range(len(layers))})
    listed = ", then ".join(f"a {word} {f} × {f} with stride {s}" for word, f, s in layers)
    return counted(
        f"A network has {listed}. How many rows of the input does one cell of the last output see?",
        field,
        [
            told("stride", unjumped, "After a stride of 2, neighbours lie two rows apart."),
            Wrong("off_by_one", float(sum(sizes)), "Neighbouring windows share rows: count those once."),
            Wrong("one_product", float(sizes[-1]), "The last layer reads cells that see more than one row themselves."),
            Wrong("scale", float(math.prod(sizes)), "The fields add up, they do not multiply."),
        ],
        (
            "One cell of the last layer sees how many cells of the layer before?",
            "Each layer adds its kernel size less one, times the strides of all layers before it.",
            f"The first layer adds {sizes[0]} − 1 = {sizes[0] - 1} to the one cell itself.",
        ),
    )


def _lesson_field() -> Item:
    conv, pool = ("convolution", 3, 1), ("pool", 2, 2)
    return _receptive_field([conv, conv, conv, pool, conv])


@family("receptive_field", "How far does a cell see?", "number", 5, _lesson_field)
def receptive_field(draw: Draw) -> Item:
    layers = [("convolution", draw.one([3, 5]), 1), ("pool", draw.one([2, 3]), 2)]
    layers += [("convolution", draw.one([3, 5]), draw.one([1, 2])), ("convolution", 3, 1)][: draw.integer(1, 2)]
    return _receptive_field(layers)


@family("full_padding", "How many rings of zeros?", "number", 10)
def full_padding(draw: Draw) -> Item:
    k = draw.integer(3, 9)
    p = draw.integer(1, k - 2)
    rings = formula("rings = k - 1 - p", k=k, p=p)
    return counted(
        f"A convolution has a kernel of {k} × {k}, padding {p} and stride 1. To get its input's gradient, the turned "
        "kernel slides over δ. How many rings of zeros must lie around δ?",
        rings,
        [
            told(
                "padding", rings.edited(" - p", ""), "The forward padding has its own gradient, which nobody asks for."
            ),
            told("off_by_one", rings.edited(" - 1", ""), "The kernel must still touch δ with one weight."),
            told("exchanged", rings.edited("k - 1 - p", "p"), "That is the padding of the way forward."),
            told("sign", rings.edited("- p", "+ p"), "Padding forward: does δ then need more rings, or fewer?"),
        ],
        (
            "The corner of the input was read by how many windows?",
            f"Without padding the turned kernel must be able to touch the first δ with one weight only. "
            f"Padding {p} on the way forward cuts rings away.",
            f"A kernel of {k} rows touches the first δ alone when {k} − 1 = {k - 1} of its rows lie outside.",
        ),
    )


@family("unread_rows", "Rows that a stride never reaches", "number", 11)
def unread_rows(draw: Draw) -> Item:
    f, s, places = draw.integer(2, 4), draw.integer(2, 5), draw.integer(2, 4)
    rest = draw.integer(1, s - 1)
    n = s * (places - 1) + f + rest
    gap = max(0, s - f)
    unread = formula("unread = n - f - s*(i - 1) + (i - 1)*gap", n=n, f=f, s=s, i=places, gap=gap)
    wrongs = [
        told("stride", unread.edited(" - s*(i - 1)", " - (i - 1)"), "How far apart do two windows begin?"),
        told(
            "off_by_one", unread.edited("s*(i - 1)", "s*i"), "How often does the window move? Once less than it stops."
        ),
        Wrong("exchanged", float(places * f), "That many rows are read, counted once for each window."),
    ]
    if gap:
        words = "The windows do not touch. What lies between them?"
        wrongs.append(told("left_out", unread.edited(" + (i - 1)*gap", ""), words))
    return counted(
        f"An input has {n} rows. A kernel of {f} rows slides over them with stride {s}, without padding, as far as it "
        f"fits. How many rows does it never read, so that their gradient is 0?",
        unread,
        wrongs,
        (
            "Where does the last window end that still fits?",
            f"The windows begin at rows {', '.join(str(s * i) for i in range(places))}. Each reads {f} rows.",
            f"The first window reads rows 0 to {f - 1}.",
        ),
    )


@family("layouts", "NCHW and NHWC", "number", 12)
def layouts(draw: Draw) -> Item:
    sizes = {"cs": draw.integer(2, 5), "hs": draw.integer(3, 6), "ws": draw.integer(3, 6)}
    n, c, h, w = draw.integer(1, 2), *(draw.integer(1, size - 1) for size in sizes.values())
    last = formula("at = ((n*hs + h)*ws + w)*cs + c", n=n, c=c, h=h, w=w, **sizes)
    first = formula("at = ((n*cs + c)*hs + h)*ws + w", n=n, c=c, h=h, w=w, **sizes)
    asked, other, name = (last, first, "NHWC") if draw.integer(0, 1) else (first, last, "NCHW")
    order = "n, h, w, c" if name == "NHWC" else "n, c, h, w"
    swapped = asked.reading(h=asked.arrays["w"], w=asked.arrays["h"])
    shape = f"{sizes['cs']} channels of {sizes['hs']} rows and {sizes['ws']} columns"
    return counted(
        f"Images of {shape} lie in memory as {name}. Counted from 0, at which place stands image {n}, channel {c}, "
        f"row {h}, column {w}?",
        asked,
        [
            told("layout", other, f"That is its place in the other layout. In {name} which axis runs fastest?"),
            told("place_swapped", swapped),
            told("left_out", asked.reading(n=np.array(0.0)), "Which image is it? One whole image lies before it."),
            Wrong("off_by_one", asked.value + 1, "The first number of all stands at place 0."),
        ],
        (
            f"In {name} the axes stand in the order {order}. Which one runs fastest?",
            f"Count the whole images before it, then within the image what comes before it along {order[3:]}.",
            f"One image holds {sizes['cs']}·{sizes['hs']}·{sizes['ws']} = {math.prod(sizes.values())} numbers.",
        ),
    )


@family("budget", "Build under a parameter budget", "number", 12)
def budget(draw: Draw) -> Item:
    c, f = draw.integer(2, 12), draw.one([3, 5])
    each = c * f * f + 1
    most = draw.integer(4, 20)
    limit = each * most + draw.integer(each // 3, each - 2)
    wrongs = [
        Wrong("over_budget", float(most + 1)),
        Wrong("no_bias", float(limit // (c * f * f)), "Each kernel has one number more than its weights."),
        Wrong("channels_not_summed", float(limit // (f * f + 1)), "A kernel is as deep as its input."),
        Wrong("bias_per_channel", float(limit // (c * (f * f + 1)))),
    ]
    return Item(
        f"A convolution reads {c} maps with kernels of {f} × {f} and a bias each. It may learn {limit} numbers at "
        "most. How many kernels can it have?",
        float(most),
        tuple(wrong for k, wrong in enumerate(wrongs) if wrong.answer not in (w.answer for w in wrongs[:k])),
        (
            Hint("How many numbers does one kernel bring?"),
            Hint(f"One kernel has {f} rows, {f} columns, {c} channels and one bias."),
            Hint(f"Its weights are {f}·{f}·{c} = {f * f * c}."),
        ),
        tensors={"c": np.array(float(c)), "f": np.array(float(f)), "limit": np.array(float(limit))},
        solution=f"One kernel brings {f}·{f}·{c} + 1 = {each} numbers, and {limit}/{each} is {written(limit / each)}.",
    )
