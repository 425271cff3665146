"""The wheel: complete without a checkout, and what the build hook keeps in it."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from tests.server import serve
from tests.tools import ROOT


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hook", ROOT / ".build/hook.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what `pip install .` would put into site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def checkout(tmp_path: Path, hook: ModuleType) -> Path:
    """What the hook reads and writes, copied so that it can be spoiled."""
    for name in (".build/hook.py", "static/package.json", "static/package-lock.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("static/vendor", "engine/mnist"):
        shutil.copytree(ROOT / name, tmp_path / name)
    assert hook.is_fresh(tmp_path)
    return tmp_path


def test_an_installed_convscope_serves_its_pages_from_any_folder(installed: Path, tmp_path: Path) -> None:
    with serve(tmp_path, cwd=tmp_path, path=installed) as server:
        assert b'"importmap"' in server.read("/")
        assert b"conv2d" in server.read("/docs") and b"find_the_bug" in server.read("/programmers")
        assert server.read("/static/vendor/preact.js") == (ROOT / "static/vendor/preact.js").read_bytes()
        assert server.get("/api/datasets/mnist/test/0")["label"] == 7
        assert b"def conv2d" in server.read("/convscope.py")


def test_the_client_is_installed_as_a_module_of_its_own(installed: Path, tmp_path: Path) -> None:
    code = "import convscope; print(convscope.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert Path(found.stdout.decode().strip()) == installed / "convscope.py"


def test_what_only_developers_need_is_not_installed(installed: Path) -> None:
    found = {each.name for each in (installed / "app/static").iterdir()}
    assert found == {"css", "icon.svg", "img", "js", "locale", "vendor"}


def test_the_wheel_holds_the_pages_the_libraries_and_the_digits_and_no_tests(installed: Path, hook: ModuleType) -> None:
    for name in (*hook.MODULES, *hook.FONTS, *hook.LICENCES):
        assert (installed / "app/static/vendor" / name).is_file()
    for name in hook.MNIST:
        assert (installed / "engine/mnist" / f"{name}.gz").is_file()
    assert (installed / "app/templates/index.html").is_file()
    folders = {path.name for path in installed.iterdir() if path.is_dir() and path.suffix != ".dist-info"}
    assert folders - {"__pycache__"} == {"app", "engine"}


def test_the_digits_are_mnist_to_the_last_byte(hook: ModuleType) -> None:
    for name, expected in hook.MNIST.items():
        data = gzip.decompress((ROOT / "engine/mnist" / f"{name}.gz").read_bytes())
        assert hashlib.sha256(data).hexdigest() == expected


def test_compressing_twice_gives_the_same_bytes(hook: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    first = hook.compress(b"digits")
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert hook.compress(b"digits") == first


def test_a_fresh_checkout_asks_for_no_build_tools(checkout: Path, hook: ModuleType) -> None:
    builder = hook.CustomBuildHook(str(checkout), {}, None, None, "", "wheel")
    assert builder.dependencies() == []
    (checkout / "static/vendor/htm.js").unlink()
    assert builder.dependencies() == hook.BUILD_TOOLS


@pytest.mark.parametrize(
    "name",
    ["static/package-lock.json", ".build/hook.py", "static/vendor/.stamp"],
)
def test_a_changed_lock_hook_or_stamp_builds_again(checkout: Path, hook: ModuleType, name: str) -> None:
    with (checkout / name).open("a") as file:
        file.write("changed")
    assert not hook.is_fresh(checkout)


@pytest.mark.parametrize("name", ["static/vendor/stix-two-math.woff2", "engine/mnist/t10k-labels-idx1-ubyte.gz"])
def test_a_missing_file_builds_again(checkout: Path, hook: ModuleType, name: str) -> None:
    (checkout / name).unlink()
    assert not hook.is_fresh(checkout)
