"""What a file holds, whatever its format: a graph of nodes, or named tensors alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.formats.archive import Bounds, FileError


@dataclass(frozen=True)
class Node:
    """One operation of a graph: what it is called there, what it reads and writes, and its attributes."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"{self.op} {self.name or self.outputs[0]}"


@dataclass(frozen=True)
class Graph:
    """Nodes in an order in which each comes after what it reads. A size of 0 in `inputs` is not said by the file."""

    nodes: tuple[Node, ...]
    tensors: Mapping[str, np.ndarray]
    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Weights:
    """Named tensors, in the file's order, and nothing about what is done with them."""

    tensors: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Document:
    """A network document of this project's own, with its parameters if the file has them."""

    network: Mapping[str, Any]
    tensors: Mapping[str, np.ndarray]


def in_order(nodes: Sequence[Node], known: set[str]) -> tuple[Node, ...]:
    """Each after what it reads. FileError for a cycle, and for what nothing makes."""
    made = {name for node in nodes for name in node.outputs}
    readers: dict[str, list[int]] = {}
    missing = []
    for k, node in enumerate(nodes):
        needs = {name for name in node.inputs if name not in known}
        for name in needs:
            if name not in made:
                raise FileError(f"{node.title[:80]} reads {name[:80]!r}, which nothing makes")
            readers.setdefault(name, []).append(k)
        missing.append(len(needs))
    ready = [k for k, count in enumerate(missing) if not count]
    order: list[Node] = []
    for k in ready:  # grows as it goes
        order.append(nodes[k])
        for name in dict.fromkeys(nodes[k].outputs):
            for reader in readers.pop(name, ()):
                missing[reader] -= 1
                if not missing[reader]:
                    ready.append(reader)
    if len(order) < len(nodes):
        left = next(nodes[k] for k, count in enumerate(missing) if count)
        raise FileError(f"the graph runs in a circle through {left.title[:80]}")
    return tuple(order)


Source = Graph | Weights | Document

__all__ = ["Bounds", "Document", "FileError", "Graph", "Node", "Source", "Weights", "in_order"]
