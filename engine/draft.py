"""A network while it is put together: which layers fit, what each does with its numbers, and where one does not fit
why, and what would make it fit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.layers import Layer, NetworkError, input_shape_of, read_layer, read_loss
from engine.network import LayerShape, Network
from engine.ops import OPS
from engine.ops.base import Op, Shape, Shapes
from engine.ops.window import Span, WindowError
from engine.receptive_field import ReceptiveField, through
from engine.settings import REQUIRED, Bool, Choice, Int, Padding, Pair, Setting

Item = Mapping[str, Any]
#: How far from its value a setting is tried.
FURTHEST = 16
#: Ways out that are offered.
MOST_FIXES = 4
ONE = ReceptiveField((1, 1), (1, 1), (0, 0))


@dataclass(frozen=True)
class Fix:
    """A change that makes a layer fit: what it is called, the setting that it changes (None: the layers), the
    arithmetic it leads to, the shape of the layer then, and the whole document with it."""

    words: str
    setting: str | None
    arithmetic: str
    shape: Shape
    network: dict[str, Any]


@dataclass(frozen=True)
class Misfit:
    """Why a layer does not fit. `span` is the axis of the window that hangs over, None where it is nothing of the kind;
    `loc` leads from the layer to the setting at fault."""

    detail: str
    sentence: str
    loc: tuple[str | int, ...] = ()
    span: Span | None = None
    fixes: tuple[Fix, ...] = ()


@dataclass(frozen=True)
class Arithmetic:
    """How a layer's figures come about, with their numbers; "" where there is nothing to reckon."""

    output: str = ""
    parameters: str = ""
    sees: str = ""
    products: str = ""


@dataclass(frozen=True)
class DraftLayer:
    """`state`: fits, misfit, or waits for the layer named by `waits_for`. `figures` are None unless it fits, `window`
    where it does not slide over maps. `inputs` are the layers that it reads."""

    name: str
    op: str
    inputs: tuple[str, ...]
    state: str
    figures: LayerShape | None = None
    kernel: str = ""
    window: ReceptiveField | None = None
    arithmetic: Arithmetic = Arithmetic()
    misfit: Misfit | None = None
    waits_for: str | None = None


@dataclass(frozen=True)
class Draft:
    """`network` holds the layers that fit, in their order, under a stand-in of a loss where the own one is not there
    yet; None where no layer fits. `whole`: every layer and the loss fit."""

    layers: tuple[DraftLayer, ...]
    loss: Misfit | None
    network: Network | None
    whole: bool


def draft(document: Mapping[str, Any]) -> Draft:
    """A document read as far as it goes; NetworkError only where the input or the list of layers is none."""
    input_shape = input_shape_of(document.get("input"))
    items = document.get("layers")
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, Mapping) for item in items):
        raise NetworkError(["layers"], "expected a list of layers")
    plan = {"input": list(input_shape), "layers": [dict(item) for item in items]}
    plan["loss"] = document.get("loss", "cross_entropy")
    read = _read(plan)
    used = {source for k, item in enumerate(items) for source in _inputs(items, k, item)}
    misfits = {k: _misfit(plan, k, error, read.shapes) for k, error in read.errors.items()}
    for k, item in enumerate(items[:-1]):
        name = item.get("name")
        if k in read.layers and name not in used:
            words = "nothing reads this layer, and it is not the last."
            fixes = _fixes(plan, k, [_without(plan, k)], {})
            misfits[k] = Misfit(f"{name}: nothing reads this layer, and it is not the last", words, fixes=fixes)
    network = read.network()
    fields = network.receptive_fields if network else {}
    shown = []
    for k, item in enumerate(items):
        layer = read.layers.get(k)
        sources = _inputs(items, k, item)
        name, op = str(item.get("name")), str(item.get("op"))
        if layer is None or network is None or k in misfits:
            state = "misfit" if k in misfits else "waits"
            shown.append(DraftLayer(name, op, sources, state, misfit=misfits.get(k), waits_for=read.waiting.get(k)))
            continue
        shown.append(_described(network, layer, fields))
    loss = None
    complete = bool(items) and not misfits and not read.waiting
    if complete:
        try:
            read_loss(plan["loss"], read.layers[len(items) - 1])
        except NetworkError as error:
            loss = Misfit(error.detail, _sentence(error, "loss"), tuple(error.loc[1:]), fixes=_loss_fixes(plan))
    elif not items:
        loss = Misfit("a network has at least one layer", "a network has at least one layer.")
    return Draft(tuple(shown), loss, network, complete and loss is None)


