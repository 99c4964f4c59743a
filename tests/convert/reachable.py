"""What an object keeps alive, found without knowing anything of how it keeps it."""

import gc
import types

import keras

_BOUNDARIES = (type, types.ModuleType, types.FrameType, keras.Variable)


def reachable(root, kind):
    """All objects of type `kind` that can be reached from `root`, each once, in no order.

    Python's own garbage collector says what an object refers to. Functions lead to what their closures hold, and not to
    the globals of their modules, since these lead to everything.
    """
    found, seen, stack = [], {id(root)}, [root]
    while stack:
        item = stack.pop()
        if isinstance(item, kind):
            found.append(item)
        for child in _referents(item):
            if id(child) not in seen and not isinstance(child, _BOUNDARIES):
                seen.add(id(child))
                stack.append(child)
    return found


def _referents(item):
    if isinstance(item, types.FunctionType):
        return [item.__closure__, item.__defaults__, item.__kwdefaults__]
    return gc.get_referents(item)
