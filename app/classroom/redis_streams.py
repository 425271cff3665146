"""The logs of rooms as Redis Streams, so that several servers share them. Needs redis-py, which is optional.

A room's log is one stream whose entries have the number of the event as their id. What an append changes it changes in
one script, so that two servers never give the same number twice. A server hears of the others' events by a channel,
and reads what it has not heard from the stream: a message that is lost on the way is only late.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from contextlib import suppress
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from app.classroom.store import Event, Listener, RoomGone, StorageFailed, Stored
from app.formats import json

logger = logging.getLogger("convscope")

#: Seconds for which the code of a room that ended is not given out again, and until a call to Redis counts as failed.
CODE_RESTS, PATIENCE = 24 * 3600, 3.0
#: Seconds between two attempts to hear Redis again.
RETRY = 0.5
#: Calls to Redis at once; others wait for their turn.
CONNECTIONS = 16
PREFIX = "convscope"
ROOMS, CHANNEL = f"{PREFIX}:rooms", f"{PREFIX}:events"

CREATE = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
return redis.call('ZADD', KEYS[1], 'NX', ARGV[2], ARGV[1])
"""
# keys: rooms, log, keys of events, slots; arguments: code, key, slot, body, time, channel
APPEND = """
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return -1 end
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
"""


class RedisStore:
    """`EventStore` on a Redis server. Where Redis keeps a file (appendonly), that decides what outlives it."""

    def __init__(self, url: str) -> None:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url, max_connections=CONNECTIONS, timeout=PATIENCE, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE
        )
        self._client: Any = redis.asyncio.Redis(connection_pool=pool)
        self._listener: Listener = lambda room, stored: None
        self._heard: defaultdict[str, int] = defaultdict(int)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._listening: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self, listener: Listener) -> None:
        self._listener = listener
        self._listening = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        if self._listening:
            self._stopping = True  # redis-py may swallow a cancellation on its way through a connection
            self._listening.cancel()
            await asyncio.wait([self._listening], timeout=PATIENCE)
            self._listening = None
        await self._client.aclose()
        await self._client.connection_pool.disconnect()

    async def create(self, room: str) -> bool:
        return bool(await self._run(CREATE, [ROOMS, _code(room)], [room, time.time()]))

    async def append(self, room: str, event: Event, key: str, slot: str = "") -> int:
        arguments = [room, key, slot, json.encode(event), time.time(), CHANNEL]
        n = int(await self._run(APPEND, [ROOMS, *_keys(room)], arguments))
        if n < 0:
            raise RoomGone(room)
        if self._heard[room] < n:
            await self._catch_up(room)
        return n

    async def read(self, room: str, after: int = 0) -> list[Stored]:
        try:
            entries = await self._client.xrange(_keys(room)[0], min=f"{after + 1}-0")
        except (RedisError, OSError, TimeoutError) as error:
            raise StorageFailed(f"Redis does not answer: {error}") from None
        return [
            Stored(int(id.partition(b"-")[0]), json.decode(fields[b"body"]), len(fields[b"body"]))
            for id, fields in entries
        ]

    async def rooms(self) -> dict[str, float]:
        try:
            found = await self._client.zrange(ROOMS, 0, -1, withscores=True)
        except (RedisError, OSError, TimeoutError) as error:
            raise StorageFailed(f"Redis does not answer: {error}") from None
        return {code.decode(): touched for code, touched in found}

    async def forget(self, room: str) -> None:
        await self._run(FORGET, [ROOMS, *_keys(room), _code(room)], [room, CODE_RESTS])
        self._heard.pop(room, None)
        with suppress(RedisError, OSError):  # a log of commands would remember what was deleted
            await self._client.bgrewriteaof()

    async def _run(self, script: str, keys: list[str], arguments: list[Any]) -> Any:
        try:
            return await self._client.eval(script, len(keys), *keys, *arguments)
        except (RedisError, OSError, TimeoutError) as error:
            raise StorageFailed(f"Redis does not answer: {error}") from None

    async def _catch_up(self, room: str) -> None:
        """Let the listener hear what the log has beyond what it has heard, in order."""
        async with self._turns[room]:
            for stored in await self.read(room, self._heard[room]):
                self._heard[room] = stored.n
                self._listener(room, stored)

    async def _listen(self) -> None:
        """Hear of other servers' events, and again after Redis was away."""
        while not self._stopping:
            try:
                async with self._client.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(CHANNEL)
                    for room in await self.rooms():
                        await self._catch_up(room)
                    while not self._stopping:
                        message = await channel.get_message(timeout=1.0)
                        if message:
                            await self._catch_up(message["data"].decode())
            except (RedisError, OSError, TimeoutError, StorageFailed) as error:
                logger.warning("Redis does not answer: %s", type(error).__name__)
            await asyncio.sleep(RETRY)


def _keys(room: str) -> list[str]:
    """The log, the keys of its events, and its slots with the newest number."""
    return [f"{PREFIX}:{room}:log", f"{PREFIX}:{room}:keys", f"{PREFIX}:{room}:slots"]


def _code(room: str) -> str:
    return f"{PREFIX}:{room}:rests"
