"""static --HTTP / WebSocket--> app --imports--> engine, and never the other way."""

from __future__ import annotations

import ast
import graphlib
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
        "PIL",
        "h5py",
        "safetensors",
        "segno",
        "redis",
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
    files = [file for room in ("core", "state") for file in modules(f"{room}/**/*.js")]
    assert files and not [file.name for file in files if touches_document(file.read_text("utf-8"))]


def test_only_the_rooms_of_the_net_know_the_server() -> None:
    knowing = {file for file in modules("**/*.js") if SERVER.search(code_of(file.read_text("utf-8")))}
    assert knowing and {file.parent.name for file in knowing} == {"net"}


@pytest.mark.parametrize(
    "source", ["await fetch(path)", "new WebSocket(url)", "net.get(`api/runs/${id}`)", 'image.src = "/api/datasets"']
)
def test_a_view_that_knows_the_server_would_be_found(source: str) -> None:
    assert SERVER.search(source)


def test_only_the_boot_module_imports_views() -> None:
    files = [file for room in ("core", "state", "net") for file in modules(f"{room}/**/*.js")]
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


def room_of(module: str) -> str:
    """The room of `app` in which a module lies: a file or a folder of its first level."""
    return ".".join(module.split(".")[:2])


def file_imports(package: str) -> dict[str, set[str]]:
    """Every module of a package with the modules of the package that it imports, for types alone included."""
    files = {file: ".".join(file.relative_to(ROOT).with_suffix("").parts) for file in (ROOT / package).rglob("*.py")}
    names = {name.removesuffix(".__init__") for name in files.values()}
    found: dict[str, set[str]] = {}
    for file, name in files.items():
        imported: set[str] = set()
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        own = name.removesuffix(".__init__")
        found[own] = {each for each in imported if each in names and each != own and not own.startswith(f"{each}.")}
    return found


def floors(arrows: dict[str, set[str]]) -> dict[str, int]:
    """How high each stands above what it imports, from 1; CycleError where some import one another."""
    height: dict[str, int] = {}
    for name in graphlib.TopologicalSorter(arrows).static_order():
        height[name] = 1 + max((height[each] for each in arrows[name]), default=0)
    return height


def test_no_modules_import_one_another_in_a_circle() -> None:
    for package in ("engine", "app"):
        imports = file_imports(package)
        faces = {name for name in imports if (ROOT / name.replace(".", "/")).is_dir()}  # an __init__ hands names on
        assert floors({name: each - faces for name, each in imports.items() if name not in faces})


def test_the_application_has_few_rooms_and_their_imports_run_one_way() -> None:
    arrows: dict[str, set[str]] = {}
    for name, imported in file_imports("app").items():
        if name != "app":
            arrows.setdefault(room_of(name), set()).update(map(room_of, imported))
    arrows = {room: each - {room, "app"} for room, each in arrows.items()}
    assert len(arrows) <= 18  # sixteen, the doctor and the classroom
    assert sum(map(len, arrows.values())) <= 74
    assert max(floors(arrows).values()) <= 11


def test_a_circle_of_imports_would_be_found() -> None:
    with pytest.raises(graphlib.CycleError):
        floors({"a": {"b"}, "b": {"a"}})


def test_the_rooms_of_the_page_import_one_way() -> None:
    """core <- state <- net <- view: a module imports from its own room and those before it."""
    order = ["core", "state", "net", "view"]
    wrong = []
    for file in modules("*/**/*.js"):
        room = file.relative_to(ROOT / "static/js").parts[0]
        for target in re.findall(r"""(?:from|import)\s*\(?\s*["'](\.[^"']+)["']""", code_of(file.read_text("utf-8"))):
            other = (file.parent / target).resolve().relative_to(ROOT / "static/js").parts[0]
            if order.index(other) > order.index(room):
                wrong.append((file.name, target))
    assert not wrong