# reading as far as it goes ------------------------------------------------------------------------------------------


@dataclass
class _Read:
    """What was read of a plan: layers that fit, errors, and which layer others wait for, by number."""

    input_shape: Shape
    layers: dict[int, Layer]
    errors: dict[int, NetworkError]
    waiting: dict[int, str]
    shapes: dict[str, Shape]
    loss: Any

    def network(self) -> Network | None:
        if not self.layers:
            return None
        last = self.layers[max(self.layers)]
        try:
            loss = read_loss(self.loss, last)
        except NetworkError:
            stand_in = next(kind for kind in OPS.values() if kind.is_loss and _closes(kind.name, last))
            loss = Layer("loss", stand_in(), (last.name,), (), {})
        return Network(self.input_shape, list(self.layers.values()), loss)


def _read(plan: Mapping[str, Any], stop: str | None = None) -> _Read:
    """The layers of a plan, to the one named `stop`."""
    shapes: dict[str, Shape] = {"input": tuple(plan["input"])}
    read = _Read(shapes["input"], {}, {}, {}, shapes, plan["loss"])
    origin: dict[Any, str] = {}  # of layers that do not fit: the one at fault
    before = "input"
    for k, item in enumerate(plan["layers"]):
        name = item.get("name")
        blocked = next((origin[source] for source in _inputs(plan["layers"], k, item) if source in origin), None)
        if blocked is not None:
            read.waiting[k] = blocked
            origin.setdefault(name, blocked)
        else:
            try:
                layer = read_layer(item, ["layers", k], shapes, before)
            except NetworkError as error:
                read.errors[k] = error
                if name not in shapes:
                    origin[name] = str(name)
            else:
                read.layers[k] = layer
                shapes[layer.name] = layer.shape
        before = name if isinstance(name, str) else "input"
        if name == stop:
            break
    return read


def _inputs(items: Sequence[Item], k: int, item: Item) -> tuple[str, ...]:
    """The layers that the k-th reads, as far as they are named."""
    usual = [items[k - 1].get("name")] if k else ["input"]
    inputs = item.get("inputs", usual)
    return tuple(each for each in inputs if isinstance(each, str)) if isinstance(inputs, (list, tuple)) else ()


# what fits, described -----------------------------------------------------------------------------------------------


def _described(network: Network, layer: Layer, fields: Mapping[str, ReceptiveField]) -> DraftLayer:
    shapes = network.given_shapes(layer)
    figures = LayerShape(
        layer.name,
        layer.op.name,
        layer.shape,
        sum(math.prod(shape) for shape in layer.learned.values()),
        layer.op.multiply_adds(shapes),
        fields[layer.name],
    )
    window = None
    if len(layer.inputs) == 1 and len(layer.shape) == 3 and len(shapes[layer.op.inputs[0]]) == 4:
        height, width = shapes[layer.op.inputs[0]][2:]
        whole = ReceptiveField((height, width), (0, 0), (0, 0))
        window = through(layer.inference_op, shapes, layer.op.inputs[0], 3, ONE, whole)
    return DraftLayer(
        layer.name,
        layer.op.name,
        layer.inputs,
        "fits",
        figures,
        _kernel(layer),
        window,
        Arithmetic(
            _output(layer, shapes),
            _counted(layer),
            _sees(layer, fields),
            _products(layer, figures.multiply_adds),
        ),
    )


