"""What a file holds, whatever its format: a graph of nodes, or named tensors alone."""

from __future__ import annotations

from collections.abc import Mapping
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


Source = Graph | Weights | Document

__all__ = ["Bounds", "Document", "FileError", "Graph", "Node", "Source", "Weights"]
