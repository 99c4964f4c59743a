"""torch's state dicts, names to arrays, from a file or from memory; nothing is ever unpickled into objects."""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import UserError

StateDict = str | os.PathLike[str] | Mapping[str, Any]


def read_state_dict(weights: StateDict) -> dict[str, np.ndarray]:
    """The arrays of a state dict by name; bfloat16 as float32.

    Args:
        weights: A `.safetensors` file; a `.pth` or `.pt` file, which only torch can read (its `weights_only` reader
            makes tensors and refuses everything else); or a mapping of names to arrays.

    Raises:
        UserError: If the file is missing, of another kind, broken, or holds more than tensors; if torch is needed and
            not installed.

    >>> read_state_dict({"conv1.weight": [[1.0]]})["conv1.weight"].shape
    (1, 1)
    """
    if isinstance(weights, Mapping):
        return {str(name): np.asarray(value) for name, value in weights.items()}
    path = Path(weights)
    if path.suffix not in _READERS:
        raise UserError(f"`weights` must end in {', '.join(_READERS)}. Received: weights={str(path)!r}")
    if not path.is_file():
        raise UserError(f"`weights` must be a file that exists. Received: weights={str(path)!r}")
    return _READERS[path.suffix](path)


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from ml_dtypes import bfloat16  # Keras needs it, too; it makes the type known to NumPy.
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        loaded = load_file(path)
    except SafetensorError as error:
        raise UserError(
            f"`weights` must be a whole safetensors file. Received: weights={str(path)!r}: {error}"
        ) from error
    return {name: array.astype("float32") if array.dtype == bfloat16 else array for name, array in loaded.items()}


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError as error:
        raise UserError(
            f"`weights` must be a .safetensors file where torch isn't installed. Received: weights={str(path)!r}. "
            "Convert it once, wherever torch is: from safetensors.torch import save_file; "
            f"save_file(torch.load({path.name!r}, weights_only=True), {path.with_suffix('.safetensors').name!r})"
        ) from error
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise UserError(
            f"`weights` must be a whole file that holds tensors only. Received: weights={str(path)!r}: {error}"
        ) from error
    if not isinstance(loaded, Mapping) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise UserError(
            f"`weights` must hold a state dict, names to tensors. Received: weights={str(path)!r}, which holds "
            "something else: pass the part that is one as a mapping of names to arrays."
        )
    return {name: (value.float() if value.is_floating_point() else value).numpy() for name, value in loaded.items()}


_READERS = {".safetensors": _read_safetensors, ".pth": _read_torch, ".pt": _read_torch}
