"""Every limit of the server, with its unit and its reason; published at /api/limits."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: How far threads and processes that compute stand behind the event loop.
NICENESS = 10
#: Bytes that the server needs for itself, with MNIST and its kernels.
OWN = 256 << 20
#: Bytes of a body or an answer that need no budget.
SMALL = 1 << 20
#: Where control groups are mounted.
CGROUPS = Path("/sys/fs/cgroup")


def free_bytes() -> int:
    """Memory that there is for runs and requests."""
    return max(32 << 20, machine_bytes() - OWN)


def machine_bytes() -> int:
    """Memory that this process may come to use: what the machine has, or what a control group leaves it of that."""
    found = [8 << 30, *_granted()]
    with suppress(OSError, ValueError, AttributeError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(size for size in found if size > 0)


def _granted(groups: Path = Path("/proc/self/cgroup")) -> list[int]:
    """The limits of the control groups that this process is in, of either version, and of those around them."""
    files = [CGROUPS / "memory.max", CGROUPS / "memory" / "memory.limit_in_bytes"]  # as a container sees its own
    with suppress(OSError):
        for line in groups.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            version_2 = not controllers
            if version_2 or "memory" in controllers.split(","):
                top, name = (CGROUPS, "memory.max") if version_2 else (CGROUPS / "memory", "memory.limit_in_bytes")
                inner = Path(path.lstrip("/"))
                files += [top / each / name for each in (inner, *inner.parents)]
    found = []
    for file in files:
        with suppress(OSError, ValueError):  # "max" is no limit
            found.append(int(file.read_text()))
    return found


def _limit(value: float, unit: str, description: str) -> Any:
    return field(default=value, metadata={"unit": unit, "description": description})


@dataclass(frozen=True)
class Limits:
    json_bytes: int = _limit(4 << 20, "bytes", "largest JSON body; send larger tensors as application/x-npz")
    body_bytes: int = _limit(64 << 20, "bytes", "largest body of any kind")
    head_bytes: int = _limit(64 << 10, "bytes", "longest first line and headers of a request")
    lists: int = _limit(200_000, "lists", "most lists in one JSON body; send tensors as application/x-npz")
    names: int = _limit(1000, "names", "most names in one JSON object")
    npz_bytes: int = _limit(256 << 20, "bytes", "largest .npz body once unpacked")
    npz_members: int = _limit(512, "tensors", "most members of one .npz body")
    rank: int = _limit(8, "axes", "highest rank of a tensor")
    elements: int = _limit(16_000_000, "elements", "most elements of one tensor, given or computed")
    scratch: int = _limit(
        32_000_000, "elements", "largest array that an operator needs on the way, such as a convolution's windows"
    )
    json_numbers: int = _limit(
        2_000_000, "numbers", "most numbers in a JSON answer; ask for more with Accept: application/x-npz"
    )
    multiply_adds: int = _limit(
        2_000_000_000,
        "multiply-adds",
        "dearest single computation of an op, a network or a pass, backwards too; functions such as exp, short loops "
        "and memory count as the multiply-adds that take as long",
    )
    explained_elements: int = _limit(4_000_000, "elements", "largest grid of letters that one explanation evaluates")
    checked_places: int = _limit(
        4096, "places", "most central differences of one check; of larger tensors a random choice is checked"
    )
    step_multiply_adds: int = _limit(20_000_000_000, "multiply-adds", "dearest training step of a run")
    activations: int = _limit(32_000_000, "elements", "most elements of all layers' outputs in one pass")
    layers: int = _limit(500, "layers", "longest network")
    parameters: int = _limit(10_000_000, "parameters", "most parameters of a network that trains here")
    images: int = _limit(20_000, "images", "largest data set given in the body of POST /api/runs")
    batch_size: int = _limit(4096, "images", "largest minibatch")
    predicted_images: int = _limit(1000, "images", "most images in one predict call")
    steps: int = _limit(1_000_000, "steps", "longest run")
    runs: int = _limit(160, "runs", "runs kept at once; beyond it one that rests makes way")
    runs_per_client: int = _limit(
        16, "runs", "the same for the runs of one owner or, where runs have none, of one client's address"
    )
    runs_per_address: int = _limit(
        120, "runs", "the same for one address: three for each of a class of forty, and still not all that there are"
    )
    grace_seconds: int = _limit(
        300, "seconds", "a run that was made, changed or asked about so lately makes way for nobody else's"
    )
    memory_bytes: int = _limit(
        free_bytes() // 2,
        "bytes",
        "memory of all runs together, with the data that they brought: half of what the machine or the container has "
        "beside the server itself; what they do not need is shared equally for looking back",
    )
    request_bytes: int = _limit(
        min(640 << 20, free_bytes() // 4),
        "bytes",
        "memory of all large bodies under way, as it is once they are read; the next one waits",
    )
    answer_bytes: int = _limit(
        min(1100 << 20, free_bytes() // 4), "bytes", "memory of all large results under way, until they are sent"
    )
    expired_bytes: int = _limit(
        512 << 20, "bytes", "disk space of runs that made way and can be brought back; the oldest go first"
    )
    run_bytes: int = _limit(640 << 20, "bytes", "memory that one run may come to need")
    run_days: int = _limit(30, "days", "a run that has rested for so many days of the server's running goes")
    stored_bytes: int = _limit(
        2 << 30, "bytes", "disk space of all runs; beyond it the oldest ones that neither train nor are watched go"
    )
    history_bytes: int = _limit(24 << 20, "bytes", "recent steps that a run keeps for looking back")
    trace_bytes: int = _limit(24 << 20, "bytes", "whole minibatch passes that a run keeps at hand for looking back")
    passes: int = _limit(48, "passes", "passes kept per run; the oldest go first")
    pass_bytes: int = _limit(32 << 20, "bytes", "memory of all passes kept per run")
    imports: int = _limit(24, "models", "imported models kept at hand; the oldest go first")
    import_bytes: int = _limit(256 << 20, "bytes", "memory of all imported models")
    datasets: int = _limit(64, "data sets", "data sets kept beside MNIST; delete one to add another")
    dataset_bytes: int = _limit(256 << 20, "bytes", "largest file of a data set, and half of what it may unpack to")
    dataset_elements: int = _limit(
        256_000_000, "numbers", "pixels of a data set times their channels, as they are kept"
    )
    dataset_images: int = _limit(200_000, "images", "most images of a data set from a file")
    dataset_pixels: int = _limit(
        1_000_000_000, "pixels", "pixels of all pictures of a data set together, as they are in their files"
    )
    picture_pixels: int = _limit(40_000_000, "pixels", "largest picture of a data set, as it is in its file")
    stored_datasets_bytes: int = _limit(4 << 30, "bytes", "disk space of all data sets beside MNIST")
    uploads: int = _limit(4, "files", "files of data sets that arrive or are read at once")
    edits: int = _limit(256, "edits", "most numbers or blocks set by hand in one pass")
    epsilons: int = _limit(32, "numbers", "most steps of one nudge")
    series_points: int = _limit(1000, "points", "most points of one number's history")
    queue: int = _limit(512, "calls", "computations waiting or under way, of all clients")
    queue_per_client: int = _limit(256, "calls", "computations waiting or under way for one client's address")
    viewers: int = _limit(400, "sockets", "streams open at once")
    viewers_per_client: int = _limit(200, "sockets", "the same for one client's address, which a class may share")
    message_bytes: int = _limit(1 << 20, "bytes", "largest message a stream's client may send")
    subscriptions: int = _limit(2048, "tensors", "most tensors of one subscription or frame")
    frame_bytes: int = _limit(64 << 20, "bytes", "largest frame")
    rooms: int = _limit(20, "rooms", "rooms of classes at once; beyond it one that nobody has joined makes way")
    room_students: int = _limit(200, "students", "students of one room")
    room_connections: int = _limit(4, "connections", "open at once by one student; the oldest is closed")
    room_questions: int = _limit(100, "questions", "questions asked in one room")
    room_messages: int = _limit(5, "messages a second", "messages of one student of a room")
    room_message_bytes: int = _limit(8 << 10, "bytes", "largest message to a room")
    room_backlog: int = _limit(
        2000, "events", "events that one who comes back is told one by one; else the whole state"
    )
    room_bytes: int = _limit(20 << 20, "bytes", "size of one room's log; nothing more is taken after that")
    room_hours: int = _limit(12, "hours", "a room so long after its newest event ends, and everything of it is deleted")
    room_answer_bytes: int = _limit(1 << 10, "bytes", "largest answer to a room's question, as JSON")
    room_answer_cells: int = _limit(64, "cells", "most cells of one answer")
    wrong_codes: int = _limit(
        60, "codes a minute", "wrong codes of rooms from one client's address, which a class may share"
    )
    terms_per_page: int = _limit(500, "terms", "most terms on one page of an explanation")

    def adjusted(self, changes: Iterable[str]) -> Limits:
        """With other values: "runs=100", "layers=50". Raises ValueError for a name or a value that is none."""
        values = {}
        for change in changes:
            name, _, written = change.partition("=")
            if name not in {each.name for each in dataclasses.fields(self)}:
                raise ValueError(f"there is no limit {name!r}; GET /api/limits lists them")
            value = int(written) if written.isascii() and written.isdigit() else 0
            if not 0 < value < 2**53:
                raise ValueError(f"{name}: expected a whole number from 1, got {written!r}")
            values[name] = value
        return dataclasses.replace(self, **values)

    def document(self) -> dict[str, dict[str, Any]]:
        """Name -> value, unit and description of every limit."""
        return {each.name: {"value": getattr(self, each.name), **each.metadata} for each in dataclasses.fields(self)}
