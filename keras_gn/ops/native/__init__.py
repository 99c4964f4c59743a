"""The native CPU kernel for TensorFlow: compiled once on the user's machine, kept in a private cache, loaded safely."""

from keras_gn.ops.native.errors import BuildError, NativeUnavailableError
from keras_gn.ops.native.library import build, load

__all__ = ["BuildError", "NativeUnavailableError", "build", "load"]
