"""Losses: how far the network's last layer is from the target, as one number."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache

import numpy as np

from engine.formula import Program
from engine.kernels import kernel
from engine.ops.base import Array, Op, Shape, ShapeError, Shapes, TensorSpec, Words, letters, need_rank, shapes_of
from engine.settings import Choice, Float, Int


def _delta(tensors: Mapping[str, Array]) -> float:
    """The gradient of the loss itself: 1 unless it is given."""
    return float(tensors["dy"]) if "dy" in tensors else 1.0


@cache
def _elements(rank: int, each: str, slope: str, reduction: str, delta: bool) -> Program:
    """`each` and `slope` speak of x and target without indices; {over} is what the sum is divided by."""
    at = letters(rank)

    def placed(text: str) -> str:
        return re.sub(r"\b(x|target)\b", lambda name: name[0] + at, text)

    total = f"sum[{at[1:-1]}]({placed(each)})" if rank else f"({placed(each)})"
    count = f" / ({at[1:-1].replace(',', '*').upper()})" if rank else ""
    dy = "dy * " if delta else ""
    dx = placed(slope.format(dy=dy, over=count if reduction == "mean" else ""))
    over = {"mean": count, "sum": "", "half_sum": " / 2"}[reduction]
    return Program(f"x{at} target{at}", f"y = {total}{over}", held=("target",), stated=f"dx{at} = {dx}")


class ElementLoss(Op):
    """A loss of each element beside its target, added up; the kernels compute in float64 and round once."""

    is_loss = True
    tensors = {"x": TensorSpec("the prediction, any shape"), "target": TensorSpec("what it should be, as x")}
    example_shapes = {"x": (1, 2), "target": (1, 2)}

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        if shapes["target"] != shapes["x"]:
            raise ShapeError(f"target has shape {list(shapes['target'])}, expected that of x, {list(shapes['x'])}")
        if 0 in shapes["x"]:
            raise ShapeError(f"x is empty: {list(shapes['x'])}")
        return {"y": ()}

    def _factor(self, x: Array) -> float:
        return {"mean": 1 / max(1, x.size), "sum": 1.0, "half_sum": 0.5}[self.options["reduction"]]

    def averaged(self, target: Array) -> int | None:
        return target.size if self.options["reduction"] == "mean" else None

    def _losses(self, x: Array, target: Array) -> Array:
        """Of every element, from float64 to float64."""
        raise NotImplementedError

    def _slopes(self, x: Array, target: Array) -> Array:
        raise NotImplementedError

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        x, target = tensors["x"], tensors["target"]
        self.extents(shapes_of({"x": x, "target": target}))
        losses = self._losses(x.astype(np.float64), target.astype(np.float64))
        return {"y": np.asarray(np.sum(losses) * self._factor(x), x.dtype)}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        if "dx" not in self.wanted(tensors, wrt):
            return {}
        x, target = tensors["x"], tensors["target"]
        slopes = self._slopes(x.astype(np.float64), target.astype(np.float64))
        return {"dx": np.asarray(slopes * (self._factor(x) * _delta(tensors)), x.dtype)}


class MseLoss(ElementLoss):
    """Rossi and Jefkine write one half of the sum: reduction "half_sum"."""

    name = "mse_loss"
    title = "Squared error"
    settings = {"reduction": Choice("mean", "of the squared differences", options=("mean", "sum", "half_sum"))}
    words = {
        "y": Words("how far the output is from the target", "Each difference is squared, so that none can cancel."),
        "dx": Words(
            "the first delta: output minus target",
            "It is positive where the output is too high, negative where it is too low.",
        ),
    }

    def program(self, shapes: Shapes) -> Program:
        half = self.options["reduction"] == "half_sum"
        return _elements(
            len(shapes["x"]),
            "(x - target)**2",
            f"{'' if half else '2 * '}{{dy}}(x - target){{over}}",
            self.options["reduction"],
            "dy" in shapes,
        )

    def _losses(self, x: Array, target: Array) -> Array:
        return np.square(x - target)

    def torch_call(self, shapes: Shapes, names: Mapping[str, str]) -> str:
        half = self.options["reduction"] == "half_sum"
        reduction = "sum" if half else self.options["reduction"]
        call = f"F.mse_loss({names['x']}, {names['target']}, reduction='{reduction}')"
        return f"{call} / 2" if half else call

    def _slopes(self, x: Array, target: Array) -> Array:
        return 2 * (x - target)


class BceWithLogits(ElementLoss):
    """Minus the logarithm of the probability of what is so: softplus(-x) = -log sigmoid(x) where the target is 1,
    softplus(x) where it is 0. Said so, a confident output keeps its digits."""

    name = "bce_with_logits"
    title = "Sigmoid and binary cross-entropy"
    torch = "F.binary_cross_entropy_with_logits({x}, {target}, reduction='{reduction}')"
    tensors = {
        "x": TensorSpec("the logits, any shape"),
        "target": TensorSpec("the probability that each should have, as x"),
    }
    settings = {"reduction": Choice("mean", "of the elements' losses", options=("mean", "sum"))}
    words = {
        "y": Words(
            "how surprised the network is by the labels",
            "Each output is a yes or no of its own: minus the logarithm of the probability that it gave to what is so.",
        ),
        "dx": Words(
            "the first delta: probability minus target", "The sigmoid of the output, minus what it should have been."
        ),
    }

    @classmethod
    def example(cls, rng: np.random.Generator) -> dict[str, Array]:
        made = super().example(rng)
        return {**made, "target": np.abs(made["target"])}

    def program(self, shapes: Shapes) -> Program:
        return _elements(
            len(shapes["x"]),
            "target * softplus(-x) + (1 - target) * softplus(x)",
            "{dy}sigmoid(x){over} - {dy}target{over}",
            self.options["reduction"],
            "dy" in shapes,
        )

    def _losses(self, x: Array, target: Array) -> Array:
        corner = np.log1p(np.exp(-np.abs(x)))
        return target * (np.maximum(-x, 0) + corner) + (1 - target) * (np.maximum(x, 0) + corner)

    def _slopes(self, x: Array, target: Array) -> Array:
        return self.answer(x) - target

    def answer(self, x: Array) -> Array:
        small = np.exp(-np.abs(x))
        return np.where(x >= 0, 1, small) / (1 + small)


@cache
def _cross_entropy(indices: bool, reduction: str, weight: bool, smoothing: bool, ignore: bool, delta: bool) -> Program:
    """The sentence with only the options that are in use; `p` is what a learner looks at, `t` what it should be."""
    given = f"x[n,k] target[{'n' if indices else 'n,k'}]" + (" weight[k]" if weight else "")
    t = "(k == target[n])" if indices else "target[n,k]"
    if smoothing:
        t = f"(1 - smoothing)*{t} + smoothing/K"
    weighed = " * weight[k]" if weight else ""
    keep = " * (target[n] != ignore)" if ignore else ""
    sentences = [
        "top[n] = max[k](x[n,k])",
        "e[n,k] = exp(x[n,k] - top[n])",
        "z[n] = sum[k](e[n,k])",
        "p[n,k] = e[n,k] / z[n]",
        "logp[n,k] = x[n,k] - top[n] - log(z[n])",
        f"t[n,k] = {t}",
    ]
    over = ""
    if reduction == "mean" and indices and (weight or ignore):
        counted = "weight[target[n]]" + keep if weight else keep.removeprefix(" * ")
        sentences.append(f"m = sum[n]({counted})")
        over = " / m"
    elif reduction == "mean":
        over = " / N"
    if weight:
        sentences.append("mass[n] = sum[k](t[n,k] * weight[k])")
    sentences.append(f"y = -sum[n,k](t[n,k]{weighed} * logp[n,k]{keep}){over}")
    dy = "dy * " if delta else ""
    slope = f"{dy}(p[n,k] - t[n,k]){over}"
    if weight or not indices:  # p times a sum that is rounded in its own way: two terms, as their difference may vanish
        if not weight:
            sentences.insert(-1, "mass[n] = sum[k](t[n,k])")
        slope = f"{dy}p[n,k] * mass[n]{over} - {dy}t[n,k]{weighed}{over}"
    if ignore:  # no product with 0: where all are ignored, m is 0 too
        slope = f"{slope} if target[n] != ignore else 0"
    return Program(
        given, "\n".join(sentences), held=("top", "t", "m", "mass", "target", "weight"), stated=f"dx[n,k] = {slope}"
    )


@kernel
def cross_entropy_forward(x, t, kept, p, logp):  # type: ignore[no-untyped-def]
    """The sum of the losses (float64), p and logp (N,K) from logits x, the weighted targets t (N,K) and which rows
    count (N).

    All in float64, and log z as log(1 + the others): for a confident digit the loss is that small.
    """
    loss = 0.0
    for n in range(x.shape[0]):
        best = 0
        for k in range(1, x.shape[1]):
            if x[n, k] > x[n, best] or x[n, k] != x[n, k]:
                best = k
        top = np.float64(x[n, best])
        others = 0.0
        for k in range(x.shape[1]):
            if k != best:
                others += math.exp(np.float64(x[n, k]) - top)
        z = math.exp(top - top) + others
        log_z = math.log1p(others)
        row = 0.0
        for k in range(x.shape[1]):
            below = np.float64(x[n, k]) - top
            p[n, k] = math.exp(below) / z
            logp[n, k] = below - log_z
            if t[n, k] != 0:
                row -= t[n, k] * (below - log_z)
        if kept[n]:
            loss += row
    return loss


@kernel
def cross_entropy_backward(p, t, mass, share, dx):  # type: ignore[no-untyped-def]
    """dx (N,K) = (p * mass - t) * share."""
    for n in range(p.shape[0]):
        for k in range(p.shape[1]):
            dx[n, k] = (np.float64(p[n, k]) * mass[n] - t[n, k]) * share[n] if share[n] != 0 else 0


class CrossEntropy(Op):
    name = "cross_entropy"
    title = "Softmax and cross-entropy"
    is_loss = True
    results = ("y", "p")
    saved = ("p",)
    tensors = {
        "x": TensorSpec("the logits (N, K)"),
        "target": TensorSpec("class numbers (N) or probabilities (N, K)"),
        "weight": TensorSpec("a weight for each class (K)", optional=True),
    }
    settings = {
        "reduction": Choice("mean", "over the images", options=("mean", "sum")),
        "label_smoothing": Float(0.0, "share of the target that is spread over all classes", low=0, high=1),
        "ignore_index": Int(None, "targets of this class do not count", low=-(2**31), high=2**31, optional=True),
    }
    words = {
        "top": Words("the largest value is taken off first", "It changes nothing, but keeps exp within range."),
        "e": Words("e to the power of each value", "Every share is positive."),
        "z": Words("the sum of all shares", "Dividing by it makes them add up to one."),
        "p": Words(
            "the {k:outputs} become probabilities",
            "Each is a share of the whole: e to the power of the output, over the sum of all.",
        ),
        "y": Words(
            "how surprised the network is by the label",
            "Minus the logarithm of the probability it gave to the right class.",
        ),
        "dx": Words(
            "the first delta: probability minus target",
            "What it said minus what it should have said: one for the label, zero for the others.",
        ),
    }
    labels = {"p": "softmax", "dx": "softmax"}
    example_shapes = {"x": (2, 3)}

    @classmethod
    def example(cls, rng: np.random.Generator) -> dict[str, Array]:
        return {**super().example(rng), "target": np.array([2, 0])}

    def program(self, shapes: Shapes) -> Program:
        options = self.options
        return _cross_entropy(
            len(shapes["target"]) == 1,
            options["reduction"],
            "weight" in shapes,
            options["label_smoothing"] > 0,
            options["ignore_index"] is not None,
            "dy" in shapes,
        )

    def numbers(self, shapes: Shapes) -> dict[str, float]:
        ignore = self.options["ignore_index"]
        return {"smoothing": self.options["label_smoothing"], **({} if ignore is None else {"ignore": ignore})}

    def extents(self, shapes: Shapes) -> dict[str, Shape]:
        rows, classes = need_rank(shapes, "x", 2, "(N, K)")
        target = shapes["target"]
        if target not in ((rows,), (rows, classes)):
            raise ShapeError(
                f"target has shape {list(target)}, expected [{rows}] class numbers or [{rows}, {classes}] probabilities"
            )
        if len(target) == 2 and self.options["ignore_index"] is not None:
            raise ShapeError("ignore_index needs class numbers as targets, got probabilities")
        if "weight" in shapes and shapes["weight"] != (classes,):
            raise ShapeError(f"weight has shape {list(shapes['weight'])}, expected [{classes}], one for each class")
        return {"y": (), "p": (rows, classes), "t": (rows, classes)}

    def check_target(self, x: Shape, target: Array) -> None:
        super().check_target(x, target)
        if target.ndim == 1:
            self._kept(target, x[1])

    def _kept(self, target: Array, classes: int) -> Array:
        """Which class numbers count; ShapeError for one that is no class."""
        kept: Array = target != self.options["ignore_index"]
        wrong = kept & ((target < 0) | (target >= classes) | (target != np.floor(target)))
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ShapeError(f"target {target[row]} at {row} is no class: expected 0 to {classes - 1}")
        return kept

    def _targets(self, tensors: Mapping[str, Array]) -> tuple[Array, Array, float]:
        """The target distribution times the class weights (N,K), float64, which rows count (N), and what the loss is
        divided by."""
        x, target = tensors["x"], tensors["target"]
        self.extents({name: shape for name, shape in shapes_of(tensors).items() if name != "dy"})
        rows, classes = x.shape
        weight = tensors["weight"].astype(np.float64) if "weight" in tensors else np.ones(classes)
        kept = np.ones(rows, bool)
        total = float(rows)
        if target.ndim == 2:
            t = target.astype(np.float64)
        else:
            kept = self._kept(target, classes)
            t = np.zeros((rows, classes))
            t[kept, target[kept].astype(np.int64)] = 1
            total = float((t @ weight).sum())
        smoothing = self.options["label_smoothing"]
        t = ((1 - smoothing) * t + smoothing / classes) * weight
        return t, kept, total if self.options["reduction"] == "mean" else 1.0

    def forward(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        x = tensors["x"]
        t, kept, total = self._targets(tensors)
        p, logp = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
        loss = cross_entropy_forward(x, t, kept, p, logp)
        with np.errstate(all="ignore"):
            return {"y": np.asarray(np.divide(loss, total), x.dtype), "p": p, "logp": logp}

    def backward(self, tensors: Mapping[str, Array], wrt: tuple[str, ...] | None = None) -> dict[str, Array]:
        if "dx" not in self.wanted(tensors, wrt):
            return {}
        x = tensors["x"]
        t, kept, total = self._targets(tensors)
        dx = np.empty(x.shape, x.dtype)
        with np.errstate(all="ignore"):
            share = np.where(kept, np.divide(_delta(tensors), total), 0.0)
        cross_entropy_backward(tensors["p"], t, t.sum(1), share, dx)
        return {"dx": dx}

    def averaged(self, target: Array) -> int | None:
        if self.options["reduction"] != "mean":
            return None
        ignored = self.options["ignore_index"]
        return len(target) if ignored is None else int(np.count_nonzero(target != ignored))

    def target_shape(self, x: Shape) -> Shape:
        return x[:1]

    def answer(self, x: Array) -> Array:
        p = np.empty(x.shape, x.dtype)
        cross_entropy_forward(x, np.zeros(x.shape), np.zeros(x.shape[0], bool), p, np.empty(x.shape, x.dtype))
        return p

    def torch_call(self, shapes: Shapes, names: Mapping[str, str]) -> str:
        ignored = self.options["ignore_index"]
        ignore = "" if ignored is None else f"ignore_index={ignored}, "
        return (
            f"F.cross_entropy({names['x']}, {names['target']}, {ignore}"
            f"reduction='{self.options['reduction']}', label_smoothing={self.options['label_smoothing']})"
        )
