"""The checks that are not Python's own: linters, types, the browser's pure modules."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import NODE, ROOT, page_tools

FOREIGN = re.compile(r"(?:https?:|wss?:|[\"'(])//(?!www\.w3\.org/)[\w-]+(?:\.[\w-]+)+")


def succeeds(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_finds_nothing() -> None:
    succeeds(sys.executable, "-m", "ruff", "check", "--quiet", ROOT)


def test_ruff_would_format_nothing() -> None:
    succeeds(sys.executable, "-m", "ruff", "format", "--check", "--quiet", ROOT)


@pytest.mark.parametrize("check", ["format", "lint"])
def test_biome_finds_nothing_in_the_browsers_modules_and_styles(check: str) -> None:
    biome = page_tools() / "@biomejs" / "biome" / "bin" / "biome"
    succeeds(NODE, biome, check, "--error-on-warnings", f"--config-path={ROOT / '.biome.json'}", ROOT)


def test_no_line_of_the_page_is_longer_than_120_characters() -> None:
    """No formatter breaks markup in templates, or comments."""
    files = [*(ROOT / "static/js").rglob("*.js"), *(ROOT / "tests/js").rglob("*.mjs"), ROOT / "static/types.d.ts"]
    long = [
        (file.name, number)
        for file in files
        for number, line in enumerate(file.read_text("utf-8").split("\n"), 1)
        if len(line) > 120
    ]
    assert files and not long


def test_mypy_finds_nothing() -> None:
    succeeds(sys.executable, "-m", "mypy", "--no-error-summary")


def test_typescript_finds_nothing_in_the_browsers_modules() -> None:
    tsc = page_tools() / "typescript" / "bin" / "tsc"
    succeeds(NODE, tsc, "--project", ROOT / "static")


def test_typescript_would_find_a_wrong_type(tmp_path: Path) -> None:
    (tmp_path / "wrong.js").write_text("/** @type {number} */\nexport const three = 'three';\n")
    options = json.loads((ROOT / "static/tsconfig.json").read_text())["compilerOptions"] | {"paths": {}}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "include": ["*.js"]}))
    tsc = page_tools() / "typescript" / "bin" / "tsc"
    done = subprocess.run([NODE, tsc, "--project", tmp_path], capture_output=True, text=True)
    assert "wrong.js(2,14)" in done.stdout


def test_the_browsers_pure_modules_pass_their_own_tests() -> None:
    files = sorted((ROOT / "tests/js").rglob("*.test.mjs"))
    assert files
    succeeds(NODE, "--import", "./tests/js/vendor.mjs", "--test", *files)


def test_no_page_names_a_foreign_host() -> None:
    own = [ROOT / "static/css", ROOT / "static/js", ROOT / "templates", ROOT / "static/vendor"]
    files = [file for folder in own for file in folder.rglob("*") if file.suffix in (".css", ".js", ".html", ".svg")]
    named = {str(file.relative_to(ROOT)): FOREIGN.findall(file.read_text("utf-8")) for file in files}
    assert not {file: hosts for file, hosts in named.items() if hosts}


@pytest.mark.parametrize(
    "line",
    [
        '<script src="https://cdn.example.com/x.js">',
        '<img src="//cdn.example.com/x.png">',
        "@import url(//fonts.example.com/css);",
        'new WebSocket("wss://example.com/stream")',
    ],
)
def test_a_foreign_host_would_be_found(line: str) -> None:
    assert FOREIGN.search(line)


@pytest.mark.parametrize("lock", ["static/package-lock.json", "tests/browser/package-lock.json"])
def test_a_lock_file_pins_by_content_and_names_no_registry(lock: str) -> None:
    packages = json.loads((ROOT / lock).read_text())["packages"]
    packages.pop("")
    assert packages
    assert all("integrity" in package and "resolved" not in package for package in packages.values())


def test_ci_runs_the_readmes_test_command() -> None:
    command = "python3 -m tests"
    assert f"    {command} " in (ROOT / "README.md").read_text("utf-8")
    assert f"exec {command}\n" in (ROOT / ".ci/run").read_text("utf-8")
    assert os.access(ROOT / ".ci/run", os.X_OK)
