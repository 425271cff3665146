"""Parameters and optimizer state as a few flat vectors that are also mappings from names to arrays."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Collection, Iterator, Mapping

import numpy as np

from engine.ops.base import Shape

Array = np.ndarray


class Places(dict[str, tuple[int, Shape]]):
    """Where each parameter begins in a flat vector of `size` numbers, and its shape. Those that are learned come first
    and have `learned`, places of their own."""

    def __init__(self, shapes: Mapping[str, Shape], learned: Collection[str]):
        wanted = set(learned)
        ends = {}
        self.size = 0
        for name in sorted(shapes, key=lambda name: name not in wanted):
            ends[name] = self.size
            self.size += math.prod(shapes[name])
        super().__init__({name: (ends[name], shape) for name, shape in shapes.items()})
        fewer = {name: shape for name, shape in shapes.items() if name in wanted}
        self.learned = self if len(fewer) == len(shapes) else Places(fewer, learned)


class FlatParams(Mapping[str, Array]):
    """Views, by name, of vectors in which each parameter begins at its place.

    vectors    by what follows a parameter's name: {"": w} for parameters, {".m": m, ".v": v} for Adam's state
    """

    def __init__(self, places: Places, vectors: Mapping[str, Array]):
        self.places = places
        self.vectors = vectors

    @classmethod
    def of(cls, arrays: Mapping[str, Array], places: Places, suffixes: tuple[str, ...] = ("",)) -> FlatParams:
        """The same numbers in flat vectors; nothing is copied where they are flat already."""
        if isinstance(arrays, FlatParams) and arrays.places is places:
            return arrays
        found = cls(places, {suffix: np.empty(places.size, np.float32) for suffix in suffixes})
        for key, array in found.items():
            array[...] = arrays[key]
        return found

    def __getitem__(self, key: str) -> Array:
        layer, slash, tensor = key.rpartition("/")  # a layer's name may hold dots
        name, dot, part = tensor.partition(".")
        start, shape = self.places[layer + slash + name]
        return self.vectors[dot + part][start : start + math.prod(shape)].reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return (name + suffix for name in self.places for suffix in self.vectors)

    def __len__(self) -> int:
        return len(self.places) * len(self.vectors)


def aligned(*shape: int) -> Array:
    """Zeros that begin where a vector of registers does."""
    count = math.prod(shape)
    room = np.zeros(count + 16, np.float32)
    start = -room.ctypes.data % 64 // 4
    return room[start : start + count].reshape(shape)


class BufferPool:
    """Vectors whose memory is used again once nobody looks at them: before the system gives new pages it clears them,
    which for a million parameters takes as long as half of their update. Small ones are made anew."""

    least, most = 2**15, 2**23  # numbers of a vector that is worth it; numbers that lie ready at most

    def __init__(self) -> None:
        self._rooms: list[Array] = []
        self._lock = threading.RLock()  # collecting garbage may let go of a vector within `take`

    def take(self, size: int) -> Array:
        """A vector of so many numbers of any value."""
        if size < self.least:
            return np.empty(size, np.float32)
        with self._lock:
            fitting = next((i for i, room in enumerate(self._rooms) if room.size == size), None)
            room = aligned(size) if fitting is None else self._rooms.pop(fitting)
        vector = np.frombuffer(room.data, np.float32)  # its views keep it alive, and not the room alone
        weakref.finalize(vector, self._back, room).atexit = False
        return vector

    def _back(self, room: Array) -> None:
        with self._lock:
            if room.size + sum(each.size for each in self._rooms) <= self.most:
                self._rooms.append(room)

    def clear(self) -> None:
        with self._lock:
            self._rooms.clear()


buffer_pool = BufferPool()
