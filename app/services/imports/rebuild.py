"""A network from its weights alone: kinds of layers from names and shapes, what lies between them from the sizes.

A file of weights says nothing of ReLUs, pools and padding. What is known narrows it down: how many numbers reach the
first linear layer, and, in a `Sequential`, how many modules without weights stand between two with. The first network
in the order of what is usual is taken; every other choice is listed.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.services.imports.convert import Builder, Guess, Result, Row, Unsupported
from app.services.imports.source import FileError, Weights

Array = np.ndarray
Shape = tuple[int, ...]

#: What the same tensor is called elsewhere.
PARTS = {
    "weight": "w",
    "kernel": "w",
    "w": "w",
    "bias": "b",
    "b": "b",
    "gamma": "gamma",
    "beta": "beta",
    "running_mean": "running_mean",
    "running_var": "running_var",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "slope": "slope",
    "mean": "mean",
    "deviation": "deviation",
}
IGNORED = ("num_batches_tracked",)
ACTIVATIONS = ("relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", "none")
#: What stands between a layer and its activation, or in its place.
NORMS = ("batch_norm", "group_norm", "prelu")
#: Convolutions whose pools are tried in every combination.
MOST = 8
#: Steps of the search for an order of the layers.
SEARCHED = 20_000


@dataclass
class Group:
    """The tensors of one layer: what it is, and its weights in this project's order of axes."""

    name: str
    parts: dict[str, Array]
    kind: str = ""
    detail: str = ""
    moved: bool = False
    groups: int = 1  # of a group norm
    number: int | None = None  # its place in a Sequential, and what the Sequential is called
    parent: str = ""


@dataclass
class Plan:
    """What lies between: the input's height and width, each convolution's padding, the pools behind them."""

    size: tuple[int, int]
    padding: list[int]
    pools: list[bool]
    globally: bool = False
    found: list[Any] = field(default_factory=list)


def rebuild(weights: Weights, answers: Mapping[str, Any]) -> Result:
    """The network of these weights. `answers` settle a guess: {"input": [1, 28, 28], "activation": "tanh", "padding":
    "same", "pools": "conv1, conv2"}. FileError where the weights make no chain."""
    groups = _groups(weights)
    if not any(re.search(r"kernel(:0)?$", name) for name in weights.tensors):  # others count axes in another order
        groups = _in_order(groups)
    _name_kinds(groups)
    rows = [Row(", ".join(f"{group.name}.{part}" for part in group.parts)) for group in groups]
    guesses: list[Guess] = []
    activation = answers.get("activation", "relu")
    if activation not in ACTIVATIONS:
        raise FileError(f"activation: expected one of {', '.join(ACTIVATIONS)}")
    plan = _plan(groups, answers, guesses)
    build = Builder()
    channels = _channels(groups[0])
    build.shapes["input"] = (channels, *plan.size) if any(plan.size) else (channels,)
    if len(groups) > 1:
        why = "a file of weights does not say what stands between its layers"
        others = tuple(each for each in ACTIVATIONS if each != activation)
        guesses.append(Guess("activation", why, activation, others))
    _choose_groups(groups, answers, guesses)
    last = _build(build, groups, rows, plan, activation)
    classes = len(build.shapes[last]) == 1
    network = {
        "input": list(build.shapes["input"]),
        "layers": build.layers,
        "loss": "cross_entropy" if classes else "mse_loss",
    }
    missing = any(row.state == "missing" for row in rows)
    placed = sum(len(group.parts) for group, row in zip(groups, rows, strict=True) if row.state != "missing")
    total = sum(len(group.parts) for group in groups)
    return Result(None if missing else network, build.parameters, rows, guesses, total, placed)


# which layers there are ---------------------------------------------------------------------------------------------


def _groups(weights: Weights) -> list[Group]:
    """Tensors by layer, in the file's order; prefixes that all names share are left out."""
    named: dict[str, dict[str, Array]] = {}
    for name, array in weights.tensors.items():
        layer, part = _split(name)
        if part in IGNORED or array.dtype.kind not in "f":
            continue
        if part not in PARTS:
            raise FileError(f"{name[:80]}: what {part!r} belongs to is not known; known: {', '.join(PARTS)}")
        if not np.isfinite(array).all():
            raise FileError(f"{name[:80]} holds numbers that are not finite")
        named.setdefault(layer, {})[PARTS[part]] = array.astype(np.float32)
    if not named:
        raise FileError("there are no weights in the file")
    shared = _shared_prefix(list(named))
    groups = []
    for layer, parts in named.items():
        short = layer.removeprefix(shared)
        parent, _, number = short.rpartition(".")
        found = int(number) if re.fullmatch(r"\d{1,4}", number) else None
        groups.append(Group(short or "layer", parts, number=found, parent=parent))
    return groups


