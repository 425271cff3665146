"""POST .../check: gradients beside differences, and beside a client's own."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.api import schemas
from app.api.ops import DELTA, WRONG
from engine.ops import OPS

NPZ = "application/x-npz"


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_operators_example_agrees_with_its_differences(client: TestClient, name: str) -> None:
    kind = OPS[name]
    rng = np.random.default_rng(3)
    tensors = {key: array.tolist() for key, array in kind.example(rng).items()}
    body: dict[str, Any] = {"settings": kind.example_settings, "tensors": tensors}
    shapes = client.post(f"/api/ops/{name}/forward", json=body).json()["shapes"]
    if not kind.is_loss:
        tensors["dy"] = rng.normal(size=shapes["y"]).tolist()
    answer = client.post(f"/api/ops/{name}/check", json=body)
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert report["agrees"], report
    for found in report["tensors"].values():
        assert found["largest_relative"] <= 1e-6 and found["checked"] == found["elements"]
        assert np.shape(found["numeric"]) == np.shape(found["analytic"])


def test_a_gradient_without_the_flip_is_named(client: TestClient) -> None:
    report = client.post("/api/ops/conv2d/check", json={**DELTA, "gradients": {"dw": WRONG}}).json()
    assert not report["agrees"] and report["tensors"]["dw"]["agrees"]
    said = report["gradients"]["dw"]
    assert said["looks_like"] == "flip" and "180°" in said["guess"]
    assert said["expected"] != said["given"] and said["place"].startswith("dw/0,0,")


def test_the_right_gradient_agrees(client: TestClient) -> None:
    turned = np.array(WRONG)[..., ::-1, ::-1].tolist()
    report = client.post("/api/ops/conv2d/check", json={**DELTA, "gradients": {"dw": turned}}).json()
    assert report["agrees"] and report["gradients"]["dw"]["looks_like"] is None


@pytest.mark.parametrize("dw", [WRONG, np.array(WRONG)[..., ::-1, ::-1].tolist(), [[1.0]]])
def test_every_field_is_answered_of_right_wrong_and_misshapen_gradients(client: TestClient, dw: Any) -> None:
    found = client.post("/api/ops/conv2d/check", json={**DELTA, "gradients": {"dw": dw}}).json()["gradients"]["dw"]
    assert found.keys() == schemas.Judged.model_fields.keys()


def test_running_statistics_in_place_of_the_batchs_own_are_named(client: TestClient) -> None:
    x, dy = [[1, 2], [3, -1], [0, 4]], np.array([[1.0, 0], [2, -1], [0, 3]])
    tensors = {"x": x, "gamma": [1, 2], "beta": [0, 0], "dy": dy.tolist(), "running_mean": [1, 0]}
    tensors["running_var"] = [4, 9]
    wrong = dy * [1, 2] / np.sqrt(np.array([4, 9]) + 1e-5)
    body = {"tensors": tensors, "gradients": {"dx": wrong.tolist()}}
    said = client.post("/api/ops/batch_norm/check", json=body).json()["gradients"]["dx"]
    assert said["guess"] == "dx comes out so with training false in place of true"


def test_float32_is_compared_as_closely_as_it_rounds(client: TestClient) -> None:
    turned = np.array(WRONG)[..., ::-1, ::-1] * (1 + 2e-5)
    body = {**DELTA, "gradients": {"dw": turned.tolist()}}
    double = client.post("/api/ops/conv2d/check", json=body).json()
    assert not double["agrees"] and double["gradients"]["dw"]["looks_like"] == "rounding"
    single = client.post("/api/ops/conv2d/check", json={**body, "dtype": "float32"}).json()
    assert single["agrees"] and single["tolerance"] > double["tolerance"]


def test_another_choice_at_a_tie_agrees_too(client: TestClient) -> None:
    body = {"settings": {"kernel_size": 2}, "tensors": {"x": [[[[1, 1], [0, 1]]]], "dy": [[[[1]]]]}}
    report = client.post("/api/ops/max_pool2d/check", json={**body, "gradients": {"dx": [[[[0, 0], [0, 1]]]]}}).json()
    assert report["gradients"]["dx"]["agrees"] and report["gradients"]["dx"]["looks_like"] == "kink"
    kinks = report["tensors"]["dx"]["kinks"]
    assert [kink["place"] for kink in kinks] == ["dx/0,0,0,0", "dx/0,0,0,1", "dx/0,0,1,1"]
    assert all(kink["kind"] == "tie" for kink in kinks)


def test_npz_holds_a_clients_gradients_as_members_and_answers_with_both(client: TestClient) -> None:
    stream = io.BytesIO()
    tensors: dict[str, Any] = {name: np.array(value, float) for name, value in DELTA["tensors"].items()}
    np.savez(stream, request=np.array('{"settings": {"padding": 1, "flip_kernel": true}}'), dw=WRONG, **tensors)
    headers = {"Content-Type": NPZ, "Accept": NPZ}
    answer = client.post("/api/ops/conv2d/check", content=stream.getvalue(), headers=headers)
    archive = np.load(io.BytesIO(answer.content))
    assert set(archive) == {"dx", "dw", "dx_numeric", "dw_numeric", "response"}
    assert np.allclose(archive["dw"], archive["dw_numeric"], atol=1e-8)
    assert '"looks_like":"flip"' in str(archive["response"])


def test_a_slope_that_a_networks_backward_pass_leaves_out_is_named_by_its_layer(client: TestClient) -> None:
    layers = [
        {"name": "fc1", "op": "linear", "settings": {"out": 4}},
        {"name": "act", "op": "sigmoid"},
        {"name": "fc2", "op": "linear", "settings": {"out": 2}},
    ]
    x = np.array([[1.0, -2.0], [0.5, 3.0]])
    body = {"network": {"input": [2], "layers": layers}, "x": x.tolist(), "target": [0, 1]}
    found = client.post("/api/networks/gradients", json=body).json()["layers"]
    wrong = np.array(found["act"]["dy"]).T @ x
    report = client.post("/api/networks/check", json={**body, "gradients": {"fc1.weight": wrong.tolist()}}).json()
    said = report["gradients"]["fc1/w"]
    assert said["looks_like"] == "left_out" and "act hands its dy on as it is" in said["guess"]


def test_a_networks_gradients_agree_and_a_wrong_one_is_named(client: TestClient) -> None:
    right = client.post("/api/networks/gradients", json={"model": "tiny"}).json()["gradients"]
    own = {"conv.weight": np.array(right["conv/w"])[..., ::-1, ::-1].tolist(), "fc/w": right["fc/w"]}
    report = client.post("/api/networks/check", json={"model": "tiny", "gradients": own}).json()
    assert all(found["agrees"] for found in report["tensors"].values())
    assert report["tensors"].keys() == {"conv/w", "fc/w", "x"}
    assert report["gradients"]["conv/w"]["looks_like"] == "flip" and report["gradients"]["fc/w"]["agrees"]


def test_two_relus_at_zero_do_not_hide_each_others_kink(client: TestClient) -> None:
    """relu(x) - relu(-x) is x on both sides of 0, and yet every slope from -4 to 0 comes from a choice at each ReLU."""
    layers = [{"name": "a", "op": "linear", "settings": {"out": 2, "bias": False}}, {"name": "r", "op": "relu"},
              {"name": "b", "op": "linear", "settings": {"out": 1, "bias": False}}]  # fmt: skip
    body = {
        "network": {"input": [1], "layers": layers, "loss": "mse_loss"},
        "parameters": {"a/w": [[1], [-1]], "b/w": [[1, -1]]},
        "x": [[0]],
        "target": [[1]],
    }
    for slope, right in ((0, True), (-2, True), (-4, True), (1, False)):
        report = client.post("/api/networks/check", json={**body, "gradients": {"x": [[slope]]}}).json()
        (kink,) = report["tensors"]["x"]["kinks"]
        assert (kink["analytic"], round(kink["low"], 4), round(kink["high"], 4)) == (0, -4, 0)
        assert report["tensors"]["x"]["agrees"] and report["gradients"]["x"]["agrees"] == right
        assert not report["tensors"]["a/w"]["kinks"]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"tensors": {**DELTA["tensors"]}, "gradients": {"dq": [1]}}, ["gradients", "dq"]),
        ({"tensors": {"x": DELTA["tensors"]["x"], "w": DELTA["tensors"]["w"]}}, ["tensors", "dy"]),
    ],
)
def test_what_cannot_be_checked_is_refused(client: TestClient, body: dict[str, Any], loc: list[str]) -> None:
    problem = client.post("/api/ops/conv2d/check", json={**body, "settings": DELTA["settings"]}).json()
    assert problem["status"] == 422 and problem["errors"][0]["loc"] == loc


def test_a_parameter_given_under_two_names_is_refused(client: TestClient) -> None:
    twice = {"conv/w": [[[[1, 1], [1, 1]]]], "conv.weight": [[[[1, 1], [1, 1]]]], "fc/w": [[1]]}
    problem = client.post("/api/networks/gradients", json={"model": "tiny", "parameters": twice}).json()
    assert problem["status"] == 422 and "twice" in problem["detail"]


def test_a_place_of_a_pass_without_a_run_has_no_step(client: TestClient) -> None:
    body = {"model": "tiny", "place": "conv/y/0,0,0,0@3"}
    problem = client.post("/api/networks/explain", json=body).json()
    assert problem["status"] == 422 and problem["errors"][0]["loc"] == ["place"]


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ({"request": np.array({"settings": {}}, object)}, "request: expected JSON in a string, as json.dumps"),
        ({"settings": np.array('{"padding": 1}')}, "what is no tensor belongs in request, as JSON"),
    ],
)
def test_what_is_no_tensor_of_an_npz_is_told_where_it_belongs(
    client: TestClient, member: dict[str, Any], said: str
) -> None:
    stream = io.BytesIO()
    np.savez(stream, x=np.ones((1, 1, 3, 3)), w=np.ones((1, 1, 3, 3)), **member)
    answer = client.post("/api/ops/conv2d/check", content=stream.getvalue(), headers={"Content-Type": NPZ})
    assert answer.status_code == 400 and said in answer.json()["detail"]


TIED = [[[[1, 2], [2, 2]]]]
POOLED = {
    "input": [1, 2, 2],
    "layers": [{"name": "p", "op": "max_pool2d", "settings": {"kernel_size": 2}}, {"name": "f", "op": "flatten"}],
    "loss": "mse_loss",
}


@pytest.mark.parametrize(
    ("dx", "right"),
    [
        ([[0, 1], [0, 0]], True),
        ([[0, 0], [0, 1]], True),
        ([[0, 0.5], [0.25, 0.25]], True),
        ([[0, 1], [1, 1]], False),
        ([[0, 0], [0, 0]], False),
        ([[0, 0.5], [0.5, 0.5]], False),
        ([[0.5, 0.5], [0, 0]], False),
        ([[0, 2], [-1, 0]], False),
    ],
)
def test_the_shares_of_a_tie_add_up_to_what_flowed_in(client: TestClient, dx: Any, right: bool) -> None:
    own = {"gradients": {"dx": [[dx]]}}
    tensors = {"x": TIED, "dy": [[[[1]]]]}
    for op, settings in (("max_pool2d", {"kernel_size": 2}), ("global_max_pool", {})):
        report = client.post(f"/api/ops/{op}/check", json={"settings": settings, "tensors": tensors, **own}).json()
        assert report["gradients"]["dx"]["agrees"] == right
    body = {"network": POOLED, "x": TIED, "target": [[1.5]], "gradients": {"x": [[dx]]}}  # dy of the pool is 1
    assert client.post("/api/networks/check", json=body).json()["gradients"]["x"]["agrees"] == right


def test_windows_that_overlap_in_a_region_of_zeros_share_what_flowed_in(client: TestClient) -> None:
    rng = np.random.default_rng(0)
    dy, shares, dx = rng.normal(size=(4, 4)), rng.dirichlet(np.ones(4), (4, 4)), np.zeros((5, 5))
    for i, j in np.ndindex(4, 4):
        dx[i : i + 2, j : j + 2] += dy[i, j] * shares[i, j].reshape(2, 2)
    moved = dx + 0.0
    moved[0, 0] += abs(dy).max()  # the sum stays, and yet no choice gives it
    moved[4, 4] -= abs(dy).max()
    tensors = {"x": np.zeros((1, 1, 5, 5)).tolist(), "dy": dy[None, None].tolist()}
    for own, right in ((dx, True), (moved, False), (1.01 * dx, False)):
        body = {"settings": {"kernel_size": 2, "stride": 1}, "tensors": tensors}
        report = client.post("/api/ops/max_pool2d/check", json={**body, "gradients": {"dx": own[None, None].tolist()}})
        assert report.json()["gradients"]["dx"]["agrees"] == right


@pytest.mark.parametrize(
    ("op", "tensors", "dx", "kind", "words"),
    [
        (
            "cross_entropy",
            {"x": [[0, 0], [0, 0]], "target": [1, 0]},
            [[0.5, -0.5], [-0.5, 0.5]],
            "sum_not_mean",
            "reduction sum in place of mean",
        ),
        (
            "dropout",
            {"x": [[1, 2, 3], [4, 5, 6]], "mask": [[1, 0, 1], [0, 1, 1]], "dy": [[1, 2, 3], [4, 5, 6]]},
            [[1, 0, 3], [0, 5, 6]],
            "left_out",
            "`kept` is left out",
        ),
        (
            "mse_loss",
            {"x": [[1, 2], [3, 5]], "target": [[0, 0], [0, 0]]},
            [[0.25, 0.5], [0.75, 1.25]],
            "left_out",
            "`2`",
        ),
    ],
)
def test_the_exact_cause_is_named(client: TestClient, op: str, tensors: Any, dx: Any, kind: str, words: str) -> None:
    answer = client.post(f"/api/ops/{op}/check", json={"tensors": tensors, "gradients": {"dx": dx}})
    said = answer.json()["gradients"]["dx"]
    assert said["looks_like"] == kind and words in said["guess"]


def test_a_constant_is_no_multiple_of_a_constant(client: TestClient) -> None:
    tensors = {"x": [[[[1, 2], [3, 5]]]], "w": [[[[2]]]], "b": [1], "dy": [[[[1, 2], [4, 8.5]]]]}
    body = {"tensors": tensors, "gradients": {"db": [-1.6275]}}
    said = client.post("/api/ops/conv2d/check", json=body).json()["gradients"]["db"]
    assert not said["agrees"] and said["looks_like"] is None


def test_every_mistake_is_listed_with_a_sentence(client: TestClient) -> None:
    listed = client.get("/api/mistakes").json()["mistakes"]
    assert {"flip", "tie_to_all", "double_softmax"} <= {each["name"] for each in listed}
    assert all(each["sentence"].endswith(".") and each["applies"] for each in listed)


def homework() -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """A convolution as a course has it in NHWC and HWIO: settings, tensors, right gradients."""
    rng = np.random.default_rng(8)
    settings = {"stride": 2, "padding": 1}
    x, w, b = rng.normal(size=(2, 5, 6, 3)), rng.normal(size=(3, 2, 3, 4)), rng.normal(size=(1, 1, 1, 4))
    op = OPS["conv2d"](**settings)
    own = {"x": x.transpose(0, 3, 1, 2), "w": w.transpose(3, 2, 0, 1), "b": b.ravel()}
    own = {name: np.ascontiguousarray(array) for name, array in own.items()}
    dy = rng.normal(size=op.forward(own)["y"].shape)
    made = op.backward({**own, "dy": dy})
    tensors = {"x": x, "w": w, "b": b, "dy": dy.transpose(0, 2, 3, 1)}
    right = {
        "dx": made["dx"].transpose(0, 2, 3, 1),
        "dw": made["dw"].transpose(2, 3, 1, 0),
        "db": made["db"].reshape(1, 1, 1, 4),
    }
    return settings, tensors, right


def test_homework_is_checked_in_channels_last(client: TestClient) -> None:
    settings, tensors, right = homework()
    lists: dict[str, Any] = {name: array.tolist() for name, array in tensors.items()}
    body = {"settings": settings, "layout": "NHWC", "tensors": lists}
    wrong = {**right, "dw": right["dw"][::-1, ::-1]}
    answer = client.post(
        "/api/ops/conv2d/check", json={**body, "gradients": {name: a.tolist() for name, a in wrong.items()}}
    )
    assert answer.status_code == 200, answer.text
    said = answer.json()["gradients"]
    assert said["dx"]["agrees"] and said["db"]["agrees"]
    assert said["dw"]["looks_like"] == "flip" and said["dw"]["place"].startswith("dw/")
    misfit = {**body, "tensors": {**lists, "x": [[[1.0]]]}}
    answer = client.post("/api/ops/conv2d/check", json={**misfit, "gradients": {}})
    assert answer.status_code == 422 and "expected 4: (N, H, W, C)" in answer.text


@pytest.mark.parametrize("wrapped", ["{}", "array({})", "tensor({}, dtype=torch.float64)"])
def test_gradients_are_read_as_numpy_prints_them(client: TestClient, wrapped: str) -> None:
    settings, tensors, right = homework()
    with np.printoptions(threshold=100_000, precision=12):
        printed = {name: wrapped.format(array) for name, array in right.items()}
    body = {"settings": settings, "layout": "NHWC", "tensors": {name: a.tolist() for name, a in tensors.items()}}
    answer = client.post("/api/ops/conv2d/check", json={**body, "gradients": printed})
    assert all(each["agrees"] for each in answer.json()["gradients"].values()), answer.text
    for text, words in (("[[1 ... 2]]", "set_printoptions"), ("[1 2", "brackets that match"), ("[1 a]", "got 'a]'")):
        answer = client.post("/api/ops/conv2d/check", json={**body, "gradients": {"dx": text}})
        assert answer.status_code == 422 and words in answer.text


def test_a_wrong_gradient_is_told_where_it_parts_first_and_the_call_comes_back(client: TestClient) -> None:
    body = {
        "settings": {},
        "tensors": {"x": "[[[[1, 2], [3, 4]]]]", "w": [[[[1, -1], [2, 0.5]]]], "b": "[0.5]", "dy": [[[[2]]]]},
        "gradients": {"dx": [[[[2, -2], [5, 7]]]]},
        "echo": True,
    }
    report = client.post("/api/ops/conv2d/check", json=body).json()
    judged = report["gradients"]["dx"]
    assert not judged["agrees"]
    assert judged["first"] == {"place": "dx/0,0,1,0", "given": 5, "expected": 4}
    assert judged["place"] == "dx/0,0,1,1"  # where it is farthest off
    assert report["given"]["x"] == [[[[1, 2], [3, 4]]]] and report["given"]["b"] == [0.5]
    assert "given" not in client.post("/api/ops/conv2d/check", json=body | {"echo": False}).json()


@pytest.mark.parametrize(
    ("printed", "agrees"),
    [("[[[[0.67, -0.67], [1.33, 0.33]]]]", True), ("[[[[0.68, -0.67], [1.33, 0.33]]]]", False), ("[[[[7e-01, -7e-01], "
      "[1e+00, 3e-01]]]]", True)],
)  # fmt: skip
def test_what_was_printed_is_judged_to_its_last_digit(client: TestClient, printed: str, agrees: bool) -> None:
    tensors = {"x": [[[[1, 2], [3, 4]]]], "w": [[[[1, -1], [2, 0.5]]]], "b": [0.5], "dy": [[[[2 / 3]]]]}
    body = {"settings": {}, "tensors": tensors, "gradients": {"dx": printed}}
    judged = client.post("/api/ops/conv2d/check", json=body).json()["gradients"]["dx"]
    assert judged["agrees"] is agrees
    assert (judged["first"] is None) is agrees
