"""Optimizers: how a weight moves when its gradient is known. Each update is a sentence too, element by element."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import numpy as np

from engine.formula import Program
from engine.kernels import kernel
from engine.ops.base import Words
from engine.settings import Float, Numbers, Setting, read_settings

Array = np.ndarray

#: An update is no window, so its letters only number the cells; none is also a tensor of an optimizer.
LETTERS = ("o", "c", "i", "j")


@cache
def _program(parameter: str, rank: int, state: tuple[str, ...], sentences: tuple[str, ...]) -> Program:
    at = f"[{','.join(LETTERS[:rank])}]" if rank else ""
    names = [parameter, f"d{parameter}", *state]
    return Program(" ".join(name + at for name in names),
                   "\n".join(s.replace("W", parameter).replace("@", at) for s in sentences))


class Optimizer:
    """`sentences` speaks of W (the parameter), dW (its gradient), W_next and the state's names; ``@`` is the index."""

    name: ClassVar[str]
    title: ClassVar[str]
    settings: ClassVar[dict[str, Setting]]
    state: ClassVar[tuple[str, ...]] = ()
    words: ClassVar[dict[str, Words]] = {}

    def __init__(self, /, **settings: Any):
        self.options = read_settings(self.settings, settings)

    def with_rate(self, learning_rate: float) -> Optimizer:
        return type(self)(**{**self.options, "learning_rate": learning_rate})

    def sentences(self) -> tuple[str, ...]:
        raise NotImplementedError

    def program(self, parameter: str, rank: int) -> Program:
        """The update of one parameter with so many axes."""
        return _program(parameter, rank, self.state, self.sentences())

    def numbers(self, step: int) -> dict[str, float]:
        """The numbers that the sentences name at the `step`-th update, counted from 1."""
        return {"lr": self.options["learning_rate"], "decay": self.options["weight_decay"]}

    def start(self, w: Array) -> dict[str, Array]:
        return {name: np.zeros_like(w) for name in self.state}

    def update(self, w: Array, dw: Array, state: Mapping[str, Array], step: int) -> tuple[Array, dict[str, Array]]:
        """New arrays for w and every state; nothing that is given is changed."""
        raise NotImplementedError

    def _gradient(self) -> tuple[str, tuple[str, ...]]:
        """The gradient's name, and the sentence that adds weight decay when there is any."""
        return ("g@", ("g@ = dW@ + decay*W@",)) if self.options["weight_decay"] else ("dW@", ())


RATE = Float(1e-3, "how far a weight moves against its gradient", low=0, high=1e6)
DECAY = Float(0.0, "pulls every weight towards zero", low=0, high=1e6)


@kernel
def sgd_update(w, dw, w_next, lr, decay):  # type: ignore[no-untyped-def]
    for i in range(w.size):
        w_next[i] = w[i] - lr * (dw[i] + decay * w[i])


class Sgd(Optimizer):
    name = "sgd"
    title = "Gradient descent"
    settings = {"learning_rate": RATE, "weight_decay": DECAY}
    words = {"next": Words("every weight takes one step against its gradient",
                           "The gradient points uphill, so the weight goes the other way, by the learning rate.")}

    def sentences(self) -> tuple[str, ...]:
        g, first = self._gradient()
        return (*first, f"W_next@ = W@ - lr*{g}")

    def update(self, w: Array, dw: Array, state: Mapping[str, Array], step: int) -> tuple[Array, dict[str, Array]]:
        w_next = np.empty_like(w)
        sgd_update(w.reshape(-1), dw.reshape(-1), w_next.reshape(-1), self.options["learning_rate"],
                   self.options["weight_decay"])
        return w_next, {}


@kernel
def momentum_update(w, dw, v, w_next, v_next, lr, decay, mu, damp):  # type: ignore[no-untyped-def]
    for i in range(w.size):
        velocity = mu * v[i] + (1 - damp) * (dw[i] + decay * w[i])
        v_next[i] = velocity
        w_next[i] = w[i] - lr * v_next[i]


