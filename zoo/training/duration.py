"""Durations in epochs or optimizer steps."""

import re

from zoo.errors import UserError

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(epochs?|steps?)?")


def in_steps(duration: str, steps_per_epoch: float, *, argument: str = "duration") -> int:
    """Optimizer steps of a duration given in epochs (the default unit) or in steps.

    >>> in_steps("1.5", 100), in_steps("30epochs", 100), in_steps("500steps", 100)
    (150, 3000, 500)
    """
    match = _DURATION.fullmatch(duration.strip())
    if match is None:
        raise UserError(
            f"`{argument}` must be a number of epochs or steps, as 5, 0.5epochs or 500steps. "
            f"Received: {argument}={duration!r}."
        )
    number, unit = float(match[1]), match[2] or "epochs"
    return round(number if unit.startswith("step") else number * steps_per_epoch)
