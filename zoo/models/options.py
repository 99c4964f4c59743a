"""Options of models, which may come from a command line: whether their values are of the kind of their defaults."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from zoo.errors import UserError


def check_kinds(builder: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Refuses options of another kind than the default of the builder's argument, where that is a number or a bool.

    Raises:
        UserError: If there is one: the string "False", for instance, would be taken as true.

    >>> check_kinds(lambda *, masks=True, seed=None: None, {"masks": False, "seed": "any"})
    """
    for name, parameter in inspect.signature(builder).parameters.items():
        default = parameter.default
        if name in options and isinstance(default, bool | int | float) and not is_like(options[name], default):
            rule = "true or false" if isinstance(default, bool) else f"such as {default!r}"
            raise UserError(f"`{name}` must be {rule}. Received: {name}={options[name]!r}")


def is_like(value: Any, default: Any) -> bool:
    """Whether a value is of the kind of the default: numbers, as many as you like where that has several.

    >>> is_like([1, 2.5, 3], (0.5, 1.0)), is_like(True, 1), is_like(2, 1.0), is_like(2.0, 1)
    (True, False, True, False)
    """
    if isinstance(default, tuple):
        return isinstance(value, tuple | list) and all(is_like(each, default[0]) for each in value)
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    return isinstance(value, int if isinstance(default, int) else int | float)
