"""The interface describes itself: every operation, parameter and field has words, and its examples run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.limits import Limits
from engine.ops import OPS


@pytest.fixture(scope="module")
def document(client: TestClient) -> Any:
    return client.get("/openapi.json").json()


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def undocumented(document: Any) -> list[str]:
    """What lacks a summary or a description."""
    found = []
    for method, path, operation in operations(document):
        name = f"{method} {path}"
        if not operation.get("summary") or not operation.get("description"):
            found.append(name)
        found += [f"{name}: {each['name']}" for each in operation.get("parameters", []) if not each.get("description")]
    for name, schema in document["components"]["schemas"].items():
        found += [
            f"{name}.{field}" for field, each in schema.get("properties", {}).items() if not each.get("description")
        ]
    return found


def test_everything_is_described(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    assert undocumented(document) == []


def test_an_undescribed_field_would_be_found(document: Any) -> None:
    document["components"]["schemas"]["Change"]["properties"]["state"].pop("description")
    assert undocumented(document) == ["Change.state"]


def test_every_operation_says_what_it_answers(document: Any) -> None:
    for method, path, operation in operations(document):
        for status, said in operation["responses"].items():
            assert status == "204" or said["content"], (method, path)
            assert all(each["schema"] for each in said.get("content", {}).values()), (method, path)


def test_the_whole_interface_is_in_it(document: Any) -> None:
    run = "/api/runs/{id}"
    assert {
        "/api/ops", "/api/ops/{op}/forward", "/api/ops/{op}/backward", "/api/ops/{op}/explain", "/api/ops/{op}/check",
        "/api/models", "/api/networks/check",
        "/api/optimizers/{optimizer}/step", "/api/networks/shapes", "/api/networks/gradients", "/api/networks/explain",
        "/api/datasets", "/api/datasets/{name}/{split}/{index}", "/api/limits", "/api/status", "/api/runs", run,
        f"{run}/step", f"{run}/metrics", f"{run}/predict", f"{run}/passes", f"{run}/parameters",
        f"{run}/network", f"{run}/pytorch",
        f"{run}/steps/{{step}}/tensors/{{layer}}/{{tensor}}", f"{run}/steps/{{step}}/explain/{{place}}",
        f"{run}/passes/{{pass_id}}/tensors/{{layer}}/{{tensor}}", f"{run}/passes/{{pass_id}}/explain/{{place}}",
    } <= document["paths"].keys()  # fmt: skip
    assert all("4XX" in operation["responses"] for _, _, operation in operations(document))


def test_what_makes_a_run_or_a_pass_leads_to_its_calls(document: Any) -> None:
    for start, names in (("/api/runs", {"id"}), ("/api/runs/{id}/passes", {"id", "pass_id"})):
        links = document["paths"][start]["post"]["responses"]["201"]["links"]
        for path, operation in ((path, each) for _, path, each in operations(document)):
            linked = links.get(operation["operationId"], {}).get("parameters", {}).keys() == names
            assert linked == (set(re.findall(r"{(id|pass_id)}", path)) == names), path


def test_the_settings_of_a_layer_are_those_of_its_operator(document: Any) -> None:
    kinds = document["components"]["schemas"]["LayerFields"]["oneOf"]
    listed = {kind["properties"]["op"]["const"]: kind["properties"]["settings"] for kind in kinds}
    assert listed.keys() == {name for name, op in OPS.items() if not op.is_loss}
    assert listed["conv2d"]["required"] == ["out", "kernel_size"]


def test_the_examples_of_bodies_run(client: TestClient, document: Any, train: Any) -> None:
    run = train(model="classroom", steps=2, start=False)["id"]
    made = client.post(f"/api/runs/{run}/passes", json={"dataset": "mnist", "index": 0}).json()
    network = {"input": [4], "layers": [{"name": "fc", "op": "linear", "settings": {"out": 2}}]}
    model = client.post("/api/networks/import", json=network).json()["id"]
    names = {"op": "conv2d", "import_id": model, "optimizer": "momentum", "id": run, "pass_id": made["id"]}
    room = client.post("/api/rooms", json={}).json()["code"]
    asked = {"ask": {"question": "?", "choices": ["turned", "as it is"]}}
    client.post(f"/api/rooms/{room}/messages", json=asked)
    names |= {"name": "input_gradient", "code": room, "question": "1"}
    tried = 0
    for method, path, operation in operations(document):
        if "requestBody" in operation:
            example = operation["requestBody"]["content"]["application/json"]["example"]
            answer = client.request(method, path.format(**names), json=example)
            led = path.endswith("/questions/{question}/answer")  # who leads a room does not answer
            assert answer.status_code == 403 if led else answer.status_code < 300, (method, path, answer.text)
            if path == "/api/runs":
                client.delete(answer.headers["location"])
            tried += 1
    assert tried >= 14


def test_every_limit_is_published_with_its_unit_and_its_reason(client: TestClient) -> None:
    limits = client.get("/api/limits").json()
    assert limits == Limits().document()
    assert all(limit["unit"] and limit["description"] and limit["value"] > 0 for limit in limits.values())


def reached(schema: Any, schemas: Any, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """The names of schemas that lead back to themselves."""
    if isinstance(schema, list):
        for each in schema:
            yield from reached(each, schemas, seen)
    elif isinstance(schema, dict):
        name = schema.get("$ref", "").rpartition("/")[2]
        if name in seen:
            yield name
        elif name:
            yield from reached(schemas[name], schemas, seen | {name})
        for key, each in schema.items():
            if key != "$ref":
                yield from reached(each, schemas, seen)


def test_generators_of_clients_can_read_it(document: Any) -> None:
    """No schema names itself, every operation has a name a person would write, and the token has its scheme."""
    schemas = document["components"]["schemas"]
    assert not list(reached(list(schemas.values()), schemas))
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[a-z]+(_[a-z]+)*", each) for each in ids)
    assert {"forward_op", "get_run", "list_datasets", "create_run"} <= set(ids)
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert document["paths"]["/api/runs/{id}"]["patch"]["security"] == [{}, {"bearer": []}]


def test_a_schema_that_names_itself_would_be_found() -> None:
    ref = {"$ref": "#/components/schemas/A"}
    assert list(reached([ref], {"A": {"items": ref}})) == ["A"]
