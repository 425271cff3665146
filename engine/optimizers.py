"""Optimizers: how a weight moves when its gradient is known. Each update is a sentence too, element by element."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, ClassVar

import numpy as np

from engine.formula import Program
from engine.kernels import flush_denormals, kernel, restore
from engine.ops.base import Words
from engine.schedules import Constant, Schedule, schedule_from
from engine.settings import Bool, Float, Numbers, Setting, read_settings

Array = np.ndarray
State = Mapping[str, Array]

#: The norm of all gradients together, before they are clipped.
NORM = "norm"

#: What a run adds to an update, the same for every parameter.
RULES = {"lr": "learning rate of this step", NORM: "norm of all gradients", "factor": "factor that clips the gradients"}

#: An update is no window, so its letters only number the cells; none is also a tensor of an optimizer.
LETTERS = ("o", "c", "i", "j")


@cache
def _program(
    parameter: str, rank: int, state: tuple[str, ...], whole: tuple[str, ...], sentences: tuple[str, ...]
) -> Program:
    at = f"[{','.join(LETTERS[:rank])}]" if rank else ""
    names = [parameter, f"d{parameter}", *state]
    return Program(
        " ".join((*(name + at for name in names), *whole)),
        "\n".join(s.replace("W", parameter).replace("@", at) for s in sentences),
    )


class Optimizer:
    """`sentences` speaks of W (the parameter), dW (its gradient), W_next and the state's names; ``@`` is the index.

    A run puts it under a schedule of its rate `lr`, and under `max_norm`, the largest norm of all gradients together
    (torch.nn.utils.clip_grad_norm_): `rules` say both.
    """

    name: ClassVar[str]
    torch: ClassVar[str]  # its class in torch.optim
    title: ClassVar[str]
    settings: ClassVar[dict[str, Setting]]
    state: tuple[str, ...] = ()  # what is kept from one update to the next; some settings need more or less of it
    words: ClassVar[dict[str, Words]] = {}
    nouns: ClassVar[dict[str, str]] = {}  # what its letters are called
    schedule: Schedule = Constant()
    max_norm: float | None = None

    def __init__(self, /, **settings: Any):
        self.options = read_settings(self.settings, settings)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Optimizer) and other.document() == self.document()

    def __hash__(self) -> int:
        return hash((self.name, *self.options.items(), self.schedule, self.max_norm))

    def document(self) -> dict[str, Any]:
        """Name and settings, as `optimizer_from` reads them; what a run adds only where it adds something."""
        added: dict[str, Any] = {} if isinstance(self.schedule, Constant) else {"schedule": self.schedule.document()}
        added |= {} if self.max_norm is None else {"max_norm": self.max_norm}
        return {"name": self.name, **self.options, **added}

    def with_rate(self, learning_rate: float) -> Optimizer:
        changed = copy.copy(self)
        changed.options = read_settings(self.settings, {**self.options, "learning_rate": learning_rate})
        return changed

    def under(self, schedule: Schedule, max_norm: float | None = None) -> Optimizer:
        """The same optimizer with a rate that follows `schedule`, its gradients clipped to `max_norm`."""
        changed = copy.copy(self)
        changed.schedule, changed.max_norm = schedule, max_norm
        return changed

    def torch_settings(self) -> dict[str, Any]:
        """Its settings as PyTorch names them."""
        rest = {name: value for name, value in self.options.items() if name != "learning_rate"}
        return {"lr": self.options["learning_rate"], **rest}

    def over(self, steps: int) -> Optimizer:
        """The same in a run of so many updates."""
        return self.under(self.schedule.over(steps), self.max_norm)

    @property
    def whole(self) -> tuple[str, ...]:
        """What its sentences read that belongs to all parameters together: NORM where they are clipped."""
        return () if self.max_norm is None else (NORM,)

    def rules(self) -> tuple[str, ...]:
        """The rate of this update, and the factor of its gradients."""
        clip = ("factor = 1 if norm + 1e-6 <= max_norm else max_norm/(norm + 1e-6)",)
        return (*self.schedule.sentences(), *(clip if self.max_norm is not None else ()))

    def sentences(self) -> tuple[str, ...]:
        raise NotImplementedError

    def program(self, parameter: str, rank: int) -> Program:
        """The update of one parameter with so many axes."""
        return _program(parameter, rank, self.state, self.whole, (*self.rules(), *self.sentences()))

    def numbers(self, step: int) -> dict[str, float]:
        """The numbers that the sentences name at the `step`-th update, counted from 1."""
        clip = {} if self.max_norm is None else {"max_norm": self.max_norm}
        rate = self.schedule.numbers(self.options["learning_rate"], step)
        return {**rate, "decay": self.options["weight_decay"], **clip}

    def norm(self, gradients: Iterable[Array]) -> float | None:
        """The Euclidean norm of all gradients together; None where they are not clipped. In float64, gradient by
        gradient, so that it is the same on both paths."""
        if self.max_norm is None:
            return None
        return math.sqrt(math.fsum(float(np.square(g, dtype=np.float64).sum()) for g in gradients))

    def clipped(self, dw: Array, norm: float | None) -> Array:
        """A gradient times the factor of clipping."""
        if norm is None or self.max_norm is None or norm + 1e-6 <= self.max_norm:
            return dw
        return dw * dw.dtype.type(self.max_norm / (norm + 1e-6))

    def start(self, w: Array) -> dict[str, Array]:
        return {name: np.zeros_like(w) for name in self.state}

    def update(
        self, w: Array, dw: Array, state: State, step: int, norm: float | None = None
    ) -> tuple[Array, dict[str, Array]]:
        """New arrays for w and every state; nothing that is given is changed. `norm` is that
        of all gradients, where they are clipped."""
        dw = self.clipped(dw, norm)
        w_next, *left = (np.empty(w.shape, w.dtype) for _ in ("w", *self.state))
        after = dict(zip(self.state, left, strict=True))
        self.move(w.reshape(-1), dw.reshape(-1), _flat(state), step, w_next.reshape(-1), _flat(after))
        return w_next, after

    def move(self, w: Array, dw: Array, state: State, step: int, w_next: Array, after: State) -> None:
        """The same for vectors, into w_next and the vectors of `after`."""
        raise NotImplementedError

    def _gradient(self) -> tuple[str, tuple[str, ...]]:
        """The gradient's name, and the sentence that clips it and adds weight decay where they are asked for."""
        return self._clipped_gradient(" + decay*W@" if self.options["weight_decay"] else "")

    def _clipped_gradient(self, more: str = "") -> tuple[str, tuple[str, ...]]:
        clipped = "dW@" if self.max_norm is None else "factor*dW@"
        said = clipped + more
        return ("dW@", ()) if said == "dW@" else ("g@", (f"g@ = {said}",))


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
    torch = "SGD"
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

    def torch_settings(self) -> dict[str, Any]:
        return {"lr": self.options["learning_rate"], "weight_decay": self.options["weight_decay"]}

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
    torch = "SGD"
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
    torch = "SGD"
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

    def torch_settings(self) -> dict[str, Any]:
        return {**super().torch_settings(), "nesterov": True}

    def sentences(self) -> tuple[str, ...]:
        g, first = self._gradient()
        return (*first, f"v_next@ = mu*v@ + {g}", f"W_next@ = W@ - lr*({g} + mu*v_next@)")

    def numbers(self, step: int) -> dict[str, float]:
        return {**super().numbers(step), "mu": self.options["momentum"]}

    def move(self, w: Array, dw: Array, state: State, step: int, w_next: Array, after: State) -> None:
        n = self.numbers(step)
        nesterov_update(w, dw, state["v"], w_next, after["v"], n["lr"], n["decay"], n["mu"])


