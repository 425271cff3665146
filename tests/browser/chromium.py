"""Finds a Chromium for the tests, or brings one that needs neither root nor the system's libraries and fonts."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.tools import CACHE, NODE, node_modules

PLAIN = ["--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update"]
COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
APPLICATIONS = (
    "Google Chrome.app/Contents/MacOS/Google Chrome",
    "Chromium.app/Contents/MacOS/Chromium",
    "Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
PROGRAMS = (
    "Google/Chrome/Application/chrome.exe",
    "Chromium/Application/chrome.exe",
    "Microsoft/Edge/Application/msedge.exe",
)
INFLATE = """
const { createReadStream, createWriteStream } = require("node:fs");
const { createBrotliDecompress } = require("node:zlib");
const [source, target] = process.argv.slice(1);
createReadStream(source).pipe(createBrotliDecompress()).pipe(createWriteStream(target, { mode: 0o755 }));
"""
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{folder}/fonts</dir><cachedir>{folder}/fonts/cache</cachedir></fontconfig>
"""


@dataclass(frozen=True)
class Chromium:
    path: Path
    args: list[str] = field(default_factory=lambda: list(PLAIN))
    env: dict[str, str] = field(default_factory=dict)


def provide() -> Chromium:
    """CONVSCOPE_CHROMIUM, else an installed Chromium, Chrome or Edge, else the one from npm."""
    if given := os.environ.get("CONVSCOPE_CHROMIUM"):
        if not Path(given).is_file():
            raise FileNotFoundError(f"CONVSCOPE_CHROMIUM names no file: {given}")
        return Chromium(Path(given))
    found = installed()
    return Chromium(found) if found else carried()


def installed() -> Path | None:
    for command in COMMANDS:
        if path := shutil.which(command):
            return Path(path)
    if sys.platform == "darwin":
        places = [base / app for base in (Path("/Applications"), Path.home() / "Applications") for app in APPLICATIONS]
    else:
        bases = [os.environ.get(name) for name in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")]
        places = [Path(base) / program for base in bases if base for program in PROGRAMS]
    return next((place for place in places if place.is_file()), None)


def carried() -> Chromium:
    """Chromium as built for bare Linux hosts, with the NSS libraries, fonts and software renderer that come with it."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise RuntimeError("no Chromium, Chrome or Edge was found: install one, or name it in CONVSCOPE_CHROMIUM")
    lock = Path(__file__).with_name("package-lock.json")
    folder = CACHE / "chromium"
    stamp = folder / "unpacked"
    if not stamp.is_file() or stamp.read_text() != lock.read_text():
        packed = node_modules(lock) / "@sparticuz/chromium/bin"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _inflate(packed / "chromium.br", folder / "chromium")
        for name, place in (("al2023", folder / "al2023"), ("fonts", folder / "fonts"), ("swiftshader", folder)):
            archive = folder / f"{name}.tar"
            _inflate(packed / f"{name}.tar.br", archive)
            shutil.unpack_archive(archive, place, "tar")
            archive.unlink()
        (folder / "fonts.conf").write_text(FONTS.format(folder=folder))
        stamp.write_text(lock.read_text())
    return Chromium(
        folder / "chromium",
        [*PLAIN, "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        {"LD_LIBRARY_PATH": str(folder / "al2023/lib"), "FONTCONFIG_FILE": str(folder / "fonts.conf")},
    )


def _inflate(source: Path, target: Path) -> None:
    subprocess.run([NODE, "-e", INFLATE, source, target], check=True)
