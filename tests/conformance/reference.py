"""What the layers should compute, in float64 NumPy: slow and obvious."""

import math

import numpy as np


def relu(x):
    return np.maximum(x, 0.0)


def swish(x):
    return x / (1.0 + np.exp(-x))


ACTIVATIONS = {None: lambda x: x, "relu": relu, "swish": swish}


def group_normalize(x, gamma=None, beta=None, *, groups, axis=-1, epsilon, activation=None):
    """Group by group, sample by sample."""
    x = np.moveaxis(np.asarray(x, "float64"), axis, -1)
    channels = x.shape[-1]
    size = 1 if groups == -1 else channels // groups
    y = np.empty_like(x)
    for n in range(len(x)):
        for start in range(0, channels, size):
            group = x[n, ..., start : start + size]
            y[n, ..., start : start + size] = (group - group.mean()) / math.sqrt(group.var() + epsilon)
    gamma = np.ones(channels) if gamma is None else np.asarray(gamma, "float64")
    beta = np.zeros(channels) if beta is None else np.asarray(beta, "float64")
    return np.moveaxis(ACTIVATIONS[activation](y * gamma + beta), -1, axis)


def group_normalize_gradients(dy, x, gamma=None, *, groups, axis=-1, epsilon):
    """Those of x, gamma and beta from that of y, by the whole Jacobian of each group."""
    dy, x = (np.moveaxis(np.asarray(a, "float64"), axis, -1) for a in (dy, x))
    channels = x.shape[-1]
    size = 1 if groups == -1 else channels // groups
    gamma = np.ones(channels) if gamma is None else np.asarray(gamma, "float64")
    dx, normalized = np.empty_like(x), np.empty_like(x)
    for n in range(len(x)):
        for start in range(0, channels, size):
            members = (n, ..., slice(start, start + size))
            group = x[members]
            deviation = math.sqrt(group.var() + epsilon)
            normalized[members] = (group - group.mean()) / deviation
            flat = normalized[members].ravel()
            jacobian = (np.eye(group.size) - 1 / group.size - np.outer(flat, flat) / group.size) / deviation
            dx[members] = ((dy * gamma)[members].ravel() @ jacobian).reshape(group.shape)
    others = tuple(range(x.ndim - 1))
    return np.moveaxis(dx, -1, axis), (dy * normalized).sum(axis=others), dy.sum(axis=others)


def standardize_weight(kernel, *, epsilon):
    """Filter by filter."""
    kernel = np.asarray(kernel, "float64")
    filters = [kernel[..., o] for o in range(kernel.shape[-1])]
    return np.stack([(w - w.mean()) / math.sqrt(w.var() + epsilon) for w in filters], axis=-1)


def convolve(x, kernel, bias=None, *, strides=1, padding="valid", dilation=1, groups=1):
    """Channels-last convolution of any rank, window by window."""
    rank = x.ndim - 2
    reach = [(size - 1) * dilation + 1 for size in kernel.shape[:rank]]
    if padding == "same":
        total = [max((-(-n // strides) - 1) * strides + r - n, 0) for n, r in zip(x.shape[1:-1], reach, strict=True)]
        x = np.pad(x, [(0, 0), *[(t // 2, t - t // 2) for t in total], (0, 0)])
    size = [(n - r) // strides + 1 for n, r in zip(x.shape[1:-1], reach, strict=True)]
    per_group, filters = kernel.shape[rank], kernel.shape[-1]
    y = np.zeros((len(x), *size, filters))
    for position in np.ndindex(*size):
        corner = [p * strides for p in position]
        window = x[(slice(None), *[slice(c, c + r, dilation) for c, r in zip(corner, reach, strict=True)])]
        for o in range(filters):
            first = o // (filters // groups) * per_group
            product = window[..., first : first + per_group] * kernel[..., o]
            y[(slice(None), *position, o)] = product.sum(axis=tuple(range(1, rank + 2)))
    return y if bias is None else y + np.asarray(bias, "float64")
