"""Optimizers: how a weight moves when its gradient is known. Each update is a sentence too, element by element."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import numpy as np

from engine.formula import Program
from engine.kernels import flush_denormals, kernel, restore
from engine.ops.base import Words
from engine.settings import Bool, Float, Numbers, Setting, read_settings

Array = np.ndarray
State = Mapping[str, Array]

#: An update is no window, so its letters only number the cells; none is also a tensor of an optimizer.
LETTERS = ("o", "c", "i", "j")


@cache
def _program(parameter: str, rank: int, state: tuple[str, ...], sentences: tuple[str, ...]) -> Program:
    at = f"[{','.join(LETTERS[:rank])}]" if rank else ""
    names = [parameter, f"d{parameter}", *state]
    return Program(
        " ".join(name + at for name in names), "\n".join(s.replace("W", parameter).replace("@", at) for s in sentences)
    )


class Optimizer:
    """`sentences` speaks of W (the parameter), dW (its gradient), W_next and the state's names; ``@`` is the index."""

    name: ClassVar[str]
    title: ClassVar[str]
    settings: ClassVar[dict[str, Setting]]
    state: tuple[str, ...] = ()  # what is kept from one update to the next; some settings need more or less of it
    words: ClassVar[dict[str, Words]] = {}
    nouns: ClassVar[dict[str, str]] = {}  # what its letters are called

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

    def update(self, w: Array, dw: Array, state: State, step: int) -> tuple[Array, dict[str, Array]]:
        """New arrays for w and every state; nothing that is given is changed."""
        w_next, *left = (np.empty(w.shape, w.dtype) for _ in ("w", *self.state))
        after = dict(zip(self.state, left, strict=True))
        self.move(w.reshape(-1), dw.reshape(-1), _flat(state), step, w_next.reshape(-1), _flat(after))
        return w_next, after

    def move(self, w: Array, dw: Array, state: State, step: int, w_next: Array, after: State) -> None:
        """The same for vectors, into w_next and the vectors of `after`."""
        raise NotImplementedError

    def _gradient(self) -> tuple[str, tuple[str, ...]]:
        """The gradient's name, and the sentence that adds weight decay when there is any."""
        return ("g@", ("g@ = dW@ + decay*W@",)) if self.options["weight_decay"] else ("dW@", ())


def _rate(default: float, example: float) -> Float:
    """PyTorch's default, and a rate that suits small networks and minibatches of a few dozen images."""
    return Float(default, "how far a weight moves against its gradient", low=0, high=1e6, example=example)


#: Weights that Adam moves at once.
BLOCK = 1024
DECAY = Float(0.0, "pulls every weight towards zero", low=0, high=1e6)
MOMENTUM = Float(0.9, "share of the velocity that is kept", low=0, high=1)


def _eps(default: float) -> Float:
    return Float(default, "keeps the divisor from zero", low=0, high=1)


def _flat(arrays: State) -> dict[str, Array]:
    return {name: array.reshape(-1) for name, array in arrays.items()}


@kernel
def sgd_update(w, dw, w_next, lr, decay):  # type: ignore[no-untyped-def]
    for i in range(w.size):
        w_next[i] = w[i] - lr * (dw[i] + decay * w[i])


class Sgd(Optimizer):
    name = "sgd"
    title = "Gradient descent"
    settings = {
        "learning_rate": _rate(1e-3, 0.1),
        "weight_decay": DECAY,
        "dampening": Float(0.0, "without momentum of no effect, as in PyTorch", low=0, high=1),
    }
    words = {
        "next": Words(
            "every weight takes one step against its gradient",
            "The gradient points uphill, so the weight goes the other way, by the learning rate.",
        )
    }

    def sentences(self) -> tuple[str, ...]:
        g, first = self._gradient()
        return (*first, f"W_next@ = W@ - lr*{g}")

    def move(self, w: Array, dw: Array, state: State, step: int, w_next: Array, after: State) -> None:
        n = self.numbers(step)
        sgd_update(w, dw, w_next, n["lr"], n["decay"])


@kernel
def momentum_update(w, dw, v, w_next, v_next, lr, decay, mu, damp):  # type: ignore[no-untyped-def]
    mode = flush_denormals()
    for i in range(w.size):
        v_next[i] = mu * v[i] + (1 - damp) * (dw[i] + decay * w[i])
        w_next[i] = w[i] - lr * v_next[i]
    restore(mode)


