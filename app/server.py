"""The application: its routes, what they share, and how it starts and ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware

from app import looking, pages, problems
from app.api import datasets, explore, looks, networks, ops, service, stream
from app.api import imports as imports_api
from app.api import runs as runs_api
from app.compress import Compress
from app.compute import CHEAP, Compute, Pool
from app.context import Context, known_query
from app.datasets import Datasets
from app.forwarded import Forwarded
from app.guard import Guard
from app.imports.models import Imports
from app.keeping import Keeper, restore
from app.memory import give_back
from app.openapi import install as install_schema
from app.plans import RunFields, plan_of
from app.problems import Problem
from app.register import Runs
from app.runs import WELCOME, Plan, Run
from app.settings import Settings
from app.shelf import Shelf
from app.warming import Warming
from engine.fast.team import use_threads

logger = logging.getLogger("convscope")

#: Seconds that threads have to finish what they are at when the server ends.
FAREWELL = 1.0
#: Seconds between two looks for runs that are too old or take too much room, and for memory to give back.
HOUSEKEEPING = 20.0


def create_app(settings: Settings) -> FastAPI:
    """The whole server as an ASGI application. Its lifespan starts the threads and the welcome run."""
    app = FastAPI(
        title="Convscope",
        version=pages.own_version(),
        summary="Train a convolutional network and step through every number of its forward and backward pass.",
        openapi_url=None,  # app.openapi serves it, with its ETag
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
    compute = Compute(warming.gate)
    data = Datasets(settings.data_dir)
    keeper = Keeper(Shelf(settings.data_dir / "runs"), data)
    runs = Runs(compute, settings.limits, keeper, settings.admin_token)
    imports = Imports(settings.limits.imports, settings.limits.import_bytes)
    app.state.context = Context(settings, warming, compute, Pool(settings.limits), data, keeper, runs, imports)
    problems.install(app)
    for part in (service, ops, networks, datasets, runs_api, looks, explore, imports_api, stream):
        app.include_router(part.router)
    pages.install(app)
    install_schema(app)
    app.add_middleware(Compress)
    if settings.allow_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=settings.allow_origins, allow_methods=["*"], allow_headers=["*"]
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


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    here: Context = app.state.context
    here.pool.start()
    here.compute.start()
    tasks = [
        asyncio.create_task(here.warming.run(here.settings.warm)),
        asyncio.create_task(_welcome(here)),
        asyncio.create_task(_keep(here)),
    ]
    try:
        yield
    finally:
        here.warming.stop()
        here.compute.stop()
        here.pool.stop()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        await asyncio.to_thread(here.compute.join, FAREWELL)
        here.keeper.stop()
        if here.keeper.is_alive():
            await asyncio.to_thread(here.keeper.join, FAREWELL)
        with suppress(OSError):
            here.keeper.shelf.end()


async def _keep(here: Context) -> None:
    """The runs of earlier starts, then the saving of all; now and then the oldest ones go."""

    def add_kept() -> None:
        def make(id: str, plan: Plan) -> Run:
            return here.runs.make(id, plan, looking.live_frame)

        try:
            orderly = here.keeper.shelf.begin()
        except OSError:
            orderly = True
        try:
            restore(here.keeper, here.datasets, make, here.runs.add, orderly)
        except OSError as error:
            logger.error("the runs of earlier starts cannot be found: %s", error)
        finally:
            here.runs.all_read()
            here.keeper.start()

    await asyncio.to_thread(add_kept)
    while True:
        await asyncio.to_thread(here.runs.expire_old)
        await asyncio.to_thread(give_back, cycles=here.runs.some_went())
        await asyncio.sleep(HOUSEKEEPING)


async def _welcome(here: Context) -> None:
    """The run that a first visit looks at: the classroom network after some steps, then paused for good."""

    def make() -> None:
        plan = plan_of(RunFields(model="classroom"), here.datasets, here.limits)
        run = here.runs.make(WELCOME, plan, looking.live_frame)
        here.runs.add(run)
        run.advance(here.settings.welcome_steps)

    try:
        await here.pool.run("", make)
    except Problem as problem:
        logger.error("the welcome run could not be made: %s", problem.detail)
    here.begun = True
    with suppress(Problem):
        await here.pool.run("", ops.listing, cost=2 * CHEAP)  # so that nobody who asks for it waits