@kernel
def amsgrad_update(w, dw, m, v, vmax, w_next, m_next, v_next, vmax_next, rate, decay, keep, mean, square, grow, eps):  # type: ignore
    """As adam_update, with the largest v so far."""
    mode = flush_denormals()
    for i in range(w.size):
        g = dw[i] + decay * w[i]
        m_next[i] = mean[0] * m[i] + mean[1] * g
        v_next[i] = square[0] * v[i] + square[1] * g * g
        vmax_next[i] = vmax[i] if vmax[i] > v_next[i] else v_next[i]
        w_next[i] = keep * w[i] - rate * m_next[i] / (np.sqrt(grow * vmax_next[i]) + eps)
    restore(mode)


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
    torch = "Adam"
    title = "Adam"
    nouns = {
        "m": "mean gradient",
        "v": "mean squared gradient",
        "mhat": "corrected mean gradient",
        "vhat": "corrected mean squared gradient",
        "vmax": "largest mean squared gradient",
    }
    settings = {
        "learning_rate": _rate(1e-3, 1e-3),
        "betas": Numbers((0.9, 0.999), "shares of the two running means that are kept"),
        "eps": _eps(1e-8),
        "weight_decay": DECAY,
        "amsgrad": Bool(False, "divide by the largest mean squared gradient so far (Reddi et al., 2018)"),
    }
    state: tuple[str, ...] = ("m", "v")
    words = {
        "next": Words(
            "every weight takes a step of about the same size",
            "The mean of its gradients, over the root of the mean of their squares: the size of the "
            "gradient falls out, its direction stays.",
        )
    }

    def __init__(self, /, **settings: Any):
        super().__init__(**settings)
        if self.options["amsgrad"]:
            self.state = ("m", "v", "vmax")

    def sentences(self) -> tuple[str, ...]:
        g, first = self._gradient()
        return (*first, *self._moments(g), "W_next@ = W@ - lr*mhat@ / (sqrt(vhat@) + eps)")

    def _moments(self, g: str) -> tuple[str, ...]:
        largest: tuple[str, ...] = ()
        square = "v_next@"
        if self.options["amsgrad"]:
            largest, square = ("vmax_next@ = vmax@ if vmax@ > v_next@ else v_next@",), "vmax_next@"
        return (
            f"m_next@ = beta1*m@ + (1 - beta1)*{g}",
            f"v_next@ = beta2*v@ + (1 - beta2)*{g}**2",
            *largest,
            "mhat@ = m_next@ / (1 - beta1**step)",
            f"vhat@ = {square} / (1 - beta2**step)",
        )

    def numbers(self, step: int) -> dict[str, float]:
        beta1, beta2 = self.options["betas"]
        return {**super().numbers(step), "beta1": beta1, "beta2": beta2, "eps": self.options["eps"], "step": step}

    def _decays(self, rate: float) -> tuple[float, float]:
        """What of a weight joins its gradient, and what of it is kept at this rate."""
        return self.options["weight_decay"], 1.0

    def move(self, w: Array, dw: Array, state: State, step: int, w_next: Array, after: State) -> None:
        n = self.numbers(step)
        joins, keep = self._decays(n["lr"])
        number = w.dtype.type  # float32 is updated in float32: division and root take half the time
        betas = (n["beta1"], n["beta2"])
        mean, square = ((number(beta), number(1 - beta)) for beta in betas)
        rate, grow = (number(full / (1 - beta**step)) for full, beta in zip((n["lr"], 1), betas, strict=True))
        given = (rate, number(joins), number(keep), mean, square, grow, number(n["eps"]))
        update = amsgrad_update if self.options["amsgrad"] else adam_update
        update(w, dw, *(state[name] for name in self.state), w_next, *(after[name] for name in self.state), *given)


