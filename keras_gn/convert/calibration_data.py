"""Whatever holds a model's inputs, as a list of checked batches."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

# A Keras tensor or a nested structure of them, as the model was built with; None where Keras doesn't know.
Inputs = Any

_ARGUMENT = "`calibration_data` (in `distill`: `data`)"


def read_calibration_data(data: Any, model: keras.Model, *, batch_size: int = 16, limit: int = 1024) -> list[Any]:
    """The inputs of `model` in `data`, read once and checked, in batches of at most `batch_size`.

    Of arrays with more than `limit` samples, `limit` evenly spread ones are taken, for data sets are often sorted by
    class. Everything else is read from its beginning, until there are `limit` samples. Targets and sample weights
    are left out. Arrays of floating inputs get the dtype of the input, as they do when Keras calls the model.

    Args:
        data: One of
            - an array or tensor, `[N, ...]`;
            - for a model with several inputs: a dict of arrays by the inputs' names, or a list or tuple of them;
            - a tuple of these with targets: `(x,)`, `(x, y)` or `(x, y, sample_weight)`;
            - anything that gives batches (each one of the above): a list, a generator, a `tf.data.Dataset`, a torch
              `DataLoader`, a `keras.utils.PyDataset`.
        model: The model whose inputs these are. Of a model whose inputs Keras doesn't know (a subclassed one), shapes
            are not checked, and a tuple or list that is a batch is always `(x[, y[, sample_weight]])`.
        batch_size: The most samples a batch.
        limit: The most samples in all.

    Returns:
        The batches; each is an array or a nested structure of arrays, `[n, ...]` with `1 <= n <= batch_size`, that
        `model(batch)` takes.

    Raises:
        TypeError: If `data` is none of these, or holds something else than numbers.
        ValueError: If `data` is empty, holds NaN or infinity, or doesn't fit the inputs of the model.

    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    >>> batches = read_calibration_data((np.ones((20, 3)), np.zeros(20)), model)
    >>> [(batch.shape, batch.dtype.name) for batch in batches]
    [((16, 3), 'float32'), ((4, 3), 'float32')]
    """
    expected = model_inputs(model)
    batches: list[Any] = []
    room = limit
    for place, element in _elements(data, expected):
        inputs = element if expected is None else _arranged(element, expected)
        leaves = [_array(leaf) for leaf in keras.tree.flatten(inputs)]
        tensors = [None] * len(leaves) if expected is None else keras.tree.flatten(expected)
        leaves = [_fitting(leaf, tensor) for leaf, tensor in zip(leaves, tensors, strict=True)]
        rows = evenly_spread(_number_of_samples(leaves), room)
        for start in range(0, len(rows), batch_size):
            chosen = rows[start : start + batch_size]
            batch = [_finite_rows(*pair, chosen, place) for pair in zip(leaves, tensors, strict=True)]
            _append(batches, keras.tree.pack_sequence_as(inputs, batch), batch_size)
        room -= len(rows)
        if room == 0:
            break
    if not batches:
        raise ValueError(
            f"The argument {_ARGUMENT} must hold at least one sample; a few hundred inputs of the model serve "
            f"best, and a generator can be read only once. Received: calibration_data={_describe(data)}"
        )
    return batches


def _append(batches: list[Any], batch: Any, batch_size: int) -> None:
    """Appends `batch`, or adds its samples to the last batch if they fit there."""
    if batches:
        last, new = keras.tree.flatten(batches[-1]), keras.tree.flatten(batch)
        kinds = [[(leaf.shape[1:], leaf.dtype) for leaf in leaves] for leaves in (last, new)]
        if kinds[0] == kinds[1] and len(last[0]) + len(new[0]) <= batch_size:
            merged = [np.concatenate(pair) for pair in zip(last, new, strict=True)]
            batches[-1] = keras.tree.pack_sequence_as(batch, merged)
            return
    batches.append(batch)


def evenly_spread(count: int, limit: int) -> np.ndarray:
    """The indices of at most `limit` of `count` items, evenly spread, in order.

    >>> evenly_spread(10, 4)
    array([0, 2, 5, 7])
    >>> evenly_spread(3, 4)
    array([0, 1, 2])
    """
    chosen = min(count, limit)
    return np.arange(chosen) * count // max(chosen, 1)


def model_inputs(model: keras.Model) -> Inputs:
    """The symbolic inputs of `model` in the structure that it takes; None if Keras doesn't know them."""
    inputs = getattr(model, "inputs", None)
    if inputs is None:
        return None
    return inputs[0] if isinstance(model, keras.Sequential) else model.input


def _elements(data: Any, expected: Inputs) -> Iterator[tuple[str, Any]]:
    """The inputs in `data`, batch by batch, each with the words that name its place; arrays are one batch."""
    several = expected is not None and len(keras.tree.flatten(expected)) > 1
    if _is_array(data) or isinstance(data, Mapping):
        yield "", data
    elif isinstance(data, tuple) or (isinstance(data, list) and data and several and all(map(_is_array, data))):
        yield "", _without_targets(data, several=several)
    elif hasattr(data, "__iter__") and not isinstance(data, str | bytes):
        for index, element in enumerate(data):
            yield f" of batch {index}", _without_targets(element, several=several)
    else:
        raise TypeError(
            f"The argument {_ARGUMENT} must hold inputs of the model: an array, a dict or list of arrays for a "
            "model with several inputs, or anything that gives batches (a generator, a tf.data.Dataset, a DataLoader). "
            f"Received: calibration_data={data!r}"
        )


