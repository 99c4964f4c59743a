"""Names for what keras_gn passes around; Keras itself is untyped."""

from typing import Any, TypeAlias

# A tensor of the active backend, a symbolic Keras tensor or a NumPy array.
Tensor: TypeAlias = Any

# A tensor's shape; None stands for a size that is not known yet.
Shape: TypeAlias = tuple[int | None, ...]
