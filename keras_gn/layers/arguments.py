"""Checks of arguments that layers share; each gives back a plain Python number, which JSON can hold."""

import math
import numbers
import operator
from typing import Any


def valid_groups(groups: Any) -> int:
    """`groups` as a positive int, or -1."""
    number = _integer(groups)
    if number is None or (number < 1 and number != -1):
        raise ValueError(
            "The argument `groups` must be a positive integer, or -1 for one group a channel. "
            f"Received: groups={groups!r}"
        )
    return number


def valid_channels_per_group(channels_per_group: Any) -> int | None:
    """`channels_per_group` as a positive int, or None."""
    number = _integer(channels_per_group)
    if channels_per_group is not None and (number is None or number < 1):
        raise ValueError(
            "The argument `channels_per_group` must be a positive integer, or None to choose by `groups`. "
            f"Received: channels_per_group={channels_per_group!r}"
        )
    return number


def single_axis(axis: Any) -> int:
    """`axis`, one integer or a list or tuple of one, as an int."""
    candidates = list(axis) if isinstance(axis, list | tuple) else [axis]
    number = _integer(candidates[0]) if len(candidates) == 1 else None
    if number is None:
        raise ValueError(
            "The argument `axis` must be one integer, the channel axis, or a list or tuple with one integer. "
            f"All other axes but the batch axis are normalized over anyway. Received: axis={axis!r}"
        )
    return number


def valid_epsilon(epsilon: Any, *, name: str = "epsilon") -> float:
    """`epsilon`, the argument called `name`, as a finite float of at least 0."""
    number = float(epsilon) if isinstance(epsilon, numbers.Real) else math.nan
    if not 0 <= number < math.inf:
        raise ValueError(
            f"The argument `{name}` must be a finite number of at least 0, small against the variance. "
            f"Received: {name}={epsilon!r}"
        )
    return number


def _integer(value: Any) -> int | None:
    """`value` (an int or one of NumPy's) as an int; None if it isn't an integer."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None
