"""Averages in the form that TensorFlow's XLA compiles well for a CPU."""

import math

from keras import ops

from keras_gn.ops.layout import Layout
from keras_gn.typing import Tensor


class XlaCpuLayout(Layout):
    """A layout that averages along the axis before the channels by products with constant matrices.

    XLA (seen in TensorFlow 2.21) merges an elementwise operation and a sum over other axes than the innermost into a
    loop that jumps through memory for each result; to write the operation's result and to multiply it by a matrix
    is 2 to 20 times faster. Only on a CPU: other devices round the factors of a product to fewer digits.
    """

    def channel_means(self, x: Tensor) -> Tensor:
        if self.axis == 1:
            return super().channel_means(x)
        shape = ops.shape(x)
        outer, count, inner = shape[: self.axis - 1], shape[self.axis - 1], shape[self.axis :]
        x = ops.reshape(x, (math.prod(outer), count, math.prod(inner)))
        # Four equal rows, each a quarter of the mean: XLA's product with fewer sums 240,000 numbers with an error
        # of 2e-5, and that with one is slow.
        rows = ops.ones((math.prod(outer), 4, count), x.dtype) / ops.cast(4 * count, x.dtype)
        x = ops.reshape(ops.sum(ops.matmul(rows, x), axis=1), (*outer, *inner))
        return Layout(self.rank - 1, self.axis - 1, self.channels, self.groups).channel_means(x)

    def group_means(self, x: Tensor) -> Tensor:
        if self.axis != self.rank - 1:
            return super().group_means(x)
        # The channels of a group, neighbours on the innermost axis, are summed well, which leaves less to multiply.
        shape = ops.shape(x)
        x = ops.reshape(x, (shape[0], math.prod(shape[1:-1]), self.groups, self.group_size))
        x = ops.reshape(ops.mean(x, axis=-1), (*shape[:-1], self.groups))
        return XlaCpuLayout(self.rank, self.axis, self.groups, self.groups).channel_means(x)
