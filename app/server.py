"""The application: its routes, what they share, and how it starts and ends."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import gc
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware

from app.api import classroom, datasets, exercises, explore, networks, ops, passes, service, stream
from app.api import imports as imports_api
from app.api import lessons as lessons_api
from app.api import runs as runs_api
from app.classroom.rooms import Rooms
from app.classroom.sqlite import SqliteStore
from app.classroom.store import EventStore
from app.context import Context, known_query
from app.datasets import Datasets
from app.http import error_handlers
from app.http.compression import Compress
from app.http.forwarded import Forwarded
from app.http.middleware import Guard
from app.kernels import Warming
from app.problems import Problem
from app.runs import inspect
from app.runs.checkpoints import CheckpointWriter, restore
from app.runs.registry import RunRegistry
from app.runs.run import WELCOME, Run, RunConfig
from app.runs.run_config import RunFields, config_of
from app.runs.scheduler import LIGHT, Pool, Scheduler
from app.runs.storage import RunStorage
from app.services.imports.models import Imports
from app.services.lessons import Lessons
from app.settings import Settings
from app.site import pages
from app.site.openapi import install as install_schema
from engine.fast.thread_pool import use_threads

logger = logging.getLogger("convscope")

#: What a page of an allowed origin may read of an answer's headers: beyond a few, browsers show it only what is listed.
EXPOSED = ("Accept-Post", "Allow", "Content-Disposition", "ETag", "Location", "Retry-After", "X-Request-ID")
#: Seconds that threads have to finish what they are at when the server ends.
FAREWELL = 1.0
#: Seconds between two looks for runs that are too old or take too much room, and for memory to give back.
HOUSEKEEPING = 20.0
#: Seconds between two looks whether there are descriptors left.
BETWEEN_LOOKS = 1.0


def create_app(settings: Settings) -> FastAPI:
    """The whole server as an ASGI application. Its lifespan starts the threads and the welcome run."""
    app = FastAPI(
        title="Convscope",
        version=pages.own_version(),
        summary="Train a convolutional network and step through every number of its forward and backward pass.",
        openapi_url=None,  # app.site.openapi serves it, with its ETag
        lifespan=_lifespan,
        separate_input_output_schemas=False,
        dependencies=[Depends(known_query)],
        generate_unique_id_function=lambda route: route.name,
        redirect_slashes=False,  # it would lead out of a proxy's path
    )
    public = urlsplit(settings.public_url)
    if settings.threads:
        use_threads(settings.threads)
    warming = Warming()
    scheduler = Scheduler(warming.gate)
    data = Datasets(settings.data_dir)
    writer = CheckpointWriter(RunStorage(settings.data_dir / "runs"), data)
    runs = RunRegistry(scheduler, settings.limits, writer, settings.admin_token)
    imports = Imports(settings.limits.imports, settings.limits.import_bytes)
    lessons = Lessons(settings.lessons, settings.limits)
    pool = Pool(settings.limits)
    rooms = Rooms(_room_store(settings), settings.limits, classroom.ExerciseAsker(pool))
    app.state.context = Context(settings, warming, scheduler, pool, data, writer, runs, imports, lessons, rooms)
    error_handlers.install(app)
    for part in (
        service,
        ops,
        networks,
        datasets,
        runs_api,
        passes,
        explore,
        imports_api,
        exercises,
        lessons_api,
        classroom,
        stream,
    ):
        app.include_router(part.router)
    pages.install(app)
    install_schema(app)
    app.add_middleware(Compress)
    if settings.allow_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allow_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=EXPOSED,
        )
    app.add_middleware(
        Guard,
        allow_hosts=[*settings.allow_hosts, *filter(None, [public.hostname])],
        # the server's own pages, even where a proxy changes Host
        allow_origins=[*settings.allow_origins, *([f"{public.scheme}://{public.netloc}"] if public.netloc else [])],
    )
    app.add_middleware(
        Forwarded, root_path=settings.root_path, trusted=settings.trusted_proxies, public_url=settings.public_url
    )
    return app


def _room_store(settings: Settings) -> EventStore:
    if not settings.redis:
        return SqliteStore(settings.data_dir / "rooms.sqlite3")
    from app.classroom.redis_streams import RedisStore  # redis-py is optional

    return RedisStore(settings.redis)


def trim_memory(cycles: bool) -> None:
    """Returns memory freed by finished threads to the system (malloc_trim), after collecting reference `cycles`,
    during which no other thread runs."""
    if cycles:
        gc.collect()
    if sys.platform == "linux":
        try:
            ctypes.CDLL(None).malloc_trim(0)
        except (OSError, AttributeError):  # another C library than glibc
            pass


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    ctx: Context = app.state.context
    ctx.pool.start()
    ctx.scheduler.start()
    await ctx.rooms.start()
    tasks = [
        asyncio.create_task(ctx.warming.run(ctx.settings.warm)),
        asyncio.create_task(_welcome(ctx)),
        asyncio.create_task(_keep(ctx)),
        asyncio.create_task(_watch_descriptors()),
    ]
    try:
        yield
    finally:
        ctx.warming.stop()
        ctx.scheduler.stop()
        ctx.pool.stop()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        await ctx.rooms.stop()
        await asyncio.to_thread(ctx.scheduler.join, FAREWELL)
        ctx.writer.stop()
        if ctx.writer.is_alive():
            await asyncio.to_thread(ctx.writer.join, FAREWELL)
        with suppress(OSError):
            ctx.writer.storage.end()


async def _keep(ctx: Context) -> None:
    """The runs of earlier starts, then the saving of all; now and then the oldest ones go."""

    def add_kept() -> None:
        ctx.datasets.clear()

        def make(id: str, config: RunConfig) -> Run:
            return ctx.runs.make(id, config, inspect.live_frame)

        try:
            orderly = ctx.writer.storage.begin()
        except OSError:
            orderly = True
        try:
            restore(ctx.writer, ctx.datasets, make, ctx.runs.add, orderly)
        except OSError as error:
            logger.error("the runs of earlier starts cannot be found: %s", error)
        finally:
            ctx.runs.all_read()
            ctx.writer.start()

    await asyncio.to_thread(add_kept)
    while True:
        await ctx.rooms.keep()
        await asyncio.to_thread(ctx.runs.expire_old)
        await asyncio.to_thread(trim_memory, cycles=ctx.runs.some_went())
        await asyncio.sleep(HOUSEKEEPING)


async def _watch_descriptors() -> None:
    """Say it, once each time, when the system gives no more sockets and files: the event loop lets callers go in
    silence."""
    told = False
    while True:
        try:
            os.close(os.dup(0))
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE) and not told:
                told = True
                logger.error(
                    "no more files and sockets can be opened (%s), so that callers are turned away; raise the limit, "
                    "as with ulimit -n",
                    error.strerror,
                )
        else:
            told = False
        await asyncio.sleep(BETWEEN_LOOKS)


async def _welcome(ctx: Context) -> None:
    """The run that a first visit looks at: the classroom network after some steps, then paused for good."""

    def make() -> None:
        config = config_of(RunFields(model="classroom"), ctx.datasets, ctx.limits)
        run = ctx.runs.make(WELCOME, config, inspect.live_frame)
        ctx.runs.add(run)
        run.advance(ctx.settings.welcome_steps)

    try:
        await ctx.pool.run("", make)
    except Problem as problem:
        logger.error("the welcome run could not be made: %s", problem.detail)
    ctx.begun = True
    with suppress(Problem):
        await ctx.pool.run("", ops.listing, cost=2 * LIGHT)  # so that nobody who asks for it waits
