"""Rooms over HTTP and sockets: who may do what, and what everybody is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

CHOICES = ["as it is", "turned"]
ASK = {"ask": {"question": "How does it lie?", "choices": CHOICES, "right": "turned"}}


class Class:
    """A room with its lecturer's cookie, which is not left in the client's jar."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        opened = client.post("/api/rooms", json={})
        assert opened.status_code == 201, opened.text
        self.document = opened.json()
        self.code = self.document["code"]
        self.path = f"/api/rooms/{self.code}"
        self.cookie = {"Cookie": f"convscope-room-{self.code}={client.cookies[f'convscope-room-{self.code}']}"}
        self.set_cookie = opened.headers["set-cookie"]
        client.cookies.clear()

    def join(self, **body: Any) -> Any:
        joined = self.client.post(f"{self.path}/join", json=body)
        assert joined.status_code == 200, joined.text
        return joined.json()

    def say(self, message: Any, token: str = "") -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else self.cookie
        return self.client.post(f"{self.path}/messages", json=message, headers=headers)

    def socket(self, token: str = "", seen: int = 0, **more: Any) -> Any:
        headers = {} if token else self.cookie
        opened = self.client.websocket_connect(f"ws://localhost{self.path}", headers=headers)
        return Follower(opened, {"hello": token, "seen": seen, **more})


class Follower:
    def __init__(self, opened: Any, hello: dict[str, Any]) -> None:
        self.opened, self.hello = opened, hello

    def __enter__(self) -> Follower:
        self.socket = self.opened.__enter__()
        self.socket.send_json(self.hello)
        return self

    def __exit__(self, *error: Any) -> None:
        self.opened.__exit__(*error)

    def send(self, message: Any) -> None:
        self.socket.send_json(message)

    def until(self, *keys: str) -> Any:
        """The next message with all of these."""
        while True:
            message = self.socket.receive_json()
            if all(key in message for key in keys):
                return message


@pytest.fixture
def room(client: TestClient) -> Iterator[Class]:
    made = Class(client)
    yield made
    made.say({"end": True})


def test_the_lecturer_has_a_cookie_that_no_script_reads(room: Class) -> None:
    assert {"HttpOnly", "SameSite=strict", "Max-Age=43200", "Path=/"} <= set(room.set_cookie.split("; "))


def test_a_room_is_found_by_its_code_and_led_to_from_the_short_address(client: TestClient, room: Class) -> None:
    found = client.get(f"/api/rooms/{room.code.lower()[:2]} {room.code[2:]}").json()
    assert found["code"] == room.code and found["students"] == 0
    assert found["link"] == f"http://localhost/r/{room.code}" and found["reachable"] is False
    short = client.get(f"/r/{room.code.lower()}", follow_redirects=False)
    assert short.status_code == 307 and short.headers["location"] == f"/#room={room.code}"
    assert client.get("/r/nothing").status_code == 404
    picture = client.get(f"{room.path}/qr")
    assert picture.headers["content-type"] == "image/svg+xml" and picture.content.startswith(b"<svg")


def test_a_class_joins_by_number_and_again_is_the_same(room: Class) -> None:
    assert [room.join()["student"] for _ in range(3)] == [1, 2, 3]
    mira = room.join(nickname="Mira")
    assert mira["student"] == 4 and mira["nickname"] == "Mira" and len(mira["token"]) >= 22
    assert room.join(token=mira["token"]) == mira
    made = "A" * 22
    assert room.join(token=made)["student"] == room.join(token=made)["student"] == 5


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"nickname": "a b"}, 422),
        ({"nickname": "<script>"}, 422),
        ({"nickname": "sh1t"}, 422),
        ({"nickname": "x" * 1000}, 422),
        ({"nickname": 5}, 422),
        ({"token": "short"}, 422),
        ({"token": "a b" * 9}, 422),
        ({"name": "x"}, 422),
        ([], 400),
    ],
)
def test_what_is_no_joining_is_refused(client: TestClient, room: Class, body: Any, status: int) -> None:
    assert client.post(f"{room.path}/join", json=body).status_code == status
    assert client.get(room.path).json()["students"] == 0


def test_a_nickname_is_taken_once(client: TestClient, room: Class) -> None:
    room.join(nickname="Mira")
    assert client.post(f"{room.path}/join", json={"nickname": "MIRA"}).status_code == 409


