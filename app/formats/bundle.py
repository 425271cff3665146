"""What is kept on disk: a document and arrays in one .npz file, JSON in the member `document`. No pickles."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from app.formats import npz

DOCUMENT = "document"


class Damaged(ValueError):
    """A file that is not what was written."""


def pack(document: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    return npz.archived(arrays, **{f"{DOCUMENT}.json": json.dumps(document).encode()})


def unpack(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The document and the arrays, checked against their checksums. Raises Damaged."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            document = json.loads(archive.read(f"{DOCUMENT}.json"))
            arrays = {
                name.removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
                for name in archive.namelist()
                if name.endswith(".npy")
            }
    except Exception as error:  # a damaged archive may go wrong in every way
        raise Damaged(f"{type(error).__name__}: {error}") from None
    if not isinstance(document, dict):
        raise Damaged("its document is no object")
    return document, arrays


def under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays with `prefix` before each name; `below` takes them out again."""
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


def below(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    start = f"{prefix}/"
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