class Momentum(Optimizer):
    """PyTorch's SGD with momentum: the velocity starts as the first gradient, undamped."""

    name = "momentum"
    title = "Momentum"
    settings = {"learning_rate": RATE, "momentum": Float(0.9, "share of the velocity that is kept", low=0, high=1),
                "dampening": Float(0.0, "share of the gradient that is left out", low=0, high=1), "weight_decay": DECAY}
    state = ("v",)
    words = {"next": Words("every weight rolls on, and its gradient steers it",
                           "The velocity keeps most of its last value and takes in the gradient; the weight follows.")}

    def sentences(self) -> tuple[str, ...]:
        g, first = self._gradient()
        taken = f"(1 - damp)*{g}" if self.options["dampening"] else g
        return (*first, f"v_next@ = mu*v@ + {taken}", "W_next@ = W@ - lr*v_next@")

    def numbers(self, step: int) -> dict[str, float]:
        damp = self.options["dampening"] if step > 1 else 0.0
        return {**super().numbers(step), "mu": self.options["momentum"], "damp": damp}

    def update(self, w: Array, dw: Array, state: Mapping[str, Array], step: int) -> tuple[Array, dict[str, Array]]:
        n = self.numbers(step)
        w_next, v_next = np.empty_like(w), np.empty_like(w)
        momentum_update(w.reshape(-1), dw.reshape(-1), state["v"].reshape(-1), w_next.reshape(-1), v_next.reshape(-1),
                        n["lr"], n["decay"], n["mu"], n["damp"])
        return w_next, {"v": v_next}


@kernel
def adam_moments(w, dw, m, v, m_next, v_next, decay, beta1, beta2):  # type: ignore[no-untyped-def]
    for i in range(w.size):
        g = dw[i] + decay * w[i]
        m_next[i] = beta1 * m[i] + (1 - beta1) * g
        v_next[i] = beta2 * v[i] + (1 - beta2) * g * g


@kernel
def adam_update(w, m_next, v_next, w_next, lr, rest1, rest2, eps):  # type: ignore[no-untyped-def]
    for i in range(w.size):
        w_next[i] = w[i] - lr * (m_next[i] / rest1) / (np.sqrt(v_next[i] / rest2) + eps)


class Adam(Optimizer):
    """Kingma and Ba, 2015, algorithm 1."""

    name = "adam"
    title = "Adam"
    settings = {"learning_rate": RATE, "betas": Numbers((0.9, 0.999), "shares of the two running means that are kept"),
                "eps": Float(1e-8, "keeps the divisor from zero", low=0, high=1), "weight_decay": DECAY}
    state = ("m", "v")
    words = {"next": Words("every weight takes a step of about the same size",
                           "The mean of its gradients, over the root of the mean of their squares: the size of the "
                           "gradient falls out, its direction stays.")}

    def sentences(self) -> tuple[str, ...]:
        g, first = self._gradient()
        return (*first, f"m_next@ = beta1*m@ + (1 - beta1)*{g}", f"v_next@ = beta2*v@ + (1 - beta2)*{g}**2",
                "mhat@ = m_next@ / (1 - beta1**step)", "vhat@ = v_next@ / (1 - beta2**step)",
                "W_next@ = W@ - lr*mhat@ / (sqrt(vhat@) + eps)")

    def numbers(self, step: int) -> dict[str, float]:
        beta1, beta2 = self.options["betas"]
        return {**super().numbers(step), "beta1": beta1, "beta2": beta2, "eps": self.options["eps"], "step": step}

    def update(self, w: Array, dw: Array, state: Mapping[str, Array], step: int) -> tuple[Array, dict[str, Array]]:
        n = self.numbers(step)
        w_next, m_next, v_next = np.empty_like(w), np.empty_like(w), np.empty_like(w)
        adam_moments(w.reshape(-1), dw.reshape(-1), state["m"].reshape(-1), state["v"].reshape(-1),
                     m_next.reshape(-1), v_next.reshape(-1), n["decay"], n["beta1"], n["beta2"])
        adam_update(w.reshape(-1), m_next.reshape(-1), v_next.reshape(-1), w_next.reshape(-1), n["lr"],
                    1 - n["beta1"]**step, 1 - n["beta2"]**step, n["eps"])
        return w_next, {"m": m_next, "v": v_next}


OPTIMIZERS: dict[str, type[Optimizer]] = {kind.name: kind for kind in (Sgd, Momentum, Adam)}
