"""Global pooling: one window as large as the map, so that each map becomes one number."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from engine.formula import Program
from engine.ops.base import Array, Shapes, Words
from engine.ops.pool import AvgPool2d, MaxPool2d
from engine.ops.window import Span


@cache
def _max_program() -> Program:
    return Program(
        "x[n,c,h,k]", "y[n,c,i,j] = max[h,k](x[n,c,h,k])\nindices[n,c,i,j] = argmax[h,k](x[n,c,h,k], h*K + k)"
    )


@cache
def _mean_program() -> Program:
    return Program("x[n,c,h,k]", "y[n,c,i,j] = sum[h,k](x[n,c,h,k]) / (H*K)")


def _whole(shapes: Shapes) -> tuple[Span, Span]:
    height, width = shapes["x"][2:]
    return (Span(height, height), Span(width, width))


class GlobalMaxPool(MaxPool2d):
    name = "global_max_pool"
    title = "Global max pooling"
    settings = {}
    example_settings = {}
    words = {
        "y": Words("the largest of a whole map wins", "Only the largest value goes on, wherever it stands."),
        "indices": MaxPool2d.words["indices"],
        "dx": Words(
            "the winner takes the whole gradient, the others get zero",
            "Only the largest value of the map reached the output, so only it can change the error.",
        ),
    }

    def spans(self, shapes: Shapes) -> tuple[Span, Span]:
        return _whole(shapes)

    def program(self, shapes: Shapes) -> Program:
        return _max_program()

    def numbers(self, shapes: Shapes) -> dict[str, float]:
        return {}

    def torch_call(self, shapes: Shapes, names: Mapping[str, str]) -> str:
        return f"F.adaptive_max_pool2d({names['x']}, 1)"


class GlobalAvgPool(AvgPool2d):
    name = "global_avg_pool"
    title = "Global average pooling"
    settings = {}
    example_settings = {}
    words = {
        "y": Words("the mean of a whole map", "Every value of the map has the same share."),
        "dx": Words(
            "the gradient is shared out evenly",
            "Every value of the map made the mean, so each takes an even share of the gradient.",
        ),
    }

    def spans(self, shapes: Shapes) -> tuple[Span, Span]:
        return _whole(shapes)

    def program(self, shapes: Shapes) -> Program:
        return _mean_program()

    def numbers(self, shapes: Shapes) -> dict[str, float]:
        return {}

    def torch_call(self, shapes: Shapes, names: Mapping[str, str]) -> str:
        return f"F.adaptive_avg_pool2d({names['x']}, 1)"

    def counts(self, shapes: Shapes, dtype: np.dtype) -> Array:
        height, width = shapes["x"][2:]
        return np.full((1, 1), height * width, dtype)