class AdamW(Adam):
    """Loshchilov and Hutter, 2019: the decay pulls at the weight itself, past the means."""

    name = "adamw"
    torch = "AdamW"
    title = "AdamW"
    settings = {**Adam.settings, "weight_decay": Float(0.01, DECAY.description, low=0, high=1e6)}

    def sentences(self) -> tuple[str, ...]:
        kept = "(1 - lr*decay)*W@" if self.options["weight_decay"] else "W@"
        g, first = self._clipped_gradient()
        return (*first, *self._moments(g), f"W_next@ = {kept} - lr*mhat@ / (sqrt(vhat@) + eps)")

    def _decays(self, rate: float) -> tuple[float, float]:
        return 0.0, 1 - rate * self.options["weight_decay"]


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
    torch = "RMSprop"
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
    torch = "Adagrad"
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
        return {
            **super().numbers(step),
            "fade": self.options["lr_decay"],
            "eps": self.options["eps"],
            "step": step,
        }

    def start(self, w: Array) -> dict[str, Array]:
        return {"v": np.full_like(w, self.options["initial_accumulator_value"])}

    def move(self, w: Array, dw: Array, state: State, step: int, w_next: Array, after: State) -> None:
        n = self.numbers(step)
        adagrad_update(
            w, dw, state["v"], w_next, after["v"], n["lr"] / (1 + (step - 1) * n["fade"]), n["decay"], n["eps"]
        )


