"""Rows of batched tables [B, N, ...]: padded to a size that is known, chosen by index, chosen by score."""

from typing import Any

from keras import ops

# The score of a row that is padding: never chosen while another is left.
NO_SCORE = float("-inf")


def pad_rows(values: Any, size: int, *, fill: float) -> Any:
    """`values` with at least `size` rows; what is missing is `fill`.

    Where N is not known while tracing, `size` rows are always appended, so that the result never has fewer.

    Args:
        values: [B, N, ...].
        size: The smallest number of rows to return.
        fill: The value of the new rows.

    Returns:
        [B, max(N, size), ...].

    >>> import numpy as np
    >>> np.array(pad_rows(ops.ones((1, 2)), 3, fill=0.0)).tolist()
    [[1.0, 1.0, 0.0]]
    """
    known = values.shape[1]
    missing = size if known is None else max(0, size - known)
    if not missing:
        return values
    widths = [[0, 0], [0, missing]] + [[0, 0]] * (len(values.shape) - 2)
    return ops.pad(values, widths, constant_values=fill)


def take_rows(values: Any, index: Any) -> Any:
    """result[b, m] = values[b, index[b, m]].

    Args:
        values: [B, N, ...]; the sizes after N are known.
        index: [B, M], integers in [0, N).

    Returns:
        [B, M, ...].

    >>> import numpy as np
    >>> np.array(take_rows(ops.array([[10, 20], [30, 40]]), ops.array([[1], [0]]))).tolist()
    [[20], [30]]
    """
    batch, count = ops.shape(values)[0], ops.shape(values)[1]
    flat = ops.reshape(values, (-1, *values.shape[2:]))
    starts = ops.expand_dims(ops.arange(batch, dtype="int32") * count, -1)
    return ops.take(flat, ops.cast(index, "int32") + starts, axis=0)


def top_rows(scores: Any, count: int) -> tuple[Any, Any]:
    """The `count` best scores of each row of the batch and where they are, the best first.

    Where there are fewer than `count`, the rest of the scores is `NO_SCORE`, with the index 0.

    Args:
        scores: [B, N].
        count: How many to return.

    Returns:
        scores [B, count] and index [B, count] (int32).

    >>> import numpy as np
    >>> [np.array(part).tolist() for part in top_rows(ops.array([[0.25, 0.75]]), 3)]
    [[[0.75, 0.25, -inf]], [[1, 0, 0]]]
    """
    values, index = ops.top_k(pad_rows(scores, count, fill=NO_SCORE), count)
    return values, ops.where(values > NO_SCORE, ops.cast(index, "int32"), 0)
