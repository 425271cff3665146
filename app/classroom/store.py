"""Where the logs of rooms are kept: the narrow interface that every kind of storage has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

Event = dict[str, Any]


class StorageFailed(Exception):
    """Nothing was stored: the disk is full, or the storage does not answer. The same append may be tried again."""


class RoomGone(Exception):
    """The room has ended, or there never was one."""


@dataclass(frozen=True)
class Stored:
    """An event with its number in the room's log, from 1, and its size in bytes."""

    n: int
    event: Event
    size: int


class Listener(Protocol):
    """Who is told what happens to the logs; called on the event loop."""

    def stored(self, room: str, stored: Stored) -> None:
        """An event is stored, here or by another server; in the order of `n`."""

    def notified(self, room: str, notice: Event) -> None:
        """Another server, or this one, sent a notice."""

    def rewound(self, room: str, there: bool) -> None:
        """The storage has lost events that were told of already. What it has is told again from the first event;
        `there` is false where it has nothing of the room."""

    def reached(self, reason: str) -> None:
        """The storage does not answer, for this reason; or, with "", it answers again."""


class EventStore(Protocol):
    """The logs of all rooms. Every call may raise StorageFailed.

    `shared` says whether other servers may use the same storage."""

    shared: bool

    async def start(self, listener: Listener) -> None:
        """Begin; `listener` hears what happens from now on, here or by another server."""

    async def stop(self) -> None:
        """End, once everything that was appended is stored."""

    async def create(self, room: str) -> bool:
        """A new, empty log. False where the code is taken, or was within the last day."""

    async def append(self, room: str, event: Event, key: str, slot: str = "") -> int:
        """Store an event, and answer its number once it is safe and the listener has heard it.

        A `key` that the room's log has already changes nothing and answers the number of the first. An event with a
        `slot` takes the place of the one before it with the same slot, whose number stays free. Raises RoomGone."""

    async def notify(self, room: str, notice: Event) -> None:
        """Tell all servers something that is not kept. It may be lost on the way."""

    async def read(self, room: str, after: int = 0) -> list[Stored]:
        """The events with larger numbers, in order."""

    async def rooms(self) -> dict[str, float]:
        """Every room with the time of its newest event, in seconds since 1970."""

    async def forget(self, room: str) -> None:
        """Delete a room so that nothing of it can be read from the disk. Its code stays taken for a day."""
