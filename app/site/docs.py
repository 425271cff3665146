"""The documentation pages, made from the registries and from the OpenAPI document: no list of their own."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape

from app.formats import json as strict_json
from app.limits import Limits
from app.services import op_calls
from engine.ops import OPS
from engine.ops.base import Op, shapes_of
from engine.optimizers import OPTIMIZERS
from engine.schedules import SCHEDULES

#: Stands in the pages for where the server is, until a request says so.
BASE = "http://server.invalid"
#: Stand in an address for what one made oneself; the page puts in the last one that was made there.
OWN_RUN = "YOUR-RUN"
OWN = {
    "pass_id": "YOUR-PASS",
    "import_id": "YOUR-IMPORT",
    "expired_id": "YOUR-RUN",
    "dataset": "YOUR-DATA",
    "code": "YOUR-ROOM",
}
JSON = "application/json"
#: Characters in a line of an example.
WIDTH = 56
CHANGING = {"patch", "delete"}
#: A call with arrays as they are, in Python.
ARRAYS = f"""\
import io, json, urllib.request
import numpy as np

def ask(path, request, **tensors):
    file = io.BytesIO()
    np.savez(file, request=json.dumps(request), **tensors)
    kind = "application/x-npz"
    headers = {{"Content-Type": kind, "Accept": kind}}
    url = "{BASE}" + path
    asked = urllib.request.Request(url, file.getvalue(), headers)
    with urllib.request.urlopen(asked) as answer:
        return dict(np.load(io.BytesIO(answer.read())))

