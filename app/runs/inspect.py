"""What can be inspected in a run: timelines, steps, passes, tensors, frames, explanations. All of it runs in the pool
or on the training thread; nothing here changes what is learned."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field

from app.datasets import Datasets
from app.formats import documents, npz
from app.formats.frames import frame
from app.http.engine_errors import as_problems
from app.http.request_body import TENSOR, Natural, RequestModel, at_most, either
from app.limits import Limits
from app.problems import Loc, Problem, invalid, missing, over_limit
from app.runs.live_frames import Subscription
from app.runs.pass_cache import Image, Pass
from app.runs.run import Run
from app.services import networks
from engine.data import Split
from engine.edits import Edit, edited
from engine.network import Network
from engine.ops.base import ShapeError
from engine.timeline import Timeline, timeline
from engine.trace import Place, PlaceError, Trace, explain

#: In words of JSON Schema: a split is one of a data set.
SPLIT: dict[str, Any] = {
    "dependentSchemas": {"split": {"required": ["dataset"], "properties": {"dataset": {"type": "string"}}}}
}


ONE_IMAGE = either(("dataset", "index"), ("x",))


class PixelFields(RequestModel):
    """An image: of a data set, or its pixels."""

    model_config = ConfigDict(json_schema_extra=ONE_IMAGE | SPLIT)

    dataset: str | None = Field(
        default=None, description="a data set of GET /api/datasets, or the run's own", examples=["mnist"]
    )
    split: str = Field(default="test", description="`train` or `test`")
    index: Natural | None = Field(default=None, description="which image of the split, from 0", examples=[464])
    x: Any = Field(default=None, description="pixels (C, H, W) or (H, W), 0..1, nested lists", json_schema_extra=TENSOR)


class ImageFields(PixelFields):
    """An image, and what it is."""

    target: Any = Field(
        default=None,
        json_schema_extra=TENSOR,
        description="class number, or values for each output; default: the data set's, or the network's own answer",
    )


class EditFields(RequestModel):
    """Numbers set by hand."""

    model_config = ConfigDict(json_schema_extra=either(("value",), ("by",)))

    place: str = Field(
        description="a number, or a block that stops short of the last axes: of a parameter (`conv1/w/0,0`), of the "
        "image (`input/y/0,0,12`) or of what a layer puts out (`conv1/y/0,3,5,5`); or which cell wins a window, "
        "counted row by row in its map (`pool1/indices/0,3,5,5`)",
        examples=["conv1/w/0,0,1,1"],
    )
    value: Any = Field(
        default=None, description="a number, or nested lists in the block's shape", json_schema_extra=TENSOR
    )
    by: float | None = Field(default=None, ge=-1e30, le=1e30, description="in place of value: what is added")


EditList = Annotated[list[EditFields], at_most("edits", "edits")]


def edits_of(run: Run, asked: list[EditFields], limits: Limits, loc: Loc = ("edits",)) -> tuple[Edit, ...]:
    """The edits, checked against the run's network: 422 with the one that does not fit."""
    edits: list[Edit] = []
    for k, each in enumerate(asked):
        where = [*loc, k]
        if (each.value is None) == (each.by is None):
            raise invalid("expected either value or by", [*where, "value"])
        value = None if each.value is None else networks.tensor(each.value, [*where, "value"], "float64", limits)
        try:
            edits.append(Edit(Place.parse(each.place), value, each.by))
            edited(run.config.network, edits[-1:])
        except PlaceError as error:
            raise invalid(str(error.args[0]), [*where, "place"]) from None
    return tuple(edits)


# images and passes --------------------------------------------------------------------------------------------------


def split_of(run: Run | None, datasets: Datasets, dataset: str, split: str, loc: Loc = ()) -> Split:
    """A split of the run's own data set, or of one of the server's, as a body names them: 422 where there is none."""
    if run is not None and dataset == run.config.dataset.name:
        splits = run.config.dataset.splits
    else:
        try:
            splits = datasets.get(dataset).splits
        except Problem as problem:
            raise invalid(problem.detail, [*loc, "dataset"]) from None
    if split not in splits:
        raise invalid(f"{dataset} has no split {split!r}; it has: {', '.join(splits)}", [*loc, "split"])
    return splits[split]


def pixels_of(
    network: Network, run: Run | None, datasets: Datasets, asked: PixelFields, limits: Limits, loc: Loc = ()
) -> np.ndarray:
    """One image as a batch of one, for a network; 422 when the network cannot take it."""
    return _given(network, run, datasets, asked, limits, loc)[0]


