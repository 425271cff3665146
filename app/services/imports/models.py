"""Imported models: a file made into a network, what was guessed on the way, and the answers that settle it."""

from __future__ import annotations

import math
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.limits import Limits
from app.problems import Problem, invalid, missing, over_limit
from app.services.imports.convert import Guess, Result, Row, convert
from app.services.imports.files import read_file
from app.services.imports.rebuild import rebuild
from app.services.imports.source import Document, FileError, Graph, Source
from engine.data import Split
from engine.layers import NetworkError
from engine.network import Network

#: What trained networks usually do to pixels of 0..1 first, by name: mean and deviation.
NORMALISATIONS = {"none": None, "mnist": (0.1307, 0.3081), "half": (0.5, 0.5)}
#: Images on which they are tried.
TRIED = 500
#: A normalisation is taken when so much more of the images is answered rightly than without.
BETTER = 0.001


@dataclass(frozen=True)
class Imported:
    """A file as it was read, with the answers so far. `accuracy` is a share of TRIED test images."""

    id: str
    name: str
    format: str
    source: Source
    answers: Mapping[str, Any]
    result: Result
    accuracy: float | None = None

    @property
    def nbytes(self) -> int:
        held = self.source.tensors.values()
        return sum(array.nbytes for array in held) + sum(array.nbytes for array in self.result.parameters.values())

    def document(self) -> dict[str, Any]:
        result = self.result
        return {
            "id": self.id,
            "name": self.name,
            "format": self.format,
            "network": result.network,
            "layers": [_row(row) for row in result.rows],
            "guesses": [
                {"what": guess.what, "why": guess.why, "value": guess.value, "alternatives": list(guess.alternatives)}
                for guess in result.guesses
            ],
            "parameters": {"placed": result.placed, "of": result.tensors},
            "check": None if self.accuracy is None else {"accuracy": self.accuracy, "images": TRIED},
        }


def _row(row: Row) -> dict[str, Any]:
    return {
        "source": row.source,
        "layer": row.layer,
        "op": row.op,
        "shape": None if row.shape is None else list(row.shape),
        "parameters": row.parameters,
        "state": row.state,
        "detail": row.detail,
        "nearest": list(row.nearest),
    }


def read(content: bytes, name: str, limits: Limits) -> tuple[str, Source]:
    """The file's format and what it holds; 422 with what is wrong with it."""
    try:
        return read_file(content, limits)
    except FileError as error:
        raise Problem(422, str(error), kind="invalid") from None


def imported(
    id: str, name: str, format: str, source: Source, answers: Mapping[str, Any], images: Split | None, limits: Limits
) -> Imported:
    """The network that the file and the answers give; 422 with what does not fit, 413 where it is too large."""
    try:
        if isinstance(source, Document):
            result = _own(source)
        else:
            result = convert(source, answers) if isinstance(source, Graph) else rebuild(source, answers)
    except FileError as error:
        raise invalid(str(error), ["answers"] if answers else []) from None
    count = sum(array.size for array in result.parameters.values())
    if count > limits.parameters:
        raise over_limit("parameters", limits.parameters, f"{count} parameters; at most {limits.parameters} are taken")
    if result.network is None or isinstance(source, Document):
        return Imported(id, name, format, source, answers, result)
    accuracy = _normalise(result, answers, images, limits)
    return Imported(id, name, format, source, answers, result, accuracy)


def _own(source: Document) -> Result:
    document = {key: value for key, value in source.network.items() if key in ("input", "layers", "loss")}
    given = source.tensors or source.network.get("parameters") or {}
    try:
        network = Network.from_document(document)
        parameters = network.parameters_from(given) if given else network.initial(0)
    except NetworkError as error:
        raise FileError(f"{'.'.join(map(str, error.loc))}: {error.detail}" if error.loc else error.detail) from None
    except (TypeError, ValueError) as error:
        raise FileError(str(error)[:400]) from None
    rows = [
        Row(
            layer.name,
            layer.name,
            layer.op.name,
            layer.shape,
            sum(math.prod(shape) for shape in layer.learned.values()),
        )
        for layer in network.layers.values()
    ]
    guesses = [] if given else [Guess("parameters", "the file has none", "drawn from seed 0")]
    return Result(network.document(), parameters, rows, guesses, len(given), len(given))


