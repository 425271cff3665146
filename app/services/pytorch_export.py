"""A network as Python source that builds the same in PyTorch and loads a run's parameters."""

from __future__ import annotations

import keyword
import re

from app.problems import Problem
from engine.layers import Layer
from engine.network import Network
from engine.optimizers import Optimizer

PYTHON = "text/x-python"
TAKEN = {"self", "torch", "nn", "F", "x"}
SOURCE = '''"""{title}: the same network in PyTorch."""

import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        {modules}

    def forward(self, x):
        {calls}
        return {output}


def loss(y, target):
    return {loss}

{training}
def load(path):
    """The network with the parameters of an .npz of GET /api/runs/.../parameters?names=torch, at rest."""
    net = Net()
    with np.load(path) as file:
        given = {{name: torch.from_numpy(file[name]) for name in file if file[name].dtype.kind == "f"}}
    net.load_state_dict({{**net.state_dict(), **given}})
    return net.eval()


if __name__ == "__main__":
    print(load(sys.argv[1]) if sys.argv[1:] else Net())
'''


TRAINING = '''
def training(net):
    """The optimizer, and the schedule of its learning rate."""
    optimizer = torch.optim.{optimizer}
    return optimizer, {schedule}


def update(net, optimizer, schedule, x, target):
    """Learn from one minibatch; the loss before the update."""
    optimizer.zero_grad()
    found = loss(net(x), target)
    found.backward(){clip}
    optimizer.step(){advance}
    return found.detach()

'''


def source(network: Network, title: str, optimizer: Optimizer | None = None) -> str:
    """With an optimizer also how it is trained. 409 with the layer that PyTorch has nothing like."""
    variables: dict[str, str] = {"input": "x"}
    calls = []
    held: list[tuple[str, str]] = []
    for layer in network.layers.values():
        variables[layer.name] = _variable(layer.name, set(variables.values()))
        shapes = network.given_shapes(layer)
        if module := layer.op.torch_module(shapes):
            held.append((layer.name, module))
        calls.append(f"{variables[layer.name]} = {_call(network, layer, variables)}")
    modules, there = [], {""}
    for name, module in sorted(held, key=lambda each: each[0].count(".")):  # an outer module before those in it
        for end in [k for k, letter in enumerate(name) if letter == "."]:
            if name[:end] not in there:
                modules.append(_assignment(name[:end], "nn.Module()"))
                there.add(name[:end])
        modules.append(_assignment(name, module))
        there.add(name)
    return SOURCE.format(
        title=re.sub(r"[^\w .,()-]", "", title) or "A network",
        modules="\n        ".join(modules) or "pass",
        calls="\n        ".join(calls),
        output=variables[network.output],
        loss=_call(network, network.loss, {network.output: "y"}, target="target"),
        training=_training(optimizer) if optimizer else "",
    )


def _training(optimizer: Optimizer) -> str:
    settings = ", ".join(f"{name}={value!r}" for name, value in optimizer.torch_settings().items())
    schedule = optimizer.schedule.torch(optimizer.options["learning_rate"])
    norm = f"torch.nn.utils.clip_grad_norm_(net.parameters(), {optimizer.max_norm!r})"
    return TRAINING.format(
        optimizer=f"{optimizer.torch}(net.parameters(), {settings})",
        schedule=f"torch.optim.lr_scheduler.{schedule}" if schedule else None,
        clip="" if optimizer.max_norm is None else f"\n    {norm}",
        advance="\n    schedule.step()" if schedule else "",
    )


def _call(network: Network, layer: Layer, variables: dict[str, str], **more: str) -> str:
    op = layer.op
    inputs = {name: variables[given] for name, given in zip(op.inputs, layer.inputs, strict=True)}
    call = op.torch_call(network.given_shapes(layer), {**inputs, **more, "self": _module(layer.name)})
    if not call:
        raise Problem(409, f"{layer.name}: PyTorch has no {op.name} with these settings", kind="no-equivalent")
    return call


def _assignment(name: str, module: str) -> str:
    """A module under a name with dots stands in others, so that PyTorch names its parameters as the layer's."""
    parent, _, own = name.rpartition(".")
    if not parent and _is_plain(own):
        return f"self.{own} = {module}"
    return f'{_module(parent) if parent else "self"}.add_module("{own}", {module})'


def _module(name: str) -> str:
    if _is_plain(name):
        return f"self.{name}"
    return f'self.get_submodule("{name}")' if "." in name else f'getattr(self, "{name}")'


def _is_plain(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)


def _variable(name: str, others: set[str]) -> str:
    """A layer's name as a variable of its own."""
    found = re.sub(r"\W", "_", name)
    if found[0].isdigit():
        found = f"y{found}"
    while keyword.iskeyword(found) or found in TAKEN or found in others:
        found += "_"
    return found
