"""How many groups a layer gets, and why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from keras_gn.convert.errors import ConversionError
from keras_gn.layers.arguments import valid_channels_per_group, valid_groups

GroupsArgument = str | int | Callable[[keras.layers.Layer, int], int]

# The larger a group, the less its moments differ from one sample to the next, and the more of batch normalization's
# function stays, mostly. Groups of 16 to 64 channels, and down to 8 groups a layer, cost at most 0.3 points of ImageNet
# accuracy when trained from scratch (Wu & He, arXiv 1803.08494, table 3).
_LEAST_CHANNELS = 16
_MOST_CHANNELS = 64
_FEWEST_GROUPS = 8


@dataclass(frozen=True)
class Choice:
    """A number of groups, and the reason for it."""

    groups: int
    reason: str


@dataclass(frozen=True)
class GroupsPolicy:
    """The rule that a user chose for all layers.

    Args:
        groups: "auto", a number, -1 for one group a channel, or a function `(layer, channels) -> groups`.
        channels_per_group: The other way to choose; then `groups` must be "auto" and is ignored.

    Raises:
        ValueError: If `groups` or `channels_per_group` is none of these.
    """

    groups: GroupsArgument = "auto"
    channels_per_group: int | None = None

    def __post_init__(self) -> None:
        valid_channels_per_group(self.channels_per_group)
        if self.groups == "auto" or callable(self.groups):
            return
        if isinstance(self.groups, str):
            raise ValueError(
                "`groups` must be 'auto', a positive integer, -1 for one group a channel, or a function "
                f"(layer, channels) -> groups. Received: groups={self.groups!r}"
            )
        valid_groups(self.groups)

    def choose(self, layer: keras.layers.Layer, *, path: str, channels: int, positions: int | None) -> Choice:
        """The groups of one layer.

        Args:
            layer: The layer, for a function to look at.
            path: Where the layer is in its model, for messages.
            channels: Number of channels.
            positions: Product of the spatial sizes, 1 for rank 2; None if unknown.

        Raises:
            ConversionError: If one group a channel, or a function's choice, would leave single elements, or if a
                function's choice doesn't divide the channels.
        """
        if self.channels_per_group is not None:
            rule = f"{self.channels_per_group} channels a group"
            return _nearest(channels / self.channels_per_group, rule, channels, positions)
        if self.groups == "auto":
            return _automatic(channels)
        if callable(self.groups):
            wanted, source = self.groups(layer, channels), "the function's choice"
        elif self.groups == -1:
            wanted, source = channels, "one group a channel"
        else:
            return _nearest(int(self.groups), f"{self.groups} groups", channels, positions)
        return _exactly(wanted, source, path=path, channels=channels, positions=positions)


class EachChannel:
    """The rule for layers that treat each channel alone, and so know no groups."""

    def choose(self, layer: keras.layers.Layer, *, path: str, channels: int, positions: int | None) -> Choice:
        """One group a channel, whatever the layer."""
        del layer, path, positions
        return Choice(channels, "each channel alone: exact")


Policy = GroupsPolicy | EachChannel


def sizes_that_train_well(channels: int) -> list[int]:
    """The group sizes to choose from, ascending: from 16 channels to 64, or an eighth of all if that is more.

    >>> sizes_that_train_well(256), sizes_that_train_well(1024), sizes_that_train_well(24), sizes_that_train_well(67)
    ([16, 32, 64], [16, 32, 64, 128], [24], [67])
    """
    most = max(_MOST_CHANNELS, channels // _FEWEST_GROUPS)
    return [size for size in _divisors(channels) if _LEAST_CHANNELS <= size <= most] or [channels]


def _automatic(channels: int) -> Choice:
    size = sizes_that_train_well(channels)[-1]
    return Choice(channels // size, f"the largest groups that train well: {size} channels")


def _nearest(wanted: float, rule: str, channels: int, positions: int | None) -> Choice:
    """The number of groups nearest in ratio to `wanted`, the smaller of two; never single elements."""
    if wanted in _divisors(channels) and _elements(int(wanted), channels, positions) > 1:
        return Choice(int(wanted), rule)
    candidates = [groups for groups in _divisors(channels) if groups < channels] or [1]
    groups = min(candidates, key=lambda groups: (max(groups / wanted, wanted / groups), groups))
    if wanted in _divisors(channels):
        return Choice(groups, f"{rule} would leave single elements: the nearest that don't")
    return Choice(groups, f"{rule} don't fit {channels} channels: the nearest that do")


def _exactly(wanted: Any, source: str, *, path: str, channels: int, positions: int | None) -> Choice:
    try:
        groups = valid_groups(wanted)
    except ValueError as error:
        raise ConversionError(f"Layer '{path}': {error} from `groups`, a function.") from error
    groups = channels if groups == -1 else groups
    if channels % groups:
        raise ConversionError(
            f"`groups` must divide the {channels} channels of layer '{path}'. Received: groups={groups}, {source}. "
            f"Choose one of {_divisors(channels)}."
        )
    if _elements(groups, channels, positions) == 1:
        raise ConversionError(
            f"Layer '{path}' would have a single element a group, {channels} channels at a single position in {groups} "
            f"groups, and put out nothing but beta. Received: groups={groups}, {source}. Choose groups='auto', fewer "
            "groups for this layer by a function (layer, channels) -> groups, or leave it out by `layer_filter`."
        )
    return Choice(groups, source)


def _elements(groups: int, channels: int, positions: int | None) -> int:
    return channels // groups * (positions or 2)


def _divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]
