"""From a bare Python: what decides whether anything is installed, and what is said when it cannot be."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from app import bootstrap
from tests.tools import ROOT


class Restarted(Exception):
    pass


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with an installed `.venv`, seen from a Python outside it; a restart raises Restarted(python)."""
    for name in bootstrap.INPUTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    for name in (".venv/bin/python", ".venv/Scripts/python.exe", "static/vendor/.stamp", "engine/mnist/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "LOG", tmp_path / ".venv/install.log")
    pip_offline = [sys.executable, "-c", "print('no route to host'); raise SystemExit(1)"]
    monkeypatch.setattr(bootstrap, "_pip", lambda: pip_offline)
    monkeypatch.setattr(bootstrap, "_installed_by_hand", lambda extra: False)

    def restart(python: Path, module: str) -> None:
        raise Restarted(python)

    monkeypatch.setattr(bootstrap, "_restart", restart)
    for extra in ("", "test"):
        bootstrap._stamp(extra).write_text(bootstrap._digest() + "\n")
    return tmp_path


def test_a_second_start_installs_nothing_and_goes_on_inside(checkout: Path) -> None:
    with pytest.raises(Restarted) as restarted:
        bootstrap.ensure("app")
    assert restarted.value.args[0] == bootstrap._python()


def test_inside_a_current_environment_nothing_happens(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(checkout / ".venv"))
    bootstrap.ensure("app")
    bootstrap.ensure("tests", extra="test")


@pytest.mark.parametrize("name", bootstrap.INPUTS)
def test_a_changed_input_installs_again(checkout: Path, name: str) -> None:
    (checkout / name).write_text("changed")
    with pytest.raises(SystemExit, match=r"could not be installed .* needs the internet"):
        bootstrap.ensure("app")


@pytest.mark.parametrize("name", ["static/vendor", "engine/mnist", ".venv/convscope.installed"])
def test_something_missing_installs_again(checkout: Path, name: str) -> None:
    path = checkout / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(SystemExit):
        bootstrap.ensure("app")


def test_a_failed_install_shows_why_and_leaves_no_stamp(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "pyproject.toml").write_text("changed")
    with pytest.raises(SystemExit):
        bootstrap.ensure("tests", extra="test")
    assert "no route to host" in capsys.readouterr().err
    assert not list((checkout / ".venv").glob("*installed"))


def test_an_environment_installed_by_hand_is_used_as_it_is(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_installed_by_hand", lambda extra: True)
    bootstrap.ensure("app")


def test_an_installed_convscope_makes_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    bootstrap.ensure("app")


def test_a_python_too_old_is_told_so(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 6, "final", 0))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 to 3\.14; this is 3\.9\.6"):
        bootstrap.ensure("app")


def test_a_newer_python_on_the_path_is_taken_instead(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 6, "final", 0))
    monkeypatch.setattr(shutil, "which", lambda name: "/there/python3.12" if name == "python3.12" else None)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=0))
    with pytest.raises(Restarted) as restarted:
        bootstrap.ensure("app")
    assert restarted.value.args[0] == Path("/there/python3.12")


def test_an_older_python_can_read_it_and_it_needs_only_the_standard_library() -> None:
    for name in ("app/__init__.py", "app/__main__.py", "app/bootstrap.py", "tests/__init__.py", "tests/__main__.py"):
        ast.parse((ROOT / name).read_text("utf-8"), feature_version=(3, 8))
    tree = ast.parse((ROOT / "app/bootstrap.py").read_text("utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


def test_the_pythons_it_takes_are_those_of_the_project_file() -> None:
    (low, high), text = (bootstrap.OLDEST, bootstrap.NEWEST), (ROOT / "pyproject.toml").read_text("utf-8")
    assert f'requires-python = ">={low[0]}.{low[1]},<{high[0]}.{high[1] + 1}"' in text
