"""From a BatchNormalization's statistics to the gamma and beta of what replaces it; in float64, without data."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np


@dataclass(frozen=True)
class BatchNormValues:
    """What a built BatchNormalization computes at inference: gamma * (x - mean) / sqrt(variance + epsilon) + beta.

    Each is `[C]`, float64; gamma and beta are 1 and 0 where the layer has none.
    """

    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    epsilon: float

    @property
    def deviation(self) -> np.ndarray:
        """The denominator, sqrt(variance + epsilon), `[C]`."""
        return np.asarray(np.sqrt(self.variance + self.epsilon))


@dataclass(frozen=True)
class Affine:
    """The scale and offset of a layer, `[C]` each."""

    gamma: np.ndarray
    beta: np.ndarray


def values_of(layer: keras.layers.BatchNormalization) -> BatchNormValues:
    """The values of a built layer."""
    mean = as_float64(layer.moving_mean)
    return BatchNormValues(
        gamma=as_float64(layer.gamma) if layer.scale else np.ones_like(mean),
        beta=as_float64(layer.beta) if layer.center else np.zeros_like(mean),
        mean=mean,
        variance=as_float64(layer.moving_variance),
        epsilon=layer.epsilon,
    )


def from_statistics(values: BatchNormValues, *, groups: int) -> Affine:
    """Gamma and beta with which group normalization computes what batch normalization did, on the average sample.

    The moments of a group are those of the batch normalization's moving statistics together:

        M_g   = mean of mean_c over the channels c of group g
        S_g^2 = mean of (variance_c + mean_c^2) - M_g^2 + epsilon
        gamma'_c = gamma_c * S_g / sqrt(variance_c + epsilon)
        beta'_c  = beta_c + gamma_c * (M_g - mean_c) / sqrt(variance_c + epsilon)

    A sample whose own moments are M_g and S_g^2 - epsilon gets exactly what batch normalization gave it.

    >>> values = BatchNormValues(*np.array([[1, 1], [0, 0], [0, 4], [4, 4]], float), epsilon=0.0)
    >>> affine = from_statistics(values, groups=1)
    >>> affine.gamma**2, affine.beta
    (array([2., 2.]), array([ 1., -1.]))
    """
    by_group = (groups, -1)
    mean = values.mean.reshape(by_group)
    group_mean = mean.mean(axis=1, keepdims=True)
    # The mean of the variances and the variance of the means: nothing cancels where the means are large.
    group_variance = (values.variance.reshape(by_group) + (mean - group_mean) ** 2).mean(axis=1, keepdims=True)
    ratio = np.sqrt(group_variance + values.epsilon) / values.deviation.reshape(by_group)
    offset = (group_mean - mean) / values.deviation.reshape(by_group)
    return Affine(
        gamma=values.gamma * ratio.reshape(-1),
        beta=values.beta + values.gamma * offset.reshape(-1),
    )


def folded(values: BatchNormValues) -> Affine:
    """Gamma and beta of the affine map that batch normalization is at inference: exact."""
    gamma = values.gamma / values.deviation
    return Affine(gamma=gamma, beta=values.beta - gamma * values.mean)


def affine_of(layer: keras.layers.Layer) -> Affine:
    """The gamma and beta that a converted layer has."""
    return Affine(gamma=as_float64(layer.gamma), beta=as_float64(layer.beta))


def as_float64(variable: Any) -> np.ndarray:
    """A variable's value."""
    return np.asarray(keras.ops.convert_to_numpy(variable), "float64")
