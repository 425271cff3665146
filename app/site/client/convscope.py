"""Convscope for people who know NumPy: operators, gradients, checks and training, on a Convscope server.

    import numpy as np, convscope

    y = convscope.conv2d(x, w, b, stride=2, padding=1)      # y.y is the array
    grads = y.backward(dy)                                   # grads.dx, grads.dw, grads.db
    y.check(my_backward)                                     # is your own right, and if not, what does it look like?
    y.explain("dx/0,0,1,2")                                  # why is this number what it is?

    run = convscope.train("classroom").wait()                # a run of the server; run.parameters() are arrays

One file, NumPy and the standard library alone. The server is http://127.0.0.1:8000/, or the one this file was fetched
from, or what CONVSCOPE_URL or `connect` says. In a notebook, results show themselves; nothing is loaded from elsewhere.
"""

from __future__ import annotations

import html
import io
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

__all__ = ["ConvscopeError", "Result", "Run", "connect", "conv2d", "data", "op", "ops", "run", "train"]

#: Where the server is; a server that hands out this file puts its own address here.
SERVER = "http://127.0.0.1:8000"
NPZ = "application/x-npz"
#: Seconds that a call waits at most for a server that is starting: kernels take about a minute to compile.
PATIENCE = 600.0
_connection = {"url": os.environ.get("CONVSCOPE_URL", SERVER), "token": os.environ.get("CONVSCOPE_TOKEN", "")}


class ConvscopeError(ValueError):
    """What the server refused, in its own words. `status` is the HTTP status, 0 where no server answers; `problem` is
    the whole document."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(problem.get("detail") or problem.get("title") or f"the server answered {status}")
        self.status, self.problem = status, dict(problem)


def connect(url: str, token: str = "") -> None:
    """Use the server at this address, and this token for runs that it guards."""
    _connection.update(url=url.rstrip("/"), token=token)


# operators ----------------------------------------------------------------------------------------------------------


def ops() -> list[str]:
    """The names of all operators."""
    return [each["name"] for each in _json("GET", "/api/ops")["ops"]]


def op(name: str, settings: Mapping[str, Any] | None = None, **tensors: Any) -> Result:
    """Any operator: `op("max_pool2d", {"kernel_size": 2}, x=x)`. Raises ConvscopeError for what does not fit."""
    return Result(name, dict(settings or {}), {key: np.asarray(value) for key, value in tensors.items()})


def conv2d(x: Any, w: Any, b: Any = None, **settings: Any) -> Result:
    """x (N, C, H, W), w (out, C / groups, height, width), b (out); stride, padding, dilation, groups, flip_kernel."""
    return op("conv2d", settings, x=x, w=w, **({} if b is None else {"b": b}))


class Gradients(Mapping[str, np.ndarray]):
    """Arrays by name, `grads["dx"]` or `grads.dx`."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = dict(arrays)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __getattr__(self, name: str) -> np.ndarray:
        try:
            return self._arrays[name]
        except KeyError:
            raise AttributeError(f"there is no gradient {name}; there are: {', '.join(self._arrays)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return "\n".join(f"{name} {list(array.shape)}\n{array}" for name, array in self._arrays.items())

    def _repr_html_(self) -> str:
        return "".join(_table(name, array) for name, array in self._arrays.items())


class Result:
    """What an operator made of its tensors: `y`, and every further result under its own name."""

    def __init__(self, name: str, settings: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        self.name, self.settings, self.tensors = name, settings, tensors
        self._results = _arrays(f"/api/ops/{name}/forward", {"settings": settings}, tensors)

    def __getattr__(self, name: str) -> np.ndarray:
        results = self.__dict__.get("_results", {})
        if name in results:
            return results[name]
        raise AttributeError(f"there is no result {name}; there are: {', '.join(results)}")

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self.y, dtype)

    def __repr__(self) -> str:
        return f"{self.name} y {list(self.y.shape)}\n{self.y}"

    def _repr_html_(self) -> str:
        return _table(f"{self.name}: y", self.y)

    def backward(self, dy: Any = None) -> Gradients:
        """The gradients, from that of y; of a loss it may be left out."""
        given = self.tensors if dy is None else {**self.tensors, "dy": np.asarray(dy)}
        made = _arrays(f"/api/ops/{self.name}/backward", {"settings": self.settings}, given)
        return Gradients({key: array for key, array in made.items() if key not in self._results})

    def explain(self, place: str, dy: Any = None) -> Explanation:
        """Why the number at "y/0,1,2,3" or "dx/0,0,1,2" is what it is; for a gradient, with the dy it comes from."""
        given = self.tensors if dy is None else {**self.tensors, "dy": np.asarray(dy)}
        rest = {"settings": self.settings, "place": place}
        return Explanation(_json("POST", f"/api/ops/{self.name}/explain?per_page=500", rest, given))

    def check(self, own: Callable[..., Any] | Mapping[str, Any], dy: Any = None, seed: int = 0) -> Report:
        """Whether gradients of one's own are right. `own` is a function of dy and of the tensors by name,
        `own(dy, x, w, b)`, that returns them in this order or by name ("dx"); or these gradients themselves. Without a
        dy a random one is taken: one of ones lets most mistakes through."""
        flow = np.random.default_rng(seed).normal(size=self.y.shape) if dy is None else np.asarray(dy)
        found = own(flow, *self.tensors.values()) if callable(own) else own
        if not isinstance(found, Mapping):
            listed = found if isinstance(found, (tuple, list)) else (found,)
            found = {f"d{name}": each for name, each in zip(self.tensors, listed, strict=False)}
        given = {name: np.asarray(each).tolist() for name, each in found.items()}
        rest = {"settings": self.settings, "gradients": given}
        return Report(_json("POST", f"/api/ops/{self.name}/check", rest, {**self.tensors, "dy": flow}))


class Explanation:
    """One number: `value`, `equation` and `terms`, each with its factors."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.place, self.value, self.terms = document["place"], document["value"], document["terms"]
        self.equation: str = document["equation"]["text"]

    def __repr__(self) -> str:
        lines = [f"{self.place} = {self.value:.6g}", self.equation]
        lines += [
            "  " + " * ".join(f"{factor:.6g}" for factor in t["factors"]) + f" = {t['value']:.6g}" for t in self.terms
        ]
        left = self.document["terms_total"] - len(self.terms)
        return "\n".join([*lines, f"  and {left} more terms"] if left else lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{' × '.join(f'{factor:.4g}' for factor in t['factors'])}</td><td>= {t['value']:.4g}</td></tr>"
            for t in self.terms
        )
        head = f"<b>{html.escape(self.place)} = {self.value:.6g}</b>{self.document['equation']['mathml']}"
        return f"<div>{head}<table>{rows}</table></div>"


class Report:
    """Of a check: `right` altogether, and for each gradient whether it agrees, and what a wrong one looks like."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.given: dict[str, dict[str, Any]] = document.get("gradients", {})
        self.right: bool = document["agrees"]

    def __bool__(self) -> bool:
        return self.right

    def _lines(self) -> list[str]:
        said = []
        for name, each in self.given.items():
            if each["agrees"]:
                said.append(f"{name}: right")
            else:
                at = (
                    f" (at {each['place']}: {each['given']:.6g}, right is {each['expected']:.6g})"
                    if each["place"]
                    else ""
                )
                said.append(f"{name}: wrong{at}. {each['guess'] or 'It looks like no mistake that is known here.'}")
        return said

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in self._lines()) + "</ul>"


