"""Rooms of classes: opened, joined, followed, asked, ended. Every way of following carries the same events."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Path, Query, Request, WebSocket
from pydantic import Field
from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocketDisconnect

from app.api import schemas
from app.api.exercises import DRAWING
from app.classroom.codes import read_code
from app.classroom.export import answers_csv
from app.classroom.invitation import is_loopback, lan_address, qr_code
from app.classroom.room import Question, Viewer
from app.classroom.rooms import Asker, Connection, LiveRoom, Verdict
from app.context import Context, Ctx, client_of, token_of
from app.formats import json
from app.http import responses
from app.http.middleware import hostname, refuse_socket
from app.http.request_body import Natural, Positive, RequestModel, read, validate
from app.problems import Problem, conflict, invalid, malformed, missing, over_limit
from app.runs.scheduler import Pool
from app.services import exercises
from app.site.openapi import answer, body

router = APIRouter(tags=["rooms"], default_response_class=Response)

Code = Annotated[str, Path(description="a room's code; spaces and case do not matter", examples=["K7MQ"])]
Seen = Annotated[int, Query(ge=0, lt=2**53, description="number of the last event that was seen; 0: none")]
#: Seconds in which a socket has to say whose it is, of silence after which one counts as lost, between two signs of
#: life on an event stream, and of waiting in one poll.
HELLO, SILENCE, HEARTBEAT, POLL = 10.0, 25.0, 10.0, 20.0
#: Messages that make no sense before a socket is closed.
PATIENCE = 8
#: Verdicts that are kept.
KNOWN = 2000
#: How a room closes a socket: it has ended, or does not know the token; the client sends what it should not.
GONE, MISBEHAVED = 4404, 4400
Said = TypeVar("Said", bound=RequestModel)
TOKEN = re.compile(r"[A-Za-z0-9_-]{22,64}")
Text = Annotated[str, Field(min_length=1, max_length=600)]
Id = Annotated[str, Field(min_length=1, max_length=64)]
Token = Annotated[str, Field(max_length=64)]


class RoomOpenFields(RequestModel):
    pass


class RoomJoinFields(RequestModel):
    nickname: Annotated[str, Field(max_length=60)] = Field(
        default="", description="1 to 12 letters or digits; left out, the student stays a number"
    )
    token: Token = Field(
        default="",
        description="of the student's own making, at least 22 of A-Z a-z 0-9 _ -: it makes joining repeatable",
    )


class RoomAnswerFields(RequestModel):
    value: Any = Field(description="a number, a text, or lists of them")
    answer_id: Id = Field(description="of the phone's own making: repeating it changes nothing")
    seq: Natural = Field(default=0, description="counts the changes of the answer: the latest wins")


class RoomAnswer(RoomAnswerFields):
    question: Positive = Field(description="which question of the room, from 1")


class RoomViewFields(RequestModel):
    hash: Annotated[str, Field(max_length=4000)] = Field(description="the state as a permalink has it, after #")
    playing: bool = Field(default=False, description="whether the pass plays")
    at: Annotated[str, Field(max_length=200)] | None = Field(default=None, description="where it plays from")


class RoomAskFields(RequestModel):
    question: Text | None = Field(default=None, description="what is asked, with `choices`")
    choices: Annotated[list[Text], Field(min_length=2, max_length=8)] | None = Field(
        default=None, description="what can be answered"
    )
    right: Text | None = Field(default=None, description="the right one of them; null in a vote without one")
    exercise: Annotated[str, Field(max_length=100)] | None = Field(
        default=None, description="in place of `question`: one of GET /api/exercises"
    )
    seed: Natural | None = Field(default=None, description="of the exercise's numbers")
    same: bool = Field(default=True, description="whether all get the same numbers")
    again: Positive | None = Field(default=None, description="in place of all: this question of the room once more")
    id: Id | None = Field(default=None, description="of the page's own making: repeating it asks nothing twice")


class RoomMessage(RequestModel):
    """One of them."""

    ping: int | None = Field(default=None, description="answered with pong")
    own: Literal[True] | None = Field(default=None, description="student: on my own")
    back: Literal[True] | None = Field(default=None, description="student: following again")
    at: Annotated[str, Field(max_length=200)] | None = Field(default=None, description="student: the place looked at")
    answer: RoomAnswer | None = Field(default=None, description="student: an answer to a question")
    view: RoomViewFields | None = Field(default=None, description="lecturer: what all who follow see")
    bring: Literal[True] | None = Field(default=None, description="lecturer: all follow")
    letgo: Literal[True] | None = Field(default=None, description="lecturer: all are on their own")
    freeze: Literal[True] | None = Field(default=None, description="lecturer: all follow, for up to three minutes")
    thaw: Literal[True] | None = Field(default=None, description="lecturer: no longer")
    ask: RoomAskFields | None = Field(default=None, description="lecturer: a question; it closes the one before")
    close: Positive | None = Field(default=None, description="lecturer: no more answers to this question")
    reveal: Positive | None = Field(default=None, description="lecturer: show all how this question was answered")
    unname: Positive | Literal["all"] | None = Field(default=None, description="lecturer: back to the number")
    export: bool | None = Field(default=None, description="lecturer: whether answers can be exported")
    end: Literal[True] | None = Field(default=None, description="lecturer: end the room and delete everything")


class RoomHello(RequestModel):
    hello: Token = Field(description="a student's or a projector's token; empty for the lecturer's cookie")
    seen: Natural = 0
    own: bool | None = None


def _act_of(message: RoomMessage) -> tuple[str, Any]:
    given = message.model_dump(exclude_none=True)
    if len(given) != 1:
        raise invalid(f"expected one of {', '.join(RoomMessage.model_fields)}, got {', '.join(given) or 'none'}")
    return next(iter(given.items()))


# opening and joining ------------------------------------------------------------------------------------------------


@router.post(
    "/api/rooms",
    status_code=201,
    summary="Open a room for a class",
    responses=answer(schemas.OpenedRoom, status=201),
    openapi_extra=body(RoomOpenFields, {}),
)
async def open_room(request: Request, ctx: Ctx) -> Response:
    """The room's code, its address, and the token of its projector. Whoever opens it leads it: the answer brings a
    cookie for 12 hours. Where the server has an admin token, it is needed: `Authorization: Bearer <token>`."""
    await read(request, ctx, RoomOpenFields)
    admin = ctx.settings.admin_token
    if admin and not secrets.compare_digest(token_of(request).encode(), admin.encode()):
        raise Problem(403, "only who has the lecturer's token, which the server printed at its start, may open a room")
    live, lecturer, projector = await ctx.rooms.open()
    code = live.room.code
    where = responses.location(request, f"/api/rooms/{code}")
    response = responses.json_response(
        {**_document(request, ctx, live), "projector": projector}, 201, {"Location": where, "Cache-Control": "no-store"}
    )
    response.set_cookie(
        _cookie(code),
        lecturer,
        max_age=3600 * ctx.limits.room_hours,
        path=responses.location(request, "/") or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response


@router.get("/api/rooms/{code}", summary="Is there such a room?", responses=answer(schemas.Room))
async def get_room(request: Request, ctx: Ctx, code: Code) -> Response:
    """Its code, the address at which phones find it, and how many students have joined. 429 after 60 wrong codes in a
    minute from one address."""
    live = await ctx.rooms.find(code, client_of(request))
    return responses.json_response(_document(request, ctx, live), headers={"Cache-Control": "no-store"})


@router.get("/api/rooms/{code}/qr", summary="Its address as a QR code", responses=answer(None, "image/svg+xml"))
async def get_room_qr(request: Request, ctx: Ctx, code: Code) -> Response:
    """Its address with the code as an SVG picture, with the white border that scanners need."""
    live = await ctx.rooms.find(code, client_of(request))
    picture = qr_code(_document(request, ctx, live)["link"])
    return Response(picture, media_type="image/svg+xml", headers={"Cache-Control": "no-store"})


@router.post(
    "/api/rooms/{code}/join",
    summary="Join a room",
    responses=answer(schemas.Joined),
    openapi_extra=body(RoomJoinFields, {"nickname": "Mira"}),
)
async def join_room(request: Request, ctx: Ctx, code: Code) -> Response:
    """The student's number and token. The token is the only key to the number: who joins with it again, after a reload
    say, is the same student."""
    live = await ctx.rooms.find(code, client_of(request))
    asked = await read(request, ctx, RoomJoinFields)
    if asked.token and not TOKEN.fullmatch(asked.token):
        raise invalid("expected at least 22 of A-Z a-z 0-9 _ -", ["token"])
    token = asked.token or secrets.token_urlsafe(16)
    student = await ctx.rooms.join(live, token, asked.nickname)
    document = {"student": student.number, "nickname": student.nickname, "token": token}
    return responses.json_response(document, headers={"Cache-Control": "no-store"})


# following ----------------------------------------------------------------------------------------------------------


@router.websocket("/api/rooms/{code}")
async def follow_room(socket: WebSocket, ctx: Ctx, code: str) -> None:
    """{"hello": token, "seen": n} first; then events, and an answer to every message."""
    try:
        live = await ctx.rooms.find(code, client_of(socket))
        ctx.rooms.admit_stranger()
    except Problem as problem:
        await refuse_socket(problem, socket.scope, socket.receive, socket.send)
        return
    try:
        await socket.accept()
        hello = await _read_hello(socket, ctx)
        viewer = await _known(socket, live, hello.hello) if hello else None
    except (WebSocketDisconnect, RuntimeError):
        return
    finally:
        ctx.rooms.strangers -= 1
    if hello is None or viewer is None:
        return
    with ctx.rooms.connected(live, viewer, hello.seen, hello.own) as connection:
        sending = asyncio.create_task(_send_events(socket, ctx, live, connection))
        try:
            await _take_messages(socket, ctx, live, viewer)
        finally:
            sending.cancel()


async def _receive(socket: WebSocket, ctx: Context, model: type[Said]) -> Said:
    """The next message. Raises Problem for one that makes no sense, WebSocketDisconnect."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    written = message.get("text")
    if written is None:
        raise malformed("expected a text message with JSON in it, got a binary one")
    content = written.encode("utf-8", "surrogatepass")
    if len(content) > (most := ctx.limits.room_message_bytes):
        raise over_limit("room_message_bytes", most, f"the message is larger than {most} bytes")
    said = json.decode(content)
    if not isinstance(said, dict):
        raise malformed(f"expected a JSON object with one of {', '.join(model.model_fields)}")
    return validate(model, said, ctx.limits)


