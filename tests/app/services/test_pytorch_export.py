"""The PyTorch source of a network: it is Python everywhere, and the same network where PyTorch is installed."""

from __future__ import annotations

import ast
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.problems import Problem
from app.services.pytorch_export import source
from engine.models import MODELS
from engine.network import Network
from engine.ops import OPS
from engine.optimizers import OPTIMIZERS, optimizer_from

LAYERS: list[dict[str, Any]] = [
    {"name": "conv-1", "op": "conv2d", "settings": {"out": 4, "kernel_size": [3, 2], "padding": "same"}},
    {"name": "class", "op": "conv2d", "settings": {"out": 4, "kernel_size": 3, "padding": "full", "flip_kernel": True,
                                                   "dilation": 2, "groups": 2, "bias": False}},
    {"name": "norm", "op": "batch_norm"},
    {"name": "x", "op": "elu", "settings": {"alpha": 0.5}},
    {"name": "lp", "op": "lp_pool2d", "settings": {"kernel_size": 2, "stride": 1}},
    {"name": "m1", "op": "max_pool2d", "settings": {"kernel_size": 3, "stride": 1, "padding": [1, 1, 2, 0]}},
    {"name": "m2", "op": "avg_pool2d", "settings": {"kernel_size": 3, "stride": 1, "padding": [1, 1, 2, 0],
                                                    "count_include_pad": False}},
    {"name": "up", "op": "conv_transpose2d", "inputs": ["m1"], "settings": {"out": 4, "kernel_size": 3, "padding": 1}},
    {"name": "sum", "op": "add", "inputs": ["up", "m2"]},
    {"name": "both", "op": "concat", "inputs": ["sum", "m1", "m2"]},
    {"name": "soft", "op": "leaky_relu"},
    {"name": "flat", "op": "flatten"},
    {"name": "drop", "op": "dropout"},
    {"name": "head.0", "op": "linear", "settings": {"out": 5}},
    {"name": "1", "op": "relu"},
    {"name": "head.1.last", "op": "linear", "settings": {"out": 3}},
]  # fmt: skip
ODD = {"input": [2, 7, 6], "layers": LAYERS, "loss": {"op": "cross_entropy", "settings": {"label_smoothing": 0.1}}}
SMALL = {name: model.document for name, model in MODELS.items() if model.defaults} | {"odd": ODD}


@pytest.mark.parametrize("name", [*MODELS, "odd"])
def test_the_source_of_every_network_is_python_that_names_its_modules_as_the_network(name: str) -> None:
    network = Network.from_document(ODD if name == "odd" else MODELS[name].document)
    tree = ast.parse(source(network, f'A "title" \\ of {name}'))
    nodes = list(ast.walk(tree))
    named = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_module":
            inside = node.func.value  # self, self.OUTER or self.get_submodule(OUTER)
            names = [inside.attr] if isinstance(inside, ast.Attribute) else []
            names += [each.value for each in getattr(inside, "args", [])]
            named.add(".".join([*names, node.args[0].value]))  # type: ignore[attr-defined]
    layers = {parameter.partition("/")[0] for parameter in network.parameter_shapes}
    outer = {layer[:k] for layer in layers for k, letter in enumerate(layer) if letter == "."}
    assert named == layers | outer


def test_every_operator_has_its_words_in_pytorch() -> None:
    missing = []
    for name, kind in OPS.items():
        op = kind(**kind.example_settings)
        shapes = {key: array.shape for key, array in kind.example(np.random.default_rng(0)).items()}
        names = {**dict.fromkeys(op.tensors, "x"), "self": "self.layer"}
        call = op.torch_call(shapes, names)
        ast.parse(call)
        if not call:
            missing.append(name)
    assert missing == []


