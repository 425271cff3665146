"""Is my backward pass of a whole network right? Under PyTorch's names, and as .npz."""

import io
import json
import urllib.request

import numpy as np

SERVER = "http://127.0.0.1:8000"


def ask(path, request, **tensors):
    """Arrays in, arrays out: `request` is the rest of the body, `response` the rest of the answer."""
    file = io.BytesIO()
    np.savez(file, request=json.dumps(request), **tensors)
    headers = {"Content-Type": "application/x-npz", "Accept": "application/x-npz"}
    asked = urllib.request.Request(SERVER + path, file.getvalue(), headers)
    with urllib.request.urlopen(asked) as answer:
        found = dict(np.load(io.BytesIO(answer.read())))
    return json.loads(str(found.pop("response"))), found


def my_gradients(weights, x, target):
    """Of the mean cross-entropy, back through fc2, a ReLU and fc1."""
    flat = x.reshape(len(x), -1)
    hidden = flat @ weights["fc1.weight"].T + weights["fc1.bias"]
    active = np.maximum(hidden, 0)
    logits = active @ weights["fc2.weight"].T + weights["fc2.bias"]
    shares = np.exp(logits - logits.max(1, keepdims=True))
    delta = shares / shares.sum(1, keepdims=True)
    delta[np.arange(len(x)), target] -= 1
    delta /= len(x)
    back = delta @ weights["fc2.weight"]  # here times the ReLU's slope is forgotten
    return {
        "fc2.weight": delta.T @ active,
        "fc2.bias": delta.sum(0),
        "fc1.weight": back.T @ flat,
        "fc1.bias": back.sum(0),
    }


network = {
    "input": [1, 4, 4],
    "layers": [
        {"name": "flat", "op": "flatten"},
        {"name": "fc1", "op": "linear", "settings": {"out": 8}},
        {"name": "act", "op": "relu"},
        {"name": "fc2", "op": "linear", "settings": {"out": 3}},
    ],
}
rng = np.random.default_rng(0)
weights = {
    "fc1.weight": rng.normal(size=(8, 16)),
    "fc1.bias": rng.normal(size=8),
    "fc2.weight": rng.normal(size=(3, 8)),
    "fc2.bias": rng.normal(size=3),
}
x, target = rng.normal(size=(5, 1, 4, 4)), np.array([0, 2, 1, 1, 0])

mine = my_gradients(weights, x, target)
answer, arrays = ask("/api/networks/gradients", {"network": network}, x=x, target=target, **weights)
print(f"loss {answer['loss']:.6f}")
for name, gradient in mine.items():
    layer, _, kind = name.partition(".")
    right = arrays[f"{layer}/dw" if kind == "weight" else f"{layer}/db"]
    print(f"{name}: {'right' if np.allclose(gradient, right) else 'wrong'}")

own = {"gradients": {name: gradient.tolist() for name, gradient in mine.items()}}
report, _ = ask("/api/networks/check", {"network": network, **own}, x=x, target=target, **weights)
print(report["gradients"]["fc1/w"]["guess"])