# training -----------------------------------------------------------------------------------------------------------


def train(network: str | Mapping[str, Any] = "classroom", **body: Any) -> Run:
    """A new run: of a preset by its name, or of a network document. `body` is as POST /api/runs takes it: dataset,
    optimizer, batch_size, seed, steps or epochs."""
    kind = "model" if isinstance(network, str) else "network"
    made = _json("POST", "/api/runs", {kind: network, **body})
    return Run(made["id"], made.get("token", ""))


def run(id: str, token: str = "") -> Run:
    """A run that is there already."""
    return Run(id, token)


def data(name: str = "mnist", split: str = "test", count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, C, H, W) of 0..1 and their labels (N,) of a data set of the server: all of a split, or the first."""
    parts: list[dict[str, np.ndarray]] = []
    taken = 0
    while count is None or taken < count:
        most = 1000 if count is None else min(1000, count - taken)
        path = f"/api/datasets/{urllib.parse.quote(name, safe='')}/{split}?offset={taken}&limit={most}"
        parts.append(_unpacked(_ask("GET", path, accept=NPZ)))
        taken += len(parts[-1]["target"])
        if len(parts[-1]["target"]) < most:
            break
    return np.concatenate([each["x"] for each in parts]), np.concatenate([each["target"] for each in parts])


class Run:
    """A training run of the server."""

    def __init__(self, id: str, token: str = "") -> None:
        self.id, self._token = id, token

    @property
    def state(self) -> dict[str, Any]:
        """As GET /api/runs/{id} answers it."""
        found: dict[str, Any] = _json("GET", f"/api/runs/{self.id}")
        return found

    def wait(self, seconds: float = 3600) -> Run:
        """Until it no longer trains. Raises TimeoutError after so long, RuntimeError where it failed."""
        end = time.monotonic() + seconds
        while (now := self.state)["state"] in ("created", "running"):
            if time.monotonic() > end:
                raise TimeoutError(f"run {self.id} still trains after {seconds} s, at step {now['step']}")
            time.sleep(0.2)
        if now["state"] == "failed":
            raise RuntimeError(now.get("error", "the run failed"))
        return self

    def pause(self) -> Run:
        _json("PATCH", f"/api/runs/{self.id}", {"state": "paused"}, token=self._token)
        return self

    def step(self, count: int = 1) -> Run:
        """Exactly so many steps of a paused run."""
        _json("POST", f"/api/runs/{self.id}/step", {"count": count}, token=self._token)
        return self.wait()

    def parameters(self) -> dict[str, np.ndarray]:
        """By name, "conv1/w"."""
        return _unpacked(_ask("GET", f"/api/runs/{self.id}/parameters", accept=NPZ))

    def tensor(self, place: str, step: int | None = None) -> np.ndarray:
        """A whole tensor of a training step, "conv1/dw"; without a step, of the newest."""
        step = self.state["step"] if step is None else step
        found = _ask("GET", f"/api/runs/{self.id}/steps/{step}/tensors/{place}", accept="application/x-npy")
        return np.load(io.BytesIO(found), allow_pickle=False)

    def explain(self, place: str, step: int | None = None) -> Explanation:
        step = self.state["step"] if step is None else step
        return Explanation(_json("GET", f"/api/runs/{self.id}/steps/{step}/explain/{place}?per_page=500"))

    def predict(self, x: Any) -> np.ndarray:
        """Probabilities (N, classes) of images (N, C, H, W) of 0..1, or of one."""
        asked = {"layers": False}
        found = _arrays(f"/api/runs/{self.id}/predict", asked, {"x": np.asarray(x, np.float32)})
        return found["probabilities"]

    def __repr__(self) -> str:
        now = self.state
        test = now["test_accuracy"]
        tested = "" if test is None else f", {100 * test:.2f} % of the test images right"
        return f"run {self.id}: {now['title']}, {now['state']} at step {now['step']} of {now['steps']}{tested}"


# the wire -----------------------------------------------------------------------------------------------------------


def _ask(
    method: str,
    path: str,
    body: bytes | None = None,
    kind: str = "application/json",
    accept: str = "application/json",
    token: str = "",
) -> bytes:
    request = urllib.request.Request(_connection["url"].rstrip("/") + path, body, method=method)
    request.add_header("Accept", accept)
    if body is not None:
        request.add_header("Content-Type", kind)
    if token or _connection["token"]:
        request.add_header("Authorization", f"Bearer {token or _connection['token']}")
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            problem = _problem(error)
            wait = _seconds(error, twice=method == "GET" or path.startswith(("/api/ops/", "/api/networks/")))
            if wait is None or time.monotonic() + wait > until:
                raise ConvscopeError(error.code, problem) from None
            _tell(f"{problem.get('detail') or f'the server answers {error.code}'}; waiting")
            time.sleep(wait)
        except urllib.error.URLError as error:
            said = f"no server answers at {_connection['url']} ({error.reason}); start one, or name another to connect"
            raise ConvscopeError(0, {"detail": said}) from None


def _seconds(error: urllib.error.HTTPError, twice: bool) -> float | None:
    """After how many seconds the same call is worth sending again, None for never. The server says when it is not
    ready (503); a proxy in front of it (502, 504) does not. What it has refused for its load (429) it is asked again
    only where a call may be made `twice`."""
    if error.code not in ((429, 502, 503, 504) if twice else (503,)):
        return None
    try:
        return min(60.0, max(0.5, float(error.headers.get("Retry-After", ""))))
    except ValueError:  # none, or a date
        return 2.0 if error.code in (502, 504) else None


def _problem(error: urllib.error.HTTPError) -> dict[str, Any]:
    """The server's own words, nothing where a proxy answered."""
    try:
        found = json.loads(error.read())
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


