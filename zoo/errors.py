"""Errors that a user can cause and mend; the command line prints them without a traceback."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Bad input: the message names the argument, the rule, what was received and the way out."""


def unknown_name(argument: str, received: str, valid: Iterable[str]) -> UserError:
    """The error for a `received` name that is not among the `valid` ones; it offers the nearest.

    >>> str(unknown_name("model", "resnet5", ["resnet50", "simplenet"]))
    "`model` must be one of resnet50, simplenet. Received: model='resnet5'. Did you mean resnet50?"
    """
    names = sorted(valid)
    # Two letters are near when one of them is right.
    cutoff = 0.6 if len(received) > 3 else 0.5
    nearest = difflib.get_close_matches(received.lower(), names, n=3, cutoff=cutoff)
    hint = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
    return UserError(f"`{argument}` must be one of {', '.join(names)}. Received: {argument}={received!r}.{hint}")
