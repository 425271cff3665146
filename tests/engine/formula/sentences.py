"""Every sentence of the catalogue, with its derived gradients and small arrays to try it on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.formula import Program, Tensors


@dataclass(frozen=True)
class Case:
    name: str
    given: str
    sentences: str
    gradients: str = ""
    held: tuple[str, ...] = ()
    joins: bool = False
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    whole: dict[str, list[int]] = field(default_factory=dict)  # integer tensors
    positive: tuple[str, ...] = ()
    numbers: dict[str, float] = field(default_factory=dict)
    extents: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def program(self) -> Program:
        return Program(self.given, self.sentences, held=self.held, joins=self.joins)

    @property
    def wrt(self) -> tuple[str, ...]:
        return tuple(name for name in self.shapes if name not in self.held)

    def arrays(self, seed: int = 0, dtype: type = np.float64) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        arrays: dict[str, np.ndarray] = {}
        for name, shape in self.shapes.items():
            values = rng.standard_normal(shape)
            arrays[name] = (np.abs(values) + 0.1 if name in self.positive else values).astype(dtype)
        return {**arrays, **{name: np.array(values) for name, values in self.whole.items()}}

    def forward(self, arrays: dict[str, np.ndarray]) -> Tensors:
        return Tensors(self.program, arrays, self.numbers, self.extents)

    def backward(self, seed: int = 0, dtype: type = np.float64) -> Tensors:
        """Arrays, results, a random dy, and the program continued with its gradients."""
        arrays = self.arrays(seed, dtype)
        forward = self.forward(arrays)
        stored = {name: np.asarray(forward[name]) for name in self.program.names}
        stored = {name: a if a.dtype.kind == "i" else a.astype(dtype) for name, a in stored.items()}
        dy: np.ndarray = np.random.default_rng(seed + 1).standard_normal(stored["y"].shape).astype(dtype)
        return Tensors(self.program.gradients(self.wrt), {**arrays, **stored, "dy": dy}, self.numbers, self.extents)


WINDOW = {"s": 2, "t": 1, "p": 1, "q": 0, "d": 1, "e": 2}
POINT: dict[str, tuple[int, ...]] = {"x": (2, 3, 2, 2)}


def pointwise(name: str, sentence: str, gradient: str, **more: Any) -> Case:
    return Case(name, "x[n,c,i,j]", f"y[n,c,i,j] = {sentence}", f"dx[n,c,i,j] = {gradient}", shapes=POINT, **more)


CASES = [
    Case(
        "conv2d",
        "x[n,g|c,h,k] w[g|o,c,u,v] b[g|o]",
        "y[n,g|o,i,j] = sum[c,u,v](x[n,g|c,s*i+d*u-p,t*j+e*v-q] * w[g|o,c,u,v]) + b[g|o]",
        """dx[n,g|c,h,k] = sum[o,u,v](dy[n,g|o,(h+p-d*u)/s,(k+q-e*v)/t] * w[g|o,c,u,v])
            dw[g|o,c,u,v] = sum[n,i,j](dy[n,g|o,i,j] * x[n,g|c,s*i+d*u-p,t*j+e*v-q])
            db[g|o] = sum[n,i,j](dy[n,g|o,i,j])""",
        shapes={"x": (2, 4, 6, 5), "w": (6, 2, 3, 2), "b": (6,)},
        numbers={**WINDOW, "G": 2},
        extents={"y": (2, 6, 3, 3)},
    ),
    Case(
        "conv2d with its kernel flipped",
        "x[n,g|c,h,k] w[g|o,c,u,v] b[g|o]",
        "y[n,g|o,i,j] = sum[c,u,v](x[n,g|c,s*i+d*u-p,t*j+e*v-q] * w[g|o,c,U-1-u,V-1-v]) + b[g|o]",
        """dx[n,g|c,h,k] = sum[o,u,v](dy[n,g|o,(h+p-d*u)/s,(k+q-e*v)/t] * w[g|o,c,U-1-u,V-1-v])
            dw[g|o,c,u,v] = sum[n,i,j](dy[n,g|o,i,j] * x[n,g|c,s*i+d*(U-1-u)-p,t*j+e*(V-1-v)-q])
            db[g|o] = sum[n,i,j](dy[n,g|o,i,j])""",
        shapes={"x": (2, 4, 6, 5), "w": (6, 2, 3, 2), "b": (6,)},
        numbers={**WINDOW, "G": 2},
        extents={"y": (2, 6, 3, 3)},
    ),
    Case(
        "conv_transpose2d",
        "x[n,g|c,h,k] w[g|c,o,u,v] b[g|o]",
        "y[n,g|o,i,j] = sum[c,u,v](x[n,g|c,(i+p-d*u)/s,(j+q-e*v)/t] * w[g|c,o,u,v]) + b[g|o]",
        """dx[n,g|c,h,k] = sum[o,u,v](dy[n,g|o,s*h+d*u-p,t*k+e*v-q] * w[g|c,o,u,v])
            dw[g|c,o,u,v] = sum[n,i,j](dy[n,g|o,i,j] * x[n,g|c,(i+p-d*u)/s,(j+q-e*v)/t])
            db[g|o] = sum[n,i,j](dy[n,g|o,i,j])""",
        shapes={"x": (2, 4, 3, 3), "w": (4, 3, 3, 2), "b": (6,)},
        numbers={**WINDOW, "G": 2},
        extents={"y": (2, 6, 5, 5)},
    ),
    Case(
        "max_pool2d",
        "x[n,c,h,k]",
        """y[n,c,i,j] = max[u,v](x[n,c,s*i+d*u-p,t*j+e*v-q])
            indices[n,c,i,j] = argmax[u,v](x[n,c,s*i+d*u-p,t*j+e*v-q], (s*i+d*u-p)*K + (t*j+e*v-q))""",
        "dx[n,c,h,k] = sum[u,v](dy[n,c,(h+p-d*u)/s,(k+q-e*v)/t] * (indices[n,c,(h+p-d*u)/s,(k+q-e*v)/t] == h*K + k))",
        shapes={"x": (2, 3, 6, 5)},
        numbers={**WINDOW, "U": 3, "V": 2},
        extents={"y": (2, 3, 3, 3)},
    ),
    Case(
        "avg_pool2d",
        "x[n,c,h,k]",
        """cells[i,j] = sum[u,v]((0 <= s*i+u-p < H) * (0 <= t*j+v-q < K))
            y[n,c,i,j] = sum[u,v](x[n,c,s*i+u-p,t*j+v-q]) / cells[i,j]""",
        "dx[n,c,h,k] = sum[u,v](dy[n,c,(h+p-u)/s,(k+q-v)/t] / cells[(h+p-u)/s,(k+q-v)/t])",
        shapes={"x": (2, 3, 6, 5)},
        numbers={"s": 2, "t": 3, "p": 1, "q": 1, "U": 3, "V": 3},
        extents={"y": (2, 3, 3, 2)},
    ),
    Case(
        "lp_pool2d",
        "x[n,c,h,k]",
        """cells[i,j] = sum[u,v]((s*i+u < H) * (t*j+v < K))
            total[n,c,i,j] = sum[u,v](x[n,c,s*i+u,t*j+v]**P) * U*V / cells[i,j]
            y[n,c,i,j] = total[n,c,i,j]**(1/P) if total[n,c,i,j] != 0 else 0""",
        "dtotal[n,c,i,j] = dy[n,c,i,j] * total[n,c,i,j]**(1/P - 1) / P if total[n,c,i,j] != 0 else 0\n"
        "dx[n,c,h,k] = sum[u,v](dtotal[n,c,(h-u)/s,(k-v)/t] * U * V * P * x[n,c,h,k]**(P - 1)"
        " / cells[(h-u)/s,(k-v)/t])",
        shapes={"x": (2, 3, 6, 5)},
        positive=("x",),
        numbers={"s": 2, "t": 3, "U": 3, "V": 3, "P": 3},
        extents={"y": (2, 3, 3, 2)},
    ),
    Case(
        "global_avg_pool",
        "x[n,c,h,k]",
        "y[n,c,i,j] = sum[h,k](x[n,c,h,k]) / (H*K)",
        "dx[n,c,h,k] = sum[i,j](dy[n,c,i,j] / (H*K))",
        shapes={"x": (2, 3, 4, 3)},
        extents={"y": (2, 3, 1, 1)},
    ),
    Case(
        "global_max_pool",
        "x[n,c,h,k]",
        """y[n,c,i,j] = max[h,k](x[n,c,h,k])
            indices[n,c,i,j] = argmax[h,k](x[n,c,h,k], h*K + k)""",
        "dx[n,c,h,k] = sum[i,j](dy[n,c,i,j] * (indices[n,c,i,j] == h*K + k))",
        shapes={"x": (2, 3, 4, 3)},
        extents={"y": (2, 3, 1, 1)},
    ),
    pointwise("relu", "0 if x[n,c,i,j] <= 0 else x[n,c,i,j]", "0 if x[n,c,i,j] <= 0 else dy[n,c,i,j]"),
    pointwise(
        "leaky_relu",
        "x[n,c,i,j] if x[n,c,i,j] > 0 else slope*x[n,c,i,j]",
        "dy[n,c,i,j] if x[n,c,i,j] > 0 else dy[n,c,i,j] * slope",
        numbers={"slope": 0.1},
    ),
    pointwise("sigmoid", "sigmoid(x[n,c,i,j])", "dy[n,c,i,j] * sigmoid(x[n,c,i,j]) * (1 - sigmoid(x[n,c,i,j]))"),
    pointwise("tanh", "tanh(x[n,c,i,j])", "dy[n,c,i,j] * (1 - tanh(x[n,c,i,j])**2)"),
    pointwise(
        "elu",
        "x[n,c,i,j] if x[n,c,i,j] > 0 else alpha*expm1(x[n,c,i,j])",
        "dy[n,c,i,j] if x[n,c,i,j] > 0 else dy[n,c,i,j] * alpha * exp(x[n,c,i,j])",
        numbers={"alpha": 1.5},
    ),
    pointwise("softplus", "softplus(x[n,c,i,j])", "dy[n,c,i,j] * sigmoid(x[n,c,i,j])"),
    pointwise(
        "gelu", "x[n,c,i,j] * Phi(x[n,c,i,j])", "dy[n,c,i,j]*Phi(x[n,c,i,j]) + dy[n,c,i,j]*x[n,c,i,j]*phi(x[n,c,i,j])"
    ),
    pointwise(
        "gelu by tanh",
        "x[n,c,i,j]/2 * (1 + tanh(sqrt(2/pi) * (x[n,c,i,j] + 0.044715*x[n,c,i,j]**3)))",
        "dy[n,c,i,j]*(1 + tanh(sqrt(2/pi)*(x[n,c,i,j] + 0.044715*x[n,c,i,j]**3)))/2"
        " + dy[n,c,i,j]*x[n,c,i,j]*(1 - tanh(sqrt(2/pi)*(x[n,c,i,j] + 0.044715*x[n,c,i,j]**3))**2)*sqrt(2/pi)/2"
        " + 3*0.044715*dy[n,c,i,j]*x[n,c,i,j]**3*(1 - tanh(sqrt(2/pi)*(x[n,c,i,j] + 0.044715*x[n,c,i,j]**3))**2)"
        "*sqrt(2/pi)/2",
    ),
    pointwise(
        "silu",
        "x[n,c,i,j] * sigmoid(x[n,c,i,j])",
        "dy[n,c,i,j]*sigmoid(x[n,c,i,j]) + dy[n,c,i,j]*x[n,c,i,j]*sigmoid(x[n,c,i,j])*(1 - sigmoid(x[n,c,i,j]))",
    ),
    Case(
        "softmax",
        "x[n,c,i,j]",
        """top[n,i,j] = max[c](x[n,c,i,j])
            e[n,c,i,j] = exp(x[n,c,i,j] - top[n,i,j])
            z[n,i,j] = sum[c](e[n,c,i,j])
            y[n,c,i,j] = e[n,c,i,j] / z[n,i,j]""",
        """dz[n,i,j] = -sum[c](dy[n,c,i,j] * e[n,c,i,j] / z[n,i,j]**2)
            de[n,c,i,j] = dy[n,c,i,j]/z[n,i,j] + dz[n,i,j]
            dx[n,c,i,j] = de[n,c,i,j] * exp(x[n,c,i,j] - top[n,i,j])""",
        held=("top",),
        shapes=POINT,
    ),
    Case(
        "log_softmax",
        "x[n,c,i,j]",
        """top[n,i,j] = max[c](x[n,c,i,j])
            e[n,c,i,j] = exp(x[n,c,i,j] - top[n,i,j])
            z[n,i,j] = sum[c](e[n,c,i,j])
            y[n,c,i,j] = x[n,c,i,j] - top[n,i,j] - log(z[n,i,j])""",
        """dz[n,i,j] = -sum[c](dy[n,c,i,j] / z[n,i,j])
            de[n,c,i,j] = dz[n,i,j]
            dx[n,c,i,j] = dy[n,c,i,j] + de[n,c,i,j]*exp(x[n,c,i,j] - top[n,i,j])""",
        held=("top",),
        shapes=POINT,
    ),
    Case(
        "linear",
        "x[n,c] w[o,c] b[o]",
        "y[n,o] = sum[c](x[n,c] * w[o,c]) + b[o]",
        """dx[n,c] = sum[o](dy[n,o] * w[o,c])
            dw[o,c] = sum[n](dy[n,o] * x[n,c])
            db[o] = sum[n](dy[n,o])""",
        shapes={"x": (3, 4), "w": (2, 4), "b": (2,)},
    ),
    Case(
        "batch_norm in training",
        "x[n,c,i,j] gamma[c] beta[c] running_mean[c] running_var[c]",
        """mean[c] = sum[n,i,j](x[n,c,i,j]) / (N*I*J)
            var[c] = sum[n,i,j]((x[n,c,i,j] - mean[c])**2) / (N*I*J)
            std[c] = sqrt(var[c] + eps)
            xhat[n,c,i,j] = (x[n,c,i,j] - mean[c]) / std[c]
            y[n,c,i,j] = gamma[c]*xhat[n,c,i,j] + beta[c]
            next_mean[c] = (1 - momentum)*running_mean[c] + momentum*mean[c]
            next_var[c] = (1 - momentum)*running_var[c] + momentum*var[c]*(N*I*J)/(N*I*J - 1)""",
        """dxhat[n,c,i,j] = dy[n,c,i,j] * gamma[c]
            dstd[c] = -sum[n,i,j](dxhat[n,c,i,j] * (x[n,c,i,j] - mean[c]) / std[c]**2)
            dvar[c] = dstd[c] / (2*sqrt(var[c] + eps))
            dmean[c] = -sum[n,i,j](dxhat[n,c,i,j] / std[c]) - sum[n,i,j](2 * dvar[c] * (x[n,c,i,j] - mean[c]) / (N*I*J))
            dx[n,c,i,j] = dxhat[n,c,i,j]/std[c] + 2*dvar[c]*(x[n,c,i,j] - mean[c])/(N*I*J) + dmean[c]/(N*I*J)
            dgamma[c] = sum[n,i,j](dy[n,c,i,j] * xhat[n,c,i,j])
            dbeta[c] = sum[n,i,j](dy[n,c,i,j])""",
        held=("running_mean", "running_var"),
        positive=("running_var",),
        numbers={"eps": 1e-5, "momentum": 0.1},
        shapes={"x": (2, 3, 2, 2), "gamma": (3,), "beta": (3,), "running_mean": (3,), "running_var": (3,)},
    ),
    Case(
        "batch_norm at rest",
        "x[n,c,i,j] gamma[c] beta[c] running_mean[c] running_var[c]",
        """xhat[n,c,i,j] = (x[n,c,i,j] - running_mean[c]) / sqrt(running_var[c] + eps)
            y[n,c,i,j] = gamma[c]*xhat[n,c,i,j] + beta[c]""",
        """dxhat[n,c,i,j] = dy[n,c,i,j] * gamma[c]
            dx[n,c,i,j] = dxhat[n,c,i,j] / sqrt(running_var[c] + eps)
            dgamma[c] = sum[n,i,j](dy[n,c,i,j] * xhat[n,c,i,j])
            dbeta[c] = sum[n,i,j](dy[n,c,i,j])""",
        held=("running_mean", "running_var"),
        positive=("running_var",),
        numbers={"eps": 1e-5},
        shapes={"x": (2, 3, 2, 2), "gamma": (3,), "beta": (3,), "running_mean": (3,), "running_var": (3,)},
    ),
    Case(
        "dropout",
        "x[n,c,i,j] mask[n,c,i,j]",
        "y[n,c,i,j] = x[n,c,i,j] * mask[n,c,i,j] / (1 - p)",
        "dx[n,c,i,j] = dy[n,c,i,j] * mask[n,c,i,j] / (1 - p)",
        held=("mask",),
        shapes={**POINT, "mask": POINT["x"]},
        numbers={"p": 0.25},
    ),
    Case("flatten", "x[n,c,i,j]", "y[n,c|i|j] = x[n,c,i,j]", "dx[n,c,i,j] = dy[n,c|i|j]", shapes=POINT),
    Case(
        "add",
        "a[n,c] b[n,c]",
        "y[n,c] = a[n,c] + b[n,c]",
        "da[n,c] = dy[n,c]\ndb[n,c] = dy[n,c]",
        shapes={"a": (2, 3), "b": (2, 3)},
    ),
    Case(
        "concat",
        "a[n,p,i,j] b[n,q,i,j] c[n,r,i,j]",
        "y[n,c,i,j] = a[n,c,i,j] + b[n,c-P,i,j] + c[n,c-P-Q,i,j]",
        """da[n,p,i,j] = dy[n,p,i,j]
            db[n,q,i,j] = dy[n,q+P,i,j]
            dc[n,r,i,j] = dy[n,r+P+Q,i,j]""",
        joins=True,
        shapes={"a": (2, 3, 2, 2), "b": (2, 1, 2, 2), "c": (2, 2, 2, 2)},
        extents={"y": (2, 6, 2, 2)},
    ),
    Case(
        "mse_loss",
        "x[n,c] target[n,c]",
        "y = sum[n,c]((x[n,c] - target[n,c])**2) / (N*C)",
        "dx[n,c] = 2 * dy * (x[n,c] - target[n,c]) / (N*C)",
        held=("target",),
        shapes={"x": (2, 3), "target": (2, 3)},
    ),
    Case(
        "bce_with_logits",
        "x[n,c] target[n,c]",
        "y = sum[n,c](softplus(x[n,c]) - target[n,c]*x[n,c]) / (N*C)",
        "dx[n,c] = dy*sigmoid(x[n,c])/(N*C) - dy*target[n,c]/(N*C)",
        held=("target",),
        shapes={"x": (2, 3), "target": (2, 3)},
    ),
    Case(
        "cross_entropy of indices",
        "x[n,k] target[n] weight[k]",
        """top[n] = max[k](x[n,k])
            e[n,k] = exp(x[n,k] - top[n])
            z[n] = sum[k](e[n,k])
            logp[n,k] = x[n,k] - top[n] - log(z[n])
            t[n,k] = (1 - smoothing)*(k == target[n]) + smoothing/K
            m = sum[n](weight[target[n]] * (target[n] != ignore))
            y = -sum[n,k](t[n,k] * weight[k] * logp[n,k] * (target[n] != ignore)) / m""",
        """dlogp[n,k] = -dy * t[n,k] * weight[k] * (target[n] != ignore) / m
            dz[n] = -sum[k](dlogp[n,k] / z[n])
            de[n,k] = dz[n]
            dx[n,k] = dlogp[n,k] + de[n,k]*exp(x[n,k] - top[n])""",
        held=("m", "t", "target", "top", "weight"),
        shapes={"x": (5, 3), "weight": (3,)},
        positive=("weight",),
        whole={"target": [0, 2, 1, -100, 2]},
        numbers={"smoothing": 0.1, "ignore": -100},
    ),
    Case(
        "cross_entropy of probabilities",
        "x[n,k] target[n,k] weight[k]",
        """top[n] = max[k](x[n,k])
            e[n,k] = exp(x[n,k] - top[n])
            z[n] = sum[k](e[n,k])
            logp[n,k] = x[n,k] - top[n] - log(z[n])
            t[n,k] = (1 - smoothing)*target[n,k] + smoothing/K
            y = -sum[n,k](t[n,k] * weight[k] * logp[n,k]) / N""",
        """dlogp[n,k] = -dy * t[n,k] * weight[k] / N
            dz[n] = -sum[k](dlogp[n,k] / z[n])
            de[n,k] = dz[n]
            dx[n,k] = dlogp[n,k] + de[n,k]*exp(x[n,k] - top[n])""",
        held=("m", "t", "target", "top", "weight"),
        shapes={"x": (4, 3), "target": (4, 3), "weight": (3,)},
        positive=("target", "weight"),
        numbers={"smoothing": 0.1},
    ),
    Case("a diagonal", "x[h,k]", "y[i] = x[i,i]", "dx[h,k] = dy[h] * (k == h)", shapes={"x": (3, 3)}, numbers={"I": 3}),
    Case("a column", "x[n,k]", "y[n] = x[n,0]", "dx[n,k] = dy[n] * (k == 0)", shapes={"x": (3, 4)}),
    Case(
        "a gather",
        "x[n,k] t[n]",
        "y[n] = x[n,t[n]]",
        "dx[n,k] = dy[n] * (k == t[n])",
        held=("t",),
        shapes={"x": (3, 4)},
        whole={"t": [3, 0, 3]},
    ),
    Case(
        "a gather along the letter itself",
        "x[i] t[i]",
        "y[i] = x[t[i]] * x[i]",
        "dx[i] = sum[a](dy[a] * x[a] * (i == t[a])) + dy[i]*x[t[i]]",
        held=("t",),
        shapes={"x": (4,)},
        whole={"t": [3, 0, 3, 1]},
    ),
    Case(
        "every second cell",
        "x[n,h]",
        "y[n,k] = x[n,2*k]",
        "dx[n,h] = dy[n,h/2]",
        shapes={"x": (2, 6)},
        extents={"y": (2, 3)},
    ),
    Case(
        "every second cell, summed",
        "x[n,h]",
        "y[n] = sum[k](x[n,2*k]**2)",
        "dx[n,h] = sum[k](2 * dy[n] * x[n,h] * (h == 2*k))",
        shapes={"x": (2, 6)},
        numbers={"K": 3},
    ),
    Case("a reflection", "x[n,k]", "y[n,k] = x[n,K-1-k]", "dx[n,k] = dy[n,K-1-k]", shapes={"x": (2, 4)}),
    Case(
        "a tensor read twice",
        "x[n,k]",
        "y[n] = sum[k](x[n,k] * x[n,K-1-k]) + x[n,0] - 2*x[n,0]",
        "dx[n,k] = 2*dy[n]*x[n,K-1-k] - dy[n]*(k == 0)",
        shapes={"x": (2, 4)},
    ),
]

OPTIMIZERS = [
    ("sgd", "g[n,c] = dw[n,c] + decay*w[n,c]\nnext_w[n,c] = w[n,c] - lr*g[n,c]"),
    ("momentum", "next_v[n,c] = mu*v[n,c] + (1 - damp)*dw[n,c]\nnext_w[n,c] = w[n,c] - lr*next_v[n,c]"),
    ("nesterov", "next_v[n,c] = mu*v[n,c] + dw[n,c]\nnext_w[n,c] = w[n,c] - lr*(dw[n,c] + mu*next_v[n,c])"),
    (
        "adam",
        """g[n,c] = dw[n,c] + decay*w[n,c]
                next_m[n,c] = beta1*m[n,c] + (1 - beta1)*g[n,c]
                next_v[n,c] = beta2*v[n,c] + (1 - beta2)*g[n,c]**2
                mhat[n,c] = next_m[n,c] / (1 - beta1**step)
                vhat[n,c] = next_v[n,c] / (1 - beta2**step)
                next_w[n,c] = w[n,c] - lr*mhat[n,c] / (sqrt(vhat[n,c]) + eps)""",
    ),
    (
        "adamw",
        """next_m[n,c] = beta1*m[n,c] + (1 - beta1)*dw[n,c]
                 next_v[n,c] = beta2*v[n,c] + (1 - beta2)*dw[n,c]**2
                 mhat[n,c] = next_m[n,c] / (1 - beta1**step)
                 vhat[n,c] = next_v[n,c] / (1 - beta2**step)
                 next_w[n,c] = w[n,c]*(1 - lr*decay) - lr*mhat[n,c] / (sqrt(vhat[n,c]) + eps)""",
    ),
    (
        "rmsprop",
        """next_v[n,c] = alpha*v[n,c] + (1 - alpha)*dw[n,c]**2
                   next_m[n,c] = alpha*m[n,c] + (1 - alpha)*dw[n,c]
                   spread[n,c] = next_v[n,c] - next_m[n,c]**2 + 10
                   next_b[n,c] = mu*b[n,c] + dw[n,c] / (sqrt(spread[n,c]) + eps)
                   next_w[n,c] = w[n,c] - lr*next_b[n,c]""",
    ),
    (
        "adagrad",
        """next_v[n,c] = v[n,c] + dw[n,c]**2
                   next_w[n,c] = w[n,c] - lr/(1 + (step - 1)*lr_decay) * dw[n,c] / (sqrt(next_v[n,c]) + eps)""",
    ),
]

RATES = {
    "lr": 0.05,
    "decay": 0.01,
    "mu": 0.9,
    "damp": 0.1,
    "beta1": 0.9,
    "beta2": 0.999,
    "alpha": 0.99,
    "eps": 1e-8,
    "step": 3,
    "lr_decay": 0.1,
}


def update(sentences: str, seed: int = 0) -> Tensors:
    rng = np.random.default_rng(seed)
    arrays = {name: rng.standard_normal((2, 3)) for name in ("w", "dw", "m", "b")}
    arrays["v"] = np.abs(rng.standard_normal((2, 3)))
    return Tensors(Program("w[n,c] dw[n,c] v[n,c] m[n,c] b[n,c]", sentences), arrays, RATES)
