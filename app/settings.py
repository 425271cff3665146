"""What the server was started with."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from app.limits import Limits

FIRST_PORT = 8000


@dataclass(frozen=True)
class Settings:
    """`warm` false leaves the kernels' cache alone; `welcome_steps` is how long the welcome run trains; `shared`
    lets only whoever made a run change it; `allow_embed` are the origins whose pages may show a step in a frame;
    `public_url` is where others find the server, where that is not as they ask; `admin_token` lets a lecturer change
    every run; `redis` is where rooms are kept, "" for a file in `data_dir`; `lessons` is a folder of a teacher's own;
    `threads` that train, None for as many as there are cores."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int | None = None
    open_browser: bool = True
    allow_hosts: tuple[str, ...] = ()
    allow_origins: tuple[str, ...] = ()
    allow_embed: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    public_url: str = ""
    admin_token: str = ""
    redis: str = ""
    root_path: str = ""
    limits: Limits = field(default_factory=Limits)
    lessons: Path | None = None
    warm: bool = True
    welcome_steps: int = 120
    shared: bool = False
    threads: int | None = None
    log: str = "warning"


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


#: Folders for this start alone.
_temporary: list[Path] = []


def remove_temporary_folders() -> None:
    """As the last thing that a server does."""
    while _temporary:
        shutil.rmtree(_temporary.pop(), ignore_errors=True)


def keep_kernels_in(data_dir: Path) -> str:
    """Name the folder of compiled kernels; Numba reads it once, when it is first imported.

    Where it cannot be written a temporary one takes its place, for this start alone, and what to say about it is
    answered.
    """
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or data_dir / "numba")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            complaint = ""
    except OSError as error:
        wanted, reason = folder, error.strerror or str(error)
        folder = Path(tempfile.mkdtemp(prefix="convscope-"))
        _temporary.append(folder)
        complaint = (
            f"{wanted} cannot be written ({reason}): the compiled kernels go into {folder}, and the next start has to "
            "compile them again. Choose another folder with --data."
        )
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    return complaint
