"""What the engine refuses, as problem documents: the one place that knows both sides' errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.problems import Problem, missing, over_limit
from engine.data import DataError
from engine.formula import FormulaError, TooManyTerms
from engine.layers import NetworkError
from engine.ops.base import ShapeError
from engine.settings import SettingError
from engine.train import HistoryError


@contextmanager
def as_problems(*loc: str | int, status: int = 422) -> Iterator[None]:
    """Turn the engine's refusals into problems; `loc` leads to where in the body they belong."""
    try:
        yield
    except (SettingError, NetworkError) as error:
        where = [*loc, *error.loc]
        raise Problem(status, str(error), kind="invalid", errors=[(where, error.detail)]) from None
    except TooManyTerms as error:
        raise over_limit("explained_elements", error.most, str(error), loc) from None
    except (ShapeError, FormulaError, DataError) as error:
        raise Problem(status, str(error), kind="invalid", errors=[(loc, str(error))]) from None
    except HistoryError as error:
        raise missing(str(error.args[0])) from None
