"""The logs of rooms as Redis Streams, so that several servers share them. Needs redis-py, which is optional.

A room's log is one stream whose entries have the number of the event as their id. What an append changes it changes in
one script, so that two servers never give the same number twice. A server hears of the others' events by a channel, and
looks every few seconds at what it has not heard: a message that is lost on the way is only late.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from contextlib import suppress
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError, ResponseError

from app.classroom.store import Event, Listener, RoomGone, StorageFailed, Stored
from app.formats import json
from app.problems import Problem

logger = logging.getLogger("convscope")

#: Seconds for which the code of a room that ended is not given out again, and until a call to Redis counts as failed.
CODE_RESTS, PATIENCE = 24 * 3600, 3.0
#: Seconds between two attempts to hear Redis again, and between two looks at what was not heard.
RETRY, LOOK = 0.5, 2.0
#: Calls to Redis at once; others wait for their turn.
CONNECTIONS = 16
#: What all servers are told of a room that was forgotten.
ENDED = {"ended": True}
PREFIX = "convscope"
ROOMS, CHANNEL, NOTICES = f"{PREFIX}:rooms", f"{PREFIX}:events", f"{PREFIX}:notices"

CREATE = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
return redis.call('ZADD', KEYS[1], 'NX', ARGV[2], ARGV[1])
"""
# keys: rooms, log, keys of events, slots; arguments: code, key, slot, body, time, channel, number of the newest event
# that this server has heard: a log that ends before it has lost events
APPEND = """
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return -1 end
if tonumber(redis.call('HGET', KEYS[4], 'last') or 0) < tonumber(ARGV[7]) then return -2 end
local there = redis.call('HGET', KEYS[3], ARGV[2])
if there then return tonumber(there) end
local n = redis.call('HINCRBY', KEYS[4], 'last', 1)
redis.call('XADD', KEYS[2], n .. '-0', 'body', ARGV[4])
redis.call('HSET', KEYS[3], ARGV[2], n)
if ARGV[3] ~= '' then
  local old = redis.call('HGET', KEYS[4], 'n ' .. ARGV[3])
  if old then
    redis.call('XDEL', KEYS[2], old .. '-0')
    redis.call('HDEL', KEYS[3], redis.call('HGET', KEYS[4], 'key ' .. ARGV[3]))
  end
  redis.call('HSET', KEYS[4], 'n ' .. ARGV[3], n, 'key ' .. ARGV[3], ARGV[2])
end
redis.call('ZADD', KEYS[1], ARGV[5], ARGV[1])
redis.call('PUBLISH', ARGV[6], ARGV[1])
return n
"""
FORGET = """
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
if redis.call('ZREM', KEYS[1], ARGV[1]) == 1 then redis.call('SET', KEYS[5], '1', 'EX', ARGV[2]) end
redis.call('PUBLISH', ARGV[3], ARGV[4])
"""
# the newest number of every log, -1 where there is no such room; keys: rooms, slots of each; arguments: their codes
NEWEST = """
local found = {}
for k, code in ipairs(ARGV) do
  local there = redis.call('ZSCORE', KEYS[1], code)
  found[k] = there and tonumber(redis.call('HGET', KEYS[k + 1], 'last') or 0) or -1
end
return found
"""
FAILED = (RedisError, OSError, TimeoutError)