async def _read_hello(socket: WebSocket, ctx: Context) -> RoomHello | None:
    """What a socket says first; None, and a closed socket, where that is something else or nothing for long."""
    try:
        async with asyncio.timeout(HELLO):
            return await _receive(socket, ctx, RoomHello)
    except Problem as problem:
        await socket.send_text(_written({"problem": problem.document()}))
    except TimeoutError:
        pass
    await socket.close(MISBEHAVED, "expected hello first")
    return None


async def _known(socket: WebSocket, live: LiveRoom, token: str) -> Viewer | None:
    viewer = live.room.viewer(token or socket.cookies.get(_cookie(live.room.code), ""))
    if viewer is None:
        await socket.close(GONE, "this room does not know the token")
    return viewer


async def _send_events(socket: WebSocket, ctx: Context, live: LiveRoom, connection: Connection) -> None:
    with suppress(WebSocketDisconnect, RuntimeError, OSError):
        async for batch in ctx.rooms.messages(live, connection, heartbeat=60.0):
            for message in batch:
                await socket.send_text(_written(message))
        await socket.close(GONE if live.room.ended else 1000)  # which `_take_messages` notices


async def _take_messages(socket: WebSocket, ctx: Context, live: LiveRoom, viewer: Viewer) -> None:
    patience = PATIENCE
    with suppress(WebSocketDisconnect, RuntimeError, OSError):
        while patience:
            answer_id = None
            try:
                async with asyncio.timeout(SILENCE):
                    message = await _receive(socket, ctx, RoomMessage)
                answer_id = message.answer.answer_id if message.answer else None
                reply = await ctx.rooms.act(live, viewer, *_act_of(message))
            except Problem as problem:
                reply = {"problem": problem.document(), **({"answer_id": answer_id} if answer_id else {})}
                patience -= problem.status in (400, 403, 422)
            except TimeoutError:
                break
            await socket.send_text(_written(reply))
        await socket.close(MISBEHAVED, "silent for too long, or too many messages that make no sense")