def _given(
    network: Network, run: Run | None, datasets: Datasets, asked: PixelFields, limits: Limits, loc: Loc
) -> tuple[np.ndarray, np.ndarray | None, dict[str, Any]]:
    """An image, the target that its data set has, and where it comes from."""
    if (asked.x is None) == (asked.dataset is None):
        raise invalid("expected either x or dataset, split and index", [*loc, "x"])
    target = None
    if asked.x is not None:
        check_only_x(asked, ("split", "index"), loc)
    if asked.dataset is not None:
        if asked.index is None:
            raise invalid("expected the index of an image in the split", [*loc, "index"])
        split = split_of(run, datasets, asked.dataset, asked.split, loc)
        if not 0 <= asked.index < len(split):
            words = f"{asked.dataset}/{asked.split} has the images 0 to {len(split) - 1}, not {asked.index}"
            raise invalid(words, [*loc, "index"])
        given, target = split.batch(slice(asked.index, asked.index + 1))
        source: dict[str, Any] = {"dataset": asked.dataset, "split": asked.split, "index": asked.index}
        x = networks.images(network, given, [*loc, "index"], "float32", limits)
    else:
        x = networks.pixels(network, asked.x, [*loc, "x"], limits)
        source = {"drawn": True}
        if len(x) != 1:
            raise invalid(f"expected one image, got {len(x)}", [*loc, "x"])
    return x, target, source


def image_of(run: Run, datasets: Datasets, asked: ImageFields, limits: Limits, loc: Loc = ()) -> Image:
    """The image and its target as a batch of one; 422 when the network cannot take it."""
    network = run.config.network
    x, target, source = _given(network, run, datasets, asked, limits, loc)
    if asked.target is not None:
        target = networks.targets(network, asked.target, x, [*loc, "target"], "float32", limits)
    elif target is not None:
        with as_problems(*loc):
            network.check_batch(x, target)
    digest = hashlib.blake2b(x.tobytes(), digest_size=12)
    digest.update(repr((source, None if target is None else target.tolist())).encode())
    return Image(digest.hexdigest(), x, target, source)


def check_only_x(asked: RequestModel, others: tuple[str, ...], loc: Loc = ()) -> None:
    """422 when pixels are given together with where in a data set they are to be had."""
    for name in others:
        if name in asked.model_fields_set and (name == "split" or getattr(asked, name) is not None):
            raise invalid(f"expected either x or dataset and {name}, got both x and {name}", [*loc, name])


def trace_of(run: Run, image: Image, step: int | None, edits: Sequence[Edit] = ()) -> Trace:
    """The image through the run's parameters at that step, with numbers set by hand."""
    target = image.target
    if target is None:
        if (
            len(
                run.config.network.loss.op.target_shape(
                    (1, *run.config.network.layers[run.config.network.output].shape)
                )
            )
            > 1
        ):
            raise invalid("expected a target: this network's outputs are no classes", ["target"])
        answers, _ = run.trainer.predict(image.x)
        target = answers.argmax(1).astype(np.int64)
    try:
        with as_problems():
            return run.trainer.trace_of(image.x, target, step, edits)
    except PlaceError as error:  # which cells a window sees is known with its values
        raise invalid(str(error.args[0]), ["edits"]) from None


def make_pass(run: Run, image: Image, step: int | None, edits: Sequence[Edit] = ()) -> Pass:
    """The pass of an image; the same image, step and edits give the same pass. An edited one has a base: the pass of
    the same image without them, whose target it keeps."""
    now = run.trainer.step if step is None else step
    base = make_pass(run, image, now) if edits else None
    written = [(str(edit.place), edit.by, None if edit.value is None else edit.value.tolist()) for edit in edits]
    key = f"{run.key}/{now}/{image.key}" + (f"/{written!r}" if edits else "")
    id = hashlib.blake2b(key.encode(), digest_size=8).hexdigest()
    found = run.passes.find(id)
    if found is None:
        kept = image if base is None else replace(image, target=base.trace["target", "y"])
        trace = trace_of(run, kept, now, edits)
        network = run.config.network
        probabilities = network.loss.op.answer(trace[network.output, "y"])[0]
        after = run.trainer.loss_after(trace)
        found = Pass(id, run.id, now, image, trace, probabilities, after, tuple(edits), base)
        run.passes.keep(found)
    return found


# steps --------------------------------------------------------------------------------------------------------------


def trace_at(run: Run, step: int) -> Trace:
    """The minibatch pass whose update was the `step`-th; 404 outside the history."""
    with as_problems():
        return run.trainer.trace(step)


# tensors and frames -------------------------------------------------------------------------------------------------


def tensor_of(trace: Trace, layer: str, tensor: str, sample: int | None = None) -> np.ndarray:
    """A tensor of the pass; with `sample`, of that image alone. What has no axis, as the loss and its own gradient,
    belongs to the whole batch. 404 when there is none of that name."""
    try:
        whole = trace[layer, tensor]
        return whole if sample is None or not whole.ndim else trace.sample(layer, tensor, sample)
    except (KeyError, PlaceError) as error:
        raise _absent(trace, layer, str(error.args[0])) from None


def _absent(trace: Trace, layer: str, reason: str) -> Problem:
    """The input and the target are no layers, and yet places have their names."""
    names = trace.tensors(layer) if layer in ("input", "target") else ()
    return missing(f"{layer} has no such tensor; it has {', '.join(names)}" if names else reason)


