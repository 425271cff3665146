"""Arrays as NumPy and PyTorch print them: text that somebody pastes."""

from __future__ import annotations

import re
from typing import Any

from app.problems import Loc, invalid

#: Brackets, numbers and what may stand between them.
TOKEN = re.compile(r"\s*(?:([\[\]])|([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|[-+]?(?:nan|inf)(?:inity)?)|(,))", re.I)
WRAPPED = re.compile(
    r"(?:np\.|torch\.)?(?:array|tensor)\((.*?)(?:,\s*(?:dtype|device|grad_fn|requires_grad)\s*=.*)?\)", re.S
)
#: The digits after the point of a number, and its exponent.
DECIMALS = re.compile(r"\d\.(\d*)(?:e([-+]?\d{1,6}))?", re.I)
#: How deep brackets may be nested.
DEEPEST = 8


def lists(text: str, loc: Loc) -> Any:
    """Nested lists of numbers: ``[[1. 2.]\\n [3. 4.]]``, ``tensor([[1., 2.]])``, or a line for each row. 422 with the
    place where it cannot be read, and where NumPy left numbers out (``...``)."""
    match = WRAPPED.fullmatch(text.strip())
    bare = (match[1] if match else text).strip().replace("\u2212", "-")
    if "..." in bare:
        raise invalid("numbers are left out (...): print with np.set_printoptions(threshold=np.inf)", loc)
    if "[" not in bare:
        rows = [_row(line, loc) for line in bare.splitlines() if line.strip()]
        return rows[0] if len(rows) == 1 else rows
    done: list[Any] = []
    stack = [done]
    for bracket, number in _tokens(bare, loc):
        if bracket == "[":
            stack[-1].append([])
            stack.append(stack[-1][-1])
        elif bracket == "]":
            stack.pop()
        else:
            stack[-1].append(float(number))
        if not 0 < len(stack) <= DEEPEST:
            raise invalid("expected brackets that match, as NumPy prints them", loc)
    if len(stack) != 1 or len(done) != 1:
        raise invalid("expected one array with brackets that match, as NumPy prints it", loc)
    return done[0]


def grain(text: str) -> float:
    """Half a unit of the last place that is printed: how far each number may be off because it was rounded. Where NumPy
    prints exponents the largest unit counts."""
    exact: list[float] = []
    scientific: list[float] = []
    for digits, exponent in DECIMALS.findall(text):
        unit = 10.0 ** (max(-300, min(300, int(exponent or 0))) - len(digits))
        (scientific if exponent else exact).append(unit)
    return 0.5 * (max(scientific) if scientific else min(exact, default=1.0))


def _row(line: str, loc: Loc) -> list[float]:
    return [float(number) for _, number in _tokens(line, loc)]


def _tokens(text: str, loc: Loc) -> list[tuple[str, str]]:
    """(bracket, number) of each token, one of them empty."""
    found, at, text = [], 0, text.rstrip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise invalid(f"expected numbers and brackets, got {text[at : at + 20].strip()!r}", loc)
        if not match[3]:
            found.append((match[1] or "", match[2] or ""))
        at = match.end()
    return found
