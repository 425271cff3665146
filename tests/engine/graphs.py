"""Small graphs of each kind, as documents: tests/fixtures/torch_graphs.py has the same as PyTorch modules."""

from __future__ import annotations

from typing import Any

from engine.models.model import Layers

INPUT = (2, 6, 6)


def _residual() -> dict[str, Any]:
    net = Layers()
    net.add("conv1", "conv2d", out=4, kernel_size=3, padding=1, bias=False)
    net.add("bn1", "batch_norm")
    first = net.add("first", "sigmoid")
    net.add("conv2", "conv2d", out=6, kernel_size=3, stride=2, padding=1, bias=False)
    left = net.add("bn2", "batch_norm", momentum=0.3, eps=1e-3)
    right = net.add("shortcut", "conv2d", first, out=6, kernel_size=1, stride=2)
    net.add("sum", "add", left, right)
    net.add("last", "tanh")
    net.add("pool", "global_avg_pool")
    net.add("flatten", "flatten")
    net.add("fc", "linear", out=3)
    return net.document(INPUT)


def _inception() -> dict[str, Any]:
    net = Layers()
    net.add("stem", "conv2d", out=3, kernel_size=3, padding=1)
    stem = net.add("gate", "tanh")
    one = net.add("one", "conv2d", out=2, kernel_size=1)
    net.add("three_a", "conv2d", stem, out=2, kernel_size=1)
    net.add("gate_a", "sigmoid")
    three = net.add("three_b", "conv2d", out=3, kernel_size=3, padding=1)
    net.add("pool", "max_pool2d", stem, kernel_size=3, stride=1, padding=1)
    pooled = net.add("pooled", "conv2d", out=2, kernel_size=1)
    net.add("join", "concat", one, three, pooled)
    net.add("flatten", "flatten")
    net.add("fc", "linear", out=3)
    return net.document(INPUT)


def _dense() -> dict[str, Any]:
    net = Layers()
    known = net.add("conv0", "conv2d", out=3, kernel_size=3, padding=1, bias=False)
    for k in (1, 2):
        net.add(f"bn{k}", "batch_norm")
        net.add(f"gate{k}", "tanh")
        found = net.add(f"conv{k}", "conv2d", out=2, kernel_size=3, padding=1, bias=False)
        known = net.add(f"join{k}", "concat", known, found)
    net.add("pool", "avg_pool2d", kernel_size=2)
    net.add("flatten", "flatten")
    net.add("bn3", "batch_norm")
    net.add("fc", "linear", out=3)
    return net.document(INPUT)


GRAPHS = {"residual": _residual(), "inception": _inception(), "dense": _dense()}
