"""The mistakes that a wrong gradient is told by: one list for checks, exercises, homework and the bug lab.

`engine.diagnose.suspects` makes each of them with an op's own kernels, under these names.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """`applies` says where it can happen, in words."""

    name: str
    sentence: str
    applies: str


ANY = "any gradient"
WINDOWS = "ops whose windows move: convolutions, pools"
WEIGHTED = "ops with weights: convolutions, linear layers"
LOSSES = "losses"

MISTAKES: dict[str, Mistake] = {
    name: Mistake(name, sentence, applies)
    for name, sentence, applies in (
        ("flip", "A tensor is not turned by 180° where it has to be, or is where it must not be.", WINDOWS),
        ("mirrored", "A tensor is turned in one of its two axes only.", WINDOWS),
        ("transposed", "The axes of a tensor stand in another order, as rows in place of columns.", ANY),
        ("reversed", "Images, channels or outputs stand in reverse order.", ANY),
        ("interleaved", "Channels are dealt out to the groups in turn, not in blocks.", "convolutions with groups"),
        ("padding", "The padding is missing, counted twice, or on other sides.", WINDOWS),
        ("zero_padding", "The padding takes part as zeros and may win.", "max pools"),
        ("sum_not_mean", "A sum stands in place of a mean.", ANY),
        ("mean_not_sum", "A mean stands in place of a sum.", ANY),
        ("sign", "Every sign is turned around.", ANY),
        ("scale", "Everything is the same number of times too large.", ANY),
        ("zero", "Some numbers, or all, were never written.", ANY),
        ("overwritten", "One part is kept and the others are not added up: = in place of +=.", ANY),
        ("not_summed", "The gradient has still to be summed over an axis.", ANY),
        ("dy_ignored", "The gradient that flows in is taken as 1.", ANY),
        ("gate_on_dy", "The sign of the delta decides what passes, not the input.", "activations"),
        ("passed_on", "The gradient that flows in is handed on without the op's own slope.", ANY),
        ("own_slope", "Other outputs that change with the same input are left out.", "softmax and norms"),
        ("left_out", "A piece of the sentence is left out.", ANY),
        ("slope_again", "A slope is multiplied in that is there already.", "softmax, sigmoid and their losses"),
        ("double_softmax", "The softmax is applied twice.", LOSSES),
        ("other_loss", "The slope is that of another loss, the squared error.", LOSSES),
        ("unbiased", "The variance is divided by one less than it should be.", "norms"),
        ("axis", "A sum runs along another axis.", "softmax and norms"),
        ("exchanged", "One tensor is read where another belongs.", ANY),
        ("fixed_corner", "The same cell of each window takes its delta, whoever won.", "max pools"),
        ("other_winner", "Another than the largest value of each window takes its delta.", "max pools"),
        ("tie_to_all", "Each of the tied cells takes the whole delta.", "max pools"),
        ("winner_ignored", "Every cell of a window takes its whole delta.", "max pools"),
        ("shape", "The shape is another.", ANY),
        ("rounding", "It is right but for rounding, as 16 or 32 bits round.", ANY),
        ("kink", "It differs at kinks and ties only, where it is as right: no mistake.", "ops with kinks or ties"),
        ("setting", "A setting is another; `looks_like` is then the setting's own name.", "ops with settings"),
    )
}
