"""A balanced random sample of positives and negatives, of a fixed size."""

from dataclasses import dataclass
from typing import Any

from keras import ops

from zoo.models.mask_rcnn.matcher import IGNORED, NEGATIVE, POSITIVE
from zoo.models.mask_rcnn.rows import pad_rows, take_rows, top_rows


@dataclass(frozen=True)
class Sample:
    """Candidates chosen for the loss: positives first, then negatives, then slots that stay empty.

    Args:
        index: [B, count] int32, which candidate; 0 in an empty slot.
        is_filled: [B, count] bool.
    """

    index: Any
    is_filled: Any


def sample(labels: Any, random: Any, *, count: int, positive_share: float) -> Sample:
    """At most `count` candidates of each image, at random, without repetition.

    min(positives, floor(count positive_share)) are positive; negatives fill up the rest as far as they go.
    The RPN takes 256 with a share of 0.5 (Faster R-CNN, 3.1.3), the box head 512 with 0.25 (FPN, 4.2).

    Args:
        labels: [B, N] int, `POSITIVE`, `NEGATIVE` or `IGNORED`.
        random: [B, N] numbers in [0, 1): the greatest of each kind are taken. The same numbers give the same sample.
        count: Size of the sample.
        positive_share: Greatest share of positives, 0 to 1.

    >>> import numpy as np
    >>> labels, random = ops.array([[1, 0, -1, 0, 1]]), ops.array([[0.1, 0.5, 0.9, 0.7, 0.2]])
    >>> drawn = sample(labels, random, count=4, positive_share=0.25)
    >>> np.array(drawn.index).tolist(), np.array(drawn.is_filled).tolist()
    ([[4, 3, 1, 0]], [[True, True, True, False]])
    """
    random = pad_rows(random, count, fill=0.0)
    labels = pad_rows(labels, count, fill=IGNORED)
    most_positives = int(count * positive_share)
    positive, positive_index = top_rows(ops.where(labels == POSITIVE, random, -1.0), most_positives)
    negative, negative_index = top_rows(ops.where(labels == NEGATIVE, random, -1.0), count)
    is_filled = ops.concatenate([positive, negative], axis=-1) >= 0
    index = ops.concatenate([positive_index, negative_index], axis=-1)
    # Filled slots first, in their order (top_k would not promise the order of equals on every backend): the
    # negatives that find no room fall off the end.
    places = ops.arange(is_filled.shape[-1], dtype="int32")
    order = ops.argsort(ops.where(is_filled, places, places + is_filled.shape[-1]), axis=-1)[..., :count]
    is_filled = take_rows(is_filled, order)
    return Sample(index=ops.where(is_filled, take_rows(index, order), 0), is_filled=is_filled)