def _in_order(groups: list[Group]) -> list[Group]:
    """In an order in which each layer takes what the one before gives: the file's, or that of the numbers in the names
    (safetensors sorts by name, and 10 comes before 2), or any at all; else the file's."""
    natural = sorted(groups, key=lambda group: [(part.isdigit(), part.zfill(9)) for part in group.name.split(".")])
    for order in (groups, natural):
        if all(_follows(group, before) for before, group in zip([None, *order[:-1]], order, strict=True)):
            return order
    chain: list[Group] = []
    tries = [natural]  # for each place of the chain, what may still be tried there
    for _ in range(SEARCHED):
        if len(chain) == len(groups):
            return chain
        while tries[-1] and not _follows(tries[-1][0], chain[-1] if chain else None):
            tries[-1] = tries[-1][1:]
        if tries[-1]:
            chain.append(tries[-1][0])
            tries[-1] = tries[-1][1:]
            used = {id(group) for group in chain}
            tries.append([group for group in natural if id(group) not in used])
        elif chain:
            chain.pop()
            tries.pop()
        else:
            break
    return groups


def _follows(group: Group, before: Group | None) -> bool:
    """Whether a layer, as PyTorch writes it, can stand behind another one. Two norms never follow one another."""
    w, given = group.parts.get("w"), before and _gives(before)
    if w is None or w.ndim == 1:
        last = before.parts.get("w") if before else None
        return given == len(next(iter(group.parts.values()))) and last is not None and last.ndim > 1
    bias = group.parts.get("b")
    if bias is not None and len(bias) != w.shape[0]:
        return False
    if given is None:
        return True
    if w.ndim == 4:
        return not _is_flat(before) and (w.shape[1] == given or (w.shape[1] == 1 and w.shape[0] % given == 0))
    return w.ndim == 2 and (w.shape[1] == given or (not _is_flat(before) and w.shape[1] % given == 0))


def _gives(group: Group) -> int:
    return len(next(iter(group.parts.values())))


def _is_flat(group: Group | None) -> bool:
    w = group.parts.get("w") if group else None
    return w is not None and w.ndim == 2


def _split(name: str) -> tuple[str, str]:
    plain = name.removesuffix(":0").replace("/", ".")
    layer, _, part = plain.rpartition(".")
    if not layer:
        found = re.fullmatch(r"(.+?)_?(weight|bias|kernel|w|b)", plain)
        return (found[1], found[2]) if found else ("layer", plain)
    return layer, part


def _shared_prefix(names: list[str]) -> str:
    """Words that all names begin with, such as `module.`; never all of a name."""
    words = [name.split(".") for name in names]
    count = 0
    while len(words) > 1 and all(len(each) > count + 1 for each in words) and len({each[count] for each in words}) == 1:
        count += 1
    return "".join(f"{word}." for word in words[0][:count])


def _name_kinds(groups: list[Group]) -> None:
    """What each group is, from its shapes; kernels and dense rows of other layouts are turned round."""
    before: int | None = None  # channels or features that arrive
    for group in groups:
        w = group.parts.get("w")
        if w is None or w.ndim == 1:
            _one_axis(group)
            continue
        if w.ndim == 2:
            group.kind = "linear"
            bias = group.parts.get("b")
            if bias is not None and len(bias) == w.shape[1] != w.shape[0]:
                group.parts["w"], group.moved = w.T, True
                group.detail = f"the matrix {list(w.shape)} lists inputs first: turned round"
            before = len(group.parts["w"])
        elif w.ndim == 4:
            group.kind = "conv2d"
            if _is_hwio(w, before, group.parts.get("b")):
                group.parts["w"], group.moved = w.transpose(3, 2, 0, 1), True
                group.detail = f"the kernel {list(w.shape)} lists height and width first: HWIO made OIHW"
            elif before is not None and w.shape[0] == before and w.shape[1] not in (1, before):
                if group.parts.get("b") is None or len(group.parts["b"]) == w.shape[1]:
                    group.kind = "conv_transpose2d"
            before = group.parts["w"].shape[1 if group.kind == "conv_transpose2d" else 0]
        else:
            raise FileError(f"{group.name[:80]}: a weight of {w.ndim} axes {list(w.shape)} belongs to no layer here")


