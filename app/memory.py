"""Giving memory back: what threads have let go of lies in the allocator's rooms until somebody asks for it."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from contextlib import suppress
from pathlib import Path


def machine_bytes() -> int:
    """Memory that this process may come to use: the container's limit, or else the machine's."""
    found = [8 << 30]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            found.append(int(Path(path).read_text()))
    with suppress(OSError, ValueError, AttributeError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(size for size in found if size > 0)


def give_back(cycles: bool) -> None:
    """Return free pages to the system where it can be told to, after collecting `cycles`, during which no other thread
    works."""
    if cycles:
        gc.collect()
    if sys.platform == "linux":
        try:
            ctypes.CDLL(None).malloc_trim(0)
        except (OSError, AttributeError):  # another C library than glibc
            pass
