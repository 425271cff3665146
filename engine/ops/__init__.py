"""Every op of this folder, by name. A new file here is a new op."""

from __future__ import annotations

import importlib
import pkgutil

from engine.ops.base import Op


def _discover() -> dict[str, type[Op]]:
    found = {}
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for item in vars(module).values():
            if isinstance(item, type) and issubclass(item, Op) and "name" in vars(item):
                found[item.name] = item
    return dict(sorted(found.items()))


OPS: dict[str, type[Op]] = _discover()
