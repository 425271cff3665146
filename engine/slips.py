"""Slips of the way back, to train with on purpose: each is an edit of a sentence, and needs no kernel of its own.

A network with a slip computes forward as ever. Where its backward pass, or its optimizer's update, has a sentence that
the slip edits, the edited sentence is evaluated in place of the kernel; it also explains the numbers that come out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from engine.formula import FormulaError, Program, Tensors
from engine.formula.contract import contract, work
from engine.formula.evaluate import GRID_LIMIT
from engine.ops import OPS
from engine.ops.base import Op, Shapes, outline, shapes_of
from engine.optimizers import NORM, OPTIMIZERS, Optimizer

Array = np.ndarray


class SlipError(ValueError):
    """A slip that does not show in a network, or that costs too much there."""


@dataclass(frozen=True)
class Edit:
    """`old` becomes `new` in every sentence whose left side, or the tensor's name alone, is `of`: regular
    expressions."""

    of: str
    old: str
    new: str


@dataclass(frozen=True)
class Slip:
    """`mistake` is its name among the mistakes; `first` says that only the first layer that learns is edited."""

    name: str
    title: str
    mistake: str
    edits: tuple[Edit, ...]
    first: bool = False

    def edited(self, program: Program) -> Program:
        """The program with every edit that fits; itself where none does."""
        return program.kept(("slip", self.name), lambda: (program, self._edited(program)))[1]

    def _edited(self, program: Program) -> Program:
        for edit in self.edits:
            for name in program.names:
                left, _, right = program.sentence(name).partition(" = ")
                said = re.fullmatch(edit.of, name) or re.fullmatch(edit.of, left)
                if said and re.search(edit.old, right):
                    program = program.edited(name, right, re.sub(edit.old, edit.new, right))
        return program

    def gradients(self, op: Op, tensors: Mapping[str, Array], wrt: tuple[str, ...]) -> dict[str, Array] | None:
        """The gradients as the slip has them; None where it does not touch this op."""
        shapes = {name: shape for name, shape in shapes_of(tensors).items() if name in op.tensors}
        program = program_of(op, shapes)
        edited = self.edited(program)
        if edited is program:
            return None
        changed = _changed(program, edited)
        known = {name: array for name, array in tensors.items() if name in edited.declared and name not in changed}
        if "dy" in edited.given:
            known.setdefault("dy", np.ones(()))
        local = Tensors(edited, known, op.numbers(shapes), op.extents(shapes))
        found = op.backward(tensors, wrt)
        for name in changed & found.keys():
            found[name] = contract(local, edited.expr(name)).astype(found[name].dtype)
        return found

    def work(self, op: Op, shapes: Shapes) -> float:
        """Multiply-adds that the edited gradients of an op take; 0 where none is. SlipError where they are too many."""
        program = program_of(op, shapes)
        edited = self.edited(program)
        if edited is program:
            return 0.0
        extents = op.extents(shapes)
        given = dict(shapes) if op.is_loss else {**shapes, "dy": extents["y"]}
        try:
            local = outline(edited, given, op.numbers(shapes), extents)
        except FormulaError as error:  # a kernel that is not square cannot be transposed
            raise SlipError(f"{self.name}: {error}") from None
        total = 0.0
        for name in _changed(program, edited):
            multiply_adds, largest = work(local, edited.expr(name))
            if largest > GRID_LIMIT:
                raise SlipError(
                    f"{self.name}: {edited.sentence(name)!r} needs {largest} elements, at most {GRID_LIMIT}"
                )
            total += SLOW * multiply_adds
        return total

    def optimizer(self, optimizer: Optimizer) -> Optimizer:
        """The optimizer with its update's sentences edited; itself where none is."""
        if self.edited(optimizer.program("w", 1)) is optimizer.program("w", 1):
            return optimizer
        return _slipped_kind(optimizer.name, self)(**optimizer.options).under(optimizer.schedule, optimizer.max_norm)


#: A contraction's multiply-add takes as long as so many of a kernel's.
SLOW = 40.0


def program_of(op: Op, shapes: Shapes) -> Program:
    """An op's sentences and those of its gradients."""
    return op.program(shapes).gradients(tuple(name[1:] for name in op.gradients if name[1:] in shapes))


def _changed(program: Program, edited: Program) -> set[str]:
    """The tensors whose sentence is another, and those that are made from them."""
    found: set[str] = set()
    for name in edited.names:
        if edited.expr(name) != program.expr(name) or found & set(edited.reads(name)):
            found.add(name)
    return found


@cache
def _slipped_kind(name: str, slip: Slip) -> type[Optimizer]:
    kind: Any = OPTIMIZERS[name]

    class Slipped(kind):  # type: ignore[misc]
        def program(self, parameter: str, rank: int) -> Program:
            return slip.edited(super().program(parameter, rank))

        def update(
            self, w: Array, dw: Array, state: Mapping[str, Array], step: int, norm: float | None = None
        ) -> tuple[Array, dict[str, Array]]:
            program = self.program("w", w.ndim)
            arrays = {"w": w, "dw": dw, **state, NORM: np.asarray(norm)}
            given = {name: array for name, array in arrays.items() if name in program.given}
            extents = {name: w.shape if program.letters(name)[0] else () for name in program.names}
            tensors = Tensors(program, given, self.numbers(step), extents)
            left = {name: tensors[f"{name}_next"].astype(w.dtype) for name in self.state}
            return tensors["w_next"].astype(w.dtype), left

    return Slipped