def names_of(asked: Iterable[str], run: Run, limits: Limits, loc: Loc = ("tensors",)) -> tuple[tuple[str, str], ...]:
    """(layer, tensor) of each "layer/tensor"; 404 for one that passes of this run do not have."""
    known = _timeline(run, 1, training=True)
    names = []
    for name in asked:
        if name not in known.tensors and name not in known.aliases:
            raise missing(f"there is no tensor {name[:80]!r} in the score of this run")
        layer, _, tensor = name.partition("/")
        names.append((layer, tensor))
    if len(names) > limits.subscriptions:
        raise over_limit(
            "subscriptions",
            limits.subscriptions,
            f"{len(names)} tensors; at most {limits.subscriptions} are taken",
            loc,
        )
    size = sum(
        4 * math.prod(known.tensors[known.aliases.get(name, name)].shape)
        for name in asked
        if known.aliases.get(name, name) in known.tensors
    )
    if size > limits.frame_bytes:
        raise over_limit(
            "frame_bytes", limits.frame_bytes, f"{size} bytes; at most {limits.frame_bytes} are taken", loc
        )
    return tuple(names)


def frame_of(
    trace: Trace,
    names: Iterable[tuple[str, str]],
    header: dict[str, Any],
    sample: int | None = None,
    dtype: str = "float32",
) -> bytes:
    """A binary frame of tensors of the pass."""
    return frame(header, [(layer, name, tensor_of(trace, layer, name, sample)) for layer, name in names], dtype)


def all_of(run: Run, trace: Trace) -> list[str]:
    """What of the timeline this pass has: the first has no update behind it, a single image's pass none ahead."""
    return [name for name in _timeline(run, 1, trace.training).tensors if tuple(name.split("/")) in trace]


def step_frame(trace: Trace, sample: int, names: Iterable[tuple[str, str]]) -> bytes:
    """Image `sample` of a recorded step's minibatch, and the weights with the whole batch's gradients."""
    target = tensor_of(trace, "target", "y", sample)
    label = int(target[0]) if target.ndim == 1 and target.dtype.kind in "iu" else None
    header = {
        "step": trace.step,
        "loss": float(trace["loss", "y"]),
        "label": label,
        "batch": trace.batch,
        "sample": sample,
    }
    return frame_of(trace, names, header, sample)


def pass_frame(found: Pass, names: Iterable[tuple[str, str]]) -> bytes:
    header = {"step": found.step, "loss": found.loss, "label": found.label}
    return frame_of(found.trace, names, header)


def pass_npz(trace: Trace, names: Iterable[tuple[str, str]], sample: int | None = None) -> bytes:
    """The tensors as an .npz file, "layer/tensor" each; with `sample`, what has a batch's axis of that image alone."""
    found = {f"{layer}/{tensor}": tensor_of(trace, layer, tensor, sample) for layer, tensor in names}
    return npz.write_npz(found, {"step": trace.step, "loss": float(trace["loss", "y"])})


def live_frame(run: Run, subscription: Subscription) -> bytes:
    """What a viewer is sent: the newest step's minibatch, or one image through the newest parameters."""
    header = run.progress()
    image = subscription.image
    if isinstance(image, Image):
        trace = trace_of(run, image, None)
        header["image_loss"] = float(trace["loss", "y"])
        sample = 0
    else:
        trace = run.trainer.trace(run.trainer.step)
        sample = min(subscription.sample, trace.batch - 1)
    header["sample"] = sample
    target = trace.sample("target", "y", sample)
    header["label"] = int(target[0]) if target.ndim == 1 and target.dtype.kind in "iu" else None
    return frame_of(trace, subscription.tensors, header, sample, subscription.dtype)


# explanations -------------------------------------------------------------------------------------------------------


def explanation_of(run: Run, trace: Trace, place: str, paging: dict[str, Any]) -> dict[str, Any]:
    """Why the number at a place of a pass is what it is. A place may name a training step of its own."""
    try:
        where = Place.parse(place)
    except PlaceError as error:
        raise missing(str(error.args[0])) from None
    if where.step is not None:
        trace = trace_at(run, where.step)
    try:
        with as_problems(status=404):
            return documents.explanation(place, explain(trace, where, **paging))
    except PlaceError as error:
        reason = str(error.args[0])
        known = (where.layer, where.tensor) in trace
        raise (missing(reason) if known else _absent(trace, where.layer, reason)) from None


def timeline_document(run: Run, batch: int, training: bool) -> dict[str, Any]:
    return documents.timeline(_timeline(run, batch, training))


def _timeline(run: Run, batch: int, training: bool) -> Timeline:
    """Of a step's pass, or of one from which nothing is learned; so few images that a layer cannot learn from them are
    looked at as if at rest."""
    found = run.timelines.get((batch, training))
    if found is None:
        network = run.config.network
        with as_problems():
            found = timeline(network, batch, run.config.optimizer, training and _learns(network, batch))
        if batch in (1, run.config.batch_size):
            run.timelines[batch, training] = found
    return found


def _learns(network: Network, batch: int) -> bool:
    try:
        network.check_training(batch)
    except ShapeError:
        return False
    return True
