"""Parameters and optimizer state as a few flat vectors that are also mappings from names to arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from engine.ops.base import Shape

Array = np.ndarray
Places = Mapping[str, tuple[int, Shape]]


class Flat(Mapping[str, Array]):
    """Views, by name, of vectors in which each parameter begins at its place.

    vectors    by what follows a parameter's name: {"": w} for parameters, {".m": m, ".v": v} for Adam's state
    """

    def __init__(self, places: Places, vectors: Mapping[str, Array]):
        self.places = places
        self.vectors = vectors

    @classmethod
    def of(cls, arrays: Mapping[str, Array], places: Places, suffixes: tuple[str, ...] = ("",)) -> Flat:
        """The same numbers in flat vectors; nothing is copied where they are flat already."""
        if isinstance(arrays, Flat) and arrays.places is places:
            return arrays
        empty = np.zeros(0, np.float32)
        return cls(places, {suffix: np.concatenate([empty, *(arrays[f"{name}{suffix}"].reshape(-1) for name in places)])
                            for suffix in suffixes})

    def __getitem__(self, key: str) -> Array:
        name, dot, part = key.partition(".")
        start, shape = self.places[name]
        return self.vectors[dot + part][start:start + math.prod(shape)].reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return (name + suffix for name in self.places for suffix in self.vectors)

    def __len__(self) -> int:
        return len(self.places) * len(self.vectors)