class RedisStore:
    """`EventStore` on a Redis server. Where Redis keeps a file (appendonly), that decides what outlives it."""

    shared = True

    def __init__(self, url: str) -> None:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=PATIENCE,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            health_check_interval=2 * LOOK,  # a connection that a router has dropped is silent, not closed
        )
        self._client: Any = redis.asyncio.Redis(connection_pool=pool)
        self._listener: Listener | None = None
        self._heard: defaultdict[str, int] = defaultdict(int)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, listener: Listener) -> None:
        self._listener = listener
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._look())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=PATIENCE)
        self._tasks = []
        await self._client.aclose()
        await self._client.connection_pool.disconnect()

    async def create(self, room: str) -> bool:
        return bool(await self._run(CREATE, [ROOMS, _code(room)], [room, time.time()]))

    async def append(self, room: str, event: Event, key: str, slot: str = "") -> int:
        body = json.encode(event)
        for _ in range(2):
            arguments = [room, key, slot, body, time.time(), CHANNEL, self._heard.get(room, 0)]
            n = int(await self._run(APPEND, [ROOMS, *_keys(room)], arguments))
            if n > -2:
                break
            await self._rewind(room, there=True)
        if n == -1:
            if room in self._heard:
                await self._rewind(room, there=False)
            raise RoomGone(room)
        if self._heard[room] < n:
            await self._catch_up(room)
        return n

    async def notify(self, room: str, notice: Event) -> None:
        try:
            await self._client.publish(NOTICES, _notice(room, notice))
        except FAILED as error:
            raise _failed(error) from None

    async def read(self, room: str, after: int = 0) -> list[Stored]:
        try:
            entries = await self._client.xrange(_keys(room)[0], min=f"{after + 1}-0")
        except FAILED as error:
            raise _failed(error) from None
        return [
            Stored(int(id.partition(b"-")[0]), json.decode(fields[b"body"]), len(fields[b"body"]))
            for id, fields in entries
        ]

    async def rooms(self) -> dict[str, float]:
        try:
            found = await self._client.zrange(ROOMS, 0, -1, withscores=True)
        except FAILED as error:
            raise _failed(error) from None
        return {code.decode(): touched for code, touched in found}

    async def forget(self, room: str) -> None:
        await self._run(FORGET, [ROOMS, *_keys(room), _code(room)], [room, CODE_RESTS, NOTICES, _notice(room, ENDED)])
        self._heard.pop(room, None)
        with suppress(*FAILED):  # a log of commands would remember what was deleted
            await self._client.bgrewriteaof()

    async def _run(self, script: str, keys: list[str], arguments: list[Any]) -> Any:
        try:
            return await self._client.eval(script, len(keys), *keys, *arguments)
        except FAILED as error:
            raise _failed(error) from None

    async def _catch_up(self, room: str) -> None:
        """Let the listener hear what the log has beyond what it has heard, in order."""
        assert self._listener
        async with self._turns[room]:
            for stored in await self.read(room, self._heard[room]):
                self._heard[room] = stored.n
                self._listener.stored(room, stored)

    async def _rewind(self, room: str, there: bool) -> None:
        """The log ends before what was heard of it, or is not there: hear it anew."""
        assert self._listener
        async with self._turns[room]:
            if self._heard.pop(room, 0):
                if there or not await self._run("return redis.call('EXISTS', KEYS[1])", [_code(room)], []):
                    logger.error("Redis has lost events of a room that were stored: it was emptied, or kept no file")
                self._listener.rewound(room, there)
        if there:
            await self._catch_up(room)

    async def _listen(self) -> None:
        """Hear of other servers' events and notices, and again after Redis was away."""
        assert self._listener
        while not _cancelled():
            try:
                async with self._client.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(CHANNEL, NOTICES)
                    for room in await self.rooms():
                        await self._catch_up(room)
                    while not _cancelled():
                        message = await channel.get_message(timeout=1.0)
                        if message and message["channel"] == CHANNEL.encode():
                            await self._catch_up(message["data"].decode())
                        elif message:
                            said = json.decode(message["data"])
                            self._listener.notified(said["room"], said["notice"])
            except (*FAILED, StorageFailed):
                pass  # `_look` says so
            except (Problem, LookupError, TypeError, ValueError, AttributeError) as error:
                logger.warning("somebody else writes into the channels of rooms: %s", type(error).__name__)
            await asyncio.sleep(RETRY)

    async def _look(self) -> None:
        """Whether Redis answers, what was not heard, and what is no longer there."""
        assert self._listener
        away = ""
        while not _cancelled():
            try:
                heard = list(self._heard.items())
                keys = [ROOMS, *(_keys(room)[2] for room, _ in heard)]
                newest = await self._run(NEWEST, keys, [room for room, _ in heard])
                for (room, n), last in zip(heard, newest, strict=True):
                    if last < n:
                        await self._rewind(room, there=last >= 0)
                    elif last > n:
                        await self._catch_up(room)
                reason = ""
            except StorageFailed as error:
                reason = str(error)
            if bool(reason) != bool(away):
                logger.warning(reason or "Redis answers again")
                self._listener.reached(reason)
            away = reason
            await asyncio.sleep(RETRY if away else LOOK)


def _cancelled() -> bool:
    """Whether this task is to end: redis-py may swallow a cancellation on its way through a connection."""
    task = asyncio.current_task()
    return bool(task and task.cancelling())


def _notice(room: str, notice: Event) -> bytes:
    return json.encode({"room": room, "notice": notice})


def _failed(error: BaseException) -> StorageFailed:
    if isinstance(error, ResponseError):  # its disk or its memory is full, say
        return StorageFailed(f"Redis answers {str(error)[:100]!r}")
    return StorageFailed(f"Redis does not answer ({type(error).__name__})")


def _keys(room: str) -> list[str]:
    """The log, the keys of its events, and its slots with the newest number."""
    return [f"{PREFIX}:{room}:log", f"{PREFIX}:{room}:keys", f"{PREFIX}:{room}:slots"]


def _code(room: str) -> str:
    return f"{PREFIX}:{room}:rests"