def _one_axis(group: Group) -> None:
    parts = group.parts
    if "running_mean" in parts and "running_var" in parts:
        group.kind = "batch_norm"
        group.parts = {
            "gamma": parts.get("gamma", parts.get("w", np.ones_like(parts["running_mean"]))),
            "beta": parts.get("beta", parts.get("b", np.zeros_like(parts["running_mean"]))),
            "running_mean": parts["running_mean"],
            "running_var": parts["running_var"],
        }
    elif set(parts) == {"w"} or set(parts) == {"slope"}:
        group.kind, group.parts = "prelu", {"slope": parts.get("w", parts.get("slope", np.zeros(0)))}
    elif set(parts) == {"mean", "deviation"}:
        group.kind = "normalize"
    elif set(parts) in ({"w", "b"}, {"gamma", "beta"}):
        group.kind = "group_norm"
        group.parts = {
            "gamma": parts.get("w", parts.get("gamma", np.zeros(0))),
            "beta": parts.get("b", parts.get("beta", np.zeros(0))),
        }
    else:
        raise FileError(f"{group.name[:80]}: {', '.join(parts)} of one axis belong to no layer that is known here")


def _is_hwio(w: Array, before: int | None, bias: Array | None) -> bool:
    """Keras and TensorFlow write kernels (height, width, in, out)."""
    as_oihw = (before is None or before % w.shape[1] == 0) and (bias is None or len(bias) == w.shape[0])
    as_hwio = (before is None or before == w.shape[2]) and (bias is None or len(bias) == w.shape[3])
    if as_oihw != as_hwio:
        return as_hwio
    return as_hwio and max(w.shape[:2]) <= 11 < w.shape[3]


# what lies between them ---------------------------------------------------------------------------------------------


def _channels(group: Group) -> int:
    w = group.parts.get("w")
    if w is None:
        return len(next(iter(group.parts.values())))
    return w.shape[0] if group.kind == "conv_transpose2d" else w.shape[1]


def _plan(groups: list[Group], answers: Mapping[str, Any], guesses: list[Guess]) -> Plan:
    convs = [group for group in groups if group.kind.startswith("conv")]
    if not convs:
        return Plan((0, 0), [], [])
    first = next(k for k, group in enumerate(groups) if group.kind.startswith("conv"))
    linear = next((group for group in groups[first:] if group.kind == "linear"), None)
    sizes = _sizes(_channels(convs[0]), answers)
    if linear is None:
        plan = Plan(sizes[0], [_same(conv) for conv in convs], [False] * len(convs))
        guesses.append(Guess("input", "a network of convolutions takes any size", list(sizes[0]), ()))
        return plan
    channels, features = _maps(convs[-1]), linear.parts["w"].shape[1]
    fitting = [plan for size in sizes for plan in _fitting(convs, size, channels, features, answers)]
    if not fitting:
        raise FileError(
            f"{linear.name} reads {features} numbers, {channels} maps come out of {convs[-1].name}: no padding and no "
            f"pools that are tried bring an input of {' or '.join(f'{h} x {w}' for h, w in sizes)} to that; "
            'answer with {"input": [channels, height, width]}'
        )
    plan = min(fitting, key=lambda each: _unusual(each, convs))
    _list_guesses(plan, fitting, convs, linear, guesses)
    return plan


def _sizes(channels: int, answers: Mapping[str, Any]) -> list[tuple[int, int]]:
    given = answers.get("input")
    if given is not None:
        good = isinstance(given, list) and len(given) == 3 and all(type(n) is int and 0 < n < 2**12 for n in given)
        if not good or given[0] != channels:
            raise FileError(f"input: expected [{channels}, height, width], got {given!r}"[:200])
        return [(given[1], given[2])]
    return [(28, 28), (32, 32)] if channels == 1 else [(32, 32), (28, 28), (64, 64), (224, 224)]


def _same(conv: Group) -> int:
    return (conv.parts["w"].shape[2] - 1) // 2


def _maps(conv: Group) -> int:
    return int(conv.parts["w"].shape[1 if conv.kind == "conv_transpose2d" else 0])


