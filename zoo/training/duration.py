"""Durations in epochs, optimizer steps or shares of a run."""

import re

from zoo.errors import UserError

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(epochs?|steps?|%)?")


def in_steps(duration: str, steps_per_epoch: float, *, total_steps: int = 0, argument: str = "duration") -> int:
    """Optimizer steps of a duration given in epochs (the default unit), in steps, or in percent of the whole run.

    >>> in_steps("1.5", 100), in_steps("30epochs", 100), in_steps("500steps", 100), in_steps("5%", 100, total_steps=900)
    (150, 3000, 500, 45)
    """
    match = _DURATION.fullmatch(duration.strip())
    if match is None:
        raise UserError(
            f"`{argument}` must be a number of epochs or steps, as 5, 0.5epochs or 500steps, or a share of the run, as "
            f"10%. Received: {argument}={duration!r}."
        )
    number, unit = float(match[1]), match[2] or "epochs"
    if unit.startswith("step") and number % 1:
        raise UserError(f"`{argument}` in steps must be a whole number of them. Received: {argument}={duration!r}.")
    if unit == "%":
        return round(number / 100 * total_steps)
    return round(number if unit.startswith("step") else number * steps_per_epoch)


def interval_in_steps(
    duration: str, steps_per_epoch: float, *, total_steps: int = 0, argument: str = "duration"
) -> int:
    """As `in_steps`, for what happens again and again: at least one step, and not every 0 epochs or steps.

    >>> interval_in_steps("0.001", 100), interval_in_steps("0.5", 100)
    (1, 50)
    """
    steps = in_steps(duration, steps_per_epoch, total_steps=total_steps, argument=argument)
    if not float(_DURATION.fullmatch(duration.strip())[1]):
        raise UserError(
            f"`{argument}` must be longer than 0, as 0.5 (epochs) or 500steps. Received: {argument}={duration!r}. "
            "Leave it out for its default."
        )
    return max(steps, 1)
