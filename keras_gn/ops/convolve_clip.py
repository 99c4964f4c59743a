"""The convolution of a clip as one convolution of images, whose gradient CPUs compute far faster."""

from keras import ops

from keras_gn.typing import Tensor


def convolve_clip(x: Tensor, kernel: Tensor, *, strides: tuple[int, int, int], padding: str) -> Tensor:
    """What `keras.ops.conv` makes of `x` and `kernel`.

        y[n, t, i, j, o] = sum over (a, b, c, d) of x[n, t * s0 + a, i * s1 + b, j * s2 + c, d] * kernel[a, b, c, d, o]

    A kernel over time alone convolves images of T rows and H * W columns. Any other convolves N * T images, whose
    channels are those of all frames that the kernel covers, so that this takes its number of frames times the memory of
    `x`.

    Args:
        x: `[N, T, H, W, C]`.
        kernel: `[kT, kH, kW, C, out]`.
        strides: Along time, height and width; where `padding` is "same", that along time must be 1.
        padding: "valid" or "same", as in Keras.

    >>> import numpy as np
    >>> x, kernel = np.ones((1, 4, 5, 6, 2), "float32"), np.ones((3, 3, 3, 2, 8), "float32")
    >>> tuple(convolve_clip(x, kernel, strides=(1, 2, 2), padding="same").shape)
    (1, 4, 3, 3, 8)
    """
    batch, frames, height, width, channels = ops.shape(x)
    covered, *sides, _, filters = kernel.shape
    if sides == [1, 1] and strides[1:] == (1, 1):
        rows = ops.reshape(x, (batch, frames, height * width, channels))
        y = ops.conv(rows, kernel[:, 0], (strides[0], 1), padding)
        return ops.reshape(y, (batch, -1, height, width, filters))
    if padding == "same":
        before = (covered - 1) // 2
        x = ops.pad(x, ((0, 0), (before, covered - 1 - before), (0, 0), (0, 0), (0, 0)))
        frames += covered - 1
    last = frames - covered + 1
    x = ops.concatenate([x[:, first : last + first : strides[0]] for first in range(covered)], axis=-1)
    windows = ops.shape(x)[1]
    images = ops.reshape(x, (batch * windows, height, width, covered * channels))
    by_place = ops.reshape(ops.transpose(kernel, (1, 2, 0, 3, 4)), (*sides, covered * channels, filters))
    y = ops.conv(images, by_place, strides[1:], padding)
    return ops.reshape(y, (batch, windows, *ops.shape(y)[1:]))