def test_a_question_from_asking_to_the_end(room: Class) -> None:
    one, two = room.join(nickname="Ada"), room.join()
    with room.socket() as lecturer, room.socket(one["token"]) as ada, room.socket(two["token"]) as second:
        assert ada.until("state")["state"]["you"] == {"number": 1, "nickname": "Ada"}
        lecturer.send({"view": {"hash": "#at=conv2/dx/0,1,5,3"}})
        assert ada.until("view")["view"]["hash"] == second.until("view")["view"]["hash"] == "#at=conv2/dx/0,1,5,3"
        lecturer.send(ASK)
        asked = ada.until("ask")["ask"]
        assert [each["name"] for each in asked["item"]["choices"]] == CHOICES and asked["result"] is None
        for value, seq in (("as it is", 1), ("turned", 2)):
            ada.send({"answer": {"question": 1, "value": value, "answer_id": value, "seq": seq}})
            assert ada.until("ack")["counted"] is True
        second.send({"answer": {"question": 1, "value": "as it is", "answer_id": "x", "seq": 1}})
        second.until("ack")
        while True:
            told = lecturer.until("bars")
            if [row["count"] for row in told["bars"]] == [1, 1]:
                break
        assert told["count"] == {"question": 1, "answered": 2, "of": 2}
        assert [who["state"] for who in told["who"]] == ["following", "following"]
        lecturer.send({"reveal": 1})
        shown = ada.until("reveal")["reveal"]
        assert shown["verdict"]["right"] is True and shown["result"]["right"] == "turned"
        assert [row["count"] for row in shown["result"]["tally"]] == [1, 1]
        assert second.until("reveal")["reveal"]["verdict"]["right"] is False
        second.send({"answer": {"question": 1, "value": "turned", "answer_id": "y", "seq": 2}})
        assert second.until("ack")["counted"] is False
        lecturer.send({"end": True})
        assert ada.until("ended") and second.until("ended")
        with pytest.raises(WebSocketDisconnect) as closed:
            ada.until("nothing")
        assert closed.value.code == 4404


def test_an_exercise_is_judged_and_its_mistake_named(client: TestClient, room: Class) -> None:
    students = [room.join()["token"] for _ in range(3)]
    asked = room.say({"ask": {"exercise": "input_gradient", "seed": 0}})
    assert asked.status_code == 200, asked.text
    for token, value in zip(students, ["−17", "-17", "12345"], strict=True):
        answer = {"question": 1, "value": value, "answer_id": value}
        assert room.say({"answer": answer}, token).json()["counted"] is True
    headers = {"Authorization": f"Bearer {students[0]}"}
    path = f"{room.path}/events"
    assert client.get(path, headers=headers).json()[0]["state"]["question"]["result"] is None
    room.say({"reveal": 1})
    question = client.get(path, headers=headers).json()[0]["state"]["question"]
    expected = client.post("/api/exercises/input_gradient/answers", json={"seed": 0, "answer": "−17", "reveal": True})
    mistake = expected.json()["mistake"]
    assert question["verdict"] == {"right": False, "mistake": mistake["name"]}
    rows = {row["name"]: row["count"] for row in question["result"]["tally"]}
    assert rows == {"right": 0, mistake["name"]: 2, "something else": 1}
    assert question["result"]["right"] == expected.json()["value"]
    assert question["result"]["mistake"] == {"name": mistake["name"], "feedback": mistake["feedback"], "value": "−17"}
    assert room.say({"ask": {"exercise": "no such", "seed": 0}}).status_code == 404
    assert room.say({"answer": {"question": 1, "value": "x", "answer_id": "z"}}, students[0]).status_code == 422


def test_who_comes_back_is_told_what_was_missed_and_no_more(room: Class) -> None:
    token = room.join()["token"]
    with room.socket(token) as student:
        n = student.until("state")["n"]
    room.say(ASK)
    room.say({"answer": {"question": 1, "value": "turned", "answer_id": "a"}}, token)
    with room.socket(token, seen=n) as student:
        missed = student.socket.receive_json()
        assert missed["n"] == n + 1 and missed["ask"]["answer"]["value"] == "turned"
    with room.socket(token, seen=10**6) as student:  # of another life of the room
        assert student.until("state")["state"]["question"]["question"] == 1