_told: list[str] = []


def _tell(words: str) -> None:
    """Say why nothing happens, each thing once: digits aside, which count what is ready."""
    plain = "".join(letter for letter in words if not letter.isdigit())
    if plain not in _told:
        _told.append(plain)
        print(f"convscope: {words}", file=sys.stderr)


def _json(
    method: str,
    path: str,
    rest: Mapping[str, Any] | None = None,
    tensors: Mapping[str, np.ndarray] | None = None,
    token: str = "",
) -> Any:
    if tensors:
        return json.loads(_ask(method, path, _packed(rest or {}, tensors), NPZ, token=token))
    body = None if rest is None else json.dumps(rest).encode()
    return json.loads(_ask(method, path, body, token=token))


def _arrays(path: str, rest: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return _unpacked(_ask("POST", path, _packed(rest, tensors), NPZ, NPZ))


def _packed(rest: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    members: dict[str, Any] = {**tensors, "request": np.array(json.dumps(rest))}
    np.savez(file, **members)
    return file.getvalue()


def _unpacked(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {name: file[name] for name in file if name not in ("response", "request")}


def _table(name: str, array: np.ndarray) -> str:
    """An array as a table, its last two axes; of more planes the first."""
    flat = np.atleast_2d(array)
    planes = int(np.prod(flat.shape[:-2], dtype=int))
    plane = flat.reshape(planes, *flat.shape[-2:])[0][:12, :12]
    size = float(np.abs(plane).max()) or 1.0
    cells = "".join(
        "<tr>" + "".join(f"<td style='text-align:right;{_colour(float(v), size)}'>{v:.3g}</td>" for v in row) + "</tr>"
        for row in plane
    )
    more = f", the first of {planes} planes" if planes > 1 else ""
    return f"<div><b>{html.escape(name)}</b> {list(array.shape)}{more}<table>{cells}</table></div>"


def _colour(value: float, size: float) -> str:
    share = min(1.0, abs(value) / size)
    return f"background:rgba({'31,95,169' if value > 0 else '178,74,31'},{0.6 * share:.2f})"