def _written(message: dict[str, Any]) -> str:
    return json.encode(message).decode("ascii")


# without sockets ----------------------------------------------------------------------------------------------------


@router.get(
    "/api/rooms/{code}/events",
    summary="What happens in a room, without a socket",
    responses=answer(list[schemas.RoomTold], "text/event-stream"),
)
async def get_room_events(request: Request, ctx: Ctx, code: Code, seen: Seen = 0) -> Response:
    """The same messages as on the socket `WS /api/rooms/{code}`, for the token in `Authorization: Bearer` or the
    lecturer's cookie: an event stream where Accept asks for one, else a list, which waits up to 20 seconds for news."""
    live, viewer = await _member(request, ctx, code)
    if responses.negotiate(request, "application/json", "text/event-stream") == "text/event-stream":
        return _stream(ctx, live, viewer, seen)
    with ctx.rooms.connected(live, viewer, seen) as connection:
        connection.summary = not seen or viewer.role != "student"
        if connection.summary and seen:
            await asyncio.sleep(1)  # who leads is told of changes once a second
        batch: list[dict[str, Any]] = await anext(ctx.rooms.messages(live, connection, heartbeat=POLL), [])
    return responses.json_response(batch, headers={"Cache-Control": "no-store"})


def _stream(ctx: Context, live: LiveRoom, viewer: Viewer, seen: int) -> Response:
    held = ExitStack()
    connection = held.enter_context(ctx.rooms.connected(live, viewer, seen))

    async def tell() -> AsyncIterator[bytes]:
        try:
            yield b": here\n\n"  # so that a proxy passes the head on at once
            async for batch in ctx.rooms.messages(live, connection, HEARTBEAT):
                yield "".join(f"data: {_written(message)}\n\n" for message in batch).encode() or b": here\n\n"
        finally:
            held.close()

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        tell(), headers=headers, media_type="text/event-stream", background=BackgroundTask(held.close)
    )