def _without_targets(element: Any, *, several: bool) -> Any:
    """The x of x, (x,), (x, y) and (x, y, sample_weight), or of the same in a list, as torch's loaders give it."""
    if not isinstance(element, list | tuple):
        return element
    if several and element and not isinstance(element[0], list | tuple | Mapping):
        return element  # the inputs themselves
    if not 1 <= len(element) <= 3:
        raise ValueError(
            f"Each batch of the argument {_ARGUMENT} must be x, (x,), (x, y) or (x, y, sample_weight). "
            f"Received: {_describe(element)}"
        )
    return element[0]


def _arranged(inputs: Any, expected: Inputs) -> Any:
    """`inputs` in the structure of `expected`, whatever way Keras lets one give them."""
    tensors = keras.tree.flatten(expected)
    if isinstance(inputs, Mapping):
        if isinstance(expected, dict) and set(expected) <= set(inputs):
            return {name: _arranged(inputs[name], part) for name, part in expected.items()}
        if {tensor.name for tensor in tensors} <= set(inputs):
            return keras.tree.pack_sequence_as(expected, [inputs[tensor.name] for tensor in tensors])
    elif isinstance(inputs, list | tuple):
        if isinstance(expected, list | tuple) and len(inputs) == len(expected):
            return [_arranged(part, tensor) for part, tensor in zip(inputs, expected, strict=True)]
    elif len(tensors) == 1:
        return keras.tree.pack_sequence_as(expected, [inputs])
    names = ", ".join(tensor.name for tensor in tensors)
    order = "" if isinstance(expected, dict) else " or in a list in this order"
    raise ValueError(
        f"The argument {_ARGUMENT} must hold an array for each input of the model ({names}), in a dict by "
        f"these names{order}. Received: {_describe(inputs)}"
    )


def _array(leaf: Any) -> np.ndarray:
    """`leaf`, an array or tensor of any library, as NumPy's."""
    try:
        array = keras.ops.convert_to_numpy(leaf) if keras.ops.is_tensor(leaf) else np.asarray(leaf)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"The argument {_ARGUMENT} must hold arrays of numbers ({error}). Received: {_describe(leaf)}"
        ) from error
    # bfloat16 and its like are no kinds of NumPy's own, but casts from them are.
    if array.ndim == 0 or (array.dtype.kind not in "biuf" and "float" not in array.dtype.name):
        raise TypeError(
            f"The argument {_ARGUMENT} must hold arrays of numbers whose first axis counts the samples. "
            f"Received: {_describe(leaf)}"
        )
    return array


def _fitting(array: np.ndarray, tensor: keras.KerasTensor | None) -> np.ndarray:
    """`array` with the rank of the input `tensor`; a last axis of 1 may be missing or too many, as in Keras."""
    if tensor is None:
        return array
    rank = len(tensor.shape)
    fitting = array
    if array.ndim == rank - 1 and tensor.shape[-1] == 1:
        fitting = array[..., np.newaxis]
    elif array.ndim == rank + 1 and array.shape[-1] == 1:
        fitting = array[..., 0]
    sizes = zip(fitting.shape[1:], tensor.shape[1:], strict=False)
    if fitting.ndim != rank or any(size != wanted for size, wanted in sizes if wanted is not None):
        raise ValueError(
            f"The argument {_ARGUMENT} must have the shape (samples, {', '.join(map(str, tensor.shape[1:]))}) "
            f"of the model's input '{tensor.name}'; a tf.data.Dataset must be batched. Received: {_describe(array)}"
        )
    return fitting


def _number_of_samples(leaves: list[np.ndarray]) -> int:
    """The length of the first axis, which all arrays must have in common."""
    lengths = sorted({len(leaf) for leaf in leaves})
    if len(lengths) > 1:
        raise ValueError(
            f"All arrays of the argument {_ARGUMENT} must have the same number of samples. "
            f"Received: arrays with {', '.join(map(str, lengths))} samples"
        )
    return lengths[0] if lengths else 0


def _finite_rows(array: np.ndarray, tensor: keras.KerasTensor | None, rows: np.ndarray, place: str) -> np.ndarray:
    """The chosen rows of `array` as the input `tensor` takes them; `place` is the batch they are in, in words."""
    chosen: np.ndarray = array[rows]
    dtype = chosen.dtype if tensor is None else np.dtype(tensor.dtype)
    if "float" in dtype.name:  # integers are left to the model: an Embedding looks them up
        with np.errstate(over="ignore"):  # it becomes infinity, which is refused next
            chosen = chosen.astype(dtype, copy=False)
    bad = np.argwhere(~np.isfinite(chosen))
    if len(bad):
        where = f"sample {rows[bad[0, 0]]}{place}" + ("" if tensor is None else f", input '{tensor.name}'")
        raise ValueError(
            f"The argument {_ARGUMENT} must be finite, for one NaN or infinity spoils the means of all samples; "
            f"leave such samples out. Received: {chosen[tuple(bad[0])]} in {where}"
        )
    return chosen


def _is_array(data: Any) -> bool:
    """Whether `data` is an array or tensor of any library; a data set isn't."""
    return hasattr(data, "__array__")


def _describe(data: Any) -> str:
    """`data` for a message: shapes and types, no values.

    >>> _describe([np.ones((2, 3)), {"y": None}])
    "[float64 array of shape (2, 3), {'y': None}]"
    """
    if _is_array(data):
        return f"{getattr(data, 'dtype', 'unknown')} array of shape {tuple(np.shape(data))}"
    if isinstance(data, Mapping):
        return "{" + ", ".join(f"{name!r}: {_describe(part)}" for name, part in data.items()) + "}"
    if isinstance(data, list | tuple):
        parts = [_describe(part) for part in data[:4]] + ["..."] * (len(data) > 4)
        return f"[{', '.join(parts)}]" if isinstance(data, list) else f"({', '.join(parts)})"
    return repr(data)