def _fitting(
    convs: list[Group], size: tuple[int, int], channels: int, features: int, answers: Mapping[str, Any]
) -> Iterator[Plan]:
    """Every padding (same or none everywhere, or same as far as some convolution) and every choice of 2 x 2 pools that
    leads to so many features."""
    same = [_same(conv) for conv in convs]
    paddings = [[*same[:k], *[0] * (len(convs) - k)] for k in (len(convs), 0, *range(1, min(len(convs), MOST)))]
    chosen = answers.get("padding")
    if chosen is not None:
        padded = {"same": [True] * len(convs), "valid": [False] * len(convs)}.get(str(chosen))
        padded = padded or _named(convs, "padding", chosen)
        paddings = [[pad if chosen else 0 for pad, chosen in zip(same, padded, strict=True)]]
    choices = list(itertools.product((True, False), repeat=min(len(convs), MOST)))
    pooled = answers.get("pools")
    if pooled is not None:
        choices = [tuple(_named(convs, "pools", pooled))]
    for padding in paddings:
        for choice in choices:
            pools = [*choice, *[False] * (len(convs) - len(choice))]
            plane = _plane(convs, size, padding, pools)
            if plane is None:
                continue
            if channels * plane[0] * plane[1] == features:
                yield Plan(size, padding, pools)
            elif channels == features and min(plane) > 1:
                yield Plan(size, padding, pools, globally=True)


def _named(convs: list[Group], what: str, answer: Any) -> list[bool]:
    """Which convolutions an answer names, separated by commas."""
    names = {name.strip() for name in str(answer).split(",") if name.strip()}
    unknown = names - {conv.name for conv in convs}
    if unknown:
        raise FileError(f"{what}: there is no convolution {sorted(unknown)[0][:40]!r}")
    return [conv.name in names for conv in convs]


def _plane(convs: list[Group], size: tuple[int, int], padding: list[int], pools: list[bool]) -> tuple[int, int] | None:
    height, width = size
    for conv, pad, pool in zip(convs, padding, pools, strict=True):
        u, v = conv.parts["w"].shape[2:]
        grow = -1 if conv.kind == "conv_transpose2d" else 1
        height, width = height + grow * (2 * pad - u + 1), width + grow * (2 * pad - v + 1)
        if pool:
            height, width = height // 2, width // 2
        if min(height, width) < 1:
            return None
    return height, width


def _gaps(convs: list[Group]) -> list[int | None]:
    """In a Sequential, how many modules without weights follow each convolution before the next one; else None."""
    found: list[int | None] = []
    for conv, following in itertools.pairwise(convs):
        same = conv.parent == following.parent and conv.number is not None and following.number is not None
        found.append((following.number or 0) - (conv.number or 0) - 1 if same else None)
    return [*found, None]


def _unusual(plan: Plan, convs: list[Group]) -> tuple[int, ...]:
    """How far a plan is from what is usual: pools where a Sequential has room for them, a pool behind every
    convolution (or every second one), the size of the known data sets, padding all the same, a flatten rather than a
    global mean."""
    gaps = _gaps(convs)
    against = sum(gap is not None and (gap >= 2) != pool for gap, pool in zip(gaps, plan.pools, strict=True))
    count = sum(plan.pools)
    if plan.globally:  # any pools fit there, so none is the simplest
        return (True, against, 0, count, *_rare(plan, convs))
    uniform = 0 if all(plan.pools) else 1 if plan.pools[1::2] == [True] * len(plan.pools[1::2]) else 2
    return (False, against, uniform, len(plan.pools) - count, *_rare(plan, convs))


def _rare(plan: Plan, convs: list[Group]) -> tuple[bool, bool, bool]:
    """A size of no known data set, padding that changes on the way, no padding."""
    usual = (28, 28) if _channels(convs[0]) == 1 else (32, 32)
    return (plan.size != usual, _padding(plan, convs) not in ("same", "valid"), not any(plan.padding))


def _padding(plan: Plan, convs: list[Group]) -> str:
    """As an answer says it: everywhere, nowhere, or the convolutions that are padded."""
    could = [conv.name for conv in convs if _same(conv)]
    padded = [conv.name for conv, pad in zip(convs, plan.padding, strict=True) if pad]
    return "valid" if not padded else "same" if padded == could else ", ".join(padded)


def _list_guesses(plan: Plan, fitting: list[Plan], convs: list[Group], linear: Group, guesses: list[Guess]) -> None:
    features = linear.parts["w"].shape[1]
    plane = _plane(convs, plan.size, plan.padding, plan.pools)
    assert plane is not None
    maps = _maps(convs[-1])
    how = f"{maps} maps of {plane[0]} x {plane[1]}" + (", averaged" if plan.globally else "")
    why = f"{linear.name} reads {features} numbers: {how}"

    def shown(each: Plan) -> dict[str, Any]:
        return {
            "input": [_channels(convs[0]), *each.size],
            "padding": _padding(each, convs),
            "pools": ", ".join(conv.name for conv, pool in zip(convs, each.pools, strict=True) if pool),
        }

    others = [shown(each) for each in fitting if each is not plan]
    for what, value in shown(plan).items():
        alternatives = [each[what] for each in others if each[what] != value]
        unique = [each for k, each in enumerate(alternatives) if each not in alternatives[:k]]
        guesses.append(Guess(what, why, value, tuple(unique[:8])))