def test_what_pytorch_has_not_is_refused_with_the_layer() -> None:
    layer = {"name": "up", "op": "conv_transpose2d", "settings": {"out": 1, "kernel_size": 3, "padding": [1, 0, 0, 0]}}
    with pytest.raises(Problem, match="up: PyTorch has no conv_transpose2d"):
        source(Network.from_document({"input": [1, 5, 5], "layers": [layer], "loss": "mse_loss"}), "up")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_runs_source_has_its_optimizer_its_schedule_and_its_clipping(name: str) -> None:
    network = Network.from_document(MODELS["tiny"].document)
    rules = {"schedule": {"name": "one_cycle"}, "max_norm": 0.5}
    plain, ruled = (optimizer_from({"name": name, "weight_decay": 0.1, **more}).over(7) for more in ({}, rules))
    text = source(network, "tiny", ruled)
    calls = {ast.unparse(node.func): node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)}
    settings = {each.arg: ast.literal_eval(each.value) for each in calls[f"torch.optim.{ruled.torch}"].keywords}
    assert (settings["lr"], settings["weight_decay"]) == (ruled.options["learning_rate"], 0.1)
    cycle = {each.arg: ast.literal_eval(each.value) for each in calls["torch.optim.lr_scheduler.OneCycleLR"].keywords}
    assert (cycle["total_steps"], cycle["max_lr"]) == (7, settings["lr"])
    assert ast.literal_eval(calls["torch.nn.utils.clip_grad_norm_"].args[1]) == 0.5
    text = source(network, "tiny", plain)
    assert "OneCycleLR" not in text and "clip_grad_norm_" not in text


def test_a_run_is_had_as_source(client: TestClient) -> None:
    answer = client.get("/api/runs/welcome/pytorch")
    assert answer.headers["content-type"].startswith("text/x-python")
    assert "welcome.py" in answer.headers["content-disposition"]
    assert "self.conv1 = nn.Conv2d(1, 8, (3, 3), (1, 1), (0, 0), (1, 1), 1, True)" in answer.text


@pytest.mark.parametrize("name", SMALL)
def test_pytorch_computes_the_same_loss_and_gradients(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    network = Network.from_document(SMALL[name])
    parameters = {key: value.astype(np.float64) for key, value in network.initial(3).items()}
    module: dict[str, Any] = {"__name__": "made"}
    exec(source(network, name), module)
    file = tmp_path / "parameters.npz"
    np.savez(file, **{network.torch_name(key): value for key, value in parameters.items()})  # type: ignore[arg-type]
    net = module["load"](file).double()

    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *network.input_shape))
    outputs = (2, *network.layers[network.output].shape)
    classes = len(network.loss.op.target_shape(outputs)) == 1
    target = rng.integers(0, outputs[1], 2) if classes else rng.normal(size=outputs)
    values = network.forward(parameters, x, target)
    network.backward(parameters, values, training=False)

    image = torch.tensor(x, requires_grad=True)
    loss = module["loss"](net(image), torch.tensor(target))
    loss.backward()
    assert loss.item() == pytest.approx(float(values["loss", "y"]), rel=1e-9)
    np.testing.assert_allclose(image.grad.numpy(), values[network.resolve("input", "dy")], atol=1e-9)
    for key, value in net.named_parameters():
        layer, tensor = (network.own_name(key) or "").split("/")
        np.testing.assert_allclose(value.grad.numpy(), values[layer, f"d{tensor}"], atol=1e-9, err_msg=key)


def test_the_file_of_a_run_loads(client: TestClient, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    file = tmp_path / "welcome.npz"
    file.write_bytes(client.get("/api/runs/welcome/parameters", params={"names": "torch"}).content)
    module: dict[str, Any] = {"__name__": "made"}
    exec(client.get("/api/runs/welcome/pytorch").text, module)
    images = client.get("/api/datasets/mnist/test", params={"limit": 4}, headers={"Accept": "application/x-npz"})
    x = np.load(io.BytesIO(images.content))["x"]
    shares = torch.softmax(module["load"](file)(torch.tensor(x)), 1).detach().numpy()
    body = {"dataset": "mnist", "indices": [0, 1, 2, 3], "layers": False}
    said = client.post("/api/runs/welcome/predict", json=body).json()["probabilities"]
    np.testing.assert_allclose(shares, said, atol=1e-6)