def test_own_following_and_lost_are_told_to_the_lecturer(room: Class) -> None:
    token = room.join()["token"]

    def wait_for(lecturer: Follower, state: str) -> Any:
        while (told := lecturer.until("who"))["who"][0]["state"] != state:
            pass
        return told

    with room.socket() as lecturer:
        with room.socket(token) as student:
            wait_for(lecturer, "following")
            student.send({"own": True})
            student.send({"at": "conv1/y/0,1,2,3"})
            wait_for(lecturer, "own")
            lecturer.send({"bring": True})
            student.until("bring")
            wait_for(lecturer, "following")
            lecturer.send({"freeze": True})
            frozen = student.until("freeze")
            assert 170 < frozen["freeze"] - frozen["now"] <= 180
            student.send({"own": True})
            student.until("ok")
            wait_for(lecturer, "following")
            lecturer.send({"letgo": True})
            wait_for(lecturer, "own")


def test_the_projector_sees_names_and_numbers_and_no_bars_before_the_reveal(room: Class) -> None:
    token = room.join(nickname="Mira")["token"]
    with room.socket(room.document["projector"]) as projector:
        room.say(ASK)
        projector.until("ask")
        room.say({"answer": {"question": 1, "value": "turned", "answer_id": "a"}}, token)
        told = projector.until("who", "count")
        while told["count"]["answered"] == 0:
            told = projector.until("who", "count")
        assert "bars" not in told and told["who"][0]["nickname"] == "Mira"
        projector.send({"reveal": 1})
        assert projector.until("problem")["problem"]["status"] == 403
        room.say({"reveal": 1})
        assert projector.until("reveal")["reveal"]["result"]["answered"] == 1


@pytest.mark.parametrize(
    "message",
    [{"view": {"hash": "#"}}, {"bring": True}, ASK, {"reveal": 1}, {"end": True}, {"export": True}, {"unname": 1}],
)
def test_a_student_leads_nobody(room: Class, message: Any) -> None:
    token = room.join()["token"]
    assert room.say(message, token).status_code == 403
    assert room.say({"ping": 1}, token).json() == {"pong": 1}


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ({}, 422),
        ({"ping": 1, "own": True}, 422),
        ({"unknown": 1}, 422),
        ({"answer": {"question": 1, "value": "sideways", "answer_id": "a"}}, 422),
        ({"answer": {"question": 1, "value": {"a": [1]}, "answer_id": "a"}}, 422),
        ({"answer": {"question": 9, "value": "turned", "answer_id": "a"}}, 404),
        ({"answer": {"question": 1, "value": "x" * 2000, "answer_id": "a"}}, 413),
        ({"answer": {"question": 1, "value": [[0] * 13] * 5, "answer_id": "a"}}, 413),
        ({"answer": {"question": 1, "value": "turned", "answer_id": ""}}, 422),
        ({"answer": {"question": 1, "value": "turned", "answer_id": "a", "seq": -1}}, 422),
        ([1], 400),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(room: Class, message: Any, status: int) -> None:
    token = room.join()["token"]
    room.say(ASK)
    assert room.say(message, token).status_code == status


def test_a_socket_that_says_nonsense_is_told_so_and_closed(client: TestClient, room: Class) -> None:
    token = room.join()["token"]
    with room.socket(token) as student:
        for _ in range(8):
            student.send({"answer": 1})
        problems = [student.until("problem")["problem"]["status"] for _ in range(8)]
        assert problems == [422] * 8
        with pytest.raises(WebSocketDisconnect):
            student.until("nothing")
    with client.websocket_connect(f"ws://localhost{room.path}") as stranger:
        stranger.send_json({"own": True})
        assert stranger.receive_json()["problem"]["status"] == 422
    with room.socket("no token of this room at all") as stranger, pytest.raises(WebSocketDisconnect) as closed:
        stranger.until("nothing")
    assert closed.value.code == 4404
    with pytest.raises(WebSocketDenialResponse), client.websocket_connect("ws://localhost/api/rooms/ZZZZ"):
        pass
    headers = {"Origin": "http://elsewhere.example"}
    with (
        pytest.raises(WebSocketDenialResponse),
        client.websocket_connect(f"ws://localhost{room.path}", headers=headers),
    ):
        pass


