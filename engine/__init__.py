"""Arithmetic of convolutional networks: sentences, kernels, training, explanations. Knows nothing of the web."""
