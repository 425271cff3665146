"""What a preset is, and how its layers are listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True)
class Model:
    """`defaults` are settings that train it well; without them it is a document only, too large to train here."""

    name: str
    title: str
    summary: str
    document: Document
    defaults: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] | None = None  # nested lists, where the model has its own
    example: Mapping[str, Any] | None = None  # {"x": [...], "target": [...]}, where the model has its own
    button: str = ""  # words of a button that trains it at once, where it is made for that
    dataset: str = ""  # what it is trained on unless another is named; "" for MNIST or its example


class Layers:
    """A growing list of layers; each reads those that are named, else the one before."""

    def __init__(self) -> None:
        self.listed: list[Document] = []

    def add(self, name: str, op: str, *inputs: str, **settings: Any) -> str:
        """One more layer; its name, for those that will read it."""
        layer: Document = {"name": name, "op": op}
        if settings:
            layer["settings"] = settings
        if inputs and [*inputs] != [layer["name"] for layer in self.listed[-1:]]:
            layer["inputs"] = [*inputs]
        self.listed.append(layer)
        return name

    def document(self, input_shape: tuple[int, ...]) -> Document:
        return {"input": [*input_shape], "layers": self.listed, "loss": "cross_entropy"}