def test_messages_of_one_student_are_few_a_second(room: Class) -> None:
    token, other = room.join()["token"], room.join()["token"]
    statuses = [room.say({"ping": k}, token).status_code for k in range(40)]
    assert 429 in statuses and room.say({"ping": 1}, other).status_code == 200


def test_without_a_socket_the_same_is_told_by_polls(client: TestClient, room: Class) -> None:
    token = room.join()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    first = client.get(f"{room.path}/events", headers=headers).json()
    assert "state" in first[0]
    later = threading.Timer(0.2, room.say, [ASK])
    later.start()
    waited = client.get(f"{room.path}/events?seen={first[0]['n']}", headers=headers).json()
    later.join()
    assert waited[0]["ask"]["question"] == 1
    path = f"{room.path}/questions/1/answer"
    body = {"value": "turned", "answer_id": "a", "seq": 1}
    first_time = client.put(path, json=body, headers=headers).json()
    assert client.put(path, json=body, headers=headers).json() == first_time
    assert first_time["counted"] is True and first_time["ack"] == "a"
    assert client.get(f"{room.path}/events").status_code == 401


def test_export_is_the_lecturers_and_is_told_before(client: TestClient, room: Class) -> None:
    joined = room.join(nickname="Mira")
    export = f"{room.path}/answers"
    assert client.get(export, headers=room.cookie).status_code == 409
    room.say({"export": True})
    with room.socket(joined["token"]) as student:
        assert student.until("state")["state"]["export"] is True
    room.say({"ask": {"question": "=1+1?", "choices": ["=cmd()", "-17"], "right": "-17"}})
    room.say({"answer": {"question": 1, "value": "=cmd()", "answer_id": "a"}}, joined["token"])
    lines = client.get(export, headers=room.cookie).content.decode("utf-8-sig").splitlines()
    assert lines[0] == "number,nickname,question,seed,answer,right,misconception,tries,seconds"
    assert lines[1].startswith("1,Mira,1,,'=cmd(),no,,1,")
    assert client.get(export, headers={"Authorization": f"Bearer {joined['token']}"}).status_code == 403


def test_wrong_codes_are_counted_by_address(client: TestClient, room: Class) -> None:
    address = {"X-Forwarded-For": "10.9.9.9"}
    rooms = client.app.state.context.rooms  # type: ignore[attr-defined]
    before = dict(rooms._misses)
    statuses = [client.get("/api/rooms/ZZZZ", headers=address).status_code for _ in range(61)]
    assert statuses[0] == 404 and statuses[-1] == 429
    rooms._misses.clear()
    rooms._misses.update(before)
    assert client.get(room.path).status_code == 200


def test_a_room_that_has_ended_is_gone(client: TestClient) -> None:
    made = Class(client)
    token = made.join()["token"]
    made.say({"end": True})
    assert client.get(made.path).status_code == 404
    assert made.say({"ping": 1}, token).status_code == 404


def test_rooms_beyond_the_limit_are_refused_and_unused_ones_make_way(client: TestClient) -> None:
    rooms = client.app.state.context.rooms  # type: ignore[attr-defined]
    made = [Class(client) for _ in range(20 - len(rooms._live))]
    try:
        full = client.post("/api/rooms", json={})
        assert full.status_code == 429 and full.json()["limit"] == {"name": "rooms", "value": 20}
        rooms._live[made[0].code].room.touched -= 3600
        made.append(Class(client))
        assert client.get(made[0].path).status_code == 404
    finally:
        for each in made[1:]:
            each.say({"end": True})
        rooms._misses.clear()


@pytest.mark.parametrize("seed", range(3))
def test_hostile_messages_never_break_the_server(room: Class, seed: int) -> None:
    import random

    rng = random.Random(seed)
    token = room.join()["token"]
    values: list[Any] = [None, 0, -1, 1e308, "", "x", "\ud800", "\x00", [], [[[]]], {}, {"a": {"b": []}}, True, 2**60]
    kinds = ["answer", "own", "at", "ask", "view", "hello", "unname", "reveal", "ping", "", "__class__"]
    for _ in range(120):
        message = {rng.choice(kinds): rng.choice(values) for _ in range(rng.randint(0, 2))}
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        answer = room.client.post(f"{room.path}/messages", content=json.dumps(message), headers=headers)
        assert answer.status_code < 500, message
