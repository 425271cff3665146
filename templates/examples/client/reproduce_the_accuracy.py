"""Train a network here, take its parameters away, and get the same test accuracy from NumPy alone."""

import convscope
import numpy as np

run = convscope.train("classroom", seed=7, epochs=1).wait()  # one epoch of MNIST
parameters = run.parameters()


# the same network, by hand
def convolution(x, name):
    w, b = parameters[f"{name}/w"], parameters[f"{name}/b"]
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    return np.tensordot(windows, w, ((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2) + b[:, None, None]


def pool(x):
    height, width = x.shape[2] // 2, x.shape[3] // 2
    return x[:, :, : 2 * height, : 2 * width].reshape(*x.shape[:2], height, 2, width, 2).max((3, 5))


def answers(x):
    x = pool(np.maximum(convolution(x, "conv1"), 0))
    x = pool(np.maximum(convolution(x, "conv2"), 0))
    return (x.reshape(len(x), -1) @ parameters["linear/w"].T + parameters["linear/b"]).argmax(1)


x, target = convscope.data("mnist", "test")
right = (answers(x) == target).mean()
print(f"the server says {run.state['test_accuracy']:.2%}, NumPy says {right:.2%}")
