"""The mistakes that a wrong gradient is told by: one list for checks, exercises, homework and the bug lab.

`engine.diagnose` makes each of them with an op's own kernels, under these names.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """`applies` says where it can happen, in words; `feedback` helps whoever made it without giving the answer."""

    name: str
    sentence: str
    applies: str
    feedback: str


ANY = "any gradient"
WINDOWS = "ops whose windows move: convolutions, pools"
WEIGHTED = "ops with weights: convolutions, linear layers"
LOSSES = "losses"
UPDATES = "optimizers"

MISTAKES: dict[str, Mistake] = {
    name: Mistake(name, sentence, applies, feedback)
    for name, sentence, applies, feedback in (
        (
            "flip",
            "A tensor is not turned by 180° where it has to be, or is where it must not be.",
            WINDOWS,
            "Ask each output which weight touched this pixel.",
        ),
        (
            "mirrored",
            "A tensor is turned in one of its two axes only.",
            WINDOWS,
            "Rows or columns are turned, not both. Follow one corner of the kernel.",
        ),
        (
            "transposed",
            "The axes of a tensor stand in another order, as rows in place of columns.",
            ANY,
            "Row first, then column: which of the two does each index count?",
        ),
        (
            "reversed",
            "Images, channels or outputs stand in reverse order.",
            ANY,
            "Which image, channel or output does each number belong to?",
        ),
        (
            "interleaved",
            "Channels are dealt out to the groups in turn, not in blocks.",
            "convolutions with groups",
            "A group holds neighbouring channels. Which ones are in the first?",
        ),
        (
            "padding",
            "The padding is missing, counted twice, or on other sides.",
            WINDOWS,
            "At the rim some cells do not exist. What stands for them, and on which sides?",
        ),
        (
            "zero_padding",
            "The padding takes part as zeros and may win.",
            "max pools",
            "Can a cell that does not exist win a maximum?",
        ),
        ("sum_not_mean", "A sum stands in place of a mean.", ANY, "How many share this sum?"),
        ("mean_not_sum", "A mean stands in place of a sum.", ANY, "Does anything divide here?"),
        ("sign", "Every sign is turned around.", ANY, "If this number rises, does the loss rise or fall?"),
        (
            "scale",
            "Everything is the same number of times too large.",
            ANY,
            "Which constant is counted once too often?",
        ),
        ("zero", "Some numbers, or all, were never written.", ANY, "Was every number written?"),
        (
            "overwritten",
            "One part is kept and the others are not added up: = in place of +=.",
            ANY,
            "Who else adds to this number?",
        ),
        (
            "not_summed",
            "The gradient has still to be summed over an axis.",
            ANY,
            "Over which axis is a sum still missing?",
        ),
        (
            "dy_ignored",
            "The gradient that flows in is taken as 1.",
            ANY,
            "What flowed in from above? It is not 1 everywhere.",
        ),
        (
            "gate_on_dy",
            "The sign of the delta decides what passes, not the input.",
            "activations",
            "The gate was set on the way forward. Which number set it?",
        ),
        (
            "passed_on",
            "The gradient that flows in is handed on without the op's own slope.",
            ANY,
            "What does the op itself do to a small change?",
        ),
        (
            "own_slope",
            "Other outputs that change with the same input are left out.",
            "softmax and norms",
            "Which other outputs change with this input?",
        ),
        (
            "left_out",
            "A piece of the sentence is left out.",
            ANY,
            "Read the sentence once more: which piece has not spoken yet?",
        ),
        (
            "slope_again",
            "A slope is multiplied in that is there already.",
            "softmax, sigmoid and their losses",
            "Is this slope in the loss already?",
        ),
        ("double_softmax", "The softmax is applied twice.", LOSSES, "How often does the loss itself take a softmax?"),
        ("other_loss", "The slope is that of another loss, the squared error.", LOSSES, "Which loss is asked for?"),
        (
            "unbiased",
            "The variance is divided by one less than it should be.",
            "norms",
            "By how many is the variance divided in training?",
        ),
        ("axis", "A sum runs along another axis.", "softmax and norms", "Along which axis do the shares add up to 1?"),
        ("exchanged", "One tensor is read where another belongs.", ANY, "Which tensor belongs in this place?"),
        (
            "fixed_corner",
            "The same cell of each window takes its delta, whoever won.",
            "max pools",
            "Does the same cell win in every window?",
        ),
        (
            "other_winner",
            "Another than the largest value of each window takes its delta.",
            "max pools",
            "Which value went forward?",
        ),
        (
            "tie_to_all",
            "Each of the tied cells takes the whole delta.",
            "max pools",
            "A maximum hands on one value. Who takes it in a tie?",
        ),
        (
            "winner_ignored",
            "Every cell of a window takes its whole delta.",
            "max pools",
            "Did every cell of the window go forward?",
        ),
        ("shape", "The shape is another.", ANY, "Which shape does the tensor have that this is the gradient of?"),
        (
            "rounding",
            "It is right but for rounding, as 16 or 32 bits round.",
            ANY,
            "How many digits does the type keep?",
        ),
        (
            "kink",
            "It differs at kinks and ties only, where it is as right: no mistake.",
            "ops with kinks or ties",
            "The slopes to the two sides differ here.",
        ),
        ("no_bias", "The bias is left out.", WEIGHTED, "One term does not depend on the input."),
        ("bias_per_channel", "The bias is added once for each channel.", WEIGHTED, "How many biases has one kernel?"),
        ("place_swapped", "Rows are taken for columns.", ANY, "Row first, then column, both counted from 0."),
        ("stride", "The stride is another, most often 1.", WINDOWS, "Where does the next window begin?"),
        ("one_product", "One product stands for the whole sum.", ANY, "Who else reads this number?"),
        ("channels_not_summed", "One channel stands for all.", WEIGHTED, "How many maps touch this cell?"),
        ("gate_ignored", "What the gate stops is passed on.", "activations", "What did the op write here?"),
        ("constant_lost", "A constant factor is lost.", ANY, "Differentiate the square once more."),
        ("target_left_out", "The share p stands for p - t.", LOSSES, "What is true has not spoken yet."),
        ("rate_twice", "The learning rate is multiplied in twice.", UPDATES, "What has the rate as a factor already?"),
        ("no_memory", "The optimizer's state is left out.", UPDATES, "What is kept from the last step?"),
        (
            "no_correction",
            "The bias correction is left out.",
            "Adam",
            "The averages start at zero. What makes up for it?",
        ),
        ("mean_is_constant", "The mean is taken for a constant.", "norms", "Does the mean move when this input moves?"),
        ("spread_is_constant", "The deviation is taken for a constant.", "norms", "Does the deviation move with x?"),
        ("mask_ignored", "The mask is left out.", "dropout", "Was this number dropped?"),
        ("not_rescaled", "What is kept is not scaled.", "dropout", "Is the expected value the same as without it?"),
        ("off_by_one", "It is one too many, or one too few.", "sizes and places", "Count the first and the last."),
        ("layout", "The axes are counted in another layout.", "flat memory", "Which axis runs fastest?"),
        ("other_way", "The shift runs the other way.", "shifts", "Where was this pixel before it moved?"),
        ("not_moved", "The output stays where it was.", "shifts", "The input moved. What does the output do?"),
        ("too_small", "The step is so small that rounding shows.", "gradient checks", "How many digits are left?"),
        (
            "too_large",
            "The step is so large that the curve shows.",
            "gradient checks",
            "Is the loss a line over so far?",
        ),
        ("over_budget", "The model has more numbers than allowed.", "sizes", "Count every weight and every bias."),
        (
            "loss_is_proof",
            "A falling loss is taken for a right gradient.",
            "training",
            "Can a wrong slope still lead down?",
        ),
        (
            "setting",
            "A setting is another; `looks_like` is then the setting's own name.",
            "ops with settings",
            "Compare your settings with those that are given.",
        ),
    )
}
