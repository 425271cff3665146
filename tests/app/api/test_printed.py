"""What the page prints of an explanation evaluates to what is printed, with its power of ten, and to the stored value.

`python -m tests.app.api.test_printed 2000` crawls that many cells of all presets.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from app.formats import documents
from engine.models import MODELS
from engine.trace import Place, Trace, explain
from tests.engine.tools import digits, trainer
from tests.tools import NODE, ROOT


def traces(model: str, steps: int) -> Iterator[tuple[str, Trace]]:
    """A pass and a minibatch's step, untrained and after `steps` updates."""
    preset = MODELS[model]
    shape = tuple(preset.document["input"])
    if shape != (1, 28, 28):
        return
    run = trainer(model, batch_size=8)
    image, target = digits().splits["train"].batch(slice(0, 1))
    for count in (0, steps):
        while run.step < count:
            run.step_once()
        yield f"pass@{count}", run.trace_of(image, target)
        yield f"step@{count}", run.trace(run.step)


def cells(models: list[str], count: int, steps: int, seed: int = 11) -> Iterator[dict[str, Any]]:
    """Explanations of random cells: each tensor as often as any other, of a finite value."""
    rng = np.random.default_rng(seed)
    found = [(model, name, trace) for model in models for name, trace in traces(model, steps)]
    for k in range(count):
        model, name, trace = found[k % len(found)]
        layers = [layer for layer in (*trace.network.layers, "loss") if layer != "target"]
        layer = str(rng.choice(layers))
        tensor = str(rng.choice(trace.tensors(layer)))
        array = np.asarray(trace[layer, tensor])
        index = tuple(int(rng.integers(size)) for size in array.shape)
        explained = explain(trace, Place(layer, tensor, index), per_page=20, order="largest", outside=False)
        if not math.isfinite(explained.value):
            continue
        place = str(Place(layer, tensor, index))
        document = documents.explanation(place, explained)
        yield {**document, "where": f"{model} {name} {place}", "update": "_next" in tensor or "." in tensor}


def crawl(models: list[str], count: int, steps: int) -> list[str]:
    """The cells that are printed wrong, then how many were looked at."""
    lines = "\n".join(json.dumps(cell) for cell in cells(models, count, steps))
    command: list[str | Path] = [NODE, "--import", "./tests/js/vendor.mjs", "tests/js/printed.mjs"]
    done = subprocess.run(command, input=lines, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_what_is_printed_evaluates_to_what_is_printed_and_stored() -> None:
    *wrong, looked = crawl(["classroom"], 200, 10)
    assert wrong == []
    assert int(looked.split()[0]) >= 190


if __name__ == "__main__":
    *faults, total = crawl(list(MODELS), int(sys.argv[1]), 20)
    print("\n".join(faults))
    print(total, len(faults), "faults", Counter(fault.split(" ", 1)[0] for fault in faults))
