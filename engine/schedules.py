"""Learning-rate schedules: the rate of each update as a sentence, from the optimizer's own rate `base`.

`t` counts the updates before this one. Where a schedule has an end, t stays at it: the rate of a run that goes on is
the last one. Settings are counted in updates and named as in PyTorch.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from engine.settings import Choice, Float, Int, Setting, read_settings


class Schedule:
    """`sentences` say `lr` in terms of `base` and of the names in `numbers`; a constant rate needs none."""

    name: ClassVar[str]
    title: ClassVar[str]
    settings: ClassVar[dict[str, Setting]] = {}
    steps: int = 2  # of the run, for a schedule that takes as long

    def __init__(self, /, **settings: Any):
        self.options = read_settings(self.settings, settings)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and (other.options, other.steps) == (self.options, self.steps)

    def __hash__(self) -> int:
        return hash((self.name, *self.options.items()))

    def document(self) -> dict[str, Any]:
        return {"name": self.name, **self.options}

    def over(self, steps: int) -> Schedule:
        """The same in a run of so many updates, all of which it takes where nobody said how long it is to be."""
        changed = copy.copy(self)
        changed.steps = steps
        return changed

    def torch(self, base: float) -> str:
        """PyTorch's schedule of `optimizer`, a step of which is an update; "" for none."""
        return ""

    def sentences(self) -> tuple[str, ...]:
        return ()

    def numbers(self, base: float, step: int) -> dict[str, float]:
        """The numbers that the sentences name at the `step`-th update, counted from 1, and `lr`, what they say."""
        return {"lr": base}


class Constant(Schedule):
    name = "constant"
    title = "Constant"


class StepDown(Schedule):
    """PyTorch's StepLR."""

    name = "step"
    title = "Step"
    settings = {
        "step_size": Int(1000, "updates between two drops"),
        "gamma": Float(0.1, "what the rate is multiplied by at a drop", low=0, high=1e6),
    }

    def torch(self, base: float) -> str:
        return f"StepLR(optimizer, {_arguments(self.options)})"

    def sentences(self) -> tuple[str, ...]:
        return ("lr = base*gamma**drops",)

    def numbers(self, base: float, step: int) -> dict[str, float]:
        drops, gamma = (step - 1) // self.options["step_size"], self.options["gamma"]
        try:
            rate = base * gamma**drops
        except OverflowError:
            rate = math.inf
        return {"lr": rate, "base": base, "gamma": gamma, "drops": drops}


def _arguments(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in settings.items())


def _between(first: str, last: str, done: str, linear: bool) -> str:
    """From one rate to another, as `done` goes from 0 to 1."""
    if linear:
        return f"{first} + ({last} - {first})*{done}"
    return f"{last} + ({first} - {last})*(1 + cos(pi*{done}))/2"


class Cosine(Schedule):
    """Loshchilov and Hutter, 2017, without restarts; PyTorch's CosineAnnealingLR."""

    name = "cosine"
    title = "Cosine"
    settings = {
        "T_max": Int(None, "updates until the lowest rate; default: all of the run", optional=True, high=10**9),
        "eta_min": Float(0.0, "the lowest rate", low=0, high=1e6),
    }

    def torch(self, base: float) -> str:
        return f"CosineAnnealingLR(optimizer, {_arguments({**self.options, 'T_max': self._length})})"

    @property
    def _length(self) -> int:
        return int(self.options["T_max"] or self.steps)

    def sentences(self) -> tuple[str, ...]:
        return (f"lr = {_between('base', 'eta_min', 't/T_max', False)}",)

    def numbers(self, base: float, step: int) -> dict[str, float]:
        last, most = self.options["eta_min"], self._length
        t = min(step - 1, most)
        rate = last + (base - last) * (1 + math.cos(math.pi * (t / most))) / 2
        return {"lr": rate, "base": base, "eta_min": last, "T_max": most, "t": t}


class OneCycle(Schedule):
    """Smith and Topin, 2018; PyTorch's OneCycleLR in two phases, the momentum left as it is."""

    name = "one_cycle"
    title = "One cycle"
    settings = {
        "total_steps": Int(None, "updates of the cycle; default: all of the run", optional=True, low=2, high=10**9),
        "pct_start": Float(0.3, "share of the updates in which the rate rises", low=0, high=1, below=True),
        "anneal_strategy": Choice("cos", "the curve of its way up and down", options=("cos", "linear")),
        "div_factor": Float(25.0, "the first rate is the learning rate divided by this", low=1, high=1e12),
        "final_div_factor": Float(1e4, "the last rate is the first divided by this", low=1, high=1e12),
    }

    def torch(self, base: float) -> str:
        settings = {"max_lr": base, **self.options, "total_steps": self._length, "cycle_momentum": False}
        return f"OneCycleLR(optimizer, {_arguments(settings)})"

    @property
    def _length(self) -> int:
        return max(2, self.options["total_steps"] or self.steps)

    def sentences(self) -> tuple[str, ...]:
        linear = self.options["anneal_strategy"] == "linear"
        rise = _between("first", "base", "t/peak", linear)
        fall = _between("base", "last", "(t - peak)/(total - 1 - peak)", linear)
        return (f"lr = {rise} if t < peak else {fall}",)

    def numbers(self, base: float, step: int) -> dict[str, float]:
        total = self._length
        first = base / self.options["div_factor"]
        last = first / self.options["final_div_factor"]
        peak = max(0.0, self.options["pct_start"] * total - 1)
        t = min(step - 1, total - 1)
        start, end, done = (first, base, t / peak) if t < peak else (base, last, (t - peak) / (total - 1 - peak))
        if self.options["anneal_strategy"] == "linear":
            rate = start + (end - start) * done
        else:
            rate = end + (start - end) * (1 + math.cos(math.pi * done)) / 2
        return {"lr": rate, "base": base, "first": first, "last": last, "peak": peak, "total": total, "t": t}


SCHEDULES: dict[str, type[Schedule]] = {kind.name: kind for kind in (Constant, StepDown, Cosine, OneCycle)}


def schedule_from(document: Mapping[str, Any]) -> Schedule:
    """{"name": "cosine", "eta_min": 0.001, ...} as a schedule; SettingError or KeyError when it is none."""
    return SCHEDULES[document["name"]](**{name: value for name, value in document.items() if name != "name"})