# the network --------------------------------------------------------------------------------------------------------


def _choose_groups(groups: list[Group], answers: Mapping[str, Any], guesses: list[Guess]) -> None:
    """How many groups the group norms have: all the same, as is usual, with at least two channels in each."""
    channels = [len(group.parts["gamma"]) for group in groups if group.kind == "group_norm"]
    if not channels:
        return
    fitting = [count for count in (32, 16, 8, 4, 2, 1) if all(n % count == 0 and n // count > 1 for n in channels)]
    chosen = answers.get("groups", next(iter(fitting), 1))
    if type(chosen) is not int or chosen < 1 or any(n % chosen for n in channels):
        raise FileError(f"groups: expected a whole number that divides {', '.join(map(str, channels[:9]))}")
    why = "a file of weights does not say how many groups a group norm has; one group is a layer norm"
    guesses.append(Guess("groups", why, chosen, tuple(count for count in fitting if count != chosen)))
    for group in groups:
        group.groups = chosen


def _build(build: Builder, groups: list[Group], rows: list[Row], plan: Plan, activation: str) -> str:
    last, conv = "input", 0
    learned = [k for k, group in enumerate(groups) if group.kind.startswith("conv") or group.kind == "linear"]
    maps: Shape | None = None  # of the maps that were flattened
    for k, (group, row) in enumerate(zip(groups, rows, strict=True)):
        row.detail, row.state = group.detail, "moved" if group.moved else "as_is"
        try:
            if group.kind == "linear" and len(build.shapes[last]) == 3:
                if plan.globally:
                    last = build.add("global_avg_pool", [last], {})
                maps = build.shapes[last]
                last = build.add("flatten", [last], {})
            last = _layer(build, group, row, last, plan, conv, maps)
            maps = None if group.kind == "linear" else maps
        except Unsupported as error:
            row.state, row.detail = "missing", f"{error}: perhaps a branch, which weights alone do not show"
            return last
        layer = build.made[last]
        row.layer, row.op, row.shape = last, layer.op.name, layer.shape
        row.parameters = sum(math.prod(shape) for shape in layer.learned.values())
        following = groups[k + 1].kind if k + 1 < len(groups) else ""
        if following in NORMS and k in learned:
            continue
        ends_block = k in learned or (group.kind in NORMS and k - 1 in learned) or k - 2 in learned
        owner = max((each for each in learned if each <= k), default=None)
        if not ends_block or owner is None:
            continue
        if owner != learned[-1] and group.kind != "prelu" and activation != "none":
            last = build.add(activation, [last], {})
        if groups[owner].kind.startswith("conv"):
            if plan.pools and plan.pools[conv]:
                last = build.add("max_pool2d", [last], {"kernel_size": 2})
            conv += 1
    return last


def _layer(build: Builder, group: Group, row: Row, last: str, plan: Plan, conv: int, maps: Shape | None) -> str:
    parts = dict(group.parts)
    settings: dict[str, Any] = {}
    if group.kind.startswith("conv"):
        w = parts["w"]
        arriving = build.shapes[last][0]
        transposed = group.kind == "conv_transpose2d"
        groups = arriving // w.shape[1] if not transposed and w.shape[1] and arriving % w.shape[1] == 0 else 1
        settings = {
            "out": w.shape[1] if transposed else w.shape[0],
            "kernel_size": list(w.shape[2:]),
            "padding": plan.padding[conv],
            "groups": groups,
            "bias": "b" in parts,
            "rounding": "floor",
        }
    elif group.kind == "group_norm":
        settings = {"groups": group.groups}
    elif group.kind == "linear":
        settings = {"out": len(parts["w"]), "bias": "b" in parts}
        if group.moved and maps is not None and maps[1] * maps[2] > 1:
            channels, height, width = maps
            if parts["w"].shape[1] != math.prod(maps):
                raise Unsupported(f"{group.name} reads {parts['w'].shape[1]} numbers, not maps of {list(maps)}")
            rows = parts["w"].reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
            parts["w"] = rows.reshape(len(parts["w"]), -1)
            row.detail += "; its rows were counted channels last: put in the order of maps"
    return build.add(group.kind, [last], settings, group.name, parts)
