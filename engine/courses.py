"""What six courses ask for, how their public tests check it, and the inputs that they publish.

A test that compares means, or sends only ones back, lets wrong gradients through. `accepted` counts how many of `tried`
wrong convolution gradients each public test took for right, measured in November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.ops import OPS

Array = np.ndarray


@dataclass(frozen=True)
class Inputs:
    """A test's tensors as the course draws them: names and shapes in the order of the draws, by NumPy's old
    generator. Where ``dy`` is not drawn, the output is handed back as its own gradient."""

    op: str
    settings: Mapping[str, Any]
    seed: int
    draws: tuple[tuple[str, tuple[int, ...]], ...]

    def tensors(self, layout: str) -> dict[str, Array]:
        """In the course's own layout."""
        rng = np.random.RandomState(self.seed)
        drawn = {name: rng.randn(*shape) for name, shape in self.draws}
        if "dy" not in drawn:
            own = {name: np.ascontiguousarray(_first(name, array, layout)) for name, array in drawn.items()}
            y = OPS[self.op](**self.settings).forward(own)["y"]
            drawn["dy"] = y if layout == "NCHW" else np.ascontiguousarray(y.transpose(0, 2, 3, 1))
        return drawn


def _first(name: str, array: Array, layout: str) -> Array:
    """Channels first."""
    if layout == "NCHW":
        return array
    return array.transpose(3, 2, 0, 1) if name == "w" else array.ravel() if name == "b" else array.transpose(0, 3, 1, 2)


@dataclass(frozen=True)
class Course:
    """`lets_through` says which mistakes the public tests do not catch and why, in words."""

    name: str
    title: str
    asks: str
    layout: str
    checks: str
    accepted: int | None
    lets_through: str
    inputs: Mapping[str, Inputs] = field(default_factory=dict)


#: Wrong convolution gradients that were tried on each public test.
TRIED = 24

COURSES: dict[str, Course] = {
    course.name: course
    for course in (
        Course(
            "cs231n",
            "Stanford CS231n, assignment 2",
            "naive convolution and pool backward, batch and group norm, a network of three layers",
            "NCHW",
            "central differences, stride 1, padding 1; errors of about 1e-8 are called right",
            1,
            "A stride that is ignored: the test of the convolution has stride 1 only. A later cell with stride 2 "
            "catches "
            "it. The pool's test has windows that do not overlap and no ties, so it takes = for +=, the last "
            "winner of a "
            "tie, and a delta for every tied cell.",
            {
                "convolution": Inputs(
                    "conv2d",
                    {"stride": 1, "padding": 1},
                    231,
                    (("x", (4, 3, 5, 5)), ("w", (2, 3, 3, 3)), ("b", (2,)), ("dy", (4, 2, 5, 5))),
                ),
                "max_pool": Inputs(
                    "max_pool2d",
                    {"kernel_size": 2, "stride": 2},
                    231,
                    (("x", (3, 2, 8, 8)), ("dy", (3, 2, 4, 4))),
                ),
            },
        ),
        Course(
            "deeplearning-ai",
            "deeplearning.ai, convolutional networks, week 1",
            "conv_backward, a mask of the maximum, distribute_value, pool_backward",
            "NHWC",
            "the means of dA, dW and db only",
            9,
            "Whatever keeps the mean: both turns of the kernel among them. A mean cannot see where a number stands.",
            {
                "convolution": Inputs(
                    "conv2d",
                    {"stride": 2, "padding": 2},
                    1,
                    (("x", (10, 4, 4, 3)), ("w", (2, 2, 3, 8)), ("b", (1, 1, 1, 8))),
                )
            },
        ),
        Course(
            "cmu-10-714",
            "CMU 10-714, homework 4",
            "flip, dilate, and the gradients of a convolution made of convolutions",
            "NHWC",
            "an upstream gradient of ones, from a sum",
            10,
            "Whatever does with δ what does not show when all of δ is 1: turned, transposed, its images or channels "
            "reversed. Its dilate counts zeros additively, 1 means one zero, and leaves them at the end.",
        ),
        Course(
            "cmu-11-785",
            "CMU 11-785, homework 2, part 1",
            "strides as down- and upsampling, transposed convolution",
            "NCHW",
            "against PyTorch, with random numbers",
            2,
            "What concerns padding: there is none in it.",
        ),
        Course(
            "cs182",
            "Berkeley CS182, homework 4",
            "the same as CS231n",
            "NCHW",
            "central differences, stride 2, padding 1; a pool of 2 × 3 on 8 × 7",
            0,
            "None of them: stride, padding, and nothing square.",
        ),
        Course(
            "npfl138",
            "Charles University, npfl138, cnn_manual",
            "convolution and ReLU, valid, with strides, without autograd",
            "NHWC",
            "against PyTorch, to 2e-4",
            None,
            "Not tried.",
        ),
    )
}