def _times(sizes: Sequence[int]) -> str:
    return "×".join(map(str, sizes))


def _kernel(layer: Layer) -> str:
    """Its kernels or its window, "8 of 3×3" or "2×2"; "" where it has none."""
    w = layer.parameters.get("w", ())
    if len(w) == 4:
        return f"{layer.shape[0]} of {_times(w[2:])}"
    size = layer.op.options.get("kernel_size")
    return _times(size) if isinstance(size, tuple) else ""


def _output(layer: Layer, shapes: Shapes) -> str:
    """(28 - 3) / 1 + 1 = 26, and what becomes of a fraction."""
    arithmetic = layer.op.arithmetic(shapes)
    return f"{arithmetic}, rounded to {_times(layer.shape[1:])}" if "." in arithmetic else arithmetic


def _counted(layer: Layer) -> str:
    """8·8·3·3 + 8 = 584."""
    shapes = list(layer.learned.values())
    if not shapes:
        return ""
    total = sum(map(math.prod, shapes))
    return f"{' + '.join('·'.join(map(str, shape)) for shape in shapes)} = {total:,}"


def _products(layer: Layer, count: int) -> str:
    """13·13·8·72 = 97,344: what each value of y takes, over its places."""
    outputs = math.prod(layer.shape)
    if not count or count % outputs:
        return f"{count:,}" if count else ""
    places = [*layer.shape[1:], layer.shape[0]]
    return f"{'·'.join(map(str, [*places, count // outputs]))} = {count:,}"


def _sees(layer: Layer, fields: Mapping[str, ReceptiveField]) -> str:
    """4 + (3 - 1)·2 = 8, by rows; "" where it is not a window's."""
    if len(layer.inputs) != 1:
        return ""
    before, now = fields[layer.inputs[0]], fields[layer.name]
    step = before.stride[0]
    more = (now.size[0] - before.size[0]) / step if step else 0
    if more < 1 or more != int(more) or not now.stride[0]:
        return ""
    return f"{before.size[0]} + ({int(more) + 1} - 1)·{step:g} = {now.size[0]}"


# what does not fit --------------------------------------------------------------------------------------------------


def _misfit(plan: Mapping[str, Any], k: int, error: NetworkError, shapes: Mapping[str, Shape]) -> Misfit:
    cause = error.__cause__
    span = cause.span if isinstance(cause, WindowError) else None
    sentence = span.shortage() if span else _sentence(error, str(plan["layers"][k].get("name")))
    candidates = [*_candidates(plan, k, error, shapes), _without(plan, k)]
    return Misfit(error.detail, sentence, tuple(error.loc[2:]), span, _fixes(plan, k, candidates, shapes))


def _sentence(error: NetworkError, name: str) -> str:
    """What stands after the layer's name and a colon."""
    return f"{error.detail.removeprefix(f'{name}: ')}."


@dataclass(frozen=True)
class _Candidate:
    """A change: how far it goes, its words, the layers afterwards, and the one that tells whether it helped."""

    distance: int
    words: str
    items: list[Item]
    check: str | None  # a layer's name; None where every layer that is left is as it was
    setting: str | None = None


def _fixes(
    plan: Mapping[str, Any], k: int, candidates: Sequence[_Candidate], shapes: Mapping[str, Shape]
) -> tuple[Fix, ...]:
    """The candidates that help, smallest change first."""
    found: list[Fix] = []
    for candidate in sorted(candidates, key=lambda each: each.distance):
        changed = {**plan, "layers": candidate.items}
        if candidate.check is None:
            if candidate.items:
                found.append(Fix(candidate.words, None, "", (), changed))
        else:
            read = _read(changed, stop=candidate.check)
            layer = next((each for each in read.layers.values() if each.name == candidate.check), None)
            if layer is not None and not read.errors:
                given = {
                    tensor: (1, *read.shapes[source])
                    for tensor, source in zip(layer.op.inputs, layer.inputs, strict=True)
                }
                arithmetic = _output(layer, {**given, **layer.parameters})
                found.append(Fix(candidate.words, candidate.setting, arithmetic, layer.shape, changed))
        if len(found) == MOST_FIXES:
            break
    return tuple(found)