def _normalise(result: Result, answers: Mapping[str, Any], images: Split | None, limits: Limits) -> float | None:
    """Put what the network does to pixels first in front of it: as answered, or what helps on test images it can be
    tried on. Returns the share of these that is then answered rightly, None where none fit."""
    assert result.network is not None
    chosen = answers.get("normalisation")
    if chosen is not None and chosen not in NORMALISATIONS:
        raise invalid(f"normalisation: expected one of {', '.join(NORMALISATIONS)}", ["answers", "normalisation"])
    network = Network.from_document(result.network)
    x, labels = _images(network, images, limits)
    shares = {}
    if x is not None:
        for name in NORMALISATIONS:
            shares[name] = _share(network, result.parameters, _normalised(x, name), labels)
        best = max(shares, key=lambda name: shares[name])
        taken = chosen or (best if shares[best] > shares["none"] + BETTER else "none")
        why = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
        others = tuple(name for name in NORMALISATIONS if name != taken)
        result.guesses.append(Guess("normalisation", f"right of {TRIED} test images: {why}", taken, others))
    else:
        taken = chosen or "none"
        others = tuple(name for name in NORMALISATIONS if name != taken)
        result.guesses.append(Guess("normalisation", "no data set here can be tried", taken, others))
    numbers = NORMALISATIONS[taken]
    if numbers is not None:
        _in_front(result, numbers)
    return shares.get(taken)


def _images(network: Network, images: Split | None, limits: Limits) -> tuple[np.ndarray | None, np.ndarray]:
    nothing = (None, np.zeros(0))
    if images is None or images.images.shape[1:] != network.input_shape or images.targets.ndim != 1:
        return nothing
    outputs = network.layers[network.output].shape
    fits = outputs == (int(images.targets.max()) + 1,) and TRIED * network.work <= 20 * limits.multiply_adds
    return images.batch(slice(0, TRIED)) if fits else nothing


def _normalised(x: np.ndarray, name: str) -> np.ndarray:
    numbers = NORMALISATIONS[name]
    return x if numbers is None else ((x - numbers[0]) / numbers[1]).astype(np.float32)


def _share(network: Network, parameters: Mapping[str, np.ndarray], x: np.ndarray, labels: np.ndarray) -> float:
    right = 0
    whole = {**network.initial(0), **parameters}
    for start in range(0, len(x), 100):
        answers = network.forward(whole, x[start : start + 100])[network.output, "y"]
        right += int(np.count_nonzero(answers.argmax(1) == labels[start : start + 100]))
    return right / len(x)


def _in_front(result: Result, numbers: tuple[float, float]) -> None:
    """A layer that normalises, which all readers of the input then read."""
    assert result.network is not None
    names = {layer["name"] for layer in result.network["layers"]}
    name = next(each for each in ("normalize", "normalize_input", "normalize_pixels") if each not in names)
    mean, deviation = numbers
    settings = {"mean": mean, "deviation": deviation}
    for layer in result.network["layers"]:
        layer["inputs"] = [name if source == "input" else source for source in layer["inputs"]]
    first = {"name": name, "op": "normalize", "settings": settings, "inputs": ["input"]}
    result.network["layers"] = [first, *result.network["layers"]]
    channels = result.network["input"][0]
    result.parameters[f"{name}/mean"] = np.full(channels, mean, np.float32)
    result.parameters[f"{name}/deviation"] = np.full(channels, deviation, np.float32)
    row = Row("(not in the file)", name, "normalize", tuple(result.network["input"]), 0, "guessed", "see the guesses")
    result.rows.insert(0, row)


class Imports:
    """Imported models, kept for a while; the oldest go first."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._kept: OrderedDict[str, Imported] = OrderedDict()
        self._lock = threading.Lock()

    @staticmethod
    def new_id() -> str:
        return secrets.token_urlsafe(9)

    def keep(self, made: Imported) -> None:
        with self._lock:
            self._kept[made.id] = made
            self._kept.move_to_end(made.id)
            while len(self._kept) > 1 and (
                len(self._kept) > self._most or sum(each.nbytes for each in self._kept.values()) > self._most_bytes
            ):
                self._kept.popitem(last=False)

    def get(self, id: str) -> Imported:
        with self._lock:
            found = self._kept.get(id)
        if found is None:
            raise missing(f"there is no imported model {id[:40]!r} any more; POST the file again")
        return found
