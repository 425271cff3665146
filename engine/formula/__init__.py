"""The sentence language: an op is one indexed sentence, and everything else follows from it.

    program = Program("x[n,c] w[o,c] b[o]", "y[n,o] = sum[c](x[n,c] * w[o,c]) + b[o]")
    program.gradients(("x", "w", "b")).sentence("dw")         # dw[o,c] = sum[n](dy[n,o] * x[n,c])
    tensors = Tensors(program, {"x": x, "w": w, "b": b}, {})
    tensors["y"]                                              # evaluated, slowly, in float64
    explain(tensors, "y", (0, 2)).terms                       # the products behind one number

Sentences come from this repository, never from a client: the grammar allows numbers of any size.
"""

from engine.formula.ablate import ablations
from engine.formula.evaluate import Tensors
from engine.formula.explain import explain
from engine.formula.explanation import Explanation, Group, Part, Read, Term
from engine.formula.mathml import Equation
from engine.formula.nodes import FormulaError, TooManyTerms
from engine.formula.program import Program
from engine.formula.windows import Axis, Scatter, Window

__all__ = [
    "Axis",
    "Equation",
    "Explanation",
    "FormulaError",
    "Group",
    "Part",
    "Program",
    "Read",
    "Scatter",
    "Tensors",
    "Term",
    "TooManyTerms",
    "Window",
    "ablations",
    "explain",
]
