"""Giving memory back: what threads have let go of lies in the allocator's rooms until somebody asks for it."""

from __future__ import annotations

import ctypes
import gc
import sys


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
