"""Where the pages and what they load lie: beside `app` in a checkout, inside it once installed."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def static_dir() -> Path:
    return _folder("static")


def templates_dir() -> Path:
    return _folder("templates")


def client_file() -> Path:
    """The client that is one file; an installation has it as the module `convscope`, beside `app`."""
    installed, checkout = PACKAGE.parent / "convscope.py", PACKAGE / "site/client/convscope.py"
    return checkout if checkout.is_file() else installed


def _folder(name: str) -> Path:
    installed, checkout = PACKAGE / name, PACKAGE.parent / name
    return installed if installed.is_dir() else checkout