@router.post(
    "/api/rooms/{code}/messages",
    summary="Say something in a room",
    responses=answer(schemas.RoomTold),
    openapi_extra=body(RoomMessage, {"ping": 1}),
)
async def post_room_message(request: Request, ctx: Ctx, code: Code) -> Response:
    """One message as on the socket, and the answer to it."""
    live, viewer = await _member(request, ctx, code)
    message = await read(request, ctx, RoomMessage)
    reply = await ctx.rooms.act(live, viewer, *_act_of(message))
    return responses.json_response(reply, headers={"Cache-Control": "no-store"})


@router.put(
    "/api/rooms/{code}/questions/{question}/answer",
    summary="Answer a question of a room",
    responses=answer(schemas.Acknowledged),
    openapi_extra=body(RoomAnswerFields, {"value": "turned", "answer_id": "b1f3", "seq": 1}),
)
async def put_room_answer(
    request: Request,
    ctx: Ctx,
    code: Code,
    question: Annotated[int, Path(ge=1, lt=2**53, description="which question of the room, from 1", examples=[1])],
) -> Response:
    """The answer is stored when this is answered. `counted` is false where it came after the reveal."""
    live, viewer = await _member(request, ctx, code)
    given = await read(request, ctx, RoomAnswerFields)
    reply = await ctx.rooms.act(live, viewer, "answer", {"question": question, **given.model_dump()})
    return responses.json_response(reply, headers={"Cache-Control": "no-store"})


