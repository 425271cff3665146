"""What every route works with: the settings, the limits, the pool, the runs and the data, made once per server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from fastapi import Depends
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection

from app.classroom.rooms import Rooms
from app.datasets import Datasets
from app.http.middleware import HELD
from app.kernels import Warming
from app.limits import SMALL, Limits
from app.problems import invalid, too_many
from app.runs.checkpoints import CheckpointWriter
from app.runs.registry import RunRegistry
from app.runs.scheduler import Budget, Pool, Scheduler
from app.services.imports.models import Imports
from app.services.lessons import Lessons
from app.settings import Settings

Result = TypeVar("Result")


@dataclass
class Context:
    settings: Settings
    warming: Warming
    scheduler: Scheduler
    pool: Pool
    datasets: Datasets
    writer: CheckpointWriter
    runs: RunRegistry
    imports: Imports
    lessons: Lessons
    rooms: Rooms
    viewers: Counter[str] = field(default_factory=Counter)  # streams open, by the client's address
    bodies: Budget = field(init=False)
    answers: Budget = field(init=False)
    begun: bool = False  # whether the welcome run has been made, or could not be

    def __post_init__(self) -> None:
        self.bodies = Budget("request_bytes", self.limits.request_bytes)
        self.answers = Budget("answer_bytes", self.limits.answer_bytes)

    @property
    def limits(self) -> Limits:
        return self.settings.limits

    @contextmanager
    def viewing(self, connection: HTTPConnection) -> Iterator[None]:
        """One more stream of this client's; 429 where there are too many."""
        client, limits = client_of(connection), self.limits
        for name, count in (("viewers", self.viewers.total()), ("viewers_per_client", self.viewers[client])):
            if count >= (most := getattr(limits, name)):
                raise too_many(name, most, f"{count} {'stream is' if count == 1 else 'streams are'} open already", 5)
        self.viewers[client] += 1
        try:
            yield
        finally:
            self.viewers[client] -= 1
            if not self.viewers[client]:
                del self.viewers[client]

    async def hold(self, connection: HTTPConnection, budget: Budget, size: int) -> None:
        """Take so many bytes of a budget until the answer has been sent. Nobody who holds answers waits for bodies."""
        if size > SMALL:
            held: AsyncExitStack = connection.scope[HELD]
            await held.enter_async_context(budget.of(size))

    async def hold_body(self, connection: HTTPConnection, size: int) -> None:
        await self.hold(connection, self.bodies, size)

    async def ask(
        self, connection: HTTPConnection, function: Callable[..., Result], *arguments: Any, cost: float = 0
    ) -> Result:
        """The function's answer from the pool. For what needs no kernels. What is done with a large body is heavy."""
        weight: float = getattr(connection.state, "weight", 0.0)
        return await self.pool.run(client_of(connection), function, *arguments, cost=cost + weight)

    async def compute_for(
        self, connection: HTTPConnection, function: Callable[..., Result], *arguments: Any, cost: float = 0
    ) -> Result:
        """The same for what needs kernels: it waits until they are compiled."""
        await self.warming.wait()
        return await self.ask(connection, function, *arguments, cost=cost)


def client_of(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else ""


def token_of(connection: HTTPConnection) -> str:
    """What Authorization: Bearer says, "" when it says nothing."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def _context(connection: HTTPConnection) -> Context:  # else FastAPI would call it in a thread
    found: Context = connection.app.state.context
    return found


Ctx = Annotated[Context, Depends(_context)]


async def known_query(request: HTTPConnection) -> None:
    """422 for a parameter of the query that the route does not have: it would be passed over in silence."""
    route = request.scope.get("route")
    if isinstance(route, APIRoute) and request.url.path.startswith(f"{request.scope.get('root_path', '')}/api/"):
        known = list(_query_names(route.dependant))
        for name in request.query_params:
            if name not in known:
                there = ", ".join(known) or "none"
                raise invalid(f"there is no parameter {name[:60]!r} here; there are: {there}", ["query", name[:60]])


def _query_names(dependant: Dependant) -> Iterator[str]:
    """Parameters of the query that a route takes, those of what it depends on included."""
    yield from (field.alias for field in dependant.query_params)
    for each in dependant.dependencies:
        yield from _query_names(each)
