"""What an image-classification example and batch are: keys, dtypes, shapes and units, with a check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class Field:
    """One value of an example or a batch; None in `shape` is any size."""

    dtype: tf.DType
    shape: tuple[int | None, ...]
    units: str


# As decoded. H and W may differ from image to image; C is 1 or 3. `Records` sees to it for images in memory.
EXAMPLE = {
    "image": Field(tf.uint8, (None, None, None), "pixel values 0 to 255 (sRGB or gray), [H, W, C]"),
    "label": Field(tf.int32, (), "index into the data set's class names, from 0"),
}

# As a model takes it. B is the batch size, S the data set's image size, C its channels.
BATCH = {
    "image": Field(tf.float32, (None, None, None, None), "(pixel / 255 - mean) / std, [B, S, S, C]"),
    "label": Field(tf.int32, (None,), "index into the data set's class names, from 0, [B]"),
}

# As a server takes it.
FILE_BATCH = {
    "file": Field(tf.string, (None,), "contents of a JPEG, PNG, BMP or GIF file, [B]"),
    "label": BATCH["label"],
}


def check(values: Mapping[str, Any] | Sequence[Any], schema: Mapping[str, Field]) -> None:
    """Compares `values` (arrays, tensors or TensorSpecs) with `schema`; a sequence is in the schema's order.

    Args:
        values: key -> value, or the values alone in the order of the schema's keys.
        schema: `EXAMPLE`, `BATCH` or `FILE_BATCH`.

    Raises:
        ValueError: a key is missing or unknown, or a dtype or shape is not the schema's.

    >>> import numpy as np
    >>> check((np.zeros([4, 8, 8, 1], "float32"), np.zeros([4], "int32")), BATCH)
    >>> check({"image": np.zeros([8, 8, 1], "float32"), "label": np.int32(3)}, EXAMPLE)
    Traceback (most recent call last):
    ...
    ValueError: `image` must be uint8 [?, ?, ?]: pixel values 0 to 255 (sRGB or gray), [H, W, C]. Received: \
image=float32 [8, 8, 1].
    """
    if not isinstance(values, Mapping):
        if len(values) != len(schema):
            raise ValueError(f"`values` must be ({', '.join(schema)}). Received: {len(values)} values.")
        values = dict(zip(schema, values, strict=True))
    if set(values) != set(schema):
        raise ValueError(f"`values` must have the keys {sorted(schema)}. Received: {sorted(values)}.")
    for key, field in schema.items():
        dtype, shape = tf.as_dtype(values[key].dtype), tf.TensorShape(values[key].shape)
        if dtype != field.dtype or not shape.is_compatible_with(field.shape):
            raise ValueError(
                f"`{key}` must be {_form(field.dtype, field.shape)}: {field.units}. "
                f"Received: {key}={_form(dtype, shape)}."
            )


def _form(dtype: tf.DType, shape: tuple[int | None, ...] | tf.TensorShape) -> str:
    sizes = ", ".join("?" if size is None else str(size) for size in tf.TensorShape(shape).as_list())
    return f"{dtype.name} [{sizes}]"
