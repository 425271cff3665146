"""That the gradients are right, by ways that do not lead through the sentences: central differences, inner products,
and the three readings of a convolution's way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.gradcheck import compare
from engine.ops import OPS
from engine.ops.base import Array, Op, shapes_of
from engine.ops.conv2d import Conv2d
from tests.engine.draws import calls, convolutions
from tests.engine.tools import difference, from_kernels

EXACT = 1e-12
RNG = np.random.default_rng(17)


def like_y(op: Op, tensors: dict[str, Array]) -> Array:
    return RNG.normal(size=op.extents(shapes_of(tensors))["y"])


@pytest.mark.parametrize("name", sorted(OPS))
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_gradients_of_any_call_equal_central_differences_but_for_the_kinks_that_are_named(name: str, data: Any) -> None:
    op, tensors = data.draw(calls(name))
    dy = np.abs(like_y(op, tensors))  # with signs, a cell that wins some of its ties may leave the slopes to its sides
    found = from_kernels(op, tensors, dy)
    for gradient in (each for each in op.gradients if each in found and np.isfinite(found["y"]).all()):
        compared = compare(
            gradient[1:],
            tensors[gradient[1:]],
            found[gradient],
            dy,
            lambda tensor, moved: op.forward({**tensors, tensor: moved}),
            40,
        )
        assert compared.difference.agrees(), (gradient, op.options, compared.difference)
        for kink in compared.kinks:
            room = 1e-6 * max(abs(kink.low), abs(kink.high))
            assert kink.low - room <= kink.analytic <= kink.high + room, (gradient, op.options, kink.words)


def linear_in(kind: type[Op]) -> tuple[str, ...]:
    """The tensors that an op's example is linear in while the others stand still, but for what is added: those that
    the sentence of their own gradient does not read, nor anything that is made of them."""
    op = kind(**kind.example_settings)
    shapes = shapes_of(kind.example(RNG))
    names = [name[1:] for name in op.gradients if name[1:] in shapes]
    program = op.program(shapes).gradients(names)

    def leans_on(name: str, tensor: str) -> bool:
        return name == tensor or (name in program.names and any(leans_on(read, tensor) for read in program.reads(name)))

    return tuple(name for name in names if not leans_on(f"d{name}", name))


LINEAR = {name: found for name, kind in OPS.items() if (found := linear_in(kind))}


def test_which_operators_are_linear_is_read_from_their_sentences() -> None:
    assert LINEAR["conv2d"] == ("x", "w", "b") and LINEAR["add"] == ("a", "b") and LINEAR["avg_pool2d"] == ("x",)
    assert LINEAR["batch_norm"] == ("gamma", "beta")
    assert not LINEAR.keys() & {"relu", "max_pool2d", "softmax", "cross_entropy"}


@pytest.mark.parametrize("name", sorted(LINEAR))
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_the_way_back_of_a_linear_operator_is_its_transpose(name: str, data: Any) -> None:
    """<dy, A x> = <A^T dy, x>, in every tensor in which it is linear."""
    op, tensors = data.draw(calls(name))
    dy = like_y(op, tensors)
    found = from_kernels(op, tensors, dy)
    for tensor in (each for each in LINEAR[name] if each in tensors):
        added = op.forward({**tensors, tensor: np.zeros_like(tensors[tensor])})["y"]
        sides = float(np.sum(dy * (found["y"] - added))), float(np.sum(found[f"d{tensor}"] * tensors[tensor]))
        assert sides[0] == pytest.approx(sides[1], rel=EXACT, abs=1e-11), (tensor, op.options)


def by_scattering(op: Conv2d, tensors: dict[str, Array], dy: Array) -> Array:
    """Every delta laid, times the kernel as it is, over the window that its output saw."""
    x, w = tensors["x"], tensors["w"]
    rows, columns = op.spans(shapes_of(tensors))
    w = w[:, :, ::-1, ::-1] if op.options["flip_kernel"] else w
    depth, share = w.shape[1], w.shape[0] // op.options["groups"]
    dx = np.zeros((*x.shape[:2], rows.size + rows.before + rows.after, columns.size + columns.before + columns.after))
    for o, i, j in np.ndindex(dy.shape[1:]):
        first = o // share * depth
        window = dx[
            :,
            first : first + depth,
            i * rows.stride : i * rows.stride + rows.extent : rows.dilation,
            j * columns.stride : j * columns.stride + columns.extent : columns.dilation,
        ]
        window += dy[:, o, i, j, None, None, None] * w[o]
    return dx[:, :, rows.before : rows.before + rows.size, columns.before : columns.before + columns.size]


def by_gathering(op: Conv2d, tensors: dict[str, Array], dy: Array) -> Array:
    """The delta spread apart by the stride and padded, under the kernel turned by 180 degrees, its channels exchanged:
    one more convolution."""
    x, w = tensors["x"], tensors["w"]
    spans = op.spans(shapes_of(tensors))
    groups, depth, share = op.options["groups"], w.shape[1], w.shape[0] // op.options["groups"]
    turned = w if op.options["flip_kernel"] else w[:, :, ::-1, ::-1]
    turned = turned.reshape(groups, share, depth, *w.shape[2:]).swapaxes(1, 2).reshape(-1, share, *w.shape[2:])
    spread = np.zeros(
        (*dy.shape[:2], *((count - 1) * span.stride + 1 for count, span in zip(dy.shape[2:], spans, strict=True)))
    )
    spread[:, :, :: spans[0].stride, :: spans[1].stride] = dy
    for axis, span in zip((2, 3), spans, strict=True):
        around = [(0, 0)] * 4
        around[axis] = (span.extent - 1, span.room - (dy.shape[axis] - 1) * span.stride + span.extent - 1)
        spread = np.pad(spread, around)
    full = Conv2d(dilation=op.options["dilation"], groups=groups).forward(
        {"x": spread, "w": np.ascontiguousarray(turned)}
    )["y"]
    (rows, columns), (height, width) = spans, x.shape[2:]
    return full[:, :, rows.before : rows.before + height, columns.before : columns.before + width]


def by_the_matrix(op: Conv2d, tensors: dict[str, Array], dy: Array) -> Array:
    """The convolution of one image as a matrix, column by column, and its transpose times the delta."""
    x = tensors["x"]
    units = np.eye(x[0].size).reshape(-1, *x.shape[1:])
    matrix = op.forward({"x": units, "w": tensors["w"]})["y"].reshape(len(units), -1)
    return (dy.reshape(len(dy), -1) @ matrix.T).reshape(x.shape)


@settings(max_examples=60, deadline=None)
@given(call=convolutions())
def test_the_three_proofs_of_the_flip_agree(call: tuple[Conv2d, dict[str, Array]]) -> None:
    op, tensors = call
    dy = like_y(op, tensors)
    dx = from_kernels(op, tensors, dy)["dx"]
    for proof in (by_gathering, by_scattering, by_the_matrix):
        assert difference(proof(op, tensors, dy), dx) < EXACT, (proof.__name__, op.options)


def test_a_proof_with_the_kernel_left_unturned_fails() -> None:
    tensors = {"x": RNG.normal(size=(1, 2, 5, 5)), "w": RNG.normal(size=(3, 2, 3, 2))}
    op, wrong = Conv2d(padding=1), Conv2d(padding=1, flip_kernel=True)
    dy = like_y(op, tensors)
    dx = from_kernels(op, tensors, dy)["dx"]
    for proof in (by_gathering, by_scattering, by_the_matrix):
        assert difference(proof(wrong, tensors, dy), dx) > 1e-3, proof.__name__
