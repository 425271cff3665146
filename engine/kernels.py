"""The one door to Numba: compiled loops that release the GIL, are cached on disk and are the same at every call.

A kernel may call parts of any file. Numba's own cache would look for changes in the kernel's file alone, so it is told
what all of them hold.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

#: Sums may be reordered and fused so that they vectorise; NaN and infinity keep their meaning.
SUMS = {"reassoc", "contract", "nsz"}


def _cache_directory() -> Path:
    """Where compiled kernels live: NUMBA_CACHE_DIR when set, else the user's cache, else a temporary folder."""
    wanted = os.environ.get("NUMBA_CACHE_DIR") or numba.config.CACHE_DIR
    if wanted:
        return Path(wanted)
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    try:
        folder = home.expanduser() / "convscope" / "numba"
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except (OSError, RuntimeError):
        pass
    owner = os.getuid() if hasattr(os, "getuid") else "own"  # Windows has a temporary folder for each user
    return Path(tempfile.gettempdir()) / f"convscope-numba-{owner}"


CACHE_DIRECTORY = _cache_directory()
numba.config.CACHE_DIR = str(CACHE_DIRECTORY)


class Kernel:
    """A compiled function for Python to call.

    Arrays arrive C-contiguous and writable in the compiled loop, whatever they were outside, so that there is one
    compiled version for each dtype.
    """

    def __init__(self, function: Callable[..., Any], fastmath: Any):
        self.name = function.__name__
        self.__doc__ = function.__doc__
        self.compiled = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=fastmath)(function)
        self.compiled._cache._cache_file._source_stamp = _digest(_sources(function, set())).hexdigest()

    def __call__(self, *arguments: Any) -> Any:
        return self.compiled(
            *[
                a.copy() if isinstance(a, np.ndarray) and not (a.flags.c_contiguous and a.flags.writeable) else a
                for a in arguments
            ]
        )


def kernel(function: Callable[..., Any]) -> Kernel:
    """A kernel whose arithmetic is done in the written order."""
    return Kernel(function, fastmath=False)


def sum_kernel(function: Callable[..., Any]) -> Kernel:
    """A kernel whose sums may be reordered."""
    return Kernel(function, fastmath=SUMS)


def part(function: Callable[..., Any]) -> Any:
    """A loop that kernels share; it is compiled into them."""
    return numba.njit(nogil=True, error_model="numpy", fastmath=SUMS)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """A part that becomes text of its one caller. LLVM optimises every part by itself and again within each caller, so
    that what calls much is compiled faster without a level of its own."""
    return numba.njit(nogil=True, error_model="numpy", fastmath=SUMS, inline="always")(function)


#: Of an x86's MXCSR: results and operands that are denormal count as 0.
FLUSHED = 0x8040


def _mode(builder: Any, action: str, room: Any) -> None:
    kind = ir.FunctionType(ir.VoidType(), [room.type])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{action}"), [room])


@intrinsic
def flush_denormals(typing):  # type: ignore[no-untyped-def]
    """Until `restore` is given the mode that this returns, this thread counts numbers below the least with full
    precision (1e-38) as 0. Means that fade away end there and stay, and an x86 takes ten times as long for them; other
    CPUs do not, and are left as they are."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        if not builder.module.triple.startswith("x86_64"):
            return ir.Constant(ir.IntType(32), 0)
        room = cgutils.alloca_once(builder, ir.IntType(32))
        _mode(builder, "stmxcsr", room)
        before = builder.load(room)
        builder.store(builder.or_(before, ir.Constant(before.type, FLUSHED)), room)
        _mode(builder, "ldmxcsr", room)
        return before

    return types.uint32(), build


@intrinsic
def restore(typing, mode):  # type: ignore[no-untyped-def]
    """The mode of arithmetic that flush_denormals found."""

    def build(context, builder, signature, given):  # type: ignore[no-untyped-def]
        if builder.module.triple.startswith("x86_64"):
            _mode(builder, "ldmxcsr", cgutils.alloca_once_value(builder, given[0]))
        return context.get_dummy_value()

    return types.none(types.uint32), build


def _named(names: Set[str], room: Mapping[str, Any]) -> Iterator[Any]:
    """What stands in a room under these names; of a module, what stands in there."""
    for name in names & room.keys():
        if isinstance(room[name], ModuleType):
            yield from _named(names - {name}, vars(room[name]))
        else:
            yield room[name]


def _sources(function: Callable[..., Any], seen: set[str]) -> set[str]:
    """The files of a function, of the parts and intrinsics that it calls, and of those that they call."""
    seen.add(function.__code__.co_filename)
    enclosed = (cell.cell_contents for cell in function.__closure__ or ())
    for called in (*enclosed, *_named({*function.__code__.co_names}, function.__globals__)):
        inner = getattr(called, "py_func", None) or getattr(called, "_defn", None)
        if inner is not None:
            _sources(inner, seen)
    return seen


@cache
def _content(source: str) -> bytes:
    return Path(source).read_bytes()


def _digest(sources: Iterable[str]) -> Any:
    digest = hashlib.sha256()
    for source in sorted(sources):
        digest.update(_content(source))
    return digest


def _stamp() -> Path:
    """The file that says that this source is compiled for this CPU."""
    here = Path(__file__).parent
    digest = _digest(str(source) for folder in ("", "ops", "fast") for source in (here / folder).glob("*.py"))
    digest.update("\0".join((*host_cpu(), numba.__version__, np.__version__, str(here))).encode())
    return CACHE_DIRECTORY / f"warm-{digest.hexdigest()[:24]}"


def host_cpu() -> tuple[str, str]:
    """The CPU for which kernels are compiled, and its features, as "+avx2,-avx512f"."""
    binding, config = llvmlite.binding, numba.config
    features = binding.get_host_cpu_features().flatten() if config.CPU_FEATURES is None else config.CPU_FEATURES
    return config.CPU_NAME or binding.get_host_cpu_name(), features


def is_warm() -> bool:
    """Whether every kernel has been compiled for this source and this CPU."""
    return _stamp().exists()


def mark_warm() -> None:
    """Say that every kernel is compiled; silent when the cache cannot be written."""
    try:
        _stamp().touch()
    except OSError:
        pass


def put_compiler_away() -> None:
    """Let go of the pages of LLVM's library that hold nothing of this process's own, some 60 MB once kernels have been
    compiled or loaded. They stay in the system's cache, from where the next compilation has them again."""
    if sys.platform != "linux":
        return
    dont_need = 4  # MADV_DONTNEED of <sys/mman.h>: the same for all of Linux
    first = last = 0
    try:
        libc = ctypes.CDLL(None)
        with Path("/proc/self/smaps").open() as pages:
            for line in pages:
                field, *rest = line.split()
                if field == "Anonymous:" and first and rest[0] == "0":
                    libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), dont_need)
                elif "-" in field:
                    ours = "libllvmlite" in line and "w" not in rest[0]
                    first, last = (int(edge, 16) for edge in field.split("-")) if ours else (0, 0)
    except (OSError, AttributeError):  # no /proc, or another C library
        pass