class Momentum(Optimizer):
    """PyTorch's SGD with momentum: the velocity starts as the first gradient, undamped."""

    name = "momentum"
    title = "Momentum"
    nouns = {"v": "velocity"}
    settings = {
        "learning_rate": _rate(1e-3, 0.03),
        "momentum": MOMENTUM,
        "dampening": Float(0.0, "share of the gradient that is left out", low=0, high=1),
        "weight_decay": DECAY,
    }
    state = ("v",)
    words = {
        "next": Words(
            "every weight rolls on, and its gradient steers it",
            "The velocity keeps most of its last value and takes in the gradient; the weight follows.",
        )
    }

    def sentences(self) -> tuple[str, ...]:
        g, first = self._gradient()
        taken = f"(1 - damp)*{g}" if self.options["dampening"] else g
        return (*first, f"v_next@ = mu*v@ + {taken}", "W_next@ = W@ - lr*v_next@")

    def numbers(self, step: int) -> dict[str, float]:
        damp = self.options["dampening"] if step > 1 else 0.0
        return {**super().numbers(step), "mu": self.options["momentum"], "damp": damp}

    def move(self, w: Array, dw: Array, state: State, step: int, w_next: Array, after: State) -> None:
        n = self.numbers(step)
        momentum_update(w, dw, state["v"], w_next, after["v"], n["lr"], n["decay"], n["mu"], n["damp"])


@kernel
def nesterov_update(w, dw, v, w_next, v_next, lr, decay, mu):  # type: ignore[no-untyped-def]
    mode = flush_denormals()
    for i in range(w.size):
        g = dw[i] + decay * w[i]
        v_next[i] = mu * v[i] + g
        w_next[i] = w[i] - lr * (g + mu * v_next[i])
    restore(mode)


class Nesterov(Optimizer):
    """Sutskever et al., 2013, in PyTorch's form: the weight looks one step of the velocity ahead."""

    name = "nesterov"
    title = "Nesterov momentum"
    nouns = {"v": "velocity"}
    settings = {"learning_rate": _rate(1e-3, 0.03), "momentum": MOMENTUM, "weight_decay": DECAY}
    state = ("v",)
    words = {
        "next": Words(
            "every weight rolls on, and looks one step ahead",
            "The gradient steers the velocity, and the weight already goes where that will carry it.",
        )
    }

    def sentences(self) -> tuple[str, ...]:
        g, first = self._gradient()
        return (*first, f"v_next@ = mu*v@ + {g}", f"W_next@ = W@ - lr*({g} + mu*v_next@)")

    def numbers(self, step: int) -> dict[str, float]:
        return {**super().numbers(step), "mu": self.options["momentum"]}

    def move(self, w: Array, dw: Array, state: State, step: int, w_next: Array, after: State) -> None:
        n = self.numbers(step)
        nesterov_update(w, dw, state["v"], w_next, after["v"], n["lr"], n["decay"], n["mu"])


@kernel
def adam_update(w, dw, m, v, w_next, m_next, v_next, rate, decay, keep, mean, square, grow, eps):  # type: ignore
    """mean and square: what of m and of v is kept, and what of the gradient joins it; rate and grow: the learning rate
    and 1, each over how much of a mean it is by now. All are numbers of the weights' own dtype, as one of another would
    take the loop with it.

    In blocks that stay in the cache, since a loop that writes three arrays is not vectorised.
    """
    mode = flush_denormals()
    for first in range(0, w.size, BLOCK):
        here = slice(first, first + BLOCK)
        w_here, dw_here, m_here, v_here = w[here], dw[here], m[here], v[here]
        w_left, m_left, v_left = w_next[here], m_next[here], v_next[here]
        for i in range(w_here.size):
            g = dw_here[i] + decay * w_here[i]
            m_left[i] = mean[0] * m_here[i] + mean[1] * g
            v_left[i] = square[0] * v_here[i] + square[1] * g * g
        for i in range(w_here.size):
            w_left[i] = keep * w_here[i] - rate * m_left[i] / (np.sqrt(grow * v_left[i]) + eps)
    restore(mode)


