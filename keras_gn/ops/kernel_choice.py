"""Which implementation of group normalization computes: the choice, and the ways to make it."""

import functools
import importlib
import logging
import os
from types import ModuleType

import keras

from keras_gn.ops.native import NativeUnavailableError, load
from keras_gn.ops.native.library import builds

logger = logging.getLogger(__name__)

_NAMES = ("auto", "portable", "native")
# The backends that have a kernel of their own; the others take the portable mathematics as it is.
_PORTABLE = {
    "tensorflow": "keras_gn.ops.tensorflow_kernel",
    "jax": "keras_gn.ops.jax_kernel",
    "torch": "keras_gn.ops.torch_kernel",
}
_chosen: str | None = None


def set_kernel(name: str) -> None:
    """Chooses the kernel of `group_normalize`, and so of the layers, for what is computed or traced from now on.

    * `"auto"`, the default: the native kernel where it is built and safe, otherwise the portable one. Safe are
      eager execution, graphs that compute gradients, and Keras' `fit`, `evaluate` and `predict`; not XLA, a
      machine with a GPU, and other graphs, which may be exported to where there is no such op.
    * `"portable"`: the portable kernel, everywhere.
    * `"native"`: the native kernel in other graphs, too; never under XLA, which has no such op. Such a graph
      can't be saved, and saving it is refused.

    The environment variable `KERAS_GN_KERNEL` sets the choice that a process starts with. A function that has
    been traced keeps its kernel.

    Raises:
        ValueError: If `name` is no such choice.
        NativeUnavailableError: If `name` is `"native"` and it isn't built.

    >>> set_kernel("portable")
    >>> kernel()
    'portable'
    >>> set_kernel("auto")
    """
    global _chosen
    _check(name, argument="name")
    if name == "native":
        _load_native()
    _chosen = name


def kernel() -> str:
    """The name of the kernel that would compute here: `"native"` or `"portable"`.

    >>> kernel() in ("native", "portable")
    True
    """
    return "portable" if native_kernel() is None else "native"


def chosen_kernel() -> str:
    """What `set_kernel` or `KERAS_GN_KERNEL` asks for.

    Raises:
        ValueError: If the environment variable is no such choice.
    """
    return _chosen or _check(os.environ.get("KERAS_GN_KERNEL") or "auto", argument="KERAS_GN_KERNEL")


def native_kernel() -> ModuleType | None:
    """The native kernel, if it is to compute here."""
    name = chosen_kernel()
    if name == "portable" or keras.backend.backend() != "tensorflow":
        return None
    native = _load_native() if name == "native" else _native_if_built(builds())
    return native if native is not None and native.usable_here(in_any_graph=name == "native") else None


def portable_kernel() -> ModuleType:
    """The portable kernel of Keras' backend."""
    return importlib.import_module(_PORTABLE.get(keras.backend.backend(), "keras_gn.ops.portable"))


def _check(name: str, *, argument: str) -> str:
    if name not in _NAMES:
        raise ValueError(f"`{argument}` must be one of {', '.join(_NAMES)}. Received: {argument}={name!r}")
    return name


def _load_native() -> ModuleType:
    """Raises NativeUnavailableError if it isn't built, or if Keras runs on another backend."""
    if (backend := keras.backend.backend()) != "tensorflow":
        raise NativeUnavailableError(
            f"The native kernel is a TensorFlow op, and Keras runs on {backend}. Use the portable kernel."
        )
    load()
    return importlib.import_module("keras_gn.ops.native.tensorflow_kernel")


@functools.lru_cache(maxsize=1)
def _native_if_built(builds: int) -> ModuleType | None:
    """The native kernel; without it, says so once, and looks again after this process has built it."""
    try:
        return _load_native()
    except NativeUnavailableError as error:
        logger.warning("Group normalization uses the slower, portable kernel. %s", error)
        return None
