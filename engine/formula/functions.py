"""The scalar functions of the language, each with its derivative, written in the language in terms of ``z``."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

_erfc = np.frompyfunc(math.erfc, 1, 1)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    small = np.exp(-np.abs(z))
    return np.where(np.asarray(z) >= 0, 1 / (1 + small), small / (1 + small))


def _softplus(z: np.ndarray) -> np.ndarray:
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def _normal_distribution(z: np.ndarray) -> np.ndarray:
    """By erfc: 1 + erf would cancel far to the left."""
    return np.asarray(_erfc(-np.asarray(z) / math.sqrt(2)), dtype=np.float64) / 2


def _normal_density(z: np.ndarray) -> np.ndarray:
    return np.exp(-np.square(z) / 2) / math.sqrt(2 * math.pi)


FUNCTIONS: dict[str, tuple[Callable, str]] = {
    "exp": (np.exp, "exp(z)"),
    "expm1": (np.expm1, "exp(z)"),
    "log": (np.log, "1 / z"),
    "sqrt": (np.sqrt, "1 / (2*sqrt(z))"),
    "abs": (np.abs, "sign(z)"),
    "sign": (np.sign, "0"),
    "cos": (np.cos, "-sin(z)"),
    "sin": (np.sin, "cos(z)"),
    "tanh": (np.tanh, "1 - tanh(z)**2"),
    "sigmoid": (_sigmoid, "sigmoid(z)*(1 - sigmoid(z))"),
    "softplus": (_softplus, "sigmoid(z)"),
    "Phi": (_normal_distribution, "phi(z)"),
    "phi": (_normal_density, "-z*phi(z)"),
}

CONSTANTS = {"pi": math.pi}
