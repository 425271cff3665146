"""The OpenAPI document: request bodies that routes read, and the problem documents that every one may answer."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from starlette.responses import Response

from app.formats import json
from app.formats.npz import NPZ
from app.formats.safetensors import SAFETENSORS
from app.http import responses
from app.http.request_body import JSON, TENSORS, RequestModel
from app.problems import MEDIA_TYPE

SCHEMAS = "#/components/schemas/"
PROBLEM = {
    "type": "object",
    "description": "What went wrong (RFC 9457): what was expected, what was got, and where.",
    "required": ["type", "title", "status", "detail", "errors"],
    "properties": {
        "type": {"type": "string", "description": "names the kind of problem"},
        "title": {"type": "string", "description": "the HTTP status in words"},
        "status": {"type": "integer", "description": "the HTTP status"},
        "detail": {"type": "string", "description": "what was expected and what was got, with the place"},
        "errors": {
            "type": "array",
            "description": "every misfit",
            "items": {
                "type": "object",
                "required": ["loc", "detail"],
                "properties": {
                    "loc": {
                        "type": "array",
                        "description": "names and positions that lead to it",
                        "items": {},
                    },
                    "detail": {"type": "string", "description": "what does not fit there"},
                },
            },
        },
        "limit": {
            "type": "object",
            "description": "the limit that was exceeded (413, 429)",
            "properties": {
                "name": {"type": "string", "description": "as in GET /api/limits"},
                "value": {"type": "number", "description": "its value"},
            },
        },
    },
}
#: How deep a tensor's lists are written out in its schema: generators of clients choke on one that names itself.
DEEPEST = 5


def _nested(number: list[Any]) -> dict[str, Any]:
    """A number, or lists of numbers as deep as batches of images are; deeper ones are lists of anything."""
    inner: dict[str, Any] = {}
    for _ in range(DEEPEST):
        inner = {"anyOf": [*number, {"type": "array", "items": inner}]}
    return inner


#: What a field that is marked as a tensor holds in a body, and in an answer.
TENSORS_IN = {
    "Numbers": {
        "description": "A tensor: a number, or nested lists of numbers, row-major. Lists side by side are equally "
        "long; at most 8 stand in one another (limit rank).",
        **_nested([{"type": "number"}]),
    },
    "Values": {
        "description": "A tensor: a number, or nested lists of numbers, row-major; NaN and infinities are words.",
        **_nested([{"type": "number"}, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}]),
    },
}
BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "the token that POST /api/runs answered on a server started with --shared; elsewhere none is needed",
}
_found: dict[str, Any] = {}


def _add(schemas: dict[str, Any], tensor: str) -> None:
    for name, schema in schemas.items():
        _mark(schema, {"$ref": SCHEMAS + tensor})
        if _found.setdefault(name, schema) != schema:
            raise ValueError(f"two schemas are called {name}")


def _mark(schema: Any, tensor: dict[str, Any]) -> None:
    """Say what is in the fields that are marked as tensors: pydantic takes them for anything."""
    if isinstance(schema, list):
        for each in schema:
            _mark(each, tensor)
    if isinstance(schema, dict):
        for each in schema.values():
            _mark(each, tensor)
        if "x-tensor" in schema:
            one = {"type": "object", "additionalProperties": tensor} if TENSORS.items() <= schema.items() else tensor
            schema.pop("additionalProperties", None)
            schema.pop("type", None)
            schema["anyOf"] = [one, {"type": "null"}] if schema.get("default", ...) is None else [one]


def body(model: type[RequestModel], example: Any, npz: bool = False) -> dict[str, Any]:
    """What a route that reads its own body says about it: `openapi_extra`."""
    schema = model.model_json_schema(ref_template=SCHEMAS + "{model}")
    _add(schema.pop("$defs", {}) | {model.__name__: schema}, "Numbers")
    content: dict[str, Any] = {JSON: {"schema": {"$ref": SCHEMAS + model.__name__}, "example": example}}
    if npz:
        for kind, where in ((NPZ, "0-d unicode member"), (SAFETENSORS, "metadata's entry")):
            description = f"tensors as members, the rest as JSON in the {where} `request`"
            content[kind] = {"schema": {"type": "string", "format": "binary", "description": description}}
    needed = "required" in schema or "oneOf" in schema
    return {"requestBody": {"required": needed, "content": content}}


def answer(model: Any, *kinds: str, status: int = 200, words: str = "") -> dict[int | str, dict[str, Any]]:
    """What a route says it answers: `responses`. `model` is a class, or list[...] or dict[str, ...] of one; `kinds` are
    the other types that Accept may ask for."""
    content: dict[str, Any] = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in kinds}
    if model is not None:
        schema = TypeAdapter(model).json_schema(ref_template=SCHEMAS + "{model}", mode="serialization")
        _add(schema.pop("$defs", {}), "Values")
        if "$ref" not in schema and isinstance(model, type):
            _add({model.__name__: schema}, "Values")
            schema = {"$ref": SCHEMAS + model.__name__}
        content = {JSON: {"schema": schema}, **content}
    return {status: {"description": words or "as described", "content": content}}


def _link(paths: dict[str, Any]) -> None:
    """Where an answer's id leads: from what makes a run, or a pass, to every call of it."""
    for start, names in (
        ("/api/runs", {"id": "$response.body#/id"}),
        ("/api/runs/{id}/passes", {"id": "$request.path.id", "pass_id": "$response.body#/id"}),
    ):
        made = paths[start]["post"]["responses"]["201"]
        made["headers"] = {"Location": {"description": "where it is", "required": True, "schema": {"type": "string"}}}
        made["links"] = {
            operation["operationId"]: {"operationId": operation["operationId"], "parameters": names}
            for path, methods in paths.items()
            for operation in methods.values()
            if set(re.findall(r"{(id|pass_id)}", path)) == names.keys()
        }


def install(app: FastAPI) -> None:
    """Serve the document at /openapi.json."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            schemas = made.setdefault("components", {}).setdefault("schemas", {})
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            schemas.update(_found, Problem=PROBLEM, **TENSORS_IN)
            made["components"]["securitySchemes"] = {"bearer": BEARER}
            answer = {
                "description": "a problem",
                "content": {MEDIA_TYPE: {"schema": {"$ref": SCHEMAS + "Problem"}}},
            }
            for path, methods in made["paths"].items():
                for method, operation in methods.items():
                    if path.startswith(("/api/runs", "/api/expired")) and (method != "get" or path == "/api/runs"):
                        operation["security"] = [{}, {"bearer": []}]
                    operation["responses"].pop("422", None)
                    operation["responses"].update({"4XX": answer, "503": answer})
            _link(made["paths"])
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> Response:
        servers = [{"url": responses.location(request, "") or "/"}]
        return responses.cacheable(request, json.encode({**document(), "servers": servers}))
