"""The sentence language: an op is one indexed sentence, and everything else follows from it."""

from engine.formula.nodes import FormulaError
from engine.formula.program import Program
from engine.formula.run import Tensors

__all__ = ["FormulaError", "Program", "Tensors"]
