"""Where the channels of a tensor are and how they form groups; averages over both."""

import math
from dataclasses import dataclass

from keras import ops

from keras_gn.typing import Tensor


@dataclass(frozen=True)
class Layout:
    """Tensors of this rank, with the channels at `axis` (counted from 0), in groups of neighbours.

    In the shapes below `[N, G, D]` has D numbers for each of the G groups of a sample: those of its C / G channels,
    or a single one.
    """

    rank: int
    axis: int
    channels: int
    groups: int

    @property
    def group_size(self) -> int:
        """The number of channels of a group."""
        return self.channels // self.groups

    def channel_means(self, x: Tensor) -> Tensor:
        """The means of the channels of each sample over all positions, `[N, G, C / G]`."""
        behind = tuple(range(self.axis + 1, self.rank))
        if behind:
            x = ops.mean(x, axis=behind)
        # One at a time, since one float32 sum over the whole of a 600x400 map made an error of 2e-5 (TensorFlow's
        # and NumPy's sums over the innermost axes are more exact). And the inner ones first, in memory's order.
        for position in reversed(range(1, self.axis)):
            x = ops.mean(x, axis=position)
        return self.by_group(x)

    def group_means(self, x: Tensor) -> Tensor:
        """The means of the groups of each sample, `[N, G, 1]`."""
        return over_channels(self.channel_means(x))

    def by_group(self, values: Tensor) -> Tensor:
        """`[N, C]` -> `[N, G, C / G]`, or `[C]` -> `[1, G, C / G]`."""
        return ops.reshape(values, (-1, self.groups, self.group_size))

    def spread(self, values: Tensor) -> Tensor:
        """`[N, G, 1]` or `[N, G, C / G]` -> a tensor that broadcasts against the whole one."""
        if values.shape[-1] != self.group_size:
            values = ops.tile(values, (1, 1, self.group_size))
        shape = [1] * self.rank
        shape[0], shape[self.axis] = -1, self.channels
        return ops.reshape(values, shape)

    def first_eighth(self, x: Tensor) -> Tensor:
        """At least an eighth of the positions: next to each other, and so fast to cut out, or else all."""
        size = ops.shape(x)[1]
        # The size is None in a symbolic Keras tensor.
        return x if self.axis == 1 or size is None else x[:, : (size + 7) // 8]

    def positions(self, x: Tensor) -> int | Tensor:
        """The number of positions; a tensor where the sizes of x are unknown."""
        return math.prod(size for i, size in enumerate(ops.shape(x)) if i not in (0, self.axis))


def over_channels(values: Tensor) -> Tensor:
    """`[N, G, C / G]` -> the means of the groups, `[N, G, 1]`."""
    return ops.mean(values, axis=-1, keepdims=True)