#: The gradient of a bias, and of the weights and the bias.
BIAS, LEARNED = r"db\[(?:g\|)?o\]", r"dw\[.*|db\[(?:g\|)?o\]"
AT = r"\[[^]]*\]"
WON = rf"\(indices{AT} == h\*K \+ k\)"
WHOLE = r"^.*$"


def _slip(name: str, title: str, mistake: str, *edits: tuple[str, str, str], **more: Any) -> Slip:
    return Slip(name, title, mistake, tuple(Edit(*edit) for edit in edits), **more)


def _kernel(rows: str, columns: str) -> tuple[tuple[str, str, str], ...]:
    """The kernel of the input's gradient, read otherwise."""
    return (("dx", r"w\[(g\|[oc],[oc]),u,v\]", rf"w[\1,{rows},{columns}]"),)


SLIPS: dict[str, Slip] = {
    slip.name: slip
    for slip in (
        _slip("dx_not_turned", "The kernel is not turned on the way back", "flip", *_kernel("U-1-u", "V-1-v")),
        _slip("dx_upside_down", "The kernel is turned in its rows only", "mirrored", *_kernel("U-1-u", "v")),
        _slip("dx_mirrored", "The kernel is turned in its columns only", "mirrored", *_kernel("u", "V-1-v")),
        _slip("dx_transposed", "Rows and columns of the kernel are exchanged", "transposed", *_kernel("v", "u")),
        _slip(
            "dx_reversed",
            "The output channels of the kernel stand in reverse order",
            "reversed",
            ("dx", r"w\[g\|o,c,u,v\]", "w[g|O-1-o,c,u,v]"),
            ("dx", r"w\[g\|c,o,u,v\]", "w[g|c,O-1-o,u,v]"),
        ),
        _slip(
            "dx_one_channel",
            "Only the last output channel is heard",
            "overwritten",
            ("dx", r"sum\[o,u,v\]\(", "sum[o,u,v]((o == O-1) * "),
        ),
        _slip(
            "dx_one_window",
            "Only one window of each pixel is heard",
            "one_product",
            ("dx", r"sum\[o,u,v\]\(", "sum[o,u,v]((u == 0) * (v == 0) * "),
        ),
        _slip(
            "dx_shifted",
            "The deltas lie one row too far down",
            "off_by_one",
            ("dx", r"\(h\+p-d\*u\)/s", "(h+p-d*u)/s-1"),
        ),
        _slip(
            "dw_turned",
            "The kernel's gradient is turned by 180°",
            "flip",
            ("dw", r"s\*i\+d\*u-p,t\*j\+e\*v-q", "s*i+d*(U-1-u)-p,t*j+e*(V-1-v)-q"),
        ),
        _slip(
            "dw_mirrored",
            "The kernel's gradient is turned in its columns only",
            "mirrored",
            ("dw", r"t\*j\+e\*v-q", "t*j+e*(V-1-v)-q"),
        ),
        _slip(
            "dw_transposed",
            "Rows and columns of the kernel's gradient are exchanged",
            "transposed",
            ("dw", r"s\*i\+d\*u-p,t\*j\+e\*v-q", "s*i+d*v-p,t*j+e*u-q"),
        ),
        _slip(
            "dw_delta_turned",
            "The deltas are turned before they lie over the input",
            "flip",
            ("dw", r"dy\[n,g\|o,i,j\]", "dy[n,g|o,I-1-i,J-1-j]"),
        ),
        _slip(
            "dw_unpadded",
            "The kernel's gradient reads the image without its padding",
            "padding",
            ("dw", r"s\*i\+d\*u-p,t\*j\+e\*v-q", "s*i+d*u,t*j+e*v"),
        ),
        _slip(
            "dw_mean",
            "The kernel's gradient is a mean over all places",
            "mean_not_sum",
            ("dw", r"^(sum\[n,i,j\]\(.*\))$", r"\1 / (I*J)"),
        ),
        _slip(
            "dw_last_image",
            "The weights hear from the last image of a batch only",
            "overwritten",
            ("dw", r"sum\[(n(?:,i,j)?)\]\(", r"sum[\1]((n == N-1) * "),
        ),
        _slip(
            "dw_zero",
            "No convolution is ever updated",
            "zero",
            ("dw", r"^sum\[n,i,j\].*$", "0"),
            (BIAS, r"^sum\[n,i,j\].*$", "0"),
        ),
        _slip("first_frozen", "The first layer is never updated", "zero", (LEARNED, WHOLE, "0"), first=True),
        _slip("db_zero", "The bias gets no gradient", "zero", (BIAS, r"^sum\[.*$", "0")),
        _slip("db_mean", "The bias's gradient is a mean", "mean_not_sum", (BIAS, r"^(sum\[n,i,j\]\(.*\))$", r"\1 / "
        "(N*I*J)")),
        _slip(
            "linear_reversed",
            "The deltas go back through the weights of other outputs",
            "reversed",
            ("dx", r"w\[o,c\]", "w[O-1-o,c]"),
        ),
        _slip(
            "pool_corner",
            "The max pool sends every delta to the first cell of its window",
            "fixed_corner",
            ("dx", rf"sum\[u,v\]\((.*) \* {WON}\)", r"sum[u,v](\1 * (u == 0) * (v == 0))"),
        ),
        _slip(
            "pool_spread",
            "The max pool shares each delta among its whole window",
            "winner_ignored",
            ("dx", rf"sum\[u,v\]\((.*) \* {WON}\)", r"sum[u,v](\1 / (U*V))"),
        ),
        _slip(
            "pool_everywhere",
            "Every cell of a window takes its whole delta",
            "winner_ignored",
            ("dx", rf" \* {WON}", ""),
        ),
        _slip(
            "pool_ties",
            "Tied cells each take the whole delta",
            "tie_to_all",
            ("dx", rf"indices({AT}) == h\*K \+ k", r"y\1 == x[n,c,h,k]"),
        ),
        _slip(
            "pool_no_delta",
            "The max pool hands back 1 in place of the delta",
            "dy_ignored",
            ("dx", rf"dy{AT} \* ({WON})", r"\1"),
        ),
        _slip("average_sum", "The average pool does not divide", "sum_not_mean", ("dx", r" / \(U\*V\)", "")),
        _slip(
            "gate_forgotten",
            "ReLU's gate is forgotten on the way back",
            "gate_ignored",
            ("dx", rf"^0 if x({AT}) <= 0 else dy\1$", r"dy\1"),
        ),
        _slip(
            "gate_on_delta",
            "ReLU's gate looks at the delta",
            "gate_on_dy",
            ("dx", rf"^0 if x({AT}) <= 0 else dy\1$", r"0 if dy\1 <= 0 else dy\1"),
        ),
        _slip(
            "mask_forgotten",
            "Dropout's mask is forgotten on the way back",
            "mask_ignored",
            ("dx", rf" \* mask{AT}", ""),
        ),
        _slip(
            "norm_mean",
            "Batch norm takes its mean for a constant",
            "mean_is_constant",
            ("dx", rf" - scale{AT}\*shift{AT}", ""),
        ),
        _slip(
            "norm_spread",
            "Batch norm takes its deviation for a constant",
            "spread_is_constant",
            ("dx", rf" - scale{AT}\*xhat{AT}\*tilt{AT}", ""),
        ),
        _slip(
            "target_forgotten",
            "The first deltas are p in place of p − t",
            "target_left_out",
            ("dx", rf"\(p({AT}) - t\1\)", r"p\1"),
        ),
        _slip(
            "loss_sum",
            "The loss's gradient is a sum over the batch",
            "sum_not_mean",
            ("dx", rf"^(\(p({AT}) - t\2\)) / N$", r"\1"),
        ),
        _slip(
            "loss_twice",
            "The loss's gradient is divided by the batch twice",
            "mean_not_sum",
            ("dx", rf"^(\(p({AT}) - t\2\)) / N$", r"\1 / (N*N)"),
        ),
        _slip("update_sign", "The update goes uphill", "sign", (r"\w+_next", r" - lr\*", " + lr*")),
        _slip("rate_twice", "The learning rate is multiplied in twice", "rate_twice", (r"\w+_next", r" - lr\*", " "
        "- lr*lr*")),
        _slip("momentum_forgotten", "The last move is forgotten", "no_memory", (r"v_next", rf"mu\*v({AT})? \+ ", "")),
        _slip(
            "correction_forgotten",
            "Adam's averages are not corrected",
            "no_correction",
            ("[mv]hat", r" / \(1 - beta\d\*\*step\)", ""),
        ),
    )
}  # fmt: skip


def sentences(slip: Slip) -> list[tuple[str, str, str]]:
    """Every sentence that a slip edits: (op or optimizer, before, after), of each once."""
    found: dict[tuple[str, str], tuple[str, str, str]] = {}
    for kind in OPS.values():
        op = kind(**kind.example_settings)
        shapes = shapes_of(kind.example(np.random.default_rng(0)))
        for before, after in _pairs(slip, program_of(op, shapes)):
            found.setdefault((before, after), (kind.name, before, after))
    for optimizer in OPTIMIZERS.values():
        for before, after in _pairs(slip, optimizer().program("w", 1)):
            found.setdefault((before, after), (optimizer.name, before, after))
    return list(found.values())


def _pairs(slip: Slip, program: Program) -> Iterator[tuple[str, str]]:
    edited = slip.edited(program)
    for name in program.names:
        if edited.expr(name) != program.expr(name):
            yield program.sentence(name), edited.sentence(name)
