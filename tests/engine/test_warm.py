"""Kernels are compiled ahead, once; then nothing compiles any more. The engine's own folder need not be writable."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import warm
from tests.tools import ROOT

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


FIRST = """
import numpy as np
from engine.kernels import CACHE_DIRECTORY
from engine.ops import OPS
relu = OPS["relu"]()
print(relu.forward({"x": np.array([-1.0, 2.0])})["y"], any(CACHE_DIRECTORY.rglob("*.nbc")))
"""


def python(*arguments: str, cache: Path, root: Path = ROOT) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """The root of a copy of the engine that cannot be written."""
    root = tmp_path / "read-only"
    shutil.copytree(ROOT / "engine", root / "engine", ignore=shutil.ignore_patterns("__pycache__", "mnist"))
    for path in [*root.rglob("*"), root]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield root
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def few_jobs(monkeypatch: pytest.MonkeyPatch, step: str) -> list[str]:
    """Warming where nothing is warm and three jobs do nothing, with this source in place of the fast step's process;
    what is done, in its order."""
    done: list[str] = []
    start = subprocess.Popen
    monkeypatch.setattr(warm, "is_warm", lambda: False)
    monkeypatch.setattr(warm, "mark_warm", lambda: done.append("marked"))
    monkeypatch.setattr(warm, "jobs", lambda: [(name, lambda name=name: done.append(name)) for name in "abc"])
    monkeypatch.setattr(subprocess, "Popen", lambda _, **pipes: start([sys.executable, "-c", step], **pipes))
    return done


def test_warming_counts_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    done = few_jobs(monkeypatch, "")
    told = list(warm.warm())
    assert [(count, total) for count, total, _ in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    names = [name for *_, name in told]
    assert sorted(names) == ["a", "b", "c", warm.STEP]
    assert done == ["a", "b", "c", "marked"]


def test_nothing_is_called_warm_when_the_fast_step_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    done = few_jobs(monkeypatch, "raise SystemExit(3)")
    with pytest.raises(RuntimeError, match="step was not compiled: its process ended with 3"):
        list(warm.warm())
    assert done == ["a", "b", "c"]


def test_what_training_needs_is_compiled_first() -> None:
    names = [name for name, _ in warm.jobs()]
    assert names[:3] == ["conv2d float32", "relu float32", "max_pool2d float32"]
    assert all(name.endswith("float64") for name in names[len(names) // 2 :])


def test_a_warm_cache_has_nothing_left_to_do(warmed: Path) -> None:
    assert python("-m", "engine.warm", cache=warmed) == ""


def test_training_compiles_nothing_once_warm(warmed: Path) -> None:
    assert python("-c", TRAIN, cache=warmed) == "nothing compiled\n"


def test_a_cold_cache_is_known_to_be_cold(tmp_path: Path) -> None:
    assert python("-c", "from engine.kernels import is_warm; print(is_warm())", cache=tmp_path) == "False\n"


def test_the_engines_own_folder_is_not_written(read_only: Path, tmp_path: Path) -> None:
    assert python("-c", FIRST, cache=tmp_path / "cache", root=read_only) == "[0. 2.] True\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked for memory back")
def test_the_compiler_is_put_away_and_found_again(tmp_path: Path) -> None:
    (tmp_path / "resident.py").write_text(RESIDENT)  # numba reads a kernel's source from its file
    assert float(python("-c", f"import runpy; runpy.run_path({str(tmp_path / 'resident.py')!r})", cache=tmp_path)) > 20
