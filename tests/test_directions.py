"""static --HTTP / WebSocket--> app --imports--> engine, and never the other way."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from engine.ops import OPS
from tests.tools import ROOT

WEB = {"asyncio", "http", "json", "selectors", "socket", "socketserver", "ssl", "urllib", "wsgiref", "xmlrpc"}
ALLOWED = {
    "engine": {"engine", "numpy", "numba", "llvmlite"} | set(sys.stdlib_module_names) - WEB,
    "app": {
        "app",
        "engine",
        "numpy",
        "fastapi",
        "starlette",
        "pydantic",
        "pydantic_core",
        "uvicorn",
        "jinja2",
        "markupsafe",
        "safetensors",
    }
    | set(sys.stdlib_module_names),
}
DOM = re.compile(r"(?<![\w$.'\"`-])(document|window)\s*[.\[)]")
A_WINDOW = re.compile(r"\b(?:const|let)\s+window\b")  # a kernel's window, not the browser's
SERVER = re.compile(r"""(?<![.\w])fetch\s*\(|\b(?:WebSocket|XMLHttpRequest|EventSource)\b|["'`]/?api/""")
WORDS = {"add", "linear"}  # which a browser also means otherwise


def wrong_imports(package: str, source: str) -> set[str]:
    """Modules that `source`, a file of `package`, imports and must not know."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found - ALLOWED[package]


def code_of(source: str) -> str:
    """JavaScript without its comments."""
    return re.sub(r"/\*.*?\*/|^\s*//.*$", "", source, flags=re.S | re.M)


def touches_document(source: str) -> bool:
    names = set(DOM.findall(code_of(source)))
    return bool(names - {"window"} if A_WINDOW.search(source) else names)


def op_names(source: str) -> set[str]:
    """Operators that a piece of the page names in quotes: drawing knows tensors and reads, never op names."""
    return {name for name in OPS.keys() - WORDS if re.search(rf"[\"'`]{name}[\"'`]", code_of(source))}


def rooms_of_the_map() -> set[str]:
    """What ARCHITECTURE.md says that there is: the first column of its table."""
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "ARCHITECTURE.md").read_text("utf-8"), re.M)
    return {room for row in rows for room in re.findall(r"`([^`]+)`", row)}


def modules(pattern: str) -> list[Path]:
    return sorted((ROOT / "static/js").glob(pattern))


@pytest.mark.parametrize("package", ["engine", "app"])
def test_no_import_runs_the_wrong_way(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    wrong = {str(file.relative_to(ROOT)): wrong_imports(package, file.read_text("utf-8")) for file in files}
    assert not {file: names for file, names in wrong.items() if names}


def test_only_the_views_know_the_document() -> None:
    files = [file for file in modules("*.js") if file.name != "main.js"]
    assert not [file.name for file in files if touches_document(file.read_text("utf-8"))]


def test_only_the_rooms_of_the_net_know_the_server() -> None:
    knowing = {file for file in modules("**/*.js") if SERVER.search(code_of(file.read_text("utf-8")))}
    assert knowing and {file.parent.name for file in knowing} == {"net"}


@pytest.mark.parametrize(
    "source", ["await fetch(path)", "new WebSocket(url)", "net.get(`api/runs/${id}`)", 'image.src = "/api/datasets"']
)
def test_a_view_that_knows_the_server_would_be_found(source: str) -> None:
    assert SERVER.search(source)


def test_only_the_boot_module_imports_views() -> None:
    files = [file for pattern in ("*.js", "net/*.js") for file in modules(pattern) if file.name != "main.js"]
    assert not [file.name for file in files if re.search(r"from\s+\"[^\"]*view/", file.read_text("utf-8"))]


def test_drawing_never_names_an_operator() -> None:
    named = {file.name: op_names(file.read_text("utf-8")) for file in modules("**/*.js")}
    assert not {file: names for file, names in named.items() if names}


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("engine", "import app.main"),
        ("engine", "from app import places"),
        ("engine", "import json"),
        ("engine", "def f():\n    from asyncio import sleep"),
        ("engine", "import fastapi"),
        ("app", "from tests.server import serve"),
        ("app", "import torch.nn as nn"),
    ],
)
def test_a_wrong_import_would_be_found(package: str, source: str) -> None:
    assert wrong_imports(package, source)


@pytest.mark.parametrize("source", ["document.title = 'x'", "const w = window['x']", "f(document.body)"])
def test_a_pure_module_that_touches_the_document_would_be_found(source: str) -> None:
    assert touches_document(source)


def test_a_kernels_window_is_not_the_browsers() -> None:
    assert not touches_document("const window = reads[0];\nconst axes = window.axes;")


def test_a_view_that_names_an_operator_would_be_found() -> None:
    assert op_names('if (layer.op === "conv2d") drawKernel();') == {"conv2d"}
    assert not op_names('// "conv2d" in a comment\nclasses.add("linear");')


def test_the_map_names_rooms_that_exist() -> None:
    rooms = rooms_of_the_map()
    assert rooms
    assert not [room for room in rooms if not any(ROOT.glob(room))]


def test_every_module_of_the_engine_and_the_application_is_on_the_map() -> None:
    there = {
        path.relative_to(ROOT)
        for package in ("engine", "app")
        for path in (ROOT / package).iterdir()
        if (path.suffix == ".py" and not path.stem.startswith("__")) or (path / "__init__.py").is_file()
    }
    assert there
    assert {path.as_posix() + "/" * (not path.suffix) for path in there} <= rooms_of_the_map()
