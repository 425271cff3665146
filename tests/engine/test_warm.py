"""Kernels are compiled ahead, once; then nothing compiles any more. The engine's own folder need not be writable."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.warm import jobs

ROOT = Path(__file__).parents[2]

TRAIN = """
import numpy as np
from engine.kernels import Kernel, is_warm
from engine.models import MODELS
from engine.network import Network
from engine.data import from_arrays
from engine.train import Trainer, optimizer_from
assert is_warm()
for name in ("classroom", "lenet5", "seed"):
    model = MODELS[name]
    data = from_arrays(np.zeros((4, 1, 28, 28), np.uint8), np.arange(4))
    run = Trainer(Network.from_document(model.document), data, optimizer_from(model.defaults["optimizer"]), 2)
    run.step_once()
    run.trace(1), run.trace_of(*data.splits["train"].batch(slice(0, 1))), run.evaluate()
from engine import optimizers
from engine.fast import step, winograd
from engine.ops import activations, conv2d, linear, losses, pool
for module in (activations, conv2d, linear, losses, pool, optimizers, step, winograd):
    for kernel in vars(module).values():
        if isinstance(kernel, Kernel):
            assert not kernel.compiled.stats.cache_misses, kernel.name
print("nothing compiled")
"""

RESIDENT = """
import re
from pathlib import Path
from engine import kernels
def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
@kernels.kernel
def twice(x):
    return 2 * x
assert twice(2) == 4
before = resident()
kernels.put_compiler_away()
print(before - resident())
assert twice(2.5) == 5
"""


def python(*arguments: str, cache: Path, root: Path = ROOT) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=root, capture_output=True, text=True,
                          env={**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def warmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, str]]:
    """A copy of the engine that cannot be written, a cache, and what warming it printed."""
    folder = tmp_path_factory.mktemp("warm")
    root, cache = folder / "read-only", folder / "cache"
    shutil.copytree(ROOT / "engine", root / "engine", ignore=shutil.ignore_patterns("__pycache__", "mnist"))
    for path in [*root.rglob("*"), root]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    printed = python("-m", "engine.warm", cache=cache, root=root)
    yield root, cache, printed
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_warming_counts_what_it_does_training_first(warmed: tuple[Path, Path, str]) -> None:
    lines = warmed[2].splitlines()
    total = len(jobs())
    assert [line.split(" ")[0] for line in lines] == [f"{done}/{total}" for done in range(1, total + 1)]
    assert all(re.fullmatch(r"\d+/\d+ \w+ float(32|64)", line) for line in lines)
    assert lines[0].endswith("step float32") and "float64" in lines[-1]


def test_a_warm_cache_has_nothing_left_to_do(warmed: tuple[Path, Path, str]) -> None:
    root, cache, _ = warmed
    assert python("-m", "engine.warm", cache=cache, root=root) == ""


def test_training_compiles_nothing_once_warm(warmed: tuple[Path, Path, str]) -> None:
    root, cache, _ = warmed
    assert python("-c", TRAIN, cache=cache, root=root) == "nothing compiled\n"


def test_a_cold_cache_is_known_to_be_cold(warmed: tuple[Path, Path, str], tmp_path: Path) -> None:
    root, _, _ = warmed
    assert python("-c", "from engine.kernels import is_warm; print(is_warm())", cache=tmp_path, root=root) == "False\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked for memory back")
def test_the_compiler_is_put_away_and_found_again(tmp_path: Path) -> None:
    (tmp_path / "resident.py").write_text(RESIDENT)  # numba reads a kernel's source from its file
    assert float(python("-c", f"import runpy; runpy.run_path({str(tmp_path / 'resident.py')!r})", cache=tmp_path)) > 20