@router.get(
    "/api/rooms/{code}/answers",
    summary="All answers as a table",
    responses=answer(None, "text/csv"),
)
async def get_room_answers(request: Request, ctx: Ctx, code: Code) -> Response:
    """CSV for the lecturer, where export is on, of which students are told: number, nickname, question, seed, answer,
    right, misconception, tries, seconds. 409 where it is off."""
    live, viewer = await _member(request, ctx, code)
    if viewer.role != "lecturer":
        raise Problem(403, "only the lecturer may export the answers")
    if not live.room.export:
        raise conflict('export is off; {"export": true} turns it on, and students are told')
    headers = {"Cache-Control": "no-store", "Content-Disposition": f"attachment; filename=room-{live.room.code}.csv"}
    return Response(answers_csv(live.room), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/r/{code}", include_in_schema=False)
async def join_page(request: Request, code: str) -> Response:
    """The short address on the projector: the page, with the room to join."""
    known = read_code(code)
    if not known:
        raise missing(f"{code[:20]!r} is no room's code: expected four letters and digits, as K7MQ")
    where = responses.location(request, f"/#room={known}")
    return Response(status_code=307, headers={"Location": where, "Cache-Control": "no-store"})


# questions ----------------------------------------------------------------------------------------------------------


class ExerciseAsker(Asker):
    """Questions from the exercises too: an answer's mistake has a name, and the reveal says what it computes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: dict[tuple[str, int, bytes], dict[str, Any]] = {}

    async def item(self, asked: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        name = asked.get("exercise")
        if not name:
            return await super().item(asked)
        seed = asked.get("seed", secrets.randbelow(2**31))
        found = await self._pool.run(self, exercises.item_document, name, seed, "none", cost=DRAWING)
        item = {key: found[key] for key in ("title", "question", "kind")}
        item |= {"exercise": name, "seed": seed, "same": asked["same"]}
        if "choices" in found and found["kind"] == "choice":
            item["choices"] = [{"name": each["name"], "text": each["text"]} for each in found["choices"]]
        solved = await self._verdict(name, seed, None)
        return item, {"right": solved["value"]} if asked["same"] else {}

    async def judge(self, question: Question, seed: int | None, value: Any) -> Verdict:
        if "exercise" not in question.item:
            return await super().judge(question, seed, value)
        found = await self._verdict(question.item["exercise"], seed or 0, value)
        return bool(found["right"]), found["mistake"] and found["mistake"]["name"]

    async def shown(self, question: Question) -> dict[str, Any]:
        mistake = question.commonest_mistake()
        if "exercise" not in question.item or not question.item["same"]:
            return {}
        name, seed = question.item["exercise"], question.item["seed"]
        solved = await self._verdict(name, seed, None)
        told: dict[str, Any] = {"solution": solved["solution"]}
        if mistake:
            value = next(each.value for each in question.answers.values() if each.mistake == mistake)
            found = await self._verdict(name, seed, value)
            told["mistake"] = {"name": mistake, "feedback": found["mistake"]["feedback"], "value": value}
        return told

    async def _verdict(self, name: str, seed: int, value: Any) -> dict[str, Any]:
        """The verdict on a value; on None, the solution. A class gives few different answers: they are kept."""
        key = (name, seed, json.encode(value))
        if key not in self._known:
            if len(self._known) >= KNOWN:
                self._known.clear()
            asked = exercises.ExerciseAnswerFields(seed=seed, answer=value, reveal=value is None)
            found = await self._pool.run(self, exercises.answer_document, name, asked, cost=DRAWING)
            if found["mistake"]:
                found["mistake"].pop("explanation")
            found.pop("explanation", None)
            self._known[key] = found
        return self._known[key]


# who and where ------------------------------------------------------------------------------------------------------


async def _member(request: Request, ctx: Context, code: str) -> tuple[LiveRoom, Viewer]:
    """The room, and who asks: by the token, else by the lecturer's cookie. 401 for neither."""
    live = await ctx.rooms.find(code, client_of(request))
    token = token_of(request) or request.cookies.get(_cookie(live.room.code), "")
    viewer = live.room.viewer(token) if token else None
    if viewer is None:
        words = "expected Authorization: Bearer with a token of this room" if not token else "this room has ended"
        raise Problem(401, words, headers={"WWW-Authenticate": "Bearer"})
    return live, viewer


def _cookie(code: str) -> str:
    return f"convscope-room-{code}"


def _document(request: Request, ctx: Context, live: LiveRoom) -> dict[str, Any]:
    base, reachable = _address(request, ctx)
    link = f"{base}/r/{live.room.code}"
    return {
        "code": live.room.code,
        "address": base.partition("://")[2],
        "link": link,
        "reachable": reachable,
        "students": len(live.room.students),
    }


def _address(request: Request, ctx: Context) -> tuple[str, bool]:
    """Where phones find this server, and whether they can: its public URL, else as it was asked, else by the address
    of this machine in its network, where it listens there."""
    if public := ctx.settings.public_url.rstrip("/"):
        return public, True
    scheme = {"ws": "http", "wss": "https"}.get(request.url.scheme, request.url.scheme)
    host, prefix = request.headers["host"], responses.location(request, "")
    if not is_loopback(hostname(host) or ""):
        return f"{scheme}://{host}{prefix}", True
    if is_loopback(ctx.settings.host) or not (own := lan_address()):
        return f"{scheme}://{host}{prefix}", False
    port = host.rpartition("]")[2].partition(":")[2]
    return f"{scheme}://{own}{':' if port else ''}{port}{prefix}", True
