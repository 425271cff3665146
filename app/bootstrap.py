"""From a bare Python to a running Convscope: makes `.venv` in the checkout, installs into it and starts again inside.

Standard library only, and plain enough that an older Python reads it far enough to say that it is too old. An installed
Convscope never comes here further than the first question.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
LOG = VENV / "install.log"
OLDEST, NEWEST = (3, 11), (3, 14)  # what pyproject.toml's requires-python says
INPUTS = ("pyproject.toml", "static/package.json", "static/package-lock.json", ".build/hook.py")


def ensure(module: str, extra: str = "") -> None:
    """Return inside a Python that has Convscope and `extra` installed; otherwise make one and run `module` there."""
    if not (ROOT / "pyproject.toml").is_file():
        return
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        _restart(_another_python(), module)
    inside = Path(sys.prefix).resolve() == VENV.resolve()
    if not inside and _installed_by_hand(extra):
        return
    if not _is_current(extra):
        _install(extra)
    elif inside:
        return
    _restart(_python(), module)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _python() -> Path:
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _another_python() -> Path:
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
            return Path(found)
    here = ".".join(map(str, sys.version_info[:3]))
    sys.exit(
        f"Convscope needs Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}; this is {here} "
        f"({sys.executable}), and no other was found."
    )


def _installed_by_hand(extra: str) -> bool:
    """True in an environment into which somebody has installed the project on their own terms."""
    try:
        importlib.metadata.distribution("convscope")
    except importlib.metadata.PackageNotFoundError:
        return False
    return not extra or importlib.util.find_spec("pytest") is not None


def _stamp(extra: str) -> Path:
    return VENV / ".".join(filter(None, ("convscope", extra, "installed")))


def _digest() -> str:
    """Of everything that decides what is installed; the folder too, which an editable install points at."""
    parts = [str(ROOT).encode(), *((ROOT / name).read_bytes() for name in INPUTS)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _is_current(extra: str) -> bool:
    made = (_python(), _stamp(extra), ROOT / "static/vendor/.stamp", ROOT / "engine/mnist")
    return all(path.exists() for path in made) and _stamp(extra).read_text().strip() == _digest()


def _install(extra: str) -> None:
    _say(f"Convscope: installing into {VENV}")
    pip = _pip()
    for stamp in VENV.glob("convscope.*installed"):
        if stamp.read_text().strip() != _digest():
            stamp.unlink()
    _say("  fetching the Python packages, the browser libraries and MNIST (about 200 MB, under a minute)…")
    target = f"{ROOT}[{extra}]" if extra else str(ROOT)
    command = [*pip, "install", "--disable-pip-version-check", "--no-input", "--editable", target]
    with LOG.open("w", encoding="utf-8") as log:
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT)
    if done.returncode:
        last = LOG.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-15:]
        _say("\n".join(f"    {line}" for line in last))
        sys.exit(
            "Convscope could not be installed (the whole log is in .venv/install.log). The first start needs the "
            "internet, to reach the Python and npm package registries; later ones do not."
        )
    for name in {"", extra}:
        _stamp(name).write_text(_digest() + "\n", encoding="utf-8")
    _say("  done.")


def _pip() -> list[str]:
    """The command that installs into `.venv`, which is made anew where none works."""
    base = getattr(sys, "_base_executable", sys.executable)
    inside = [str(_python()), "-m", "pip"]
    outside = [base, "-m", "pip", "--python", str(_python())]  # for environments made without a pip, by uv say
    for pip in (inside, outside):
        if _works(pip):
            return pip
    # Debian and Ubuntu may lack ensurepip, which is in python3-venv, and yet have a pip.
    for options, pip in (([], inside), (["--without-pip"], outside)):
        make = [base, "-m", "venv", "--clear", *options, str(VENV)]
        if subprocess.run(make, capture_output=True).returncode == 0 and _works(pip):
            return pip
    sys.exit(
        f"Convscope could not make a virtual environment in {VENV}: either the folder cannot be written, or this "
        "Python has neither ensurepip nor pip (on Debian and Ubuntu: apt install python3-venv)."
    )


def _works(pip: list[str]) -> bool:
    try:
        return subprocess.run([*pip, "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


def _restart(python: Path, module: str) -> None:
    command = [str(python), "-m", module, *sys.argv[1:]]
    if os.name != "nt":
        os.execv(python, command)
    # Windows would return to the prompt at once: stay, and leave Ctrl-C to the child.
    child = subprocess.Popen(command)
    while True:
        try:
            sys.exit(child.wait())
        except KeyboardInterrupt:
            continue
