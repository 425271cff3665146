"""What a number reaches and what it sees, and what did not matter to the loss: masks of cells, from the sentences.

All of it is one walk over the sentences of a pass in the order of time, forwards or backwards, with the links of
`engine.formula.links`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.formula import Tensors
from engine.formula.links import EITHER, MOVES, READS, Link
from engine.formula.nodes import Choice, Read, Reduce, Sentence, reads, walk
from engine.network import Key
from engine.timeline import Local, sum_program
from engine.trace import Place, PlaceError, Trace

Mask = np.ndarray
Direction = Literal["forward", "backward"]


@dataclass(frozen=True)
class Step:
    """One sentence of a pass: which tensor it says, and whose tensors the names in it are."""

    key: Key
    sentence: Sentence
    tensors: Tensors
    keys: dict[str, Key]

    def links(self) -> Iterator[tuple[Key, Link]]:
        """Every read of the sentence, once, with the tensor that is read."""
        for read in dict.fromkeys(reads(self.sentence.expr)):
            if read.tensor in self.keys:
                yield self.keys[read.tensor], Link(self.tensors, self.sentence, read)


@dataclass(frozen=True)
class Reach:
    """Of one tensor: 0 out of reach, 1 in reach, 2 in reach and moving now."""

    mask: np.ndarray

    @property
    def reachable(self) -> int:
        return int(np.count_nonzero(self.mask))

    @property
    def active(self) -> int:
        return int(np.count_nonzero(self.mask == 2))

    @property
    def box(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The first and the last index in reach, axis by axis."""
        inside = np.argwhere(self.mask)
        return tuple(map(int, inside.min(0))), tuple(map(int, inside.max(0)))


def reach(trace: Trace, place: Place, direction: Direction) -> dict[Key, Reach]:
    """Every later tensor that the number can change, up to the loss; or every earlier one on which it depends.

    Which cells are in reach follows from the sentences alone; which move, from the values of this pass: the derivative
    with respect to the place is not zero. Raises PlaceError where there is no such number.
    """
    key = _checked(trace, place)
    steps = list(forward_steps(trace))
    forward = {key for step in steps for key in (step.key, *step.keys.values())}
    if key not in forward:
        steps += backward_steps(trace)
    if key not in {key for step in steps for key in (step.key, *step.keys.values())}:
        raise PlaceError(f"{place.layer}/{place.tensor} belongs to the update; reach is told of a pass's own numbers")
    start = np.zeros(trace[key].shape, bool)
    start[place.index] = True
    found = {kind: _walk(steps, key, start, direction, kind, _by_hand(trace)) for kind in (READS, MOVES)}
    return {
        name: Reach(mask.astype(np.uint8) + found[MOVES].get(name, np.zeros(mask.shape, bool)))
        for name, mask in found[READS].items()
        if mask.any() and name != key
    }


def _by_hand(trace: Trace) -> dict[Key, Mask]:
    """The cells that follow from nothing, since they were set by hand."""
    return trace.by_hand.masks if trace.by_hand else {}


def _walk(
    steps: list[Step], key: Key, start: Mask, direction: Direction, kind: str, by_hand: dict[Key, Mask]
) -> dict[Key, Mask]:
    masks = {key: start}
    for step in steps if direction == "forward" else reversed(steps):
        if direction == "forward" and step.key == key:
            continue
        if direction == "backward" and step.key not in masks:
            continue
        for read, link in step.links():
            if kind != READS and _holds_still(step, link):
                continue
            cut = by_hand.get(step.key)
            if direction == "backward":
                asked = masks[step.key] if cut is None else masks[step.key] & ~cut
                _add(masks, read, link.backwards(asked, kind))
            elif read in masks:
                said = link.forwards(masks[read], kind)
                _add(masks, step.key, said if cut is None else said & ~cut)
    return masks


def _add(masks: dict[Key, Mask], key: Key, more: Mask) -> None:
    masks[key] = masks[key] | more if key in masks else more


def _holds_still(step: Step, link: Link) -> bool:
    """Whether no gradient flows through a read: a target, or what cancels, such as softmax's top."""
    program = step.tensors.program
    return link.read.tensor in program.held or step.sentence.name in program.held


# the sentences of a pass --------------------------------------------------------------------------------------------


def forward_steps(trace: Trace) -> Iterator[Step]:
    """Every sentence from the first layer to the loss, those that say positions (a pool's winners) left out."""
    network = trace.network
    for layer in [*network.layers.values(), network.loss]:
        if layer is network.loss and ("target", "y") not in trace:
            continue
        local, tensors = trace._layer(layer)
        op = layer.op if trace.training else layer.inference_op
        said = op.program(local.shapes).names
        for name in said:
            if not _says_positions(local.program.sentences[name]):
                yield _step(trace, local, tensors, name)


def backward_steps(trace: Trace) -> Iterator[Step]:
    """Every sentence of the gradients, from the loss back."""
    network = trace.network
    for layer in [network.loss, *reversed(network.layers.values())]:
        if layer is not network.loss:
            yield from _summed(trace, layer.name)
        local, tensors = trace._layer(layer)
        op = layer.op if trace.training else layer.inference_op
        forward = set(op.program(local.shapes).names)
        for name in local.program.names:
            if name not in forward:
                yield _step(trace, local, tensors, name)
    yield from _summed(trace, "input")


