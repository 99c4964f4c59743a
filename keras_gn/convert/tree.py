"""Every layer that a model can reach, wherever it is kept."""

import functools
import sys
import types
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import keras

Named = tuple[str, Any]

# Where the objects of these packages keep what they keep is known: in layers and containers.
_LIBRARIES = {"keras", "numpy", "tensorflow", "jax", "jaxlib", "torch", *sys.stdlib_module_names} - {
    "__main__",
    "types",
}
_LEAVES = (str, bytes, int, float, complex, type, types.ModuleType, keras.KerasTensor, keras.Variable)
# What a model was compiled with is not part of it.
_COMPILED = (keras.Loss, keras.Metric, keras.Optimizer)
_COMPILED_AS = {".loss", "._compile_config"}
# Graph nodes lead to the layers of other models; the wrappers of `build` and `quantize` to their own layer.
_INTERNAL = {"_inbound_nodes", "_outbound_nodes", "_tracker", "build", "quantize"}
_TRACKED = ("_layers", "_self_")
_INPUT = keras.layers.InputLayer


def find_layers(model: keras.Model, kind: type[keras.Layer]) -> dict[str, keras.Layer]:
    """The layers of type `kind` that `model` reaches, each once, by the first path that leads to it.

    Reached are the layers of functional and sequential models (`/name`), attributes (`.name`) of layers and of the
    user's own objects, items of containers (`[0]`, `['key']`), and what functions hold in closures and defaults.
    A layer shared by several owners is found once. Input layers are left out, unless `kind` says just them: they
    compute nothing, and a copy of a model may share them in another way.

    >>> inner = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(name="norm")], name="inner")
    >>> model = keras.Sequential([keras.Input((4,)), inner])
    >>> list(find_layers(model, keras.layers.BatchNormalization))
    ['inner/norm']
    """
    found: dict[str, keras.Layer] = {}
    seen: dict[int, Any] = {}  # holds the objects, so that no id is used again
    stack: list[Named] = [("", model)]
    while stack:
        path, item = stack.pop()
        if id(item) in seen:
            continue
        seen[id(item)] = item
        if isinstance(item, kind) and (kind is _INPUT or not isinstance(item, _INPUT)):
            found[path.removeprefix("/").removeprefix(".")] = item
        stack.extend(reversed([(path + step, child) for step, child in _children(item)]))
    return found


def is_inside(path: str, owner: str) -> bool:
    """Whether one path leads through the other.

    >>> is_inside("block.norms[0]", "block"), is_inside("block2.norm", "block"), is_inside("block", "")
    (True, False, True)
    """
    return owner == "" or (path.startswith(owner) and path[len(owner) :].startswith(("/", ".", "[")))


def _children(item: Any) -> Iterator[Named]:
    if isinstance(item, (*_LEAVES, *_COMPILED)):
        return
    if isinstance(item, Mapping):
        yield from ((f"[{key!r}]", value) for key, value in item.items())
    elif isinstance(item, list | tuple | set | frozenset | deque):
        yield from ((f"[{index}]", value) for index, value in enumerate(item))
    elif isinstance(item, types.FunctionType):
        yield from _held_by_function(item)
    elif isinstance(item, types.MethodType):
        yield from ((".__self__", item.__self__), (".__func__", item.__func__))
    elif isinstance(item, functools.partial):
        yield from ((".func", item.func), (".args", item.args), (".keywords", item.keywords))
    elif isinstance(item, keras.Operation):
        yield from _held_by_operation(item)
    elif type(item).__module__.split(".")[0] not in _LIBRARIES:
        yield from _attributes(item)


def _held_by_function(function: types.FunctionType) -> Iterator[Named]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f".<closure {name}>", cell.cell_contents
        except ValueError:  # a variable that was never assigned
            continue
    yield ".__defaults__", function.__defaults__
    yield ".__kwdefaults__", function.__kwdefaults__


def members_of(model: keras.Model) -> list[keras.Operation]:
    """What the graph or the list of a functional or sequential model consists of, in its order; else nothing."""
    return model.layers if isinstance(model, keras.Sequential) else getattr(model, "operations", [])


def _held_by_operation(operation: keras.Operation) -> Iterator[Named]:
    attributes = _attributes(operation)
    if isinstance(operation, keras.Model):
        yield from (("/" + member.name, member) for member in members_of(operation))
        attributes = ((step, value) for step, value in attributes if step not in _COMPILED_AS)
    yield from attributes


def _attributes(item: Any) -> Iterator[Named]:
    """Attributes, public names first, last the lists in which Keras and TensorFlow track what has better names."""
    values = {name: getattr(item, name, None) for name in _slots(type(item))} | getattr(item, "__dict__", {})
    if isinstance(item, keras.layers.Layer):  # on torch, modules are attributes that lie elsewhere
        values |= values.pop("_modules", None) or {}
    for name in sorted(values, key=lambda name: (name.startswith("_"), name.startswith(_TRACKED))):
        if name not in _INTERNAL:
            yield f".{name}", values[name]


def _slots(cls: type) -> list[str]:
    slots = [base.__dict__.get("__slots__", ()) for base in cls.__mro__]
    return [name for names in slots for name in ([names] if isinstance(names, str) else names)]