@kernel
def nadam_update(w, dw, m, v, p, w_next, m_next, v_next, p_next, lr, decay, beta1, beta2, mu, nu, grow, eps):  # type: ignore
    mode = flush_denormals()
    for i in range(w.size):
        g = dw[i] + decay * w[i]
        m_next[i] = beta1 * m[i] + (1 - beta1) * g
        v_next[i] = beta2 * v[i] + (1 - beta2) * g * g
        p_next[i] = p[i] * mu
        here, ahead = (1 - mu) / (1 - p_next[i]), nu / (1 - p_next[i] * nu)
        w_next[i] = w[i] - lr * (here * g + ahead * m_next[i]) / (np.sqrt(grow * np.float64(v_next[i])) + eps)
    restore(mode)


class NAdam(Optimizer):
    """Dozat, 2016, in PyTorch's form: Adam whose mean looks one step ahead."""

    name = "nadam"
    torch = "NAdam"
    title = "NAdam"
    nouns = {
        "m": "mean gradient",
        "v": "mean squared gradient",
        "p": "product of the shares",
        "vhat": "corrected mean squared gradient",
        "mu": "share of the mean in this step",
        "nu": "share of the mean in the next step",
    }
    settings = {
        "learning_rate": _rate(2e-3, 1e-3),
        "betas": Numbers((0.9, 0.999), "shares of the two running means that are kept"),
        "eps": _eps(1e-8),
        "momentum_decay": Float(4e-3, "how fast the mean's share comes to its own", low=0, high=1e6),
        "weight_decay": DECAY,
    }
    state = ("m", "v", "p")
    words = {
        "next": Words(
            "every weight takes a step of about the same size, one step ahead of its mean",
            "As Adam's, but the mean already counts as it will in the next step, and the gradient of now is added.",
        )
    }

    def sentences(self) -> tuple[str, ...]:
        g, first = self._gradient()
        here, ahead = f"(1 - mu)/(1 - p_next@)*{g}", "nu/(1 - p_next@*nu)*m_next@"
        return (
            *first,
            "mu = beta1*(1 - 0.96**(step*psi)/2)",
            "nu = beta1*(1 - 0.96**((step + 1)*psi)/2)",
            f"m_next@ = beta1*m@ + (1 - beta1)*{g}",
            f"v_next@ = beta2*v@ + (1 - beta2)*{g}**2",
            "p_next@ = p@*mu",
            "vhat@ = v_next@ / (1 - beta2**step)",
            f"W_next@ = W@ - lr*({here} + {ahead}) / (sqrt(vhat@) + eps)",
        )

    def numbers(self, step: int) -> dict[str, float]:
        beta1, beta2 = self.options["betas"]
        psi = self.options["momentum_decay"]
        own = {"beta1": beta1, "beta2": beta2, "psi": psi, "eps": self.options["eps"], "step": step}
        return {**super().numbers(step), **own}

    def start(self, w: Array) -> dict[str, Array]:
        return {"m": np.zeros_like(w), "v": np.zeros_like(w), "p": np.ones_like(w)}

    def move(self, w: Array, dw: Array, state: State, step: int, w_next: Array, after: State) -> None:
        n = self.numbers(step)
        mu, nu = (n["beta1"] * (1 - 0.96 ** (k * n["psi"]) / 2) for k in (step, step + 1))
        arrays = (state["m"], state["v"], state["p"], w_next, after["m"], after["v"], after["p"])
        grow = 1 / (1 - n["beta2"] ** step)
        nadam_update(w, dw, *arrays, n["lr"], n["decay"], n["beta1"], n["beta2"], mu, nu, grow, n["eps"])