def _summed(trace: Trace, layer: str) -> Iterator[Step]:
    """The delta of a layer that several others read."""
    readers = trace.network.consumers[layer]
    if len(readers) > 1:
        array = trace[layer, "dy"]
        program, names = sum_program(array.ndim, len(readers))
        keys = {name: (reader, f"d{tensor}") for name, (reader, tensor) in zip(names, readers, strict=True)}
        tensors = Tensors(program, {name: trace[key] for name, key in keys.items()}, {}, {"dy": array.shape})
        yield Step((layer, "dy"), program.sentences["dy"], tensors, dict(keys))


def _step(trace: Trace, local: Local, tensors: Tensors, name: str) -> Step:
    sentence = local.program.sentences[name]
    keys = {
        read.tensor: trace.network.resolve(local.layer, local.public.get(read.tensor, read.tensor))
        for read in reads(sentence.expr)
        if read.tensor in tensors or read.tensor in local.program.sentences
    }
    return Step(trace.network.resolve(local.layer, local.public.get(name, name)), sentence, tensors, keys)


def _says_positions(sentence: Sentence) -> bool:
    return any(isinstance(node, Reduce) and node.kind == "argmax" for node in walk(sentence.expr))


def _checked(trace: Trace, place: Place) -> Key:
    key = trace.network.resolve(place.layer, place.tensor)
    try:
        shape = trace[key].shape
    except KeyError as error:
        raise PlaceError(error.args[0]) from None
    if len(place.index) != len(shape) or any(not 0 <= i < n for i, n in zip(place.index, shape, strict=True)):
        raise PlaceError(f"{key[0]}/{key[1]} has shape {list(shape)}, there is no index {list(place.index)} in it")
    return key


# what did not matter ------------------------------------------------------------------------------------------------

#: Why a number does not matter, most immediate first.
REASONS = ("unread", "relu", "not_maximum", "zero_weight")


@dataclass(frozen=True)
class Inert:
    """`mask`: 1 where the loss does not depend on the number in this pass, to first order; `reasons`: how many of
    these for which reason."""

    mask: np.ndarray
    reasons: dict[str, int]


def inert(trace: Trace, key: Key) -> Inert:
    """The numbers of a tensor (pixels, units, weights) on which this pass's loss does not depend.

    A number counts where no chain of slopes that are not zero leads from it to the loss, on either side of a tie or of
    a gate at exactly 0. Its reason is the first link on its way that is broken: nothing reads it, a gate is closed, a
    maximum is another's, or it is multiplied by zero. Raises PlaceError for a tensor that is not on the way forward.
    """
    key = trace.network.resolve(*key)
    steps = list(forward_steps(trace))
    if key not in {read for step in steps for read in step.keys.values()}:
        raise PlaceError(f"{key[0]}/{key[1]} is on no way to the loss")
    loss = ("loss", "y")
    matters = {loss: np.ones(trace[loss].shape, bool)}
    by_hand = _by_hand(trace)
    why: dict[Key, np.ndarray] = {loss: np.full(trace[loss].shape, -1)}
    for step in reversed(steps):
        if step.key not in matters:  # not on the way to the loss
            continue
        for read, link in step.links():
            if _holds_still(step, link):
                continue
            shape = step.tensors.shape(link.read.tensor)
            if step.key in by_hand:
                matters[step.key] = matters[step.key] & ~by_hand[step.key]
            live = link.backwards(matters[step.key], EITHER)
            _add(matters, read, live)
            reasons = why.setdefault(read, np.zeros(shape, int))
            _explain(reasons, step, link, matters[step.key], why[step.key])
    if key not in matters:
        raise PlaceError(f"{key[0]}/{key[1]} is held still: no gradient flows through it")
    dead = ~matters[key]
    counts = np.bincount(why[key][dead], minlength=len(REASONS)) if dead.any() else np.zeros(len(REASONS), int)
    return Inert(dead.astype(np.uint8), {name: int(count) for name, count in zip(REASONS, counts, strict=True)})


def _explain(reasons: np.ndarray, step: Step, link: Link, live: Mask, why: np.ndarray) -> None:
    """Why cells that this link reads come to nothing: by the link itself where what it says matters, else as what it
    says does."""
    alive = link.backwards(live, READS)
    own = REASONS.index(_cause(step.sentence, link.read))
    reasons[alive & (reasons == 0)] = own
    for code in range(1, len(REASONS)):
        passed_on = link.backwards(~live & (why == code), READS)
        reasons[passed_on & ~alive & (reasons == 0)] = code


def _cause(sentence: Sentence, read: Read) -> str:
    """What can break a link: a choice around the read, a maximum around it, or else a factor beside it that is 0."""
    for node in walk(sentence.expr):
        if isinstance(node, Choice) and any(each == read for part in (node.then, node.other) for each in reads(part)):
            return "relu"
        if isinstance(node, Reduce) and node.kind == "max":
            return "not_maximum"
    return "zero_weight"
