"""Which channels form a group: the rules on `axis`, `groups` and `channels_per_group`, and their errors."""

import math

from keras_gn.typing import Shape


def channel_axis(axis: int, shape: Shape) -> int:
    """The index, counted from 0, of the channel axis of a tensor of `shape`; never 0, the batch axis.

    >>> channel_axis(-1, (None, 8, 8, 32))
    3
    """
    rank = len(shape)
    if not -rank <= axis < rank:
        raise ValueError(
            f"`axis` is out of bounds: an input of rank {rank} has the axes {-rank} to {rank - 1}. "
            f"Received: axis={axis}, input shape={shape}"
        )
    if axis % rank == 0:
        raise ValueError(
            "`axis` must name the channel axis, and axis 0 is the batch axis, whose samples are "
            "normalized independently; use -1 for channels-last or 1 for channels-first inputs. "
            f"Received: axis={axis}, input shape={shape}"
        )
    return axis % rank


def group_count(shape: Shape, axis: int, *, groups: int, channels_per_group: int | None = None) -> int:
    """The number of groups into which the channels of a tensor of `shape` fall.

    Args:
        shape: Shape of the input; the size of its `axis` must be known.
        axis: Channel axis.
        groups: Number of groups, or -1 for one group a channel.
        channels_per_group: The other way to choose: a group's number of channels. If given, `groups`
            is ignored.

    Raises:
        ValueError: If the channels can't be divided into such groups.

    >>> group_count((None, 8, 8, 64), -1, groups=32), group_count((None, 64), -1, groups=-1)
    (32, 64)
    >>> group_count((None, 8, 8, 64), -1, groups=32, channels_per_group=16)
    4
    """
    channels = shape[axis]
    if channels is None:
        raise ValueError(
            f"Axis {axis} of input tensor should have a defined dimension but the layer received an "
            f"input with shape {shape}. Give the number of channels in the input's shape."
        )
    if channels_per_group is not None:
        name, size = "channels_per_group", channels_per_group
        what = f"channels per group ({size})"
    elif groups == -1:
        return channels
    else:
        name, size = "groups", groups
        what = f"groups ({size})"
    choices = ", ".join(str(n) for n in range(1, channels + 1) if channels % n == 0)
    if size > channels:
        raise ValueError(
            f"The number of {what} cannot be more than the number of channels ({channels}). "
            f"Use one of {choices}. Received: {name}={size}, input shape={shape}"
        )
    if size < 1 or channels % size != 0:
        raise ValueError(
            f"The number of channels ({channels}) must be a multiple of the number of {what}. "
            f"Use one of {choices}. Received: {name}={size}, input shape={shape}"
        )
    return channels // size if channels_per_group is not None else size


def refuse_single_elements(shape: Shape, axis: int, *, group_count: int) -> None:
    """Raises ValueError if every group is known to hold one element, which would erase the input.

    One element equals its group's mean, so the normalized value is 0 and the output `beta`, whatever the
    input: this happens to instance normalization of `[N, C]` tensors and of 1x1 maps.

    >>> refuse_single_elements((None, 1, 1, 64), -1, group_count=32)
    """
    spatial = [size for index, size in enumerate(shape) if index not in (0, axis % len(shape))]
    channels = shape[axis]
    if channels is None or None in spatial:
        return
    if channels // group_count * math.prod(size for size in spatial if size is not None) == 1:
        raise ValueError(
            "Each group must have more than one element. Here a group has one channel and one position, "
            "which is its own mean: the output would be `beta` whatever the input. Use fewer groups "
            f"(`groups=1` is layer normalization), at least 2 channels per group, or larger feature maps. "
            f"Received: groups={group_count}, input shape={shape}"
        )
