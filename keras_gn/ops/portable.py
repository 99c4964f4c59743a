"""The mathematics of group normalization and of its gradient, in keras.ops on any backend.

Each line on a whole tensor is a pass over memory, and the passes are what takes the time. So channels are averaged
in the tensor's own layout, groups are formed on the tiny `[N, C]` result, and one multiplication and one subtraction
make the output. No tensor has a higher rank than the input, or than 3.

Tensors are combined by operators: ops.add in Keras' TensorFlow backend (seen in 3.15) takes a second term of shape
`[1, C, 1, 1]` for a bias and adds it along the last axis if that has C elements, too.
"""

import keras
from keras import ops

from keras_gn.ops.layout import Layout, over_channels
from keras_gn.typing import Tensor


def normalize(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, *, groups: int, axis: int, epsilon: float
) -> Tensor:
    """`keras_gn.ops.group_normalize` by plain operations, for backends without a kernel of their own."""
    layout = Layout(len(x.shape), axis, x.shape[axis], groups)
    return forward(x, *parameters(x, gamma, beta, layout=layout), layout=layout, epsilon=epsilon)[0]


def parameters(x: Tensor, gamma: Tensor | None, beta: Tensor | None, *, layout: Layout) -> tuple[Tensor, Tensor]:
    """Gamma and beta in the type of the statistics; 1 and 0 where they are None."""
    dtype = _wide_dtype(x)
    gamma = ops.ones((layout.channels,), dtype) if gamma is None else ops.cast(gamma, dtype)
    beta = ops.zeros((layout.channels,), dtype) if beta is None else ops.cast(beta, dtype)
    return gamma, beta


def forward(x: Tensor, gamma: Tensor, beta: Tensor, *, layout: Layout, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """The output in the type of x, and the mean and 1 / sqrt(variance + epsilon) of each group, `[N, G, 1]`."""
    centre, shift, rstd, centred = _statistics(x, layout=layout, epsilon=epsilon)
    scale = rstd * layout.by_group(gamma)
    y = centred * layout.spread(scale) - layout.spread(shift * scale - layout.by_group(beta))
    return ops.cast(y, x.dtype), centre + shift, rstd


def statistics(x: Tensor, *, layout: Layout, epsilon: float) -> tuple[Tensor, Tensor]:
    """The mean and 1 / sqrt(variance + epsilon) of each group, `[N, G, 1]`, as `forward` has them."""
    centre, shift, rstd, _ = _statistics(x, layout=layout, epsilon=epsilon)
    return centre + shift, rstd


def gradient(
    dy: Tensor, x: Tensor, gamma: Tensor, mean: Tensor, rstd: Tensor, *, layout: Layout
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x (in its type), gamma and beta, from that of y and what `forward` gave.

    With n = (x - mean) * rstd and averages <.> over a group,

        dx = rstd * (gamma * dy - <gamma * dy> - n * <gamma * dy * n>)
    """
    wide_dy = ops.cast(dy, mean.dtype)
    centred = ops.cast(x, mean.dtype) - layout.spread(mean)
    mean_dy = layout.channel_means(wide_dy)
    mean_dy_n = layout.channel_means(wide_dy * centred) * rstd
    scale = rstd * layout.by_group(gamma)
    slope = rstd * over_channels(scale * mean_dy_n)
    offset = over_channels(scale * mean_dy)
    dx = wide_dy * layout.spread(scale) - (centred * layout.spread(slope) + layout.spread(offset))
    positions = ops.cast(layout.positions(x), mean.dtype)
    dgamma, dbeta = (ops.reshape(ops.sum(m, axis=0), (-1,)) * positions for m in (mean_dy_n, mean_dy))
    return ops.cast(dx, x.dtype), dgamma, dbeta


def _statistics(x: Tensor, *, layout: Layout, epsilon: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A centre near the mean, the mean minus it, 1 / sqrt(variance + epsilon), `[N, G, 1]`, and x - centre."""
    wide = ops.cast(x, _wide_dtype(x))
    # Moments about a centre near the mean keep all digits when |mean| >> deviation. They don't depend on the
    # centre, so no gradient flows through it. An eighth of a group's elements can't have a mean that is more than
    # sqrt(7) deviations off, whatever the data, which costs the variance 3 of its 24 bits at worst.
    centre = ops.stop_gradient(layout.group_means(layout.first_eighth(wide)))
    centred = wide - layout.spread(centre)
    shift = layout.group_means(centred)
    variance = ops.maximum(layout.group_means(ops.square(centred)) - ops.square(shift), 0.0)
    rstd = ops.rsqrt(variance + epsilon)  # not ops.cast(epsilon), which makes it a float32 first
    return centre, shift, rstd, centred


def _wide_dtype(x: Tensor) -> str:
    """The type of statistics: float32, or float64 for float64."""
    return str(keras.backend.result_type(x.dtype, "float32"))