def _candidates(
    plan: Mapping[str, Any], k: int, error: NetworkError, shapes: Mapping[str, Shape]
) -> Iterator[_Candidate]:
    """Changes that might help: a setting, a layer before it, another order, another join."""
    items, item = plan["layers"], plan["layers"][k]
    kind = OPS.get(item.get("op"))
    sources = _inputs(items, k, item)
    if kind is None or kind.is_loss or any(source not in shapes for source in sources) or not sources:
        return
    name = item["name"]
    if name in shapes and error.loc[-1] == "name":
        renamed = {**item, "name": unique(f"{name}_", items)}
        yield _Candidate(1, f"call it {renamed['name']}", [*items[:k], renamed, *items[k + 1 :]], renamed["name"])
        return
    known = {**kind.settings, **kind.layer_settings}
    at_fault = error.loc[3] if len(error.loc) > 3 and error.loc[2] == "settings" else None
    fitting = False
    missing = {key: each.example for key, each in known.items() if each.default is REQUIRED}
    given = missing | dict(item.get("settings", {}))
    for setting_name, setting in known.items():
        value = given.get(setting_name, setting.default)
        if at_fault is not None and setting_name != at_fault:
            continue
        usual = setting.example if setting.default is REQUIRED else setting.default
        values = [(1, usual)] if at_fault is not None else _near(setting, value)
        seen: set[bool] = set()
        for distance, other in values:
            side = _larger(other, value)
            changed = {**item, "settings": {**given, setting_name: other}}
            if side in seen or not _fits(changed, shapes, items, k):
                continue
            seen.add(side)
            fitting = True
            words = f"{setting.title or setting_name.replace('_', ' ')} {_said(other)}"
            yield _Candidate(distance, words, [*items[:k], changed, *items[k + 1 :]], name, setting_name)
    for source in reversed(sources):  # what skips before what it joins
        where = next((at for at, each in enumerate(items) if each.get("name") == source), None)
        if len(sources) > 1 and where is not None:
            yield from _sized_like(items, k, where, shapes)
    if fitting:
        return
    yield from _inserted(items, k, sources, shapes)
    yield from _swapped(items, k, sources)
    if len(sources) > 1:
        for other_kind in OPS.values():
            if len(other_kind.inputs) > 1 and other_kind is not kind and not other_kind.is_loss:
                changed = {**{key: item[key] for key in item if key != "settings"}, "op": other_kind.name}
                words = f"{other_kind.title.lower()} instead"
                yield _Candidate(3, words, [*items[:k], changed, *items[k + 1 :]], name)


def _fits(item: Item, shapes: Mapping[str, Shape], items: Sequence[Item], k: int) -> bool:
    before = items[k - 1]["name"] if k else "input"
    others = {name: shape for name, shape in shapes.items() if name != item["name"]}
    try:
        read_layer(item, [], others, before)
    except NetworkError:
        return False
    return True


def _near(setting: Setting, value: Any) -> Iterator[tuple[int, Any]]:
    """Other values of a setting, nearest first, with how far they are."""
    match setting:
        case Bool():
            yield 3, not value
        case Choice():
            yield from ((3, option) for option in setting.options if option != value)
        case Padding():
            sides = setting.check(value)
            if isinstance(sides, str):
                yield from ((2, word) for word in setting.words if word != sides)
                sides = (0, 0, 0, 0)
            for far in range(1, FURTHEST + 1):
                yield from ((far, [side + by for side in sides]) for by in (far, -far) if min(sides) + by >= 0)
        case Pair():
            pair = setting.check(value) if value is not None else None
            if pair is not None:
                for far in range(1, FURTHEST + 1):
                    for by in (-far, far):
                        if min(pair) + by >= setting.low:
                            yield far, [side + by for side in pair]
        case Int():
            if isinstance(value, int):
                for far in range(1, FURTHEST + 1):
                    yield from ((far, value + by) for by in (-far, far) if setting.low <= value + by <= setting.high)