class Adam(Optimizer):
    """Kingma and Ba, 2015, algorithm 1."""

    name = "adam"
    title = "Adam"
    nouns = {
        "m": "mean gradient",
        "v": "mean squared gradient",
        "mhat": "corrected mean gradient",
        "vhat": "corrected mean squared gradient",
    }
    settings = {
        "learning_rate": _rate(1e-3, 1e-3),
        "betas": Numbers((0.9, 0.999), "shares of the two running means that are kept"),
        "eps": _eps(1e-8),
        "weight_decay": DECAY,
    }
    state = ("m", "v")
    words = {
        "next": Words(
            "every weight takes a step of about the same size",
            "The mean of its gradients, over the root of the mean of their squares: the size of the "
            "gradient falls out, its direction stays.",
        )
    }

    def sentences(self) -> tuple[str, ...]:
        g, first = self._gradient()
        return (*first, *self._moments(g), "W_next@ = W@ - lr*mhat@ / (sqrt(vhat@) + eps)")

    def _moments(self, g: str) -> tuple[str, ...]:
        return (
            f"m_next@ = beta1*m@ + (1 - beta1)*{g}",
            f"v_next@ = beta2*v@ + (1 - beta2)*{g}**2",
            "mhat@ = m_next@ / (1 - beta1**step)",
            "vhat@ = v_next@ / (1 - beta2**step)",
        )

    def numbers(self, step: int) -> dict[str, float]:
        beta1, beta2 = self.options["betas"]
        return {**super().numbers(step), "beta1": beta1, "beta2": beta2, "eps": self.options["eps"], "step": step}

    def _decays(self) -> tuple[float, float]:
        """What of a weight joins its gradient, and what of it is kept."""
        return self.options["weight_decay"], 1.0

    def move(self, w: Array, dw: Array, state: State, step: int, w_next: Array, after: State) -> None:
        n = self.numbers(step)
        joins, keep = self._decays()
        number = w.dtype.type  # float32 is updated in float32: division and root take half the time
        betas = (n["beta1"], n["beta2"])
        mean, square = ((number(beta), number(1 - beta)) for beta in betas)
        rate, grow = (number(full / (1 - beta**step)) for full, beta in zip((n["lr"], 1), betas, strict=True))
        adam_update(
            w,
            dw,
            state["m"],
            state["v"],
            w_next,
            after["m"],
            after["v"],
            rate,
            number(joins),
            number(keep),
            mean,
            square,
            grow,
            number(n["eps"]),
        )


class AdamW(Adam):
    """Loshchilov and Hutter, 2019: the decay pulls at the weight itself, past the means."""

    name = "adamw"
    title = "AdamW"
    settings = {**Adam.settings, "weight_decay": Float(0.01, DECAY.description, low=0, high=1e6)}

    def sentences(self) -> tuple[str, ...]:
        kept = "(1 - lr*decay)*W@" if self.options["weight_decay"] else "W@"
        return (*self._moments("dW@"), f"W_next@ = {kept} - lr*mhat@ / (sqrt(vhat@) + eps)")

    def _decays(self) -> tuple[float, float]:
        return 0.0, 1 - self.options["learning_rate"] * self.options["weight_decay"]


@kernel
def rmsprop_update(  # type: ignore[no-untyped-def]
    w,
    dw,
    v,
    m,
    u,
    w_next,
    v_next,
    m_next,
    u_next,
    lr,
    decay,
    alpha,
    eps,
    mu,
    centered,
):
    """m and m_next are untouched unless `centered`, u and u_next unless mu is above 0."""
    mode = flush_denormals()
    for i in range(w.size):
        g = dw[i] + decay * w[i]
        v_next[i] = alpha * v[i] + (1 - alpha) * g * g
        spread = np.float64(v_next[i])
        if centered:
            m_next[i] = alpha * m[i] + (1 - alpha) * g
            square = np.float64(m_next[i]) * np.float64(m_next[i])
            spread = spread - square if spread > square else np.float64(0)
        move = g / (np.sqrt(spread) + eps)
        if mu > 0:
            u_next[i] = mu * u[i] + move
            move = np.float64(u_next[i])
        w_next[i] = w[i] - lr * move
    restore(mode)


