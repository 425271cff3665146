"""What the server was started with."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from app.limits import Limits

FIRST_PORT = 8000


@dataclass(frozen=True)
class Settings:
    """`warm` false leaves the kernels' cache alone; `welcome_steps` is how long the welcome run trains."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int | None = None
    open_browser: bool = True
    allow_hosts: tuple[str, ...] = ()
    root_path: str = ""
    limits: Limits = field(default_factory=Limits)
    warm: bool = True
    welcome_steps: int = 120


def default_data_dir() -> Path:
    """Where this system keeps an application's data; CONVSCOPE_DATA comes first."""
    if given := os.environ.get("CONVSCOPE_DATA"):
        return Path(given).expanduser()
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "convscope"
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "convscope"
    return Path(os.environ.get("XDG_DATA_HOME", home / ".local" / "share")) / "convscope"


def keep_kernels_in(data_dir: Path) -> None:
    """Name the folder of compiled kernels; Numba reads it once, when it is first imported."""
    os.environ.setdefault("NUMBA_CACHE_DIR", str(data_dir / "numba"))