def _larger(other: Any, value: Any) -> bool:
    """On which side of the value another lies."""

    def size(of: Any) -> float:
        return float(sum(of)) / len(of) if isinstance(of, (list, tuple)) else float(of)

    try:
        return size(other) > size(value)
    except (TypeError, ValueError):
        return False


def _said(value: Any) -> str:
    """A setting's value as people write it: 2, 2 × 3, yes."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return str(value[0]) if len(set(value)) == 1 else " × ".join(map(str, value))
    return str(value)


def unique(name: str, items: Sequence[Item]) -> str:
    """A name that no layer has yet: flatten1."""
    taken = {item.get("name") for item in items}
    return next(f"{name}{k}" for k in range(1, len(taken) + 2) if f"{name}{k}" not in taken)


def _bare(kind: type[Op]) -> bool:
    """Whether a layer of this op needs no settings and reads one other."""
    known = {**kind.layer_settings, **kind.settings}
    needed = any(setting.default is REQUIRED for setting in known.values())
    return not kind.is_loss and len(kind.inputs) == 1 and not needed


def _inserted(
    items: Sequence[Item], k: int, sources: Sequence[str], shapes: Mapping[str, Shape]
) -> Iterator[_Candidate]:
    """A layer without settings in front, where it changes the shape."""
    for source in dict.fromkeys(sources):
        for kind in OPS.values():
            if not _bare(kind):
                continue
            added = {"name": unique(kind.name, items), "op": kind.name, "inputs": [source]}
            try:
                made = read_layer(added, [], {name: shapes[name] for name in shapes}, source)
            except NetworkError:
                continue
            if made.shape == shapes[source]:
                continue
            changed = {**items[k], "inputs": [added["name"] if each == source else each for each in sources]}
            words = f"{kind.title.lower()} before it" if len(sources) == 1 else f"{kind.title.lower()} of {source}"
            yield _Candidate(2, words, [*items[:k], added, changed, *items[k + 1 :]], changed["name"])


def _swapped(items: Sequence[Item], k: int, sources: Sequence[str]) -> Iterator[_Candidate]:
    """Before the layer that it reads, where nothing else reads that."""
    if k == 0 or len(sources) != 1 or items[k - 1].get("name") != sources[0]:
        return
    readers = [j for j, each in enumerate(items) if sources[0] in _inputs(items, j, each)]
    above = _inputs(items, k - 1, items[k - 1])
    if readers != [k] or len(above) != 1:
        return
    first = {**items[k], "inputs": list(above)}
    second = {**items[k - 1], "inputs": [first["name"]]}
    rest = _reading(items, k + 1, {first["name"]: second["name"]})
    yield _Candidate(2, f"before {sources[0]}", [*items[: k - 1], first, second, *rest], first["name"])


def _sized_like(items: Sequence[Item], k: int, where: int, shapes: Mapping[str, Shape]) -> Iterator[_Candidate]:
    """One of several inputs made as large as another: by the layer that puts it out, or by one more."""
    item, source = items[k], items[where]
    name = source["name"]
    sources = _inputs(items, k, item)
    others = dict.fromkeys(shapes[other] for other in sources if other != name)
    for shape in others:
        if len(shape) != len(shapes[name]):
            continue
        settings = source.get("settings", {})
        if settings.get("out", shape[0]) != shape[0]:
            changed = {**source, "settings": {**settings, "out": shape[0]}}
            words = f"{name} with {shape[0]} {'maps' if len(shape) == 3 else 'outputs'}"
            yield _Candidate(1, words, [*items[:where], changed, *items[where + 1 :]], item["name"])
        for kind in OPS.values():
            if len(shape) != 3 or not {"out", "kernel_size", "stride"} <= {*kind.layer_settings, *kind.settings}:
                continue
            added = _made_like(kind, name, shapes, shape, items)
            if added is None:
                continue
            size = added["settings"]["kernel_size"]
            inputs = [added["name"] if each == name else each for each in sources]
            words = f"{size} × {size} {kind.title.lower()} of {name}"
            yield _Candidate(2, words, [*items[:k], added, {**item, "inputs": inputs}, *items[k + 1 :]], item["name"])
            break


def _made_like(
    kind: type[Op], name: str, shapes: Mapping[str, Shape], shape: Shape, items: Sequence[Item]
) -> dict[str, Any] | None:
    """A layer of this op that makes of what `name` puts out the shape asked for: by its stride, else by its window."""
    here, there = shapes[name][1], shape[1]
    ratio = max(here, there) // min(here, there)
    for size, stride in ((1 if here >= there else ratio, ratio), (abs(here - there) + 1, 1)):
        settings: dict[str, Any] = {"out": shape[0], "kernel_size": size, "stride": stride}
        if stride > 1 and "rounding" in kind.layer_settings:
            settings["rounding"] = "floor"
        added = {"name": unique(kind.name, items), "op": kind.name, "settings": settings, "inputs": [name]}
        try:
            if read_layer(added, [], dict(shapes), name).shape == shape:
                return added
        except NetworkError:
            continue
    return None


def _reading(items: Sequence[Item], start: int, renamed: Mapping[str, str]) -> list[Item]:
    """The layers from `start` on, reading others in place of some."""
    found = []
    for k in range(start, len(items)):
        inputs = _inputs(items, k, items[k])
        changed = [renamed.get(each, each) for each in inputs]
        found.append({**items[k], "inputs": changed} if changed != list(inputs) else items[k])
    return found


def _without(plan: Mapping[str, Any], k: int) -> _Candidate:
    """The layer left out: what reads it reads what it read."""
    items, item = plan["layers"], plan["layers"][k]
    sources = _inputs(items, k, item)
    instead = {item.get("name"): sources[0]} if sources else {}
    following = _reading(items, k + 1, instead)
    return _Candidate(9, f"leave out {item.get('name')}", [*items[:k], *following], None)


def _loss_fixes(plan: Mapping[str, Any]) -> tuple[Fix, ...]:
    """Layers that end a network as its loss reads it, and losses that take it as it is."""
    items = plan["layers"]
    last = items[-1]["name"]
    chains: list[list[type[Op]]] = []
    ends = [
        kind
        for kind in OPS.values()
        if not kind.is_loss
        and {name for name, setting in {**kind.layer_settings, **kind.settings}.items() if setting.default is REQUIRED}
        == {"out"}
    ]
    for end in ends:
        chains += [[end], *([kind, end] for kind in OPS.values() if _bare(kind) and kind.is_view)]
    chains += [[kind] for kind in OPS.values() if _bare(kind) and kind.is_view]
    found = []
    for chain in chains:
        added: list[Item] = []
        for kind in chain:
            before = added[-1]["name"] if added else last
            settings = {"settings": {"out": kind.layer_settings["out"].example}} if "out" in kind.layer_settings else {}
            added.append({"name": unique(kind.name, [*items, *added]), "op": kind.name, **settings, "inputs": [before]})
        changed = {**plan, "layers": [*items, *added]}
        read = _read(changed)
        if read.errors or not _closes(plan["loss"], read.layers[len(changed["layers"]) - 1]):
            continue
        words = f"{' and '.join(kind.title.lower() for kind in chain)} at the end"
        found.append(Fix(words, None, "", read.layers[len(changed["layers"]) - 1].shape, changed))
    read = _read(plan)
    for kind in OPS.values():
        if kind.is_loss and _closes(kind.name, read.layers[len(items) - 1]):
            found.append(Fix(f"{kind.title.lower()} instead", None, "", (), {**plan, "loss": kind.name}))
    return tuple(found[:MOST_FIXES])


def _closes(loss: Any, last: Layer) -> bool:
    try:
        read_loss(loss, last)
    except NetworkError:
        return False
    return True