class RmsProp(Optimizer):
    """Tieleman and Hinton, 2012; centered as Graves, 2013. Where rounding takes the spread below 0 it counts as 0."""

    name = "rmsprop"
    title = "RMSprop"
    nouns = {"v": "mean squared gradient", "m": "mean gradient", "u": "velocity"}
    settings = {
        "learning_rate": _rate(1e-2, 1e-3),
        "alpha": Float(0.99, "share of the running means that is kept", low=0, high=1),
        "eps": _eps(1e-8),
        "momentum": Float(0.0, MOMENTUM.description, low=0, high=1),
        "centered": Bool(False, "divide by the spread of the gradients about their mean"),
        "weight_decay": DECAY,
    }
    state: tuple[str, ...] = ("v", "m", "u")
    words = {
        "next": Words(
            "every weight takes a step of about the same size",
            "Its gradient, over the root of the mean of the squares: where gradients are large the steps become small.",
        )
    }

    def __init__(self, /, **settings: Any):
        super().__init__(**settings)
        needed = {"v": True, "m": self.options["centered"], "u": self.options["momentum"] > 0}
        self.state = tuple(name for name in needed if needed[name])

    def sentences(self) -> tuple[str, ...]:
        g, said = self._gradient()
        said = (*said, f"v_next@ = alpha*v@ + (1 - alpha)*{g}**2")
        square = "v_next@"
        if "m" in self.state:
            said = (
                *said,
                f"m_next@ = alpha*m@ + (1 - alpha)*{g}",
                "spread@ = v_next@ - m_next@**2 if v_next@ > m_next@**2 else 0",
            )
            square = "spread@"
        move = f"{g} / (sqrt({square}) + eps)"
        if "u" in self.state:
            return (*said, f"u_next@ = mu*u@ + {move}", "W_next@ = W@ - lr*u_next@")
        return (*said, f"W_next@ = W@ - lr*{move}")

    def numbers(self, step: int) -> dict[str, float]:
        return {
            **super().numbers(step),
            "alpha": self.options["alpha"],
            "eps": self.options["eps"],
            "mu": self.options["momentum"],
        }

    def move(self, w: Array, dw: Array, state: State, step: int, w_next: Array, after: State) -> None:
        n = self.numbers(step)
        before, behind = ([arrays.get(name, arrays["v"]) for name in ("v", "m", "u")] for arrays in (state, after))
        rmsprop_update(
            w,
            dw,
            *before,
            w_next,
            *behind,
            n["lr"],
            n["decay"],
            n["alpha"],
            n["eps"],
            n["mu"],
            self.options["centered"],
        )


@kernel
def adagrad_update(w, dw, v, w_next, v_next, rate, decay, eps):  # type: ignore[no-untyped-def]
    for i in range(w.size):
        g = dw[i] + decay * w[i]
        v_next[i] = v[i] + g * g
        w_next[i] = w[i] - rate * g / (np.sqrt(np.float64(v_next[i])) + eps)


class Adagrad(Optimizer):
    """Duchi et al., 2011."""

    name = "adagrad"
    title = "Adagrad"
    nouns = {"v": "sum of squared gradients"}
    settings = {
        "learning_rate": _rate(1e-2, 1e-2),
        "lr_decay": Float(0.0, "makes the learning rate smaller at every step", low=0, high=1e6),
        "initial_accumulator_value": Float(0.0, "the sum of squares before the first step", low=0, high=1e6),
        "eps": _eps(1e-10),
        "weight_decay": DECAY,
    }
    state = ("v",)
    words = {
        "next": Words(
            "every weight takes steps that become smaller",
            "Its gradient, over the root of the sum of all the squares so far.",
        )
    }

    def sentences(self) -> tuple[str, ...]:
        g, first = self._gradient()
        rate = "lr / (1 + (step - 1)*fade)" if self.options["lr_decay"] else "lr"
        return (*first, f"v_next@ = v@ + {g}**2", f"W_next@ = W@ - {rate} * {g} / (sqrt(v_next@) + eps)")

    def numbers(self, step: int) -> dict[str, float]:
        return {**super().numbers(step), "fade": self.options["lr_decay"], "eps": self.options["eps"], "step": step}

    def start(self, w: Array) -> dict[str, Array]:
        return {"v": np.full_like(w, self.options["initial_accumulator_value"])}

    def move(self, w: Array, dw: Array, state: State, step: int, w_next: Array, after: State) -> None:
        n = self.numbers(step)
        adagrad_update(
            w, dw, state["v"], w_next, after["v"], n["lr"] / (1 + (step - 1) * n["fade"]), n["decay"], n["eps"]
        )


OPTIMIZERS: dict[str, type[Optimizer]] = {
    kind.name: kind for kind in (Sgd, Momentum, Nesterov, Adam, AdamW, RmsProp, Adagrad)
}