x, w = np.random.rand(2, 3, 8, 8), np.random.rand(4, 3, 3, 3)
dy = np.ones((2, 4, 8, 8))
request = {{"settings": {{"padding": 1}}}}
found = ask("/api/ops/conv2d/backward", request, x=x, w=w, dy=dy)
print(found["dw"].shape)"""


@dataclass(frozen=True)
class Row:
    """A line of a table of parameters, fields or settings."""

    name: str
    kind: str
    description: str
    default: str = ""
    required: bool = False


@dataclass(frozen=True)
class Call:
    """A call that can be made from the page, and the same in curl and in Python."""

    method: str
    address: str
    body: Any = None
    binary: bool = False

    @property
    def url(self) -> str:
        return BASE + self.address

    @property
    def shown(self) -> str:
        return "" if self.body is None else strict_json.shown(self.body, width=WIDTH)

    @property
    def curl(self) -> str:
        words = ["curl"] if self.method == "GET" else ["curl", "-X", self.method]
        words.append(shlex.quote(self.url))
        if self.body is not None:
            words += ["\\\n  -H", "'Content-Type: application/json'", "\\\n  -d", shlex.quote(self.shown)]
        return " ".join([*words, "--output answer"] if self.binary else words)

    @property
    def python(self) -> str:
        answer = 'print(len(answer.read()), "bytes")' if self.binary else "print(json.load(answer))"
        if self.method == "DELETE":
            answer = "print(answer.status)"
        lines = ["import json, urllib.request", ""]
        given = [f'"{self.url}"']
        if self.body is not None:
            lines.append(f"body = {strict_json.shown(self.body, python=True, width=WIDTH)}")
            given += ["json.dumps(body).encode()", '{"Content-Type": "application/json"}']
        if self.method not in ("GET", "POST"):
            given.append(f'method="{self.method}"')
        request = f"urllib.request.Request({', '.join(given)})" if len(given) > 1 else given[0]
        if len(given) > 2:
            lines.append(f"request = {request}")
            request = "request"
        return "\n".join([*lines, f"with urllib.request.urlopen({request}) as answer:", f"    {answer}"])


@dataclass(frozen=True)
class Operation:
    id: str
    method: str
    path: str
    summary: str
    description: str
    parameters: list[Row]
    fields: list[Row]
    answers: list[Row]
    answer: str
    call: Call


# operators ----------------------------------------------------------------------------------------------------------


def example_of(kind: type[Op]) -> dict[str, Any]:
    """The body of a call of the op and its gradients that succeeds."""
    rng = np.random.default_rng(0)
    tensors = kind.example(rng)
    body: dict[str, Any] = {"settings": kind.example_settings} if kind.example_settings else {}
    body["tensors"] = {name: _round(array) for name, array in tensors.items()}
    if not kind.is_loss:
        shape = kind(**kind.example_settings).extents(shapes_of(tensors))["y"]
        body["tensors"]["dy"] = _round(rng.integers(-2, 3, shape))
    return body


def _round(array: np.ndarray) -> Any:
    """Numbers as a person writes them: one decimal, whole ones without a point."""
    rounded = np.round(np.asarray(array, np.float64), 1)
    return _whole(rounded.tolist())


def _whole(value: Any) -> Any:
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if value == int(value) else value


def operators() -> Iterator[dict[str, Any]]:
    for name, kind in OPS.items():
        described = op_calls.describe_op(kind)
        yield {
            **described,
            "about": re.sub(r"\s+", " ", kind.__doc__ or "") if kind.__doc__ is not Op.__doc__ else "",
            "rows": list(_tensors(described["tensors"])),
            "settings": _rows(described["settings"], {}),
            "call": Call("POST", f"/api/ops/{name}/backward", example_of(kind)),
        }


def _tensors(described: Mapping[str, Mapping[str, Any]]) -> Iterator[Row]:
    """A row for each tensor that an operator is given, or for several of which the same is said."""
    for _, alike in groupby(described.items(), lambda each: each[1]):
        rows = list(alike)
        spec = rows[0][1]
        yield Row(named([name for name, _ in rows]), "", spec["description"], required=not spec["optional"])


def named(names: Sequence[str]) -> str:
    """Names as code; of many only the ends."""
    shown = [f"`{name}`" for name in names]
    return " ".join(shown if len(shown) <= 6 else [*shown[:2], "…", shown[-1]])


def optimizers() -> Iterator[dict[str, Any]]:
    for name, kind in OPTIMIZERS.items():
        described = op_calls.describe_optimizer(kind)
        body = {"settings": {"learning_rate": 0.1}, "tensors": {"w": [0.5, -1], "dw": [0.2, 0.1]}}
        yield {
            **described,
            "settings": _rows(described["settings"], {}),
            "call": Call("POST", f"/api/optimizers/{name}/step", body),
        }


def schedules() -> Iterator[dict[str, Any]]:
    for kind in SCHEDULES.values():
        described = op_calls.describe_schedule(kind)
        yield {**described, "settings": _rows(described["settings"], {})}


# operations ---------------------------------------------------------------------------------------------------------


def groups(document: Mapping[str, Any]) -> dict[str, list[Operation]]:
    """Every operation of the OpenAPI document under its last tag."""
    found: dict[str, list[Operation]] = {}
    schemas = document["components"]["schemas"]
    for path, item in document["paths"].items():
        for method, said in item.items():
            found.setdefault(said["tags"][-1], []).append(_operation(path, method, said, schemas))
    return found


def _operation(path: str, method: str, said: Mapping[str, Any], schemas: Mapping[str, Any]) -> Operation:
    content = said.get("requestBody", {}).get("content", {}).get(JSON, {})
    fields = _rows(_resolved(content.get("schema", {}), schemas), schemas)
    good = next(answer for status, answer in said["responses"].items() if status.startswith("2"))
    answered = good.get("content", {})
    schema = _resolved(answered.get(JSON, {}).get("schema", {}), schemas)
    example = content.get("example")
    mine = method in CHANGING or path.endswith("/step")
    return Operation(
        id=f"{method}{re.sub('[^a-z0-9]+', '-', path.lower()).rstrip('-')}",
        method=method.upper(),
        path=path,
        summary=said["summary"],
        description=said["description"],
        parameters=[_parameter(each, schemas) for each in said.get("parameters", [])],
        fields=fields,
        answers=list(_within(schema, schemas)),
        answer=schema.get("description", "") or good.get("description", ""),
        call=Call(method.upper(), _address(path, said, mine), example, bool(answered) and JSON not in answered),
    )


def _address(path: str, said: Mapping[str, Any], mine: bool) -> str:
    """The path with an example in every place."""

    def example(match: re.Match[str]) -> str:
        name = match[1]
        if name in OWN:
            return OWN[name]
        if name == "id" and mine:
            return OWN_RUN
        found = next(each for each in said["parameters"] if each["name"] == name)
        return str((found.get("examples") or found["schema"]["examples"])[0])

    return re.sub(r"{(\w+)}", example, path)


def _parameter(said: Mapping[str, Any], schemas: Mapping[str, Any]) -> Row:
    schema = said.get("schema", {})
    needed = said.get("required", False)
    return Row(said["name"], kind_of(schema, schemas), said["description"], _default(schema), needed)


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return schemas[name] if name else schema


def _within(schema: Mapping[str, Any], schemas: Mapping[str, Any], at: str = "", depth: int = 3) -> Iterator[Row]:
    """Every field of an answer and of what is in it: `reads[].index`, `tensors.*.agrees`."""
    if schema.get("x-tensor"):
        return
    schema = _resolved(schema, schemas)
    for alternative in schema.get("anyOf", ()):
        yield from _within(alternative, schemas, at, depth)
    if "items" in schema:
        yield from _within(schema["items"], schemas, f"{at}[]", depth)
    elif isinstance(schema.get("additionalProperties"), dict):
        yield from _within(schema["additionalProperties"], schemas, f"{at}.*".lstrip("."), depth)
    elif depth:
        for name, each in schema.get("properties", {}).items():
            path = f"{at}.{name}".lstrip(".")
            yield Row(path, kind_of(each, schemas), each.get("description", ""))
            yield from _within(each, schemas, path, depth - 1)


def _rows(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[Row]:
    required = schema.get("required", ())
    return [
        Row(name, kind_of(each, schemas), each.get("description", ""), _default(each), name in required)
        for name, each in schema.get("properties", {}).items()
    ]


def _default(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema["default"]) if schema.get("default") is not None else ""


def kind_of(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """A schema in a few words: what may stand there."""
    if schema.get("x-tensor"):
        return "tensors by name" if schema["x-tensor"] == "by name" else "tensor"
    if "anyOf" in schema:
        return _any_of(schema["anyOf"], schemas)
    if "$ref" in schema:
        return "object"
    if "enum" in schema or "const" in schema:
        return ", ".join(json.dumps(each) for each in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        items = re.sub(PLURAL, r"\1s", kind_of(schema.get("items", {}), schemas))
        return f"list of {_count(schema)}{items}"
    said = schema.get("type", "any")
    kinds: list[str] = said if isinstance(said, list) else [said]
    words = " or ".join(KINDS.get(kind, kind) for kind in kinds)
    return f"{words}{_range(schema)}"


#: What programs call them, and people.
PLURAL = r"^(object|string|(?:whole )?number)\b"
KINDS = {"integer": "whole number", "boolean": "true or false", "object": "object", "any": "any"}


def _any_of(alternatives: list[Mapping[str, Any]], schemas: Mapping[str, Any]) -> str:
    """Alternatives; a list of what stood before is a list of such, and that NaN is a word is said elsewhere."""
    words: list[str] = []
    for each in (each for each in alternatives if "NaN" not in each.get("enum", ())):
        such = each.get("type") == "array" and each.get("items") in alternatives
        words.append(f"list of {_count(each)}such" if such else kind_of(each, schemas))
    return " or ".join(dict.fromkeys(words))


def _count(schema: Mapping[str, Any]) -> str:
    size = schema.get("minItems")
    return f"{size} " if size and size == schema.get("maxItems") else ""


def _range(schema: Mapping[str, Any]) -> str:
    ends = {key: f"{schema[key]:,.10g}" for key in LOWS | HIGHS if key in schema and abs(schema[key]) < 1e9}
    low = next((LOWS[key] + ends[key] for key in LOWS if key in ends), "")
    high = next((HIGHS[key] + ends[key] for key in HIGHS if key in ends), "")
    return low + high


LOWS = {"minimum": " from ", "exclusiveMinimum": " above "}
HIGHS = {"maximum": " to ", "exclusiveMaximum": " below "}


# pages --------------------------------------------------------------------------------------------------------------


def prose(words: str) -> Markup:
    """A docstring as paragraphs, with `code` in its type."""
    paragraphs = re.split(r"\n\s*\n", words.strip())
    return Markup("").join(Markup("<p>{}</p>").format(line(each)) for each in paragraphs)


def line(words: str) -> Markup:
    """Words in which `code` is marked; what stands in braces, and addresses, are code too."""
    parts = re.split(r"`([^`]+)`", re.sub(r"\s+", " ", words))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts)
    )


def equations(described: Mapping[str, Any]) -> list[Markup]:
    """The sentences of an operator as MathML, which the engine made."""
    return [Markup(each["mathml"]) for each in described["equations"].values()]


def environment(folder: Path) -> Environment:
    """The templates of a folder, with what these pages say in them."""
    made = Environment(loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    made.filters.update(prose=prose, line=line, equations=equations, named=named)
    return made


def docs_page(pages: Environment, app: FastAPI, limits: Limits) -> str:
    document = app.openapi()
    operations = groups(document)
    start = next(each.call for each in operations["operators"] if each.path.endswith("/backward"))
    return pages.get_template("docs.html").render(
        start=start,
        operators=list(operators()),
        optimizers=list(optimizers()),
        schedules=list(schedules()),
        groups=operations,
        limits=limits.document(),
        npz=ARRAYS,
    )


def programmers_page(pages: Environment, folder: Path) -> str:
    """The worked examples beside what they print."""
    examples = {file.stem: _example(file) for file in (folder / "examples").glob("*.py")}
    return pages.get_template("programmers.html").render(examples=examples, base=BASE)


def _example(file: Path) -> dict[str, str]:
    code = file.read_text("utf-8").replace("http://127.0.0.1:8000", BASE).strip()
    shorter = file.parent / "client" / file.name  # with the client of this server
    return {
        "code": code,
        "client": shorter.read_text("utf-8").strip() if shorter.is_file() else "",
        "prints": file.with_suffix(".txt").read_text("utf-8").strip(),
    }