@kernel
def adadelta_update(w, dw, v, u, w_next, v_next, u_next, lr, decay, rho, eps):  # type: ignore[no-untyped-def]
    mode = flush_denormals()
    for i in range(w.size):
        g = dw[i] + decay * w[i]
        v_next[i] = rho * v[i] + (1 - rho) * g * g
        move = np.sqrt(np.float64(u[i]) + eps) / np.sqrt(np.float64(v_next[i]) + eps) * g
        u_next[i] = rho * u[i] + (1 - rho) * move * move
        w_next[i] = w[i] - lr * move
    restore(mode)


class Adadelta(Optimizer):
    """Zeiler, 2012."""

    name = "adadelta"
    torch = "Adadelta"
    title = "Adadelta"
    nouns = {"v": "mean squared gradient", "u": "mean squared move", "move": "move"}
    settings = {
        "learning_rate": _rate(1.0, 1.0),
        "rho": Float(0.9, "share of the running means that is kept", low=0, high=1),
        "eps": _eps(1e-6),
        "weight_decay": DECAY,
    }
    state = ("v", "u")
    words = {
        "next": Words(
            "every weight moves about as far as it did before",
            "Its gradient, over the root of the mean of the gradients' squares, times the root of the mean of the "
            "squares of its moves so far.",
        )
    }

    def sentences(self) -> tuple[str, ...]:
        g, first = self._gradient()
        return (
            *first,
            f"v_next@ = rho*v@ + (1 - rho)*{g}**2",
            f"move@ = sqrt(u@ + eps) / sqrt(v_next@ + eps) * {g}",
            "u_next@ = rho*u@ + (1 - rho)*move@**2",
            "W_next@ = W@ - lr*move@",
        )

    def numbers(self, step: int) -> dict[str, float]:
        return {**super().numbers(step), "rho": self.options["rho"], "eps": self.options["eps"]}

    def move(self, w: Array, dw: Array, state: State, step: int, w_next: Array, after: State) -> None:
        n = self.numbers(step)
        arrays = (state["v"], state["u"], w_next, after["v"], after["u"])
        adadelta_update(w, dw, *arrays, n["lr"], n["decay"], n["rho"], n["eps"])


OPTIMIZERS: dict[str, type[Optimizer]] = {
    kind.name: kind for kind in (Sgd, Momentum, Nesterov, Adam, AdamW, NAdam, RmsProp, Adagrad, Adadelta)
}


def optimizer_from(document: Mapping[str, Any]) -> Optimizer:
    """{"name": "momentum", "learning_rate": 0.03, ...} as an optimizer; SettingError or KeyError when it is none."""
    settings = {name: value for name, value in document.items() if name not in ("name", "schedule", "max_norm")}
    schedule = schedule_from(document["schedule"]) if "schedule" in document else Constant()
    return OPTIMIZERS[document["name"]](**settings).under(schedule, document.get("max_norm"))
